#!/bin/sh
# Installs what the tests need besides Rust: Debian packages where there is apt-get.
set -eu

say() { printf '%s\n' "$*" >&2; }

missing=
[ -x /bin/busybox ] && [ -z "$(ldd /bin/busybox 2>/dev/null | grep '=>')" ] || missing="$missing busybox-static"
command -v runc >/dev/null || missing="$missing runc"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
[ "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    say "The tests need:$missing (names of Debian packages). Install them and try again:"
    say "a static busybox as /bin/busybox, runc, a C compiler for linking."
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    say "The tests need the Debian packages$missing: run this as root, or install them first."
    exit 1
fi
say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 || {
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
