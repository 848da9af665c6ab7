//! Metrics: numbers that move, which therefore do not stand in any status.

use std::sync::atomic::AtomicU64;
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabel {
    cluster: String,
    host: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeviceLabel {
    cluster: String,
    host: String,
    device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VolumeLabel {
    object: String,
}

type Float = Gauge<f64, AtomicU64>;

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

    pub(super) fn pool(&self, want: &ValidCluster, view: &PoolView) {
        for node in &want.nodes {
            let label = HostLabel {
                cluster: want.name.to_string(),
                host: node.name.to_string(),
            };
            let facts = view.facts(&node.name);
            self.host_up
                .get_or_create(&label)
                .set(i64::from(facts.is_some()));
            for (device, found) in facts.iter().flat_map(|facts| &facts.devices) {
                if let DeviceFacts::Present { size, free, .. } = found {
                    let label = DeviceLabel {
                        cluster: label.cluster.clone(),
                        host: label.host.clone(),
                        device: device.to_string(),
                    };
                    self.device_free.get_or_create(&label).set(free.0 as f64);
                    self.device_size.get_or_create(&label).set(size.0 as f64);
                }
            }
        }
    }

    pub(super) fn volume(&self, want: &ValidVolume, quota: &QuotaView) {
        if let QuotaView::Limit(limit) = quota {
            let label = VolumeLabel {
                object: want.object.clone(),
            };
            self.limit
                .get_or_create(&label)
                .set(limit.hard_limit.0 as f64);
            self.used.get_or_create(&label).set(limit.used.0 as f64);
        }
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
