//! PackStream, how Bolt writes values down: those of JSON, of which alone we ask for.

use serde_json::{Map, Number, Value};

/// How deep a value may be in others.
const DEEPEST: u32 = 16;

/// A message: what it is, and its fields.
pub(super) fn message(signature: u8, fields: &[Value]) -> Vec<u8> {
    // None of ours has more than three.
    let count = u8::try_from(fields.len()).unwrap_or(15) & 0x0f;
    let mut bytes = vec![0xb0 | count, signature];
    fields.iter().for_each(|field| put(field, &mut bytes));
    bytes
}

fn put(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Null => into.push(0xc0),
        Value::Bool(is_so) => into.push(if *is_so { 0xc3 } else { 0xc2 }),
        Value::Number(number) => match number.as_i64() {
            Some(small @ -16..=127) => into.extend(small.to_be_bytes().last()),
            Some(large) => {
                into.push(0xcb);
                into.extend(large.to_be_bytes());
            }
            None => {
                into.push(0xc1);
                into.extend(number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
            }
        },
        Value::String(text) => {
            size(text.len(), 0x80, 0xd0, into);
            into.extend(text.as_bytes());
        }
        Value::Array(items) => {
            size(items.len(), 0x90, 0xd4, into);
            items.iter().for_each(|item| put(item, into));
        }
        Value::Object(entries) => {
            size(entries.len(), 0xa0, 0xd8, into);
            for (key, value) in entries {
                size(key.len(), 0x80, 0xd0, into);
                into.extend(key.as_bytes());
                put(value, into);
            }
        }
    }
}

/// The marker of what has so many parts: `tiny` with up to fifteen, else `marked` and the two after it with one, two or four bytes
/// of size.
fn size(count: usize, tiny: u8, marked: u8, into: &mut Vec<u8>) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(few @ ..=15), _) => into.push(tiny | few),
        (Ok(some), _) => into.extend([marked, some]),
        (Err(_), Ok(many)) => {
            into.push(marked + 1);
            into.extend(many.to_be_bytes());
        }
        (Err(_), Err(_)) => {
            into.push(marked + 2);
            into.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// What a message is, and its fields. `None` where it is none, or has a value that JSON has not: bytes, a node, a date.
pub(super) fn read(bytes: &[u8]) -> Option<(u8, Vec<Value>)> {
    let (marker, rest) = bytes.split_first()?;
    let (signature, mut rest) = rest.split_first()?;
    let fields = (marker >> 4 == 0x0b).then_some(marker & 0x0f)?;
    let fields = (0..fields).map(|_| take(&mut rest, 0)).collect::<Option<_>>()?;
    rest.is_empty().then_some((*signature, fields))
}

fn take(rest: &mut &[u8], depth: u32) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let marker = some(rest, 1)?[0];
    Some(match marker {
        0xc0 => Value::Null,
        0xc2 => Value::Bool(false),
        0xc3 => Value::Bool(true),
        0xc1 => Value::Number(Number::from_f64(f64::from_be_bytes(some(rest, 8)?.try_into().ok()?))?),
        0xc8 => i64::from(i8::from_be_bytes(some(rest, 1)?.try_into().ok()?)).into(),
        0xc9 => i64::from(i16::from_be_bytes(some(rest, 2)?.try_into().ok()?)).into(),
        0xca => i64::from(i32::from_be_bytes(some(rest, 4)?.try_into().ok()?)).into(),
        0xcb => i64::from_be_bytes(some(rest, 8)?.try_into().ok()?).into(),
        0x00..=0x7f | 0xf0..=0xff => i64::from(i8::from_be_bytes([marker])).into(),
        0x80..=0x8f | 0xd0..=0xd2 => Value::String(text(count(marker, 0x80, 0xd0, rest)?, rest)?),
        0x90..=0x9f | 0xd4..=0xd6 => {
            let items = count(marker, 0x90, 0xd4, rest)?;
            Value::Array((0..items).map(|_| take(rest, depth + 1)).collect::<Option<_>>()?)
        }
        0xa0..=0xaf | 0xd8..=0xda => {
            let entries = count(marker, 0xa0, 0xd8, rest)?;
            Value::Object((0..entries).map(|_| entry(rest, depth + 1)).collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}

fn entry(rest: &mut &[u8], depth: u32) -> Option<(String, Value)> {
    let Value::String(key) = take(rest, depth)? else { return None };
    Some((key, take(rest, depth)?))
}

/// How many parts follow a marker; never more than there are bytes.
fn count(marker: u8, tiny: u8, marked: u8, rest: &mut &[u8]) -> Option<usize> {
    let count = match marker.checked_sub(marked) {
        Some(0) => usize::from(some(rest, 1)?[0]),
        Some(1) => usize::from(u16::from_be_bytes(some(rest, 2)?.try_into().ok()?)),
        Some(2) => usize::try_from(u32::from_be_bytes(some(rest, 4)?.try_into().ok()?)).ok()?,
        _ => usize::from(marker - tiny),
    };
    (count <= rest.len()).then_some(count)
}

fn text(length: usize, rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(some(rest, length)?.to_vec()).ok()
}

fn some<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_the_specification_has_them() {
        for (value, bytes) in [
            (json!(null), &[0xc0][..]),
            (json!(true), &[0xc3]),
            (json!(1), &[0x01]),
            (json!(-16), &[0xf0]),
            (json!(127), &[0x7f]),
            (json!(-17), &[0xcb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef]),
            (json!(1.23), &[0xc1, 0x3f, 0xf3, 0xae, 0x14, 0x7a, 0xe1, 0x47, 0xae]),
            (json!("A"), &[0x81, 0x41]),
            (json!([1, 2, 3]), &[0x93, 0x01, 0x02, 0x03]),
            (json!({"a": 1}), &[0xa1, 0x81, 0x61, 0x01]),
            (json!("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), b"\xd0\x1aABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ] {
            assert_eq!(message(0x10, &[value])[2..], *bytes);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for value in [
            json!({"text": "x".repeat(300), "list": (0..20).collect::<Vec<_>>(), "far": -9_000_000_000_i64}),
            json!("y".repeat(70_000)),
            json!([[], {}, "", 0.5, false]),
        ] {
            assert_eq!(read(&message(0x71, &[json!([value])])), Some((0x71, vec![json!([value])])));
        }
        let short = [0xb1, 0x71, 0x94, 0xc8, 0x80, 0xc9, 0x03, 0xe8, 0xca, 0, 1, 0, 0, 0xf5];
        assert_eq!(read(&short), Some((0x71, vec![json!([-128, 1000, 65536, -11])])));
    }

    #[test]
    fn what_is_no_message_is_none() {
        let nodes = [0xb1, 0x71, 0xb3, 0x4e, 0x01, 0x90, 0xa0];
        let deep = [&[0xb1, 0x71][..], &[0x91; 40], &[0x01]].concat();
        let endless = [0xb1, 0x71, 0xd6, 0xff, 0xff, 0xff, 0xff, 0x01];
        for bytes in [
            &b""[..],
            b"\xb1",
            b"HTTP",
            &nodes,
            &deep,
            &endless,
            b"\xb1\x71\x85ab",
            b"\xb0\x7e\x00",
            b"\xb1\x71\xa1\x01\x01",
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
