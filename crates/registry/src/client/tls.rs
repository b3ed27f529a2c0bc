//! TLS by the settings of a host: rustls with ring, the system's certificates and the host's own.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use crate::config::{ConfigError, certs::Tls};

/// The system's certificates, read once.
static SYSTEM: OnceLock<Trusted> = OnceLock::new();

/// Certificates that are trusted.
#[derive(Clone, Debug)]
struct Trusted {
    roots: RootCertStore,
    /// The same, as they are.
    whole: Vec<CertificateDer<'static>>,
}

/// The settings as rustls wants them.
pub(crate) fn config(tls: &Tls) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Tls { message: error.to_string() })?;
    let builder = if tls.skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        let mut trusted = SYSTEM.get_or_init(system).clone();
        for path in &tls.authorities {
            for certificate in certificates(path)? {
                trusted.roots.add(certificate.clone()).map_err(|error| bad(path, error.to_string()))?;
                trusted.whole.push(certificate);
            }
        }
        let roots = Arc::new(trusted.roots);
        match WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider).build() {
            Ok(chains) => {
                let verifier = Anchored { chains, whole: trusted.whole };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            // Nobody is trusted.
            Err(_) => builder.with_root_certificates(roots),
        }
    };
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            // What a key file looks like inside is never part of a message.
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| bad(key, "holds no private key in PEM form".to_owned()))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|_| bad(key, format!("is not the key of {}", certificate.display())))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn system() -> Trusted {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate of the system cannot be read");
    }
    let whole = found.certs.clone();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "certificates of the system");
    Trusted { roots, whole }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = fs::read(path).map_err(|error| bad(path, error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| bad(path, error.to_string()))?;
    if found.is_empty() { Err(bad(path, "holds no certificate in PEM form".to_owned())) } else { Ok(found) }
}

fn bad(path: &Path, message: String) -> ConfigError {
    ConfigError::File { path: path.to_owned(), message }
}

/// Takes what chains lead to, and a server's own certificate that is trusted byte for byte though it says to be a CA:
/// what `openssl req -x509` makes for a registry, and what Go takes.
#[derive(Debug)]
struct Anchored {
    chains: Arc<WebPkiServerVerifier>,
    whole: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Anchored {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.chains.verify_server_cert(own, others, name, ocsp, now);
        match &verified {
            // Said once the time has been found right, and before the name is looked at.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
                if error.to_string() == "CaUsedAsEndEntity" && self.whole.iter().any(|one| one == own) =>
            {
                verify_server_name(&ParsedCertificate::try_from(own)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            _ => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Takes any certificate, for hosts that the user said need none.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
