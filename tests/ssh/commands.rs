//! What comes back from a command, and how many run at once.

use super::*;

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
    // the last command was also the last to need the connection
    sshd.wait_for_sessions(0).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "whole");
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
    };
    for (operation, commands) in [(&inspect, 6), (&survey, 6), (&trash, 1)] {
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

#[tokio::test]
async fn new_session_keys_in_the_middle_disturb_nothing() {
    let Some(sshd) = Sshd::start(&["RekeyLimit=1M"]) else {
        return;
    };
    let (host, _rotate) = host(&sshd);
    let text = "0123456789abcde\n".repeat(3 << 16);
    // new keys are much to compute on a machine with other things to do
    let copy = || within(fed(command(&["cat"]), text.clone()), 90.0);
    let copies = (0..4).map(|_| ok(&host, copy()));
    for copy in join_all(copies).await {
        assert!(copy == text, "{} of {} bytes", copy.len(), text.len());
    }
    assert_eq!(sshd.logins(), 1);
}
