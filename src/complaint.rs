//! An error and its causes as text; the only place where chains are walked.

use std::error::Error;

/// The error and each of its sources, `: ` between them, without saying anything twice.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let words = cause.to_string();
        // Some libraries print their source within their own message.
        if !text.contains(words.trim()) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(words.trim());
        }
        next = cause.source();
    }
    text
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
}
