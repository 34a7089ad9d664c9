//! Bodies in protobuf, which typed Go clients send for built-in kinds (`application/vnd.kubernetes.protobuf`): helm for the
//! Secrets in which it keeps releases, kubectl for what it creates by itself. They are read; answers are JSON.
//!
//! `numbers.txt` has a block for each type: its name, then a line for each field: number, name (`~`: the field is embedded,
//! its fields stand beside the others), type (`*` a list of it, `%` a map of texts to it).

mod read;

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::read::{Reader, Shape};

/// With what every such body begins.
const MAGIC: &[u8] = b"k8s\0";

/// How deep messages may lie in each other; the deepest of Kubernetes' own are schemas of definitions.
const DEEPEST: usize = 64;

/// Type → number → field.
static TYPES: LazyLock<HashMap<&'static str, HashMap<u64, Field>>> = LazyLock::new(types);

#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    kind: &'static str,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    One,
    List,
    Map,
    Embedded,
}

/// A body that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// It is no such body, or ends too early.
    #[error("provided data does not appear to be a protobuf message")]
    Malformed,
    /// It is of a kind that is not known here.
    #[error("no kind {0} is known in protobuf")]
    Unknown(String),
}

/// Reads a body.
///
/// # Errors
/// Where it is none, or of an unknown kind.
pub(super) fn decode(body: &[u8]) -> Result<Value, WireError> {
    let around = body.strip_prefix(MAGIC).ok_or(WireError::Malformed)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader::new(around);
    while let Some((number, shape)) = reader.field()? {
        match (number, shape) {
            (1, Shape::Bytes(about)) => {
                let mut reader = Reader::new(about);
                while let Some((number, shape)) = reader.field()? {
                    match (number, shape) {
                        (1, Shape::Bytes(text)) => api_version = text_of(text)?,
                        (2, Shape::Bytes(text)) => kind = text_of(text)?,
                        _ => {}
                    }
                }
            }
            (2, Shape::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = type_of(&api_version, &kind);
    if !TYPES.contains_key(name.as_str()) {
        return Err(WireError::Unknown(format!("{kind} of {api_version}")));
    }
    let mut object = Map::new();
    object.insert("kind".to_owned(), json!(kind));
    object.insert("apiVersion".to_owned(), json!(api_version));
    message(&name, raw, &mut object, 0)?;
    Ok(Value::Object(object))
}

/// The name of a kind's type.
fn type_of(api_version: &str, kind: &str) -> String {
    if kind.ends_with("Options") {
        return format!("meta.v1.{kind}");
    }
    match api_version.split_once('/') {
        Some((group, version)) => format!("{}.{version}.{kind}", group.split('.').next().unwrap_or_default()),
        None => format!("core.{api_version}.{kind}"),
    }
}

/// Reads a message into the fields of an object.
fn message(name: &str, bytes: &[u8], object: &mut Map<String, Value>, depth: usize) -> Result<(), WireError> {
    if depth > DEEPEST {
        return Err(WireError::Malformed);
    }
    let Some(fields) = TYPES.get(name) else { return Ok(()) };
    let mut reader = Reader::new(bytes);
    while let Some((number, shape)) = reader.field()? {
        // What a newer client says beside is left out, as an older server does.
        let Some(field) = fields.get(&number) else { continue };
        match (field.form, shape) {
            (Form::Embedded, Shape::Bytes(bytes)) => message(field.kind, bytes, object, depth + 1)?,
            (Form::Map, Shape::Bytes(bytes)) => {
                let (key, value) = entry(field.kind, bytes, depth + 1)?;
                let map = object.entry(field.name).or_insert_with(|| json!({}));
                map[key] = value;
            }
            (Form::List, shape) => {
                let item = value(field.kind, shape, depth + 1)?;
                let list = object.entry(field.name).or_insert_with(|| json!([]));
                list.as_array_mut().into_iter().for_each(|list| list.push(item.clone()));
            }
            (Form::One, shape) => drop(object.insert(field.name.to_owned(), value(field.kind, shape, depth + 1)?)),
            (Form::Embedded | Form::Map, Shape::Number(_) | Shape::Double(_)) => return Err(WireError::Malformed),
        }
    }
    Ok(())
}

fn entry(kind: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), WireError> {
    let (mut key, mut found) = (String::new(), empty(kind));
    let mut reader = Reader::new(bytes);
    while let Some((number, shape)) = reader.field()? {
        match (number, shape) {
            (1, Shape::Bytes(text)) => key = text_of(text)?,
            (2, shape) => found = value(kind, shape, depth)?,
            _ => {}
        }
    }
    Ok((key, found))
}

/// The value of an entry that says none.
fn empty(kind: &str) -> Value {
    match kind {
        "string" | "bytes" => json!(""),
        "bool" => json!(false),
        kind if kind.contains('.') => json!({}),
        _ => json!(0),
    }
}

fn value(kind: &str, shape: Shape<'_>, depth: usize) -> Result<Value, WireError> {
    Ok(match (kind, shape) {
        ("bool", Shape::Number(number)) => json!(number != 0),
        ("int32" | "int64" | "uint32" | "uint64", Shape::Number(number)) => json!(number),
        ("double", Shape::Double(number)) => json!(number),
        ("string", Shape::Bytes(text)) => json!(text_of(text)?),
        ("bytes", Shape::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        ("meta.v1.Time" | "meta.v1.MicroTime", Shape::Bytes(bytes)) => time(bytes)?,
        ("resource.Quantity", Shape::Bytes(bytes)) => json!(inner(bytes)?),
        ("intstr.IntOrString", Shape::Bytes(bytes)) => int_or_string(bytes)?,
        // JSON within: what is owned, and what schemas give as examples.
        ("meta.v1.FieldsV1" | "runtime.RawExtension" | "apiextensions.v1.JSON", Shape::Bytes(bytes)) => {
            serde_json::from_str(&inner(bytes)?).unwrap_or(Value::Null)
        }
        (kind, Shape::Bytes(bytes)) if kind.contains('.') => {
            let mut object = Map::new();
            message(kind, bytes, &mut object, depth)?;
            Value::Object(object)
        }
        _ => return Err(WireError::Malformed),
    })
}

/// The first field of a message, which is a text.
fn inner(bytes: &[u8]) -> Result<String, WireError> {
    match Reader::new(bytes).field()? {
        Some((1, Shape::Bytes(text))) => text_of(text),
        _ => Ok(String::new()),
    }
}

fn time(bytes: &[u8]) -> Result<Value, WireError> {
    let mut reader = Reader::new(bytes);
    let (mut seconds, mut nanos) = (None, 0);
    while let Some((number, shape)) = reader.field()? {
        match (number, shape) {
            (1, Shape::Number(number)) => seconds = Some(number),
            (2, Shape::Number(number)) => nanos = i32::try_from(number).map_err(|_| WireError::Malformed)?,
            _ => {}
        }
    }
    // A time that was never set has no seconds.
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let time = Timestamp::new(seconds, nanos).map_err(|_| WireError::Malformed)?;
    Ok(json!(
        if nanos == 0 { time.strftime("%Y-%m-%dT%H:%M:%SZ") } else { time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") }
            .to_string()
    ))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, WireError> {
    let mut reader = Reader::new(bytes);
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    while let Some((field, shape)) = reader.field()? {
        match (field, shape) {
            (1, Shape::Number(kind)) => is_text = kind == 1,
            (2, Shape::Number(value)) => number = value,
            (3, Shape::Bytes(value)) => text = text_of(value)?,
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

fn text_of(bytes: &[u8]) -> Result<String, WireError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Malformed)
}

fn types() -> HashMap<&'static str, HashMap<u64, Field>> {
    let mut types: HashMap<&str, HashMap<u64, Field>> = HashMap::new();
    let mut current = "";
    for line in include_str!("numbers.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some(field) = line.strip_prefix(' ') else {
            current = line;
            continue;
        };
        let mut words = field.split(' ');
        let (Some(number), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        let (form, kind) = match (name, kind.strip_prefix('*'), kind.strip_prefix('%')) {
            ("~", _, _) => (Form::Embedded, kind),
            (_, Some(item), _) => (Form::List, item),
            (_, _, Some(value)) => (Form::Map, value),
            _ => (Form::One, kind),
        };
        if let Ok(number) = number.parse() {
            types.entry(current).or_default().insert(number, Field { name, kind, form });
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field of bytes: its number, its length, itself.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let about = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &about), field(2, raw)].concat()
    }

    #[test]
    fn a_secret_is_read_with_its_data_as_base64() {
        let metadata = [field(1, b"auth"), field(3, b"data")].concat();
        let entry = [field(1, b"password"), field(2, b"\xff\x00")].concat();
        let raw = [field(1, &metadata), field(2, &entry), field(3, b"Opaque")].concat();
        assert_eq!(
            decode(&body("v1", "Secret", &raw)).unwrap(),
            json!({
                "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "auth", "namespace": "data" },
                "data": { "password": "/wA=" }, "type": "Opaque",
            })
        );
    }

    #[test]
    fn embedded_fields_stand_beside_the_others() {
        let reference = field(1, &field(1, b"auth"));
        let raw = [reference, field(2, b"key")].concat();
        let mut object = Map::new();
        message("core.v1.SecretKeySelector", &raw, &mut object, 0).unwrap();
        assert_eq!(Value::Object(object), json!({ "name": "auth", "key": "key" }));
    }

    #[test]
    fn what_is_no_message_is_refused_and_an_unknown_kind_named() {
        assert_eq!(decode(b"{}"), Err(WireError::Malformed));
        assert_eq!(decode(&body("v1", "Sandwich", b"")), Err(WireError::Unknown("Sandwich of v1".to_owned())));
        let cut = body("v1", "Secret", &field(1, b"x"));
        assert_eq!(decode(&cut[..cut.len() - 1]), Err(WireError::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&[MAGIC, &raw].concat()));
            drop(decode(&body("apps/v1", "Deployment", &raw[..raw.len().min(100)])));
        }
    }
}
