#!/bin/sh
# Builds the release binaries and measures them beside the floor and their peers.
set -eu

cargo build --release -p longshore-runtime -p longshore-benches
bin="${CARGO_TARGET_DIR:-target}/$(rustc -vV | sed -n 's/^host: //p')/release"
"$bin/runtimes" --runtime "$bin/longshore-runtime" "$@"
"$bin/launch" --runtime "$bin/longshore-runtime" "$@"
