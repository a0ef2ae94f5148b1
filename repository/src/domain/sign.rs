//! Signing a release. A release has at most one signature, which never changes. Clients decide whether they trust it.

use std::sync::Arc;

use minisign_verify::Signature;
use repository_api::{AppName, ReleaseNumber};

use super::catalogue::{Catalogue, Decision};
use super::completion::run_to_completion;
use super::error::Error;
use super::event::AppEvent;

/// Adds a signature to a release; returns `false` if the release has the same one already.
pub(crate) async fn sign(
    catalogue: &Arc<Catalogue>,
    app: AppName,
    release: ReleaseNumber,
    minisig: &[u8],
    by: String,
) -> Result<bool, Error> {
    let minisig = check(minisig)?;
    let catalogue = Arc::clone(catalogue);
    run_to_completion(async move {
        let log = catalogue.known(&app).await?;
        log.commit(&by, |state| match &state.release(&app, release)?.minisig {
            Some(existing) if *existing == minisig => Ok(Decision::Unchanged(false)),
            Some(_) => Err(Error::AlreadySigned {
                app: app.clone(),
                release,
            }),
            None => {
                let event = AppEvent::Sign {
                    release: release.get(),
                    minisig: minisig.clone(),
                };
                Ok(Decision::Append(vec![event], true))
            }
        })
        .await
    })
    .await
}

/// The text of a signature in the form that bootstrap accepts.
fn check(minisig: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(minisig)
        .ok()
        .filter(|text| Signature::decode(text).is_ok())
        .ok_or(Error::NotASignature)?;
    // Two bytes name the form, `ED` for the prehashed one. Their first ten bits are `RU` in base64.
    let is_prehashed = text
        .lines()
        .nth(1)
        .is_some_and(|line| line.starts_with("RU"));
    if is_prehashed {
        Ok(text.to_owned())
    } else {
        Err(Error::OldSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREHASHED: &str = "untrusted comment: signature\nRUQ3+Vpub4DE5U6fQX2W2f8wYv6Uf2UnlosuCiHy8CeimjgTVpxlNN68foTLRv2DyFa3L2F0n2+3Phhtp7LEDTwF/iOhij99yg4=\ntrusted comment: x\nB+iEqYVeCIrT8gotvExCrV/ddrzszqYByX+6fx6Zu4HV7UtHRcSQHhjWgbq3zS0AWQAnp7pwXR+vq5diIFJpBA==\n";

    #[test]
    fn only_prehashed_signatures_are_accepted() {
        assert!(check(PREHASHED.as_bytes()).is_ok());
        let old = PREHASHED.replace("\nRUQ3", "\nRWQ3");
        for bad in [old.as_str(), "", "nonsense", &PREHASHED[..100]] {
            assert!(check(bad.as_bytes()).unwrap_err().is_refusal(), "{bad}");
        }
    }
}
