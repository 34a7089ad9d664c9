//! Custom kinds: the columns that their definition names, and the JSON paths that fill them
//! (`apiextensions-apiserver/pkg/registry/customresource/tableconvertor`).

use serde_json::{Value, json};

use super::definition;
use super::glance::{Glance, bare};

/// The columns: the name before all others, and the age where the definition names none.
pub(super) fn columns(printed: &[Value]) -> Value {
    let mut all = vec![definition("Name", "string", 0)];
    if printed.is_empty() {
        all.push(definition("Age", "date", 0));
    }
    for column in printed {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        all.push(json!({
            "name": text("name"),
            "type": text("type"),
            "format": text("format"),
            "description": text("description"),
            "priority": column["priority"].as_i64().unwrap_or_default(),
        }));
    }
    Value::Array(all)
}

/// The cells; null where a path leads nowhere.
pub(super) fn cells(printed: &[Value], glance: &Glance<'_>) -> Value {
    let mut all = vec![json!(glance.name())];
    if printed.is_empty() {
        all.push(cell("date", glance.at("/metadata/creationTimestamp"), glance));
    }
    for column in printed {
        let path = column["jsonPath"].as_str().unwrap_or_default();
        let found = follow(path, glance.object);
        let kind = column["type"].as_str().unwrap_or_default();
        all.push(found.map_or(Value::Null, |found| cell(kind, found, glance)));
    }
    Value::Array(all)
}

/// A value as its column shows it; null where it is of another type.
fn cell(kind: &str, value: &Value, glance: &Glance<'_>) -> Value {
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("integer", Value::Number(number)) => number.as_i64().map_or_else(
            // A number with a fraction loses it.
            || number.as_f64().map_or(Value::Null, |number| json!(whole(number))),
            |whole| json!(whole),
        ),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(_)) => json!(glance.ago(value).unwrap_or_else(|| "<invalid>".to_owned())),
        ("string", _) => json!(bare(value)),
        _ => Value::Null,
    }
}

/// The whole part of a number.
fn whole(number: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "the conversion of a number that is too great is the greatest")]
    let whole = number.trunc() as i64;
    whole
}

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    /// From the end where it is negative.
    Index(i64),
    /// Elements whose member, by its path, is or is not a text.
    Where {
        member: Vec<Step>,
        is: bool,
        text: String,
    },
    /// All elements.
    All,
}

/// The first value to which a path leads.
fn follow<'a>(path: &str, object: &'a Value) -> Option<&'a Value> {
    let steps = parse(path)?;
    lead(&steps, object)
}

fn lead<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => lead(rest, value.get(name)?),
        Step::Index(index) => {
            let list = value.as_array()?;
            let from_end = usize::try_from(index.unsigned_abs()).ok()?;
            let index = if *index < 0 { list.len().checked_sub(from_end)? } else { from_end };
            lead(rest, list.get(index)?)
        }
        Step::Where { member, is, text } => {
            let fits = |element: &&Value| lead(member, element).is_some_and(|found| (bare(found) == *text) == *is);
            value.as_array()?.iter().filter(fits).find_map(|element| lead(rest, element))
        }
        Step::All => match value {
            Value::Array(list) => list.iter().find_map(|element| lead(rest, element)),
            Value::Object(map) => map.values().find_map(|element| lead(rest, element)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        },
    }
}

/// The steps of a simple path, with or without the braces around it: `.a.b`, `.a\.b`, `[0]`, `[*]`, `['a']` and
/// `[?(@.type=="Ready")]`. Nothing for what is not understood.
fn parse(path: &str) -> Option<Vec<Step>> {
    let path = path.trim();
    let mut rest = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
    let mut steps = Vec::new();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '[' => {
                let (inner, after) = bracket(rest)?;
                steps.push(subscript(inner)?);
                after
            }
            '.' => field(&rest[1..], &mut steps),
            _ => field(rest, &mut steps),
        };
    }
    Some(steps)
}

/// Reads a name up to the next step; a backslash makes the character after it part of the name.
fn field<'a>(path: &'a str, steps: &mut Vec<Step>) -> &'a str {
    let mut name = String::new();
    let mut escaped = false;
    let mut end = path.len();
    for (at, character) in path.char_indices() {
        match character {
            _ if escaped => {
                name.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' => {
                end = at;
                break;
            }
            _ => name.push(character),
        }
    }
    match name.as_str() {
        "" => {}
        "*" => steps.push(Step::All),
        _ => steps.push(Step::Field(name)),
    }
    &path[end..]
}

/// What is between brackets, and what is after them. Brackets in quotes are text.
fn bracket(path: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, character) in path.char_indices().skip(1) {
        match (quote, character) {
            (None, ']') => return Some((&path[1..at], &path[at + 1..])),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None | Some(_), _) => {}
        }
    }
    None
}

fn subscript(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(name) = unquoted(inner) {
        return Some(Step::Field(name.to_owned()));
    }
    let Some(condition) = inner.strip_prefix("?(").and_then(|inner| inner.strip_suffix(')')) else {
        return inner.parse().ok().map(Step::Index);
    };
    let (is, (member, text)) = match condition.split_once("==") {
        Some(sides) => (true, sides),
        None => (false, condition.split_once("!=")?),
    };
    let text = text.trim();
    let text = unquoted(text).unwrap_or(text).to_owned();
    Some(Step::Where { member: parse(member.trim().strip_prefix('@')?)?, is, text })
}

fn unquoted(text: &str) -> Option<&str> {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}
