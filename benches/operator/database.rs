//! What the profile `database` does to MariaDB: autocommitted inserts of one connection.

use std::path::Path;
use std::process::Command;

use gluster_operator::api::volume::Profile;
use gluster_operator::plan::options::profile;

use crate::report::Row;
use crate::support::gluster_lab::GlusterLab;

const ROUNDS: usize = 5;
const INSERTS: usize = 1500;

/// Inserts a second on a volume with the profile, against one without, in turns.
pub fn measure(gluster: &GlusterLab) -> Row {
    let root = mariadb(gluster);
    let options: Vec<String> = profile(Profile::Database)
        .iter()
        .flat_map(|(key, value)| [key.to_string(), value.to_string()])
        .collect();
    for (name, set) in [("plain", String::new()), ("profiled", options.join(" "))] {
        let bricks = [1, 2, 3]
            .map(|i| format!("node{i}:/srv/bricks/d1/{name}"))
            .join(" ");
        let set = if set.is_empty() {
            "true".into()
        } else {
            format!("$g volume set {name} {set}")
        };
        gluster.shell("node1", &format!(
            "set -e; g='gluster --mode=script'; $g volume create {name} replica 3 {bricks}; {set}; $g volume start {name}"
        ));
        gluster.shell("client1", &format!(
            "set -e; mkdir -p /mnt/{name}; mount -t glusterfs node1:/{name} /mnt/{name}; mkdir /mnt/{name}/db; \
             mkdir -p {root}/var/lib/mysql {root}/run/mysqld {root}/dev {root}/tmp; mountpoint -q {root}/dev || mount --bind /dev {root}/dev; \
             mount --bind /mnt/{name}/db {root}/var/lib/mysql; chroot {root} mariadb-install-db --force --user=root --datadir=/var/lib/mysql >/dev/null 2>&1; umount {root}/var/lib/mysql"
        ));
    }
    let (mut plain, mut profiled) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut names = [("plain", &mut plain), ("profiled", &mut profiled)];
        if round % 2 == 1 {
            names.reverse();
        }
        for (name, rates) in names {
            let rate = inserts(gluster, &root, name);
            println!("round {round}: {name} {rate:.0} inserts a second");
            rates.push(rate);
        }
    }
    // more is better: time for each is what is compared
    let times = |rates: &[f64]| rates.iter().map(|rate| 1000.0 / rate).collect();
    Row {
        id: "database-profile",
        what: "an autocommitted insert of MariaDB on 3 copies with the profile `database`, against no profile".into(),
        unit: "ms",
        ours: times(&profiled),
        reference: times(&plain),
        goal: 1.0,
    }
}

/// The root of Debian's MariaDB, which the lab's images are made of: a copy of it where the lab's hosts see it, which have a /root of
/// their own.
fn mariadb(gluster: &GlusterLab) -> String {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
    let cache = std::env::var("XDG_CACHE_HOME")
        .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").expect("HOME")));
    let output = Command::new(lab.join("image.sh"))
        .args([
            "rootfs",
            &format!("{cache}/gluster-operator/rootfs"),
            "mariadb-server",
        ])
        .output()
        .expect("the lab's script");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success() && !text.is_empty(), "{output:?}");
    let made = text.lines().last().unwrap_or_default();
    let root = gluster.dir().join("mariadb").to_string_lossy().into_owned();
    let copied = Command::new("cp").args(["-a", made, &root]).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "{made}: no copy"
    );
    root
}

fn inserts(gluster: &GlusterLab, root: &str, name: &str) -> f64 {
    let sql = "create database if not exists b; create table if not exists b.t (id int auto_increment primary key, v varchar(100)) engine=innodb;";
    let text = gluster.shell("client1", &format!(
        "set -e; mount --bind /mnt/{name}/db {root}/var/lib/mysql; chroot {root} mariadbd --user=root --skip-networking --socket=/tmp/{name}.sock >/tmp/{name}-mariadbd.log 2>&1 & p=$!; \
         for i in $(seq 100); do chroot {root} mariadb -S /tmp/{name}.sock -e '{sql}' 2>/dev/null && break; sleep 0.2; done; \
         yes \"insert into b.t (v) values (repeat('x', 80));\" | head -n {INSERTS} >/tmp/{name}.sql || true; \
         s=$(date +%s.%N); chroot {root} mariadb -S /tmp/{name}.sock </tmp/{name}.sql; e=$(date +%s.%N); \
         kill $p; wait $p || true; umount {root}/var/lib/mysql; rm -f /tmp/{name}.sql; echo \"$s $e\""
    ));
    let last = text.lines().last().unwrap_or_default();
    let times: Vec<f64> = last
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [begin, end] = times[..] else {
        panic!("{text}")
    };
    INSERTS as f64 / (end - begin)
}
