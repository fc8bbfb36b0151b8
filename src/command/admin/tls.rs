//! TLS for `/metrics`: with a certificate from files, reloaded when they change, or one that is generated at start.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Shortest time between two checks of the files.
const RECHECK: Duration = Duration::from_secs(5);
/// Why the certificate cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// A file contains something else.
    #[error("{0} contains no usable PEM: {1}")]
    Parse(PathBuf, String),
    /// Certificate and key do not match.
    #[error("certificate and key for /metrics cannot be used: {0}")]
    Unusable(String),
}

/// The files with certificate and key.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// The certificate in use, and its files.
pub struct Certificates {
    files: Option<Files>,
    read: (Vec<u8>, Vec<u8>),
    checked: Instant,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Loads the files, or generates a certificate.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn load(files: Option<Files>) -> Result<Self, Error> {
        let read = match &files {
            Some(files) => read(files)?,
            None => generate()?,
        };
        let config = configure(files.as_ref(), &read)?;
        Ok(Self {
            files,
            read,
            checked: Instant::now(),
            config,
        })
    }

    /// Reloads the files if it is time to. If the new pair is invalid (half-written, for example), logs it and keeps the previous
    /// pair.
    pub fn current(&mut self) -> Arc<ServerConfig> {
        if let Some(files) = &self.files
            && self.checked.elapsed() >= RECHECK
        {
            self.checked = Instant::now();
            match read(files).and_then(|now| Ok((configure(Some(files), &now)?, now))) {
                Ok((config, now)) if now != self.read => {
                    tracing::info!("reloaded the certificate for /metrics");
                    self.read = now;
                    self.config = config;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot reload the certificate for /metrics; the previous one stays in use");
                }
            }
        }
        Arc::clone(&self.config)
    }
}

fn read(files: &Files) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Error::Read(path.clone(), error));
    Ok((read(&files.certificate)?, read(&files.key)?))
}

/// A self-signed certificate, like that of the Go operator, for scrapers that do not verify it.
fn generate() -> Result<(Vec<u8>, Vec<u8>), Error> {
    let unusable = |error: rcgen::Error| Error::Unusable(error.to_string());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(unusable)?;
    Ok((
        made.cert.pem().into_bytes(),
        made.signing_key.serialize_pem().into_bytes(),
    ))
}

fn configure(files: Option<&Files>, read: &(Vec<u8>, Vec<u8>)) -> Result<Arc<ServerConfig>, Error> {
    let name = |path: Option<&PathBuf>| path.cloned().unwrap_or_default();
    let (certificate, key) = (
        name(files.map(|files| &files.certificate)),
        name(files.map(|files| &files.key)),
    );
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read.0)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Parse(certificate, error.to_string()))?;
    // The reason is not shown for a key: its text might quote the key.
    let secret =
        PrivateKeyDer::from_pem_slice(&read.1).map_err(|_| Error::Parse(key, "not a private key".into()))?;
    let unusable = |error: tokio_rustls::rustls::Error| Error::Unusable(error.to_string());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unusable)?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_reloaded_and_damaged_ones_are_not() {
        let folder = std::env::temp_dir().join(format!("dittofs-metrics-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = Files {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        let write = |(certificate, key): &(Vec<u8>, Vec<u8>)| {
            std::fs::write(&files.certificate, certificate).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        write(&generate().unwrap());
        let mut certificates = Certificates::load(Some(files.clone())).unwrap();
        let first = certificates.current();
        let mut look = || {
            certificates.checked = Instant::now().checked_sub(RECHECK).unwrap();
            certificates.current()
        };
        assert!(Arc::ptr_eq(&first, &look()), "unchanged");
        write(&(b"no certificate".to_vec(), b"no key".to_vec()));
        assert!(Arc::ptr_eq(&first, &look()), "damaged");
        write(&generate().unwrap());
        assert!(!Arc::ptr_eq(&first, &look()), "changed");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
