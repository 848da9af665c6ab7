//! Metrics: numbers that move, which therefore do not stand in any status.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::gluster::model::{DeviceFacts, PoolView, QuotaView};
use crate::plan::step::Step;
use crate::plan::validate::{ValidCluster, ValidVolume};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepResult {
    result: &'static str,
    destroys: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct HostLabel {
    cluster: String,
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct DeviceLabel {
    cluster: String,
    host: String,
    device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct VolumeLabel {
    object: String,
}

type Float = Gauge<f64, AtomicU64>;

/// Of what there are numbers, so that they go with it.
#[derive(Default)]
struct Known {
    hosts: BTreeSet<HostLabel>,
    devices: BTreeSet<DeviceLabel>,
    volumes: BTreeSet<VolumeLabel>,
}

/// All metrics of the controller.
pub(super) struct Metrics {
    registry: Registry,
    reconciles: Family<Reconcile, Counter>,
    seconds: Family<Kind, Histogram>,
    steps: Family<StepResult, Counter>,
    host_up: Family<HostLabel, Gauge>,
    device_free: Family<DeviceLabel, Float>,
    device_size: Family<DeviceLabel, Float>,
    limit: Family<VolumeLabel, Float>,
    used: Family<VolumeLabel, Float>,
    known: Mutex<Known>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.05, 2.0, 12))
            }),
            steps: Family::default(),
            host_up: Family::default(),
            device_free: Family::default(),
            device_size: Family::default(),
            limit: Family::default(),
            used: Family::default(),
            known: Mutex::default(),
        };
        let mut registry = Registry::with_prefix("gluster_operator");
        registry.register(
            "reconciles",
            "Reconciles by kind and result",
            metrics.reconciles.clone(),
        );
        registry.register(
            "reconcile_seconds",
            "How long reconciles take",
            metrics.seconds.clone(),
        );
        registry.register("steps", "Steps taken on pools", metrics.steps.clone());
        registry.register(
            "host_up",
            "1 when the host answered the last look",
            metrics.host_up.clone(),
        );
        registry.register(
            "device_free_bytes",
            "Free space where bricks live",
            metrics.device_free.clone(),
        );
        registry.register(
            "device_size_bytes",
            "Size of the file system where bricks live",
            metrics.device_size.clone(),
        );
        registry.register(
            "volume_limit_bytes",
            "Quota of the volume",
            metrics.limit.clone(),
        );
        registry.register(
            "volume_used_bytes",
            "What GlusterFS counts as used",
            metrics.used.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    pub(super) fn reconciled(
        &self,
        kind: &'static str,
        result: Result<(), &'static str>,
        took: Duration,
    ) {
        self.reconciles
            .get_or_create(&Reconcile {
                kind,
                result: result.err().unwrap_or("ok"),
            })
            .inc();
        self.seconds
            .get_or_create(&Kind { kind })
            .observe(took.as_secs_f64());
    }

    pub(super) fn step(&self, step: &Step, done: bool) {
        let result = if done { "done" } else { "failed" };
        self.steps
            .get_or_create(&StepResult {
                result,
                destroys: if step.destroys() { "yes" } else { "no" },
            })
            .inc();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen of the hosts of a cluster. Numbers of hosts that left it go, and of devices that are not listed or not mounted
    /// any more; of a silent host they stay as they were last seen, and `host_up` says so.
    pub(super) fn pool(&self, want: &ValidCluster, view: &PoolView) {
        let cluster = want.name.to_string();
        let mut known = self.known();
        let (mut hosts, mut devices) = (BTreeSet::new(), BTreeSet::new());
        for node in &want.nodes {
            let label = HostLabel {
                cluster: cluster.clone(),
                host: node.name.to_string(),
            };
            let facts = view.facts(&node.name);
            self.host_up
                .get_or_create(&label)
                .set(i64::from(facts.is_some()));
            for device in &node.devices {
                let label = DeviceLabel {
                    cluster: label.cluster.clone(),
                    host: label.host.clone(),
                    device: device.to_string(),
                };
                let found = facts.and_then(|facts| facts.devices.get(device));
                if let Some(DeviceFacts::Present { size, free, .. }) = found {
                    self.device_free.get_or_create(&label).set(free.0 as f64);
                    self.device_size.get_or_create(&label).set(size.0 as f64);
                    devices.insert(label);
                } else if facts.is_none() && known.devices.contains(&label) {
                    devices.insert(label);
                }
            }
            hosts.insert(label);
        }
        self.keep_devices(&mut known, |label| {
            label.cluster != cluster || devices.contains(label)
        });
        self.keep_hosts(&mut known, |label| {
            label.cluster != cluster || hosts.contains(label)
        });
        known.hosts.extend(hosts);
        known.devices.extend(devices);
    }

    /// Limit and use of a volume; they go with the limit.
    pub(super) fn volume(&self, want: &ValidVolume, quota: &QuotaView) {
        let label = VolumeLabel {
            object: want.object.clone(),
        };
        let mut known = self.known();
        match quota {
            QuotaView::Limit(limit) => {
                self.limit
                    .get_or_create(&label)
                    .set(limit.hard_limit.0 as f64);
                self.used.get_or_create(&label).set(limit.used.0 as f64);
                known.volumes.insert(label);
            }
            QuotaView::Off | QuotaView::NoLimit => {
                self.keep_volumes(&mut known, |other| *other != label);
            }
            QuotaView::Unknown => {}
        }
    }

    /// Forgets numbers of objects that there are no more: whether there is that cluster, and that volume, as `namespace/name`.
    pub(super) fn keep(&self, cluster: impl Fn(&str) -> bool, volume: impl Fn(&str) -> bool) {
        let mut known = self.known();
        self.keep_hosts(&mut known, |label| cluster(&label.cluster));
        self.keep_devices(&mut known, |label| cluster(&label.cluster));
        self.keep_volumes(&mut known, |label| volume(&label.object));
    }

    fn keep_hosts(&self, known: &mut Known, keep: impl Fn(&HostLabel) -> bool) {
        known.hosts.retain(|label| {
            let keep = keep(label);
            if !keep {
                self.host_up.remove(label);
            }
            keep
        });
    }

    fn keep_devices(&self, known: &mut Known, keep: impl Fn(&DeviceLabel) -> bool) {
        known.devices.retain(|label| {
            let keep = keep(label);
            if !keep {
                self.device_free.remove(label);
                self.device_size.remove(label);
            }
            keep
        });
    }

    fn keep_volumes(&self, known: &mut Known, keep: impl Fn(&VolumeLabel) -> bool) {
        known.volumes.retain(|label| {
            let keep = keep(label);
            if !keep {
                self.limit.remove(label);
                self.used.remove(label);
            }
            keep
        });
    }

    /// In the OpenMetrics text format.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n# EOF\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::api::volume::GlusterVolumeStatus;
    use crate::gluster::model::{HostFacts, HostView, QuotaLimit, SilentKind};
    use crate::gluster::names::Bytes;
    use crate::plan::validate::{self, Tenant};

    const UID: &str = "0000000b-0000-0000-0000-00000000000b";

    fn cluster(name: &str, nodes: &[(&str, &[&str])]) -> ValidCluster {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(name, devices)| {
                let devices: Vec<_> = devices.iter().map(|path| json!({"path": path})).collect();
                json!({"name": name, "devices": devices})
            })
            .collect();
        let spec = json!({
            "access": {"ssh": {"secretRef": {"name": "s"}}}, "nodes": nodes,
            "tenancy": {"namespaces": {"from": "All"}},
        });
        validate::cluster(name, UID, UID, &serde_json::from_value(spec).unwrap()).unwrap()
    }

    fn view(hosts: &[(&str, &[&str])]) -> PoolView {
        let device = |path: &&str| {
            let found = DeviceFacts::Present {
                mount_point: (*path).to_owned(),
                size: Bytes(100),
                free: Bytes(40),
                fs_id: "1".into(),
            };
            (path.parse().unwrap(), found)
        };
        let host = |(name, devices): &(&str, &[&str])| {
            let view = if devices.is_empty() {
                HostView::Silent {
                    why: "no answer".into(),
                    kind: SilentKind::Unreachable,
                }
            } else {
                HostView::Answered(Box::new(HostFacts {
                    devices: devices.iter().map(device).collect(),
                    ..HostFacts::default()
                }))
            };
            (name.parse().unwrap(), view)
        };
        PoolView {
            hosts: hosts.iter().map(host).collect::<BTreeMap<_, _>>(),
            ..PoolView::default()
        }
    }

    fn volume(name: &str) -> ValidVolume {
        let cluster = cluster("prod", &[("n1", &["/b"])]);
        let spec = json!({"clusterName": "prod", "layout": {"distribute": 1}});
        let tenant = Tenant {
            namespace: "shop",
            namespace_uid: UID,
            operators_own: false,
            selected: false,
        };
        let spec = serde_json::from_value(spec).unwrap();
        validate::volume(
            &tenant,
            name,
            UID,
            &spec,
            &GlusterVolumeStatus::default(),
            &cluster,
        )
        .unwrap()
    }

    /// Lines about a metric, without their values.
    fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = metrics.encode();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let start = format!("gluster_operator_{name}{{");
        let mut lines: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&start)?.split_once('}'))
            .map(|(labels, _)| labels.to_owned())
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn numbers_of_hosts_and_devices_go_with_them() {
        let metrics = Metrics::new();
        let both: &[&str] = &["/b", "/c"];
        let want = cluster("prod", &[("n1", both), ("n2", &["/b"])]);
        metrics.pool(&want, &view(&[("n1", both), ("n2", &["/b"])]));
        let other = cluster("other", &[("n1", &["/b"])]);
        metrics.pool(&other, &view(&[("n1", &["/b"])]));
        let device = |cluster: &str, host: &str, device: &str| {
            format!("cluster=\"{cluster}\",host=\"{host}\",device=\"{device}\"")
        };
        let (n1b, n1c) = (device("prod", "n1", "/b"), device("prod", "n1", "/c"));
        let (n2b, else_b) = (device("prod", "n2", "/b"), device("other", "n1", "/b"));
        let all = [&else_b, &n1b, &n1c, &n2b].map(Clone::clone);
        assert_eq!(lines(&metrics, "device_free_bytes"), all);
        assert_eq!(lines(&metrics, "host_up").len(), 3);
        // a silent host: what was last seen stays, and that it is silent is told
        metrics.pool(&want, &view(&[("n1", both), ("n2", &[])]));
        assert_eq!(lines(&metrics, "device_size_bytes"), all);
        let down = "gluster_operator_host_up{cluster=\"prod\",host=\"n2\"} 0\n";
        assert!(metrics.encode().contains(down), "{}", metrics.encode());
        // unmounted
        metrics.pool(&want, &view(&[("n1", &["/b"]), ("n2", &["/b"])]));
        let rest = [&else_b, &n1b, &n2b].map(Clone::clone);
        assert_eq!(lines(&metrics, "device_free_bytes"), rest);
        // out of the spec
        let less = cluster("prod", &[("n1", both)]);
        metrics.pool(&less, &view(&[("n1", both)]));
        for name in ["device_free_bytes", "device_size_bytes"] {
            assert_eq!(
                lines(&metrics, name),
                [&else_b, &n1b, &n1c].map(Clone::clone)
            );
        }
        assert_eq!(lines(&metrics, "host_up").len(), 2);
        // deleted
        metrics.keep(|cluster| cluster == "other", |_| true);
        assert_eq!(lines(&metrics, "device_free_bytes"), [else_b]);
        assert_eq!(lines(&metrics, "host_up").len(), 1);
    }

    #[test]
    fn numbers_of_volumes_go_with_them_and_with_their_limit() {
        let metrics = Metrics::new();
        let limit = QuotaView::Limit(QuotaLimit {
            path: "/".into(),
            hard_limit: Bytes(100),
            used: Bytes(10),
        });
        for name in ["a", "b", "c"] {
            metrics.volume(&volume(name), &limit);
        }
        metrics.volume(&volume("a"), &QuotaView::Unknown);
        let of = |names: &[&str]| -> Vec<String> {
            let label = |name: &&str| format!("object=\"shop/{name}\"");
            names.iter().map(label).collect()
        };
        let both = |names: &[&str]| {
            for metric in ["volume_limit_bytes", "volume_used_bytes"] {
                assert_eq!(lines(&metrics, metric), of(names), "{metric}");
            }
        };
        both(&["a", "b", "c"]);
        metrics.volume(&volume("b"), &QuotaView::NoLimit);
        both(&["a", "c"]);
        metrics.keep(|_| true, |object| object == "shop/c");
        both(&["c"]);
        metrics.volume(&volume("a"), &limit);
        both(&["a", "c"]);
    }
}
