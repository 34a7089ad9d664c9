//! TLS over a stream we hold: which certificates pass.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use super::{Site, Unseen, channel, credential};
use crate::checks::Trust;

/// A client's side of TLS that trusts as claimed.
///
/// # Errors
/// Where the certificate to trust cannot be read.
pub(super) async fn config(trust: &Trust, site: &Site<'_>) -> Result<ClientConfig, Unseen> {
    let provider = Arc::new(ring::default_provider());
    let alike = |outdated| Arc::new(AllAlike { provider: Arc::clone(&provider), outdated });
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Any => alike(None),
        Trust::Signed(signed) => match anchors(&credential::read(&signed.ca, site).await?, &provider)? {
            Ok(verifier) => verifier,
            Err(outdated) => alike(Some(Arc::new(outdated))),
        },
    };
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| Unseen(format!("cannot speak TLS: {error}")))?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// A CA that is to be trusted, and whose time is over or has not come. Clients of OpenSSL and of Go refuse what it has signed, and so
/// do we; webpki asks nothing of an anchor but its name and its key.
#[derive(Debug, thiserror::Error)]
#[error("the CA that is to be trusted {0}")]
struct Outdated(String);

/// What passes by those certificates of a PEM whose time it is; or why there is none.
fn anchors(pem: &str, provider: &Arc<CryptoProvider>) -> Result<Result<Arc<WebPkiServerVerifier>, Outdated>, Unseen> {
    let wrong = |error: String| Unseen(format!("the certificate to trust cannot be read: {error}"));
    let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let mut all = read.map_err(|error| wrong(error.to_string()))?;
    let verifier = |certificates: &[CertificateDer<'static>]| {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("there is none in it".to_owned()));
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| Unseen(format!("cannot trust the certificate given: {error}")))
    };
    let whoever = verifier(&all)?;
    let mut outdated = None;
    all.retain(|certificate| {
        let age = age_of(certificate, &whoever);
        let is_in_time = age.is_none();
        outdated = age.or(outdated.take());
        is_in_time
    });
    match outdated.filter(|_| all.is_empty()) {
        Some(age) => Ok(Err(Outdated(age))),
        None => verifier(&all).map(Ok),
    }
}

/// Since when a certificate is valid no more, or from when on; `None` where it is its time. That is the first that webpki asks.
fn age_of(certificate: &CertificateDer<'_>, verifier: &WebPkiServerVerifier) -> Option<String> {
    let anybody = ServerName::from(std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST));
    match verifier.verify_server_cert(certificate, &[], &anybody, &[], UnixTime::now()) {
        Err(rustls::Error::InvalidCertificate(why)) => channel::age(&why),
        _ => None,
    }
}

/// Of all certificates the same is said: each passes, as the claim says in so many words, or none does. Only the handshake's own
/// signatures are checked.
#[derive(Debug)]
struct AllAlike {
    provider: Arc<CryptoProvider>,
    /// Why none passes.
    outdated: Option<Arc<Outdated>>,
}

impl ServerCertVerifier for AllAlike {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let said = |why: &Arc<Outdated>| Err(CertificateError::Other(OtherError(Arc::<Outdated>::clone(why))).into());
        self.outdated.as_ref().map_or_else(|| Ok(ServerCertVerified::assertion()), said)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
        server_of(1990..2200, years).await
    }

    /// The same, with a CA that was valid in its own years.
    async fn server_of(its_own: std::ops::Range<i32>, years: std::ops::Range<i32>) -> (u16, String) {
        let key = || rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::default();
        ca.not_before = rcgen::date_time_ymd(its_own.start, 1, 1);
        ca.not_after = rcgen::date_time_ymd(its_own.end, 1, 1);
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
    async fn a_ca_is_trusted_in_its_time_alone_and_one_that_is_outdated_is_passed_over_beside_another() {
        let (port, ca) = server_of(1990..2000, 1990..2200).await;
        let verdict = looked_at(port, "web.test", &trusting(&ca)).await;
        let said = " does not pass: the CA that is to be trusted is expired since 2000-01-01T00:00:00Z";
        assert!(actual(&verdict).ends_with(said), "{verdict:?}");
        let (port, other) = server_in(1990..2200).await;
        let verdict = looked_at(port, "web.test", &trusting(&format!("{ca}{other}"))).await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    }

    fn why(verdict: &Verdict) -> &str {
        let Verdict::Unclear { why } = verdict else { panic!("not unclear: {verdict:?}") };
        why
    }

    /// A server with this certificate, of the one key that they have.
    async fn server_with(certificate: &str) -> u16 {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/uncommon.key")).unwrap();
        server(acceptor(chain, key)).await
    }

    #[tokio::test]
    async fn what_no_client_takes_any_more_is_broken() {
        // Made with openssl, signed with SHA-1 by a key of RSA.
        let port = server_with(include_str!("certificates/weak.pem")).await;
        let verdict = looked_at(port, "web.test", &trusting(include_str!("certificates/weak-ca.pem"))).await;
        let said = " has a certificate signed with MD5 or SHA-1, which no client takes any more";
        assert!(actual(&verdict).ends_with(said), "{verdict:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_checked_here_is_unclear_not_broken() {
        // Made with openssl, the CA on the curve P-521.
        let port = server_with(include_str!("certificates/uncommon.pem")).await;
        let verdict = looked_at(port, "web.test", &trusting(include_str!("certificates/uncommon-ca.pem"))).await;
        assert!(
            why(&verdict).ends_with(" cannot be told: it is signed in a way that is not known here"),
            "{verdict:?}"
        );

        let mut own = rcgen::CertificateParams::new(["web.test".to_owned()]).unwrap();
        own.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = rcgen::CertifiedIssuer::self_signed(own, rcgen::KeyPair::generate().unwrap()).unwrap();
        let key = PrivateKeyDer::try_from(own.key().serialize_der()).unwrap();
        let port = server(acceptor(vec![own.der().clone()], key)).await;
        let verdict = looked_at(port, "web.test", &trusting(&own.pem())).await;
        assert!(why(&verdict).ends_with(" cannot be told: it is that of a CA itself"), "{verdict:?}");
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
