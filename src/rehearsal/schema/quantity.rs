//! Amounts such as `500m` and `1Gi`, in the one form in which Kubernetes gives them back
//! (`k8s.io/apimachinery/pkg/api/resource`): `0.5` is `500m`, `1024Mi` is `1Gi`, `1000m` is `1`.

use std::fmt;

use serde_json::Value;

/// What an amount that cannot be read is answered with.
pub(super) const MUST_MATCH: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// The units of an amount are these thousandths of a thousandth of a thousandth.
const NANO: i128 = 1_000_000_000;

/// The suffixes of powers of ten, and the powers.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// The suffixes of powers of 1024, from the first.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// An amount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    nano: i128,
    form: Form,
}

impl Amount {
    /// None at all.
    pub(crate) const ZERO: Self = Self { nano: 0, form: Form::Decimal };

    /// So many.
    pub(crate) fn count(number: usize) -> Self {
        Self { nano: i128::try_from(number).map_or(i128::MAX, |number| number * NANO), form: Form::Decimal }
    }

    /// Reads an amount, a text or a number. None if it is no amount.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let (nano, form) = match value {
            Value::String(text) => parse(text)?,
            Value::Number(number) => parse(&number.to_string())?,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Self { nano, form })
    }

    /// Both together, written as the first of them that is not nothing.
    pub(crate) const fn and(self, other: Self) -> Self {
        let form = if self.nano == 0 { other.form } else { self.form };
        Self { nano: self.nano.saturating_add(other.nano), form }
    }

    /// Whether this is more than the other.
    pub(crate) const fn exceeds(self, other: Self) -> bool {
        self.nano > other.nano
    }
}

/// In the one form in which Kubernetes writes it.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self.nano, self.form))
    }
}

/// In which family an amount was written, and is written back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// `k`, `M`, …
    Decimal,
    /// `Ki`, `Mi`, …
    Binary,
    /// `e3`, …
    Exponent,
}

/// Brings an amount into its one form; what is none stays as it is.
pub(super) fn normalise(value: &mut Value) {
    if let Some(text) = canonical(value) {
        *value = Value::String(text);
    }
}

/// The one form of an amount, a text or a number. None if it is no amount.
pub(super) fn canonical(value: &Value) -> Option<String> {
    Amount::read(value).map(|amount| amount.to_string())
}

/// Whether one amount is more than another; what is no amount is not.
pub(super) fn exceeds(one: &Value, other: &Value) -> bool {
    matches!((Amount::read(one), Amount::read(other)), (Some(one), Some(other)) if one.exceeds(other))
}

/// Reads an amount, in billionths, rounded away from zero. None if it is none, or too large for any use.
fn parse(text: &str) -> Option<(i128, Form)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + part.len() == 0 || part.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let decimals = i32::try_from(part.len()).ok()?;
    let (nano, form) = if let Some(power) = BINARY.iter().position(|binary| *binary == suffix) {
        let factor = 1_i128 << (10 * (power + 1));
        (scale(digits.checked_mul(factor)?, 9 - decimals)?, Form::Binary)
    } else if let Some((_, power)) = DECIMAL.iter().find(|(decimal, _)| *decimal == suffix) {
        (scale(digits, power + 9 - decimals)?, Form::Decimal)
    } else {
        let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        (scale(digits, power + 9 - decimals)?, Form::Exponent)
    };
    Some((if text.starts_with('-') { -nano } else { nano }, form))
}

/// A number times a power of ten, rounded up.
fn scale(number: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 { number.checked_mul(factor) } else { Some(number / factor + i128::from(number % factor != 0)) }
}

/// Writes an amount.
fn print(nano: i128, form: Form) -> String {
    if nano == 0 {
        return "0".to_owned();
    }
    if form == Form::Binary && nano.abs() >= 1024 * NANO {
        let mut number = nano / NANO + i128::from(nano % NANO != 0);
        let mut power = 0;
        while number % 1024 == 0 && power < BINARY.len() {
            number /= 1024;
            power += 1;
        }
        let suffix = power.checked_sub(1).map_or("", |power| BINARY[power]);
        return format!("{number}{suffix}");
    }
    let fits = |power: i32| scale(1, power + 9).is_some_and(|unit| nano % unit == 0);
    let (suffix, power) = DECIMAL.iter().rev().find(|(_, power)| fits(*power)).copied().unwrap_or(("n", -9));
    let number = nano / scale(1, power + 9).unwrap_or(1);
    match form {
        Form::Exponent if power != 0 => format!("{number}e{power}"),
        Form::Exponent | Form::Decimal | Form::Binary => format!("{number}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_form() {
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("1.5Gi", "1536Mi"),
            ("100", "100"),
            ("2000", "2k"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("-1500m", "-1500m"),
            ("100M", "100M"),
            ("1.25", "1250m"),
            ("10e6", "10e6"),
            ("1Ei", "1Ei"),
        ];
        for (written, given_back) in cases {
            assert_eq!(canonical(&Value::from(written)).as_deref(), Some(given_back), "{written}");
        }
        assert_eq!(canonical(&Value::from(2)).as_deref(), Some("2"));
    }

    #[test]
    fn a_sum_is_written_as_the_first_that_is_not_nothing() {
        let read = |text: &str| Amount::read(&Value::from(text)).unwrap();
        assert_eq!(Amount::ZERO.and(read("512Mi")).and(read("1.5Gi")).to_string(), "2Gi");
        assert_eq!(read("250m").and(read("1")).to_string(), "1250m");
        assert!(read("1001m").exceeds(Amount::count(1)) && !read("1").exceeds(Amount::count(1)));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["", "abc", "1.2.3", "1Xi", "1 Gi", "Gi"] {
            assert_eq!(canonical(&Value::from(text)), None, "{text}");
        }
    }
}
