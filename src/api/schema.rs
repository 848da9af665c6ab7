//! Pieces of OpenAPI schema that several fields share.

use schemars::{Schema, SchemaGenerator, json_schema};

/// The same as [`crate::gluster::names::HostName`], with its length of 1 to 63.
pub const HOST_NAME: &str = r"^[A-Za-z0-9]((\.?[A-Za-z0-9-])*\.?[A-Za-z0-9])?$";
/// The same as [`crate::gluster::names::HostPath`], but for `.` and `..`, which a rule refuses.
pub const HOST_PATH: &str = "^(/[A-Za-z0-9._-]{1,255})+$";
/// The same as [`crate::gluster::names::VolumeName`], but for the reserved names, which a rule refuses.
pub const VOLUME_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,53}$";
/// The same as [`crate::gluster::names::ClusterName`], with its length of 1 to 22.
pub const CLUSTER_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// The same as [`crate::gluster::names::Brick`], but for `.` and `..`, which a rule refuses, and for the length of the host.
pub const BRICK: &str =
    r"^[A-Za-z0-9]((\.?[A-Za-z0-9-])*\.?[A-Za-z0-9])?:(/[A-Za-z0-9._-]{1,255})+$";
/// The same as [`crate::gluster::names::AddressPattern`], with its length of 1 to 63.
pub const ADDRESS: &str = r"^(\*|[A-Za-z0-9]((\.?[A-Za-z0-9-])*\.?[A-Za-z0-9])?|((25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})\.){1,3}\*)$";
/// The same as [`crate::gluster::names::OwnerId`], or empty.
pub const OWNER_ID: &str = "^([A-Za-z0-9][A-Za-z0-9.:-]*)?$";
/// A zone of hosts: what the value of a Kubernetes label may be, with its length of 1 to 63.
pub const ZONE: &str = "^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$";
/// How long the trash is kept: a number with its unit, or never.
pub const RETENTION: &str = "^([1-9][0-9]{0,4}[smhd]|Never)$";
/// The value of an option, the same as [`crate::gluster::names::OptionValue`], with its length of 1 to 256.
pub const OPTION_VALUE: &str = r"^[!$-,.-\[\]-_a-~][!$-\[\]-_a-~]*$";
/// Names of namespaced Kubernetes objects.
pub const DNS_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Options of a pool or volume: at most 64 keys, values of 1 to 256 printable characters without blanks, backtick, `"`, `\` and `#`, the
/// first not `-`.
pub fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": OPTION_VALUE},
        "x-kubernetes-validations": [{
            "rule": "self.all(key, key.size() <= 100 && key.matches('^[A-Za-z][A-Za-z0-9._-]*[.][A-Za-z0-9._-]*[A-Za-z0-9_-]$'))",
            "message": "an option key looks like performance.cache-size: letters, digits, '.', '_', '-', at most 100 characters",
        }],
    })
}

/// A selector of labels as Kubernetes has it, with limits: without them a rule on anything around it could
/// be refused for its cost.
pub fn label_selector(_: &mut SchemaGenerator) -> Schema {
    let key = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$";
    let value = json_schema!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$",
    });
    json_schema!({
        "type": ["object", "null"],
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have, with these values.",
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": value,
            },
            "matchExpressions": {
                "description": "Further conditions, which must all hold.",
                "type": "array",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "description": "A condition on one label.",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 317,
                            "pattern": key,
                        },
                        "operator": {
                            "description": "In, NotIn: its value is, or is not, one of `values`. Exists, DoesNotExist: it is there, or not.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values, for In and NotIn.",
                            "type": "array",
                            "maxItems": 32,
                            "x-kubernetes-list-type": "set",
                            "items": value,
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && self.values.size() > 0)",
                        "message": "In and NotIn need values, Exists and DoesNotExist have none",
                    }],
                },
            },
        },
    })
}
