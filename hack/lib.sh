# lib.sh - what the scripts of this directory share; sourced by them.
# shellcheck shell=bash
set -euo pipefail
PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.."; pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/gluster-operator # programs and images: slow to make, kept for the next time
TARGET=${CARGO_TARGET_DIR:-$PROJECT/target}
LAB=$PROJECT/tests/lab
export KLAB_TOOLS=$CACHE/tools
cd "$PROJECT"
say(){ printf '%s\n' "$*"; }
die(){ printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; exit 1; }
now(){ date +%s%N; }
since(){ local t=$(( ($(now) - $1) / 100000000 )); printf '%d.%d' $((t / 10)) $((t % 10)); } # NOW: seconds with one decimal
slow(){ # WHAT COMMAND..: runs it with its output going by; names the time when it took more than a second
  local what=$1 t=$SECONDS; shift
  say "   $what"
  "$@" || { say "   $what: FAILED after $((SECONDS-t)) s"; return 1; }
  [ $((SECONDS-t)) -le 1 ] || say "   $what: done in $((SECONDS-t)) s"
}
root(){ [ "$(id -u)" = 0 ] || die "the lab (network namespaces, mounts) and apt need root: try again as root"; }
