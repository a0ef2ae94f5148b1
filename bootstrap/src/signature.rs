//! The public keys that can sign a release.

use std::path::Path;

use repository_api::signature::TrustedKeys;

use crate::exit::{Exit, Failure};

/// Reads the file that `BOOTSTRAP_TRUSTED_KEYS_FILE` names.
pub(crate) fn read(path: &Path) -> Result<TrustedKeys, Failure> {
    let refused = |reason: &str| {
        Failure::new(
            Exit::Usage,
            format!(
                "BOOTSTRAP_TRUSTED_KEYS_FILE names {}, {reason}",
                path.display()
            ),
        )
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused("which cannot be read").because(error))?;
    TrustedKeys::parse(&text).map_err(|reason| refused(&reason))
}
