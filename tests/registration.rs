//! The kubelet's way of calling a plugin's registration socket, byte for byte where it matters: the path of the
//! socket stands where HTTP/2 wants the name of a host.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gluster_operator::csi::registration::keep_registered;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_names_the_sockets_path_as_its_host_is_answered() {
    let dir = std::env::temp_dir().join(format!(
        "gluster-operator-registration-{}",
        std::process::id()
    ));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("reg.sock");
    let stop = CancellationToken::new();
    let server = tokio::spawn(keep_registered(
        path.clone(),
        "/the/csi.sock".into(),
        stop.clone(),
    ));
    let end = Instant::now() + Duration::from_secs(10);
    while !path.exists() {
        assert!(Instant::now() < end, "there is no socket");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // twice on one connection: the second time grpc-go names its host by a number
    let socket = path.clone();
    let answers = tokio::task::spawn_blocking(move || ask_twice(&socket))
        .await
        .unwrap();
    stop.cancel();
    server.await.unwrap().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    for answer in answers {
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.contains("csi.gluster-operator.io") && text.contains("/the/csi.sock"),
            "{text:?}"
        );
    }
}

fn ask_twice(socket: &std::path::Path) -> [Vec<u8>; 2] {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).unwrap();
    let host = b"%2Fvar%2Flib%2Fkubelet%2Fplugins_registry%2Fcsi.gluster-operator.io-reg.sock";
    let mut first = vec![0x83, 0x86]; // POST, http
    literal(&mut first, 4, b"/pluginregistration.Registration/GetInfo"); // :path: entry 64 in the end
    literal(&mut first, 1, host); // entry 63
    literal(&mut first, 31, b"application/grpc"); // content-type: entry 62
    let second = [0x83, 0x86, 0xc0, 0xbf, 0xbe]; // the same three, out of the table
    [(1, first.as_slice()), (3, second.as_slice())].map(|(id, headers)| {
        stream.write_all(&frame(1, 4, id, headers)).unwrap();
        stream.write_all(&frame(0, 1, id, &[0; 5])).unwrap(); // an empty message
        loop {
            let (kind, from, payload) = read(&mut stream);
            assert!(
                !(kind == 3 && from == id),
                "the stream was reset: {payload:?}"
            );
            if kind == 0 && from == id {
                return payload;
            }
        }
    })
}

/// A header field that enters the table, without Huffman coding.
fn literal(block: &mut Vec<u8>, name: u8, value: &[u8]) {
    block.push(0x40 | name);
    block.push(u8::try_from(value.len()).unwrap());
    block.extend_from_slice(value);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn read(stream: &mut UnixStream) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    (
        head[3],
        u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
        payload,
    )
}
