//! Signatures of releases: minisign (<https://jedisct1.github.io/minisign/>), only in its prehashed form.

use std::time::{Duration, SystemTime};

use minisign_verify::{Error, PublicKey, Signature};

/// The public keys that can sign a release.
#[derive(Debug, Clone)]
pub struct TrustedKeys(Vec<PublicKey>);

#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the release is not signed: sign it with minisign -Sm")]
    Missing,
    #[error("the signature is malformed: publish the .minisig file as minisign wrote it")]
    Malformed,
    #[error(
        "the signature has minisign's old form, which is not prehashed: sign with minisign 0.10 or later"
    )]
    NotPrehashed,
    #[error("none of the trusted keys made the signature")]
    UnknownKey,
    #[error("the signature does not match: the release was changed after it was signed")]
    Wrong,
    #[error("the signature has expired ({0}): sign the release again")]
    Expired(String),
    #[error(
        "{0:?} in the signature isn't a date: expected expires:2030-12-31 or expires:2030-12-31T12:00:00Z"
    )]
    Expiry(String),
}

impl TrustedKeys {
    /// Parses a file with a key on each line, in base64 as in minisign's `.pub` files. Skips comments and
    /// blank lines.
    ///
    /// # Errors
    /// A relative clause about the file, to follow its name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with("untrusted comment:") {
                continue;
            }
            let key = PublicKey::from_base64(line).map_err(|_| {
                format!("whose line {number} isn't a minisign public key: expected RW…")
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err("which contains no key".to_owned());
        }
        Ok(Self(keys))
    }

    /// Checks that one of the keys signed exactly these bytes, and that the signature has not expired.
    pub fn verify(
        &self,
        statement: &[u8],
        signature: Option<&str>,
        now: SystemTime,
    ) -> Result<(), SignatureError> {
        let signature = Signature::decode(signature.ok_or(SignatureError::Missing)?)
            .map_err(|_| SignatureError::Malformed)?;
        let mut outcome = Err(SignatureError::UnknownKey);
        for key in &self.0 {
            match key.verify(statement, &signature, false) {
                Ok(()) => {
                    outcome = Ok(());
                    break;
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(Error::UnexpectedAlgorithm) => outcome = Err(SignatureError::NotPrehashed),
                Err(_) => outcome = Err(SignatureError::Wrong),
            }
        }
        outcome?;
        // The comment is signed, too, so it is read only after the check.
        for word in signature.trusted_comment().split_ascii_whitespace() {
            if let Some(date) = word.strip_prefix("expires:")
                && now >= end_of(date).ok_or_else(|| SignatureError::Expiry(word.to_owned()))?
            {
                return Err(SignatureError::Expired(word.to_owned()));
            }
        }
        Ok(())
    }
}

/// The moment of a date and time, or the end of a day in UTC.
fn end_of(date: &str) -> Option<SystemTime> {
    if date.len() == "2030-12-31".len() {
        let begin = humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).ok()?;
        return begin.checked_add(Duration::from_hours(24));
    }
    humantime::parse_rfc3339(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with minisign 0.11 and a key for this test alone.
    const KEY: &str = "untrusted comment: minisign public key E5C4806F6E5AF937\nRWQ3+Vpub4DE5VetioUWYtIAObgLy7j40U4zipePBm9hajsUyBwVGDn5";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\nRUQ3+Vpub4DE5U6fQX2W2f8wYv6Uf2UnlosuCiHy8CeimjgTVpxlNN68foTLRv2DyFa3L2F0n2+3Phhtp7LEDTwF/iOhij99yg4=\ntrusted comment: timestamp:1700000000\tfile:r1\texpires:2030-12-31\nB+iEqYVeCIrT8gotvExCrV/ddrzszqYByX+6fx6Zu4HV7UtHRcSQHhjWgbq3zS0AWQAnp7pwXR+vq5diIFJpBA==\n";
    const STATEMENT: &[u8] = b"{\"app\":\"hello\"}";

    fn at(date: &str) -> SystemTime {
        humantime::parse_rfc3339(date).unwrap()
    }

    fn verify(statement: &[u8], signature: Option<&str>, now: &str) -> Result<(), SignatureError> {
        TrustedKeys::parse(KEY)
            .unwrap()
            .verify(statement, signature, at(now))
    }

    #[test]
    fn only_the_signed_bytes_verify() {
        let now = "2026-01-01T00:00:00Z";
        verify(STATEMENT, Some(SIGNATURE), now).unwrap();
        assert!(matches!(
            verify(STATEMENT, None, now),
            Err(SignatureError::Missing)
        ));
        assert!(matches!(
            verify(b"{\"app\":\"other\"}", Some(SIGNATURE), now),
            Err(SignatureError::Wrong)
        ));
    }

    #[test]
    fn no_bit_of_what_is_trusted_may_be_flipped() {
        // The first line is a comment, which is not signed.
        let trusted = SIGNATURE.find('\n').unwrap() + 1;
        for position in trusted..SIGNATURE.trim_end().len() {
            for bit in 0..7 {
                let mut bytes = SIGNATURE.as_bytes().to_vec();
                bytes[position] ^= 1 << bit;
                let text = String::from_utf8(bytes).unwrap();
                let outcome = verify(STATEMENT, Some(&text), "2026-01-01T00:00:00Z");
                assert!(outcome.is_err(), "byte {position}, bit {bit}: {text}");
            }
        }
    }

    #[test]
    fn a_day_is_valid_to_its_end() {
        for (now, valid) in [
            ("2030-12-31T23:59:59Z", true),
            ("2031-01-01T00:00:00Z", false),
        ] {
            let outcome = verify(STATEMENT, Some(SIGNATURE), now);
            assert_eq!(outcome.is_ok(), valid, "{now}: {outcome:?}");
        }
        assert_eq!(end_of("2030-02-30"), None);
        assert_eq!(end_of("soon"), None);
        assert!(end_of("2030-12-31T12:00:00Z").is_some());
    }

    #[test]
    fn a_file_of_keys() {
        assert_eq!(
            TrustedKeys::parse(&format!("{KEY}\n# more\n{KEY}"))
                .unwrap()
                .0
                .len(),
            2
        );
        for bad in [
            "",
            "untrusted comment: x\n",
            "nonsense",
            &KEY[..KEY.len() - 3],
        ] {
            assert!(TrustedKeys::parse(bad).is_err(), "{bad:?}");
        }
    }
}
