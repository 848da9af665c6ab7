//! Whether the bricks of a volume have run for a while: clients come back to a brick some seconds after it was started, and until then
//! it looks as if nobody had the volume mounted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::gluster::model::{PoolView, VolumeStatus};

/// How long clients may need to come back to a brick. One that waits for bricks asks for them every 3 s; an idle one notices that a host was
/// cut off and is back when TCP's keepalive says so, after 20 s.
const RETURN: Duration = Duration::from_secs(30);

/// The ports on which the bricks of a started volume listen, in order; `None`: not known, or it does not run.
type Ports = Vec<Option<u32>>;

/// Bricks, by the name of their volume.
#[derive(Default)]
pub(super) struct Steadiness(BTreeMap<String, Bricks>);

struct Bricks {
    ports: Ports,
    /// When a look last showed something else than the one before; `None` as long as there was no other look.
    changed: Option<Instant>,
}

impl Steadiness {
    /// Takes in what a look shows.
    pub(super) fn saw(&mut self, view: &PoolView) {
        let mut seen: BTreeMap<&str, Ports> = BTreeMap::new();
        let volumes = view.answered().flat_map(|(_, facts)| &facts.state.volumes);
        for volume in volumes.filter(|volume| volume.status == VolumeStatus::Started) {
            let ports = seen.entry(&volume.name).or_default();
            ports.resize(volume.bricks.len().max(ports.len()), None);
            for (port, brick) in ports.iter_mut().zip(&volume.bricks) {
                // each host tells of its own bricks alone
                *port = port.or(brick.port.filter(|_| brick.online == Some(true)));
            }
        }
        let whole = view.silent().next().is_none();
        self.0
            .retain(|name, _| !whole || seen.contains_key(name.as_str()));
        for (name, bricks) in &mut self.0 {
            let ports = seen.remove(name.as_str()).unwrap_or_default();
            if bricks.ports != ports {
                *bricks = Bricks {
                    ports,
                    changed: Some(Instant::now()),
                };
            }
        }
        let new = seen.into_iter().map(|(name, ports)| {
            let bricks = Bricks {
                ports,
                changed: None,
            };
            (name.to_owned(), bricks)
        });
        self.0.extend(new);
    }

    /// Whether a brick of that volume does not run, or was started a short while ago.
    pub(super) fn is_unsteady(&self, volume: &str) -> bool {
        self.0.get(volume).is_some_and(|bricks| {
            bricks.ports.contains(&None)
                || bricks
                    .changed
                    .is_some_and(|changed| changed.elapsed() < RETURN)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gluster::model::{HostFacts, HostView, SilentKind, Volume, VolumeBrick};

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
        }
    }

    fn after(looks: &[[Option<u32>; 2]]) -> bool {
        let mut bricks = Steadiness::default();
        for look in looks {
            bricks.saw(&view(*look));
        }
        bricks.is_unsteady("v")
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
    fn a_volume_that_is_gone_is_forgotten() {
        let mut bricks = Steadiness::default();
        bricks.saw(&view([Some(1), Some(2)]));
        bricks.saw(&view([None, None]));
        assert_eq!(bricks.0.len(), 1, "hosts that do not answer tell nothing");
        let mut gone = view([Some(1), Some(2)]);
        for host in gone.hosts.values_mut() {
            if let HostView::Answered(facts) = host {
                facts.state.volumes.clear();
            }
        }
        bricks.saw(&gone);
        assert!(bricks.0.is_empty());
    }
}
