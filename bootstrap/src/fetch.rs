//! The artefact's bytes, into a file beside the trees.
//!
//! 1. what is there already: a download that was cut short goes on where it stopped
//! 2. one attempt: the rest by `Range` and `If-Range`, or the whole
//! 3. [`intake`]: hashed on the way, and unpacked on the way unless the release must be signed
//! 4. again, until all is there or the deadline is near
//! 5. size and digest; a mismatch is fetched once more from the first byte on

mod content_range;
mod intake;

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use repository_api::Digest;
use repository_api::units::show_size;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};

use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::release::Wanted;
use crate::repository::Repository;
use crate::repository::attempt::{self, Attempt};
use crate::settings::Limits;
use crate::tree::LockedTrees;
use crate::unpack::Rules;
#[cfg(fuzzing)]
pub(crate) use content_range::continues;
pub(crate) use intake::Begun;
use intake::Intake;

/// A download: a file, and what becomes of its bytes.
struct Download<'a> {
    repository: &'a Repository,
    wanted: &'a Wanted,
    rules: Rules,
    locked: &'a LockedTrees<'a>,
    unpack_on_the_way: bool,
    path: &'a Path,
    file: File,
    /// `None` while there are no bytes.
    intake: Option<Intake>,
    /// The strong entity tag of what is in the file: without one it cannot be resumed.
    etag: Option<HeaderValue>,
    /// How what came contradicts the release, as a wrong digest does.
    contradiction: Option<String>,
    progress: Progress,
}

/// How to fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) rules: Rules,
    /// An archive is unpacked while it arrives. Not before its digest is known to be the right one
    /// where the release must be signed.
    pub(crate) unpack_on_the_way: bool,
    /// The file of the download.
    pub(crate) path: &'a Path,
    /// The exit code for bytes that are not those of the release.
    pub(crate) damaged: Exit,
    pub(crate) json: bool,
}

/// What was fetched: its digest, the very file that was hashed, and what is being unpacked.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) sha256: Digest,
    pub(crate) file: File,
    pub(crate) begun: Option<Begun>,
}

/// Fetches `wanted`.
pub(crate) async fn fetch(
    repository: &Repository,
    wanted: &Wanted,
    locked: &LockedTrees<'_>,
    plan: Plan<'_>,
) -> Result<Fetched, Failure> {
    let Plan { rules, path, .. } = plan;
    refuse_size(wanted, rules.limits, wanted.size)?;
    let begin = Instant::now();
    let file = open(path)?;
    let mut download = Download {
        repository,
        wanted,
        rules,
        locked,
        unpack_on_the_way: plan.unpack_on_the_way,
        path,
        file,
        intake: None,
        etag: None,
        contradiction: None,
        progress: Progress::new(&wanted.file, wanted.size, plan.json),
    };
    download.adopt()?;
    let resumed = download.bytes();
    let mut refetched = false;
    let (bytes, digest, begun) = loop {
        let what = format!("GET {}", repository.origin().shown(&wanted.path));
        repository
            .retry
            .until_deadline(&what, async || download.attempt().await)
            .await?;
        let bytes = download.bytes();
        let (digest, begun) = download.finish()?;
        let expected = wanted.sha256.unwrap_or(digest);
        let reason = match download.contradiction.take() {
            None if digest == expected => break (bytes, digest, begun),
            None => format!("expected sha256:{expected}, found sha256:{digest}"),
            Some(reason) => reason,
        };
        drop(begun);
        let failure = Failure::new(
            plan.damaged,
            format!("{} is damaged: {reason}", wanted.file),
        );
        download.restart()?;
        if refetched {
            return Err(failure);
        }
        refetched = true;
        tracing::warn!("{}; fetching it once more", failure.chain());
    };
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let from = if resumed > 0 && !refetched {
        format!(", resumed at {}", show_size(resumed))
    } else {
        String::new()
    };
    let file = download.file;
    drop(download.progress);
    tracing::info!(
        stage = "fetch",
        bytes,
        elapsed_ms,
        "fetched {}: {} in {elapsed_ms} ms{from}",
        wanted.file,
        show_size(bytes)
    );
    Ok(Fetched {
        sha256: digest,
        file,
        begun,
    })
}

/// Opens the file of the download. It lies where others may write: a link would lead elsewhere, and a
/// file with a second name is somebody's.
fn open(path: &Path) -> Result<File, Failure> {
    let open = || {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
    };
    let is_ours = |file: &File| {
        file.metadata()
            .is_ok_and(|found| found.is_file() && found.nlink() == 1)
    };
    match open() {
        Ok(file) if is_ours(&file) => return Ok(file),
        Err(error) if error.raw_os_error() != Some(libc::ELOOP) => {
            return Err(Failure::cannot_write(path, error));
        }
        _ => {}
    }
    std::fs::remove_file(path)
        .and_then(|()| open())
        .map_err(|error| Failure::cannot_write(path, error))
}

fn refuse_size(wanted: &Wanted, limits: Limits, size: Option<u64>) -> Result<(), Failure> {
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
    /// Takes over what an earlier start left. Whether it is right the digest of the whole tells; the
    /// repository's entity tag follows from the digest.
    fn adopt(&mut self) -> Result<(), Failure> {
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
                read => self.take_in(Bytes::copy_from_slice(&buffer[..read]))?,
            }
        }
        self.etag = etag;
        Ok(())
    }

    /// Bytes so far.
    fn bytes(&self) -> u64 {
        self.intake.as_ref().map_or(0, Intake::bytes)
    }

    /// The digest of all bytes, and what is being unpacked.
    fn finish(&mut self) -> Result<(Digest, Option<Begun>), Failure> {
        let intake = match self.intake.take() {
            Some(intake) => intake,
            // An empty file has a digest, too.
            None => self.start()?,
        };
        Ok(intake.finish())
    }

    fn start(&self) -> Result<Intake, Failure> {
        let unpack = self.unpack_on_the_way.then_some(self.wanted.file.as_str());
        Intake::start(self.locked, unpack, self.rules)
    }

    fn take_in(&mut self, chunk: Bytes) -> Result<(), Failure> {
        let mut intake = match self.intake.take() {
            Some(intake) => intake,
            None => self.start()?,
        };
        intake.push(chunk);
        self.intake = Some(intake);
        Ok(())
    }

    /// Begins again with nothing.
    fn restart(&mut self) -> Result<(), Failure> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|error| Failure::cannot_write(self.path, error))?;
        self.intake = None;
        self.etag = None;
        Ok(())
    }

    async fn attempt(&mut self) -> Result<(), Attempt> {
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
                    tracing::debug!("the whole file comes again, so the download begins anew");
                    self.restart().map_err(Attempt::Fatal)?;
                }
            }
            StatusCode::PARTIAL_CONTENT if ranged => {
                if !content_range::continues(response.headers(), have, self.wanted.size) {
                    self.restart().map_err(Attempt::Fatal)?;
                    return Err(Attempt::transient(
                        "it sent another range than the one asked for",
                    ));
                }
            }
            // What is there is no beginning of what the server has.
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => {
                self.restart().map_err(Attempt::Fatal)?;
                return Err(Attempt::transient(
                    "it has no bytes where the download stopped",
                ));
            }
            StatusCode::NOT_FOUND if self.repository.waits() => {
                return Err(Attempt::transient("it is not published yet"));
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
                "it has {announced} bytes where the release says {size}"
            ));
            return Ok(());
        }
        while let Some(chunk) = self.repository.chunk(&mut response).await? {
            let total = self.bytes() + chunk.len() as u64;
            refuse_size(self.wanted, self.rules.limits, Some(total)).map_err(Attempt::Fatal)?;
            if expected.is_some_and(|size| total > size) {
                self.contradiction = Some("more bytes come than the release says".to_owned());
                return Ok(());
            }
            self.file
                .write_all(&chunk)
                .map_err(|error| Attempt::Fatal(Failure::cannot_write(self.path, error)))?;
            self.take_in(chunk).map_err(Attempt::Fatal)?;
            self.progress.at(self.bytes());
        }
        match expected {
            Some(size) if self.bytes() < size => Err(Attempt::transient(format!(
                "it ended after {} of {size} bytes",
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
