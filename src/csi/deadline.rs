//! How long a call may take: what its caller says, less what we need to clean up and answer.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// Without a word from the caller. The kubelet gives 120 s.
const DEFAULT: Duration = Duration::from_secs(100);

/// When to have answered a call that came now.
pub fn deadline(metadata: &MetadataMap) -> Instant {
    let given = metadata
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok())
        .and_then(parse_timeout);
    let time = given.map_or(DEFAULT, |given| {
        let margin = (given / 10).clamp(Duration::from_millis(100), Duration::from_secs(5));
        given.saturating_sub(margin)
    });
    // A caller that wants to wait for days gets an hour.
    Instant::now() + time.min(Duration::from_secs(3600))
}

/// gRPC's `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(number * 3600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        for (text, expected) in [
            ("120S", Some(Duration::from_secs(120))),
            ("2M", Some(Duration::from_secs(120))),
            ("1H", Some(Duration::from_secs(3600))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("5n", Some(Duration::from_nanos(5))),
            ("123456789m", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1ä", None),
            ("1x", None),
        ] {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn the_answer_comes_before_the_caller_gives_up() {
        let left = |value: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", value.parse().unwrap());
            deadline(&metadata).duration_since(Instant::now())
        };
        assert!(left("120S") < Duration::from_secs(116) && left("120S") > Duration::from_secs(114));
        assert!(left("5S") < Duration::from_millis(4600) && left("5S") > Duration::from_secs(4));
        assert!(left("1n").is_zero());
        let default = deadline(&MetadataMap::new()).duration_since(Instant::now());
        assert!(default > Duration::from_secs(99));
    }
}
