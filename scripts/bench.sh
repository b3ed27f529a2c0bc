#!/bin/sh
# usage: bench.sh [--only runtimes|launch|images|api] [OPTION...]
# Builds the release binaries and measures them beside the floor and their peers. The options are
# those of the benchmark programs, as --rounds N.
set -eu

only=
if [ "${1:-}" = --only ]; then
    only=$2
    shift 2
fi
wants() { [ -z "$only" ] || [ "$only" = "$1" ]; }

cargo build --release -p longshore-runtime -p longshore-benches
target=${CARGO_TARGET_DIR:-target}
bin=$target/$(rustc -vV | sed -n 's/^host: //p')/release
if wants runtimes; then
    "$bin/runtimes" --runtime "$bin/longshore-runtime" "$@"
fi
if wants launch; then
    "$bin/launch" --runtime "$bin/longshore-runtime" "$@"
fi
if wants api; then
    cargo build --release -p longshore-daemon
    "$bin/api" "$@"
fi
if wants images; then
    scripts/bench-images.sh "$target/bench-images"
    # The example that pulls into a store; without it the peers are measured alone.
    if [ -e crates/image/examples ]; then
        cargo build --release -p longshore-image --example images
        set -- --ours "$bin/examples/images" "$@"
    fi
    "$bin/images" --image "$target/bench-images" "$@"
fi
