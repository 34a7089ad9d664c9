//! An error and its causes as text; the only place where chains are walked.

use std::error::Error;
use std::sync::Arc;

/// The error and each of its sources, `: ` between them, without saying anything twice. A refusal of the API server is
/// its own message, where it has one.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let refusal = refusal(cause);
        let words = refusal.map_or_else(|| cause.to_string(), str::to_owned);
        // Some libraries print their source within their own message.
        if !text.contains(words.trim()) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(words.trim());
        }
        next = cause.source().filter(|_| refusal.is_none());
    }
    text
}

/// The API server's own words; kube's text of a refusal prints every field of the answer after them.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    let boxed = || error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
    let shared = || error.downcast_ref::<Arc<kube::Error>>().map(AsRef::as_ref);
    let kube::Error::Api(status) = error.downcast_ref().or_else(boxed).or_else(shared)? else { return None };
    Some(status.message.as_str()).filter(|message| !message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_said_once() {
        let error = Layer("cannot reach a", Some(Box::new(Layer("b refused", Some(Box::new(Layer("refused", None)))))));
        assert_eq!(chain(&error), "cannot reach a: b refused");
    }
    #[derive(Debug, thiserror::Error)]
    #[error("cannot list pods")]
    struct Listing(#[source] Box<kube::Error>);

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_api_server_alone() {
        let refused = || kube::Error::Api(kube::core::Status::failure("pods is forbidden", "Forbidden").boxed());
        assert_eq!(chain(&refused()), "pods is forbidden");
        assert_eq!(chain(&Arc::new(refused())), "pods is forbidden");
        assert_eq!(chain(&Listing(Box::new(refused()))), "cannot list pods: pods is forbidden");
    }

    #[test]
    fn a_refusal_without_a_message_still_says_something() {
        let refused = kube::Error::Api(kube::core::Status::failure("", "Forbidden").boxed());
        assert!(chain(&refused).contains("Forbidden"), "{}", chain(&refused));
    }
}
