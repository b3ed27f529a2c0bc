# What is said of the whole.
docker run --rm --network none --mount type=bind,src=/none/such,dst=/x box true
docker version -f '{{.Server.Os}} {{.Server.Arch}}'
#~ the driver of cgroups is the host's
docker info -f '{{.Containers}} {{.OSType}} {{.CgroupDriver}} {{.LoggingDriver}} {{.NCPU}}'
docker swarm leave
docker node ls
docker service ls
docker secret ls
docker plugin ls
docker system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'
docker stats --no-stream --format '{{.Name}}'
docker container ls --format '{{.Names}}'
#~ the words are those of another client of registries
docker login -u a -p b localhost:1
docker wait none
docker port none
docker attach none
docker update -m 5m none
docker rename none other
