//! From findings to status and events.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};
use tracing::warn;

use crate::api::condition::{ConditionType, EventReason, Finding, Reason};
use crate::gluster::outcome::Class;
use crate::pool::StepFailure;

use super::context::Context;

/// The reason that a failed step gives.
fn reason(failure: &StepFailure) -> Reason {
    match (failure.class, failure.detail) {
        (_, "unreachable") => Reason::HostUnreachable,
        (Class::Refused, "bad-option" | "bad-value") => Reason::BadOption,
        (Class::Refused, "other-cluster") => Reason::OtherPool,
        (Class::Busy, _) => Reason::Busy,
        (Class::Unknown, _) => Reason::ResultUnknown,
        (Class::Refused | Class::Absent | Class::Ok | Class::Already, _) => Reason::Refused,
    }
}

/// Puts a failed step into the findings: nothing is in sync, and what was not ready is not ready for that reason.
pub(super) fn blame(findings: &mut Vec<Finding>, failure: &StepFailure) {
    let (reason, message) = (reason(failure), format!("{}: {failure}", failure.step));
    for kind in [ConditionType::InSync, ConditionType::Ready] {
        match findings.iter_mut().find(|finding| finding.kind == kind) {
            Some(finding) if kind == ConditionType::Ready && finding.holds == Some(true) => {}
            Some(finding) => *finding = Finding::no(kind, reason, message.clone()),
            None if kind == ConditionType::InSync => {
                findings.push(Finding::no(kind, reason, message.clone()));
            }
            None => {}
        }
    }
}

/// Says in each finding that does not hold how often it is tried again: an interval, never a time, so that status does not
/// change with the clock.
pub(super) fn say_interval(findings: &mut [Finding], seconds: u64) {
    for finding in findings.iter_mut().filter(|finding| {
        finding.holds == Some(false) && finding.kind != ConditionType::Progressing
    }) {
        if !finding.message.contains("tried again") {
            finding.message = format!("{}; tried again every {seconds} s", finding.message);
        }
    }
}

/// One event for each condition whose status or reason changed.
pub(super) async fn transitions(
    context: &Context,
    object: &ObjectReference,
    before: &[Condition],
    after: &[Condition],
) {
    for condition in after {
        let old = before.iter().find(|old| old.type_ == condition.type_);
        if old.is_some_and(|old| old.status == condition.status && old.reason == condition.reason) {
            continue;
        }
        // progress is told by the other conditions, unless it waits for something
        let waits = matches!(
            condition.reason.as_str(),
            "WaitingForFence" | "DeletionBlocked"
        );
        if condition.type_ == ConditionType::Progressing.as_str() && !waits {
            continue;
        }
        let good = condition.status == "True" || condition.reason == Reason::Working.as_str();
        let kind = if good && !waits {
            EventType::Normal
        } else {
            EventType::Warning
        };
        send(
            context,
            object,
            kind,
            &condition.reason,
            &format!(
                "{}={}: {}",
                condition.type_, condition.status, condition.message
            ),
        )
        .await;
    }
}

/// One event that is not about a condition.
pub(super) async fn publish(
    context: &Context,
    object: &ObjectReference,
    type_: EventType,
    reason: EventReason,
    note: &str,
) {
    send(context, object, type_, reason.as_str(), note).await;
}

/// Sends an event. That it can't be sent is logged and nothing more.
async fn send(
    context: &Context,
    object: &ObjectReference,
    type_: EventType,
    reason: &str,
    note: &str,
) {
    let note: String = note.chars().take(1000).collect();
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note.clone()),
        action: "Reconcile".into(),
        secondary: None,
    };
    if let Err(error) = context.recorder(&note).publish(&event, object).await {
        warn!(%error, reason, "event was not published");
    }
}
