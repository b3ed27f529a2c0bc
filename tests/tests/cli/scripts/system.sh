# Volumes and the rest.
docker volume create v1
docker volume create v1
docker volume create --label a=b v2
docker volume ls --format '{{.Driver}} {{.Name}}'
docker volume ls -q -f label=a
docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}}' v2
docker volume inspect none
docker volume create 'bad name'
docker run --rm --network none -v v1:/data box ls /data
docker run --rm --network none -v v1:/data box sh -c 'echo kept > /data/new'
docker run --rm --network none -v v1:/data:ro box cat /data/new
docker run --rm --network none -v v1:/data:ro box touch /data/x
docker run --rm --network none --mount type=bind,src=/none/such,dst=/x box true
docker create --network none --name holds -v v1:/data box true
docker volume rm v1
docker rm holds
docker volume rm v1
docker volume rm v1
docker volume prune -f
docker version -f '{{.Server.Os}} {{.Server.Arch}}'
#~ the driver of cgroups is the host's
docker info -f '{{.Containers}} {{.OSType}} {{.CgroupDriver}} {{.LoggingDriver}} {{.NCPU}}'
docker network ls --format '{{.Name}} {{.Driver}}' | grep none
docker network rm none
#~ 20.10 tells of mounts that this engine does not make
docker events --since 1h --until 0s --filter type=volume --format '{{.Action}}' | sort | uniq -c
docker swarm leave
docker node ls
docker service ls
docker secret ls
docker plugin ls
docker system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'
docker system prune -f
docker stats --no-stream --format '{{.Name}}'
docker container ls --format '{{.Names}}'
#~ the words are those of another client of registries
docker login -u a -p b localhost:1
docker wait none
docker port none
docker attach none
docker update -m 5m none
docker rename none other
