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
        let most = Duration::from_secs(1 << self.failures.min(5)).min(LONGEST);
        let wait = most.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.rest = Some(Rest {
            until: Instant::now() + wait,
            error,
            credentials,
        });
    }

    /// A command could be started.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}
