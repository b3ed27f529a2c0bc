#!/usr/bin/env bash
# usage: test-vm.sh [--short] PROFILE [CARGO-OPTION...]
# Runs the black-box suites in a virtual machine (scripts/vm-run): with cgroup v2 and AppArmor,
# then with cgroup v1. The test binaries are static, so the guest needs nothing of the build.
set -euo pipefail
cd "$(dirname "$0")/.."

short=
if [[ $1 == --short ]]; then
    short=1
    shift
fi
profile=$1
shift

host=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-target}/$host/$profile
suites=(--test identity --test oci --test escape --test hostile --test crash)
cargo build --profile "$profile" --workspace --bins "$@"
# The newest binary of each suite, by cargo's own account.
mapfile -t binaries < <(
    cargo test --profile "$profile" --workspace "${suites[@]}" --no-run --message-format=json "$@" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | grep '/deps/' | sort -u
)
((${#binaries[@]} == 5)) || { echo "test-vm: found ${#binaries[@]} of 5 suites" >&2; exit 1; }

# Emulated: one test at a time takes many times longer than here.
filter=() limit=()
if [[ $short ]]; then
    # Many times what it takes on an idle machine.
    limit=(--timeout 1200)
    filter=(lifecycle d1_ d2_ d3_ limits kill pause c4_53 a1_33 documents::missing)
fi

boot() { # boot CGROUP-VERSION
    echo "== cgroup $1"
    # shellcheck disable=SC2016
    scripts/vm-run "${limit[@]}" --cgroup "$1" --cpus "$(nproc)" --mem 2G --packages "busybox-static runc" --share "$target" -- bash -c '
        export LONGSHORE_TEST_SLOW=1
        status=0
        for binary in "${@:2}"; do
            # shellcheck disable=SC2086
            "/share/deps/${binary##*/}" --test-threads "$(nproc)" $1 || status=1
        done
        exit $status
    ' bash "${filter[*]}" "${binaries[@]}"
}

run() { # run CGROUP-VERSION
    local status=0 began=$SECONDS
    boot "$1" || status=$?
    # An emulated processor sometimes gets stuck on a busy host. That is not our failure, twice is.
    if ((status == 124 && SECONDS - began < 600)); then
        status=0
        boot "$1" || status=$?
    fi
    return "$status"
}

status=0
run v2 || status=$?
if [[ ! $short ]]; then
    run v1 || status=$?
fi
exit "$status"
