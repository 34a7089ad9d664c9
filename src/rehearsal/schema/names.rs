//! How names, labels and keys may be written, and what Kubernetes says of those that are not
//! (`k8s.io/apimachinery/pkg/util/validation`).

/// The longest label of a DNS name.
const LABEL: usize = 63;
/// The longest DNS name.
const SUBDOMAIN: usize = 253;

/// The form of a label of a DNS name, as messages show it.
const LABEL_FORM: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// What is wrong with a label of a DNS name (RFC 1123).
pub(super) fn label(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, LABEL);
    if !is_label(text) {
        wrong.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '{LABEL_FORM}')"
            )
        });
    }
    wrong
}

/// What is wrong with a label of a DNS name that starts with a letter (RFC 1035).
pub(super) fn old_label(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, LABEL);
    if !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        wrong.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation \
             is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a DNS name (RFC 1123).
pub(super) fn subdomain(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, SUBDOMAIN);
    if !is_subdomain(text) {
        wrong.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '{LABEL_FORM}(\\.{LABEL_FORM})*')"
        ));
    }
    wrong
}

/// What is wrong with a name that becomes a part of a path.
pub(super) fn path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"].into_iter().filter(|part| text.contains(part)).map(|part| format!("may not contain '{part}'")).collect()
}

/// What is wrong with the key of a label or an annotation: a name, and before it a DNS name and a slash if it has one.
pub(super) fn qualified(text: &str) -> Vec<String> {
    const FORM: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                        alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                        '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let (prefix, name) = match text.split_once('/') {
        None => (None, text),
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a qualified name {FORM} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => (Some(prefix), name),
    };
    let mut wrong = match prefix {
        Some("") => vec!["prefix part must be non-empty".to_owned()],
        Some(prefix) => subdomain(prefix).into_iter().map(|said| format!("prefix part {said}")).collect(),
        None => Vec::new(),
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL {
        wrong.push(format!("name part must be no more than {LABEL} characters"));
    }
    if !is_word(name) {
        wrong.push(format!("name part {FORM}"));
    }
    wrong
}

/// What is wrong with the value of a label.
pub(super) fn label_value(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, LABEL);
    if !text.is_empty() && !is_word(text) {
        wrong.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation \
             is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a key of a `ConfigMap` or a `Secret`.
pub(super) fn data_key(text: &str) -> Vec<String> {
    let mut wrong = too_long(text, SUBDOMAIN);
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        wrong.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  \
             or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    if text == "." || text == ".." {
        wrong.push(format!("must not be '{text}'"));
    } else if text.starts_with("..") {
        wrong.push("must not start with '..'".to_owned());
    }
    wrong
}

/// That a text has more bytes than allowed.
fn too_long(text: &str, most: usize) -> Vec<String> {
    if text.len() > most { vec![format!("must be no more than {most} characters")] } else { Vec::new() }
}

/// Whether it is a label, however long.
fn is_label(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| fine(*byte) || *byte == b'-')
        && bytes.first().is_some_and(|byte| fine(*byte))
        && bytes.last().is_some_and(|byte| fine(*byte))
}

/// Whether it is labels with dots between them, however long.
fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// Whether it is letters, digits, `-`, `_` and `.`, with a letter or a digit at both ends.
fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_dashes() {
        for fine in ["a", "a-1", "0a", &"a".repeat(63)] {
            assert_eq!(label(fine), Vec::<String>::new(), "{fine}");
        }
        for wrong in ["", "A", "-a", "a-", "a_b", &"a".repeat(64)] {
            assert_eq!(label(wrong).len(), 1, "{wrong}");
        }
        assert_eq!(label("a.b"), ["must not contain dots"]);
        assert_eq!(subdomain("a.b-c.d"), Vec::<String>::new());
        assert_eq!(subdomain("a..b").len(), 1);
        assert_eq!(old_label("1a").len(), 1);
    }

    #[test]
    fn keys_may_have_a_domain_before_them() {
        for fine in ["a", "A_b.c", "example.com/a"] {
            assert_eq!(qualified(fine), Vec::<String>::new(), "{fine}");
        }
        assert_eq!(qualified("/a"), ["prefix part must be non-empty"]);
        assert_eq!(qualified("a/b/c").len(), 1);
        assert_eq!(qualified("a/").len(), 2);
        assert_eq!(label_value(""), Vec::<String>::new());
        assert_eq!(label_value("a b").len(), 1);
        assert_eq!(data_key("..a"), ["must not start with '..'"]);
    }
}
