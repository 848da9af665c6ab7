#!/bin/bash
# image.sh - gluster-operator:VERSION with the release binary, as an archive in target/: Debian's glusterfs-client and our binary.
. "$(dirname "$0")/lib.sh"
root
hack/packages.sh build
slow "cargo build --locked --release" cargo build --locked --release --bin gluster-operator
hack/packages.sh image
slow "packing" "$LAB/images.sh" archive "$TARGET/release/gluster-operator" "$TARGET/gluster-operator.tar"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
say "$TARGET/gluster-operator.tar holds gluster-operator:$version ($(du -h "$TARGET/gluster-operator.tar" | cut -f1))"
