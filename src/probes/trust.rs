//! TLS over a stream we hold: which certificates pass.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{Site, Unseen, credential};
use crate::checks::Trust;

/// A client's side of TLS that trusts as claimed.
///
/// # Errors
/// Where the certificate to trust cannot be read.
pub(super) async fn config(trust: &Trust, site: &Site<'_>) -> Result<ClientConfig, Unseen> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Any => Arc::new(AnyCertificate(Arc::clone(&provider))),
        Trust::Signed(signed) => {
            let roots = roots(&credential::read(&signed.ca, site).await?)?;
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| Unseen(format!("cannot trust the certificate given: {error}")))?
        }
    };
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| Unseen(format!("cannot speak TLS: {error}")))?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn roots(pem: &str) -> Result<RootCertStore, Unseen> {
    let wrong = |error: String| Unseen(format!("the certificate to trust cannot be read: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is none in it".to_owned())) } else { Ok(roots) }
}

/// Any certificate passes, as the claim says in so many words; only the handshake's own signatures are checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
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
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use crate::checks::Verdict;
    use crate::probes::stand::{CA, acceptor, actual, for_web_test, look, serve, silent};

    /// A server that speaks TLS with this; its port.
    async fn server(acceptor: TlsAcceptor) -> u16 {
        serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(stream).await?;
                let _request = stream.read(&mut [0; 4096]).await?;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
                stream.shutdown().await
            }
        })
        .await
    }

    /// A server with a certificate for `web.test` that was valid in these years; its port, and the CA that has signed it.
    async fn server_in(years: std::ops::Range<i32>) -> (u16, String) {
        let key = || rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(ca, key()).unwrap();
        let mut params = rcgen::CertificateParams::new(["web.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let own = key();
        let certificate = params.signed_by(&own, &ca).unwrap().der().clone();
        let own = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
        (server(acceptor(vec![certificate], own)).await, ca.pem())
    }

    async fn looked(host: &str, tls: &str) -> Verdict {
        looked_at(server(for_web_test()).await, host, tls).await
    }

    async fn looked_at(port: u16, host: &str, tls: &str) -> Verdict {
        look(&format!("http: {{at: 'host/127.0.0.1:{port}', headers: {{Host: '{host}'}}, tls: {tls}}}")).await
    }

    fn trusting(pem: &str) -> String {
        format!("{{ca: {{value: {pem:?}}}}}")
    }

    #[tokio::test]
    async fn a_certificate_that_the_trusted_one_signed_for_the_name_passes() {
        let named = format!("{{ca: {{value: {CA:?}}}, name: web.test}}");
        for (host, tls) in
            [("web.test", &trusting(CA)), ("web.test:8443", &trusting(CA)), ("other.test", &named), ("[::1]:1", &named)]
        {
            let verdict = looked(host, tls).await;
            assert!(matches!(verdict, Verdict::Held { .. }), "{host}: {verdict:?}");
        }
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_or_of_another_signer_does_not_pass() {
        let verdict = looked("other.test", &trusting(CA)).await;
        assert!(actual(&verdict).ends_with(" has a certificate for web.test, and not for other.test"), "{verdict:?}");
        let verdict = looked("[::1]:8443", &trusting(CA)).await;
        assert!(actual(&verdict).ends_with(" has a certificate for web.test, and not for ::1"), "{verdict:?}");
        let (_, other) = server_in(1990..2200).await;
        let verdict = looked("web.test", &trusting(&other)).await;
        assert!(actual(&verdict).ends_with(" has a certificate signed by a CA that is not trusted"), "{verdict:?}");
        let (port, _) = server_in(1990..2200).await;
        let verdict = looked_at(port, "web.test", &trusting(&other)).await;
        assert!(actual(&verdict).ends_with(" that is not trusted, though one of its name is"), "{verdict:?}");
        let verdict = looked("other.test", "any").await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    }

    #[tokio::test]
    async fn a_certificate_passes_in_its_time_alone() {
        let (port, ca) = server_in(1990..2200).await;
        let verdict = looked_at(port, "web.test", &trusting(&ca)).await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        for (years, said) in [
            (1990..2000, " has a certificate that is expired since 2000-01-01T00:00:00Z"),
            (2190..2200, " has a certificate that is not valid before 2190-01-01T00:00:00Z"),
        ] {
            let (port, ca) = server_in(years).await;
            let verdict = looked_at(port, "web.test", &trusting(&ca)).await;
            assert!(actual(&verdict).ends_with(said), "{verdict:?}");
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_the_beginning_of_tls_may_speak_none() {
        let verdict = looked_at(silent().await, "web.test", "any").await;
        assert!(
            actual(&verdict).ends_with(" does not answer a TLS handshake; perhaps it speaks no TLS"),
            "{verdict:?}"
        );
        let verdict = looked_at(serve(async |mut stream| stream.shutdown().await).await, "web.test", "any").await;
        assert!(actual(&verdict).contains(" closed the connection within the TLS handshake"), "{verdict:?}");
    }
}
