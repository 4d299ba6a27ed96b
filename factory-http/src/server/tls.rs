//! TLS, from a certificate and a key in files.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::listening::TlsFiles;
use crate::configuration::secrets;
use crate::failure::Failure;

/// Reads the files. Blocks.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Failure> {
    let remedy =
        "`tls_cert` and `tls_key` in the `[server]` table of factory.toml name the files, in the PEM format";
    let refused = |problem: String| Failure::usage(problem).with_remedy(remedy);
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let chain = secrets::certificates(&files.certificate).map_err(refused)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            refused(format!(
                "the certificate in `{certificate}` cannot be read: {error}"
            ))
        })?;
    if chain.is_empty() {
        return Err(refused(format!("`{certificate}` holds no certificate")));
    }
    let pem = secrets::private_file(&files.key)
        .map_err(|problem| refused(format!("the key's file `{key}` {problem}")))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| refused(format!("the key in `{key}` cannot be read: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::caused("TLS cannot be set up", &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| {
            refused(format!(
                "the key in `{key}` does not go with the certificate in `{certificate}`: {error}"
            ))
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
