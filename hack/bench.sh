#!/bin/bash
# bench.sh - the measurements of docs/benchmarks.md; writes target/bench.json.
. "$(dirname "$0")/lib.sh"
root
hack/packages.sh build
slow "cargo build --locked --release" cargo build --locked --release --bin gluster-operator
hack/packages.sh lab
hack/clean-labs.sh
export GLH_NOGEOREP= # hosts as Debian ships them
slow "measurements" cargo bench --locked --bench operator
