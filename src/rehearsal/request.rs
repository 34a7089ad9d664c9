//! What a request asks for: its path and query, read.

use std::collections::BTreeMap;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// A collection, an object of it, or a part of an object.
    Resource(Place),
    /// Everything else, by its parts: `["apis", "apps"]`.
    Other(Vec<String>),
}

/// A collection, an object of it, or a part of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: String,
    pub(super) version: String,
    /// The namespace; of a collection in all namespaces: none.
    pub(super) namespace: Option<String>,
    pub(super) plural: String,
    pub(super) name: Option<String>,
    /// `status`, `scale`, `log`, …
    pub(super) part: Option<String>,
}

/// Reads a path (`k8s.io/apiserver/pkg/endpoints/request`, `RequestInfoFactory`).
pub(super) fn path(path: &str) -> Path {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (group, version, rest) = match words.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Path::Other(parts),
    };
    let (namespace, rest) = match rest {
        // A namespace itself and its parts are not in a namespace.
        ["namespaces", name, plural, rest @ ..] if !matches!(*plural, "status" | "finalize") => {
            (Some((*name).to_owned()), [&[*plural], rest].concat())
        }
        rest => (None, rest.to_vec()),
    };
    let mut place = Place { group: group.to_owned(), version: version.to_owned(), namespace, ..Place::default() };
    match rest.as_slice() {
        [plural] => place.plural = (*plural).to_owned(),
        [plural, name] => (place.plural, place.name) = ((*plural).to_owned(), Some((*name).to_owned())),
        [plural, name, part] => {
            (place.plural, place.name) = ((*plural).to_owned(), Some((*name).to_owned()));
            place.part = Some((*part).to_owned());
        }
        _ => return Path::Other(parts),
    }
    Path::Resource(place)
}

/// The query, of each name its values in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    /// Reads a query.
    pub(super) fn of(query: &str) -> Self {
        let mut read = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let spaced = |text: &str| decoded(text.replace('+', " "));
            read.0.entry(spaced(name)).or_default().push(spaced(value));
        }
        read
    }

    /// The first value of a name, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All values of a name.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a name is switched on, as Go reads booleans.
    pub(super) fn is(&self, name: &str) -> bool {
        self.0
            .get(name)
            .and_then(|values| values.first())
            .is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "True" | "TRUE"))
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|value| value.parse().ok())
    }
}

/// Text with its `%XX` read; what is no such thing stays as it is.
fn decoded(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (*first, hex(0), hex(1)) {
            bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path_text: &str) -> String {
        match path(path_text) {
            Path::Resource(Place { group, version, namespace, plural, name, part }) => {
                let or = |text: Option<String>| text.unwrap_or("-".to_owned());
                format!("{group}|{version}|{}|{plural}|{}|{}", or(namespace), or(name), or(part))
            }
            Path::Other(parts) => parts.join(" "),
        }
    }

    #[test]
    fn paths_are_read_as_the_api_server_reads_them() {
        for (path, read) in [
            ("/api/v1/pods", "|v1|-|pods|-|-"),
            ("/api/v1/namespaces", "|v1|-|namespaces|-|-"),
            ("/api/v1/namespaces/a", "|v1|-|namespaces|a|-"),
            ("/api/v1/namespaces/a/status", "|v1|-|namespaces|a|status"),
            ("/api/v1/namespaces/a/finalize", "|v1|-|namespaces|a|finalize"),
            ("/api/v1/namespaces/a/pods", "|v1|a|pods|-|-"),
            ("/api/v1/namespaces/a/pods/b/log", "|v1|a|pods|b|log"),
            ("/apis/apps/v1/namespaces/a/deployments/b%2dc", "apps|v1|a|deployments|b-c|-"),
            ("/apis/apps/v1", "apis apps v1"),
            ("/api", "api"),
            ("/", ""),
            ("/api/v1/namespaces/a/pods/b/log/c", "api v1 namespaces a pods b log c"),
        ] {
            assert_eq!(place(path), read, "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded_and_repeated_names_are_kept() {
        let query = Query::of("labelSelector=a%3Db%2Cc&command=x&command=y+z&watch=1&limit=&bad=%zz");
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert_eq!(query.all("command"), ["x", "y z"]);
        assert!(query.is("watch") && !query.is("follow"));
        assert_eq!((query.get("limit"), query.get("bad")), (None, Some("%zz")));
    }
}
