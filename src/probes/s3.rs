//! Twin of `checks/s3.rs`.
//!
//! An object of ours is named after the run, in a bucket that is as well unless the claim names one. What was made is removed
//! by a task that outlives a look that is dropped. A presigned address is as good as the key for as long as it holds:
//! neither it nor its signature is told to anybody.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, DATE, ETAG, HOST, HeaderMap, HeaderValue};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use roxmltree::Document;
use tokio::time::timeout;

use super::channel::Tls;
use super::http::host_name;
use super::line::{Line, Reply};
use super::reach::{Failure, Heard, Unmet, heard, silent};
use super::signature::{self, Signed, Signer, hex, sha256};
use super::{Made, Site, Unseen, credential, token};
use crate::checks::{Access, Address, Given, Obstacle, S3, S3Answer, S3Facts, S3Object, S3Put};
use crate::complaint::chain;
use crate::tunnel::{DialError, Dialer, Stream};

/// Longest time for putting an object and all that is asked of it, and for removing it; both bound a task that nobody waits
/// for.
const WRITE: Duration = Duration::from_secs(8);
const REMOVE: Duration = Duration::from_secs(5);

/// How long a presigned address holds, in seconds: longer than it is looked at, on clocks that differ a little.
const HOLDS: u32 = 60;

/// How many lines of 21 bytes an object of ours has.
const LINES: usize = 256;

/// The most that is kept of an error's words, in characters.
const WORDS: usize = 300;

/// The most characters of a run's name that a bucket's name has, of 63 in all.
const RUN: usize = 30;

/// The codes of a server that does not say whether it has done what it was asked for.
const UNTOLD: [&str; 4] = ["InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"];

pub(super) async fn observe(claim: &S3, site: &Site<'_>) -> Result<S3Answer, Unseen> {
    let silence = || S3Answer::Unmet(silent("s3", &claim.at));
    let seen = site.hearing(claim, silence, visit(claim, site)).await;
    seen.or_else(|unmet| unmet.answer(S3Answer::Unmet))
}

async fn visit(claim: &S3, site: &Site<'_>) -> Result<S3Answer, Unmet> {
    let host = format!("{}:{}", host_name(&claim.at, site.namespace()), claim.at.port);
    let place = site.prober.dialer.one(&claim.at, site.namespace()).await?;
    let server = Server {
        at: claim.at.clone(),
        other: next(&place, site, &claim.at).await?,
        place,
        dialer: site.prober.dialer.clone(),
        heard: site.heard.clone(),
        namespace: site.namespace().to_owned(),
        host,
        tls: Tls::of(claim.tls.as_ref(), site).await?,
        access_key: claim.access_key.clone(),
        secret_key: credential::resolve(&claim.secret_key, site).await?,
        region: claim.region.clone(),
    };
    let line = server.open(site.dial(&server.place).await?).await?;
    match show(claim, Talk { server, line: Some(line) }, site).await {
        Ok(facts) => Ok(S3Answer::Open(facts)),
        Err(Failure::Said(error)) => Ok(S3Answer::Refused(error)),
        Err(Failure::Unmet(unmet)) => Err(unmet),
    }
}

/// Who is to have what this one has taken: the one after it, where a Service has several.
async fn next(place: &Address, site: &Site<'_>, at: &Address) -> Result<Address, Unmet> {
    let all = match site.prober.dialer.each(at, site.namespace()).await {
        // Of a Service without pods of its own nobody can tell who is behind it.
        Err(DialError::Podless(_)) => Vec::new(),
        all => all?,
    };
    let own = all.iter().position(|one| one == place);
    Ok(own.map_or_else(|| place.clone(), |own| all[(own + 1) % all.len()].clone()))
}

async fn show(claim: &S3, mut talk: Talk, site: &Site<'_>) -> Result<S3Facts, Failure> {
    // Who keeps an object in a bucket of another's need not be allowed to see all buckets.
    let named: Vec<&String> =
        claim.buckets.iter().chain(claim.bucket.iter().filter(|bucket| !claim.buckets.contains(bucket))).collect();
    let mut facts = S3Facts { absent: Vec::new(), put: None, leftovers: Vec::new() };
    let mut unlisted = None;
    if named.is_empty() {
        talk.list_buckets().await?;
    }
    for (at, bucket) in named.into_iter().enumerate() {
        match talk.list(bucket, "").await {
            Ok(_) => {}
            // Of what does not exist that is said to those only who may come in.
            Err(Failure::Said(error)) if at > 0 || error.starts_with("NoSuchBucket:") => {
                facts.absent.push((bucket.clone(), error));
            }
            // Who may not list may do all else with what is in it.
            Err(Failure::Said(error)) if claim.expect == Access::Denied && error.starts_with("AccessDenied:") => {
                unlisted = Some(error);
            }
            Err(failure) => return Err(failure),
        }
    }
    let is_there = |bucket: &String| facts.absent.iter().all(|(absent, _)| absent != bucket);
    let puts = match claim.expect {
        Access::Allowed => claim.bucket.as_ref().is_none_or(is_there),
        Access::Denied => unlisted.is_some(),
    };
    if claim.writes && puts {
        let place = Place::of(claim.bucket.as_deref(), &site.prober.run);
        // What was made is removed even where this look is given up half-way, and the run does not end before that.
        let proof = site.prober.unfinished.spawn(prove(talk, place, site.prober.made.clone())).await;
        let lost = |error| Unmet::from(Unseen(format!("the write was not seen through: {error}")));
        let (put, leftovers) = proof.map_err(lost)??;
        if let (S3Put::Refused(error), Access::Denied) = (&put, claim.expect) {
            return Err(Failure::Said(error.clone()));
        }
        (facts.put, facts.leftovers) = (Some(put), leftovers);
    } else if let Some(error) = unlisted {
        return Err(Failure::Said(error));
    }
    Ok(facts)
}

/// Where our object is kept.
struct Place {
    bucket: String,
    /// Whether the bucket is ours as well.
    is_own: bool,
    key: String,
}

impl Place {
    /// In this bucket, or in one of our own with a name as S3 allows it.
    fn of(bucket: Option<&str>, run: &str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let run: String = run.chars().map(plain).take(RUN).collect();
        let own = format!("seaworthy-{run}-{}", token());
        Self {
            key: format!("seaworthy/{run}/{}", token()),
            is_own: bucket.is_none(),
            bucket: bucket.map_or(own, str::to_owned),
        }
    }
}

/// What of ours may be there.
#[derive(Default)]
struct Ours {
    bucket: bool,
    object: bool,
    /// Of a bucket with versions only who names the object's deletes it for good.
    version: Option<String>,
}

/// One object, put over one connection and looked at over another.
async fn prove(mut writer: Talk, place: Place, left: Made) -> Result<(S3Put, Vec<String>), Unmet> {
    let other = Server { place: writer.server.other.clone(), ..writer.server.clone() };
    let mut reader = Talk { server: other, line: None };
    let mut made = Ours::default();
    let put = timeout(WRITE, put(&mut writer, &mut reader, &place, &mut made)).await;
    let leftovers = match timeout(REMOVE, remove(&mut reader, &place, &made)).await {
        Ok(leftovers) => leftovers,
        Err(_) => {
            let Place { bucket, key, .. } = &place;
            let object = made.object.then(|| format!("object {bucket}/{key}"));
            let bucket = made.bucket.then(|| format!("bucket {bucket}"));
            let both = object.into_iter().chain(bucket);
            both.map(|what| format!("{what}: no answer within {} s", REMOVE.as_secs())).collect()
        }
    };
    leftovers.iter().cloned().for_each(|what| left.leave(what));
    match put {
        Ok(put) => Ok((put?, leftovers)),
        Err(_) => {
            let words = format!("s3 {} did not see an object through within {} s", writer.server.at, WRITE.as_secs());
            Err(Unmet::Obstacle(Obstacle::Broke(words)))
        }
    }
}

async fn put(writer: &mut Talk, reader: &mut Talk, place: &Place, made: &mut Ours) -> Result<S3Put, Unmet> {
    let Place { bucket, is_own, key } = place;
    let line = token();
    let body = Bytes::from((0..LINES).map(|count| format!("{line}{count:04}\n")).collect::<String>());
    let md5 = Md5::digest(&body);
    made.bucket = *is_own;
    if *is_own && let Err(error) = heard(writer.make_bucket(bucket).await)? {
        made.bucket = is_untold(&error);
        return Ok(S3Put::Refused(error));
    }
    made.object = true;
    let headers = match heard(writer.put(bucket, key, &body, &BASE64_STANDARD.encode(md5)).await)? {
        Ok(headers) => headers,
        Err(error) => {
            made.object = is_untold(&error);
            return Ok(S3Put::Refused(error));
        }
    };
    made.version = field(&headers, "x-amz-version-id").map(str::to_owned);
    let read = given(reader.get(bucket, key).await, &body)?;
    let listed = heard(reader.list(bucket, key).await)?.map(|keys| keys.contains(key));
    let presigned = given(reader.get_presigned(bucket, key, str::to_owned).await, &body)?;
    let forged = given(reader.get_presigned(bucket, key, forge).await, &body)?;
    let unsigned = given(reader.get_unsigned(bucket, key).await, &body)?;
    let deleted = match heard(writer.delete(&[bucket, key], made.version.as_deref()).await)? {
        Ok(()) => Ok(given(reader.get(bucket, key).await, &body)?),
        Err(error) => Err(error),
    };
    made.object = !matches!(&deleted, Ok(Given::Refused(error)) if error.starts_with("NoSuchKey:"));
    let is_encrypted = headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption"));
    let etag = field(&headers, ETAG.as_str()).unwrap_or_default().trim_matches('"').to_owned();
    let etag = (!is_encrypted).then_some(etag);
    let object = S3Object { md5: hex(&md5), etag, read, listed, presigned, forged, unsigned, deleted };
    Ok(S3Put::Taken(object.into()))
}

/// Removes the object and then its bucket, if that is ours. Says what is still there.
async fn remove(talk: &mut Talk, place: &Place, made: &Ours) -> Vec<String> {
    let Place { bucket, key, .. } = place;
    let mut left = Vec::new();
    if made.object
        && let Err(failure) =
            talk.delete(&[bucket, key], made.version.as_deref()).await.or_else(Failure::unless_missing)
    {
        left.push(format!("object {bucket}/{key}: {}", failure.words()));
    }
    if made.bucket
        && let Err(failure) = talk.delete(&[bucket], None).await.or_else(Failure::unless_missing)
    {
        left.push(format!("bucket {bucket}: {}", failure.words()));
    }
    left
}

fn given(said: Result<Vec<u8>, Failure>, body: &[u8]) -> Result<Given, Unmet> {
    Ok(match heard(said)? {
        Ok(found) if found == body => Given::Same,
        Ok(found) => Given::Other(found.len()),
        Err(error) => Given::Refused(error),
    })
}

fn is_untold(error: &str) -> bool {
    UNTOLD.iter().any(|code| error.starts_with(&format!("{code}:")))
}

/// A signature that is wrong by its last digit.
fn forge(signature: &str) -> String {
    let (most, last) = signature.split_at(signature.len().saturating_sub(1));
    format!("{most}{}", if last == "0" { "1" } else { "0" })
}

fn field<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A server, and how it is asked.
#[derive(Clone)]
struct Server {
    /// As the claim names it.
    at: Address,
    /// Whom of those behind that this is.
    place: Address,
    /// Whom of them another is.
    other: Address,
    dialer: Dialer,
    /// What it says is noted: all that is asked of it may take longer than it may be silent.
    heard: Heard,
    namespace: String,
    /// The name that is signed: that by which clients in the cluster know it.
    host: String,
    access_key: String,
    secret_key: String,
    region: String,
    tls: Tls,
}

/// A conversation with a server, over one connection as long as that lasts, and then over another.
struct Talk {
    server: Server,
    line: Option<Line>,
}

impl Failure {
    /// That something is not there to be deleted is no failure.
    fn unless_missing(self) -> Result<(), Self> {
        match &self {
            Self::Said(error) if error.starts_with("NoSuchKey:") || error.starts_with("NoSuchBucket:") => Ok(()),
            Self::Said(_) | Self::Unmet(_) => Err(self),
        }
    }
}

impl Talk {
    async fn list_buckets(&mut self) -> Result<(), Failure> {
        let reply = self.ask("GET", &[], &[], &[], Bytes::new()).await?;
        let body = String::from_utf8_lossy(&reply.body);
        // Many buckets are more than is read of an answer.
        if body.contains("<ListAllMyBucketsResult") { Ok(()) } else { Err(self.server.strange(&reply).into()) }
    }

    /// The first keys of a bucket that begin like this.
    async fn list(&mut self, bucket: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", prefix)];
        let reply = self.ask("GET", &[bucket], &query, &[], Bytes::new()).await?;
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        match Document::parse(&body) {
            Ok(document) if document.root_element().tag_name().name() == "ListBucketResult" => {
                let keys = document.descendants().filter(|node| node.tag_name().name() == "Key");
                Ok(keys.filter_map(|key| key.text()).map(str::to_owned).collect())
            }
            Ok(_) | Err(_) => Err(self.server.strange(&reply).into()),
        }
    }

    async fn make_bucket(&mut self, bucket: &str) -> Result<(), Failure> {
        let region = &self.server.region;
        // The first region is the one that must not be named.
        let body = match region.as_str() {
            "us-east-1" => String::new(),
            _ => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>\
                 {region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        self.ask("PUT", &[bucket], &[], &[], Bytes::from(body)).await.map(drop)
    }

    /// What the server says of an object that it has taken. What does not have this MD5 it must not take.
    async fn put(&mut self, bucket: &str, key: &str, body: &Bytes, md5: &str) -> Result<HeaderMap, Failure> {
        let reply = self.ask("PUT", &[bucket, key], &[], &[("content-md5", md5)], body.clone()).await?;
        Ok(reply.headers)
    }

    async fn get(&mut self, bucket: &str, key: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.ask("GET", &[bucket, key], &[], &[], Bytes::new()).await?.body)
    }

    async fn delete(&mut self, names: &[&str], version: Option<&str>) -> Result<(), Failure> {
        let query: Vec<_> = version.map(|version| ("versionId", version)).into_iter().collect();
        self.ask("DELETE", names, &query, &[], Bytes::new()).await.map(drop)
    }

    /// What whoever has a presigned address gets, with this made of its signature.
    async fn get_presigned(
        &mut self,
        bucket: &str,
        key: &str,
        shown: impl FnOnce(&str) -> String,
    ) -> Result<Vec<u8>, Failure> {
        let server = &self.server;
        let path = signature::path(&[bucket, key]);
        let headers = [("host", server.host.as_str())];
        let signed = Signed { method: "GET", path: &path, query: &[], headers: &headers };
        let (query, signature) = server.signer().presigned(&signed, HOLDS);
        let shown = shown(&signature);
        let request = Request::get(format!("{path}?{query}&X-Amz-Signature={shown}"))
            .header(HOST, &server.host)
            .body(Full::default())
            .map_err(|error| server.unsendable(&error))?;
        let mut reply = self.exchange(request).await?;
        if reply.status.is_success() {
            return Ok(reply.body);
        }
        // A server may say in its words what it was asked.
        reply.body = String::from_utf8_lossy(&reply.body).replace(&shown, "hidden").into_bytes();
        Err(Failure::Said(error_of(&reply)))
    }

    async fn get_unsigned(&mut self, bucket: &str, key: &str) -> Result<Vec<u8>, Failure> {
        let server = &self.server;
        let request = Request::get(signature::path(&[bucket, key])).header(HOST, &server.host).body(Full::default());
        let reply = self.exchange(request.map_err(|error| server.unsendable(&error))?).await?;
        if reply.status.is_success() { Ok(reply.body) } else { Err(Failure::Said(error_of(&reply))) }
    }

    /// The answer to a signed request that the server has done.
    async fn ask(
        &mut self,
        method: &str,
        names: &[&str],
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let reply = self.exchange(self.server.signed(method, names, query, headers, body)?).await?;
        match (reply.status.is_success(), said(&reply)) {
            (true, _) => Ok(reply),
            (false, Some(error)) => Err(Failure::Said(error)),
            (false, None) => Err(self.server.strange(&reply).into()),
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, Unmet> {
        let server = &self.server;
        let line = match self.line.take() {
            Some(line) => line,
            None => server.open(server.dial().await?).await?,
        };
        let mut reply = line.exchange(request).await?;
        server.heard.note();
        self.line = std::mem::replace(&mut reply.end, Ok(None))?;
        Ok(reply)
    }
}

impl Server {
    async fn dial(&self) -> Result<Stream, Unmet> {
        let stream = self.dialer.dial(&self.place, &self.namespace).await?;
        self.heard.note();
        Ok(stream)
    }

    async fn open(&self, stream: Stream) -> Result<Line, Unmet> {
        let who = format!("s3 {}", self.at);
        Line::open(self.tls.over(stream, &who, &host_name(&self.at, &self.namespace)).await?, who).await
    }

    fn signer(&self) -> Signer<'_> {
        let Self { access_key, secret_key, region, .. } = self;
        Signer { access_key, secret_key, region, now: Timestamp::now() }
    }

    /// A request of the key's owner. All that is sent is signed.
    fn signed(
        &self,
        method: &str,
        names: &[&str],
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Unseen> {
        let (signer, path, payload) = (self.signer(), signature::path(names), sha256(&body));
        let date = signer.date();
        let mut all = vec![("host", self.host.as_str()), ("x-amz-content-sha256", &payload), ("x-amz-date", &date)];
        all.extend(headers);
        all.sort_unstable();
        let signed = Signed { method, path: &path, query, headers: &all };
        let mut authorization = HeaderValue::from_str(&signer.authorization(&signed, &payload))
            .map_err(|_| Unseen(format!("the access key or the region of s3 {} fits into no header", self.at)))?;
        authorization.set_sensitive(true);
        let query = signature::query(query);
        let address = if query.is_empty() { path } else { format!("{path}?{query}") };
        let request = Request::builder().method(method).uri(address).header(AUTHORIZATION, authorization);
        let request = all.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        request.body(Full::from(body)).map_err(|error| self.unsendable(&error))
    }

    /// What cannot be sent at all is the claim's fault, and says nothing of the platform.
    fn unsendable(&self, error: &(dyn std::error::Error + 'static)) -> Unseen {
        Unseen(format!("cannot make a request to {}: {}", self.at, chain(error)))
    }

    /// An answer that no S3 server gives.
    fn strange(&self, reply: &Reply) -> Unmet {
        Unmet::Obstacle(Obstacle::Broke(format!("s3 {} answered a request with {}", self.at, beginning(reply))))
    }
}

/// The error that an answer tells of: its code, then its words in one line.
fn said(reply: &Reply) -> Option<String> {
    let body = String::from_utf8_lossy(&reply.body);
    let document = Document::parse(&body).ok()?;
    let error = document.root_element();
    let text = |name: &str| error.children().find(|node| node.tag_name().name() == name).and_then(|node| node.text());
    let code = text("Code").filter(|_| error.tag_name().name() == "Error")?;
    let words = text("Message").unwrap_or_default().lines().next().unwrap_or_default();
    let words: String = words.chars().take(WORDS).collect();
    // Whose clock is wrong cannot be told without the server's.
    let clock = field(&reply.headers, DATE.as_str()).filter(|_| code == "RequestTimeTooSkewed");
    let clock = clock.map_or_else(String::new, |date| format!(" Its clock says {date}."));
    Some(format!("{code}: {words}{clock}"))
}

/// The same of whoever need not be an S3 server: a gateway may say no as well.
fn error_of(reply: &Reply) -> String {
    said(reply).unwrap_or_else(|| beginning(reply))
}

fn beginning(reply: &Reply) -> String {
    let body = String::from_utf8_lossy(&reply.body);
    let beginning: String = body.lines().next().unwrap_or_default().chars().take(80).collect();
    format!("HTTP {}, {beginning:?}", reply.status.as_u16())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::checks::Verdict;
    use crate::probes::stand::{Heard, Stand, actual, closed_port, look, serve, stands_when_dropped, why};

    /// What a misbehaving server does instead of what it should.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        None,
        WrongSecret,
        Skewed,
        Busy,
        NoBucket,
        Full,
        NoNewBuckets,
        Forgets,
        Garbles,
        OtherEtag,
        Encrypted,
        Versioned,
        Unlisted,
        Unlistable,
        KeepsOut,
        RefusesPresigned,
        EchoesAddress,
        AnySignature,
        BusyForForgers,
        Public,
        Keeps,
        NoDelete,
        BusyOnceDeleted,
        NotS3,
        BadGateway,
        OneAnswer,
        Slow,
        HangsAtPut,
        Hangs,
    }

    const SECRET: &str = "hunter22-and-more";

    /// A request: its first line and its header fields, then its body.
    async fn request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
        let mut all = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    return Ok((head.to_owned(), body.to_owned()));
                }
            }
            if stream.read_buf(&mut all).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn sent(status: u16, fields: &str, body: &str) -> String {
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
    }

    fn error(status: u16, code: &str, words: &str) -> String {
        let body = format!("<Error><Code>{code}</Code><Message>{words}</Message><Key>k</Key></Error>");
        sent(status, "Date: Sun, 29 Nov 2026 12:26:02 GMT\r\n", &body)
    }

    fn denied() -> String {
        error(403, "AccessDenied", "Access Denied.")
    }

    /// A server that takes what is signed by somebody, whoever that is, and knows of one object.
    fn answer(fault: Fault, head: &str, heard: &Heard) -> String {
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let path = target.split('?').next().unwrap();
        let is_object = path.matches('/').count() > 1;
        let is_presigned = target.contains("X-Amz-Signature=");
        if !is_presigned && !head.contains("authorization: AWS4-HMAC-SHA256 Credential=app/") {
            return if fault == Fault::Public { object(fault, heard) } else { denied() };
        }
        match (method, fault) {
            (_, Fault::WrongSecret) => error(403, "SignatureDoesNotMatch", "It does not match.\nReally."),
            (_, Fault::KeepsOut) => denied(),
            (_, Fault::Skewed) => error(403, "RequestTimeTooSkewed", "The difference is too large."),
            (_, Fault::Busy) => error(503, "SlowDown", "Please reduce your request rate."),
            (_, Fault::NotS3) => sent(200, "", "<html>It works!</html>"),
            (_, Fault::BadGateway) => sent(502, "", "<html>upstream</html>\nmore"),
            ("PUT", Fault::NoNewBuckets) if !is_object => denied(),
            ("PUT", Fault::Full) if is_object => error(507, "XMinioStorageFull", "Storage backend is full."),
            ("PUT", _) if is_object => {
                let etag = heard.all().iter().find_map(|said| said.strip_prefix("md5 ").map(str::to_owned)).unwrap();
                let etag = if fault == Fault::OtherEtag { "0".repeat(32) } else { etag };
                let kms = (fault == Fault::Encrypted).then_some("x-amz-server-side-encryption: aws:kms\r\n");
                let version = (fault == Fault::Versioned).then_some("x-amz-version-id: v7\r\n");
                let more = kms.or(version).unwrap_or_default();
                let etag = if fault == Fault::Encrypted { "sealed".to_owned() } else { etag };
                sent(200, &format!("ETag: \"{etag}\"\r\n{more}"), "")
            }
            ("PUT", _) => sent(200, "", ""),
            ("DELETE", Fault::NoDelete) => denied(),
            ("DELETE", _) => "HTTP/1.1 204 X\r\n\r\n".to_owned(),
            ("GET", _) if path == "/" => {
                sent(200, "", "<ListAllMyBucketsResult xmlns=\"s3\"></ListAllMyBucketsResult>")
            }
            ("GET", _) if is_presigned => presigned(fault, target, heard),
            ("GET", _) if is_object => object(fault, heard),
            ("GET", Fault::NoBucket) => error(404, "NoSuchBucket", "The specified bucket does not exist"),
            ("GET", Fault::Unlistable) => denied(),
            ("GET", _) => {
                let of = |said: &String| {
                    let path = said.strip_prefix("PUT /")?.split(' ').next()?.split_once('/')?.1.to_owned();
                    (fault != Fault::Unlisted).then(|| format!("<Contents><Key>{path}</Key></Contents>"))
                };
                let keys = heard.all().iter().find_map(of).unwrap_or_default();
                sent(
                    200,
                    "",
                    &format!("<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"s3\">{keys}</ListBucketResult>"),
                )
            }
            _ => error(400, "BadRequest", "An unsupported API call"),
        }
    }

    fn object(fault: Fault, heard: &Heard) -> String {
        let all = heard.all();
        let is_gone = fault != Fault::Keeps && all.iter().any(|said| said.starts_with("DELETE"));
        match all.iter().find_map(|said| said.strip_prefix("put ")) {
            _ if is_gone && fault == Fault::BusyOnceDeleted => {
                error(503, "SlowDown", "Please reduce your request rate.")
            }
            Some(_) if fault == Fault::Garbles => sent(200, "", "other"),
            Some(body) if !is_gone && fault != Fault::Forgets => sent(200, "", body),
            _ => error(404, "NoSuchKey", "The specified key does not exist."),
        }
    }

    fn presigned(fault: Fault, target: &str, heard: &Heard) -> String {
        let is_forged = requests(heard).iter().filter(|said| said.ends_with(" presigned")).count() > 1;
        match (fault, is_forged) {
            (Fault::RefusesPresigned, _) => denied(),
            (Fault::EchoesAddress, _) => {
                let end = target[target.len() - 100..].replace('&', "&amp;");
                error(403, "AccessDenied", &format!("no access to {end}"))
            }
            (Fault::BusyForForgers, true) => error(503, "SlowDown", "Please reduce your request rate."),
            (_, true) if fault != Fault::AnySignature => error(403, "SignatureDoesNotMatch", "It does not match."),
            (_, _) => object(fault, heard),
        }
    }

    async fn talk(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
        loop {
            let (head, body) = request(&mut stream).await?;
            heard.note(head.as_str());
            if head.starts_with("PUT") && !body.starts_with('<') && !body.is_empty() {
                heard.note(format!("md5 {}", hex(&Md5::digest(&body))));
                heard.note(format!("put {body}"));
            } else if !body.is_empty() {
                heard.note(format!("body {body}"));
            }
            if fault == Fault::Hangs || (fault == Fault::HangsAtPut && !body.is_empty()) {
                std::future::pending::<()>().await;
            }
            let reply = answer(fault, &head, &heard);
            if fault == Fault::Slow {
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            if fault == Fault::OneAnswer {
                return stream.write_all(reply.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).await;
            }
            stream.write_all(reply.as_bytes()).await?;
        }
    }

    async fn server(fault: Fault, heard: Heard) -> u16 {
        serve(move |stream| talk(stream, fault, heard.clone())).await
    }

    fn check(port: u16, more: &str) -> String {
        format!("s3: {{at: 'host/127.0.0.1:{port}', access-key: app, secret-key: {{value: {SECRET}}}, {more}}}")
    }

    async fn judged(fault: Fault, more: &str) -> Verdict {
        look(&check(server(fault, Heard::default()).await, more)).await
    }

    /// The first lines of the requests that a server has heard, without what is not the same twice.
    fn requests(heard: &Heard) -> Vec<String> {
        let line = |said: &String| {
            let target = said.strip_suffix(" HTTP/1.1").filter(|line| line.contains(" /"))?;
            let (method, target) = target.split_once(' ')?;
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let depth = path.split('/').filter(|part| !part.is_empty()).count();
            let what = ["all", "bucket", "", "", "object"].get(depth)?;
            let how = if query.contains("X-Amz-Signature") { " presigned" } else { "" };
            Some(format!("{method} {what}{how}"))
        };
        heard.all().iter().filter_map(|said| line(&said.lines().next()?.to_owned())).collect()
    }

    #[tokio::test]
    async fn a_good_server_holds_and_what_was_made_is_removed() {
        for (fault, more, first) in [
            (Fault::None, "writes: true", &["GET all", "PUT bucket"][..]),
            (Fault::OneAnswer, "writes: true", &["GET all", "PUT bucket"]),
            (Fault::None, "bucket: data", &["GET bucket"]),
            (Fault::Encrypted, "bucket: data, buckets: [data, more]", &["GET bucket", "GET bucket"]),
        ] {
            let heard = Heard::default();
            let verdict = look(&check(server(fault, heard.clone()).await, more)).await;
            assert!(
                matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()),
                "{fault:?}: {verdict:?}"
            );
            let (said, mut expected) = (requests(&heard), first.to_vec());
            expected.extend(["PUT object", "GET object", "GET bucket", "GET object presigned", "GET object presigned"]);
            expected.extend(["GET object", "DELETE object", "GET object"]);
            expected.extend(more.contains("writes").then_some("DELETE bucket"));
            assert_eq!(said, expected, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn what_is_made_is_named_after_the_run_and_all_is_signed_for_the_host_that_clients_know() {
        let heard = Heard::default();
        let port = server(Fault::Versioned, heard.clone()).await;
        let verdict = look(&check(port, "region: eu-west-1")).await;
        assert!(matches!(&verdict, Verdict::Held { warnings, .. } if warnings.is_empty()), "{verdict:?}");
        let all = heard.all();
        let made = all.iter().find(|said| said.starts_with("PUT /seaworthy-run-1-")).unwrap();
        assert!(made.lines().next().unwrap().len() <= "PUT / HTTP/1.1".len() + 63, "{made}");
        assert!(made.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{made}");
        assert!(
            made.contains("/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date,"),
            "{made}"
        );
        assert!(all.iter().any(|said| said.starts_with("body <") && said.contains("<LocationConstraint>eu-west-1<")));
        let put = all.iter().find(|said| said.starts_with("PUT") && said.contains("/seaworthy/run-1/")).unwrap();
        assert!(put.contains("SignedHeaders=content-md5;host;"), "{put}");
        let deleted = all.iter().find(|said| said.starts_with("DELETE")).unwrap();
        assert!(deleted.lines().next().unwrap().ends_with("?versionId=v7 HTTP/1.1"), "{deleted}");
        assert!(all.iter().all(|said| !said.contains(SECRET)));
    }

    #[tokio::test]
    async fn each_fault_breaks_with_its_own_words() {
        for (fault, more, said) in [
            (Fault::WrongSecret, "", "was refused: SignatureDoesNotMatch: It does not match."),
            (
                Fault::Skewed,
                "",
                "RequestTimeTooSkewed: The difference is too large. Its clock says Sun, 29 Nov 2026 12:26:02 GMT.",
            ),
            (Fault::Busy, "", "answer to the first request: SlowDown: Please reduce your request rate."),
            (Fault::NoBucket, "bucket: data", ": NoSuchBucket: The specified bucket does not exist"),
            (Fault::NoNewBuckets, "", "refused to write: AccessDenied: Access Denied."),
            (Fault::Full, "", "refused to write: XMinioStorageFull: Storage backend is full."),
            (Fault::Forgets, "", "had in place of it: NoSuchKey: The specified key does not exist."),
            (Fault::Garbles, "", "had in place of it: 5 B of something else"),
            (Fault::OtherEtag, "", "gave it the ETag \"00000000000000000000000000000000\""),
            (Fault::Unlisted, "", "has an object and does not list it"),
            (Fault::Unlistable, "", "does not list what is in a bucket: AccessDenied: Access Denied."),
            (Fault::RefusesPresigned, "", "gave for a presigned address: AccessDenied: Access Denied."),
            (Fault::AnySignature, "", "whatever is signed is taken"),
            (Fault::Public, "", "gave an object to somebody who signed nothing"),
            (Fault::Keeps, "", "said that an object was deleted, and still has it"),
            (Fault::NotS3, "", "answered a request with HTTP 200, \"<html>It works!</html>\""),
            (Fault::BadGateway, "bucket: data", "answered a request with HTTP 502, \"<html>upstream</html>\""),
        ] {
            let verdict = judged(fault, more).await;
            let actual = actual(&verdict);
            assert!(actual.ends_with(said) && !actual.contains(SECRET), "{fault:?}: {actual}");
        }
        for (fault, said) in [
            (Fault::BusyOnceDeleted, "was deleted, and answered SlowDown: Please reduce your request rate."),
            (
                Fault::BusyForForgers,
                "whose signature was wrong with SlowDown: Please reduce your request rate.; that is no refusal of access",
            ),
        ] {
            let busy = judged(fault, "").await;
            assert!(why(&busy).ends_with(said), "{busy:?}");
        }
    }

    #[tokio::test]
    async fn a_presigned_address_that_comes_back_is_told_without_its_signature() {
        let verdict = judged(Fault::EchoesAddress, "").await;
        let actual = actual(&verdict);
        assert!(
            actual.contains(": AccessDenied: no access to ") && actual.ends_with("&X-Amz-Signature=hidden"),
            "{actual}"
        );
    }

    #[tokio::test]
    async fn what_was_made_is_removed_whatever_became_of_it() {
        for fault in [Fault::Full, Fault::Forgets, Fault::RefusesPresigned] {
            let heard = Heard::default();
            look(&check(server(fault, heard.clone()).await, "")).await;
            let said = requests(&heard);
            let object = if fault == Fault::Full { "PUT object" } else { "GET object" };
            assert_eq!(said[said.len() - 2..], [object, "DELETE bucket"], "{fault:?}: {said:?}");
        }
        let stand = Stand::of(&check(server(Fault::NoDelete, Heard::default()).await, ""));
        let verdict = stand.look().await;
        assert!(actual(&verdict).ends_with("refused to delete an object: AccessDenied: Access Denied."), "{verdict:?}");
        let left = stand.prober.left();
        assert!(left[0].starts_with("object seaworthy-run-1-"), "{left:?}");
        assert!(left[1].starts_with("bucket seaworthy-run-1-"), "{left:?}");
        assert!(left.iter().all(|what| what.ends_with(": AccessDenied: Access Denied.")), "{left:?}");
    }

    async fn told(heard: &Heard, word: &str) {
        heard.told(word, |heard| requests(heard).iter().any(|said| said == word)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_is_given_up_half_way_removes_what_it_made() {
        let heard = Heard::default();
        let check = check(server(Fault::HangsAtPut, heard.clone()).await, "");
        tokio::select! {
            verdict = look(&check) => panic!("{verdict:?}"),
            () = told(&heard, "PUT object") => {}
        }
        tokio::time::advance(WRITE).await;
        told(&heard, "DELETE bucket").await;
    }

    #[tokio::test]
    async fn only_a_refused_key_is_a_denial() {
        for more in ["expect: denied", "expect: denied, bucket: data"] {
            let verdict = judged(Fault::WrongSecret, more).await;
            assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
            for fault in [Fault::Busy, Fault::Skewed, Fault::NotS3, Fault::BadGateway] {
                let verdict = judged(fault, more).await;
                assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
            }
            for fault in [Fault::None, Fault::NoBucket] {
                assert!(actual(&judged(fault, more).await).ends_with("was let in"));
            }
        }
    }

    #[tokio::test]
    async fn who_may_not_list_a_bucket_is_kept_out_of_it_only_where_nothing_can_be_put_into_it() {
        let denied = "expect: denied, bucket: data";
        assert!(
            actual(&judged(Fault::Unlistable, denied).await).ends_with("may not list data, and puts objects into it")
        );
        let full = judged(Fault::Unlistable, "expect: denied, bucket: data, writes: false").await;
        assert!(matches!(full, Verdict::Held { .. }), "{full:?}");
        let kept_out = judged(Fault::KeepsOut, denied).await;
        assert!(matches!(kept_out, Verdict::Held { .. }), "{kept_out:?}");
    }

    #[tokio::test]
    async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
        let port = server(Fault::Hangs, Heard::default()).await;
        let verdict = stands_when_dropped(&check(port, "")).await.unwrap();
        assert_eq!(actual(&verdict), format!("s3 host/127.0.0.1:{port} does not answer"));
        let port = closed_port().await;
        let verdict = look(&check(port, "")).await;
        assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_its_time_for_each_answer_is_not_silent() {
        let heard = Heard::default();
        let stand = Stand::of(&check(server(Fault::Slow, heard.clone()).await, ""));
        let verdict = stand.look().await;
        assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
        assert_eq!(requests(&heard).len(), 11);
        assert_eq!(stand.notes.last().verdict, None);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_sent_says_nothing_of_the_platform() {
        let port = server(Fault::None, Heard::default()).await;
        let check = format!(
            "s3: {{at: 'host/127.0.0.1:{port}', access-key: \"two\\nlines\", secret-key: {{value: {SECRET}}}}}"
        );
        let said = format!("the access key or the region of s3 host/127.0.0.1:{port} fits into no header");
        assert_eq!(why(&look(&check).await), said);
    }
}
