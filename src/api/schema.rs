//! Pieces of OpenAPI schema that several fields share.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `metadata.name` of a GlusterCluster; the same as [`crate::gluster::names::ClusterName`].
pub const HOST_NAME: &str = "^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$";
/// The same as [`crate::gluster::names::HostPath`], but for `.` and `..`, which a rule refuses.
pub const HOST_PATH: &str = "^(/[A-Za-z0-9._-]{1,255})+$";
/// The same as [`crate::gluster::names::VolumeName`].
pub const VOLUME_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,53}$";
/// Names of namespaced Kubernetes objects.
pub const DNS_NAME: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// Options of a pool or volume: at most 64 keys, values of 1 to 256 printable characters without blanks, the first not `-`.
pub fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-,.-~][!-~]*$"},
        "x-kubernetes-validations": [{
            "rule": "self.all(key, key.size() <= 100 && key.matches('^[A-Za-z][A-Za-z0-9._-]*[.][A-Za-z0-9._-]*[A-Za-z0-9_-]$'))",
            "message": "an option key looks like performance.cache-size: letters, digits, '.', '_', '-', at most 100 characters",
        }],
    })
}
