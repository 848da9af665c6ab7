//! Servers that die, fall silent or never were.

use super::*;

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
