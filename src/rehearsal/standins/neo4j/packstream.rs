//! PackStream, how Bolt writes values down, as a server writes and reads it.

use std::collections::VecDeque;

use serde_json::{Map, Number, Value};

/// A message: its signature and its fields.
pub(crate) type Message = (u8, Vec<Value>);

/// A message as bytes.
pub(crate) fn written((signature, fields): &Message) -> Vec<u8> {
    let mut bytes = vec![0xb0 + u8::try_from(fields.len()).unwrap_or_default(), *signature];
    fields.iter().for_each(|field| write(field, &mut bytes));
    bytes
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(false) => out.push(0xc2),
        Value::Bool(true) => out.push(0xc3),
        Value::Number(number) => match number.as_i64().map(|number| (number, i16::try_from(number))) {
            Some((0..=127, Ok(small))) => out.push(small.to_be_bytes()[1]),
            Some((_, Ok(short))) => out.extend([&[0xc9][..], &short.to_be_bytes()].concat()),
            Some((long, Err(_))) => out.extend([&[0xcb][..], &long.to_be_bytes()].concat()),
            None => out.extend([&[0xc1][..], &number.as_f64().unwrap_or_default().to_be_bytes()].concat()),
        },
        Value::String(text) => {
            head(out, text.len(), [0x80, 0xd0, 0xd1]);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(list) => {
            head(out, list.len(), [0x90, 0xd4, 0xd5]);
            list.iter().for_each(|item| write(item, out));
        }
        Value::Object(map) => {
            head(out, map.len(), [0xa0, 0xd8, 0xd9]);
            for (key, value) in map {
                write(&Value::from(key.as_str()), out);
                write(value, out);
            }
        }
    }
}

/// Nothing that is sent here has more than 65535 parts.
fn head(out: &mut Vec<u8>, length: usize, [tiny, byte, short]: [u8; 3]) {
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    match length {
        0..16 => out.push(tiny + low),
        16..256 => out.extend([byte, low]),
        _ => out.extend([short, high, low]),
    }
}

/// The message that some bytes are.
pub(crate) fn read(bytes: Vec<u8>) -> Option<Message> {
    let mut bytes = VecDeque::from(bytes);
    let fields = bytes.pop_front()?.checked_sub(0xb0)?;
    let signature = bytes.pop_front()?;
    let fields = (0..fields).map(|_| value(&mut bytes)).collect::<Option<_>>()?;
    Some((signature, fields))
}

fn value(bytes: &mut VecDeque<u8>) -> Option<Value> {
    let marker = bytes.pop_front()?;
    let few = usize::from(marker & 0x0f);
    Some(match marker {
        0xc0 => Value::Null,
        0xc2 | 0xc3 => Value::Bool(marker == 0xc3),
        0xc1 => Value::Number(Number::from_f64(f64::from_be_bytes(next(bytes)?))?),
        0x00..0x80 | 0xf0.. => Value::from(i8::from_be_bytes([marker])),
        0xc8 => Value::from(i8::from_be_bytes(next(bytes)?)),
        0xc9 => Value::from(i16::from_be_bytes(next(bytes)?)),
        0xca => Value::from(i32::from_be_bytes(next(bytes)?)),
        0xcb => Value::from(i64::from_be_bytes(next(bytes)?)),
        0x80..0x90 => text(bytes, few)?,
        0x90..0xa0 => list(bytes, few)?,
        0xa0..0xb0 => map(bytes, few)?,
        0xd0 | 0xd4 | 0xd8 => {
            let length = u8::from_be_bytes(next(bytes)?).into();
            sized(bytes, marker, length)?
        }
        0xd1 | 0xd5 | 0xd9 => {
            let length = u16::from_be_bytes(next(bytes)?).into();
            sized(bytes, marker - 1, length)?
        }
        _ => return None,
    })
}

fn sized(bytes: &mut VecDeque<u8>, marker: u8, length: usize) -> Option<Value> {
    match marker {
        0xd0 => text(bytes, length),
        0xd4 => list(bytes, length),
        _ => map(bytes, length),
    }
}

fn text(bytes: &mut VecDeque<u8>, length: usize) -> Option<Value> {
    let text = (0..length).map(|_| bytes.pop_front()).collect::<Option<Vec<u8>>>()?;
    String::from_utf8(text).ok().map(Value::String)
}

fn list(bytes: &mut VecDeque<u8>, length: usize) -> Option<Value> {
    (0..length).map(|_| value(bytes)).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn map(bytes: &mut VecDeque<u8>, length: usize) -> Option<Value> {
    let mut map = Map::new();
    for _ in 0..length {
        let Value::String(key) = value(bytes)? else { return None };
        map.insert(key, value(bytes)?);
    }
    Some(Value::Object(map))
}

fn next<const COUNT: usize>(bytes: &mut VecDeque<u8>) -> Option<[u8; COUNT]> {
    let mut taken = [0; COUNT];
    for byte in &mut taken {
        *byte = bytes.pop_front()?;
    }
    Some(taken)
}
