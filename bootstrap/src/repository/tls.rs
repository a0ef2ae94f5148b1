//! Trusted certificates: Mozilla's roots, which are built in for images FROM scratch, or only those of
//! `BOOTSTRAP_CA_FILE`.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::exit::{Exit, Failure};

pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, Failure> {
    let roots = match ca_file {
        None => RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        },
        Some(path) => from_file(path)?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Exit::Usage, "failed to prepare TLS").because(error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn from_file(path: &Path) -> Result<RootCertStore, Failure> {
    let refused = |what: &str| {
        Failure::new(
            Exit::Usage,
            format!("BOOTSTRAP_CA_FILE names {}, {what}", path.display()),
        )
    };
    let pem =
        std::fs::read(path).map_err(|error| refused("which cannot be read").because(error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| refused("which isn't a PEM file").because(error))?;
        roots
            .add(certificate)
            .map_err(|error| refused("which contains a malformed certificate").because(error))?;
    }
    if roots.is_empty() {
        return Err(refused("which contains no certificate"));
    }
    Ok(roots)
}
