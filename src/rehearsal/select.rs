//! Label and field selectors, as the API server reads them.

use super::failure::Failure;
use super::store::{Stored, value};

/// Which objects of a collection are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    /// Field, whether it must have the value, value.
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Reads both selectors.
    ///
    /// # Errors
    /// 400 in the API server's words.
    pub(super) fn of(labels: Option<&str>, fields: Option<&str>) -> Result<Self, Failure> {
        let labels = clauses(labels.unwrap_or_default()).map(requirement).collect::<Result<_, _>>();
        let labels =
            labels.map_err(|why: String| Failure::bad_request(format!("unable to parse requirement: {why}")))?;
        let fields = fields.unwrap_or_default().split(',').filter(|clause| !clause.is_empty()).map(field);
        Ok(Self { labels, fields: fields.collect::<Result<_, _>>()? })
    }

    /// Whether everything is meant.
    pub(super) const fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The fields that are asked for.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(field, _, _)| field.as_str())
    }

    /// Whether an object is meant.
    pub(super) fn selects(&self, object: &Stored) -> bool {
        let labelled = self.labels.iter().all(|requirement| {
            let found = value(&object.labels, &requirement.key);
            match &requirement.test {
                Test::In(values) => found.is_some_and(|found| values.iter().any(|value| value == found)),
                // An object without the label is meant as well (`labels.Requirement.Matches`).
                Test::NotIn(values) => found.is_none_or(|found| values.iter().all(|value| value != found)),
                Test::Exists => found.is_some(),
                Test::Absent => found.is_none(),
            }
        });
        labelled
            && self.fields.iter().all(|(field, equal, wanted)| {
                let found = match field.as_str() {
                    "metadata.name" => &*object.key.name,
                    "metadata.namespace" => &*object.key.namespace,
                    field => value(&object.fields, field).unwrap_or_default(),
                };
                (found == wanted) == *equal
            })
    }
}

/// The parts of a label selector; commas between brackets do not separate.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|clause| !clause.is_empty())
}

fn requirement(clause: &str) -> Result<Requirement, String> {
    let of = |key: &str, test| match key.trim() {
        "" => Err(format!("found '{clause}', expected: identifier")),
        key if key.contains(|c: char| c.is_whitespace() || "()=!<>,".contains(c)) => {
            Err(format!("found '{key}', expected: in, notin, =, ==, !=, gt, lt"))
        }
        key => Ok(Requirement { key: key.to_owned(), test }),
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = clause.split_once("!=") {
        return of(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = clause.split_once("==").or_else(|| clause.split_once('=')) {
        if value.contains('=') {
            return Err(format!("found '=', expected: ',' or end of string in '{clause}'"));
        }
        return of(key, Test::In(one(value)));
    }
    if let Some((head, set)) = clause.split_once('(') {
        let set = set.trim_end().strip_suffix(')').ok_or_else(|| format!("found '{clause}', expected: ',' or ')'"))?;
        let values = set.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => of(key, Test::In(values)),
            (Some(key), Some("notin"), None) => of(key, Test::NotIn(values)),
            _ => Err(format!("found '{head}', expected: in, notin, =, ==, !=, gt, lt")),
        };
    }
    match clause.strip_prefix('!') {
        Some(key) => of(key, Test::Absent),
        None => of(clause, Test::Exists),
    }
}

fn field(clause: &str) -> Result<(String, bool, String), Failure> {
    let read = clause
        .split_once("!=")
        .map(|(field, value)| (field, false, value))
        .or_else(|| clause.split_once("==").map(|(field, value)| (field, true, value)))
        .or_else(|| clause.split_once('=').map(|(field, value)| (field, true, value)));
    match read {
        Some((field, equal, value)) => Ok((field.trim().to_owned(), equal, value.trim().to_owned())),
        None => Err(Failure::bad_request(format!("invalid selector: '{clause}'; can't understand '{clause}'"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::Key;
    use super::super::store::Store;
    use super::*;

    fn selects(labels: &str, fields: &str) -> bool {
        let mut store = Store::default();
        let object = json!({ "metadata": { "labels": { "app": "redis", "tier": "data" } } });
        let stored = store.put(&Key::new("/pods", "n", "a"), object, &[("status.phase", "Running")]);
        Selector::of(Some(labels), Some(fields)).unwrap().selects(&stored)
    }

    #[test]
    fn labels_are_selected_in_every_notation() {
        for holds in ["app=redis", "app==redis,tier", "app in (a, redis),!x", "x notin (a)", "x!=1", "", "app"] {
            assert!(selects(holds, ""), "{holds}");
        }
        for fails in ["app=x", "app!=redis", "app notin (redis)", "!app", "x", "app=redis,x in (a,b)"] {
            assert!(!selects(fails, ""), "{fails}");
        }
    }

    #[test]
    fn fields_are_selected_by_value() {
        for holds in ["metadata.name=a", "metadata.namespace==n,status.phase!=Failed", "status.phase=Running"] {
            assert!(selects("", holds), "{holds}");
        }
        for fails in ["metadata.name!=a", "status.phase=Pending"] {
            assert!(!selects("", fails), "{fails}");
        }
    }

    #[test]
    fn what_is_no_selector_is_a_bad_request() {
        for wrong in ["=x", "a b", "a in (b", "a of (b)"] {
            assert_eq!(Selector::of(Some(wrong), None).unwrap_err().code, 400, "{wrong}");
        }
        assert_eq!(Selector::of(None, Some("status.phase")).unwrap_err().code, 400);
    }
}
