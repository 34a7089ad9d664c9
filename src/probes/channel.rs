//! A stream, encrypted where the claim says so; and why it could not be, in words that name who has to mend it.
//!
//! A certificate must be for the name that a client in the cluster would dial, though what is dialled here may be one pod behind it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error, OtherError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::reach::Unmet;
use super::{Site, Unseen, trust};
use crate::checks::Trust;
use crate::complaint::chain;
use crate::tunnel::{Duplex, Fate, Stream};

/// Longest time for a handshake, and the shortest time for that: who speaks no TLS may wait for the end of a line.
const HANDSHAKE: Duration = Duration::from_secs(8);
const LEAST: Duration = Duration::from_millis(600);

/// What it comes to that a server ends a connection.
const ENDS: [io::ErrorKind; 4] = [
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
];

/// How a claim wants servers to be talked to. What it takes is read once, for all of a look and for what outlives it.
#[derive(Clone)]
pub(super) struct Tls(Option<Encryption>);

#[derive(Clone)]
struct Encryption {
    config: Arc<ClientConfig>,
    /// The name that certificates must be for, whatever is dialled.
    name: Option<String>,
    patience: Duration,
}

impl Tls {
    /// As claimed; without any trust plain text.
    ///
    /// # Errors
    /// Where the certificate to trust cannot be read.
    pub(super) async fn of(trust: Option<&Trust>, site: &Site<'_>) -> Result<Self, Unseen> {
        let Some(trust) = trust else { return Ok(Self(None)) };
        let config = Arc::new(trust::config(trust, site).await?);
        let patience = site.prober.hub.here(HANDSHAKE).max(LEAST);
        Ok(Self(Some(Encryption { config, name: trust.name().map(str::to_owned), patience })))
    }

    /// Whether anything is encrypted.
    pub(super) const fn is_claimed(&self) -> bool {
        self.0.is_some()
    }

    /// The same for those who are known by names of their own.
    pub(super) fn by_own_names(self) -> Self {
        Self(self.0.map(|encryption| Encryption { name: None, ..encryption }))
    }

    /// The same for what is spoken over it, by its name in the handshake (ALPN), where a server wants to be told.
    pub(super) fn agreeing_on(self, protocol: &[u8]) -> Self {
        Self(self.0.map(|encryption| {
            let mut config = ClientConfig::clone(&encryption.config);
            config.alpn_protocols = vec![protocol.to_vec()];
            Encryption { config: Arc::new(config), ..encryption }
        }))
    }

    /// Goes on over a stream. The certificate must be for this name unless the claim has another; `who` is at the other end, in the
    /// words of whoever tells of it.
    pub(super) async fn over(&self, stream: Stream, who: &str, name: &str) -> Result<Channel, Unmet> {
        let Some(Encryption { config, name: other, patience }) = &self.0 else { return Ok(Channel::Plain(stream)) };
        let name = other.as_deref().unwrap_or(name).trim_matches(['[', ']']);
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| Unseen(format!("`{name}` is no name that a certificate can be for")))?;
        let fate = stream.fate();
        match timeout(*patience, TlsConnector::from(Arc::clone(config)).connect(server, stream)).await {
            Ok(Ok(stream)) => Ok(Channel::Encrypted(Box::new(stream), fate)),
            Ok(Err(error)) => Err(match beyond(&error) {
                Some(why) => Unseen(format!("whether the certificate of {who} is right cannot be told: {why}")).into(),
                None => Unmet::broke(&fate, format!("{who} {}", cause(&error, name))),
            }),
            Err(_) => {
                Err(Unmet::broke(&fate, format!("{who} does not answer a TLS handshake; perhaps it speaks no TLS")))
            }
        }
    }
}

/// Why this library cannot tell whether a certificate is right; those of OpenSSL and of Go may well.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is wrong it can tell")]
fn beyond(error: &io::Error) -> Option<String> {
    let Some(Error::InvalidCertificate(why)) = error.get_ref()?.downcast_ref() else { return None };
    match why {
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: how, .. } if is_weak(how) => {
            None
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Some("it is signed in a way that is not known here".to_owned())
        }
        // An error of webpki, which has no name in this library.
        CertificateError::Other(OtherError(why)) if why.to_string() == "CaUsedAsEndEntity" => {
            Some("it is that of a CA itself".to_owned())
        }
        _ => None,
    }
}

/// Whether clients of OpenSSL and of Go refuse what is signed like this as well: with MD5 or SHA-1, by RSA or an elliptic curve (the
/// identifiers of RFC 8017, A.2.4 and RFC 3279, 2.2.3).
fn is_weak(algorithm: &[u8]) -> bool {
    const WEAK: [&[u8]; 3] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1],
    ];
    WEAK.iter().any(|weak| algorithm.windows(weak.len()).any(|part| part == *weak))
}

/// Why there is no TLS, said of the server.
fn cause(error: &io::Error, name: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(why)) => flaw(why, name),
        Some(Error::InvalidMessage(_)) => "speaks no TLS".to_owned(),
        Some(_) => format!("gave no answer over TLS: {}", chain(error)),
        None if ENDS.contains(&error.kind()) => {
            "closed the connection within the TLS handshake; perhaps it speaks no TLS".to_owned()
        }
        None => format!("gave no answer over TLS: {}", chain(error)),
    }
}

/// What is wrong with a certificate.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library may come to tell more, and each has its own words")]
fn flaw(why: &CertificateError, name: &str) -> String {
    match why {
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            format!("has a certificate for {names}, and not for {name}")
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "has a certificate signed with MD5 or SHA-1, which no client takes any more".to_owned()
        }
        CertificateError::NotValidForName => format!("has a certificate, but not for {name}"),
        CertificateError::UnknownIssuer => "has a certificate signed by a CA that is not trusted".to_owned(),
        // Of two CAs with one name: it was made anew, and not everywhere.
        CertificateError::BadSignature => {
            "has a certificate signed by a CA that is not trusted, though one of its name is".to_owned()
        }
        // In its own words, which the library shows as a programmer would see them.
        CertificateError::Other(OtherError(why)) => format!("has a certificate that does not pass: {why}"),
        other => age(other).map_or_else(
            || format!("has a certificate that does not pass: {other}"),
            |age| format!("has a certificate that {age}"),
        ),
    }
}

/// Since when a certificate is valid no more, or from when on, where it is not.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is about time")]
pub(super) fn age(why: &CertificateError) -> Option<String> {
    match why {
        CertificateError::ExpiredContext { not_after, .. } => Some(format!("is expired since {}", date(*not_after))),
        CertificateError::Expired => Some("is expired".to_owned()),
        CertificateError::NotValidYetContext { not_before, .. } => {
            Some(format!("is not valid before {}", date(*not_before)))
        }
        _ => None,
    }
}

/// A name out of what the library tells of a certificate's names: `DnsName("pg-rw")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let date = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    date.map_or_else(|| format!("second {} of 1970", time.as_secs()), |date| date.to_string())
}

/// A stream as the claim wants it. Dropping it ends the connection.
pub(super) enum Channel {
    Plain(Stream),
    Encrypted(Box<TlsStream<Stream>>, Fate),
}

impl Channel {
    /// Where to ask what became of the stream after it has been given to a client.
    pub(super) fn fate(&self) -> Fate {
        match self {
            Self::Plain(stream) => stream.fate(),
            Self::Encrypted(_, fate) => fate.clone(),
        }
    }

    fn wire(self: Pin<&mut Self>) -> Pin<&mut dyn Duplex> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream),
            Self::Encrypted(stream, _) => Pin::new(stream.as_mut()),
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_read(cx, buf)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_shutdown(cx)
    }
}
