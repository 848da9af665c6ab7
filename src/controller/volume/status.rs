//! What is told of a volume: conditions, status and events.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::look::Look;
use super::{Converged, Error, FIELD_MANAGER, Target, Work, api};
use crate::api::condition::{self, ConditionType, EventReason, Finding, Reason};
use crate::api::volume::{BrickStatus, GlusterVolumeStatus, QuotaStatus};
use crate::controller::report;
use crate::gluster::model::QuotaView;
use crate::plan::validate::Access;
use crate::plan::{attach, health, quota, volume as decide};

impl Work<'_> {
    /// Before anything is done for a new generation: writes down which options will be ours, so that a crash can't make us forget
    /// to reset them later.
    pub(super) async fn announce(&self, target: &Target) -> Result<(), Error> {
        let before = &target.status;
        let mut owned: BTreeSet<String> = before.owned_options.iter().cloned().collect();
        owned.extend(
            target
                .want
                .profile
                .keys()
                .chain(target.want.options.keys())
                .map(ToString::to_string),
        );
        let owned: Vec<String> = owned.into_iter().collect();
        if owned != before.owned_options {
            self.apply(&GlusterVolumeStatus {
                owned_options: owned,
                ..before.clone()
            })
            .await?;
        }
        Ok(())
    }

    /// Warns, once for each spec, of what is allowed but dangerous.
    pub(super) async fn warn(&self, target: &Target) {
        if target.status.observed_generation == self.object.metadata.generation {
            return;
        }
        for (reason, note) in decide::warnings(&target.want) {
            self.say(EventType::Warning, reason, note).await;
        }
    }

    /// Sends an event that is not about a condition.
    pub(super) async fn say(&self, kind: EventType, reason: EventReason, note: &str) {
        let reference = self.object.object_ref(&());
        report::publish(self.context, &reference, kind, reason, note).await;
    }

    /// Whether the status said Ready when this reconcile began, or says so since.
    pub(super) fn was_ready(&self) -> bool {
        condition::holds(&self.conditions_told(), ConditionType::Ready)
    }

    /// The conditions of which events have told.
    pub(super) fn conditions_told(&self) -> Vec<Condition> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone().unwrap_or_else(|| {
            let status = self.object.status.as_ref();
            status.map_or_else(Vec::new, |status| status.conditions.clone())
        })
    }

    pub(super) async fn progress(&self, what: &str) -> Result<(), Error> {
        let now = self.object.status.clone().unwrap_or_default();
        let finding = Finding {
            kind: ConditionType::Progressing,
            holds: Some(true),
            reason: Reason::Working,
            message: what.to_owned(),
        };
        let generation = now.observed_generation.unwrap_or_default();
        let conditions =
            condition::merge(&now.conditions, &[finding], generation, Timestamp::now());
        // a field manager of its own, so that no other field is touched by it
        let progressing: Vec<_> = conditions
            .into_iter()
            .filter(|c| c.type_ == ConditionType::Progressing.as_str())
            .collect();
        let patch = json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "status": {"conditions": progressing}});
        let params = PatchParams::apply("gluster-operator-progress").force();
        self.objects
            .patch_status(&self.object.name_any(), &params, &Patch::Apply(patch))
            .await
            .map_err(api("writing the progress"))?;
        Ok(())
    }

    /// Ready flips at the second miss: one look that found a brick's host silent is no news yet.
    pub(super) fn forgive_first_miss(
        &self,
        findings: &mut [Finding],
        misses: u32,
        next: &mut Duration,
    ) {
        let before = self.object.status.as_ref();
        let was_ready =
            before.is_some_and(|before| condition::holds(&before.conditions, ConditionType::Ready));
        if misses != 1 || !was_ready {
            return;
        }
        for finding in findings.iter_mut() {
            if finding.kind == ConditionType::Ready
                && finding.holds != Some(true)
                && matches!(finding.reason, Reason::BrickDown | Reason::HostUnreachable)
            {
                finding.holds = Some(true);
                finding.reason = Reason::AsDeclared;
                finding.message = "was ready; one look failed, the next decides".into();
                *next = Duration::from_secs(5);
            }
        }
    }

    pub(super) async fn write_status(
        &self,
        mut findings: Vec<Finding>,
        found: Option<(&Target, &Converged)>,
    ) -> Result<(), Error> {
        // our own earlier writes of this reconcile are not in the object that we were given
        let current = self
            .objects
            .get_opt(&self.object.name_any())
            .await
            .map_err(api("reading the volume"))?;
        let Some(current) = current else {
            return Ok(());
        };
        let before = current.status.clone().unwrap_or_default();
        // nothing is taken back that nobody has said
        findings.retain(|finding| {
            let told = condition::find(&before.conditions, finding.kind).is_some();
            let judges = matches!(finding.kind, ConditionType::Healthy | ConditionType::Owned);
            finding.holds.is_some() || told || !judges
        });
        let generation = self.object.metadata.generation.unwrap_or_default();
        let mut status = GlusterVolumeStatus {
            observed_generation: Some(generation),
            conditions: condition::merge(
                &before.conditions,
                &findings,
                generation,
                Timestamp::now(),
            ),
            ..before.clone()
        };
        if let Some((target, converged)) = found {
            describe(&mut status, target, converged);
            self.context
                .metrics
                .volume(&target.want, &converged.look.volume.quota);
        }
        if before != status {
            self.apply(&status).await?;
        }
        let told = self.conditions_told();
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.conditions.clone());
        report::transitions(
            self.context,
            &self.object.object_ref(&()),
            &told,
            &status.conditions,
        )
        .await;
        Ok(())
    }

    pub(super) async fn apply(&self, status: &GlusterVolumeStatus) -> Result<(), Error> {
        let patch = json!({"apiVersion": "gluster-operator.io/v1alpha1", "kind": "GlusterVolume", "status": status});
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.objects
            .patch_status(&self.object.name_any(), &params, &Patch::Apply(patch))
            .await
            .map_err(api("writing the status"))?;
        Ok(())
    }
}

/// Fills in what was seen. What could not be seen stays as it was.
fn describe(status: &mut GlusterVolumeStatus, target: &Target, converged: &Converged) {
    let Target { want, cluster, .. } = target;
    let Look {
        pool: view,
        volume: inspected,
        wish,
        ..
    } = &converged.look;
    status.volume_name = Some(want.volume.to_string());
    let Some(volume) = decide::seen(want, cluster, view) else {
        let gone = view.silent().next().is_none() && view.who_knows(&want.volume).0.is_empty();
        if gone {
            (status.type_, status.volume_id, status.quota) = (None, None, None);
            (status.bricks, status.attached_node) = (Vec::new(), None);
        }
        return;
    };
    status.type_ = Some(volume.type_name.clone());
    status.volume_id = Some(volume.id.clone());
    let online = health::online(want, view);
    status.bricks = online
        .into_iter()
        .map(|(brick, online)| BrickStatus {
            node: brick.host.to_string(),
            path: brick.path.to_string(),
            online,
        })
        .collect();
    let wanted = want
        .profile
        .keys()
        .chain(want.options.keys())
        .map(ToString::to_string);
    let dropped = want
        .dropped
        .iter()
        .map(ToString::to_string)
        .filter(|key| volume.options.contains_key(key));
    status.owned_options = wanted
        .chain(dropped)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if want.access == Access::OneWriter {
        status.attached_node = match attach::holder(volume, wish) {
            attach::Holder::Node(node) => Some(node),
            attach::Holder::Nobody | attach::Holder::Stranger(_) => None,
        };
    }
    match &inspected.quota {
        QuotaView::Limit(limit) => {
            let used = quota::coarse_use(limit.hard_limit, limit.used);
            status.quota = Some(QuotaStatus {
                limit: limit.hard_limit.to_string(),
                used: used.to_string(),
            });
        }
        QuotaView::Off | QuotaView::NoLimit => status.quota = None,
        QuotaView::Unknown => {}
    }
}
