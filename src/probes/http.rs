//! Twin of `checks/http.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::reach::{Unmet, silent};
use super::{Site, Unseen, credential, trust};
use crate::checks::{Host, Http, HttpAnswer, HttpResponse};
use crate::complaint::chain;
use crate::tunnel::Fate;

/// The most that is kept of a body, in bytes.
const KEPT: usize = 1 << 20;

pub(super) async fn observe(claim: &Http, site: &Site<'_>) -> Result<HttpAnswer, Unseen> {
    let silence = || HttpAnswer::Unmet(silent("http", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, site)).await;
    seen.or_else(|unmet| unmet.answer(HttpAnswer::Unmet))
}

async fn visit(claim: &Http, site: &Site<'_>) -> Result<HttpAnswer, Unmet> {
    let bearer = credential::resolve_any(claim.bearer.as_ref(), site).await?;
    let request = request(claim, bearer.as_deref(), site.namespace())?;
    let tls = match &claim.tls {
        Some(trust) => Some(trust::config(trust, site).await?),
        None => None,
    };
    let stream = site.dial(&claim.at).await?;
    let fate = stream.fate();
    let exchange = match tls {
        Some(config) => {
            let name = server_name(&request)?;
            let encrypted = TlsConnector::from(Arc::<ClientConfig>::new(config)).connect(name, stream).await;
            exchange(encrypted.map_err(|error| broke(claim, &fate, "TLS", &error))?, request).await
        }
        None => exchange(stream, request).await,
    };
    exchange.map(HttpAnswer::Answered).map_err(|error| broke(claim, &fate, "HTTP", &error))
}

/// What could not be sent at all is the claim's fault, and says nothing of the platform.
fn request(claim: &Http, bearer: Option<&str>, namespace: &str) -> Result<Request<Full<Bytes>>, Unseen> {
    let mut request = Request::builder().method(claim.method.as_str()).uri(claim.path.as_str());
    if !claim.headers.keys().any(|name| name.eq_ignore_ascii_case("host")) {
        request = request.header(HOST, host(claim, namespace));
    }
    for (name, value) in &claim.headers {
        request = request.header(name, value);
    }
    if let Some(bearer) = bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
    }
    let body = Full::from(claim.body.clone().unwrap_or_default());
    request.body(body).map_err(|error| Unseen(format!("cannot make a request to {}: {error}", claim.at)))
}

/// The address's name as clients in the cluster write it, with its port unless that is the scheme's own.
fn host(claim: &Http, namespace: &str) -> String {
    let name = match &claim.at.host {
        Host::Service { name, namespace: own } => format!("{name}.{}.svc", own.as_deref().unwrap_or(namespace)),
        Host::Pod { name, .. } | Host::Outside(name) => name.clone(),
    };
    match (claim.at.port, claim.tls.is_some()) {
        (80, false) | (443, true) => name,
        (port, _) => format!("{name}:{port}"),
    }
}

/// The name that the certificate must be for: the request's `Host` without its port.
fn server_name(request: &Request<Full<Bytes>>) -> Result<ServerName<'static>, Unseen> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
        .map_err(|_| Unseen(format!("`{host}` is no name that a certificate can be for")))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<HttpResponse, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // What ends the connection reaches the sender as well.
    let _driver = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    let sent = Instant::now();
    let response = sender.send_request(request).await?;
    read(response, sent).await
}

async fn read(response: Response<Incoming>, sent: Instant) -> Result<HttpResponse, hyper::Error> {
    let (parts, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while body.len() <= KEPT
        && let Some(frame) = incoming.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            body.extend_from_slice(&data);
        }
    }
    let cut = body.len() > KEPT;
    body.truncate(KEPT);
    Ok(HttpResponse {
        status: parts.status.as_u16(),
        headers: headers(&parts.headers),
        body: String::from_utf8_lossy(&body).into_owned(),
        cut,
        took_ms: u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    all
}

fn broke(claim: &Http, fate: &Fate, layer: &str, error: &(dyn std::error::Error + 'static)) -> Unmet {
    Unmet::broke(fate, format!("http {} gave no answer over {layer}: {}", claim.at, chain(error)))
}
