#!/bin/bash
# test.sh [PART..] - all tests, or some parts, with the seconds of each; fails when any part failed, and always says how it ended.
#   prepare  packages, the lab's programs and images, the binary, labs of killed runs     check  hack/check.sh
#   unit     tests that need no root and no lab      docs  examples in the documentation      lab  tests that bring up labs (root)
# A test program of tests/ belongs to "lab" when it names KubeLab or GlusterLab, or says that it "Needs root".
. "$(dirname "$0")/lib.sh"
programs(){ local f; for f in tests/*.rs tests/*/main.rs; do [ ! -e "$f" ] || { f=${f#tests/}; f=${f%/main.rs}; echo "${f%.rs}"; }; done; }
sources(){ ls -d "tests/$1.rs" "tests/$1" 2>/dev/null; } # a program may have a directory beside its file
lab_tests(){ local t; for t in $(programs); do ! grep -rqE '(Kube|Gluster|Operator)Lab|Needs root' $(sources "$t") || echo "$t"; done; }
other_tests(){ comm -23 <(programs | sort) <(lab_tests | sort); }
# What is run in one piece: a program, or one test of `operator`, each of which brings up a lab of its own and takes minutes.
# The longest first, so that all lanes end together; first of all what is not named here.
order="faults crash truth simulated_lab demo csi_lab daytwo cluster layouts_lab hostile ssh pool_lab ssh_lab install crds"
units(){
  { cargo test --quiet --locked --test operator -- --list --format terse | sed -n 's/: test$//p' | sed 's/^/lab operator /'
    lab_tests | grep -vx operator | sed 's/^/lab /'; } |
    awk -v order="$order" 'BEGIN {n = split(order, names); for (i = 1; i <= n; i++) place[names[i]] = i}
      {split($NF, word, "::"); print place[word[1]] + 0, $0}' | sort -sn | cut -d' ' -f2-
}
targets(){ sed 's/^/--test=/'; }

case ${1:-} in # one part, in a process of its own: a function in an "if" would go on after an error
 =prepare) hack/packages.sh build
   if [ "$(id -u)" = 0 ]; then hack/packages.sh lab; hack/clean-labs.sh; else say "not root: no lab is prepared"; fi
   cargo build --locked --bin gluster-operator; exit ;;
 =check) exec hack/check.sh ;;
 =unit) exec cargo test --locked --no-fail-fast --lib --bins $(other_tests | targets) ;;
 =docs) exec cargo test --locked --doc ;;
 =lab) tests=$(lab_tests | targets); [ -n "$tests" ] || { say "there are no lab tests"; exit 0; }
   cargo test --locked --no-run $tests
   logs=$(mktemp -d); trap 'rm -rf "$logs"' EXIT
   # labs wait for most of their time: two side by side take little longer than one
   units >"$logs/units"; [ -s "$logs/units" ] || die "no unit of the lab tests was found"
   rc=0; LOGS=$logs xargs -a "$logs/units" -P "${LAB_LANES:-2}" -L 1 bash hack/test.sh "=one" || rc=1
   for f in "$logs"/*.failed; do
     [ -e "$f" ] || continue; f=${f%.failed}
     # once more at the end, where it is found: what was said of it, without the state that followed
     say; say "   ${f##*/} failed:"; grep -E -A5 '^FAILED|panicked at' "$f" | grep -vE '^ +[0-9]+: | +at |^stack backtrace' | cut -c1-400 | head -40 || :
   done
   exit $rc ;;
 =one) program=$3 only=(); [ -z "${4:-}" ] || only=(--exact "$4"); name=$program${4:+.${4//::/.}}; log=$LOGS/$name
   threads=(--test-threads=4) # servers on this machine, and waiting for them; but labs, which take most of a small one: one at a time
   ! grep -rqE '(Kube|Gluster|Operator)Lab' $(sources "$program") || threads=(--test-threads="${LAB_THREADS:-1}")
   say "   $name: begins"; t=$(now); rc=0
   cargo test --quiet --locked --test "$program" -- "${threads[@]}" --nocapture "${only[@]}" >"$log" 2>&1 || rc=$?
   [ $rc = 0 ] || : >"$log.failed"
   # whole, so that those of two lanes do not mix
   exec 9<"$LOGS"; flock 9
   cat "$log"; say "   $name: $([ $rc = 0 ] && echo ok || echo FAILED), $(since "$t") s"
   exit $rc ;;
esac

parts=("$@"); [ $# -gt 0 ] || parts=(prepare check unit docs lab)
begin=$(now) lines=() failed=() current=
ended(){ local rc=$?; [ -z "$current" ] || say "make test: INTERRUPTED in part $current after $(since "$begin") s (exit $rc)"; exit $rc; }
trap ended EXIT; trap 'exit 130' INT; trap 'exit 143' TERM
for current in "${parts[@]}"; do
  say "== $current"; t=$(now)
  if bash hack/test.sh "=$current" </dev/null; then result=ok; else result="FAILED (exit $?)"; failed+=("$current"); fi
  lines+=("$(printf '%-8s %7s s  %s' "$current" "$(since "$t")" "$result")")
  [ "$current" != prepare ] || [ "$result" = ok ] || break # nothing could be said of the rest
done
current=
say; say "== seconds of each part"; printf '%s\n' "${lines[@]}"; say "$(printf '%-8s %7s s' all "$(since "$begin")")"
[ ${#failed[@]} = 0 ] || { say "make test: FAILED: ${failed[*]}"; exit 1; }
say "make test: everything passed"
