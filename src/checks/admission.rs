//! What the API server made of an object that was given to it.
//!
//! A refusal means one of four things, and only one of them is a judgement by admission. They are told apart by status
//! code and by words that Kubernetes has kept stable (apiserver `pkg/admission/plugin/webhook/errors/statuserror.go`,
//! `plugin/policy/validating`, `plugin/namespace/lifecycle`, `plugin/pkg/admission/serviceaccount`).

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It would be stored.
    Accepted,
    /// A webhook, a policy or a quota said no.
    Denied {
        /// Its own words.
        words: String,
    },
    /// It is not valid whoever asks: its schema, its kind, its version.
    Invalid {
        /// The API server's words.
        words: String,
    },
    /// The API server, or what it must ask first, cannot answer yet.
    Unready {
        /// The API server's words.
        words: String,
    },
    /// We may not ask.
    Forbidden {
        /// The API server's words.
        words: String,
    },
}

/// Words of a refusal that passes: an admission still starting, a namespace or object still going, an account on its way.
const PASSING: [&str; 6] = [
    "failed calling webhook",
    "conversion webhook for",
    "error looking up service account",
    "because it is being terminated",
    "object is being deleted",
    "not yet ready to handle request",
];

/// Words of a server-side apply whose fields do not fit the kind; they come with a 500 (apimachinery
/// `managedfields/internal/structuredmerge.go`).
const UNTYPED: &str = "failed to create typed patch object";

/// Words of an admission that has decided.
const DECIDED: [&str; 3] = ["denied the request", "denied request", "violates PodSecurity"];

impl Admission {
    /// Reads a refusal by its HTTP status code and message.
    #[must_use]
    pub fn refused(code: u16, message: &str) -> Self {
        let words = message.trim().to_owned();
        let says = |any: &[&str]| any.iter().any(|part| message.contains(part));
        match code {
            _ if says(&DECIDED) => Self::Denied { words },
            _ if says(&PASSING) => Self::Unready { words },
            _ if says(&[UNTYPED]) => Self::Invalid { words },
            408 | 429 | 500..=599 => Self::Unready { words },
            401 => Self::Forbidden { words },
            // RBAC names the user and the verb; whatever else forbids is an admission plugin: quota, limits, accounts.
            403 if says(&["\" cannot "]) => Self::Forbidden { words },
            403 => Self::Denied { words },
            _ => Self::Invalid { words },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_what_its_words_and_code_say() {
        let kind = |code, words: &str| match Admission::refused(code, words) {
            Admission::Accepted => "accepted",
            Admission::Denied { .. } => "denied",
            Admission::Invalid { .. } => "invalid",
            Admission::Unready { .. } => "unready",
            Admission::Forbidden { .. } => "forbidden",
        };
        for (code, words, expected) in [
            (400, "admission webhook \"v.io\" denied the request: no", "denied"),
            (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "denied"),
            (403, "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"", "denied"),
            (403, "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1", "denied"),
            (403, "pods is forbidden: User \"u\" cannot create resource \"pods\"", "forbidden"),
            (401, "Unauthorized", "forbidden"),
            (500, "Internal error occurred: failed calling webhook \"v.io\": connection refused", "unready"),
            (500, "Internal error occurred: failed calling webhook \"v.io\": service \"w\" not found", "unready"),
            (403, "pods \"a\" is forbidden: error looking up service account n/default: not found", "unready"),
            (403, "pods \"a\" is forbidden: unable to create new content because it is being terminated", "unready"),
            (409, "object is being deleted: pods \"a\" already exists", "unready"),
            (
                500,
                "failed to create typed patch object (/a; v1, Kind=Gauge): .spec.siez: field not declared in schema",
                "invalid",
            ),
            (429, "too many requests", "unready"),
            (422, "Widget \"a\" is invalid: spec.size: Invalid value", "invalid"),
            (404, "the server could not find the requested resource", "invalid"),
            (409, "Apply failed with 1 conflict: conflict with \"argocd\": .spec.replicas", "invalid"),
        ] {
            assert_eq!(kind(code, words), expected, "{code} {words}");
        }
    }
}
