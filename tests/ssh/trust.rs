//! Keys of both sides.

use super::*;

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
