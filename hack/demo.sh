#!/bin/bash
# demo.sh - three gluster hosts, a Kubernetes of two nodes, the operator, and a MySQL server that outlives its node.
#   up               the five steps; on a running demo: starts what is dead, and again with fresh objects
#   down             leaves no process, mount, network, loop device or file of it
#   sh HOST [CMD..]  a shell, or one command, inside node1..node3 (gluster), kube1, kube2, cp
# Settings: DEMO_PROFILE (release: how the binary is compiled, instead of dev), DEMO_PREFIX and DEMO_NET (names and addresses),
#   DEMO_DIR (state).
. "$(dirname "$0")/lib.sh"

D=${DEMO_DIR:-$PROJECT/.lab/demo}
case $D/ in /run/*|/etc/*|/var/*|/opt/*|/srv/*|/mnt/*|/root/*) # the lab's hosts have these directories of their own
  D=/tmp/gluster-operator-demo-$(printf %s "$PROJECT" | sha256sum | cut -c1-8) ;; esac
export GLH_PREFIX=${DEMO_PREFIX:-demo} GLH_NET=${DEMO_NET:-10.76.0} GLH_PING=10 GLH_DIR=$D/gluster KLAB_DIR=$D/kube
export KUBECONFIG=$KLAB_DIR/admin.kubeconfig KUBECACHEDIR=$KLAB_DIR/cache PATH=$KLAB_TOOLS/bin:$PATH
PROFILE=${DEMO_PROFILE:-dev}; BINARY=$TARGET/${PROFILE/#dev/debug}/gluster-operator
kube="$LAB/kubernetes.sh"; hosts="$LAB/gluster-hosts.sh"
BEGIN=$(now); STEP=; SUMMARY=()

begin(){ STEP=$1; STEP_BEGIN=$(now); say; say "== $1"; }
end(){ local line; line=$(printf '%s  %6s s  %s' "${STEP%%.*}" "$(since "$STEP_BEGIN")" "$1"); SUMMARY+=("$line"); say "== $line"; STEP=; }
run(){ printf '   $ %s\n' "${1//$PROJECT\//}"; bash -c "$1" 2>&1 | sed 's/^/     /'; } # as a user would type it in the project's directory
stopped(){ local rc=$?
  [ $rc != 0 ] || return 0
  [ -z "$STEP" ] || { say; say "The demo stopped in step \"$STEP\" after $(since "$STEP_BEGIN") s."; trouble; }
  say "Everything is left as it is: make demo tries again, make demo-down takes it down."; }
trouble(){ # what one wants to know when something did not come
  set +e; [ -e "$KUBECONFIG" ] && kubectl get --raw /readyz >/dev/null 2>&1 || return 0
  say "-- what there is"
  kubectl get nodes,gc,gv,pv,pvc,pods -A -o wide 2>&1
  say "-- conditions"
  kubectl get gc,gv -A -o jsonpath='{range .items[*]}{range .status.conditions[*]}{..kind}{.type}={.status} {.reason}: {.message}{"\n"}{end}{end}' 2>&1
  say "-- the latest events"
  kubectl get events -A --sort-by=.metadata.creationTimestamp 2>&1 | grep -v MissingClusterDNS | tail -n 25
  local p; for p in $(kubectl -n gluster-operator get pods -o name) ; do say "-- log of $p"; kubectl -n gluster-operator logs --tail=25 "$p" 2>&1; done
  for p in $(kubectl get pods -l app=mysql -o name); do say "-- log of $p"; kubectl logs --tail=15 "$p" 2>&1; done
}
patient(){ # SECONDS WHAT COMMAND..: until the command succeeds; says every 10 s what it waits for
  local limit=$1 what=$2 begin=$SECONDS next=10 t; shift 2
  until "$@" >/dev/null 2>&1; do
    t=$((SECONDS-begin))
    [ $t -lt "$limit" ] || { say "   gave up after $t s: $what"; return 1; }
    [ $t -lt $next ] || { say "   ... $t s: waiting for $what (at most $limit s)"; next=$((next+10)); }
    sleep 0.3; done
}
why(){ kubectl "$@" -o jsonpath='{range .status.conditions[?(@.status!="True")]}{.type} {.reason}: {.message}; {end}' 2>/dev/null || :; }
watched(){ # COMMAND OBJECT: runs a command that waits, and says every 10 s what is in the way
  local t=0 pid; printf '   $ %s\n' "$1"
  bash -c "$1" 2>&1 | sed 's/^/     /' & pid=$!
  while kill -0 $pid 2>/dev/null; do sleep 0.3; t=$((t+1)); [ $((t % 33)) != 0 ] || say "   ... $((t*3/10)) s: $(why get "$2")"; done
  wait $pid; }
mysql_pod(){ # [NOT]: NAME NODE of the ready MySQL pod that is not being deleted, and is not NOT
  kubectl get pods -l app=mysql -o jsonpath='{range .items[*]}{.metadata.name} {.spec.nodeName} [{.metadata.deletionTimestamp}] {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
    awk -v not="${1:-}" '$3 == "[]" && $4 == "True" && $1 != not {print $1, $2; found = 1; exit} END {exit !found}'; }
no_mysql_pod(){ gone pods -l app=mysql; }
gone(){ local left; left=$(kubectl get "$@" --ignore-not-found -o name) && [ -z "$left" ]; } # no answer is not "gone"
sql(){ # POD STATEMENTS: by the pod's own client
  run "kubectl exec $1 -- sh -c 'MYSQL_PWD=\$MARIADB_ROOT_PASSWORD exec mariadb -uroot -e \"\$0\"' \"$2\""; }

labs_up(){ local h pid rc=0
  if [ -e "$D" ] && ! ip netns list | grep -q "^$GLH_PREFIX-br\b"; then say "   the lab of before is gone (a restart of the machine?): from the beginning"; down >/dev/null; fi
  [ -e "$D" ] || ! ip netns list | grep -q "^$GLH_PREFIX-br\b" ||
    { say "   a demo of another checkout runs: make demo-down there, or choose other names: DEMO_PREFIX=demo2 DEMO_NET=10.75.0 make demo"; exit 1; }
  mkdir -p "$D" && "$hosts" up 0 0 || return 1 # the network, which both share
  for h in $("$hosts" list | awk '$2=="down"{print $1}'); do say "   $h was dead: starting it"; "$hosts" start "$h" || return 1; done
  [ -z "$("$kube" list | awk '$1!="cp"')" ] || for h in $("$kube" list | awk '$2=="down"{print $1}'); do say "   $h was dead: starting it"; done
  "$hosts" up 3 0 & pid=$!
  "$kube" up 2 || rc=1
  wait $pid && return $rc
}
old_objects(){ # of an earlier run
  if ! gone deployment/mysql || ! gone pods -l app=mysql; then
    say "   an earlier run was here: its objects go first"
    run "kubectl delete deployment/mysql secret/mysql --ignore-not-found --wait=false"
    patient 120 "the old MySQL pod to end" no_mysql_pod; fi
}
old_volume(){
  if ! gone gv/mysql; then
    run "kubectl patch gv/mysql --type=merge -p '{\"spec\":{\"deletionPolicy\":\"Delete\"}}'"
    watched "kubectl delete gv/mysql --timeout=120s" gv/mysql; fi
  gone gc/prod || watched "kubectl delete gc/prod --timeout=60s" gc/prod
}
used_before(){ kubectl get namespace gluster-operator >/dev/null 2>&1; }

up(){ local before= token pod node pod2 node2 pod3 node3 first
  root
  trap stopped EXIT
  begin "0. What the demo needs: packages, the binary, the lab's programs and images"
  hack/packages.sh build
  slow "cargo build --locked --profile $PROFILE" cargo build --locked --profile "$PROFILE" --bin gluster-operator
  hack/packages.sh lab
  end "packages, programs and images are there"

  begin "1. Three gluster hosts and a Kubernetes of two nodes"
  slow "the hosts boot" labs_up || { say "   once more from nothing"; down >/dev/null; labs_up; }
  if used_before; then before=yes; old_objects; fi # before anything under the old pod is replaced
  slow "the images go into the nodes" "$LAB/images.sh" load all "$BINARY"
  write_env
  run "tests/lab/gluster-hosts.sh list" ; run "kubectl get nodes"
  end "three gluster hosts ($GLH_NET.11, .12, .13), Kubernetes nodes kube1 and kube2"

  begin "2. The operator, the pool, a volume, a MySQL server"
  run "kubectl apply -f crds/ -f deploy/install.yaml"
  [ -z "$before" ] || run "kubectl -n gluster-operator delete pods --all --timeout=60s" # they may be of another build
  known_hosts
  gone -n gluster-operator secret/gluster-ssh || kubectl -n gluster-operator delete secret gluster-ssh >/dev/null
  run "kubectl -n gluster-operator create secret generic gluster-ssh --from-file=ssh-privatekey=$GLH_DIR/id --from-file=known_hosts=$D/known_hosts"
  run "kubectl -n gluster-operator rollout status deployment/gluster-operator-controller --timeout=60s"
  run "kubectl -n gluster-operator wait pods -l app.kubernetes.io/component=node --for=condition=Ready --timeout=60s"
  old_volume
  say "   # the three addresses in examples/mysql/cluster.yaml are to be yours:"
  run "sed 's/192\\.168\\.1\\.10\\([123]\\)/$GLH_NET.1\\1/' examples/mysql/cluster.yaml | kubectl apply -f -"
  run "kubectl apply -f examples/mysql/volume.yaml -f examples/mysql/mysql.yaml"
  watched "kubectl wait gc/prod --for=condition=Ready --timeout=60s" gc/prod
  watched "kubectl wait gv/mysql --for=condition=Ready --timeout=90s" gv/mysql
  patient 120 "MySQL to be ready" mysql_pod
  end "kubectl apply: pool, volume, claim and MySQL are there"

  begin "3. What Kubernetes says, and what gluster says"
  run "kubectl get gc,gv,pvc,pods -o wide"
  shows "hack/demo.sh sh node1 gluster volume info default_mysql" "Number of Bricks: 1 x 3 = 3"
  shows "hack/demo.sh sh node1 gluster volume quota default_mysql list" "2.0GB"
  [ "$(kubectl get pvc mysql-data -o jsonpath='{.status.phase}')" = Bound ] || die "the claim is not Bound"
  end "Ready, Bound, Running; three bricks and a limit of 2 GiB"

  begin "4. The data outlives the pod, and the pod's node"
  token=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
  read -r pod node < <(mysql_pod)
  sql "$pod" "create database if not exists mydb; create table if not exists mydb.notes (id varchar(32) primary key); insert into mydb.notes values ('$token')"
  run "kubectl delete pod $pod"
  patient 120 "the next pod" mysql_pod "$pod"; read -r pod2 node2 < <(mysql_pod "$pod")
  say "   deleted was $pod on $node; now there is $pod2 on $node2"
  reads "$pod2" "$token"
  first=$node2
  say "   # and now the machine under it: no process of $first is left"
  run "kubectl -n gluster-operator get pods -o custom-columns=POD:.metadata.name,NODE:.spec.nodeName"
  run "tests/lab/kubernetes.sh kill $first"
  patient 240 "MySQL on the other node (Kubernetes gives a silent node up after 15 s)" mysql_pod "$pod2"; read -r pod3 node3 < <(mysql_pod "$pod2")
  run "kubectl get nodes"
  say "   the node of $pod2 was $first; now there is $pod3 on $node3"
  [ "$first" != "$node3" ] || die "the new pod is on the node that was killed"
  reads "$pod3" "$token"
  end "mydb and its row '$token' were read on $first, and after its death on $node3"

  begin "5. Look around"
  say "   . $(short "$D/env")                          # KUBECONFIG, and kubectl in PATH"
  say "   kubectl describe gv mysql                    # conditions and events"
  say "   kubectl -n gluster-operator logs deploy/gluster-operator-controller"
  say "   hack/demo.sh sh node1                        # a shell on a gluster host: gluster volume status"
  say "   hack/demo.sh sh $node3                        # a shell on a Kubernetes node: mount -t fuse.glusterfs"
  say "   $first is still dead: with $(short "$D/env"), tests/lab/kubernetes.sh start $first"
  say "   state and logs: $(short "$D")/gluster/HOST/log, $(short "$D")/kube/HOST"
  say "   make demo        again, with fresh objects"
  say "   make demo-down   takes everything away"
  end "kubeconfig: $(short "$KUBECONFIG")"
  say; printf '%s\n' "${SUMMARY[@]}"; say "   $(since "$BEGIN") s in all"
}
shows(){ # COMMAND WORDS: fails unless what it prints has them
  run "$1" | tee "$D/said"
  sed -i 1d "$D/said" # the command itself
  grep -qF -- "$2" "$D/said" || die "that does not say '$2'"; }
short(){ printf %s "${1#"$PROJECT"/}"; }
reads(){ # POD TOKEN: fails unless the row is there
  sql "$1" "show databases like 'mydb'; select id from mydb.notes where id = '$2'" | tee "$D/said"
  sed -i 1d "$D/said" # the command itself
  grep -qw mydb "$D/said" && grep -qw "$2" "$D/said" || die "$1 does not have mydb with the row $2"; }
known_hosts(){ local h # what an administrator reads on each host itself: /etc/ssh/ssh_host_ed25519_key.pub
  for h in 1 2 3; do echo "$GLH_NET.1$h $(cut -d' ' -f1,2 "$GLH_DIR/node$h/ssh/ssh_host_ed25519_key.pub")"; done > "$D/known_hosts"; }
write_env(){ printf 'export %s\n' "KUBECONFIG='$KUBECONFIG'" "KUBECACHEDIR='$KUBECACHEDIR'" "KLAB_DIR='$KLAB_DIR'" "KLAB_TOOLS='$KLAB_TOOLS'" \
  "GLH_DIR='$GLH_DIR'" "GLH_PREFIX='$GLH_PREFIX'" "GLH_NET='$GLH_NET'" "GLH_PING='$GLH_PING'" "PATH='$KLAB_TOOLS/bin':\$PATH" > "$D/env"; }
down(){ local left; root
  "$kube" down; "$hosts" down; rm -rf "$D"; rmdir "$PROJECT/.lab" 2>/dev/null || :
  left=$({ ip netns list | grep "^$GLH_PREFIX-" || :; ip -o link | grep -o " $GLH_PREFIX-[a-z0-9]*" || :; grep -F "$D/" /proc/mounts || :; losetup -nO BACK-FILE | grep -F "$D/" || :; })
  [ -z "$left" ] || { say "$left"; die "something of the demo is left"; }
}
case ${1:-} in
 up) up ;;
 down) t=$(now); down; say "The demo is down: nothing of it is left ($(since "$t") s). Programs and images stay in $CACHE." ;;
 sh) [ $# -ge 2 ] || die "sh HOST [CMD..]"; h=$2; shift 2; [ $# -gt 0 ] || set -- bash
   case $h in node*|client*) exec "$hosts" sh "$h" "$@" ;; *) exec "$kube" sh "$h" "$@" ;; esac ;;
 *) sed -n '2,6p' "$0"; exit 2 ;;
esac
