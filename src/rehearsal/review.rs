//! Questions about who may do what: whoever came in may do everything, and anybody else nothing.

use serde_json::{Value, json};

/// The one user of a rehearsal.
const USER: &str = "rehearsal-admin";

/// The answer to a review of this kind; none of a kind that is not answered.
pub(super) fn answer(kind: &str, mut asked: Value) -> Option<Value> {
    let groups = json!(["system:masters", "system:authenticated"]);
    let status = match kind {
        "SelfSubjectAccessReview" => json!({ "allowed": true }),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => match asked["spec"]["user"] == USER {
            true => json!({ "allowed": true }),
            false => json!({ "allowed": false, "reason": "a rehearsal knows no other user" }),
        },
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        }),
        "SelfSubjectReview" => json!({ "userInfo": { "username": USER, "groups": groups } }),
        "TokenReview" => json!({ "authenticated": false, "user": {}, "error": "a rehearsal issues no tokens" }),
        _ => return None,
    };
    asked["status"] = status;
    if asked["metadata"].is_null() {
        asked["metadata"] = json!({ "creationTimestamp": null });
    }
    Some(asked)
}
