//! An S3 server as MinIO is one: buckets and objects of one key's owner, and signatures that are looked at.
//!
//! What it does is what a client needs that makes a bucket, keeps an object in it and takes both away: no parts, no versions, no
//! policies.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED, SERVER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncWrite};

use self::error::Error;
use self::signature::{Shown, hex};
use super::http::Page;
use super::switch::Switch;

#[cfg(test)]
pub(crate) mod conformance;
mod error;
mod fault;
mod signature;
#[cfg(test)]
mod tests;

pub(crate) use self::fault::Fault;

/// The port of the API.
pub(crate) const PORT: u16 = 9000;

/// How far its clock is behind under `other-time`.
const BEHIND: SignedDuration = SignedDuration::from_hours(1);

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The id of the one key that it knows.
    pub(crate) access_key: String,
    /// The key.
    pub(crate) secret_key: String,
    /// The buckets that it begins with.
    pub(crate) buckets: Vec<String>,
}

impl Default for Config {
    /// As a MinIO that is told nothing.
    fn default() -> Self {
        let key = || "minioadmin".to_owned();
        Self { access_key: key(), secret_key: key(), buckets: Vec::new() }
    }
}

/// An S3 server.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    faults: Switch<Fault>,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

/// The objects of a bucket by key.
type Bucket = BTreeMap<String, Object>;

#[derive(Clone, Debug)]
struct Object {
    body: Bytes,
    /// In quotes, as it is sent.
    etag: String,
    put: Timestamp,
}

/// What is asked for.
struct Asked<'r> {
    method: &'r Method,
    bucket: String,
    key: String,
    query: Vec<(String, String)>,
}

impl Asked<'_> {
    fn parameter(&self, wanted: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

impl Server {
    /// A server in order.
    pub(crate) fn new(config: Config) -> Self {
        let buckets = config.buckets.iter().map(|name| (name.clone(), Bucket::new())).collect();
        Self { config, faults: Switch::off(), buckets: Mutex::new(buckets) }
    }

    /// Switches a fault on, or off what is on.
    pub(crate) fn inject(&self, fault: Option<Fault>) {
        self.faults.turn(fault);
    }

    /// Serves one connection until either side ends it.
    ///
    /// # Errors
    /// The stream's own, a request that is none, and an answer that is broken off on purpose.
    pub(crate) async fn serve<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        super::http::serve(stream, |request| self.answer(request)).await
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Page>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        self.faults.outlast(Fault::Hangs).await;
        let response = self.page(&head, &body)?;
        Ok(match self.faults.is(Fault::ClosesMidReply) {
            true => response.map(Page::broken_off),
            false => response,
        })
    }

    fn page(&self, head: &Parts, body: &Bytes) -> io::Result<Response<Page>> {
        if self.faults.is(Fault::NotS3) {
            let page = Response::builder().header(CONTENT_TYPE, "text/html");
            return page.body(Page::of("It works!\n")).map_err(io::Error::other);
        }
        if ["/minio/health/live", "/minio/health/ready"].contains(&head.uri.path()) {
            return sent(200).body(Page::of("")).map_err(io::Error::other);
        }
        self.done(head, body).unwrap_or_else(|error| {
            let response = sent(error.status).header(CONTENT_TYPE, "application/xml");
            response.body(Page::of(&error.text(head.uri.path()))).map_err(io::Error::other)
        })
    }

    /// What is asked for, for whoever may have it.
    fn done(&self, head: &Parts, body: &Bytes) -> Result<io::Result<Response<Page>>, Error> {
        if self.faults.is(Fault::Overloaded) {
            return Err(Error::SLOW);
        }
        let address = Url::parse(&format!("http://s3{}", head.uri)).map_err(|_| Error::UNKNOWN)?;
        let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        let asked = Asked {
            method: &head.method,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query: address.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        };
        self.let_in(head, body, &asked)?;
        self.run(&asked, head, body)
    }

    /// Looks at who asks before at what.
    fn let_in(&self, head: &Parts, body: &[u8], asked: &Asked<'_>) -> Result<(), Error> {
        let Some(shown) = Shown::read(head)? else {
            let reads = *asked.method == Method::GET && !asked.key.is_empty();
            return match self.faults.on() {
                Some(Fault::Public) if reads => Ok(()),
                Some(Fault::SlowToStrangers) => Err(Error::SLOW),
                Some(_) | None => Err(Error::DENIED),
            };
        };
        let now = Timestamp::now();
        let now = if self.faults.is(Fault::OtherTime) { now - BEHIND } else { now };
        shown.is_timely(now)?;
        match self.faults.on() {
            Some(Fault::AcceptsAnySignature) => return Ok(()),
            Some(Fault::RefusesLists) => return if asked.key.is_empty() { Err(Error::DENIED) } else { Ok(()) },
            Some(Fault::RejectsKey) => return Err(Error::SIGNATURE),
            Some(_) | None => shown.is_of(&self.config.access_key, &self.config.secret_key, head)?,
        }
        let changes = *asked.method != Method::GET && *asked.method != Method::HEAD;
        let refused = match self.faults.on() {
            Some(Fault::RefusesPresigned) => shown.is_presigned(),
            Some(Fault::ReadOnly) => changes,
            Some(Fault::RefusesDeletes) => *asked.method == Method::DELETE,
            Some(Fault::KeepsBuckets) => *asked.method == Method::DELETE && asked.key.is_empty(),
            Some(_) | None => false,
        };
        if refused { Err(Error::DENIED) } else { shown.covers(body) }
    }

    fn run(&self, asked: &Asked<'_>, head: &Parts, body: &Bytes) -> Result<io::Result<Response<Page>>, Error> {
        let method = asked.method.as_str();
        if asked.bucket.is_empty() {
            return if method == "GET" { Ok(xml(&self.list_all())) } else { Err(Error::UNKNOWN) };
        }
        if !is_name(&asked.bucket) {
            return Err(Error::BUCKET_NAME);
        }
        match (method, asked.key.as_str()) {
            ("PUT", "") => self.make(&asked.bucket),
            ("HEAD", "") => self.bucket(asked, |_| ()).map(|()| empty(200)),
            ("GET", "") => self.list(asked),
            ("DELETE", "") => self.remove(&asked.bucket),
            ("PUT", key) => self.put(asked, key, head, body),
            ("GET" | "HEAD", key) => self.get(asked, key),
            ("DELETE", key) => self.delete(asked, key),
            _ => Err(Error::UNKNOWN),
        }
    }

    fn make(&self, name: &str) -> Result<io::Result<Response<Page>>, Error> {
        let mut buckets = self.lock();
        if buckets.contains_key(name) {
            return Err(Error::OWNED);
        }
        buckets.insert(name.to_owned(), Bucket::new());
        Ok(sent(200).header("Location", format!("/{name}")).body(Page::of("")).map_err(io::Error::other))
    }

    fn remove(&self, name: &str) -> Result<io::Result<Response<Page>>, Error> {
        let mut buckets = self.lock();
        match buckets.get(name).map(Bucket::is_empty) {
            None => Err(Error::NO_BUCKET),
            Some(false) => Err(Error::NOT_EMPTY),
            Some(true) => {
                buckets.remove(name);
                Ok(empty(204))
            }
        }
    }

    fn list_all(&self) -> String {
        let names: String = self.lock().keys().map(|name| format!("<Bucket><Name>{name}</Name></Bucket>")).collect();
        document(&format!(
            "<ListAllMyBucketsResult xmlns=\"{NAMESPACE}\"><Buckets>{names}</Buckets></ListAllMyBucketsResult>"
        ))
    }

    fn list(&self, asked: &Asked<'_>) -> Result<io::Result<Response<Page>>, Error> {
        if asked.parameter("location").is_some() {
            return self.bucket(asked, |_| {
                xml(&document(&format!("<LocationConstraint xmlns=\"{NAMESPACE}\"></LocationConstraint>")))
            });
        }
        let prefix = asked.parameter("prefix").unwrap_or_default();
        let most = asked.parameter("max-keys").and_then(|most| most.parse().ok()).unwrap_or(1000);
        let lists_nothing = self.faults.is(Fault::ListsNothing);
        let keys: Vec<(String, Object)> = self.bucket(asked, |bucket| {
            let found = bucket.iter().filter(|(key, _)| !lists_nothing && key.starts_with(prefix));
            found.map(|(key, object)| (key.clone(), object.clone())).collect()
        })?;
        let content = |(key, object): &(String, Object)| {
            format!(
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                escaped(key),
                object.put.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
                escaped(&object.etag),
                object.body.len()
            )
        };
        let contents: String = keys.iter().take(most).map(content).collect();
        Ok(xml(&document(&format!(
            "<ListBucketResult xmlns=\"{NAMESPACE}\"><Name>{}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount>\
             <MaxKeys>{most}</MaxKeys><IsTruncated>{}</IsTruncated>{contents}</ListBucketResult>",
            asked.bucket,
            escaped(prefix),
            keys.len().min(most),
            most > 0 && keys.len() > most
        ))))
    }

    fn put(
        &self,
        asked: &Asked<'_>,
        key: &str,
        head: &Parts,
        body: &Bytes,
    ) -> Result<io::Result<Response<Page>>, Error> {
        let md5 = Md5::digest(body);
        if head.headers.get("content-md5").is_some_and(|told| told.as_bytes() != BASE64_STANDARD.encode(md5).as_bytes())
        {
            return Err(Error::DIGEST);
        }
        let etag = match self.faults.is(Fault::WrongEtag) {
            true => format!("\"{}\"", hex(&[0; 16])),
            false => format!("\"{}\"", hex(&md5)),
        };
        let object = Object { body: body.clone(), etag: etag.clone(), put: Timestamp::now() };
        let is_lost = self.faults.is(Fault::LosesObjects);
        let is_full = self.faults.is(Fault::NoSpace);
        self.bucket(asked, |bucket| match (is_full, is_lost) {
            (true, _) => Err(Error::FULL),
            (false, true) => Ok(()),
            (false, false) => {
                bucket.insert(key.to_owned(), object);
                Ok(())
            }
        })??;
        Ok(sent(200).header(ETAG, etag).body(Page::of("")).map_err(io::Error::other))
    }

    fn get(&self, asked: &Asked<'_>, key: &str) -> Result<io::Result<Response<Page>>, Error> {
        let found = self.bucket(asked, |bucket| bucket.get(key).cloned())?;
        let object = match found {
            Some(object) => object,
            None if self.faults.is(Fault::SlowOnceDeleted) => return Err(Error::SLOW),
            None => return Err(Error::NO_OBJECT),
        };
        let body = if self.faults.is(Fault::OtherBytes) { Bytes::from_static(b"other") } else { object.body };
        let response = sent(200)
            .header(CONTENT_TYPE, "binary/octet-stream")
            .header(ETAG, object.etag)
            .header(LAST_MODIFIED, object.put.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        Ok(response.body(Page::Whole(Some(body))).map_err(io::Error::other))
    }

    fn delete(&self, asked: &Asked<'_>, key: &str) -> Result<io::Result<Response<Page>>, Error> {
        let keeps = self.faults.is(Fault::KeepsObjects);
        self.bucket(asked, |bucket| if keeps { None } else { bucket.remove(key) })?;
        Ok(empty(204))
    }

    fn bucket<T>(&self, asked: &Asked<'_>, see: impl FnOnce(&mut Bucket) -> T) -> Result<T, Error> {
        let mut buckets = self.lock();
        let found = buckets.get_mut(&asked.bucket).filter(|_| !self.faults.is(Fault::NoBucket));
        found.map(see).ok_or(Error::NO_BUCKET)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

fn sent(status: u16) -> hyper::http::response::Builder {
    Response::builder().status(status).header(SERVER, "MinIO")
}

fn empty(status: u16) -> io::Result<Response<Page>> {
    sent(status).body(Page::of("")).map_err(io::Error::other)
}

fn xml(text: &str) -> io::Result<Response<Page>> {
    sent(200).header(CONTENT_TYPE, "application/xml").body(Page::of(text)).map_err(io::Error::other)
}

fn document(root: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;")
}

/// A name as every S3 allows it ("Bucket naming rules" in the S3 User Guide).
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_plain(*byte) || b".-".contains(byte))
        && [bytes.first(), bytes.last()].into_iter().flatten().all(|byte| is_plain(*byte))
}
