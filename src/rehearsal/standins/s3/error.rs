//! What a server says where it does not do what it is asked, in the codes and words of MinIO's `cmd/api-errors.go`.

/// An error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Error {
    /// The status that it is sent with.
    pub(super) status: u16,
    /// Its code.
    pub(super) code: &'static str,
    /// Its words.
    pub(super) words: &'static str,
}

impl Error {
    const fn new(status: u16, code: &'static str, words: &'static str) -> Self {
        Self { status, code, words }
    }

    pub(super) const DENIED: Self = Self::new(403, "AccessDenied", "Access Denied.");
    pub(super) const EXPIRED: Self = Self::new(403, "AccessDenied", "Request has expired");
    pub(super) const EARLY: Self = Self::new(403, "AccessDenied", "Request is not valid yet");
    pub(super) const NO_DATE: Self =
        Self::new(400, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
    pub(super) const NO_KEY: Self =
        Self::new(403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.");
    pub(super) const SIGNATURE: Self = Self::new(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    );
    pub(super) const SKEWED: Self = Self::new(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the server&#39;s time is too large.",
    );
    pub(super) const MECHANISM: Self = Self::new(
        400,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    );
    pub(super) const PAYLOAD: Self = Self::new(
        400,
        "XAmzContentSHA256Mismatch",
        "The provided &#39;x-amz-content-sha256&#39; header does not match what was computed.",
    );
    pub(super) const DIGEST: Self =
        Self::new(400, "BadDigest", "The Content-Md5 you specified did not match what we received.");
    pub(super) const BUCKET_NAME: Self = Self::new(400, "InvalidBucketName", "The specified bucket is not valid.");
    pub(super) const NO_BUCKET: Self = Self::new(404, "NoSuchBucket", "The specified bucket does not exist");
    pub(super) const NO_OBJECT: Self = Self::new(404, "NoSuchKey", "The specified key does not exist.");
    pub(super) const OWNED: Self = Self::new(
        409,
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
    );
    pub(super) const NOT_EMPTY: Self = Self::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
    pub(super) const UNKNOWN: Self = Self::new(400, "BadRequest", "An unsupported API call");
    pub(super) const SLOW: Self = Self::new(503, "SlowDown", "Please reduce your request rate.");
    pub(super) const FULL: Self = Self::new(
        507,
        "XMinioStorageFull",
        "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed.",
    );

    /// As it is sent, about this path.
    pub(super) fn text(&self, path: &str) -> String {
        let Self { code, words, .. } = self;
        let path = super::escaped(path);
        super::document(&format!(
            "<Error><Code>{code}</Code><Message>{words}</Message><Resource>{path}</Resource></Error>"
        ))
    }
}
