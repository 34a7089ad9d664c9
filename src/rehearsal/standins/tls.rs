//! The server's side of TLS: with the certificate that a server is told, or with one that no client should take.
//!
//! What is shown in place of a server's own is signed by one authority, which is the same for all of this process: a client that is told
//! to trust it sees a certificate for somebody else, and any other client one of an unknown signer.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::switch::Switch;

/// Whom the certificate is for that is shown in place of a server's own.
const SOMEBODY: &str = "somebody.else.example";

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its certificate is for somebody else, and of another signer.
    OfAnother,
    /// Its certificate has expired.
    Expired,
    /// It speaks none.
    Off,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[Self::OfAnother, Self::Expired, Self::Off];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OfAnother => "certificate-of-another",
            Self::Expired => "certificate-expired",
            Self::Off => "speaks-no-tls",
        }
    }
}

/// A server's certificate and key.
pub(crate) struct Identity {
    own: TlsAcceptor,
    faults: Switch<Fault>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Identity {
    /// Out of what a server reads, in PEM; `None` where that is no certificate with its key: a real server does not start with it.
    pub(crate) fn read(chain: &str, key: &str) -> Option<Self> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().ok()?;
        let own = acceptor(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?)?;
        Some(Self { own, faults: Switch::off() })
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Whether it speaks any.
    pub(crate) fn is_on(&self) -> bool {
        !self.faults.is(Fault::Off)
    }

    /// Goes on over TLS.
    ///
    /// # Errors
    /// The stream's own, and where the client does not take the certificate.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let other = || OTHERS.as_ref().ok_or_else(|| io::Error::other("no certificate can be made"));
        let shown = match self.faults.on() {
            Some(Fault::OfAnother) => &other()?.valid,
            Some(Fault::Expired) => &other()?.expired,
            Some(Fault::Off) | None => &self.own,
        };
        shown.accept(stream).await
    }
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Option<TlsAcceptor> {
    let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = versions.with_safe_default_protocol_versions().ok()?.with_no_client_auth();
    Some(TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).ok()?)))
}

/// What is shown in place of a server's own.
struct Others {
    /// Who has signed it, in PEM.
    authority: String,
    valid: TlsAcceptor,
    expired: TlsAcceptor,
}

static OTHERS: LazyLock<Option<Others>> = LazyLock::new(Others::make);

impl Others {
    fn make() -> Option<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().ok()?).ok()?;
        let until = |year| {
            let key = KeyPair::generate().ok()?;
            let mut params = CertificateParams::new([SOMEBODY.to_owned()]).ok()?;
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.signed_by(&key, &authority).ok()?.der().clone();
            acceptor(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).ok()?)
        };
        Some(Self { authority: authority.pem(), valid: until(2200)?, expired: until(2000)? })
    }
}

/// The authority that has signed what is shown in place of a server's own, in PEM.
pub(crate) fn authority() -> Option<&'static str> {
    OTHERS.as_ref().map(|others| others.authority.as_str())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rehearsal::standins::conformance::over_tls;

    /// A certificate for this name, its key, and the authority that has signed it, in PEM.
    pub(crate) fn papers(name: &str) -> (String, String, String) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, format!("who signs for {name}"));
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        (own.pem(), key.serialize_pem(), authority.pem())
    }

    #[tokio::test]
    async fn a_certificate_that_is_shown_in_place_of_the_own_is_taken_by_nobody_and_for_its_own_flaw() {
        let (chain, key, own) = papers("cache.data.svc");
        let identity = Identity::read(&chain, &key).unwrap();
        let met = async |name: &str, trusted: &str| {
            let (ours, theirs) = tokio::io::duplex(1 << 14);
            let (_, met) = tokio::join!(identity.accept(theirs), over_tls(ours, trusted, name));
            met.map(drop)
        };
        assert_eq!(met("cache.data.svc", &own).await, Ok(()));
        identity.inject(Some(Fault::OfAnother));
        assert!(met("cache.data.svc", &own).await.unwrap_err().contains("UnknownIssuer"));
        assert!(met("cache.data.svc", authority().unwrap()).await.unwrap_err().contains("not valid for name"));
        identity.inject(Some(Fault::Expired));
        assert!(met("cache.data.svc", &own).await.unwrap_err().contains("expired"));
        identity.inject(None);
        assert_eq!(met("cache.data.svc", &own).await, Ok(()));
    }

    #[test]
    fn what_is_no_certificate_with_its_key_is_no_identity() {
        let ((chain, key, _), (_, other, _)) = (papers("a.test"), papers("a.test"));
        assert!(Identity::read(&chain, &key).is_some());
        for (chain, key) in [(chain.as_str(), ""), ("", key.as_str()), ("nonsense", key.as_str()), (&chain, &other)] {
            assert!(Identity::read(chain, key).is_none());
        }
    }
}
