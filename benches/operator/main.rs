//! The measurements of docs/benchmarks.md, each against bare gluster commands on the same pool in the same run. Prints tables and
//! writes `target/bench.json`. `BENCH=one,burst,quota,database` takes some of them.
#![allow(missing_docs)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // counts of tens

mod burst;
mod database;
mod one;
mod quota;
mod report;
mod setting;
#[path = "../../tests/support/mod.rs"]
mod support;
mod writer;

use support::LabNames;
use support::gluster_lab::GlusterLab;
use support::kube_lab::KubeLab;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|one| one == writer::ARGUMENT) {
        return writer::run(&arguments[at + 1]);
    }
    // `cargo test --benches` and the like only want to know that it compiles
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let wanted = std::env::var("BENCH").unwrap_or_else(|_| "one,burst,quota,database".into());
    let wants = |what: &str| wanted.split(',').any(|one| one == what);
    let names = LabNames::unique("bench");
    let gluster = GlusterLab::up_as(&names, 3, 1);
    let mut rows = Vec::new();
    if wants("one") || wants("burst") {
        let Some(kube) = KubeLab::up_as(&names, 0) else {
            panic!("no Kubernetes lab: see above");
        };
        let _controller = setting::operator(&names, &gluster, &kube);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        // stays for all rounds: whoever starts the first volume of a pool waits 2 s longer, for the daemons to come up
        runtime.block_on(setting::apply(&kube, "standing", "1Gi"));
        gluster.shell(
            "client1",
            "mkdir -p /mnt/standing && mount -t glusterfs node1:/default_standing /mnt/standing",
        );
        if wants("one") {
            rows.extend(one::measure(&runtime, &gluster, &kube));
        }
        if wants("burst") {
            rows.extend(burst::measure(&runtime, &gluster, &kube));
        }
    } else {
        gluster.pool(3);
    }
    if wants("quota") {
        quota::measure(&gluster);
    }
    if wants("database") {
        rows.push(database::measure(&gluster));
    }
    report::report(&rows);
}
