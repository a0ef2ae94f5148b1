//! Tokens: random, shown once, kept as a digest.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use repository_api::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The author of writes without a token.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// The author of writes with the admin token.
pub(crate) const ADMIN: &str = "admin";

/// The prefix of every token, by which people and secret scanners recognize one.
const PREFIX: &str = "rpt_";

/// Bytes of a secret: too many to guess, so its digest needs no salt and no slow hash.
const SECRET: usize = 32;

/// The name of a token, which the log records as the author of writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TokenName(String);

#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a token name: expected 1 to 63 characters of a-z, A-Z, 0-9, ., _, @ and -, but not admin or anonymous"
)]
pub(crate) struct TokenNameError(String);

/// The digest of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hash(Digest);

/// Generates a token.
pub(crate) fn make() -> Result<String, getrandom::Error> {
    let mut secret = [0; SECRET];
    getrandom::fill(&mut secret)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
}

impl Hash {
    pub(crate) fn of(token: &str) -> Self {
        Self(Digest::new(Sha256::digest(token.as_bytes()).into()))
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.bytes().ct_eq(&other.0.bytes()).into()
    }
}

impl FromStr for TokenName {
    type Err = TokenNameError;

    fn from_str(text: &str) -> Result<Self, TokenNameError> {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
        let is_taken = matches!(text, ADMIN | ANONYMOUS);
        if (1..=63).contains(&text.len()) && text.bytes().all(is_plain) && !is_taken {
            return Ok(Self(text.to_owned()));
        }
        Err(TokenNameError(text.to_owned()))
    }
}

impl TryFrom<String> for TokenName {
    type Error = TokenNameError;

    fn try_from(text: String) -> Result<Self, TokenNameError> {
        text.parse()
    }
}

impl From<TokenName> for String {
    fn from(name: TokenName) -> Self {
        name.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique_and_match_their_hashes() {
        let (one, two) = (make().unwrap(), make().unwrap());
        assert_eq!(one.len(), PREFIX.len() + 43);
        assert!(one != two && one.starts_with(PREFIX));
        assert!(Hash::of(&one).is(&Hash::of(&one)));
        assert!(!Hash::of(&one).is(&Hash::of(&two)));
    }

    #[test]
    fn names_are_checked() {
        for good in ["ci", "jo@example.org", "a.b_c-1"] {
            assert_eq!(good.parse::<TokenName>().unwrap().to_string(), good);
        }
        for bad in ["", "a b", "a\nb", "admin", "anonymous", &"x".repeat(64)] {
            assert!(bad.parse::<TokenName>().is_err(), "{bad}");
        }
    }
}
