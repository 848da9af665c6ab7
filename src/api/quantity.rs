//! Sizes as users write them: `2Gi`, `1500M`, `1.5Ti`.

use thiserror::Error;

/// A size that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{value:?} is not a size: {why}; write whole bytes, for example 2Gi or 500M")]
pub struct BadQuantity {
    value: String,
    why: &'static str,
}

/// Parses a Kubernetes quantity into bytes. Fractions are fine where they come out as whole bytes.
///
/// ```
/// use gluster_operator::api::quantity::bytes;
/// assert_eq!(bytes("2Gi").unwrap(), 2 << 30);
/// assert_eq!(bytes("1.5Ki").unwrap(), 1536);
/// assert!(bytes("0.3").is_err());
/// ```
pub fn bytes(text: &str) -> Result<u64, BadQuantity> {
    let bad = |why| BadQuantity {
        value: text.chars().take(40).collect(),
        why,
    };
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit: u128 = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u128.pow(2),
        "G" => 1000_u128.pow(3),
        "T" => 1000_u128.pow(4),
        "P" => 1000_u128.pow(5),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        _ => return Err(bad("its unit is none of Ki, Mi, Gi, Ti, Pi, k, M, G, T, P")),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.ends_with('.') {
        return Err(bad("its point has no digits behind it"));
    }
    if whole.is_empty() || fraction.contains('.') || whole.len() > 18 || fraction.len() > 12 {
        return Err(bad("it does not begin with a number"));
    }
    let digits: u128 = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| bad("it is no number"))?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let total = digits
        .checked_mul(unit)
        .ok_or_else(|| bad("it is too large"))?;
    if total % scale != 0 {
        return Err(bad("it has a fraction of a byte"));
    }
    u64::try_from(total / scale)
        .ok()
        .filter(|n| i64::try_from(*n).is_ok())
        .ok_or_else(|| bad("it is too large"))
}

/// Seconds of a time such as `24h`; `None` for `Never`.
///
/// # Errors
/// Anything else: the rule.
pub fn retention(text: &str) -> Result<Option<u64>, String> {
    if text == "Never" {
        return Ok(None);
    }
    let seconds = || -> Option<u64> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return None,
        };
        let plain = digits.len() <= 5
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        plain
            .then(|| digits.parse::<u64>().ok())
            .flatten()?
            .checked_mul(unit)
    };
    seconds().map(Some).ok_or_else(|| {
        format!("{text:?} is not a time like 24h: 1 to 99999 and s, m, h or d; or Never")
    })
}

#[cfg(test)]
mod tests {
    use super::{bytes, retention};

    #[test]
    fn quantities() {
        for (text, want) in [
            ("1", Some(1)),
            ("2Gi", Some(2 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("100M", Some(100_000_000)),
            ("", None),
            ("Gi", None),
            ("10.", None),
            ("1.Gi", None),
            (".5Gi", None),
            ("1e3", None),
            ("-1", None),
            ("1 Gi", None),
            ("1Gib", None),
            ("9999999Pi", None),
            ("0.5", None),
            ("1.2.3", None),
            ("1m", None),
        ] {
            assert_eq!(bytes(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, seconds) in [
            ("1s", 1),
            ("90m", 5400),
            ("24h", 86400),
            ("99999d", 8_639_913_600),
        ] {
            assert_eq!(retention(text), Ok(Some(seconds)), "{text}");
        }
        assert_eq!(retention("Never"), Ok(None));
        for bad in [
            "", "s", "0s", "0", "24", "1w", "-1h", "1.5h", "never", "100000s", "1 h", "é", "1é",
        ] {
            assert!(retention(bad).is_err(), "{bad:?}");
        }
    }
}
