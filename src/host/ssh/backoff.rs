//! How long a host that could not be reached is left alone.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::{Credentials, HostError};

const LONGEST: Duration = Duration::from_secs(30);

/// Failures in a row, and until when nothing is tried.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    rest: Option<Rest>,
}

struct Rest {
    until: Instant,
    error: HostError,
    credentials: Arc<Credentials>,
}

impl Backoff {
    /// The error of the last try, while it is too early for another. Other credentials are tried at once.
    pub(super) fn holds(&self, credentials: &Credentials) -> Option<HostError> {
        let rest = self.rest.as_ref()?;
        let wait = Instant::now() < rest.until && rest.credentials.same(credentials);
        wait.then(|| rest.error.clone())
    }

    /// Another failure: the next try is 1 to 30 s away, longer each time, and not the same for all hosts that
    /// fell at the same moment.
    pub(super) fn failed(&mut self, error: HostError, credentials: Arc<Credentials>) {
        self.failures = self.failures.saturating_add(1);
        self.rest = Some(Rest {
            until: Instant::now() + pause(self.failures),
            error,
            credentials,
        });
    }

    /// A command could be started.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

/// How long to wait after that many failures.
fn pause(failures: u32) -> Duration {
    let most = Duration::from_secs(1 << failures.min(5)).min(LONGEST);
    most.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_differ() {
        for (failures, least, most) in [
            (1, 1, 2),
            (2, 2, 4),
            (3, 4, 8),
            (4, 8, 16),
            (5, 15, 30),
            (u32::MAX, 15, 30),
        ] {
            let pauses: Vec<_> = (0..100).map(|_| pause(failures)).collect();
            let range = Duration::from_secs(least)..=Duration::from_secs(most);
            assert!(
                pauses.iter().all(|pause| range.contains(pause)),
                "{failures}: {pauses:?}"
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
