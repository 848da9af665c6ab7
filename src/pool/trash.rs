//! Looks at what lies on devices beside the bricks of volumes: directories that a volume of before left, the trash.

use futures::future::join_all;

use crate::gluster::model::{Search, TrashEntry, TrashListing};
use crate::gluster::names::{Brick, HostName, HostPath, TrashName, VolumeName};
use crate::gluster::operation::Operation;
use crate::gluster::output;

use super::Pool;

impl Pool {
    /// Adds the bricks that may lie on a device for a volume of that name, whatever object their directories are named after. Those
    /// that were there already stay once.
    pub async fn search(&self, volume: &VolumeName, bricks: &mut Vec<Brick>) -> Search {
        match self.find_bricks(volume).await {
            Ok(found) => {
                bricks.extend(found);
                bricks.sort();
                bricks.dedup();
                Search::Complete
            }
            Err(why) => Search::Incomplete(why),
        }
    }

    /// Every brick that may lie on a device for a volume of that name, whatever object its directory is named after.
    ///
    /// # Errors
    /// A device could not be searched: host and reason.
    async fn find_bricks(&self, volume: &VolumeName) -> Result<Vec<Brick>, String> {
        let pairs = self
            .devices
            .iter()
            .flat_map(|(name, devices)| devices.iter().map(move |device| (name, device)));
        let searches = pairs.map(|(name, device)| async move {
            let operation = Operation::FindBricks {
                device: device.clone(),
                volume: volume.clone(),
            };
            let host = self
                .hosts
                .get(name)
                .ok_or_else(|| format!("{name} is not listed"))?;
            let outputs = host
                .perform(&operation)
                .await
                .map_err(|error| error.to_string())?;
            let names = output::brick_directories(&outputs, volume)
                .map_err(|error| format!("{name}: {device}: {error}"))?;
            names
                .into_iter()
                .map(|directory| {
                    let path = format!("{device}/{directory}/brick")
                        .parse::<HostPath>()
                        .map_err(|error| format!("{name}: {error}"))?;
                    Ok(Brick {
                        host: name.clone(),
                        path,
                    })
                })
                .collect::<Result<Vec<_>, String>>()
        });
        let found: Result<Vec<Vec<Brick>>, String> = join_all(searches).await.into_iter().collect();
        found.map(|lists| lists.into_iter().flatten().collect())
    }

    /// What lies in the trash of each device that could be looked at.
    pub async fn list_trash(&self) -> Vec<(HostName, HostPath, TrashListing)> {
        let pairs = self
            .devices
            .iter()
            .flat_map(|(name, devices)| devices.iter().map(move |device| (name, device)));
        let looks = pairs.map(|(name, device)| async move {
            let operation = Operation::ListTrash {
                device: device.clone(),
            };
            let outputs = self.hosts.get(name)?.perform(&operation).await.ok()?;
            let listing = output::trash(&outputs, device).ok()?;
            Some((name.clone(), device.clone(), listing))
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    /// A close look at one entry.
    ///
    /// # Errors
    /// It could not be looked at: why.
    pub async fn inspect_trash(
        &self,
        host: &HostName,
        device: &HostPath,
        name: &TrashName,
    ) -> Result<TrashEntry, String> {
        let operation = Operation::InspectTrash {
            device: device.clone(),
            name: name.clone(),
        };
        let reached = self
            .hosts
            .get(host)
            .ok_or_else(|| format!("{host} is not listed"))?;
        let outputs = reached
            .perform(&operation)
            .await
            .map_err(|error| error.to_string())?;
        output::trash_entry(&outputs, device, name).map_err(|error| format!("{host}: {error}"))
    }
}
