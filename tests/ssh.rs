//! The SSH transport against a real sshd on the loopback, and the local one beside it.
//!
//! Needs root and Debian's openssh-server. Each test has an sshd of its own, with its own keys and port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)] // it is all tests
mod sshd;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use gluster_operator::gluster::model::SilentKind;
use gluster_operator::gluster::operation::{Command, Operation};
use gluster_operator::gluster::outcome::Output;
use gluster_operator::host::{Credentials, Host, HostError, LocalHost, SshConfig, SshHost};
use tokio::sync::watch;

use sshd::{Kind, Sshd};

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(ToString::to_string).collect(),
        stdin: None,
        deadline: Duration::from_secs(20),
    }
}

fn shell(script: &str) -> Command {
    command(&["sh", "-c", script])
}

fn within(command: Command, seconds: f32) -> Command {
    Command {
        deadline: Duration::from_secs_f32(seconds),
        ..command
    }
}

fn fed(command: Command, text: impl Into<String>) -> Command {
    Command {
        stdin: Some(text.into()),
        ..command
    }
}

fn config(sshd: &Sshd) -> SshConfig {
    SshConfig {
        name: "node1".parse().unwrap(),
        address: "127.0.0.1".into(),
        port: sshd.port,
        user: "root".into(),
        sudo: false,
    }
}

type Rotate = watch::Sender<Arc<Credentials>>;

/// A host that logs in with the sshd's own client key.
fn host(sshd: &Sshd) -> (SshHost, Rotate) {
    host_with(sshd, &sshd.client_key(Kind::Ed25519), &sshd.known_hosts())
}

fn host_with(sshd: &Sshd, key: &str, known_hosts: &str) -> (SshHost, Rotate) {
    let (sender, receiver) =
        watch::channel(Arc::new(Credentials::parse(key, known_hosts).unwrap()));
    (SshHost::new(config(sshd), receiver), sender)
}

async fn ok(host: &SshHost, command: Command) -> String {
    let argv = command.argv.clone();
    let output = host
        .run(command)
        .await
        .unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    assert_eq!(output.exit, Some(0), "{argv:?}: {}", output.stderr);
    output.stdout
}

async fn refused(host: &SshHost) -> HostError {
    host.run(command(&["true"])).await.expect_err("refused")
}

/// Tries until it works, through the backoff.
async fn works_again(host: &SshHost) {
    let start = Instant::now();
    loop {
        match host.run(command(&["true"])).await {
            Ok(output) => return assert_eq!(output.exit, Some(0), "{}", output.stderr),
            Err(error) => assert!(start.elapsed().as_secs() < 15, "still {error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn arguments_arrive_as_they_were() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (plain, credentials) = host(&sshd);
    let by_sudo = SshHost::new(
        SshConfig {
            sudo: true,
            ..config(&sshd)
        },
        credentials.subscribe(),
    );
    let hostile = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "'\\''",
        "$(id -u)",
        "`id -u`",
        "$HOME",
        "~",
        "*",
        "a b",
        "a\nb\n",
        "\t",
        ";id",
        "&& id",
        "| id",
        "> x",
        "# x",
        "!!",
        "{a,b}",
        "-n",
        "--",
        "A=b",
        "%s",
        "ä日本\u{202e}",
        "\r\n",
        "\x1b[31m",
    ];
    let mut argv = vec!["printf", "%s\\0"];
    argv.extend(hostile);
    for host in [&plain, &by_sudo] {
        let text = ok(host, command(&argv)).await;
        let read: Vec<_> = text.split_terminator('\0').collect();
        assert_eq!(read, hostile);
    }
    assert_eq!(sshd.sudo_calls(), 1, "only the one of them uses sudo");
    let nul = plain.run(command(&["cat", "a\0b"])).await.unwrap_err();
    assert!(nul.why.contains("NUL"), "{nul}");
}

#[tokio::test]
async fn exit_status_streams_and_environment() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    for code in [0, 1, 75, 126, 255] {
        let output = host.run(shell(&format!("exit {code}"))).await.unwrap();
        assert_eq!(output.exit, Some(code));
    }
    let output = host
        .run(shell("echo out; echo err >&2; exit 3"))
        .await
        .unwrap();
    let want = Output {
        exit: Some(3),
        stdout: "out\n".into(),
        stderr: "err\n".into(),
    };
    assert_eq!(output, want);
    let missing = host.run(command(&["no-such-program"])).await.unwrap();
    assert_eq!(missing.exit, Some(127), "{}", missing.stderr);
    assert_eq!(
        ok(&host, shell("echo $LC_ALL $PATH")).await,
        "C /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    );
    // input: none, short, longer than all windows, and not read at all
    assert_eq!(ok(&host, command(&["cat"])).await, "");
    assert_eq!(ok(&host, fed(command(&["cat"]), "ä\n")).await, "ä\n");
    let long = "0123456789abcde\n".repeat(5 << 16);
    assert_eq!(ok(&host, fed(command(&["cat"]), long.clone())).await, long);
    assert_eq!(ok(&host, fed(command(&["true"]), long)).await, "");
    // output that comes after the program has ended
    assert_eq!(
        ok(&host, shell("(sleep 0.5; echo late) & echo soon")).await,
        "soon\nlate\n"
    );
    assert_eq!(sshd.logins(), 1, "all on one connection");
}

#[tokio::test]
async fn an_end_without_status_is_unknown() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    let killed = host.run(shell("echo begun; kill -9 $$")).await.unwrap();
    assert_eq!((killed.exit, killed.stdout.as_str()), (None, "begun\n"));
    assert!(killed.stderr.contains("signal KILL"), "{}", killed.stderr);

    let work = host.run(shell("echo begun; sleep 30"));
    let cut = async {
        sshd.wait_for("sleep", 1).await;
        sshd.kill_sessions();
    };
    let start = Instant::now();
    let (output, ()) = tokio::join!(work, cut);
    let output = output.unwrap();
    assert_eq!(output.exit, None);
    assert!(
        output.stderr.contains("connection broke"),
        "{}",
        output.stderr
    );
    assert!(start.elapsed().as_secs() < 10, "noticed at once");
    assert_eq!(ok(&host, command(&["echo", "again"])).await, "again\n");
    assert_eq!(sshd.logins(), 2);
}

#[tokio::test]
async fn a_connection_that_broke_while_idle_is_made_again() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    for logins in 1..=3 {
        // no pause: the client may not have noticed that its connection is gone
        assert_eq!(ok(&host, command(&["echo", "x"])).await, "x\n");
        assert_eq!(sshd.logins(), logins);
        sshd.kill_sessions();
    }
}

#[tokio::test]
async fn past_its_deadline_a_command_is_unknown() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    ok(&host, command(&["true"])).await;
    let start = Instant::now();
    let (late, other) = tokio::join!(
        host.run(within(shell("echo begun; sleep 30"), 4.0)),
        host.run(shell("sleep 6; echo unharmed"))
    );
    let late = late.unwrap();
    assert_eq!((late.exit, late.stdout.as_str()), (None, "begun\n"));
    assert!(
        late.stderr.contains("no result within 4 s"),
        "{}",
        late.stderr
    );
    assert_eq!(
        other.unwrap().stdout,
        "unharmed\n",
        "on the same connection"
    );
    assert!(start.elapsed().as_secs() < 12);
    assert_eq!(sshd.logins(), 1);
    assert_eq!(ok(&host, command(&["echo", "next"])).await, "next\n");
    assert_eq!(
        sshd.logins(),
        2,
        "a new connection, since the old one may be sick"
    );
}

#[tokio::test]
async fn only_pinned_host_keys_are_accepted() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let key = sshd.client_key(Kind::Ed25519);
    let port = sshd.port;
    let real = sshd.host_key(Kind::Ed25519);
    let (rsa, ecdsa) = (sshd.host_key(Kind::Rsa), sshd.host_key(Kind::Ecdsa));
    let other = sshd.foreign_host_key();
    let fingerprint = sshd.host_fingerprint(Kind::Ed25519);
    let hashed = sshd.hashed(&format!("[127.0.0.1]:{port} {real}"));
    for (text, want) in [
        (format!("[127.0.0.1]:{port} {real}"), None),
        (format!("[node1]:{port} {real}"), None),
        (
            format!("[127.0.0.1]:{port} {other}\n[127.0.0.1]:{port} {real}"),
            None,
        ),
        (hashed, None),
        // the server has three keys and shows the one that is pinned
        (format!("[node1]:{port} {rsa}"), None),
        (format!("[node1]:{port} {ecdsa}"), None),
        (format!("[node1]:{port} {real}\n@revoked * {other}"), None),
        (format!("127.0.0.1,node1 {real}"), Some("host key missing")),
        (format!("[node2]:{port} {real}"), Some("host key missing")),
        (
            format!("[node2]:{port} {real}\n@cert-authority * {real}"),
            Some("@cert-authority line (2)"),
        ),
        (
            format!("[node1]:{port} {other}"),
            Some("host key different"),
        ),
        (
            format!("[node1]:{port} {real}\n@revoked [node1]:{port} {real}"),
            Some("host key revoked"),
        ),
        (
            format!("[node1]:{port} {real}\n@revoked * {real}"),
            Some("line 2 of known_hosts revokes"),
        ),
    ] {
        let (host, _rotate) = host_with(&sshd, &key, &text);
        let before = sshd.logins();
        let Some(word) = want else {
            assert_eq!(ok(&host, command(&["echo", "in"])).await, "in\n", "{text}");
            continue;
        };
        let error = refused(&host).await;
        assert_eq!(error.kind, SilentKind::HostKey, "{error}");
        assert_eq!(error.address, format!("127.0.0.1:{port}"));
        for part in [word, &fingerprint, &format!("127.0.0.1:{port}")] {
            assert!(error.why.contains(part), "{part} in {error}");
        }
        assert_eq!(sshd.logins(), before, "our key was not even shown: {text}");
    }
}

#[tokio::test]
async fn a_server_with_another_kind_of_key_shows_it_in_the_error() {
    let Some(sshd) = Sshd::start(&["HostKeyAlgorithms=rsa-sha2-512"]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    let error = refused(&host).await;
    assert_eq!(error.kind, SilentKind::HostKey, "{error}");
    for part in [
        "host key different",
        &sshd.host_fingerprint(Kind::Rsa),
        &sshd.host_fingerprint(Kind::Ed25519),
    ] {
        assert!(error.why.contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn a_server_that_opens_no_session() {
    let Some(sshd) = Sshd::start(&["MaxSessions=0"]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    let error = refused(&host).await;
    assert_eq!(error.kind, SilentKind::Unreachable, "{error}");
    assert!(error.why.contains("MaxSessions"), "{error}");
    assert_eq!(sshd.logins(), 2, "tried again once");
    assert_eq!(refused(&host).await, error);
    assert_eq!(sshd.logins(), 2, "and then waits");
}

#[tokio::test]
async fn new_session_keys_in_the_middle_disturb_nothing() {
    let Some(sshd) = Sshd::start(&["RekeyLimit=1M"]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    let text = "0123456789abcde\n".repeat(3 << 16);
    let copies = (0..4).map(|_| ok(&host, fed(command(&["cat"]), text.clone())));
    for copy in join_all(copies).await {
        assert!(copy == text, "{} of {} bytes", copy.len(), text.len());
    }
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn each_kind_of_client_key_is_taken_and_a_wrong_one_refused() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    for kind in [Kind::Ed25519, Kind::Ecdsa, Kind::Rsa] {
        let (host, _rotate) = host_with(&sshd, &sshd.client_key(kind), &sshd.known_hosts());
        assert_eq!(ok(&host, command(&["id", "-u"])).await, "0\n", "{kind:?}");
    }
    sshd.authorize(&[Kind::Rsa]);
    let (host, _rotate) = host(&sshd);
    let error = refused(&host).await;
    assert_eq!(error.kind, SilentKind::Authentication, "{error}");
    assert!(
        error.why.contains("SHA256:") && error.why.contains("authorized_keys"),
        "{error}"
    );
    sshd.authorize(&[Kind::Ed25519]);
    works_again(&host).await;
}

#[tokio::test]
async fn an_unknown_user_and_a_server_without_keys() {
    let Some(sshd) = Sshd::start(&["PubkeyAuthentication=no", "PasswordAuthentication=yes"]) else {
        return;
    };
    let (host, rotate) = host(&sshd);
    let error = refused(&host).await;
    assert_eq!(error.kind, SilentKind::Authentication, "{error}");
    assert!(error.why.contains("PubkeyAuthentication"), "{error}");
    let nobody = SshConfig {
        user: "no-such-user".into(),
        ..config(&sshd)
    };
    let error = refused(&SshHost::new(nobody, rotate.subscribe())).await;
    assert_eq!(error.kind, SilentKind::Authentication, "{error}");
}

#[tokio::test]
async fn other_credentials_take_effect() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, rotate) = host(&sshd);
    let known = sshd.known_hosts();
    let send = |kind: Kind| {
        let credentials = Credentials::parse(&sshd.client_key(kind), &known).unwrap();
        rotate.send(Arc::new(credentials)).unwrap();
    };
    ok(&host, command(&["true"])).await;
    // the same content again changes nothing
    send(Kind::Ed25519);
    ok(&host, command(&["true"])).await;
    assert_eq!(sshd.logins(), 1);

    // a running command goes on, the next takes the new key
    let running = {
        let host = host.clone();
        tokio::spawn(async move { host.run(shell("sleep 2; echo done")).await })
    };
    sshd.wait_for("sleep", 1).await;
    send(Kind::Rsa);
    ok(&host, command(&["true"])).await;
    assert_eq!(
        (sshd.logins(), sshd.sessions()),
        (2, 2),
        "old and new side by side"
    );
    assert_eq!(running.await.unwrap().unwrap().stdout, "done\n");
    sshd.wait_for_sessions(1).await;
    assert_eq!(sshd.last_login_key(), "RSA");

    // an idle connection goes without waiting for a command
    send(Kind::Ecdsa);
    sshd.wait_for_sessions(0).await;
    ok(&host, command(&["true"])).await;
    assert_eq!(sshd.last_login_key(), "ECDSA");

    // the key that is taken away does not come in, and the one that replaces it does, without waiting
    sshd.authorize(&[Kind::Ed25519]);
    sshd.kill_sessions();
    assert_eq!(refused(&host).await.kind, SilentKind::Authentication);
    send(Kind::Ed25519);
    ok(&host, command(&["true"])).await;

    // so does a host key that is revoked
    let revoked = format!("{known}\n@revoked * {}", sshd.host_key(Kind::Ed25519));
    let credentials = Credentials::parse(&sshd.client_key(Kind::Ed25519), &revoked).unwrap();
    rotate.send(Arc::new(credentials)).unwrap();
    assert_eq!(refused(&host).await.kind, SilentKind::HostKey);

    drop(host);
    sshd.wait_for_sessions(0).await;
}

#[tokio::test]
async fn a_server_that_dies_is_unknown_then_unreachable_then_back() {
    let Some(mut sshd) = Sshd::start(&[]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    let work = host.run(shell("sleep 30"));
    let die = async {
        sshd.wait_for("sleep", 1).await;
        sshd.stop();
    };
    let (output, ()) = tokio::join!(work, die);
    assert_eq!(output.unwrap().exit, None);

    let error = refused(&host).await;
    assert_eq!(error.kind, SilentKind::Unreachable, "{error}");
    assert!(error.why.contains("refused"), "{error}");
    // in the backoff the answer is the same, and comes without a try
    let listener = std::net::TcpListener::bind(("127.0.0.1", sshd.port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(refused(&host).await, error);
    }
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    let tried = listener.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(tried, Err(std::io::ErrorKind::WouldBlock), "nobody came");
    drop(listener);

    sshd.again();
    works_again(&host).await;
    assert_eq!(ok(&host, command(&["echo", "back"])).await, "back\n");
}

#[tokio::test]
async fn commands_share_one_connection() {
    let Some(sshd) = Sshd::start(&[]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    // each waits at the gate, which opens when all are there
    let gate = sshd.gate();
    let script = format!("echo $SSH_CONNECTION; exec cat {}", gate.display());
    let many = join_all((0..8).map(|_| ok(&host, shell(&script))));
    let open = async {
        sshd.wait_for("cat", 8).await;
        std::fs::write(&gate, "").unwrap();
    };
    let (places, ()) = tokio::join!(many, open);
    assert!(places.iter().all(|place| place == &places[0]), "{places:?}");
    // more than there are places, from many callers
    let more = (0..40).map(|n| {
        let host = host.clone();
        async move {
            assert_eq!(
                ok(&host, command(&["echo", &n.to_string()])).await,
                format!("{n}\n")
            );
        }
    });
    join_all(more).await;
    assert_eq!(sshd.logins(), 1);

    let start = Instant::now();
    for _ in 0..20 {
        ok(&host, command(&["true"])).await;
    }
    println!("a command on a kept connection: {:?}", start.elapsed() / 20);
}

#[tokio::test]
async fn a_server_with_few_sessions_is_enough() {
    let Some(sshd) = Sshd::start(&["MaxSessions=2"]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    let start = Instant::now();
    let outputs = join_all((0..8).map(|_| ok(&host, shell("sleep 0.5; echo x")))).await;
    assert!(outputs.iter().all(|text| text == "x\n"));
    assert!(
        start.elapsed().as_secs_f32() > 1.9,
        "two at a time: {:?}",
        start.elapsed()
    );
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn hanging_commands_do_not_keep_others_out() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    let hang = (0..8).map(|_| host.run(within(shell("sleep 30"), 15.0)));
    let wait = async {
        sshd.wait_for("sleep", 8).await;
        host.run(within(command(&["true"]), 1.0)).await
    };
    let (hung, busy) = tokio::join!(join_all(hang), wait);
    assert!(
        hung.iter()
            .all(|output| output.as_ref().is_ok_and(|o| o.exit.is_none()))
    );
    let busy = busy.unwrap_err();
    assert!(busy.why.contains("up to 8 commands"), "{busy}");
    // they still run on the host, but for us that is over
    let outputs = join_all((0..8).map(|_| ok(&host, command(&["echo", "x"])))).await;
    assert!(outputs.iter().all(|text| text == "x\n"));
}

#[tokio::test]
async fn a_silent_server_is_noticed() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    let work = host.run(within(shell("sleep 60"), 60.0));
    let freeze = async {
        sshd.wait_for("sleep", 1).await;
        sshd.freeze_sessions();
        Instant::now()
    };
    let (output, frozen) = tokio::join!(work, freeze);
    let output = output.unwrap();
    assert_eq!(output.exit, None);
    assert!(
        output.stderr.contains("does not answer any more"),
        "{}",
        output.stderr
    );
    let took = frozen.elapsed().as_secs_f32();
    assert!((5.0..18.0).contains(&took), "{took}");
    assert_eq!(ok(&host, command(&["echo", "new"])).await, "new\n");
}

#[tokio::test]
async fn a_port_where_nobody_speaks_ssh() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (_, rotate) = host(&sshd);
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap().port();
    drop(free);
    for (address, port, word, limit) in [
        (
            "127.0.0.1",
            mute.local_addr().unwrap().port(),
            "SSH did not answer within 10 s",
            11.0,
        ),
        ("127.0.0.1", closed, "Connection refused", 1.0),
        (
            "no-such-host.invalid",
            22,
            "the name no-such-host.invalid does not resolve",
            4.0,
        ),
        ("192.0.2.1", 22, "cannot connect to 192.0.2.1:22", 4.0),
    ] {
        let host = SshHost::new(
            SshConfig {
                address: address.into(),
                port,
                ..config(&sshd)
            },
            rotate.subscribe(),
        );
        let start = Instant::now();
        let error = refused(&host).await;
        assert_eq!(error.kind, SilentKind::Unreachable, "{error}");
        assert!(error.why.contains(word), "{error}");
        assert_eq!(error.address, format!("{address}:{port}"));
        assert!(
            start.elapsed().as_secs_f32() < limit,
            "{:?}: {error}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn output_has_a_limit() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    let much = ok(&host, shell("head -c 16777216 /dev/zero | tr '\\0' x")).await;
    assert_eq!(much.len(), 16 << 20);
    for stream in ["", ">&2"] {
        let script = format!("head -c 17000000 /dev/zero | tr '\\0' x {stream}; echo end");
        let output = host.run(shell(&script)).await.unwrap();
        assert_eq!(output.exit, None);
        assert!(output.stderr.ends_with("more than 16 MiB of output"));
        assert!(output.stdout.len() <= 16 << 20);
    }
    assert_eq!(ok(&host, command(&["echo", "after"])).await, "after\n");
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_cut_a_command_off() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (host, _rotate) = host(&sshd);
    let file = sshd.dir.join("written");
    let script = format!("cat > {0}.part; sleep 1; mv {0}.part {0}", file.display());
    let write = host.run(fed(shell(&script), "whole"));
    let gave_up = tokio::select! {
        _ = write => false,
        () = sshd.wait_for("sleep", 1) => true,
    };
    assert!(gave_up && !file.exists());
    drop(host);
    sshd.wait_for("sleep", 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "whole");
    sshd.wait_for_sessions(0).await;
}

#[tokio::test]
async fn operations_give_the_same_over_ssh_and_here() {
    let Some(sshd) = Sshd::start(&[]) else { return };
    let (ssh, _rotate) = host(&sshd);
    let local = LocalHost::new("node1".parse().unwrap());
    let path = |name: &str| sshd.dir.join(name).to_str().unwrap().parse().unwrap();
    std::fs::create_dir(sshd.dir.join("brick")).unwrap();
    std::fs::write(sshd.dir.join("brick/file"), "x").unwrap();
    let inspect = Operation::InspectBricks(vec![path("brick"), path("none"), path("brick/file")]);
    let survey = Operation::Survey {
        // /proc has no free space, which elsewhere moves between two looks
        devices: vec!["/proc".parse().unwrap(), path("none")],
    };
    let trash = Operation::TrashBrick {
        device: path("none"),
        parent: path("none/a"),
        trash: path("none/b"),
        manifest: "{}".into(),
    };
    for (operation, commands) in [(&inspect, 6), (&survey, 7), (&trash, 1)] {
        let there = ssh.perform(operation).await.unwrap();
        assert_eq!(there.len(), commands, "{}", operation.name());
        assert!(
            there.iter().all(|output| output.exit.is_some()),
            "{there:?}"
        );
        assert_eq!(
            there,
            local.perform(operation).await.unwrap(),
            "{}",
            operation.name()
        );
    }
    assert_eq!(ssh.name(), local.name());
    assert_eq!(sshd.logins(), 1);
}
