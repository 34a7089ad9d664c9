//! The words and signs that SQL is made of.

use super::wire::Complaint;

/// The smallest part of a text that means something.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a key word, in lower case.
    Word(String),
    /// A name in double quotes, as it is.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// `$1`
    Param(usize),
    /// Any other letter.
    Sign(char),
    /// `::`
    Cast,
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    /// As it was written.
    pub(super) raw: String,
    /// In characters from 1.
    pub(super) at: usize,
}

/// All tokens of a text, without blanks and comments.
///
/// # Errors
/// 42601 where a quote is not closed.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Complaint> {
    let letters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at) {
        let next = letters.get(at + 1).copied();
        let start = at;
        let token = match (*letter, next) {
            (letter, _) if letter.is_whitespace() => {
                at += 1;
                continue;
            }
            ('-', Some('-')) => {
                at = run(&letters, at, |letter| letter != '\n');
                continue;
            }
            ('\'', _) => Token::Text(quoted(&letters, &mut at, "string")?),
            ('"', _) => Token::Quoted(quoted(&letters, &mut at, "identifier")?),
            (':', Some(':')) => {
                at += 2;
                Token::Cast
            }
            ('$', Some('1'..='9')) => {
                at = run(&letters, at + 1, |letter| letter.is_ascii_digit());
                Token::Param(collect(&letters[start + 1..at]).parse().unwrap_or(0))
            }
            ('0'..='9', _) => {
                at = run(&letters, at, |letter| letter.is_ascii_digit() || letter == '.');
                Token::Number(collect(&letters[start..at]))
            }
            (letter, _) if letter.is_alphabetic() || letter == '_' => {
                at = run(&letters, at, |letter| letter.is_alphanumeric() || letter == '_' || letter == '$');
                Token::Word(collect(&letters[start..at]).to_lowercase())
            }
            (letter, _) => {
                at += 1;
                Token::Sign(letter)
            }
        };
        found.push(Placed { token, raw: collect(&letters[start..at]), at: start + 1 });
    }
    Ok(found)
}

fn collect(letters: &[char]) -> String {
    letters.iter().collect()
}

fn run(letters: &[char], from: usize, goes_on: impl Fn(char) -> bool) -> usize {
    letters[from..].iter().position(|letter| !goes_on(*letter)).map_or(letters.len(), |length| from + length)
}

/// What stands between quotes, where a doubled one stands for one.
fn quoted(letters: &[char], at: &mut usize, what: &str) -> Result<String, Complaint> {
    let (start, quote) = (*at, letters[*at]);
    let mut inside = String::new();
    loop {
        *at += 1;
        match (letters.get(*at), letters.get(*at + 1)) {
            (Some(one), Some(two)) if *one == quote && *two == quote => {
                inside.push(quote);
                *at += 1;
            }
            (Some(one), _) if *one == quote => {
                *at += 1;
                return Ok(inside);
            }
            (Some(other), _) => inside.push(*other),
            (None, _) => {
                let raw = collect(&letters[start..]);
                let words = format!("unterminated quoted {what} at or near \"{raw}\"");
                return Err(Complaint::new("42601", words).at(start + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_words_signs_and_places() {
        let found = tokens("Select \"A\"::int, -1.5 -- x\n= $12;").unwrap();
        let read: Vec<Token> = found.iter().map(|placed| placed.token.clone()).collect();
        let word = |text: &str| Token::Word(text.to_owned());
        let (name, number) = (Token::Quoted("A".to_owned()), Token::Number("1.5".to_owned()));
        let sign = Token::Sign;
        let all = [
            word("select"),
            name,
            Token::Cast,
            word("int"),
            sign(','),
            sign('-'),
            number,
            sign('='),
            Token::Param(12),
            sign(';'),
        ];
        assert_eq!(read, all);
        assert_eq!((found[1].at, found[1].raw.as_str()), (8, "\"A\""));
    }
}
