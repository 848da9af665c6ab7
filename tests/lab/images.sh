#!/bin/bash
# images.sh - the images of the demo and the tests, made of Debian's packages; what is slow to make is kept in the user's cache.
#   make                     the two base images (glusterfs-client, mariadb-server) and mariadb:10.11
#   load NODE|all [BINARY]   mariadb:10.11, and with a BINARY gluster-operator:VERSION, into nodes of the lab of kubernetes.sh. A node that
#                            has an image's base gets the thin rest alone: a new binary takes about a second.
#   archive BINARY FILE      gluster-operator:VERSION complete, for "docker load", "ctr images import" or a registry
# Settings: those of kubernetes.sh, and XDG_CACHE_HOME. Needs root, debootstrap, python3, and binutils (strip).
set -euo pipefail
here=$(cd "$(dirname "$0")"; pwd); project=$(cd "$here/../.."; pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/gluster-operator; ROOTFS=$CACHE/rootfs; IMAGES=$CACHE/images
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$project/Cargo.toml" | head -n 1)
say(){ echo "images: $*"; }

base(){ # NAME PKG..: the archive of an image of these packages; its tag says which
  local name=$1 root tag file t=$SECONDS; shift
  root=$("$here/image.sh" rootfs "$ROOTFS" "$@"); tag=$name:${root##*/}; file=$IMAGES/${tag/:/-}.tar
  if [ ! -e "$file" ]; then
    mkdir -p "$IMAGES"; rm -f "$IMAGES/$name"-*.tar # of an earlier list of packages
    [ "$name" != mariadb-base ] || rm -rf "${root:?}"/var/lib/mysql/* # Debian makes a database at installation
    "$here/image.sh" pack "$tag" "$root" "$file"
    say "$tag made in $((SECONDS-t)) s" >&2; fi
  echo "$tag $file"
}
operator_base(){ base gluster-client glusterfs-client ca-certificates; }
mariadb_base(){ base mariadb-base mariadb-server; }
operator_files(){ # BINARY DIR
  mkdir -p "$2/usr/local/bin"; strip --strip-debug -o "$2/usr/local/bin/gluster-operator" "$1"; chmod 755 "$2/usr/local/bin/gluster-operator"; }
mariadb_files(){ # DIR
  mkdir -p "$1/usr/local/bin" "$1/etc/mysql/mariadb.conf.d"
  install -m 755 "$here/mariadb/docker-entrypoint.sh" "$1/usr/local/bin/"; install -m 644 "$here/mariadb/50-server.cnf" "$1/etc/mysql/mariadb.conf.d/"; }
image_id(){ # ARCHIVE of a thin image: the digest by which containerd knows it
  tar -xOf "$1" index.json | python3 -c 'import json,sys; print(json.load(sys.stdin)["manifests"][0]["digest"])'; }
has(){ "$here/kubernetes.sh" sh "$1" ctr images ls "name==docker.io/library/$2" | awk 'NR>1{print $3}' | grep -qx "${3:-.*}"; } # NODE NAME:TAG [DIGEST]
into(){ # NODE BASE_TAG BASE_ARCHIVE NAME:TAG THIN_ARCHIVE
  has "$1" "$4" "$(image_id "$5")" && return 0
  has "$1" "$2" || "$here/kubernetes.sh" image "$1" "$3"
  "$here/kubernetes.sh" image "$1" "$5"
  has "$1" "$4" "$(image_id "$5")" || { say "$1 has no $4 after the import" >&2; return 1; }
}
load(){ local nodes=$1 binary=${2:-} work b m n p pids=()
  work=$(mktemp -d); trap "rm -rf '$work'" EXIT
  [ "$nodes" != all ] || nodes=$("$here/kubernetes.sh" list | awk '/^kube[0-9]+ up/{print $1}')
  [ -n "$nodes" ] || { say "no node is up" >&2; exit 1; }
  m=$(mariadb_base); mariadb_files "$work/m"
  "$here/image.sh" thin mariadb:10.11 "${m#* }" "$work/m" "$work/mariadb.tar" /usr/local/bin/docker-entrypoint.sh
  if [ -n "$binary" ]; then
    b=$(operator_base); operator_files "$binary" "$work/o"
    "$here/image.sh" thin "gluster-operator:$VERSION" "${b#* }" "$work/o" "$work/operator.tar" /usr/local/bin/gluster-operator; fi
  for n in $nodes; do
    [ -z "$binary" ] || { into "$n" "${b% *}" "${b#* }" "gluster-operator:$VERSION" "$work/operator.tar" & pids+=($!); }
    into "$n" "${m% *}" "${m#* }" mariadb:10.11 "$work/mariadb.tar" & pids+=($!); done
  for p in "${pids[@]}"; do wait "$p"; done
}
archive(){ local work b
  work=$(mktemp -d); trap "rm -rf '$work'" EXIT
  b=$(operator_base); operator_files "$1" "$work/o"; mkdir -p "$(dirname "$2")"
  "$here/image.sh" add "gluster-operator:$VERSION" "${b#* }" "$work/o" "$2" /usr/local/bin/gluster-operator
}
case ${1:-} in
 make) operator_base >/dev/null; mariadb_base >/dev/null ;;
 load) [ $# -ge 2 ] || { echo "load NODE|all [BINARY]" >&2; exit 2; }; load "${@:2}" ;;
 archive) [ $# = 3 ] || { echo "archive BINARY FILE" >&2; exit 2; }; archive "$2" "$3" ;;
 *) sed -n '2,7p' "$0"; exit 2 ;;
esac
