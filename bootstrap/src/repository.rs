//! The client of a repository.
//!
//! 1. [`resolve`], [`tls`], [`redirect`]: connect to the right server
//! 2. [`attempt`]: classify a failed attempt as transient or fatal
//! 3. [`retry`]: repeat attempts until the deadline; [`backoff`], [`retry_after`]: the delays

pub(crate) mod attempt;
pub(crate) mod backoff;
mod redirect;
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
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};

use crate::exit::{Exit, Failure};
use crate::settings::{Origin, Settings};
use attempt::Attempt;
use retry::Retry;

/// Maximum size of a document (release document, config layer, checksum), in bytes.
const MAX_DOCUMENT: usize = 32 << 20;

/// Maximum size of a problem document, in bytes.
const MAX_PROBLEM: usize = 64 << 10;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Repository {
    client: reqwest::Client,
    origin: Origin,
    stall_timeout: Duration,
    /// Whether a 404 is retried, because the app may be published later.
    wait: bool,
    pub(crate) retry: Retry,
    /// Whether the server has answered 404.
    answered: AtomicBool,
}

/// The answer to a request for a document.
#[derive(Debug)]
pub(crate) enum Document {
    Found(Vec<u8>),
    /// 404 with a problem document, from a repository.
    Missing(String),
    /// 404 without a problem document, perhaps from a plain file server.
    Absent,
}

/// The answer to a poll.
#[derive(Debug)]
pub(crate) enum Polled {
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
                    "the repository's user or password is invalid: expected ASCII",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let origin = settings.origin.clone();
        let client = reqwest::Client::builder()
            .user_agent(concat!("bootstrap/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // Only `retry` retries, and proxies are not used.
            .retry(reqwest::retry::never())
            .no_proxy()
            // In every build: with the repository, cargo enables HTTP/2 in reqwest.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::custom(move |redirect| {
                redirect::follow(&origin, redirect)
            }))
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

    /// Whether a 404 is retried.
    pub(crate) fn waits(&self) -> bool {
        self.wait
    }

    /// Fetches a document, with retries until the deadline.
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

    /// Asks once whether a document still has the tag `etag`, and lets the server wait for a change
    /// (RFC 7240, `wait`).
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

    /// Sends one request. Returns every status that is not transient.
    pub(crate) async fn get(&self, path: &str, headers: HeaderMap) -> Result<Response, Attempt> {
        self.get_within(path, headers, Duration::ZERO).await
    }

    /// Like [`Self::get`]; the server may wait before it answers.
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
            .map_err(|_| Attempt::transient("no answer within the stall timeout"))?
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

    /// The detail of a problem document; `None` for other answers.
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
        // The text goes to a terminal.
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
                    format!(
                        "the answer is longer than {limit} bytes, so it does not come from a repository"
                    ),
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Reads the next bytes of a body, within the stall timeout.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Attempt> {
        tokio::time::timeout(self.stall_timeout, response.chunk())
            .await
            .map_err(|_| {
                Attempt::transient(format!("the transfer stalled for {:?}", self.stall_timeout))
            })?
            .map_err(attempt::of_error)
    }
}
