//! One controller at a time. The Lease is taken and renewed by writes that name the version that was read, so that of two
//! who see it expired one loses. Losing it ends the process: what it had started is fenced by `flock` on the hosts.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tokio::time::Instant;
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

/// The record of another holder, and since when this process knows it as it is.
///
/// Times in it are by that holder's clock and are not compared with ours: one that is ahead would take a Lease that is alive. A
/// holder that lives renews it, so one whose record has not changed for as long as it holds is gone.
#[derive(Debug, Default)]
struct Watched {
    record: Option<(LeaseSpec, Instant)>,
}

impl Watched {
    fn decide(&mut self, spec: &LeaseSpec, me: &str, now: Instant) -> Decision {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == me {
            return Decision::Take;
        }
        let since = match &self.record {
            Some((known, since)) if known == spec => *since,
            _ => {
                self.record = Some((spec.clone(), now));
                now
            }
        };
        let seconds = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let holds = seconds.map_or(DURATION, Duration::from_secs);
        if now.duration_since(since) > holds {
            Decision::Take
        } else {
            Decision::Standby
        }
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
    let mut watched = Watched::default();
    loop {
        match attempt(&leases, me, &mut watched).await {
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

async fn attempt(
    leases: &Api<Lease>,
    me: &str,
    watched: &mut Watched,
) -> Result<Option<Lease>, kube::Error> {
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
    if watched.decide(&old, me, Instant::now()) == Decision::Standby {
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
        let mut renewed = Instant::now();
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
                    renewed = Instant::now();
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
    use k8s_openapi::jiff::SignedDuration;

    use super::*;

    /// A record of that holder, renewed so many seconds from now by the holder's clock.
    fn record(by: &str, renewed: i64, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(
                Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + renewed),
            )),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_taken_when_free_or_ours() {
        let now = Instant::now();
        for spec in [LeaseSpec::default(), record("", 0, 0), record("me", 0, 0)] {
            let decision = Watched::default().decide(&spec, "me", now);
            assert_eq!(decision, Decision::Take, "{spec:?}");
        }
    }

    /// Each row: the record, seconds since the first look, what is done.
    #[test]
    fn a_lease_that_lives_is_not_taken_whatever_the_clocks_say() {
        for renewed in [-100_000, 0, 100_000] {
            let start = Instant::now();
            let mut watched = Watched::default();
            for (record, seconds, want) in [
                (record("other", renewed, 0), 0, Decision::Standby),
                (record("other", renewed, 0), 15, Decision::Standby),
                // renewed: it holds from here on
                (record("other", renewed + 4, 0), 17, Decision::Standby),
                (record("other", renewed + 4, 0), 32, Decision::Standby),
                // lost and taken again
                (record("other", renewed + 4, 1), 33, Decision::Standby),
                (record("third", renewed + 4, 1), 40, Decision::Standby),
                (record("third", renewed + 4, 1), 55, Decision::Standby),
                (record("third", renewed + 4, 1), 56, Decision::Take),
            ] {
                let now = start + Duration::from_secs(seconds);
                let decision = watched.decide(&record, "me", now);
                assert_eq!(decision, want, "{renewed} {seconds}");
            }
        }
    }

    #[test]
    fn a_record_without_a_duration_holds_as_long_as_ours() {
        let start = Instant::now();
        for (said, holds) in [(None, 15), (Some(-1), 15), (Some(40), 40)] {
            let spec = LeaseSpec {
                lease_duration_seconds: said,
                ..record("other", 0, 0)
            };
            let mut watched = Watched::default();
            for (seconds, want) in [
                (0, Decision::Standby),
                (holds, Decision::Standby),
                (holds + 1, Decision::Take),
            ] {
                let now = start + Duration::from_secs(seconds);
                assert_eq!(watched.decide(&spec, "me", now), want, "{said:?} {seconds}");
            }
        }
    }
}
