//! S3: takes signed requests, has its buckets, keeps an object as long as it is wanted, and shows it to nobody else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::Faults;
use super::{Access, Address, Claim, Credential, Obstacle, Trust, Verdict};

/// A claim about an S3 server (MinIO, Ceph, AWS), over HTTP. That it takes a request that is signed with the key is always
/// part of it: a list of the first bucket that is named, or of all buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct S3 {
    /// Its API's port, 9000 of a MinIO. Of several servers behind a Service one takes an object and the next has to have it;
    /// each look begins with the next.
    pub at: Address,
    /// The public half of the key: its id, the user of a MinIO.
    pub access_key: String,
    /// The secret half, which signs and is never sent.
    pub secret_key: Credential,
    /// The region that is signed for.
    #[serde(default = "region")]
    pub region: String,
    /// Speak TLS, and trust this: `any`, or `ca` with the place of a certificate in PEM.
    #[serde(default)]
    pub tls: Option<Trust>,
    /// Buckets that are there and that the key may list.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// The bucket in which our object is kept; where it is left out, one of our own, which is removed with it.
    #[serde(default)]
    pub bucket: Option<String>,
    /// Whether an object of some KiB is put, read over another connection, listed, fetched through a presigned address, asked for
    /// without a signature, which must be refused, and deleted; the key must be allowed all of it.
    #[serde(default = "yes")]
    pub writes: bool,
    /// Let in, or kept out: by one of the codes with which S3 refuses a key, and of a `bucket` also by `AccessDenied`: to the list of it,
    /// and, unless `writes` is false, to an object that is put into it as well. Without a `bucket` that is said of the list of all
    /// buckets alone.
    #[serde(default)]
    pub expect: Access,
}

const fn yes() -> bool {
    true
}

fn region() -> String {
    "us-east-1".to_owned()
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Answer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The server answered the first request with an error: its code, then its words.
    Refused(String),
    /// We were let in.
    Open(S3Facts),
}

/// What a server that let us in showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Facts {
    /// The named buckets that could not be listed, each with the error.
    pub absent: Vec<(String, String)>,
    /// What came of an object of ours; `None` where none was to be put, or its bucket is absent. To be kept out it is put only where the
    /// list of its bucket was refused.
    pub put: Option<S3Put>,
    /// What of ours could not be removed, and why.
    pub leftovers: Vec<String>,
}

/// What came of putting an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Put {
    /// The server said no, to the bucket or to the object.
    Refused(String),
    /// The server said yes.
    Taken(Box<S3Object>),
}

/// An object that a server has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Object {
    /// The MD5 of what was put, in hexadecimal digits.
    pub md5: String,
    /// The ETag that it got; `None` where that need not be the MD5, since it is kept encrypted.
    pub etag: Option<String>,
    /// What came to us over another connection.
    pub read: Given,
    /// The error in place of a list, or whether it was in it.
    pub listed: Result<bool, String>,
    /// What came to whoever has a presigned address.
    pub presigned: Given,
    /// The same with a signature that is not quite the right one.
    pub forged: Given,
    /// What came to whoever signs nothing.
    pub unsigned: Given,
    /// The error in place of deleting it, or what came to whoever asked afterwards.
    pub deleted: Result<Given, String>,
}

/// What came to somebody who asked for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// What was put.
    Same,
    /// Something else, of so many bytes.
    Other(usize),
    /// An error: its code, then its words.
    Refused(String),
}

impl Given {
    fn words(&self) -> String {
        match self {
            Self::Same => "the object".to_owned(),
            Self::Other(bytes) => format!("{bytes} B of something else"),
            Self::Refused(error) => error.clone(),
        }
    }

    /// Whether it is an error of this code.
    fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused(error) if code_of(error) == code)
    }
}

/// An error begins with its code: `NoSuchKey: The specified key does not exist.`
fn code_of(error: &str) -> &str {
    error.split(':').next().unwrap_or_default()
}

impl Claim for S3 {
    type Answer = S3Answer;

    fn judge(&self, answer: &S3Answer) -> Verdict {
        let who = self.who();
        match (answer, self.expect) {
            (S3Answer::Unmet(obstacle), expect) => obstacle.judge(format!("s3 {who} is let in"), expect),
            (S3Answer::Refused(error), Access::Allowed) => {
                Verdict::broken(format!("s3 {who} is let in"), self.refusal(error))
            }
            // It may be that of a key which is as good as ever, and may do all else.
            (S3Answer::Refused(error), Access::Denied) if code_of(error) == "AccessDenied" && self.bucket.is_none() => {
                Verdict::unclear(format!(
                    "s3 {who} may not list all buckets ({error}), and nothing else was asked for: name a `bucket` that it is kept out of"
                ))
            }
            (S3Answer::Refused(error), Access::Denied) if Self::keeps_out(error) => {
                Verdict::held(format!("s3 {who} was refused: {error}"))
            }
            (S3Answer::Refused(error), Access::Denied) => {
                Verdict::unclear(format!("s3 {who} got {error}; that is no refusal of access"))
            }
            (S3Answer::Open(facts), Access::Denied) => {
                let actual = match (&facts.put, &self.bucket) {
                    (Some(_), Some(bucket)) => format!("s3 {who} may not list {bucket}, and puts objects into it"),
                    _ => format!("s3 {who} was let in"),
                };
                Verdict::broken(format!("s3 {who} is kept out"), actual)
            }
            (S3Answer::Open(facts), Access::Allowed) => self.judge_facts(facts),
        }
    }
}

impl S3 {
    /// Whether an error keeps a key out, by its code.
    #[must_use]
    pub fn keeps_out(error: &str) -> bool {
        KEEPS_OUT.contains(&code_of(error))
    }

    fn who(&self) -> String {
        format!("{}@{}", self.access_key, self.at)
    }

    /// Not final: what makes keys does so after the server has begun to answer.
    fn refusal(&self, error: &str) -> String {
        let who = self.who();
        match code_of(error) {
            // A signature is good for a quarter of an hour, either way.
            "RequestTimeTooSkewed" => {
                format!("the clocks of s3 {} and of this machine are too far apart for a signature: {error}", self.at)
            }
            _ if Self::keeps_out(error) => format!("s3 {who} was refused: {error}"),
            _ => format!("s3 {who} got in answer to the first request: {error}"),
        }
    }

    fn judge_facts(&self, facts: &S3Facts) -> Verdict {
        let at = &self.at;
        let mut faults = Faults::default();
        for (bucket, error) in &facts.absent {
            faults.unless(
                false,
                format!("bucket {bucket} of s3 {at} can be listed"),
                format!("bucket {bucket} of s3 {at}: {error}"),
            );
        }
        let keeps = format!("s3 {at} keeps an object");
        let mut untold = None;
        match &facts.put {
            None => {}
            Some(S3Put::Refused(error)) => {
                faults.unless(false, keeps, format!("s3 {at} refused to write: {error}"));
            }
            // What is not what was put is so for whoever asks.
            Some(S3Put::Taken(object)) if object.read != Given::Same => {
                let found = object.read.words();
                faults.unless(false, keeps, format!("s3 {at} took an object and then had in place of it: {found}"));
            }
            Some(S3Put::Taken(object)) => {
                self.judge_object(object, &mut faults);
                untold = self.untold(object);
            }
        }
        if let Some(untold) = untold {
            return faults.or_unclear(untold);
        }
        let mut verdict = faults.or_held(self.sight(facts));
        if let Verdict::Held { warnings, .. } = &mut verdict {
            warnings.extend(facts.leftovers.iter().map(|left| format!("something of ours was left behind: {left}")));
        }
        verdict
    }

    /// An object that is there as it was put.
    fn judge_object(&self, object: &S3Object, faults: &mut Faults) {
        let (at, md5) = (&self.at, &object.md5);
        if let Some(etag) = &object.etag {
            let expected = format!("the ETag of an object is its MD5, {md5}");
            faults.unless(etag == md5, expected, format!("s3 {at} gave it the ETag {etag:?}"));
        }
        let listed = match &object.listed {
            Ok(true) => None,
            Ok(false) => Some(format!("s3 {at} has an object and does not list it")),
            Err(error) => Some(format!("s3 {at} does not list what is in a bucket: {error}")),
        };
        faults.unless(listed.is_none(), "an object is listed", listed.unwrap_or_default());
        let found = object.presigned.words();
        faults.unless(
            object.presigned == Given::Same,
            "a presigned address gives the object",
            format!("s3 {at} gave for a presigned address: {found}"),
        );
        faults.unless(
            matches!(object.forged, Given::Refused(_)),
            "a presigned address is good with its own signature alone",
            format!(
                "s3 {at} gave an object for a signature with a digit that was changed: whatever is signed is taken"
            ),
        );
        faults.unless(
            matches!(object.unsigned, Given::Refused(_)),
            "nobody reads an object without a signature",
            format!("s3 {at} gave an object to somebody who signed nothing"),
        );
        let kept = match &object.deleted {
            Ok(Given::Same | Given::Other(_)) => {
                Some(format!("s3 {at} said that an object was deleted, and still has it"))
            }
            Ok(Given::Refused(_)) => None,
            Err(error) => Some(format!("s3 {at} refused to delete an object: {error}")),
        };
        faults.unless(kept.is_none(), "an object that was deleted is gone", kept.unwrap_or_default());
    }

    /// An error that is not the one that says no, where no is what is claimed.
    fn untold(&self, object: &S3Object) -> Option<String> {
        let at = &self.at;
        let denied = |given: &Given, who: &str| match given {
            Given::Refused(error) if !Self::keeps_out(error) => {
                Some(format!("s3 {at} answered somebody {who} with {error}; that is no refusal of access"))
            }
            Given::Refused(_) | Given::Same | Given::Other(_) => None,
        };
        let deleted = object.deleted.as_ref().ok().and_then(|deleted| match deleted {
            Given::Refused(error) if !deleted.is("NoSuchKey") => {
                Some(format!("s3 {at} was asked for an object that was deleted, and answered {error}"))
            }
            Given::Refused(_) | Given::Same | Given::Other(_) => None,
        });
        let forged = denied(&object.forged, "whose signature was wrong");
        denied(&object.unsigned, "who signed nothing").or(forged).or(deleted)
    }

    /// What a claim that holds has shown, in one line.
    fn sight(&self, facts: &S3Facts) -> String {
        let has = if self.buckets.is_empty() { String::new() } else { format!(", has {}", self.buckets.join(", ")) };
        let kept = if facts.put.is_some() { ", and kept an object for whoever may have it" } else { "" };
        format!("s3 {} was let in{has}{kept}", self.who())
    }
}

/// The codes that say no to whoever asks ("Error responses" in the S3 API Reference).
const KEEPS_OUT: [&str; 3] = ["SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied"];

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> S3 {
        serde_saphyr::from_str(&format!("{{at: 's3:9000', access-key: app, secret-key: {{value: x}}, {yaml}}}"))
            .unwrap()
    }

    fn refused(error: &str) -> Given {
        Given::Refused(error.to_owned())
    }

    const DENIED: &str = "AccessDenied: Access Denied.";
    const GONE: &str = "NoSuchKey: The specified key does not exist.";
    const WRONG: &str = "SignatureDoesNotMatch: The request signature we calculated does not match";

    fn object() -> S3Object {
        S3Object {
            md5: "4e84".to_owned(),
            etag: Some("4e84".to_owned()),
            read: Given::Same,
            listed: Ok(true),
            presigned: Given::Same,
            forged: refused(WRONG),
            unsigned: refused(DENIED),
            deleted: Ok(refused(GONE)),
        }
    }

    fn judged(object: S3Object) -> Verdict {
        let facts = S3Facts { absent: Vec::new(), put: Some(S3Put::Taken(object.into())), leftovers: Vec::new() };
        claim("writes: true").judge(&S3Answer::Open(facts))
    }

    fn actual(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Broken { actual, .. } => actual,
            Verdict::Held { .. } | Verdict::Unclear { .. } => panic!("not broken: {verdict:?}"),
        }
    }

    #[test]
    fn a_server_that_keeps_an_object_holds() {
        assert_eq!(
            judged(object()),
            Verdict::held("s3 app@s3:9000 was let in, and kept an object for whoever may have it")
        );
        // Its ETag is not the MD5 of what is kept encrypted.
        let encrypted = S3Object { etag: None, ..object() };
        assert!(matches!(judged(encrypted), Verdict::Held { .. }));
        let unwritten = S3Facts { absent: Vec::new(), put: None, leftovers: Vec::new() };
        assert_eq!(
            claim("buckets: [orders, invoices], writes: false").judge(&S3Answer::Open(unwritten)),
            Verdict::held("s3 app@s3:9000 was let in, has orders, invoices")
        );
    }

    #[test]
    fn every_part_of_an_object_can_fail() {
        let of = |change: fn(&mut S3Object)| {
            let mut object = object();
            change(&mut object);
            actual(&judged(object)).to_owned()
        };
        assert_eq!(of(|object| object.etag = Some("0".into())), "s3 s3:9000 gave it the ETag \"0\"");
        assert_eq!(
            of(|object| object.read = refused(GONE)),
            format!("s3 s3:9000 took an object and then had in place of it: {GONE}")
        );
        assert_eq!(
            of(|object| object.read = Given::Other(7)),
            "s3 s3:9000 took an object and then had in place of it: 7 B of something else"
        );
        assert_eq!(of(|object| object.listed = Ok(false)), "s3 s3:9000 has an object and does not list it");
        assert!(of(|object| object.listed = Err(DENIED.into())).ends_with(DENIED));
        assert_eq!(
            of(|object| object.presigned = refused(WRONG)),
            format!("s3 s3:9000 gave for a presigned address: {WRONG}")
        );
        assert!(of(|object| object.presigned = Given::Other(0)).ends_with("0 B of something else"));
        assert!(of(|object| object.forged = Given::Same).contains("a digit that was changed"));
        assert!(of(|object| object.unsigned = Given::Same).contains("signed nothing"));
        assert!(of(|object| object.unsigned = Given::Other(3)).contains("signed nothing"));
        assert!(of(|object| object.deleted = Ok(Given::Same)).ends_with("was deleted, and still has it"));
        assert!(
            of(|object| object.deleted = Err(DENIED.into()))
                .ends_with(&format!("refused to delete an object: {DENIED}"))
        );
    }

    #[test]
    fn an_error_that_says_neither_yes_nor_no_is_unclear_unless_something_else_is_broken() {
        let busy = || refused("SlowDown: Please reduce your request rate");
        let unsigned = S3Object { unsigned: busy(), ..object() };
        let forged = S3Object { forged: refused("HTTP 404, \"no such host\""), ..object() };
        let deleted = S3Object { deleted: Ok(busy()), ..object() };
        let no = "that is no refusal of access";
        for (object, said) in [(unsigned, no), (forged, no), (deleted, "reduce your request rate")] {
            let verdict = judged(object.clone());
            assert!(matches!(&verdict, Verdict::Unclear { why } if why.ends_with(said)), "{verdict:?}");
            let broken = judged(S3Object { listed: Ok(false), ..object });
            assert_eq!(actual(&broken), "s3 s3:9000 has an object and does not list it");
        }
    }

    #[test]
    fn buckets_that_are_missing_and_writes_that_are_refused_are_told() {
        let (missing, full) =
            ("NoSuchBucket: The specified bucket does not exist", "XMinioStorageFull: Storage backend");
        let facts = |absent: Vec<(String, String)>, put| S3Facts { absent, put, leftovers: Vec::new() };
        let two =
            facts(vec![("a".into(), missing.into()), ("b".into(), DENIED.into())], Some(S3Put::Refused(full.into())));
        assert_eq!(
            actual(&claim("buckets: [a, b]").judge(&S3Answer::Open(two))),
            format!(
                "bucket a of s3 s3:9000: {missing}; bucket b of s3 s3:9000: {DENIED}; s3 s3:9000 refused to write: {full}"
            )
        );
        let one = facts(Vec::new(), Some(S3Put::Refused(full.into())));
        assert!(actual(&claim("writes: true").judge(&S3Answer::Open(one))).ends_with(full));
        let other = facts(vec![("a".into(), missing.into())], None);
        assert!(actual(&claim("buckets: [a]").judge(&S3Answer::Open(other))).ends_with(missing));
    }

    #[test]
    fn a_key_is_denied_by_its_own_codes_alone() {
        let (allowed, denied) = (claim("writes: true"), claim("expect: denied"));
        let answer = |error: &str| S3Answer::Refused(error.to_owned());
        for error in [WRONG, "InvalidAccessKeyId: The Access Key Id you provided does not exist"] {
            assert!(matches!(denied.judge(&answer(error)), Verdict::Held { .. }), "{error}");
            assert_eq!(actual(&allowed.judge(&answer(error))), format!("s3 app@s3:9000 was refused: {error}"));
        }
        // Of a list of all buckets that is no word about the key.
        let verdict = denied.judge(&answer(DENIED));
        assert!(matches!(&verdict, Verdict::Unclear { why } if why.contains("name a `bucket`")), "{verdict:?}");
        assert!(matches!(claim("bucket: b, expect: denied").judge(&answer(DENIED)), Verdict::Held { .. }));
        assert_eq!(actual(&allowed.judge(&answer(DENIED))), format!("s3 app@s3:9000 was refused: {DENIED}"));
        let skewed =
            "RequestTimeTooSkewed: The difference between the request time and the server's time is too large.";
        for (error, said) in [
            ("SlowDown: Please reduce your request rate", "got in answer to the first request: SlowDown"),
            ("XMinioServerNotInitialized: Server not initialized yet", "got in answer to the first request"),
            (skewed, "the clocks of s3 s3:9000 and of this machine are too far apart"),
            ("AccessDeniedX: no", "got in answer"),
        ] {
            let verdict = denied.judge(&answer(error));
            assert!(matches!(&verdict, Verdict::Unclear { why } if why.ends_with("no refusal of access")), "{error}");
            assert!(actual(&allowed.judge(&answer(error))).contains(said), "{error}");
        }
        let open = S3Answer::Open(S3Facts { absent: Vec::new(), put: None, leftovers: Vec::new() });
        assert_eq!(actual(&denied.judge(&open)), "s3 app@s3:9000 was let in");
    }

    #[test]
    fn a_server_that_cannot_be_talked_to_breaks_being_let_in_and_denies_nothing() {
        let broke = || S3Answer::Unmet(Obstacle::Broke("s3 s3:9000 gave no valid answer".to_owned()));
        assert_eq!(actual(&claim("writes: true").judge(&broke())), "s3 s3:9000 gave no valid answer");
        assert!(matches!(claim("expect: denied").judge(&broke()), Verdict::Unclear { .. }));
    }

    #[test]
    fn what_was_left_behind_is_a_warning() {
        let put = Some(S3Put::Taken(object().into()));
        let facts = S3Facts { absent: Vec::new(), put, leftovers: vec![format!("bucket seaworthy-1: {DENIED}")] };
        let verdict = claim("writes: true").judge(&S3Answer::Open(facts));
        let Verdict::Held { warnings, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(warnings, [format!("something of ours was left behind: bucket seaworthy-1: {DENIED}")]);
    }
}
