//! The file that `get-state` writes.

use std::fmt::Write as _;

use super::world::{Machine, Volume, World};

/// The state of a host's glusterd, as it would write it down.
pub(super) fn render(world: &World, host: &str) -> String {
    let Some(machine) = world.machines.get(host) else {
        return String::new();
    };
    let mut text = format!(
        "[Global]\nMYUUID: {}\nop-version: {}\n\n[Global options]\n",
        machine.uuid, machine.op_version
    );
    for (key, value) in &machine.pool_options {
        let _ = writeln!(text, "{key}: {value}");
    }
    text += "\n[Peers]\n";
    for (at, peer) in machine.peers.iter().enumerate() {
        let connected = world
            .by_uuid(&peer.uuid)
            .is_some_and(|other| world.connected(machine, other));
        let head = format!("Peer{}", at + 1);
        let _ = write!(
            text,
            "{head}.primary_hostname: {}\n{head}.uuid: {}\n{head}.state: Peer in Cluster\n{head}.connected: {}\n{head}.othernames: {}\n",
            peer.hostname,
            peer.uuid,
            if connected {
                "Connected"
            } else {
                "Disconnected"
            },
            peer.aliases.join(",")
        );
    }
    text += "\n[Volumes]\n";
    for (at, (name, volume)) in machine.volumes.iter().enumerate() {
        one_volume(
            &mut text,
            at + 1,
            name,
            volume,
            machine,
            world.quorate(host),
        );
    }
    text += "\n[Services]\n";
    if !machine.volumes.is_empty() {
        let quotad = machine
            .volumes
            .values()
            .any(|volume| volume.started() && volume.quota());
        for (at, (service, online)) in [("bitd", false), ("scrub", false), ("quotad", quotad)]
            .iter()
            .enumerate()
        {
            let online = if *online { "Online" } else { "Offline" };
            let _ = write!(
                text,
                "svc{0}.name: {service}\nsvc{0}.online_status: {online}\n\n",
                at + 1
            );
        }
    }
    text + "\n[Misc]\nBase port: 49152\n"
}

fn type_name(volume: &Volume) -> String {
    let kind = if volume.shape.disperse > 0 {
        "Disperse"
    } else if volume.shape.replica > 1 {
        "Replicate"
    } else {
        return "Distribute".to_owned();
    };
    if volume.bricks.len() > volume.shape.set() {
        format!("Distributed-{kind}")
    } else {
        kind.to_owned()
    }
}

fn one_volume(
    text: &mut String,
    number: usize,
    name: &str,
    volume: &Volume,
    machine: &Machine,
    quorate: bool,
) {
    let head = format!("Volume{number}");
    let shape = volume.shape;
    let mut field = |key: &str, value: &str| {
        let _ = writeln!(text, "{head}.{key}: {value}");
    };
    field("name", name);
    field("id", &volume.id);
    field("type", &type_name(volume));
    field("transport_type", "tcp");
    field("status", volume.status);
    field("profile_enabled", "0");
    field("brickcount", &volume.bricks.len().to_string());
    for (at, brick) in volume.bricks.iter().enumerate() {
        let mut of_brick = |key: &str, value: &str| field(&format!("Brick{}.{key}", at + 1), value);
        of_brick("path", &format!("{}:{}", brick.host, brick.path));
        of_brick("hostname", &brick.host);
        if brick.uuid == machine.uuid {
            let online = machine.running.contains(&brick.path);
            of_brick("port", if online { "49152" } else { "0" });
            of_brick("rdma_port", "0");
            of_brick("port_registered", if online { "1" } else { "0" });
            of_brick("status", if online { "Started" } else { "Stopped" });
            of_brick("spacefree", "549755813888Bytes");
            of_brick("spacetotal", "1099511627776Bytes");
        }
        if brick.arbiter {
            of_brick("is_arbiter", "1");
        }
    }
    let quorum = match (volume.server_quorum(), quorate) {
        (false, _) => "not_applicable",
        (true, true) => "meets",
        (true, false) => "does_not_meet",
    };
    for (key, value) in [
        ("snap_count", 0),
        ("stripe_count", 1),
        ("replica_count", shape.replica),
        ("subvol_count", volume.bricks.len() / shape.set()),
        ("arbiter_count", shape.arbiter),
        ("disperse_count", shape.disperse),
        ("redundancy_count", shape.redundancy),
    ] {
        field(key, &value.to_string());
    }
    field("quorum_status", quorum);
    field("rebalance.status", "not_started");
    field("gsync_count", "0");
    for (key, value) in &volume.options {
        field(&format!("options.{key}"), value);
    }
    *text += "\n";
}
