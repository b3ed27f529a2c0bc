#!/usr/bin/env bash
# usage: bench-images.sh DIR
# Makes a real image for the benchmark: Debian in five layers, about 1.3 GB unpacked and 50,000 files.
# The result is an OCI layout in DIR/layout (reference "big"), made once, with:
#   DIR/facts: bytes and entries, unpacked.
# Needs root, debootstrap, umoci, and the package mirror that apt uses here; takes some minutes.
set -euo pipefail

dir=$1
[[ -e $dir/facts ]] && exit 0
for tool in debootstrap umoci; do
    command -v $tool >/dev/null || { echo "bench-images: $tool is not installed" >&2; exit 1; }
done
# What is mounted here is gone with this process.
if [[ -z ${BENCH_IMAGES_MOUNTS:-} ]]; then
    BENCH_IMAGES_MOUNTS=own exec unshare --mount "$0" "$@"
fi
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
[[ -e $dir/facts ]] && exit 0
work=$dir/work
rm -rf "$work" "$dir/layout"
mkdir "$work"

# The mirror is apt's own: the first archive of Debian itself.
read -r mirror suite < <(
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN)' 'Identifier: Packages' |
        awk '$3 == "Debian" { print $1, $2; exit }'
) || { echo "bench-images: apt knows no archive of Debian; run apt-get update" >&2; exit 1; }

export DEBIAN_FRONTEND=noninteractive LC_ALL=C
layers=(
    "" # debootstrap
    "build-essential gdb cmake"
    "python3-numpy python3-pip python3-sphinx python3-dev python3-lxml"
    "git vim perl-doc manpages manpages-dev npm"
    "locales-all default-jre-headless"
)

echo "bench-images: base of $suite" >&2
debootstrap --variant=minbase "$suite" "$work/layer-1" "$mirror" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
rm -rf "$work"/layer-1/var/cache/apt/archives/*.deb "$work"/layer-1/var/lib/apt/lists/*

merged=$work/merged
mkdir "$merged"
lower=$work/layer-1
for number in 2 3 4 5; do
    packages=${layers[number - 1]}
    echo "bench-images: $packages" >&2
    mkdir "$work/layer-$number" "$work/work-$number"
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/layer-$number,workdir=$work/work-$number" "$merged"
    # What the host needs to reach the mirror, on top and not in the layer.
    mount -t tmpfs tmpfs "$merged/run"
    mount -t tmpfs tmpfs "$merged/var/lib/apt/lists"
    mount -t tmpfs tmpfs "$merged/var/cache/apt"
    mkdir "$merged/run/apt"
    cp /etc/resolv.conf "$merged/run/apt/resolv.conf"
    touch "$merged/etc/resolv.conf"
    mount --bind "$merged/run/apt/resolv.conf" "$merged/etc/resolv.conf"
    apt-config dump --no-empty Acquire::http::Proxy >"$merged/run/apt/apt.conf"
    echo "deb $mirror $suite main" >"$merged/run/apt/sources.list"
    options=(-o Dir::Etc::SourceList=/run/apt/sources.list -o Acquire::Languages=none)
    mount --bind /dev "$merged/dev"
    mount -t proc proc "$merged/proc"
    {
        APT_CONFIG=/run/apt/apt.conf chroot "$merged" apt-get "${options[@]}" update &&
            # shellcheck disable=SC2086
            APT_CONFIG=/run/apt/apt.conf chroot "$merged" apt-get "${options[@]}" install -y --no-install-recommends $packages
    } >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
    umount -R "$merged"
    lower=$work/layer-$number:$lower
done

echo "bench-images: packing" >&2
umoci init --layout "$dir/layout"
umoci new --image "$dir/layout:big"
bytes=0 entries=0
for number in 1 2 3 4 5; do
    layer=$work/layer-$number
    # Whiteouts as the OCI specification wants them.
    while IFS= read -r -d '' node; do
        [[ $(stat -c %t:%T "$node") == 0:0 ]] || continue
        rm "$node"
        touch "${node%/*}/.wh.${node##*/}"
    done < <(find "$layer" -type c -print0)
    tar --create --numeric-owner --sort=name --xattrs --xattrs-include='security.*' --format=pax \
        --pax-option=delete=atime,delete=ctime --directory "$layer" --file "$work/layer.tar" .
    bytes=$((bytes + $(stat -c %s "$work/layer.tar")))
    entries=$((entries + $(find "$layer" | wc -l)))
    umoci raw add-layer --image "$dir/layout:big" --history.created_by "layer $number" "$work/layer.tar"
done
umoci config --image "$dir/layout:big" --config.cmd /bin/bash
umoci gc --layout "$dir/layout"
rm -rf "$work"
echo "$bytes $entries" >"$dir/facts"
echo "bench-images: $bytes bytes, $entries entries, $(du -sm "$dir/layout" | cut -f1) MB compressed" >&2
