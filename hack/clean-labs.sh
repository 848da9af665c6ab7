#!/bin/bash
# clean-labs.sh - takes down the labs of tests that were killed: those whose number nobody holds the lock of (tests/support/mod.rs).
# Running tests, the demo and labs of other names are left alone.
. "$(dirname "$0")/lib.sh"
labs=${TMPDIR:-/tmp}/gluster-operator-labs
for lock in "$labs"/*.lock; do
  n=$(basename "$lock" .lock); [ -d "$labs/$n" ] || continue
  (
    flock -n 9 || exit 0
    say "   a killed test left the lab $n ($(cat "$labs/$n/test" 2>/dev/null || echo "?")): taking it down"
    export GLH_PREFIX=t$n GLH_NET=10.$n.0 GLH_DIR=$labs/$n/gluster KLAB_DIR=$labs/$n/kube
    "$LAB/kubernetes.sh" down 9>&-; "$LAB/gluster-hosts.sh" down 9>&-
    rm -rf "${labs:?}/$n"
  ) 9<"$lock"
done
