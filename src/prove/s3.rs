//! Twin of `checks/s3.rs`.

use super::{Cases, Deed, Expected, reach};
use crate::checks::{Access, S3};

pub(super) fn cases(claim: &S3, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => let_in(claim),
        Access::Denied => kept_out(claim),
    };
    cases.0.extend(reach::server(&claim.at, claim.expect, Some(&claim.secret_key), in_a_row, "gave no valid answer").0);
    cases
}

fn let_in(claim: &S3) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    // The codes are S3's own, and one of MinIO's (`cmd/api-errors.go`).
    let writes = "it claims no writes (`writes`)";
    for (name, words) in [
        ("no-space", "refused to write: XMinioStorageFull"),
        ("read-only", "refused to write: AccessDenied"),
        ("loses-objects", "took an object and then had in place of it: NoSuchKey"),
        ("other-bytes", "B of something else"),
        ("wrong-etag", "gave it the ETag"),
        ("lists-nothing", "has an object and does not list it"),
        ("refuses-presigned", "gave for a presigned address: AccessDenied"),
        ("accepts-any-signature", "whatever is signed is taken"),
        ("public", "gave an object to somebody who signed nothing"),
        ("refuses-deletes", "refused to delete an object: AccessDenied"),
        ("keeps-objects", "said that an object was deleted, and still has it"),
    ] {
        cases.broken_if(claim.writes, name, at(name), words, writes);
    }
    match claim.writes {
        true => {
            cases.unclear("slow-to-strangers", at("slow-to-strangers"), ["somebody who signed nothing", "SlowDown"]);
            cases.unclear("slow-once-deleted", at("slow-once-deleted"), ["an object that was deleted", "SlowDown"]);
        }
        false => {
            for name in ["slow-to-strangers", "slow-once-deleted"] {
                cases.unclaimed(name, writes);
            }
        }
    }
    match claim.writes && claim.bucket.is_none() {
        true => {
            cases.add(
                "keeps-buckets",
                at("keeps-buckets"),
                Expected::Warned("something of ours was left behind: bucket"),
            );
        }
        false => cases.unclaimed("keeps-buckets", "it makes no bucket of its own"),
    }
    let named = !claim.buckets.is_empty() || claim.bucket.is_some();
    cases.broken_if(named, "no-bucket", at("no-bucket"), "NoSuchBucket", "it names no bucket (`buckets`, `bucket`)");
    cases.broken("rejects-key", at("rejects-key"), ["was refused: SignatureDoesNotMatch"]);
    cases.broken("refuses-lists", at("refuses-lists"), ["was refused: AccessDenied"]);
    cases.broken("other-time", at("other-time"), ["the clocks of s3", "RequestTimeTooSkewed"]);
    cases.broken("overloaded", at("overloaded"), ["got in answer to the first request: SlowDown"]);
    cases.broken("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.broken("not-s3", at("not-s3"), ["answered a request with HTTP 200"]);
    cases.broken("hangs", at("hangs"), [format!("s3 {} does not answer", claim.at)]);
    cases
}

/// A server that cannot be talked to denies nothing.
fn kept_out(claim: &S3) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    cases.broken("accepts-any-signature", at("accepts-any-signature"), ["was let in"]);
    // Who may not list a bucket may do all else with what is in it.
    let lists = at("refuses-lists");
    match (claim.bucket.is_some(), claim.writes) {
        (true, true) => cases.broken("refuses-lists", lists, ["puts objects into"]),
        (true, false) => cases.unclaimed("refuses-lists", "it claims no writes (`writes`)"),
        (false, _) => cases.unclear("refuses-lists", lists, ["nothing else was asked for"]),
    }
    cases.unclear("other-time", at("other-time"), ["RequestTimeTooSkewed", "no refusal of access"]);
    cases.unclear("overloaded", at("overloaded"), ["SlowDown", "no refusal of access"]);
    cases.unclear("closes-mid-reply", at("closes-mid-reply"), ["gave no valid answer"]);
    cases.unclear("not-s3", at("not-s3"), ["answered a request with HTTP 200"]);
    cases.unclear("hangs", at("hangs"), [format!("s3 {} does not answer", claim.at)]);
    cases
}
