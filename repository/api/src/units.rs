//! Durations (`500ms`, `15s`, `5m`) and sizes (`512KiB`, `2GiB`) as settings spell them.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("expected a duration such as 500ms, 15s or 5m")]
    Duration,
    #[error("expected a size such as 512KiB or 2GiB")]
    Size,
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

/// Parses a whole number and one of `ms`, `s`, `m`, `h`, up to 30 days, so that sums cannot overflow.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::Duration)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(UnitError::Duration),
    };
    number
        .checked_mul(millis)
        .filter(|millis| *millis <= 30 * 24 * 3_600_000)
        .map(Duration::from_millis)
        .ok_or(UnitError::Duration)
}

/// Parses a whole number and one of `B`, `KiB`, `MiB`, `GiB`, `TiB`, or no unit for bytes.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::Size)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(UnitError::Size),
    };
    number.checked_mul(1 << shift).ok_or(UnitError::Size)
}

/// Formats a size for people, as in `1.5 KiB`.
pub fn show_size(bytes: u64) -> String {
    let mut scaled = bytes;
    let mut rest = 0;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024 {
            return if unit == "B" {
                format!("{scaled} B")
            } else {
                format!("{scaled}.{} {unit}", rest * 10 / 1024)
            };
        }
        rest = scaled % 1024;
        scaled /= 1024;
    }
    format!("{scaled}.{} TiB", rest * 10 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "9999999999999999999s",
            "800h",
            "1d",
        ] {
            assert_eq!(duration(bad), Err(UnitError::Duration), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512KiB"), Ok(524_288));
        assert_eq!(size("2GiB"), Ok(2_147_483_648));
        assert_eq!(size("7"), Ok(7));
        for bad in ["", "KiB", "1kb", "1 GiB", "99999999999TiB"] {
            assert_eq!(size(bad), Err(UnitError::Size), "{bad}");
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(show_size(999), "999 B");
        assert_eq!(show_size(1536), "1.5 KiB");
        assert_eq!(show_size(1 << 20), "1.0 MiB");
        assert_eq!(show_size(3 << 40), "3.0 TiB");
    }
}
