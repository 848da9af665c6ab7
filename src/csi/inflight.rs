//! One operation per volume at a time: two at once would each undo what the other just made.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::status::Failure;

/// The volumes that an operation works on.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<String>>>);

/// The right to work on one volume; dropping it gives the right back.
#[derive(Debug)]
pub struct Guard {
    volume: String,
    all: InFlight,
}

impl InFlight {
    /// Takes the right to work on a volume, or says at once that somebody else has it.
    pub fn enter(&self, volume: &str) -> Result<Guard, Failure> {
        let mut volumes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if volumes.insert(volume.to_owned()) {
            return Ok(Guard {
                volume: volume.to_owned(),
                all: self.clone(),
            });
        }
        Err(Failure::InFlight {
            volume: volume.to_owned(),
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.all
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_free_again_when_its_guard_is_dropped() {
        let all = InFlight::default();
        let first = all.enter("a").unwrap();
        assert!(matches!(all.enter("a"), Err(Failure::InFlight { .. })));
        assert!(all.enter("b").is_ok());
        drop(first);
        assert!(all.enter("a").is_ok());
    }
}
