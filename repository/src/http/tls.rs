//! TLS: loads certificate and key, reloads them when their files change, and accepts handshakes.
//!
//! - [`client`]: the client of the health check

mod client;

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http::watched_file::{INTERVAL, Revision, revision};
pub(crate) use client::connect_to_localhost;

/// Paths of the certificate chain and of its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(
        "failed to read {variable} from {path:?}: check that the file exists, is readable and holds PEM"
    )]
    Read {
        variable: &'static str,
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error(
        "REPOSITORY_TLS_CERT names {path:?}, which holds no certificate: write the certificate chain in PEM"
    )]
    NoCertificate { path: PathBuf },
    #[error(
        "failed to use REPOSITORY_TLS_CERT with REPOSITORY_TLS_KEY: check that the key belongs to the certificate"
    )]
    Unusable(#[from] rustls::Error),
}

/// Revisions of both files. A renewal writes the files one after the other, so the second write triggers another reload.
type Revisions = [Revision; 2];

impl Files {
    fn revisions(&self) -> Revisions {
        [&self.certificate, &self.key].map(|path| revision(path))
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let failed = |variable, path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Read {
                variable,
                path,
                source,
            }
        };
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(failed("REPOSITORY_TLS_CERT", &self.certificate))?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate {
                path: self.certificate.clone(),
            });
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(failed("REPOSITORY_TLS_KEY", &self.key))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Tls {
    /// Loads the files, and reloads them when they change.
    pub(crate) fn open(files: Files) -> Result<Arc<Self>, TlsError> {
        let current = files.revisions();
        let tls = Arc::new(Self {
            config: RwLock::new(files.read()?),
            files,
        });
        tokio::spawn(Arc::clone(&tls).watch(current));
        Ok(tls)
    }

    /// Reloads changed files. If they are unusable, keeps the old certificate.
    async fn watch(self: Arc<Self>, mut used: Revisions) {
        let mut reported = used;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let current = self.files.revisions();
            if current == used {
                continue;
            }
            match self.files.read() {
                Ok(config) => {
                    used = current;
                    *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                    tracing::info!("reloaded the certificate");
                }
                // Retries without logging again: a renewal may not have written both files yet.
                Err(error) if reported != current => {
                    reported = current;
                    let cause = error.source().map(ToString::to_string);
                    tracing::error!(
                        %error,
                        cause = cause.unwrap_or_default(),
                        "failed to reload the certificate: the old certificate stays in use"
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config()).accept(stream).await
    }
}
