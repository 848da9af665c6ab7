//! What users declare: the kinds GlusterCluster and GlusterVolume, with their schemas, validation rules and
//! conditions.
//!
//! Field documentation here is user documentation: it becomes the CRDs' descriptions. A field that nothing acts on
//! is not here. Rules in the schemas explain early; [`crate::plan`] enforces.

pub mod cluster;
pub mod condition;
pub mod quantity;
pub mod schema;
pub mod volume;

pub use cluster::GlusterCluster;
pub use volume::GlusterVolume;

/// API group of our kinds.
pub const GROUP: &str = "gluster-operator.io";
/// Name of the CSI driver.
pub const CSI_DRIVER: &str = "csi.gluster-operator.io";
/// Keeps a GlusterCluster or GlusterVolume until what it stands for is dealt with.
pub const FINALIZER: &str = "gluster-operator.io/cleanup";
/// On PersistentVolumes and claims that we made: uid of the GlusterVolume.
pub const VOLUME_UID_LABEL: &str = "gluster-operator.io/volume-uid";
