//! CSI's Identity service: who the plugin is, and whether it could do its work here.

use std::path::PathBuf;

use tonic::{Request, Response, Status};

use super::DRIVER_NAME;
use super::proto::csi::identity_server::Identity;
use super::proto::csi::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, ProbeRequest, ProbeResponse,
};

/// The Identity service.
#[derive(Debug)]
pub struct IdentityService {
    /// Files without which no volume can be mounted.
    needs: Vec<PathBuf>,
}

impl IdentityService {
    /// `needs`: programs and devices that have to be there for the plugin to be healthy.
    pub fn new(needs: Vec<PathBuf>) -> Self {
        Self { needs }
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_plugin_info(
        &self,
        _request: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER_NAME.to_owned(),
            vendor_version: env!("CARGO_PKG_VERSION").to_owned(),
            manifest: [].into(),
        }))
    }

    /// None so far: volumes are made from GlusterVolume objects, and there is no controller service.
    async fn get_plugin_capabilities(
        &self,
        _request: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        Ok(Response::new(GetPluginCapabilitiesResponse {
            capabilities: Vec::new(),
        }))
    }

    async fn probe(
        &self,
        _request: Request<ProbeRequest>,
    ) -> Result<Response<ProbeResponse>, Status> {
        for path in &self.needs {
            if !tokio::fs::try_exists(path).await.unwrap_or(false) {
                let text = format!("{} is missing on this node", path.display());
                return Err(Status::failed_precondition(text));
            }
        }
        Ok(Response::new(ProbeResponse { ready: Some(true) }))
    }
}
