//! The simulated pool against a real one: the same operations on both have the same outcomes, and leave the same volumes.
//!
//! Needs what the lab needs ([`GlusterLab::missing`]). First come operations that meet every quirk, then random ones from a
//! seed (`SIM_SEED`, or always the same), then faults. What the real pool said is kept, and played once more against simulated
//! pools of which each lacks one quirk: each of them must be found out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // it is all tests

#[path = "simulated_lab/acts.rs"]
mod acts;
#[path = "simulated_lab/directed.rs"]
mod directed;
#[path = "support/gluster_lab.rs"]
mod gluster_lab;
#[path = "simulated_lab/random.rs"]
mod random;
#[path = "simulated_lab/real.rs"]
mod real;

use std::collections::BTreeSet;
use std::time::Instant;

use gluster_operator::gluster::outcome::Class;
use gluster_operator::host::simulated::{Quirk, SimulatedPool};

use acts::{Act, HOSTS, Seen};
use gluster_lab::GlusterLab;
use real::Real;

/// The same each time, so that who changes something else is not met by chance; `SIM_SEED` plays others. This one has found the directory
/// that the self-heal daemon makes in bricks.
const SEED: u64 = 2006;
/// At least so many random operations, and this part of them failed.
const LEAST: usize = 300;
const RANDOM: &str = "random";
const LEAST_FAILED: f64 = 0.3;

fn simulated(seed: u64, address: impl Fn(&str) -> String) -> SimulatedPool {
    let hosts = HOSTS.map(|host| host.parse().unwrap());
    let pool = SimulatedPool::new(seed, &hosts, &acts::DEVICE.parse().unwrap());
    for host in &hosts {
        pool.set_address(host, &address(host.as_str()));
    }
    pool
}

#[test]
fn the_simulated_pool_answers_as_the_real_one() {
    let Some(lab) = GlusterLab::up_or_skip(5, 0) else {
        return;
    };
    let seed = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(SEED);
    println!("SIM_SEED={seed}");
    let start = Instant::now();
    let address = |host: &str| lab.address(host);
    let pool = simulated(seed, address);
    let real = Real::new(&lab);
    let unique = lab.names().prefix.clone();
    let mut played: Vec<(Act, Seen)> = Vec::new();
    let mut outcomes: Vec<Class> = Vec::new();
    let mut failures = Vec::new();
    let parts = [
        ("alone", directed::alone(&unique)),
        ("pool", directed::pool(&lab.address("node2"))),
        (RANDOM, random::acts(seed, 420)),
        ("quota", directed::quota()),
        ("faults", directed::faults()),
        ("ghost", directed::ghost()),
    ];
    for (part, acts) in parts {
        let count = acts.len();
        for act in acts {
            let wanted = act.on(&pool);
            let began = Instant::now();
            let seen = real.see(&act, &wanted);
            if began.elapsed().as_secs_f32() > 2.5 {
                println!("{:.1} s: {act}", began.elapsed().as_secs_f32());
            }
            if seen != wanted {
                let lines = acts::difference(&seen, &wanted);
                let words = match seen {
                    Seen::Outcome(..) | Seen::Told(..) => real.words(),
                    _ => String::new(),
                };
                failures.push(format!("{part}: {act}\n{lines}{words}"));
                println!("{}", failures[failures.len() - 1]);
            }
            assert!(
                failures.len() < 12,
                "they differ too often:\n{}",
                failures.join("\n")
            );
            outcomes.extend(seen.class().filter(|_| part == RANDOM));
            played.push((act, seen));
        }
        println!(
            "{part}: {count} acts, {:?} since the start",
            start.elapsed()
        );
    }
    assert!(
        failures.is_empty(),
        "SIM_SEED={seed}\n{}",
        failures.join("\n")
    );
    let failed = outcomes
        .iter()
        .filter(|class| !matches!(class, Class::Ok | Class::Already))
        .count();
    println!(
        "{} random operations, {failed} of them failed on the real pool",
        outcomes.len()
    );
    assert!(outcomes.len() >= LEAST);
    assert!(failed as f64 >= LEAST_FAILED * outcomes.len() as f64);
    every_quirk_counts(seed, address, &played);
}

/// Without any one of the quirks the simulated pool would have been found out by what the real one said.
fn every_quirk_counts(seed: u64, address: impl Fn(&str) -> String + Copy, played: &[(Act, Seen)]) {
    let replay = |without: Option<Quirk>| {
        let pool = simulated(seed, address);
        if let Some(quirk) = without {
            pool.without(quirk);
        }
        let mut acts = played.iter();
        let found = acts.find(|(act, seen)| act.on(&pool) != *seen);
        (found.map(|(act, _)| act.to_string()), pool.hits())
    };
    let (difference, hits) = replay(None);
    assert_eq!(
        difference, None,
        "the simulated pool does not do the same thing twice"
    );
    let mut missed: BTreeSet<Quirk> = BTreeSet::new();
    for quirk in Quirk::ALL {
        let times = hits.get(quirk).copied().unwrap_or_default();
        let (found, _) = replay(Some(*quirk));
        println!("{quirk:?}: decided {times} times; without it first differs: {found:?}");
        if times == 0 || found.is_none() {
            missed.insert(*quirk);
        }
    }
    assert!(missed.is_empty(), "nobody would notice without {missed:?}");
}
