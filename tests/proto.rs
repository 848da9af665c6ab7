//! Our interface files against the published ones: every service, method, message, field and enum value of ours
//! is there, with the same number and type. The published files lie in Go's module cache, where the lab's Go tools
//! bring them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // a test stops at the first surprise

use std::path::{Path, PathBuf};
use std::process::Command;

use protox::prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};

fn load(directory: &Path, file: &str) -> DescriptorPool {
    let mut compiler = protox::Compiler::new([directory]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap();
    compiler.descriptor_pool()
}

fn ours(file: &str) -> DescriptorPool {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("proto"), file)
}

/// A published file, by a path in Go's module cache whose `@` part may be a prefix of a version.
fn published(module_parent: &str, module: &str, file: &str) -> Option<DescriptorPool> {
    let found = module_cache().and_then(|cache| {
        let mut versions: Vec<PathBuf> = std::fs::read_dir(cache.join(module_parent))
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(module))
            })
            .map(|path| path.join(file))
            .filter(|path| path.is_file())
            .collect();
        versions.sort();
        versions.pop()
    });
    if found.is_none() {
        let what = format!("{module_parent}/{module}*/{file} in Go's module cache");
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI lacks {what}"
        );
        println!("skipped: there is no {what}");
    }
    let found = found?;
    println!("compared with {}", found.display());
    Some(load(
        found.parent().unwrap(),
        found.file_name().unwrap().to_str().unwrap(),
    ))
}

fn module_cache() -> Option<PathBuf> {
    let output = Command::new("go")
        .args(["env", "GOMODCACHE"])
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

/// All that makes a field what it is on the wire, as text.
fn field(field: &FieldDescriptor) -> String {
    let oneof = field
        .containing_oneof()
        .map(|oneof| oneof.name().to_owned());
    format!(
        "{} = {} {:?} {:?} {:?}",
        field.name(),
        field.number(),
        field.kind(),
        field.cardinality(),
        oneof
    )
}

fn message(message: &MessageDescriptor) -> Vec<String> {
    message.fields().map(|each| field(&each)).collect()
}

fn values(of: &EnumDescriptor) -> Vec<String> {
    of.values()
        .map(|value| format!("{} = {}", value.name(), value.number()))
        .collect()
}

/// Compares everything in `package`; returns how many things were compared.
fn assert_subset(ours: &DescriptorPool, theirs: &DescriptorPool, package: &str) -> usize {
    let mut compared = 0;
    let mut all_in = |name: &str, ours: Vec<String>, theirs: Vec<String>| {
        for each in ours {
            assert!(
                theirs.contains(&each),
                "{name}: we have {each}, published are {theirs:#?}"
            );
            compared += 1;
        }
    };
    for service in ours
        .services()
        .filter(|each| each.package_name() == package)
    {
        let their = theirs
            .get_service_by_name(service.full_name())
            .expect("the service is published");
        let methods = |of: &protox::prost_reflect::ServiceDescriptor| {
            of.methods()
                .map(|method| {
                    format!(
                        "{}({}{}) -> {}{}",
                        method.name(),
                        method.is_client_streaming(),
                        method.input().full_name(),
                        method.is_server_streaming(),
                        method.output().full_name()
                    )
                })
                .collect()
        };
        all_in(service.full_name(), methods(&service), methods(&their));
    }
    for each in ours
        .all_messages()
        .filter(|each| each.package_name() == package)
    {
        let their = theirs
            .get_message_by_name(each.full_name())
            .unwrap_or_else(|| {
                panic!("the message {} is not published", each.full_name());
            });
        all_in(each.full_name(), message(&each), message(&their));
    }
    for each in ours
        .all_enums()
        .filter(|each| each.package_name() == package)
    {
        let their = theirs
            .get_enum_by_name(each.full_name())
            .unwrap_or_else(|| {
                panic!("the enum {} is not published", each.full_name());
            });
        all_in(each.full_name(), values(&each), values(&their));
    }
    compared
}

#[test]
fn csi_is_a_subset_of_the_published_interface() {
    let Some(theirs) = published(
        "github.com/container-storage-interface",
        "spec@v1.12.",
        "csi.proto",
    ) else {
        return;
    };
    let compared = assert_subset(&ours("csi.proto"), &theirs, "csi.v1");
    assert!(compared >= 90, "only {compared} things were compared");
}

#[test]
fn plugin_registration_is_the_kubelets() {
    let file = "pkg/apis/pluginregistration/v1/api.proto";
    let Some(theirs) = published("k8s.io", "kubelet@", file) else {
        return;
    };
    let compared = assert_subset(
        &ours("pluginregistration.proto"),
        &theirs,
        "pluginregistration",
    );
    assert_eq!(compared, 8);
}

#[test]
fn no_message_of_ours_carries_secrets() {
    let pool = ours("csi.proto");
    let fields: Vec<String> = pool
        .all_messages()
        .flat_map(|each| message(&each))
        .filter(|field| field.contains("secret"))
        .collect();
    assert!(fields.is_empty(), "{fields:?}");
    // What is not decoded can't be logged; and the check above does look at fields.
    assert!(
        pool.get_message_by_name("csi.v1.NodeStageVolumeRequest")
            .unwrap()
            .fields()
            .len()
            == 5
    );
}
