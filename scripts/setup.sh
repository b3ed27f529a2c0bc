#!/bin/sh
# usage: setup.sh [--bench]
# Installs what the tests need besides Rust: Debian packages where there is apt-get. With --bench,
# also the programs that the benchmarks compare with.
set -eu

say() { printf '%s\n' "$*" >&2; }

missing=
# need PACKAGE PROGRAM
need() { command -v "$2" >/dev/null || missing="$missing $1"; }

[ -x /bin/busybox ] && [ -z "$(ldd /bin/busybox 2>/dev/null | grep '=>')" ] || missing="$missing busybox-static"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
need runc runc
# ISA-L, which inflates layers, is built from source.
need nasm nasm
need autoconf autoreconf
need automake automake
need libtool libtoolize
need make make
# Other readers of tar archives, to agree with.
need libarchive-tools bsdtar
need python3 python3
# Images made by others, and a registry of others.
need buildah buildah
need docker-registry docker-registry
need docker.io dockerd
need openssl openssl
need skopeo skopeo
need umoci umoci
# What a daemon has made in a network namespace.
need iproute2 ip
need nftables nft
# A file system of a test's own.
need e2fsprogs mkfs.ext4
if [ "${1:-}" = --bench ]; then
    need crun crun
    need debootstrap debootstrap
    need isal igzip
    need podman podman
fi
[ "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    say "The tests need:$missing (names of Debian packages). Install them and try again:"
    say "a static busybox as /bin/busybox, runc, a C compiler for linking, nasm, dockerd, docker-registry, skopeo …"
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    say "The tests need the Debian packages$missing: run this as root, or install them first."
    exit 1
fi

# Packages of daemons start them. The tests start their own; nothing else may listen.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi

say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 || {
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
