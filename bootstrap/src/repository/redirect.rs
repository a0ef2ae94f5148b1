//! Redirects, only within the origin.

use reqwest::redirect::{Action, Attempt as Redirect};

use crate::settings::Origin;

const MAX_REDIRECTS: usize = 5;

/// Follows a redirect within the origin.
pub(super) fn follow(origin: &Origin, redirect: Redirect<'_>) -> Action {
    if redirect.previous().len() > MAX_REDIRECTS {
        return redirect.error(RedirectError::TooMany);
    }
    if origin.contains(redirect.url()) {
        return redirect.follow();
    }
    redirect.error(RedirectError::Elsewhere)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RedirectError {
    #[error("the server redirects more than {MAX_REDIRECTS} times")]
    TooMany,
    #[error(
        "the server redirects to another origin: if you trust it, use that address as the repository"
    )]
    Elsewhere,
}
