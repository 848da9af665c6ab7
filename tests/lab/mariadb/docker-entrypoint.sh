#!/bin/bash
# The entrypoint of the lab's own mariadb:10.11. Its environment is that of the official image, as far as it goes:
#   MARIADB_ROOT_PASSWORD, MARIADB_DATABASE, MARIADB_USER, MARIADB_PASSWORD; each with MYSQL_ instead of MARIADB_, and each with
#   _FILE at the end for the name of a file that holds the value; MARIADB_ROOT_HOST ('%').
# An empty data directory is initialised under a marker that goes last: what a killed first start left behind
# was never served to anybody and is made anew; anything else that is no database is refused and left alone.
set -euo pipefail
data=/var/lib/mysql; marker=$data/.not-initialised-yet
say(){ echo "$(date -u +%FT%TZ) entrypoint: $*"; }
die(){ say "$*" >&2; exit 1; }

[ $# -gt 0 ] || set -- mariadbd
case $1 in -*) set -- mariadbd "$@" ;; mariadbd|mysqld) shift; set -- mariadbd "$@" ;; *) exec "$@" ;; esac

value(){ # NAME [DEFAULT]: MARIADB_NAME or MYSQL_NAME, or what the file named by .._FILE holds
  local prefix name file
  for prefix in MARIADB MYSQL; do
    name=${prefix}_$1; file=${name}_FILE
    if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then die "$name and $file are both set"; fi
    if [ -n "${!name:-}" ]; then printf %s "${!name}"; return; fi
    if [ -n "${!file:-}" ]; then [ -r "${!file}" ] || die "$file: can't read ${!file}"; printf %s "$(<"${!file}")"; return; fi
  done
  printf %s "${2:-}"
}
hex(){ local h; h=$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n'); printf "CONVERT(x'%s' USING utf8mb4)" "$h"; } # no quoting to get wrong
statements(){ # what a fresh database is told, one statement a line
  local root=$1 host=$2 database=$3 user=$4 password=$5
  echo "SET @@SESSION.SQL_LOG_BIN = 0;"
  echo "FLUSH PRIVILEGES;" # --bootstrap starts without them
  echo "DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host != 'localhost';" # no way in without a password
  echo "DELETE FROM mysql.proxies_priv WHERE Host != 'localhost';"
  echo "FLUSH PRIVILEGES;"
  account "'root'" "'localhost'" "$root"
  [ "$host" = localhost ] || account "'root'" "QUOTE($(hex "$host"))" "$root"
  echo "EXECUTE IMMEDIATE CONCAT('GRANT ALL ON *.* TO ''root''@', QUOTE($(hex "$host")), ' WITH GRANT OPTION');"
  echo "GRANT ALL ON *.* TO 'root'@'localhost' WITH GRANT OPTION;"
  if [ -n "$database" ]; then
    echo "EXECUTE IMMEDIATE CONCAT('CREATE DATABASE IF NOT EXISTS \`', REPLACE($(hex "$database"), '\`', '\`\`'), '\`');"; fi
  [ -n "$user" ] || return 0
  account "QUOTE($(hex "$user"))" "'%'" "$password"
  [ -z "$database" ] || echo "EXECUTE IMMEDIATE CONCAT('GRANT ALL ON \`', REPLACE(REPLACE($(hex "$database"), '\`', '\`\`'), '_', '\\\\_'), '\`.* TO ', QUOTE($(hex "$user")), '@''%''');"
}
account(){ # USER HOST PASSWORD: the first two are SQL expressions or literals
  local u=$1 h=$2
  case $u in \'*) u="QUOTE($u)" ;; esac; case $h in \'*) h="QUOTE($h)" ;; esac
  echo "EXECUTE IMMEDIATE CONCAT('CREATE OR REPLACE USER ', $u, '@', $h, ' IDENTIFIED BY ', QUOTE($(hex "$3")));"
}

root=$(value ROOT_PASSWORD); host=$(value ROOT_HOST %); database=$(value DATABASE); user=$(value USER); password=$(value PASSWORD)
mkdir -p /run/mysqld "$data"; chown mysql:mysql /run/mysqld; chown mysql:mysql "$data"
as_mysql(){ setpriv --reuid=mysql --regid=mysql --init-groups "$@"; }
things(){ find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name .trashcan ! -name "${marker##*/}" "$@"; }

exec 8<"$data" # one start at a time; the lock goes with this process, so also when it is killed
flock -w 60 8 || die "another container initialises $data"
if [ ! -e "$marker" ] && [ -z "$(things -print -quit)" ]; then touch "$marker"; sync -f "$marker"; fi
if [ -e "$marker" ]; then
  [ -n "$root" ] || die "the database is not initialised, and MARIADB_ROOT_PASSWORD is not set"
  [ "$user" != root ] || die "MARIADB_USER can't be root"
  [ -z "$user" ] || [ -n "$password" ] || die "MARIADB_USER is set, MARIADB_PASSWORD is not"
  if [ -n "$(things -print -quit)" ]; then say "an earlier start was interrupted before the database was used: from the beginning"; things -exec rm -rf {} +; fi
  say "initialising $data"
  as_mysql mariadb-install-db --datadir="$data" --skip-test-db --skip-name-resolve --auth-root-authentication-method=normal >/run/mysqld/install.log 2>&1 ||
    { cat /run/mysqld/install.log >&2; die "mariadb-install-db failed"; }
  said=$(statements "$root" "$host" "$database" "$user" "$password" | as_mysql mariadbd --bootstrap --datadir="$data" --skip-log-bin 2>&1) && ! grep '^ERROR' <<<"$said" ||
    { echo "$said" >&2; die "the accounts can't be made"; }
  sync -f "$data"; rm "$marker"; sync -f "$data"
  say "initialised"
elif [ ! -d "$data/mysql" ] || [ ! -e "$data/ibdata1" ]; then
  die "$data holds something that is no database; it is left alone: $(things -printf '%f ' | head -c 300)"
fi
flock -u 8; exec 8<&-
find "$data" -mindepth 1 ! -user mysql -exec chown mysql:mysql {} + # made by another image, whose number for mysql is another one
unset "${!MARIADB_@}" "${!MYSQL_@}" # the server needs none of them
say "starting the server"
exec setpriv --reuid=mysql --regid=mysql --init-groups "$@" --datadir="$data"
