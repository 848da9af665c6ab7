#!/bin/bash
# packages.sh build|lab|image - installs what is needed to compile, or to run the lab; says what only you can install.
#   build   Debian's C compiler and linker; Rust has to be there
#   image   what makes images
#   lab     Debian's packages for the lab, the Kubernetes programs (compiled once, into the user's cache), the images; Go has to be there
# Each can run again; when everything is there it takes a fraction of a second.
. "$(dirname "$0")/lib.sh"

at_least(){ [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; } # WANTED HAVE
installed(){ dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -qx 'install ok installed'; }
apt(){ # PACKAGE..: those that are missing
  local p missing=(); for p; do installed "$p" || missing+=("$p"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "this is no Debian; please install: ${missing[*]}"
  root
  say "   apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update && apt-get -qq -y install --no-install-recommends "${missing[@]}" >"$CACHE/apt.log" 2>&1 || { tail -n 20 "$CACHE/apt.log" >&2; die "apt-get failed"; }
}
rust(){ local want have
  want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  command -v cargo >/dev/null || die "cargo is missing: install Rust $want or newer (https://rustup.rs), then run this again"
  have=$(cargo --version | awk '{print $2}'); at_least "$want" "$have" || die "Rust $have is too old: $want or newer is needed (rustup update)"
}
go_there(){ local want have p
  for p in kube-apiserver kube-controller-manager kube-scheduler kubelet; do [ -x "$KLAB_TOOLS/bin/$p" ] || break; done
  [ ! -x "$KLAB_TOOLS/bin/$p" ] || return 0 # all are compiled
  want=$(awk '$1=="go"{print $2}' "$LAB/tools/go.mod")
  command -v go >/dev/null || die "go is missing: install Go $want or newer (https://go.dev/dl), which compiles the lab's Kubernetes, then run this again"
  have=$(go env GOVERSION); have=${have#go}; at_least "${want%.0}" "$have" || die "Go $have is too old: $want or newer is needed"
  say "   the lab's Kubernetes is compiled now, once: about 10 minutes on 2 cores"
}
images(){ root; apt binutils util-linux tar debootstrap; python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || apt python3; }
mkdir -p "$CACHE"
case ${1:-} in
 build) apt gcc libc6-dev binutils ca-certificates; rust ;;
 image) images ;;
 lab) root
   [ -d /sys/fs/cgroup/memory ] || die "the lab's nodes need cgroup v1 (boot with systemd.unified_cgroup_hierarchy=0); this machine has v2"
   python3 -m pip --version >/dev/null 2>&1 || apt python3 python3-pip
   images
   go_there
   "$LAB/kubernetes-tools.sh" "$KLAB_TOOLS"
   "$LAB/images.sh" make ;;
 *) sed -n '2,6p' "$0"; exit 2 ;;
esac
