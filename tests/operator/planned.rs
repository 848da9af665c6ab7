//! `gluster-operator plan` tells, in another process and before, what the controller then does: word for word, host for host,
//! and nothing more.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::operator_lab::{
    CLUSTERS, History, POOL, VOLUMES, World, as_declared, condition, say, text, until, volume,
};

const SOON: Duration = Duration::from_secs(45);

/// Runs the program on these objects; what it printed is on its standard output as JSON.
pub(crate) fn plan(world: &World, objects: &[Value]) -> Output {
    plan_with(world, &["-o", "json"], objects)
}

/// The same with these arguments in addition.
fn plan_with(world: &World, form: &[&str], objects: &[Value]) -> Output {
    let file = world.names.dir.join("planned.yaml");
    let documents: Vec<String> = objects.iter().map(ToString::to_string).collect();
    std::fs::write(&file, documents.join("\n---\n")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_gluster-operator"))
        .arg("plan")
        .args(form)
        .args(["-n", "shop", "-f"])
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

/// A host, and what is run there.
type Sent = (String, String);

/// What it says would be run, and where.
fn sent(output: &Output) -> Vec<Sent> {
    let commands = |(step, _): (Value, _)| step["commands"].as_array().cloned();
    steps(output)
        .into_iter()
        .filter_map(commands)
        .flatten()
        .map(|command| {
            let field = |name: &str| text(&command[name]).to_owned();
            (field("host"), field("command"))
        })
        .collect()
}

/// What it says would be sent to glusterd, without the first word: for each host in order.
fn commands(output: &Output) -> Vec<Sent> {
    let typed = |(host, command): Sent| Some((host, command.strip_prefix("gluster ")?.to_owned()));
    let mut told: Vec<Sent> = sent(output).into_iter().filter_map(typed).collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told
}

/// What the log of each host's glusterd says was done there, in the same form.
fn done(histories: &[(&str, History)]) -> Vec<Sent> {
    let of = |(host, history): &(&str, History)| -> Vec<Sent> {
        let command = |line: String| {
            let (_, command) = line.split_once("]  : ").unwrap_or(("", &line));
            let (command, result) = command.rsplit_once(" : ").unwrap_or((command, ""));
            assert_eq!(result, "SUCCESS", "{line}");
            ((*host).to_owned(), command.trim().to_owned())
        };
        history.writes().into_iter().map(command).collect()
    };
    histories.iter().flat_map(of).collect()
}

/// The form for people names the step, the host, the command, what it can do to others, and what is waited for.
fn told_to_people(world: &World, wanted: &Value, told: &[Sent]) {
    let output = plan_with(world, &[], std::slice::from_ref(wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (host, command) in told {
        let found = lines.iter().any(|line| {
            let words = line.split_once(' ');
            words.is_some_and(|(first, rest)| {
                first == host && rest.trim() == format!("gluster {command}")
            })
        });
        assert!(found, "{host}: {command}\n{text}");
    }
    let step = lines.iter().position(|line| *line == "enabling quota");
    let step = &lines[step.unwrap_or_else(|| panic!("no such step\n{text}"))..];
    assert!(
        step[1].ends_with(" gluster volume quota shop_planned enable")
            && step[2].starts_with("risk: restarts the quota daemon of every host")
            && step[3].starts_with("then waits until quota has counted what is there"),
        "{text}"
    );
}

/// While it was made, `Progressing` named each step that was told before, in this order; and then that none is under way.
fn progress_names_the_steps(world: &World, posted: &Value, told: &[String]) {
    let ended = |object: &Value| {
        let (status, reason, _) = condition(object, "Progressing");
        (status.as_str(), reason.as_str()) == ("False", "AsDeclared")
    };
    world.wait_volume("planned", SOON, "has no step under way", ended);
    let mut named: Vec<String> = Vec::new();
    for object in world.changes(VOLUMES, posted) {
        let (status, reason, message) = condition(&object, "Progressing");
        if status == "True" && named.last() != Some(&message) {
            assert_eq!(reason, "Working", "{message}");
            named.push(message);
        }
    }
    assert_eq!(named, told);
}

/// Volumes that are in no file follow their cluster: that is told with the cluster's own steps, and done.
fn an_edit_of_the_cluster_reaches_its_volumes(world: &World) {
    let sorted = |mut commands: Vec<Sent>| {
        commands.sort();
        commands
    };
    let histories = POOL.map(|host| (host, world.history(host)));
    let mut wanted = file_of(world, "prod");
    wanted["spec"]["quotaTimeouts"] = json!({"soft": 17, "hard": 4});
    let output = plan(world, &[wanted]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = sorted(commands(&output));
    let of_volume = |(_, command): &Sent| {
        command.starts_with("volume set shop_planned ")
            && command.contains("features.soft-timeout 17")
    };
    assert!(told.iter().any(of_volume), "{told:?}");
    assert_eq!(done(&histories), [], "a plan changed something");
    let edit = |timeouts: Value| {
        let spec = json!({"spec": {"quotaTimeouts": timeouts}});
        world.patch(&format!("{CLUSTERS}/prod"), &spec);
    };
    edit(json!({"soft": 17, "hard": 4}));
    until(SOON, "what was told is done", || {
        done(&histories).len() >= told.len()
    });
    world.wait_volume("planned", SOON, "is as declared", as_declared);
    assert_eq!(sorted(done(&histories)), told);
    edit(Value::Null);
    until(SOON, "and back", || {
        done(&histories).len() >= 2 * told.len()
    });
    world.wait_volume("planned", SOON, "is as declared", as_declared);
}

pub(crate) fn plan_is_what_is_done(world: &World) {
    let fields = json!({
        "capacity": "32Mi", "profile": "database", "options": {"performance.cache-size": "16MB"},
    });
    let mut wanted = volume("planned", &fields);
    wanted["metadata"]["namespace"] = json!("shop");
    world.kill_controller();
    let begin_histories = || POOL.map(|host| (host, world.history(host)));
    let histories = begin_histories();

    // not applied yet: everything is told but the last digits of directories
    let output = plan(world, std::slice::from_ref(&wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(previews(&output)[0]["new"], true);
    assert!(world.get(&format!("{VOLUMES}/planned")).is_none());

    let posted = world.volume("planned", &fields);
    let output = plan(world, std::slice::from_ref(&wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = commands(&output);
    assert!(told.len() >= 6, "{told:#?}");
    told_to_people(world, &wanted, &told);
    assert_eq!(done(&histories), [], "a plan changed something");
    // the last words are those of the brick itself
    let directories: Vec<Sent> = sent(&output)
        .into_iter()
        .filter(|(_, command)| command.starts_with("mkdir "))
        .map(|(host, command)| (host, command.rsplit(' ').next().unwrap().to_owned()))
        .collect();
    assert_eq!(directories.len(), 3, "{directories:?}");
    let made = |(host, path): &Sent| world.path(host, path).is_dir();
    assert!(!directories.iter().any(made), "{directories:?}");
    world.start_controller();
    world.wait_volume("planned", SOON, "is as declared", as_declared);
    assert_eq!(done(&histories), told);
    assert!(directories.iter().all(made), "{directories:?}");
    let words: Vec<String> = steps(&output)
        .iter()
        .map(|(step, _)| text(&step["step"]).to_owned())
        .collect();
    progress_names_the_steps(world, &posted, &words);
    say(&format!(
        "       {} commands, as told before; {} steps, each named while it was taken",
        told.len(),
        words.len()
    ));

    // nothing to do, for the volume and for its cluster as the API server has it
    let both = [file_of(world, "prod"), wanted.clone()];
    let output = plan(world, &both);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(commands(&output).is_empty());

    // an edit: told while the controller runs, and not done by that
    let histories = begin_histories();
    wanted["spec"]["capacity"] = json!("48Mi");
    wanted["spec"]["options"] = json!({});
    let output = plan(world, std::slice::from_ref(&wanted));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = commands(&output);
    assert_eq!(done(&histories), [], "a plan changed something");
    world.patch(
        &format!("{VOLUMES}/planned"),
        &json!({"spec": {"capacity": "48Mi", "options": null}}),
    );
    world.wait_volume("planned", SOON, "is as declared", as_declared);
    assert_eq!(done(&histories), told);
    assert_eq!(told.len(), 2, "{told:?}");
    an_edit_of_the_cluster_reaches_its_volumes(world);

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
