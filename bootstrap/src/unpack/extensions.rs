//! Extended headers of the next entry: GNU's long names and PAX records (POSIX pax, "pax Extended
//! Header"). The tar library does not limit their size, so this module reads them.

use std::io::Read;

use super::error::UnpackError;

/// Maximum size of an extended header, in bytes. A path has at most 4096.
const MAX: u64 = 64 << 10;

/// The extended fields of the next entry.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Whole seconds since the epoch.
    pub(super) mtime: Option<i64>,
}

pub(super) fn body(size: u64, entry: &mut impl Read) -> Result<Vec<u8>, UnpackError> {
    if size > MAX {
        return Err(UnpackError::refused(
            "an extended header is larger than 64 KiB",
        ));
    }
    let mut body = Vec::new();
    entry
        .read_to_end(&mut body)
        .map_err(|source| UnpackError::Damaged {
            format: "tar",
            source,
        })?;
    Ok(body)
}

/// Refuses two values for one field: programs disagree about which one counts.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), UnpackError> {
    if place.replace(value).is_some() {
        return Err(UnpackError::refused(
            "extended headers set a field of an entry twice",
        ));
    }
    Ok(())
}

/// A GNU long name ends at its NUL.
fn long_name(mut body: Vec<u8>) -> Vec<u8> {
    if let Some(end) = body.iter().position(|byte| *byte == 0) {
        body.truncate(end);
    }
    body
}

impl Extensions {
    /// Adds the records of a PAX header.
    pub(super) fn add_pax(&mut self, body: &[u8]) -> Result<(), UnpackError> {
        for (key, value) in records(body)? {
            match key {
                b"path" => once(&mut self.path, value.to_vec())?,
                b"linkpath" => once(&mut self.link, value.to_vec())?,
                b"size" => once(&mut self.size, number(value)?)?,
                b"mtime" => self.mtime = seconds(value),
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(UnpackError::refused(
                        "it contains a sparse file: pack it without --sparse",
                    ));
                }
                // Owners, access times and attributes are not restored.
                _ => {}
            }
        }
        Ok(())
    }

    /// Sets the path from a GNU long name.
    pub(super) fn set_path(&mut self, body: Vec<u8>) -> Result<(), UnpackError> {
        once(&mut self.path, long_name(body))
    }

    pub(super) fn set_link(&mut self, body: Vec<u8>) -> Result<(), UnpackError> {
        once(&mut self.link, long_name(body))
    }

    /// Whether a field is set.
    pub(super) fn is_pending(&self) -> bool {
        self.path.is_some() || self.link.is_some() || self.size.is_some() || self.mtime.is_some()
    }
}

/// Checks a header for all following entries. `git archive` writes a comment into one. Other records are
/// ignored, and those that would change entries are refused.
pub(super) fn check_global(body: &[u8]) -> Result<(), UnpackError> {
    for (key, _) in records(body)? {
        if [b"path".as_slice(), b"linkpath", b"size"].contains(&key)
            || key.starts_with(b"GNU.sparse.")
        {
            let key = String::from_utf8_lossy(key);
            return Err(UnpackError::refused(format!(
                "a global header sets {key} for every entry"
            )));
        }
    }
    Ok(())
}

/// A key and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits `LENGTH KEY=VALUE\n` records by LENGTH, which counts the whole record. A value can contain line
/// ends: macOS writes binary attributes.
fn records(mut body: &[u8]) -> Result<Vec<Record<'_>>, UnpackError> {
    let malformed = || UnpackError::refused("an extended header is malformed");
    let mut records = Vec::new();
    while !body.is_empty() {
        let blank = body
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or_else(malformed)?;
        let length = usize::try_from(number(&body[..blank])?).map_err(|_| malformed())?;
        let record = body.get(blank + 1..length).ok_or_else(malformed)?;
        let record = record.strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(malformed)?;
        records.push((&record[..equals], &record[equals + 1..]));
        body = &body[length..];
    }
    Ok(records)
}

fn number(text: &[u8]) -> Result<u64, UnpackError> {
    std::str::from_utf8(text)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| UnpackError::refused("a number in an extended header is malformed"))
}

/// Parses `1700000000.123`, and drops the fraction.
fn seconds(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text)
        .ok()?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_by_their_length() {
        let found = records(b"12 path=a\nb\n20 SCHILY.xattr.x=\n\n").unwrap();
        let expected: [Record<'_>; 2] = [(b"path", b"a\nb"), (b"SCHILY.xattr.x", b"\n")];
        assert_eq!(found, expected);
        for bad in [
            &b"\n12 path=evil\n"[..],
            b"12 path=a",
            b"5 a=b\n",
            b"x a=b\n",
            b"999 a=b\n",
            b"6 abc\n",
            b" a=b\n",
        ] {
            assert!(records(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
