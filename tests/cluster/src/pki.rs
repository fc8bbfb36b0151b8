//! The control plane's own certificate authority.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::files::write_private;

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Key generation or signing failed.
    #[error("cannot make certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A certificate authority that signs for loopback.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both in PEM.
pub(crate) struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// A fresh authority with the given common name.
    pub(crate) fn new(common_name: &str) -> Result<Self, rcgen::Error> {
        let mut params = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// The authority's certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate that serves the given names and addresses. It is valid for clients too: etcd
    /// connects to itself with the certificate that it serves.
    pub(crate) fn server(&self, common_name: &str, names: &[&str]) -> Result<Identity, rcgen::Error> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(common_name).distinguished_name;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params)
    }

    /// A client certificate: Kubernetes takes the common name as user and the organization as group.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, rcgen::Error> {
        let mut params = named(user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Identity, rcgen::Error> {
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// The files that the components read, all with mode 0600.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Makes the authority, writes what the servers need into `directory`.
pub(crate) fn issue(directory: &Path) -> Result<(Authority, Files), Error> {
    let authority = Authority::new("local-control-plane")?;
    let files = Files {
        directory: directory.to_owned(),
    };
    let loopback = ["localhost", "127.0.0.1"];
    let api_names = [
        "localhost",
        "127.0.0.1",
        "10.0.0.1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let put = |name: &str, text: &str| {
        let path = files.path(name);
        write_private(&path, text.as_bytes()).map_err(|source| Error::Write { path, source })
    };
    put("ca.crt", &authority.pem())?;
    for (name, identity) in [
        ("etcd", authority.server("etcd", &loopback)?),
        ("apiserver", authority.server("kube-apiserver", &api_names)?),
        ("loopback", authority.server("local-control-plane", &loopback)?),
    ] {
        put(&format!("{name}.crt"), &identity.certificate)?;
        put(&format!("{name}.key"), &identity.key)?;
    }
    let service_accounts = KeyPair::generate()?;
    put("service-accounts.key", &service_accounts.serialize_pem())?;
    put("service-accounts.pub", &service_accounts.public_key_pem())?;
    Ok((authority, files))
}
