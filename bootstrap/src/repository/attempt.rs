//! Classifies a failed attempt as transient or fatal.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;

use super::redirect::RedirectError;
use super::resolve::Unresolved;
use crate::exit::{self, Exit, Failure};

#[derive(Debug)]
pub(crate) enum Attempt {
    Transient {
        reason: String,
        /// The delay that the server asked for.
        retry_after: Option<Duration>,
        /// Whether bytes arrived that the next attempt does not fetch again.
        progress: bool,
    },
    Fatal(Failure),
}

impl Attempt {
    pub(crate) fn transient(reason: impl Into<String>) -> Self {
        Self::Transient {
            reason: reason.into(),
            retry_after: None,
            progress: false,
        }
    }

    pub(super) fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        if let Self::Transient { retry_after, .. } = &mut self {
            *retry_after = delay;
        }
        self
    }

    pub(crate) fn with_progress(mut self, made: bool) -> Self {
        if let Self::Transient { progress, .. } = &mut self {
            *progress = made;
        }
        self
    }
}

/// Whether a status is retried.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// The exit code for a fatal status.
fn exit_of(status: StatusCode) -> Exit {
    match status.as_u16() {
        401 | 403 => Exit::NotAllowed,
        404 | 410 => Exit::NotFound,
        _ => Exit::NotARepository,
    }
}

/// Classifies an unexpected status.
pub(crate) fn of_status(status: StatusCode, detail: Option<&str>) -> Attempt {
    let detail_text = detail
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default();
    if is_transient(status) {
        return Attempt::transient(format!("{status}{detail_text}"));
    }
    let exit = exit_of(status);
    let advice = match (exit, detail) {
        (Exit::NotAllowed, None) => {
            ": if the repository requires a token, set BOOTSTRAP_TOKEN_FILE to the file of the token"
        }
        (Exit::NotARepository, None) => ": check the repository's address",
        _ => "",
    };
    Attempt::Fatal(Failure::new(
        exit,
        format!("the repository answered {status}{detail_text}{advice}"),
    ))
}

/// Classifies a request without a complete answer.
pub(crate) fn of_error(error: reqwest::Error) -> Attempt {
    // The message names the URL already.
    let error = error.without_url();
    if let Some(redirect) = find::<RedirectError>(&error) {
        return Attempt::Fatal(Failure::new(Exit::NotARepository, redirect.to_string()));
    }
    if let Some(advice) = find::<rustls::Error>(&error).and_then(of_tls) {
        return Attempt::Fatal(Failure::new(Exit::NotARepository, advice));
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        return Attempt::Fatal(Failure::new(
            Exit::NotARepository,
            "the server does not speak HTTP: check the repository's port",
        ));
    }
    if let Some(unresolved) = find::<Unresolved>(&error) {
        return Attempt::transient(unresolved.to_string());
    }
    Attempt::transient(exit::chain(&error))
}

/// The message for a fatal TLS error; `None` if another attempt can succeed.
fn of_tls(error: &rustls::Error) -> Option<String> {
    use rustls::{CertificateError as Certificate, Error};
    let advice = match error {
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "the certificate has expired; renew it"
        }
        Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "the certificate is for another name; use that name in the repository's address",
        Error::InvalidCertificate(_) => {
            "set BOOTSTRAP_CA_FILE to the certificate of the authority that issued it"
        }
        Error::InvalidMessage(_) => {
            return Some("the server does not speak TLS: use an http:// address".to_owned());
        }
        Error::AlertReceived(_) | Error::PeerIncompatible(_) | Error::PeerMisbehaved(_) => {
            return Some(format!("the TLS handshake failed: {error}"));
        }
        _ => return None,
    };
    Some(format!(
        "the repository's certificate does not verify ({error}): {advice}"
    ))
}

/// Finds the first cause of type `T`, also inside I/O errors.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| find::<T>(inner)) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_code() {
        for code in 100..=999_u16 {
            let status = StatusCode::from_u16(code).unwrap();
            let expected = match code {
                408 | 425 | 429 | 500 | 502 | 503 | 504 => None,
                401 | 403 => Some(Exit::NotAllowed),
                404 | 410 => Some(Exit::NotFound),
                _ => Some(Exit::NotARepository),
            };
            let found = match of_status(status, None) {
                Attempt::Transient { .. } => None,
                Attempt::Fatal(failure) => Some(failure.exit),
            };
            assert_eq!(found, expected, "{code}");
        }
    }
}
