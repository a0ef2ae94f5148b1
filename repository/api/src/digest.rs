//! SHA-256 digests in their spellings: hexadecimal (`sha256sum`), `ETag`, and RFC 9530's structured field.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("expected 64 hexadecimal digits of a SHA-256")]
    Hexadecimal,
    #[error("expected sha-256=:BASE64: (RFC 9530)")]
    Field,
    #[error("expected one line of `sha256sum`: 64 hexadecimal digits, two blanks, the file name")]
    Line,
}

impl Digest {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The strong entity tag (RFC 9110 section 8.8.3): `"sha256:…"`.
    pub fn etag(&self) -> String {
        format!("\"sha256:{self}\"")
    }

    /// The value of `Repr-Digest` and `Content-Digest` (RFC 9530 section 3): `sha-256=:…:`.
    pub fn field(&self) -> String {
        format!("sha-256=:{}:", STANDARD.encode(self.0))
    }

    /// The SHA-256 in a `Repr-Digest` or `Content-Digest`; `None` if the field names only other
    /// algorithms.
    pub fn from_field(field: &str) -> Result<Option<Self>, DigestError> {
        for member in field.split(',') {
            let Some((algorithm, value)) = member.trim().split_once('=') else {
                return Err(DigestError::Field);
            };
            if !algorithm.eq_ignore_ascii_case("sha-256") {
                continue;
            }
            let bytes = value
                .strip_prefix(':')
                .and_then(|value| value.strip_suffix(':'))
                .and_then(|encoded| STANDARD.decode(encoded).ok())
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .ok_or(DigestError::Field)?;
            return Ok(Some(Self(bytes)));
        }
        Ok(None)
    }

    /// The line for `sha256sum -c`.
    pub fn line(&self, file: &str) -> String {
        format!("{self}  {file}\n")
    }

    /// The digest in a `.sha256` file: a line of `sha256sum`, in text or binary mode, or the bare
    /// digits. Ignores the file name in it, because people rename files before they upload them.
    pub fn from_line(text: &str) -> Result<Self, DigestError> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let line = lines.next().ok_or(DigestError::Line)?;
        if lines.next().is_some() {
            return Err(DigestError::Line);
        }
        line.split_whitespace()
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(|_| DigestError::Line)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(DigestError::Hexadecimal);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| {
                char::from(digit)
                    .to_digit(16)
                    .ok_or(DigestError::Hexadecimal)
            };
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?)
                .map_err(|_| DigestError::Hexadecimal)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatting byte by byte is slow, and an answer with an artefact has three digests.
        let mut text = [0; 64];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of nothing (FIPS 180-4 test vector).
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn spellings_round_trip() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(
            digest.field(),
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
        );
        assert_eq!(Digest::from_field(&digest.field()), Ok(Some(digest)));
        assert_eq!(Digest::from_field("md5=:AA==:"), Ok(None));
        assert_eq!(
            Digest::from_field(&format!("md5=:AA==:, {}", digest.field())),
            Ok(Some(digest))
        );
        assert_eq!(
            Digest::from_field("sha-256=:AA==:"),
            Err(DigestError::Field)
        );
        assert_eq!(Digest::from_field("nonsense"), Err(DigestError::Field));
    }

    #[test]
    fn sidecars_in_each_form() {
        let digest: Digest = EMPTY.parse().unwrap();
        for text in [
            digest.line("a.tgz"),
            format!("{EMPTY} *a.tgz\n"),
            EMPTY.to_owned(),
            EMPTY.to_uppercase(),
        ] {
            assert_eq!(Digest::from_line(&text), Ok(digest), "{text}");
        }
        for text in [
            "",
            "\n",
            "abc  file\n",
            &format!("{EMPTY}  a\n{EMPTY}  b\n"),
        ] {
            assert_eq!(Digest::from_line(text), Err(DigestError::Line), "{text}");
        }
    }
}
