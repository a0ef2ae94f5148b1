//! HTTP for S3. Trusts Mozilla's root certificates, which are built in for images without any, or only those
//! in `AWS_CA_BUNDLE`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientConfigKey, ClientOptions};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the store may send nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Connector(ClientConfig);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options
            .get_config_value(&ClientConfigKey::AllowHttp)
            .is_some_and(|value| value == "true");
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.0.clone())
            .https_only(!allow_http)
            // One request per connection, so that the proof at start can race creates.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("platformer-repository/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| object_store::Error::Generic {
                store: "S3",
                source: source.into(),
            })?;
        Ok(HttpClient::new(client))
    }
}

pub(super) fn connector() -> Result<Connector, Box<dyn Error + Send + Sync>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots()?)
        .with_no_client_auth();
    Ok(Connector(config))
}

fn roots() -> Result<RootCertStore, Box<dyn Error + Send + Sync>> {
    let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else {
        return Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        });
    };
    let pem = std::fs::read(path).map_err(|error| format!("AWS_CA_BUNDLE: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("AWS_CA_BUNDLE contains no certificate; expected PEM".into());
    }
    Ok(roots)
}
