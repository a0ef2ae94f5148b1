//! A download: a file, and the intake of its bytes.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use bytes::Bytes;
use repository_api::Digest;
use repository_api::units::show_size;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};

use super::content_range;
use super::intake::{Intake, Unpacked};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::release::Wanted;
use crate::repository::Repository;
use crate::repository::attempt::{self, Attempt};
use crate::settings::Limits;
use crate::tree::LockedTrees;
use crate::unpack::Rules;

/// A download.
pub(super) struct Download<'a> {
    pub(super) repository: &'a Repository,
    pub(super) wanted: &'a Wanted,
    pub(super) rules: Rules,
    pub(super) locked: &'a LockedTrees<'a>,
    pub(super) unpack_while_fetching: bool,
    pub(super) path: &'a Path,
    pub(super) file: File,
    /// `None` before the first byte.
    pub(super) intake: Option<Intake>,
    /// The strong entity tag of the file's bytes. A download without one cannot be resumed.
    pub(super) etag: Option<HeaderValue>,
    /// A contradiction between the answer and the release, as serious as a wrong digest.
    pub(super) contradiction: Option<String>,
    pub(super) progress: Progress,
}

/// Refuses an artefact that exceeds the limit.
pub(super) fn refuse_size(
    wanted: &Wanted,
    limits: Limits,
    size: Option<u64>,
) -> Result<(), Failure> {
    match size.filter(|size| *size > limits.download) {
        None => Ok(()),
        Some(size) => Err(Failure::new(
            Exit::Refused,
            format!(
                "{} is larger than {}: it has {}; BOOTSTRAP_MAX_DOWNLOAD sets the limit",
                wanted.file,
                show_size(limits.download),
                show_size(size)
            ),
        )),
    }
}

impl Download<'_> {
    /// Continues the download of an earlier start. The digest of the whole file verifies its bytes, and the
    /// repository's entity tag follows from the digest.
    pub(super) fn adopt(&mut self) -> Result<(), Failure> {
        let cannot_read = |error| Failure::cannot_write(self.path, error);
        let length = self.file.metadata().map_err(cannot_read)?.len();
        let fits = self.wanted.size.is_some_and(|size| length <= size);
        let etag = self
            .wanted
            .sha256
            .and_then(|digest| HeaderValue::from_str(&digest.etag()).ok());
        if length == 0 || !fits || etag.is_none() {
            return self.restart();
        }
        let mut buffer = vec![0; 128 << 10];
        loop {
            match self.file.read(&mut buffer).map_err(cannot_read)? {
                0 => break,
                read => self.add(Bytes::copy_from_slice(&buffer[..read]))?,
            }
        }
        self.etag = etag;
        Ok(())
    }

    /// The number of bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.intake.as_ref().map_or(0, Intake::bytes)
    }

    /// The digest of all bytes, and the unpacking archive.
    pub(super) fn finish(&mut self) -> Result<(Digest, Option<Unpacked>), Failure> {
        let intake = match self.intake.take() {
            Some(intake) => intake,
            // The file is empty.
            None => self.start()?,
        };
        Ok(intake.finish())
    }

    fn start(&self) -> Result<Intake, Failure> {
        let unpack = self
            .unpack_while_fetching
            .then_some(self.wanted.file.as_str());
        Intake::start(self.locked, unpack, self.rules)
    }

    fn add(&mut self, chunk: Bytes) -> Result<(), Failure> {
        let mut intake = match self.intake.take() {
            Some(intake) => intake,
            None => self.start()?,
        };
        intake.push(chunk);
        self.intake = Some(intake);
        Ok(())
    }

    /// Starts again from the first byte.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|error| Failure::cannot_write(self.path, error))?;
        self.intake = None;
        self.etag = None;
        Ok(())
    }

    pub(super) async fn attempt(&mut self) -> Result<(), Attempt> {
        let have = self.bytes();
        if have > 0 && self.wanted.size == Some(have) {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        if have > 0 && self.etag.is_none() {
            self.restart().map_err(Attempt::Fatal)?;
        } else if let (true, Some(etag)) = (have > 0, &self.etag) {
            let range = HeaderValue::from_str(&format!("bytes={have}-")).ok();
            headers.extend(range.map(|range| (header::RANGE, range)));
            headers.insert(header::IF_RANGE, etag.clone());
        }
        let ranged = headers.contains_key(header::RANGE);
        let response = self.repository.get(&self.wanted.path, headers).await?;
        match response.status() {
            StatusCode::OK => {
                if self.bytes() > 0 {
                    tracing::debug!("the server sends the whole file: the download starts again");
                    self.restart().map_err(Attempt::Fatal)?;
                }
            }
            StatusCode::PARTIAL_CONTENT if ranged => {
                if !content_range::continues(response.headers(), have, self.wanted.size) {
                    self.restart().map_err(Attempt::Fatal)?;
                    return Err(Attempt::transient(
                        "the server sent another range than requested",
                    ));
                }
            }
            // The file is not the beginning of the server's.
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => {
                self.restart().map_err(Attempt::Fatal)?;
                return Err(Attempt::transient(
                    "the server has no bytes where the download stopped",
                ));
            }
            StatusCode::NOT_FOUND if self.repository.waits() => {
                return Err(Attempt::transient("the artefact is not published yet"));
            }
            status => {
                let detail = self.repository.problem(response).await;
                return Err(attempt::of_status(status, detail.as_deref()));
            }
        }
        self.etag = strong_etag(response.headers());
        let before = self.bytes();
        let outcome = self.receive(response).await;
        let progress = self.bytes() > before;
        outcome.map_err(|attempt| attempt.with_progress(progress))
    }

    async fn receive(&mut self, mut response: Response) -> Result<(), Attempt> {
        let announced = response
            .content_length()
            .map(|length| self.bytes() + length);
        let expected = self.wanted.size.or(announced);
        if let (Some(announced), Some(size)) = (announced, self.wanted.size)
            && announced != size
        {
            self.contradiction = Some(format!(
                "the server has {announced} bytes, but the release says {size}"
            ));
            return Ok(());
        }
        while let Some(chunk) = self.repository.chunk(&mut response).await? {
            let total = self.bytes() + chunk.len() as u64;
            refuse_size(self.wanted, self.rules.limits, Some(total)).map_err(Attempt::Fatal)?;
            if expected.is_some_and(|size| total > size) {
                self.contradiction =
                    Some("the server sends more bytes than the release says".to_owned());
                return Ok(());
            }
            self.file
                .write_all(&chunk)
                .map_err(|error| Attempt::Fatal(Failure::cannot_write(self.path, error)))?;
            self.add(chunk).map_err(Attempt::Fatal)?;
            self.progress.at(self.bytes());
        }
        match expected {
            Some(size) if self.bytes() < size => Err(Attempt::transient(format!(
                "the answer ended after {} of {size} bytes",
                self.bytes()
            ))),
            _ => Ok(()),
        }
    }
}

fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""))
        .cloned()
}
