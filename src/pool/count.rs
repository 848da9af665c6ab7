//! Counts what bricks hold, file by file.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::gluster::names::{Brick, Bytes, HostName, HostPath, VolumeName};
use crate::gluster::operation::Operation;
use crate::gluster::output;

use super::{Pool, by_host};

/// A count stands for so many times the time that it took: disks of users are busy with it for a twentieth of the time at most.
const REST: u32 = 20;

/// A count of a volume's bricks.
pub(super) struct Counted {
    began: Instant,
    took: Duration,
    held: BTreeMap<Brick, Result<Bytes, String>>,
}

impl Pool {
    /// What these bricks hold, or why that is not known. Takes as long as it takes to go through all files, and so is not done
    /// again and again: what was counted stands for a while, unless a host could not be asked.
    pub async fn count(
        &self,
        volume: &VolumeName,
        bricks: &[Brick],
    ) -> BTreeMap<Brick, Result<Bytes, String>> {
        if let Some(counted) = self.memory().counts.get(volume)
            && bricks.iter().all(|brick| counted.held.contains_key(brick))
            && counted.began.elapsed() < counted.took * (REST + 1)
        {
            return counted.held.clone();
        }
        let began = Instant::now();
        let counts = by_host(bricks)
            .into_iter()
            .map(|(name, paths)| self.count_on(name, paths));
        let (asked, lists): (Vec<bool>, Vec<Vec<_>>) = join_all(counts).await.into_iter().unzip();
        let held: BTreeMap<_, _> = lists.into_iter().flatten().collect();
        let mut memory = self.memory();
        memory.counts.remove(volume);
        if asked.into_iter().all(|asked| asked) {
            let counted = Counted {
                began,
                took: began.elapsed(),
                held: held.clone(),
            };
            memory.counts.insert(volume.clone(), counted);
        }
        held
    }

    /// One host's part, and whether it could be asked.
    async fn count_on(
        &self,
        name: &HostName,
        paths: Vec<HostPath>,
    ) -> (bool, Vec<(Brick, Result<Bytes, String>)>) {
        let answer = match self.hosts.get(name) {
            None => Err(format!("{name} is not listed in spec.nodes")),
            Some(host) => host
                .perform(&Operation::CountBricks(paths.clone()))
                .await
                .map_err(|error| error.to_string()),
        };
        let (asked, uses) = match answer {
            Ok(outputs) => (true, output::brick_uses(&outputs, &paths)),
            Err(why) => (false, vec![Err(why); paths.len()]),
        };
        let bricks = paths.into_iter().map(|path| Brick {
            host: name.clone(),
            path,
        });
        (asked, bricks.zip(uses).collect())
    }
}
