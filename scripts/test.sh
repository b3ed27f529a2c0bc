#!/bin/sh
# usage: test.sh PROFILE [CARGO-OPTION...]
# Builds everything in that profile and runs all tests against it.
set -eu

profile=$1
shift
if [ "$(id -u)" != 0 ]; then
    echo "the black-box suites make containers: run them as root" >&2
    exit 1
fi

cargo build --profile "$profile" --workspace --bins "$@"
if cargo nextest --version >/dev/null 2>&1; then
    exec cargo nextest run --cargo-profile "$profile" --workspace --no-fail-fast "$@"
fi
exec cargo test --profile "$profile" --workspace --no-fail-fast "$@"
