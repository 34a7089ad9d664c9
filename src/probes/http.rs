//! Twin of `checks/http.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::channel::{Channel, Tls};
use super::reach::{SILENCE, Unmet, silent};
use super::{Site, Unseen, credential};
use crate::checks::{Address, BodyEnd, BodyNeed, Claim, Host, Http, HttpAnswer, HttpResponse};
use crate::complaint::chain;
use crate::tunnel::Fate;

/// The most that is kept of a body, in bytes.
const KEPT: usize = 1 << 20;

/// Longest time for the beginning of a body that only illustrates a failure.
const HINT: Duration = Duration::from_millis(500);

pub(super) async fn observe(claim: &Http, site: &Site<'_>) -> Result<HttpAnswer, Unseen> {
    let silence = || HttpAnswer::Unmet(silent("http", &claim.at));
    let seen = match site.hearing(claim, silence, visit(claim, site)).await {
        Ok(met) => read(met, claim, site).await,
        Err(unmet) => Err(unmet),
    };
    seen.map(HttpAnswer::Answered).or_else(|unmet| unmet.answer(HttpAnswer::Unmet))
}

/// A server that has sent the head of its answer.
struct Met {
    head: HttpResponse,
    body: Incoming,
    sent: Instant,
    fate: Fate,
    /// What ends the connection reaches the body as well.
    _driver: AbortOnDropHandle<()>,
}

async fn visit(claim: &Http, site: &Site<'_>) -> Result<Met, Unmet> {
    let bearer = credential::resolve_any(claim.bearer.as_ref(), site).await?;
    let request = request(claim, bearer.as_deref(), site.namespace())?;
    let tls = Tls::of(claim.tls.as_ref(), site).await?;
    let stream = site.dial(&claim.at).await?;
    let channel = tls.over(stream, &format!("http {}", claim.at), server_name(&request)).await?;
    let fate = channel.fate();
    exchange(channel, request, &fate).await.map_err(|error| broke(claim, &fate, &error))
}

/// What could not be sent at all is the claim's fault, and says nothing of the platform.
fn request(claim: &Http, bearer: Option<&str>, namespace: &str) -> Result<Request<Full<Bytes>>, Unseen> {
    let mut request = Request::builder().method(claim.method.as_str()).uri(claim.path.as_str());
    if !claim.headers.keys().any(|name| name.eq_ignore_ascii_case("host")) {
        request = request.header(HOST, host(claim, namespace));
    }
    if !claim.headers.keys().any(|name| name.eq_ignore_ascii_case("accept-encoding")) {
        request = request.header(ACCEPT_ENCODING, "identity");
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

/// The address's name as clients in the cluster write it.
pub(super) fn host_name(at: &Address, namespace: &str) -> String {
    match &at.host {
        Host::Service { name, namespace: own } => format!("{name}.{}.svc", own.as_deref().unwrap_or(namespace)),
        Host::Pod { name, .. } | Host::Outside(name) => name.clone(),
    }
}

/// The same with its port unless that is the scheme's own.
fn host(claim: &Http, namespace: &str) -> String {
    let name = host_name(&claim.at, namespace);
    match (claim.at.port, claim.tls.is_some()) {
        (80, false) | (443, true) => name,
        (port, _) => format!("{name}:{port}"),
    }
}

/// The name that the certificate must be for: the request's `Host` without its port.
fn server_name(request: &Request<Full<Bytes>>) -> &str {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

async fn exchange(channel: Channel, request: Request<Full<Bytes>>, fate: &Fate) -> Result<Met, hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(channel)).await?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    let sent = Instant::now();
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let head = HttpResponse {
        status: parts.status.as_u16(),
        headers: headers(&parts.headers),
        body: String::new(),
        end: BodyEnd::Open,
        took_ms: millis(sent),
    };
    Ok(Met { head, body, sent, fate: fate.clone(), _driver })
}

/// Reads as much of the body as the claim needs: some servers end it late, and some never.
async fn read(met: Met, claim: &Http, site: &Site<'_>) -> Result<HttpResponse, Unmet> {
    let need = claim.body_need(&met.head);
    if need == BodyNeed::Nothing {
        return Ok(met.head);
    }
    let Met { head, mut body, sent, fate, _driver } = met;
    let mut bytes = Vec::new();
    let seen = |bytes: &[u8], end| HttpResponse { body: text(bytes), end, took_ms: millis(sent), ..head.clone() };
    let stands = |bytes: &[u8]| site.notes.stands(claim.judge(&HttpAnswer::Answered(seen(bytes, BodyEnd::Open))));
    if site.notes.last().verdict.is_some() {
        // It has been noted as silent, and is not.
        stands(&bytes);
    }
    if need == BodyNeed::Hint {
        // That the hint is late, or breaks off, changes nothing.
        let hint = timeout(site.prober.hub.here(HINT), fill(&mut bytes, &mut body, |_| false)).await;
        return Ok(seen(&bytes, hint.ok().and_then(Result::ok).unwrap_or(BodyEnd::Open)));
    }
    loop {
        match timeout(
            site.prober.hub.here(SILENCE),
            fill(&mut bytes, &mut body, |bytes| claim.is_decided(&text(bytes))),
        )
        .await
        {
            Ok(end) => return Ok(seen(&bytes, end.map_err(|error| broke(claim, &fate, &error))?)),
            Err(_elapsed) => stands(&bytes),
        }
    }
}

/// The part of a body that is kept.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT)]).into_owned()
}

/// Reads on until the body ends, is enough, or is more than is kept.
async fn fill(
    bytes: &mut Vec<u8>,
    body: &mut Incoming,
    is_enough: impl Fn(&[u8]) -> bool,
) -> Result<BodyEnd, hyper::Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > KEPT {
            return Ok(BodyEnd::TooLong);
        }
        if is_enough(bytes) {
            return Ok(BodyEnd::Open);
        }
    }
    Ok(BodyEnd::Whole)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
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

fn broke(claim: &Http, fate: &Fate, error: &(dyn std::error::Error + 'static)) -> Unmet {
    Unmet::broke(fate, format!("http {} gave no answer over HTTP: {}", claim.at, chain(error)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::checks::Verdict;
    use crate::probes::stand::{Heard, actual, look, serve, silent, stands_when_dropped, why};

    /// A server that notes each request and sends `reply`, whole or not, and closes.
    async fn server(reply: &'static str, heard: Heard) -> u16 {
        serve(move |mut stream| {
            let heard = heard.clone();
            async move {
                let mut request = vec![0; 4096];
                let count = stream.read(&mut request).await?;
                heard.note(String::from_utf8_lossy(&request[..count]));
                stream.write_all(reply.as_bytes()).await
            }
        })
        .await
    }

    async fn judged(reply: &'static str, more: &str) -> Verdict {
        let port = server(reply, Heard::default()).await;
        look(&format!("http: {{at: 'host/127.0.0.1:{port}', {more}}}")).await
    }

    #[tokio::test]
    async fn status_headers_and_body_are_brought_back() {
        let reply = "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello";
        let verdict = judged(reply, "has: {X-A: {equals: '1, 2'}}, answers: {equals: hello}").await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        let verdict = judged("HTTP/1.1 503 Oh\r\nContent-Length: 4\r\n\r\nbusy", "path: /x").await;
        assert!(actual(&verdict).ends_with("GET /x got 503; its body starts \"busy\""), "{verdict:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let reply = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
        let verdict = judged(reply, "status: 302, has: {location: {contains: /login}}").await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    }

    #[tokio::test]
    async fn an_answer_that_ends_too_early_is_no_answer() {
        for reply in ["", "HTTP/1.1 200 OK\r\nContent-Le", "+PONG\r\n"] {
            let verdict = judged(reply, "status: 200").await;
            assert!(actual(&verdict).contains("gave no answer over HTTP: "), "{reply:?}: {verdict:?}");
            assert!(matches!(judged(reply, "expect: denied").await, Verdict::Unclear { .. }), "{reply:?}");
        }
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";
        let verdict = judged(half, "answers: {lacks: error}").await;
        assert!(actual(&verdict).contains("gave no answer over HTTP: "), "{verdict:?}");
        assert!(matches!(judged(half, "status: 200").await, Verdict::Held { .. }));
    }

    /// A server that sends `reply` and never ends its stream.
    async fn endless(reply: &'static str) -> u16 {
        serve(move |mut stream| async move {
            let _request = stream.read(&mut [0; 4096]).await?;
            stream.write_all(reply.as_bytes()).await?;
            std::future::pending().await
        })
        .await
    }

    #[tokio::test]
    async fn a_head_is_judged_though_the_stream_is_held_open() {
        let port = endless("HTTP/1.1 404 Not Found\r\n\r\nno such page").await;
        let claim = |more: &str| format!("http: {{at: 'host/127.0.0.1:{port}', {more}}}");
        assert!(matches!(look(&claim("status: 404")).await, Verdict::Held { .. }));
        let broken = format!("http host/127.0.0.1:{port} GET / got 404; its body starts \"no such page\"");
        assert_eq!(actual(&look(&claim("status: 200")).await), broken);
        assert!(matches!(look(&claim("expect: denied")).await, Verdict::Broken { .. }));
        assert!(matches!(look(&claim("status: 404, answers: {contains: such}")).await, Verdict::Held { .. }));
        let stands = stands_when_dropped(&claim("status: 404, answers: {lacks: such page x}")).await.unwrap();
        assert_eq!(actual(&stands), "the body starts \"no such page\", and was not at its end");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_breaks_when_the_time_is_up() {
        let port = silent().await;
        let at = format!("host/127.0.0.1:{port}");
        let verdict = stands_when_dropped(&format!("http: {{at: '{at}'}}")).await.unwrap();
        assert_eq!(actual(&verdict), format!("http {at} does not answer"));
    }

    #[tokio::test]
    async fn what_is_claimed_is_what_is_sent() {
        let heard = Heard::default();
        let port = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", heard.clone()).await;
        let check = "method: POST, path: '/a?b', body: hello, bearer: {value: token22}, headers: {X-B: c}";
        look(&format!("http: {{at: 'host/127.0.0.1:{port}', {check}}}")).await;
        let request = heard.all().remove(0).to_lowercase();
        for part in [
            "post /a?b http/1.1\r\n",
            &format!("host: 127.0.0.1:{port}\r\n"),
            "x-b: c\r\n",
            "authorization: bearer token22\r\n",
            "\r\n\r\nhello",
        ] {
            assert!(request.contains(part), "{part:?} in {request}");
        }
    }

    #[tokio::test]
    async fn plain_text_is_no_tls_and_a_certificate_that_is_none_is_not_looked_with() {
        let reply = "HTTP/1.1 400 Bad Request\r\n\r\n";
        let verdict = judged(reply, "tls: any").await;
        assert!(actual(&verdict).ends_with(" speaks no TLS"), "{verdict:?}");
        let verdict = judged(reply, "tls: {ca: {value: nonsense}}").await;
        assert_eq!(why(&verdict), "the certificate to trust cannot be read: there is none in it");
    }

    #[tokio::test]
    async fn a_secret_that_a_server_sends_back_is_masked() {
        let reply = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 17\r\n\r\nbad token token22";
        let verdict = judged(reply, "bearer: {value: token22}").await;
        assert!(actual(&verdict).ends_with("its body starts \"bad token <sensitive>\""));
    }
}
