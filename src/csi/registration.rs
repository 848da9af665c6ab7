//! The kubelet's plugin registration, served by ourselves instead of a sidecar.
//!
//! The kubelet watches its `plugins_registry` directory, asks each socket there who it is, and forgets a plugin
//! whose socket goes. So the socket has to be there as long as we serve, and to go when we end; when
//! somebody empties the directory (a kubelet that starts may), it is made again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::authority::tolerate;
use super::proto::registration::registration_server::{Registration, RegistrationServer};
use super::proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use super::socket::listen;
use super::{DRIVER_NAME, Error};

/// How often we look whether the socket is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long we wait after the kubelet refused us, before we show it a new socket.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The version of the plugin interface, not of CSI: the kubelet knows 1.x.
const VERSION: &str = "1.0.0";

struct RegistrationService {
    endpoint: String,
    refused: Arc<Notify>,
}

#[tonic::async_trait]
impl Registration for RegistrationService {
    async fn get_info(
        &self,
        _request: Request<InfoRequest>,
    ) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER_NAME.to_owned(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec![VERSION.to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if status.plugin_registered {
            tracing::info!("the kubelet has registered the plugin");
        } else {
            tracing::error!(error = %status.error, "the kubelet refuses the plugin");
            self.refused.notify_one();
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

/// Keeps a registration socket at `path` until `stop`, then removes it. `endpoint` is the path of the CSI socket as
/// the kubelet sees it.
pub async fn keep_registered(
    path: PathBuf,
    endpoint: String,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut is_first = true;
    while !stop.is_cancelled() {
        let (listener, file) = match listen(&path) {
            Ok(listening) => listening,
            Err(source) if is_first => return Err(Error::Socket { path, source }),
            // the end of the plugin would be that of all mounts of the node
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "no registration socket: the kubelet can't find the plugin; tried again");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(AGAIN_AFTER) => {}
                }
                continue;
            }
        };
        is_first = false;
        let refused = Arc::new(Notify::new());
        let service = RegistrationService {
            endpoint: endpoint.clone(),
            refused: Arc::clone(&refused),
        };
        let renew = stop.child_token();
        let server = Server::builder()
            .add_service(RegistrationServer::new(service))
            .serve_with_incoming_shutdown(
                UnixListenerStream::new(listener).map(|stream| stream.map(tolerate)),
                renew.clone().cancelled_owned(),
            );
        let watch = async {
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = refused.notified() => {
                        file.remove();
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = tokio::time::sleep(AGAIN_AFTER) => {}
                        }
                        break;
                    }
                    () = tokio::time::sleep(LOOK_EVERY) => if !file.is_there() {
                        tracing::warn!(path = %path.display(), "the registration socket is gone, make it again");
                        break;
                    }
                }
            }
            // Gone before the server is: nobody should find a socket that answers no more.
            file.remove();
            renew.cancel();
            // A connection that the kubelet keeps open must not keep us from making a new socket.
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        tokio::select! {
            served = server => served.map_err(|source| Error::Serve { what: "registration", source })?,
            () = watch => {}
        }
        file.remove();
    }
    Ok(())
}
