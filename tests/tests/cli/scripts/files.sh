# Copied, compared, exported.
docker create --network none --name cc box sleep 1000
mkdir -p dir/inner && echo one > dir/a && echo two > dir/inner/b && ln -s a dir/l
docker cp dir/a cc:/tmp/
docker cp dir/a cc:/tmp/renamed
docker cp dir cc:/tmp/whole
docker cp dir/. cc:/tmp
docker cp dir cc:/data/file
docker cp dir/a cc:/data
docker cp dir/a cc:/link/through
docker cp dir/a cc:/none/there
docker cp dir/a cc:/none/
docker cp dir/none cc:/tmp
docker cp dir/a none:/tmp
docker cp cc:/tmp out && find out | sort
docker cp cc:/tmp/. out2 && find out2 | sort
docker cp cc:/data/file copied && cat copied
docker cp cc:/data/file copied/x
docker cp cc:/link here && find here | sort && readlink here
docker cp -L cc:/link there && find there | sort
docker cp cc:/none .
#~ 20.10 names the file by its place on the host
docker cp cc:/data/file/x .
docker cp cc:/data/ - | tar -t
docker cp cc:/data/. - | tar -t
docker cp cc:/ - | tar -t | grep -c bin/
docker cp cc:/etc/passwd - | tar -tv --numeric-owner | sed 's/ [0-9-]* [0-9:]* / /'
tar -c dir | docker cp - cc:/tmp && docker cp cc:/tmp/dir - | tar -t
tar -cz dir | docker cp - cc:/tmp
#~ the words are those of another reader of archives
echo nothing | docker cp - cc:/tmp
echo nothing | docker cp - cc:/data/file
docker diff cc | sort
docker start cc
docker exec cc sh -c 'rm /data/file; echo x > /tmp/new; mkdir /made'
docker diff cc | sort
docker cp cc:/tmp/new - | tar -xO
echo running > r && docker cp r cc:/made/ && docker exec cc cat /made/r
#! dockerd writes below what is mounted on /proc; here it is the container's own /proc, which takes no files
docker cp r cc:/proc/x
docker export cc | tar -t | grep -v -e bin/ -e dev/ -e proc/ -e etc/ -e .dockerenv | sort
docker pause cc && docker cp r cc:/tmp/paused && docker cp cc:/tmp/paused - | tar -t && docker unpause cc
docker stop -t 0 cc
docker export -o e.tar cc && tar -tf e.tar | grep data | sort
docker export none
docker diff none
docker rm -v cc
docker run --network none --name ro --read-only box true
docker cp r ro:/tmp
docker rm -v ro
docker create --network none --name user -u www box true
#! 20.10 looks for the container's user on the host
docker cp -a r user:/tmp && docker cp user:/tmp/r - | tar -tv | cut -d' ' -f1,2
docker rm user
docker stats --no-stream --format '{{.Name}}' none
docker top none
