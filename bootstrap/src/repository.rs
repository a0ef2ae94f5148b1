//! The client of a repository.
//!
//! - [`backoff`]: how long to wait, as arithmetic
//! - [`attempt`]: what a failed attempt means, transient or fatal
//! - [`retry`]: the one loop that tries again
//! - [`tls`]: whom to trust

pub(crate) mod attempt;
pub(crate) mod backoff;
mod resolve;
pub(crate) mod retry;
pub(crate) mod retry_after;
mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use repository_api::Problem;
use repository_api::problem::MEDIA_TYPE;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Attempt as Redirect, Policy};
use reqwest::{Response, StatusCode};

use crate::exit::{Exit, Failure};
use crate::settings::{Origin, Settings};
use attempt::Attempt;
use retry::Retry;

/// Bytes of a document (release document, config layer, checksum) at the most.
const MAX_DOCUMENT: usize = 32 << 20;

/// Bytes of a problem document that are read.
const MAX_PROBLEM: usize = 64 << 10;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_REDIRECTS: usize = 5;

#[derive(Debug)]
pub(crate) struct Repository {
    client: reqwest::Client,
    origin: Origin,
    stall_timeout: Duration,
    /// A 404 is tried again: the app may be published later.
    wait: bool,
    pub(crate) retry: Retry,
    /// Whether it has said of something that it is not there.
    answered: AtomicBool,
}

/// What came back for a document.
#[derive(Debug)]
pub(crate) enum Document {
    Found(Vec<u8>),
    /// 404 with a problem document: a repository says so, and why.
    Missing(String),
    /// 404 without one: what answers may be a plain file server.
    Absent,
}

/// What came of a poll.
#[derive(Debug)]
pub(crate) enum Polled {
    /// Nothing new.
    Unchanged,
    Changed {
        etag: Option<HeaderValue>,
        body: Vec<u8>,
    },
}

impl Repository {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        if let Some(credentials) = settings.origin.authorization(settings.token.as_ref()) {
            let mut value = HeaderValue::from_str(&credentials).map_err(|_| {
                Failure::new(
                    Exit::Usage,
                    "the repository's user or password cannot be sent: expected ASCII",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let origin = settings.origin.clone();
        let client = reqwest::Client::builder()
            .user_agent(concat!("bootstrap/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // Retries happen in one layer, ours; a proxy only where somebody asks for one.
            .retry(reqwest::retry::never())
            .no_proxy()
            // In every build: with the repository, cargo enables HTTP/2 in reqwest.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::custom(move |redirect| within(&origin, redirect)))
            .dns_resolver(resolve::Resolver)
            .tls_backend_preconfigured(tls::config(settings.ca_file.as_deref())?)
            .build()
            .map_err(|error| {
                Failure::new(Exit::Usage, "failed to prepare the HTTP client").because(error)
            })?;
        Ok(Self {
            client,
            origin: settings.origin.clone(),
            stall_timeout: settings.stall_timeout,
            wait: settings.wait,
            retry: Retry::new(settings.deadline),
            answered: AtomicBool::new(false),
        })
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether what is not there yet is waited for.
    pub(crate) fn waits(&self) -> bool {
        self.wait
    }

    /// A small document, whole, tried again until the deadline.
    pub(crate) async fn document(&self, path: &str) -> Result<Document, Failure> {
        self.retry
            .until_deadline(&format!("GET {}", self.origin.shown(path)), async || {
                let response = self.get(path, HeaderMap::new()).await?;
                let status = response.status();
                if status == StatusCode::OK {
                    return self.body(response, MAX_DOCUMENT).await.map(Document::Found);
                }
                let detail = self.problem(response).await;
                if status == StatusCode::NOT_FOUND {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(detail.map_or(Document::Absent, Document::Missing));
                }
                Err(attempt::of_status(status, detail.as_deref()))
            })
            .await
    }

    /// Asks once whether a document is another than the one with the tag `etag`, and lets the server
    /// wait for a change (RFC 7240, `wait`).
    pub(crate) async fn poll(
        &self,
        path: &str,
        etag: Option<&HeaderValue>,
        wait: Duration,
    ) -> Result<Polled, Attempt> {
        let mut headers = HeaderMap::new();
        headers.extend(etag.map(|etag| (header::IF_NONE_MATCH, etag.clone())));
        if !wait.is_zero()
            && let Ok(prefer) = HeaderValue::from_str(&format!("wait={}", wait.as_secs()))
        {
            headers.insert(HeaderName::from_static("prefer"), prefer);
        }
        let response = self.get_within(path, headers, wait).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED => Ok(Polled::Unchanged),
            StatusCode::OK => {
                let etag = response.headers().get(header::ETAG).cloned();
                let body = self.body(response, MAX_DOCUMENT).await?;
                Ok(Polled::Changed { etag, body })
            }
            status => {
                let detail = self.problem(response).await;
                Err(attempt::of_status(status, detail.as_deref()))
            }
        }
    }

    /// Sends one request; a status is an answer, whatever it is, unless its headers ask for patience.
    pub(crate) async fn get(&self, path: &str, headers: HeaderMap) -> Result<Response, Attempt> {
        self.get_within(path, headers, Duration::ZERO).await
    }

    /// The same, where the server may take its time for the answer.
    async fn get_within(
        &self,
        path: &str,
        headers: HeaderMap,
        wait: Duration,
    ) -> Result<Response, Attempt> {
        let url = self.origin.url(path).map_err(Attempt::Fatal)?;
        let request = self.client.get(url).headers(headers).send();
        let response = tokio::time::timeout(wait + self.stall_timeout + CONNECT_TIMEOUT, request)
            .await
            .map_err(|_| Attempt::transient("no answer within the stall time-out"))?
            .map_err(attempt::of_error)?;
        if attempt::is_transient(response.status()) {
            let retry_after = retry_after::read(response.headers());
            let detail = self.problem_of(response).await;
            return Err(detail.with_retry_after(retry_after));
        }
        Ok(response)
    }

    async fn problem_of(&self, response: Response) -> Attempt {
        let status = response.status();
        let detail = self.problem(response).await;
        attempt::of_status(status, detail.as_deref())
    }

    /// The detail of a problem document, if the answer is one.
    pub(crate) async fn problem(&self, response: Response) -> Option<String> {
        let media_type = response
            .headers()
            .get(header::CONTENT_TYPE)?
            .to_str()
            .ok()?;
        if media_type.split(';').next().map(str::trim) != Some(MEDIA_TYPE) {
            return None;
        }
        let body = self.body(response, MAX_PROBLEM).await.unwrap_or_default();
        let detail = serde_json::from_slice::<Problem>(&body)
            .map(|problem| problem.detail)
            .unwrap_or_default();
        // It ends up in a terminal.
        Some(
            detail
                .chars()
                .filter(|character| !character.is_control())
                .take(500)
                .collect(),
        )
    }

    async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Attempt> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(&mut response).await? {
            if body.len() + chunk.len() > limit {
                return Err(Attempt::Fatal(Failure::new(
                    Exit::NotARepository,
                    format!("the answer is longer than {limit} bytes: is this a repository?"),
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The next bytes of a body; standing still for too long is an error.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Attempt> {
        tokio::time::timeout(self.stall_timeout, response.chunk())
            .await
            .map_err(|_| {
                Attempt::transient(format!(
                    "the transfer stood still for {:?}",
                    self.stall_timeout
                ))
            })?
            .map_err(attempt::of_error)
    }
}

fn within(origin: &Origin, redirect: Redirect<'_>) -> reqwest::redirect::Action {
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
    #[error("it redirects more than {MAX_REDIRECTS} times")]
    TooMany,
    #[error("it redirects to another origin: write that address instead, if you trust it")]
    Elsewhere,
}
