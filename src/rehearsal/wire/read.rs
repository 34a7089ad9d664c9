//! The fields of a message, one after the other (<https://protobuf.dev/programming-guides/encoding/>).

use super::WireError;

/// A field's content as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape<'a> {
    /// A whole number.
    Number(i64),
    /// A number of eight bytes.
    Double(f64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// Reads a message from its beginning.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field with its number; none at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Shape<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let shape = match tag & 7 {
            0 => Shape::Number(self.number()?.cast_signed()),
            1 => {
                let bytes = self.take(8)?;
                Shape::Double(f64::from_le_bytes(bytes.try_into().map_err(|_| WireError::Malformed)?))
            }
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| WireError::Malformed)?;
                Shape::Bytes(self.take(length)?)
            }
            5 => {
                let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| WireError::Malformed)?;
                Shape::Number(i64::from(i32::from_le_bytes(bytes)))
            }
            _ => return Err(WireError::Malformed),
        };
        Ok(Some((tag >> 3, shape)))
    }

    fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for at in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << (at * 7);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}
