# Images.
docker images --format '{{.Repository}}:{{.Tag}}'
docker tag box other/name:1
docker tag none other
docker tag box 'BAD NAME'
docker images --format '{{.Repository}}:{{.Tag}}' | sort
docker image inspect -f '{{.RepoTags}} {{.Os}} {{.Config.Cmd}} {{.Config.Env}}' box
#~ newer daemons word it differently from 20.10
docker image inspect none
#~ newer daemons word it differently from 20.10
docker history --format '{{.CreatedBy}} {{.Comment}}' box
docker save -o saved.tar box && docker rmi box
docker rmi box
docker rmi other/name:1 > /dev/null
docker images -q
docker load -i saved.tar
docker images --format '{{.Repository}}:{{.Tag}}'
#~ the words are those of another reader of archives
echo nothing | docker load
docker import http://127.0.0.1:1/none.tar imported:1 2>&1 | grep -c 127.0.0.1:1
docker run --network none --name changed box sh -c 'echo new > /new'
docker commit -m text -a me -c 'CMD ["cat","/new"]' changed committed:1
docker run --rm --network none committed:1
docker history --format '{{.Comment}}' committed:1 | head -1
docker rmi box
docker rmi -f none
docker rm changed
docker image prune -f
docker rmi committed:1 > /dev/null
docker images --format '{{.Repository}}:{{.Tag}}'
docker run --rm --network none --pull never absent true
