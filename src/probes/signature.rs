//! Signatures of AWS, version 4, as S3 takes them: of a request by a header field, and of an address that is given away.
//!
//! Libraries that do not bring a client along sign addresses only; what applications send is the other form, and a gateway
//! that takes the header field away is met by that form alone.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// Every byte but letters, digits and `-._~`, as S3 wants it.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose signature it is, and when.
pub(super) struct Signer<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
    pub(super) region: &'a str,
    pub(super) now: Timestamp,
}

/// What is signed of a request.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Encoded, as it is sent.
    pub(super) path: &'a str,
    /// Not yet encoded.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// By lower-case names in their order; `host` must be among them.
    pub(super) headers: &'a [(&'a str, &'a str)],
}

impl Signer<'_> {
    /// The value of `x-amz-date`.
    pub(super) fn date(&self) -> String {
        self.now.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The value of `Authorization`; `payload` is that of `x-amz-content-sha256`, which must be among the headers.
    pub(super) fn authorization(&self, request: &Signed<'_>, payload: &str) -> String {
        let names = names(request.headers);
        let signature = self.signature(request, &query(request.query), payload);
        format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.access_key,
            self.scope()
        )
    }

    /// The query of an address with which whoever has it may do this for so many seconds, without its signature; and that.
    pub(super) fn presigned(&self, request: &Signed<'_>, seconds: u32) -> (String, String) {
        let (credential, date) = (format!("{}/{}", self.access_key, self.scope()), self.date());
        let (seconds, names) = (seconds.to_string(), names(request.headers));
        let mut pairs = request.query.to_vec();
        pairs.extend([
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &date),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", &names),
        ]);
        let query = query(&pairs);
        let signature = self.signature(request, &query, "UNSIGNED-PAYLOAD");
        (query, signature)
    }

    fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.now.strftime("%Y%m%d"), self.region)
    }

    fn signature(&self, request: &Signed<'_>, query: &str, payload: &str) -> String {
        let Signed { method, path, headers, .. } = request;
        let fields: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let canonical = format!("{method}\n{path}\n{query}\n{fields}\n{}\n{payload}", names(headers));
        let said = format!("{ALGORITHM}\n{}\n{}\n{}", self.date(), self.scope(), sha256(canonical.as_bytes()));
        let key = format!("AWS4{}", self.secret_key).into_bytes();
        let key = self.scope().split('/').fold(key, |key, part| hmac(&key, part));
        hex(&hmac(&key, &said))
    }
}

fn names(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

fn hmac(key: &[u8], said: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("a key of any length will do"));
    mac.update(said.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A SHA-256 in hexadecimal digits, as the payload's is told.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_else(|_| unreachable!("text takes what is written"));
        text
    })
}

/// A query in the order and the form in which it is signed.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut all: Vec<_> = pairs.iter().map(|(key, value)| (part(key), part(value))).collect();
    all.sort();
    all.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// A path from the names of a bucket and of an object, whose slashes stay.
pub(super) fn path(names: &[&str]) -> String {
    let part = |name: &&str| name.split('/').map(part).collect::<Vec<_>>().join("/");
    format!("/{}", names.iter().map(part).collect::<Vec<_>>().join("/"))
}

fn part(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn signer() -> Signer<'static> {
        Signer {
            access_key: "AKIAIOSFODNN7EXAMPLE",
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            now: "2013-05-24T00:00:00Z".parse().unwrap(),
        }
    }

    /// The examples of "Signature Calculations for the Authorization Header" in the S3 API Reference.
    #[test]
    fn the_examples_of_aws_are_signed_as_they_say() {
        let content = ("x-amz-content-sha256", EMPTY);
        let welcome = sha256(b"Welcome to Amazon S3.");
        let put = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            HOST,
            ("x-amz-content-sha256", welcome.as_str()),
            DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let get = |path, query, headers| Signed { method: "GET", path, query, headers };
        for (request, payload, signature) in [
            (
                get("/test.txt", &[], &[HOST, ("range", "bytes=0-9"), content, DATE]),
                EMPTY,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                Signed { method: "PUT", path: &path(&["test$file.text"]), query: &[], headers: &put },
                &welcome,
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                get("/", &[("lifecycle", "")], &[HOST, content, DATE]),
                EMPTY,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                get("/", &[("prefix", "J"), ("max-keys", "2")], &[HOST, content, DATE]),
                EMPTY,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let said = signer().authorization(&request, payload);
            assert!(said.ends_with(&format!(", Signature={signature}")), "{said}");
            assert!(said.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders="), "{said}");
        }
    }

    /// The example of "Authenticating Requests: Using Query Parameters" in the same.
    #[test]
    fn the_address_of_aws_is_signed_as_they_say() {
        let request = Signed { method: "GET", path: "/test.txt", query: &[], headers: &[HOST] };
        let (query, signature) = signer().presigned(&request, 86400);
        assert_eq!(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
        assert_eq!(
            query,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
             aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        );
    }

    #[test]
    fn names_are_encoded_and_slashes_within_them_stay() {
        assert_eq!(path(&[]), "/");
        assert_eq!(path(&["orders", "a b/ü+"]), "/orders/a%20b/%C3%BC%2B");
        assert_eq!(query(&[("prefix", "a/b"), ("list-type", "2")]), "list-type=2&prefix=a%2Fb");
    }
}
