#!/bin/bash
# check.sh - what a change has to pass before its tests are worth running. Runs all, then fails if any failed.
. "$(dirname "$0")/lib.sh"
failed=()
check(){ # NAME COMMAND..
  local name=$1 t; t=$(now); shift
  if "$@"; then say "   $name: ok ($(since "$t") s)"; else say "   $name: FAILED ($(since "$t") s)"; failed+=("$name"); fi
}
crds_fresh(){ local new; new=$(mktemp -d) || return 1
  cargo run --quiet --locked -- crds --output "$new" && diff -ru crds "$new" || { say "crds/ is not what src/api says: make crds"; rm -rf "$new"; return 1; }
  rm -rf "$new"; }
scripts(){ local f rc=0; for f in hack/*.sh tests/lab/*.sh tests/lab/*/*.sh .ci/run; do bash -n "$f" || rc=1; done; return $rc; }
export RUSTDOCFLAGS="-D warnings"
hack/packages.sh build
check "format (cargo fmt)" cargo fmt --check
check "clippy" cargo clippy --quiet --locked --lib --bins -- -D warnings
# tests may stop at the first surprise; clippy.toml says so for what is marked as a test, but not for what tests call
check "clippy of tests" cargo clippy --quiet --locked --tests --benches -- -D warnings -Aclippy::{unwrap_used,expect_used,panic,print_stdout}
check "rustdoc" cargo doc --quiet --locked --no-deps
check "crds/ fresh" crds_fresh
check "manifests, licences" cargo test --quiet --locked --test manifests --test licences
check "scripts" scripts
[ ${#failed[@]} = 0 ] || die "failed: $(IFS=,; echo "${failed[*]}")"
