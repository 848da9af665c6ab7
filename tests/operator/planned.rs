//! `gluster-operator plan` tells, in another process and before, what the controller then does: word for word, and nothing
//! more.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::operator_lab::{CLUSTERS, POOL, VOLUMES, World, as_declared, say, volume};

const SOON: Duration = Duration::from_secs(45);

/// Runs the program on these objects; what it printed is on its standard output as JSON.
pub(crate) fn plan(world: &World, objects: &[Value]) -> Output {
    let file = world.names.dir.join("planned.yaml");
    let documents: Vec<String> = objects.iter().map(ToString::to_string).collect();
    std::fs::write(&file, documents.join("\n---\n")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .args(["plan", "-o", "json", "-n", "shop", "-f"])
        .arg(&file)
        .arg("--kubeconfig")
        .arg(world.kube.kubeconfig())
        .output()
        .unwrap()
}

pub(crate) fn previews(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {output:?}");
    })
}

/// A cluster as the API server has it, as somebody would keep it in a file.
pub(crate) fn file_of(world: &World, cluster: &str) -> Value {
    let mut object = world.get(&format!("{CLUSTERS}/{cluster}")).unwrap();
    object["metadata"] = json!({"name": cluster});
    object.as_object_mut().unwrap().remove("status");
    object
}

/// Each step that it tells, with the hosts of its commands.
pub(crate) fn steps(output: &Output) -> Vec<(Value, Vec<String>)> {
    let previews = previews(output);
    let steps = previews.as_array().into_iter().flatten();
    let steps = steps.flat_map(|one| one["steps"].as_array().cloned().unwrap_or_default());
    let hosts = |step: &Value| {
        let commands = step["commands"].as_array().cloned().unwrap_or_default();
        let mut hosts: Vec<String> = commands
            .iter()
            .filter_map(|command| Some(command["host"].as_str()?.to_owned()))
            .collect();
        hosts.dedup();
        hosts
    };
    steps.map(|step| (step.clone(), hosts(&step))).collect()
}

/// What it says would be sent to glusterd, without the first word.
fn commands(output: &Output) -> Vec<String> {
    let steps = |preview: &Value| preview["steps"].as_array().cloned().unwrap_or_default();
    let previews = previews(output);
    let steps = previews.as_array().into_iter().flatten().flat_map(steps);
    steps
        .flat_map(|step| step["commands"].as_array().cloned().unwrap_or_default())
        .filter_map(|command| {
            let typed = command["command"].as_str()?.strip_prefix("gluster ")?;
            Some(typed.to_owned())
        })
        .collect()
}

/// What glusterd's logs say was done on any host, in the same form.
fn done(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| {
            let (_, command) = line.split_once("]  : ").unwrap_or(("", line));
            let (command, result) = command.rsplit_once(" : ").unwrap_or((command, ""));
            assert_eq!(result, "SUCCESS", "{line}");
            command.trim().to_owned()
        })
        .collect()
}

pub(crate) fn plan_is_what_is_done(world: &World) {
    let fields = json!({
        "capacity": "32Mi", "profile": "database", "options": {"performance.cache-size": "16MB"},
    });
    let mut wanted = volume("planned", &fields);
    wanted["metadata"]["namespace"] = json!("shop");
    world.kill_controller();
    let histories = POOL.map(|host| world.history(host));
    let writes = || -> Vec<String> {
        let all = histories
            .iter()
            .flat_map(super::support::operator_lab::History::writes);
        all.collect()
    };

    // not applied yet: everything is told but the last digits of directories
    let output = plan(world, std::slice::from_ref(&wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(previews(&output)[0]["new"], true);
    assert!(world.get(&format!("{VOLUMES}/planned")).is_none());

    world.volume("planned", &fields);
    let output = plan(world, std::slice::from_ref(&wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = commands(&output);
    assert!(told.len() >= 6, "{told:#?}");
    assert_eq!(writes(), Vec::<String>::new(), "a plan changed something");
    world.start_controller();
    world.wait_volume("planned", SOON, "is as declared", as_declared);
    assert_eq!(done(&writes()), told);
    say(&format!("       {} commands, as told before", told.len()));

    // nothing to do, for the volume and for its cluster as the API server has it
    let both = [file_of(world, "prod"), wanted.clone()];
    let output = plan(world, &both);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(commands(&output).is_empty());

    // an edit: told while the controller runs, and not done by that
    let before = writes().len();
    wanted["spec"]["capacity"] = json!("48Mi");
    wanted["spec"]["options"] = json!({});
    let output = plan(world, std::slice::from_ref(&wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = commands(&output);
    assert_eq!(writes().len(), before, "a plan changed something");
    world.patch(
        &format!("{VOLUMES}/planned"),
        &json!({"spec": {"capacity": "48Mi", "options": null}}),
    );
    world.wait_volume("planned", SOON, "is as declared", as_declared);
    let after: Vec<String> = writes().split_off(before);
    assert_eq!(done(&after), told);
    assert_eq!(told.len(), 2, "{told:?}");

    // what can't be done, and what can't be read
    let mut wrong = wanted.clone();
    wrong["metadata"]["name"] = json!("too-much");
    wrong["spec"]["layout"] = json!({"replicate": {"copies": 5}});
    let output = plan(world, &[wrong.clone()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        previews(&output)[0]["end"][0]
            .as_str()
            .unwrap()
            .contains("DoesNotFit")
    );
    wrong["spec"]["layout"] = json!({});
    let output = plan(world, &[wrong]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("layout"), "{said}");
    let output = plan(world, &[json!({"kind": "GlusterVolume", "spec": 3})]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    world.delete(&format!("{VOLUMES}/planned"));
}
