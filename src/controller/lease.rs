//! One controller at a time. The Lease is taken and renewed by writes that name the version that was read, so that of two
//! who see it expired one loses. Losing it ends the process: what it had started is fenced by `flock` on the hosts.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

/// Name of the Lease.
const NAME: &str = "gluster-operator-controller";
/// How long it holds without being renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed, and how long an answer is waited for.
const PERIOD: Duration = Duration::from_secs(4);
/// How often it is looked at while somebody else has it.
const STANDBY: Duration = Duration::from_secs(2);
/// When it is tried again to renew it.
const RETRY: Duration = Duration::from_secs(1);
/// How long it counts as ours without being renewed. Others wait for [`DURATION`]: clocks differ a little, and to end takes a moment.
const OURS: Duration = Duration::from_secs(12);

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
    /// When the last write of it that was answered had been sent. Others count from when it was stored, which was later.
    renewed: Instant,
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
        let began = Instant::now();
        match timeout(PERIOD, attempt(&leases, me, &mut watched)).await {
            Ok(Ok(true)) => {
                info!(me, "holds the lease");
                return Held {
                    leases,
                    me: me.to_owned(),
                    renewed: began,
                };
            }
            Ok(Ok(false)) if !told => {
                info!("another controller holds the lease; standing by");
                told = true;
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => warn!(%error, "the lease could not be taken"),
            Err(_) => warn!("the lease could not be taken: the API server does not answer"),
        }
        sleep(STANDBY).await;
    }
}

/// Whether it is ours now.
async fn attempt(
    leases: &Api<Lease>,
    me: &str,
    watched: &mut Watched,
) -> Result<bool, kube::Error> {
    let conflict = |error: kube::Error| match error {
        kube::Error::Api(status) if status.code == 409 => Ok(false),
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
            .map(|_| true)
            .or_else(conflict);
    };
    let old = lease.spec.clone().unwrap_or_default();
    if watched.decide(&old, me, Instant::now()) == Decision::Standby {
        return Ok(false);
    }
    lease.spec = Some(spec(me, Some(&old)));
    leases
        .replace(NAME, &PostParams::default(), &lease)
        .await
        .map(|_| true)
        .or_else(conflict)
}

impl Held {
    /// Renews it until `stop`, then gives it back. Ends with an error when it is lost, and in any case before others may take it.
    pub(super) async fn keep(mut self, stop: impl Future<Output = ()>) -> Result<(), Lost> {
        tokio::pin!(stop);
        let mut pause = PERIOD;
        loop {
            let until = self.renewed + OURS;
            let renewal = async {
                sleep(pause).await;
                self.renew().await
            };
            pause = tokio::select! {
                () = &mut stop => break,
                next = timeout_at(until, renewal) => next
                    .unwrap_or_else(|_| Err(Lost("it could not be renewed in time".into())))?,
            };
        }
        match timeout(PERIOD, self.write("")).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                warn!(%error, "the lease could not be given back; it expires by itself");
            }
            Err(_) => warn!("the lease was not given back: the API server does not answer"),
        }
        Ok(())
    }

    /// Tries to renew it; says after which time to do so again.
    async fn renew(&mut self) -> Result<Duration, Lost> {
        let began = Instant::now();
        match timeout(PERIOD, self.write(&self.me)).await {
            Ok(Ok(true)) => {
                self.renewed = began;
                return Ok(PERIOD);
            }
            Ok(Ok(false)) => return Err(Lost("somebody else has it".into())),
            Ok(Err(error)) => warn!(%error, "the lease was not renewed"),
            Err(_) => warn!("the lease was not renewed: the API server does not answer"),
        }
        Ok(RETRY)
    }

    /// Writes who holds it from now on, unless it is ours no more. It is read each time: what we wrote last may have been stored though
    /// no answer came, and then it has a version that we do not know.
    async fn write(&self, holder: &str) -> Result<bool, kube::Error> {
        let found = self.leases.get_opt(NAME).await?;
        let Some((mut lease, old)) = found.and_then(|lease| {
            let spec = lease.spec.clone()?;
            (spec.holder_identity.as_deref() == Some(&self.me)).then_some((lease, spec))
        }) else {
            return Ok(false);
        };
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            ..spec(&self.me, Some(&old))
        });
        // whoever was faster is seen by the next look
        self.leases
            .replace(NAME, &PostParams::default(), &lease)
            .await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex, MutexGuard};

    use axum::http::{Method, Request, Response, StatusCode};
    use k8s_openapi::jiff::SignedDuration;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

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

    /// A server with one Lease, which somebody else may write, too.
    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<Stored>>);

    #[derive(Default)]
    struct Stored {
        lease: Option<Lease>,
        version: u32,
        written: Option<Instant>,
        /// How long it takes to answer a write that it has stored; `None`: for ever.
        slow: Option<Duration>,
    }

    impl Server {
        fn new() -> Self {
            let server = Self::default();
            server.stored().slow = Some(Duration::ZERO);
            server
        }

        fn stored(&self) -> MutexGuard<'_, Stored> {
            self.0.lock().unwrap()
        }

        fn client(&self) -> Client {
            let server = self.clone();
            let service = service_fn(move |request: Request<Body>| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            Client::new(service, "gluster-operator")
        }

        async fn answer(&self, request: Request<Body>) -> Response<Body> {
            let write = request.method() != Method::GET;
            let body = request.into_body().collect_bytes().await.unwrap();
            let slow = self.stored().slow;
            if write {
                let lease: Lease = serde_json::from_slice(&body).unwrap();
                if !self.put(lease) {
                    return refusal(StatusCode::CONFLICT, "Conflict");
                }
                match slow {
                    Some(slow) => sleep(slow).await,
                    None => std::future::pending().await,
                }
            }
            match &self.stored().lease {
                Some(lease) => Response::new(serde_json::to_vec(lease).unwrap().into()),
                None => refusal(StatusCode::NOT_FOUND, "NotFound"),
            }
        }

        /// False for a version that is not the one there is.
        fn put(&self, mut lease: Lease) -> bool {
            let mut stored = self.stored();
            let there = stored.lease.as_ref().map(|lease| &lease.metadata);
            if there.and_then(|there| there.resource_version.clone())
                != lease.metadata.resource_version
            {
                return false;
            }
            stored.version += 1;
            lease.metadata.resource_version = Some(stored.version.to_string());
            stored.written = Some(Instant::now());
            stored.lease = Some(lease);
            true
        }

        fn holder(&self) -> String {
            let spec = self.stored().lease.clone().unwrap().spec.unwrap();
            spec.holder_identity.unwrap()
        }

        async fn held(&self) -> Held {
            acquire(self.client(), "gluster-operator", "me").await
        }
    }

    fn refusal(code: StatusCode, reason: &str) -> Response<Body> {
        let status =
            json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code.as_u16()});
        let mut response = Response::new(status.to_string().into_bytes().into());
        *response.status_mut() = code;
        response
    }

    #[tokio::test]
    async fn a_lease_counts_from_when_its_write_was_sent() {
        let server = Server::new();
        server.stored().slow = Some(Duration::from_millis(100));
        let mut held = server.held().await;
        let written = server.stored().written.unwrap();
        assert!(held.renewed <= written, "taken");
        let before = held.renewed;
        held.renew().await.unwrap();
        let written = server.stored().written.unwrap();
        assert!(before < held.renewed && held.renewed <= written, "renewed");
    }

    #[tokio::test]
    async fn a_renewal_that_was_stored_and_not_answered_is_no_loss() {
        let server = Server::new();
        let mut held = server.held().await;
        let taken = held.renewed;
        server.stored().slow = None;
        let hangs = timeout(Duration::from_millis(100), held.renew()).await;
        assert!(hangs.is_err());
        assert_eq!((server.stored().version, held.renewed), (2, taken));
        server.stored().slow = Some(Duration::ZERO);
        assert_eq!(held.renew().await.unwrap(), PERIOD);
        assert_eq!(server.stored().version, 3);
        // nor does it keep it from being given back
        server.stored().slow = None;
        let hangs = timeout(Duration::from_millis(100), held.renew()).await;
        assert!(hangs.is_err());
        server.stored().slow = Some(Duration::ZERO);
        held.keep(async {}).await.unwrap();
        assert_eq!(server.holder(), "");
    }

    #[tokio::test]
    async fn a_lease_that_somebody_else_has_is_lost_and_left_alone() {
        let server = Server::new();
        let mut held = server.held().await;
        let mut lease = server.stored().lease.clone().unwrap();
        lease.spec = Some(record("other", 0, 1));
        assert!(server.put(lease));
        held.renew().await.unwrap_err();
        held.keep(async {}).await.unwrap();
        assert_eq!(server.holder(), "other");
    }

    /// The write that hangs ends with the Lease, not after it.
    #[tokio::test]
    async fn a_lease_that_can_not_be_renewed_is_given_up_before_others_may_take_it() {
        let server = Server::new();
        let mut held = server.held().await;
        server.stored().slow = None;
        // a second more than it takes to come to the next renewal
        let before = OURS.checked_sub(PERIOD + Duration::from_secs(1)).unwrap();
        held.renewed = held.renewed.checked_sub(before).unwrap();
        let may_be_taken = held.renewed + DURATION;
        held.keep(std::future::pending()).await.unwrap_err();
        let left = may_be_taken.saturating_duration_since(Instant::now());
        assert!(left > Duration::from_secs(1), "{left:?}");
    }
}
