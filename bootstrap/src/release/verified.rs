//! A release whose digests, and with trusted keys whose signature, were verified.

use repository_api::{Digest, VersionName, config};
use serde::{Deserialize, Serialize};

use crate::verify::digest_of;

/// A verified release, from a repository or a plain file server.
#[derive(Debug)]
pub(crate) struct Release {
    /// `None` from a plain file server, which has no versions.
    pub(crate) version: Option<VersionName>,
    pub(crate) number: Option<u64>,
    pub(crate) artefact: Wanted,
    /// The config layers; later layers win.
    pub(crate) layers: Vec<Layer>,
    /// The release in the form that a start without the repository reads.
    pub(crate) saved: Saved,
}

impl Release {
    /// A digest of the parts that the app receives: the artefact and the merged config. A new comment
    /// in a layer, or a new number for the same content, does not change the digest.
    pub(crate) fn substance(&self) -> Digest {
        let mut text = format!("{:?} {:?}\n", self.artefact.file, self.artefact.sha256);
        let parsed: Result<Vec<_>, _> = self
            .layers
            .iter()
            .map(|layer| config::parse(&layer.content))
            .collect();
        match parsed {
            Ok(files) => text.push_str(&format!("{:?}", config::merge(&files))),
            // Layers that do not parse are compared byte by byte.
            Err(_) => self
                .layers
                .iter()
                .for_each(|layer| text.push_str(&format!("{:?}", layer.content))),
        }
        digest_of(text.as_bytes())
    }
}

/// The artefact to fetch.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) path: String,
    pub(crate) file: String,
    /// Bytes.
    pub(crate) size: Option<u64>,
    /// `None` if a plain file server has no checksum and `BOOTSTRAP_ALLOW_UNVERIFIED` permits that.
    pub(crate) sha256: Option<Digest>,
}

pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

/// Shows no content, because config can hold secrets.
impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layer({})", self.name)
    }
}

/// The source of a release. A start from it verifies everything again.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Saved {
    /// The release document as the repository sent it.
    Document(String),
    /// A plain file server's layers by name, and its checksum.
    Plain {
        layers: Vec<(String, String)>,
        sha256: Option<Digest>,
    },
}

/// Shows no content, because config can hold secrets.
impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Saved")
    }
}
