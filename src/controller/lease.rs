//! One controller at a time. The Lease is taken and renewed by writes that name the version that was read, so that of two
//! who see it expired one loses. Losing it ends the process: what it had started is fenced by `flock` on the hosts.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tracing::{info, warn};

/// Name of the Lease.
const NAME: &str = "gluster-operator-controller";
/// How long it holds without being renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed, and looked at while somebody else has it.
const PERIOD: Duration = Duration::from_secs(4);

/// The Lease is lost.
#[derive(Debug, Error)]
#[error("the lease {NAME} is lost: {0}")]
pub(super) struct Lost(String);

/// What to do about a Lease.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// It is ours, or free, or expired: write it.
    Take,
    /// Somebody else has it.
    Standby,
}

fn decide(spec: &LeaseSpec, me: &str, now: Timestamp) -> Decision {
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder.is_empty() || holder == me {
        return Decision::Take;
    }
    let seconds = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    match &spec.renew_time {
        Some(MicroTime(at)) if now.duration_since(*at) <= SignedDuration::from_secs(seconds) => {
            Decision::Standby
        }
        _ => Decision::Take,
    }
}

/// A Lease that is held.
pub(super) struct Held {
    leases: Api<Lease>,
    me: String,
    lease: Lease,
}

fn spec(me: &str, before: Option<&LeaseSpec>) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(me));
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: ours
            .and_then(|spec| spec.acquire_time.clone())
            .or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(before.map_or(0, |spec| {
            spec.lease_transitions.unwrap_or(0) + i32::from(ours.is_none())
        })),
        ..LeaseSpec::default()
    }
}

/// Waits until the Lease is ours.
pub(super) async fn acquire(client: Client, namespace: &str, me: &str) -> Held {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let mut told = false;
    loop {
        match attempt(&leases, me).await {
            Ok(Some(lease)) => {
                info!(me, "holds the lease");
                return Held {
                    leases,
                    me: me.to_owned(),
                    lease,
                };
            }
            Ok(None) if !told => {
                info!("another controller holds the lease; standing by");
                told = true;
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "the lease could not be taken"),
        }
        tokio::time::sleep(PERIOD / 2).await;
    }
}

async fn attempt(leases: &Api<Lease>, me: &str) -> Result<Option<Lease>, kube::Error> {
    let conflict = |error: kube::Error| match error {
        kube::Error::Api(status) if status.code == 409 => Ok(None),
        error => Err(error),
    };
    let Some(mut lease) = leases.get_opt(NAME).await? else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                ..ObjectMeta::default()
            },
            spec: Some(spec(me, None)),
        };
        return leases
            .create(&PostParams::default(), &lease)
            .await
            .map(Some)
            .or_else(conflict);
    };
    let old = lease.spec.clone().unwrap_or_default();
    if decide(&old, me, Timestamp::now()) == Decision::Standby {
        return Ok(None);
    }
    lease.spec = Some(spec(me, Some(&old)));
    leases
        .replace(NAME, &PostParams::default(), &lease)
        .await
        .map(Some)
        .or_else(conflict)
}

impl Held {
    /// Renews it until `stop`, then gives it back. Ends with an error when it is lost.
    pub(super) async fn keep(mut self, stop: impl Future<Output = ()>) -> Result<(), Lost> {
        tokio::pin!(stop);
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = &mut stop => {
                    let mut spec = spec(&self.me, self.lease.spec.as_ref());
                    spec.holder_identity = Some(String::new());
                    self.lease.spec = Some(spec);
                    if let Err(error) = self.leases.replace(NAME, &PostParams::default(), &self.lease).await {
                        warn!(%error, "the lease could not be given back; it expires by itself");
                    }
                    return Ok(());
                }
                () = tokio::time::sleep(PERIOD) => {}
            }
            self.lease.spec = Some(spec(&self.me, self.lease.spec.as_ref()));
            let write = tokio::time::timeout(
                PERIOD,
                self.leases
                    .replace(NAME, &PostParams::default(), &self.lease),
            )
            .await;
            match write {
                Ok(Ok(lease)) => {
                    self.lease = lease;
                    renewed = tokio::time::Instant::now();
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 409 || status.code == 404 => {
                    return Err(Lost("somebody else wrote it".into()));
                }
                Ok(Err(error)) => warn!(%error, "the lease was not renewed"),
                Err(_) => warn!("the lease was not renewed: the API server does not answer"),
            }
            if renewed.elapsed() + PERIOD > DURATION {
                return Err(Lost("it could not be renewed in time".into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_only_when_free_or_expired() {
        let now = Timestamp::now();
        let held = |by: &str, age: i64| LeaseSpec {
            holder_identity: Some(by.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(now - SignedDuration::from_secs(age))),
            ..LeaseSpec::default()
        };
        for (spec, want) in [
            (LeaseSpec::default(), Decision::Take),
            (held("", 0), Decision::Take),
            (held("me", 100), Decision::Take),
            (held("other", 14), Decision::Standby),
            (held("other", 16), Decision::Take),
        ] {
            assert_eq!(decide(&spec, "me", now), want, "{spec:?}");
        }
    }
}
