//! TLS: from files in PEM to what a handshake needs, and what a certificate says of its owner.
//!
//! Reads the files that the configuration names, once, when the node starts; touches no socket. TLS 1.2 and 1.3, with the
//! suites of rustls; nothing older. Whom a certificate must name is [`names`]'s part.

pub mod names;

use crate::config::{ClientAuth, Keys, PeerTls, SecureClients};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error(
        "cannot use {key} = {}: {problem}; what is needed is PEM, as `openssl pkcs12 -in store.p12 -nodes` prints it \
         (from a JKS store: `keytool -importkeystore -srckeystore store.jks -destkeystore store.p12 -deststoretype PKCS12` first)",
        path.display()
    )]
    File {
        /// The configuration's key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The parts do not go together.
    #[error("cannot offer TLS with {key}: {source}")]
    Parts {
        /// The configuration's table.
        key: &'static str,
        /// Why not.
        source: rustls::Error,
    },
}

/// Both ends of a connection between members.
#[derive(Debug, Clone)]
pub struct PeerSecurity {
    /// For those who are dialled.
    pub accepts: Arc<ServerConfig>,
    /// For those who dial.
    pub dials: Arc<ClientConfig>,
}

/// What the clients' secure port needs.
pub fn for_clients(config: &SecureClients) -> Result<Arc<ServerConfig>, TlsError> {
    let table = "tls.clients";
    let files = Files::read(table, &config.keys)?;
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Parts { key: table, source })?;
    let builder = match config.auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Want | ClientAuth::Need => {
            let roots = Arc::new(roots(table, &config.keys)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match config.auth {
                ClientAuth::Want => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| parts(table, e))?)
        }
    };
    let config = builder.with_single_cert(files.chain, files.key);
    Ok(Arc::new(config.map_err(|source| TlsError::Parts {
        key: table,
        source,
    })?))
}

/// What members need for each other: each shows a certificate, and wants to see one.
pub fn for_peers(config: &PeerTls) -> Result<PeerSecurity, TlsError> {
    let table = "tls.peers";
    let failed = |source| TlsError::Parts { key: table, source };
    let files = Files::read(table, &config.keys)?;
    let (roots, provider) = (Arc::new(roots(table, &config.keys)?), provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|e| parts(table, e))?;
    let accepts = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_client_cert_verifier(clients)
        .with_single_cert(files.chain.clone(), files.key.clone_key())
        .map_err(failed)?;
    let dialled = DialledPeer {
        usual: WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|e| parts(table, e))?,
        roots,
        provider: provider.clone(),
    };
    let dials = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(dialled))
        .with_client_auth_cert(files.chain, files.key)
        .map_err(failed)?;
    Ok(PeerSecurity {
        accepts: Arc::new(accepts),
        dials: Arc::new(dials),
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn parts(key: &'static str, source: impl std::error::Error) -> TlsError {
    TlsError::Parts {
        key,
        source: rustls::Error::General(source.to_string()),
    }
}

/// A certificate with those that vouch for it, and its key.
struct Files {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Files {
    fn read(table: &str, keys: &Keys) -> Result<Files, TlsError> {
        let refused = |name: &str, path: &Path, problem: String| TlsError::File {
            key: format!("{table}.{name}"),
            path: path.to_owned(),
            problem,
        };
        let chain = certificates(&keys.certificate)
            .map_err(|problem| refused("certificate", &keys.certificate, problem))?;
        let path = keys.key.as_ref().unwrap_or(&keys.certificate);
        let key = PrivateKeyDer::from_pem_file(path).map_err(|error| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let problem = match text.contains("ENCRYPTED") {
                true => {
                    "its private key is encrypted: `openssl pkey -in FILE` prints it without a password".to_owned()
                }
                false => format!("it holds no private key: {error}"),
            };
            refused("key", path, problem)
        })?;
        Ok(Files { chain, key })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<CertificateDer> = found.map_err(|error| error.to_string())?;
    match found.is_empty() {
        true => Err("it holds no certificate".to_owned()),
        false => Ok(found),
    }
}

fn roots(table: &str, keys: &Keys) -> Result<RootCertStore, TlsError> {
    let path = keys
        .trust
        .as_ref()
        .expect("the configuration was checked: who asks for certificates trusts somebody");
    let refused = |problem: String| TlsError::File {
        key: format!("{table}.trust"),
        path: path.clone(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path).map_err(refused)? {
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    Ok(roots)
}

/// Believes every certificate of the trust store. Whose it must be is looked at when it has said who it is: see [`names`].
#[derive(Debug)]
struct DialledPeer {
    usual: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for DialledPeer {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end)?,
            &self.roots,
            between,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
