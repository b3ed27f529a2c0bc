# Made, started, ended, removed.
docker create --network none --name one box echo hello
docker create --network none --name one box echo again
docker start -a one
docker start one
docker wait one
docker logs one
docker ps -a --no-trunc --format '{{.Names}} {{.Image}} {{.Command}} {{.Status}}'
docker inspect -f '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{.Path}} {{.Args}} {{.Config.Cmd}}' one
docker rename one uno
docker rm one
docker rm uno
docker run --rm --network none box echo hello
docker run --rm --network none box sh -c 'echo out; echo err >&2; exit 7'
#~ the words are the runtime's
docker run --rm --network none box /no/such/program
#~ the words are the runtime's
docker run --rm --network none box /etc
docker run --rm --network none -e A=1 -w /data -u www box sh -c 'pwd; id; env | sort' | cat
echo piped | docker run --rm -i --network none box cat
docker run --rm --network none -h node box hostname
docker run --rm --network none --entrypoint /bin/echo box one two
docker run --rm --network none --read-only box touch /x
docker run --rm --network none --tmpfs /t box sh -c 'touch /t/x && ls /t'
docker run -d --network none --name long box sleep 1000
docker ps --format '{{.Names}} {{.State}} {{.Status}}'
docker ps -q | wc -l
docker ps -aq -f name=lo -f status=running | wc -l
docker exec long echo inside
docker exec long sh -c 'exit 5'
docker exec -w /data -e B=2 -u 33:34 long sh -c 'pwd; echo $B; id -u; id -g'
echo text | docker exec -i long cat
#! 20.10 says 126 and prints the message as output; newer ones say 127
docker exec long /no/such/program
docker exec -d long touch /made
docker top long -o pid,comm | wc -l
docker top long | head -1
docker pause long
#~ newer daemons word it differently from 20.10
docker pause long
#~ newer daemons word it differently from 20.10
docker exec long true
docker ps --format '{{.Names}} {{.Status}}'
docker unpause long
#~ newer daemons word it differently from 20.10
docker unpause long
docker update --memory 64m --memory-swap 128m long
docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' long
#~ newer daemons word it differently from 20.10
docker rm long
#~ newer daemons word it differently from 20.10
docker kill -s BOGUS long
docker kill long
docker wait long
#~ newer daemons word it differently from 20.10
docker kill long
docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}} {{.State.OOMKilled}}' long
docker start long
docker restart -t 0 long
docker stop -t 0 long
docker stop -t 0 long
#~ newer daemons word it differently from 20.10
docker exec long true
docker rm -f long
docker rm -f long
docker start nothing
docker stop nothing
docker logs nothing
docker inspect nothing
docker exec nothing true
docker run --rm --network none --name 'bad name' box true
docker run --rm --network none -m 1k box true
docker run --rm --network none -p 80x:80 box true
docker create --network none --name keep --label a=b --restart on-failure:3 --stop-signal USR1 --stop-timeout 3 box
docker inspect -f '{{.Config.Labels}} {{.HostConfig.RestartPolicy}} {{.Config.StopSignal}} {{json .Config.StopTimeout}}' keep
docker ps -a -f label=a=b --format '{{.Names}} {{.Labels}} {{.Status}}'
docker container prune -f --filter label=none
docker rm keep
docker run --network none --name lines box sh -c 'for i in 1 2 3 4 5; do echo $i; done'
docker logs -n 2 lines
docker logs --since 1h -t lines
docker logs -f lines
docker container prune -f | head -1
docker ps -aq
