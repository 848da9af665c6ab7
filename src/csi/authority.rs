//! Lets the kubelet in although it names the socket's path as the host that it calls.
//!
//! The kubelet's plugin watcher sends the path of a registration socket as HTTP/2 `:authority`
//! (`%2Fvar%2Flib%2Fkubelet%2F…`). That is no authority, and our HTTP library resets the stream with
//! PROTOCOL_ERROR. So the header is replaced on its way in, by the same trick in any version of either side: only
//! the literal's value changes, and everything else that was compressed means what it meant.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;

/// What stands in for the caller's authority.
const AUTHORITY: &[u8] = b"localhost";
/// `PRI * HTTP/2.0…`, with which a connection begins.
const PREFACE: usize = 24;
/// The largest frame that a peer may send before it is told otherwise.
const MAX_FRAME: usize = 16_384;
const BUFFER: usize = 64 * 1024;

const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// A connection as the server should see it. It ends when either side ends.
pub fn tolerate(stream: UnixStream) -> DuplexStream {
    let (server, ours) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        let (mut from_client, mut to_client) = stream.into_split();
        let (mut from_server, mut to_server) = tokio::io::split(ours);
        let ended = tokio::select! {
            ended = forward(&mut from_client, &mut to_server) => ended,
            ended = tokio::io::copy(&mut from_server, &mut to_client) => ended.map(|_| ()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a registration connection ended");
        }
    });
    server
}

/// Copies an HTTP/2 client's bytes frame by frame.
async fn forward(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut preface = [0; PREFACE];
    from.read_exact(&mut preface).await?;
    to.write_all(&preface).await?;
    loop {
        let mut head = [0; 9];
        if let Err(error) = from.read_exact(&mut head).await {
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                Ok(())
            } else {
                Err(error)
            };
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if length > MAX_FRAME {
            return Err(io::Error::other("a frame is too long"));
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload).await?;
        if head[3] == HEADERS
            && head[4] & END_HEADERS != 0
            && let Some(changed) = block(head[4], &payload).and_then(replace)
        {
            payload = changed;
            head[4] &= !(PADDED | PRIORITY);
            let length = u32::try_from(payload.len())
                .map_err(io::Error::other)?
                .to_be_bytes();
            head[..3].copy_from_slice(&length[1..]);
        }
        to.write_all(&head).await?;
        to.write_all(&payload).await?;
    }
}

/// The compressed headers in a HEADERS frame, without padding and priority.
fn block(flags: u8, payload: &[u8]) -> Option<&[u8]> {
    let (padding, rest) = if flags & PADDED == 0 {
        (0, payload)
    } else {
        (usize::from(*payload.first()?), &payload[1..])
    };
    let rest = if flags & PRIORITY == 0 {
        rest
    } else {
        rest.get(5..)?
    };
    rest.get(..rest.len().checked_sub(padding)?)
}

/// The same compressed headers (RFC 7541) with another authority; `None` when they can't be read.
fn replace(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut changed = Vec::with_capacity(rest.len());
    while let Some(&first) = rest.first() {
        let (bits, literal) = match first {
            0x80.. => (7, false),     // a field of the table
            0x40..0x80 => (6, true),  // a literal that enters the table
            0x20..0x40 => (5, false), // the table's size
            0x00..0x20 => (4, true),  // a literal that does not
        };
        let (index, mut length) = integer(rest, bits)?;
        if literal {
            if index == 0 {
                length += string(rest.get(length..)?)?;
            }
            let value = string(rest.get(length..)?)?;
            if index == 1 {
                changed.extend_from_slice(rest.get(..length)?);
                changed.push(u8::try_from(AUTHORITY.len()).ok()?);
                changed.extend_from_slice(AUTHORITY);
                rest = rest.get(length + value..)?;
                continue;
            }
            length += value;
        }
        changed.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length..)?;
    }
    Some(changed)
}

/// An integer that begins in the last `bits` of the first byte, and how many bytes it takes.
fn integer(bytes: &[u8], bits: u8) -> Option<(usize, usize)> {
    let all = (1usize << bits) - 1;
    let mut value = usize::from(*bytes.first()?) & all;
    if value < all {
        return Some((value, 1));
    }
    for (position, shift) in (1..4).zip([0, 7, 14]) {
        let byte = usize::from(*bytes.get(position)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, position + 1));
        }
    }
    None
}

/// How many bytes a string takes, its length included.
fn string(bytes: &[u8]) -> Option<usize> {
    let (length, taken) = integer(bytes, 7)?;
    let all = taken + length;
    (bytes.len() >= all).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `:method POST`, `:scheme http`, a literal path, then an authority, then `te: trailers` with a new name.
    fn headers(authority: &[u8]) -> Vec<u8> {
        let mut block = vec![0x83, 0x86, 0x44, 2, b'/', b'x'];
        block.extend_from_slice(authority);
        block.extend_from_slice(&[0x40, 2, b't', b'e', 1, b't']);
        block
    }

    #[test]
    fn the_authority_is_replaced_and_nothing_else() {
        let ours = headers(&[&[0x41, 9][..], b"localhost"].concat());
        let long = [b'a'; 300];
        for authority in [
            [&[0x41, 6][..], b"%2Fvar"].concat(),     // enters the table
            [&[0x41, 0x83][..], &[1, 2, 3]].concat(), // Huffman coded
            [&[0x41, 0x7f, 0xad, 0x01][..], &long].concat(), // 300 bytes
        ] {
            assert_eq!(
                replace(&headers(&authority)).unwrap(),
                ours,
                "{authority:?}"
            );
        }
        let without = headers(&[&[0x01, 1][..], b"/"].concat());
        assert_eq!(
            replace(&without).unwrap(),
            headers(&[&[0x01, 9][..], b"localhost"].concat())
        );
        let from_the_table = headers(&[0xbe]);
        assert_eq!(replace(&from_the_table).unwrap(), from_the_table);
    }

    #[test]
    fn what_can_not_be_read_is_left_alone() {
        for torn in [
            &[0x41][..],
            &[0x41, 5, b'a'],
            &[0x7f],
            &[0x41, 0x7f, 0xff, 0xff, 0xff],
            &[0x40, 1],
        ] {
            assert_eq!(replace(torn), None, "{torn:?}");
        }
        assert_eq!(block(PADDED, &[]), None);
        assert_eq!(block(PADDED, &[9, 1]), None);
        assert_eq!(block(PRIORITY, &[1, 2]), None);
        assert_eq!(
            block(PADDED | PRIORITY, &[1, 0, 0, 0, 0, 0, 0x83, 0]),
            Some(&[0x83][..])
        );
    }
}
