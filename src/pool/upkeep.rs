//! Looks that only the upkeep of a pool needs.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::gluster::glusterd_vol;
use crate::gluster::model::GlusterdVol;
use crate::gluster::names::HostName;
use crate::gluster::operation::{Gluster, Operation};
use crate::gluster::output;

use super::Pool;

impl Pool {
    /// The highest op-version that all hosts support, asked of one; `None` when it did not say.
    pub async fn max_op_version(&self, host: &HostName) -> Option<u32> {
        let answer = self.ask(host, Gluster::MaxOpVersion).await?;
        output::option_value(&answer, "cluster.max-op-version")
            .ok()?
            .parse()
            .ok()
    }

    /// glusterd's configuration on each host; where it could not be read, why.
    pub async fn glusterd_vol(&self) -> BTreeMap<HostName, Result<GlusterdVol, String>> {
        let looks = self.hosts.iter().map(|(name, host)| async move {
            let found = match host.perform(&Operation::ReadGlusterdVol).await {
                Ok(outputs) => glusterd_vol::read(&outputs).map_err(|error| error.to_string()),
                Err(error) => Err(error.why),
            };
            (name.clone(), found)
        });
        join_all(looks).await.into_iter().collect()
    }
}
