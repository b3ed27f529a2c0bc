# Volumes, and what is in them.
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
docker create --network none --name holds -v v1:/data box true
docker volume rm v1
docker rm holds
docker volume rm v1
docker volume rm v1
docker volume ls -q -f dangling=true
#! 20.10 tells of a creation wherever a volume is named, and of the mount that fills it
docker events --since 1h --until 0s --filter type=volume --format '{{.Action}}' | sort | uniq -c
docker create --network none --name cc -v /vol box sleep 1000
mkdir dir && echo one > dir/a && docker cp dir/a cc:/vol/
docker cp cc:/vol/a - | tar -t
docker start cc
docker exec cc sh -c 'echo x > /tmp/new; mkdir /made; touch /vol/seen'
docker cp cc:/vol - | tar -t | sort
echo running > r && docker cp r cc:/vol/ && docker exec cc cat /vol/r
docker diff cc | sort
docker export cc | tar -t | grep vol
docker kill cc
docker cp r cc:/vol/stopped && docker cp cc:/vol - | tar -t | sort
docker create --network none --name from --volumes-from cc box ls /vol
docker start -a from
docker rm cc from
docker volume ls -q | wc -l
docker run --network none --name ro --read-only -v /vol box true
docker cp r ro:/vol
docker cp r ro:/data
docker rm -v ro
docker volume ls -q | wc -l
