//! A number with its noun, so that no text says `1 checks` or `image(s)`.

/// `1 check`, `3 checks`: the noun in its singular, of those that take an `s`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_not() {
        assert_eq!([0, 1, 2].map(|number| count(number, "check")), ["0 checks", "1 check", "2 checks"]);
    }
}
