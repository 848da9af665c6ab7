//! Whether the bricks of a volume have run for a while: clients come back to a brick some seconds after it was started, and until then
//! it looks as if nobody had the volume mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::gluster::model::{PoolView, VolumeStatus};

/// How long clients may need to come back to a brick. One that waits for bricks asks for them every 3 s; an idle one notices that a host was
/// cut off and is back when TCP's keepalive says so, after 20 s.
const RETURN: Duration = Duration::from_secs(30);

/// The ports on which the bricks of a started volume listen, in order; `None`: not known, or it does not run. Empty for a volume that is
/// not started.
type Ports = Vec<Option<u32>>;

#[derive(Default)]
pub(super) struct Steadiness {
    /// By the name of the volume.
    bricks: BTreeMap<String, Bricks>,
    /// Volumes that we have made, as long as not all of their bricks were seen to run: nobody can have had them mounted.
    new: BTreeSet<String>,
}

struct Bricks {
    ports: Ports,
    /// When a look last showed something else than the one before; `None` as long as there was no other look.
    changed: Option<Instant>,
}

impl Bricks {
    /// Whether these run that ran before, and some besides at most.
    fn have_come(&self, ports: &Ports) -> bool {
        self.ports.is_empty()
            || self.ports.len() == ports.len()
                && self
                    .ports
                    .iter()
                    .zip(ports)
                    .all(|(before, now)| before.is_none() || before == now)
    }
}

impl Steadiness {
    /// Takes in what a look shows.
    pub(super) fn saw(&mut self, view: &PoolView) {
        let mut seen: BTreeMap<&str, Ports> = BTreeMap::new();
        for volume in view.answered().flat_map(|(_, facts)| &facts.state.volumes) {
            let ports = seen.entry(&volume.name).or_default();
            // of one that is stopped there are none, so that its start is a change
            if volume.status != VolumeStatus::Started {
                continue;
            }
            ports.resize(volume.bricks.len().max(ports.len()), None);
            for (port, brick) in ports.iter_mut().zip(&volume.bricks) {
                // each host tells of its own bricks alone
                *port = port.or(brick.port.filter(|_| brick.online == Some(true)));
            }
        }
        let whole = view.silent().next().is_none();
        self.bricks
            .retain(|name, _| !whole || seen.contains_key(name.as_str()));
        for (name, bricks) in &mut self.bricks {
            let ports = seen.remove(name.as_str()).unwrap_or_default();
            let is_new = self.new.contains(name) && bricks.have_come(&ports);
            if bricks.ports != ports {
                if !is_new {
                    bricks.changed = Some(Instant::now());
                }
                bricks.ports = ports;
            }
            if !bricks.ports.is_empty() && !bricks.ports.contains(&None) {
                self.new.remove(name);
            }
        }
        let new = seen.into_iter().map(|(name, ports)| {
            let bricks = Bricks {
                ports,
                changed: None,
            };
            (name.to_owned(), bricks)
        });
        self.bricks.extend(new);
    }

    /// That volume was made.
    pub(super) fn made(&mut self, volume: &str) {
        self.bricks.remove(volume);
        self.new.insert(volume.to_owned());
    }

    /// Whether a look showed lately that a brick of that volume runs that did not, or does not that did. Whether each runs now is not
    /// told: of a host that is not asked it is never known.
    pub(super) fn is_unsteady(&self, volume: &str) -> bool {
        let changed = self.bricks.get(volume).and_then(|bricks| bricks.changed);
        changed.is_some_and(|changed| changed.elapsed() < RETURN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gluster::model::{
        GlusterdState, HostFacts, HostView, SilentKind, Volume, VolumeBrick,
    };

    /// Two hosts with a brick each; a host without a port is silent.
    fn view(ports: [Option<u32>; 2]) -> PoolView {
        let host = |at: usize| {
            let Some(port) = ports[at] else {
                return HostView::Silent {
                    why: "no answer".into(),
                    kind: SilentKind::Unreachable,
                };
            };
            let brick = |of: usize| VolumeBrick {
                host: format!("n{of}"),
                path: "/b".into(),
                online: (of == at).then_some(port > 0),
                port: Some(port).filter(|_| of == at),
                arbiter: false,
            };
            let mut facts = HostFacts::default();
            facts.state.volumes = vec![Volume {
                name: "v".into(),
                status: VolumeStatus::Started,
                bricks: vec![brick(0), brick(1)],
                ..Volume::default()
            }];
            HostView::Answered(Box::new(facts))
        };
        let named = |at: usize| (format!("n{at}").parse().unwrap(), host(at));
        PoolView {
            hosts: [named(0), named(1)].into(),
            ..PoolView::default()
        }
    }

    fn after(looks: &[[Option<u32>; 2]]) -> bool {
        let mut bricks = Steadiness::default();
        for look in looks {
            bricks.saw(&view(*look));
        }
        bricks.is_unsteady("v")
    }

    fn with_state(change: impl Fn(&mut GlusterdState)) -> PoolView {
        let mut view = view([Some(0), Some(0)]);
        for host in view.hosts.values_mut() {
            if let HostView::Answered(facts) = host {
                change(&mut facts.state);
            }
        }
        view
    }

    fn stopped() -> PoolView {
        with_state(|state| state.volumes[0].status = VolumeStatus::Stopped)
    }

    #[test]
    fn a_volume_that_was_stopped_and_started_is_unsteady() {
        let mut bricks = Steadiness::default();
        let run = view([Some(1), Some(2)]);
        for look in [run.clone(), stopped(), run] {
            bricks.saw(&look);
        }
        assert!(bricks.is_unsteady("v"));
    }

    #[test]
    fn bricks_that_stopped_or_were_started_lately_are_unsteady() {
        let run = [Some(49152), Some(49153)];
        assert!(!after(&[]), "of a volume that was not seen nothing is said");
        assert!(!after(&[run]), "what is seen first has run before");
        assert!(!after(&[run, run]));
        assert!(after(&[run, [Some(49152), Some(0)]]), "one is down");
        assert!(after(&[run, [Some(49152), None]]), "its host is silent");
        assert!(after(&[run, [Some(49152), None], run]), "it is just back");
        assert!(after(&[run, [None, None], run]), "all were away");
        assert!(
            after(&[run, [Some(49152), Some(50000)]]),
            "it was started between two looks"
        );
    }

    #[test]
    fn of_a_new_volume_bricks_that_come_are_no_news() {
        let mut bricks = Steadiness::default();
        bricks.made("v");
        bricks.saw(&stopped());
        for ports in [[Some(0), Some(0)], [Some(49152), Some(0)]] {
            bricks.saw(&view(ports));
        }
        bricks.saw(&view([Some(49152), Some(49153)]));
        assert!(!bricks.is_unsteady("v"));
        bricks.saw(&view([Some(49152), Some(50000)]));
        assert!(bricks.is_unsteady("v"), "it is not new any more");
    }

    #[test]
    fn a_volume_that_is_gone_is_forgotten() {
        let mut bricks = Steadiness::default();
        bricks.saw(&view([Some(1), Some(2)]));
        bricks.saw(&view([None, None]));
        assert_eq!(
            bricks.bricks.len(),
            1,
            "hosts that do not answer tell nothing"
        );
        bricks.saw(&with_state(|state| state.volumes.clear()));
        assert!(bricks.bricks.is_empty());
    }
}
