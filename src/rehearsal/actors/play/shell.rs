//! The part of the shell's grammar that containers' scripts are written in.
//!
//! What is not understood is left out rather than refused: a script is played, not checked.

/// A part of a word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// As it stands.
    Text(String),
    /// `$name`, `${name}`, `${name:-default}`; in quotes, if `true`, it is one word whatever it holds.
    Variable {
        /// Its name.
        name: String,
        /// What stands for it where it is empty.
        default: Option<String>,
        /// Whether it stands in quotes.
        quoted: bool,
    },
    /// `$(…)`.
    Output {
        /// The script in it.
        script: String,
        /// Whether it stands in quotes.
        quoted: bool,
    },
    /// `$((…))`.
    Sum(String),
}

/// A word.
pub(super) type Word = Vec<Part>;

/// Where something is written to or read from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Redirect {
    /// `<`, `>` or `>>`.
    pub(super) way: Way,
    /// Of the error output alone.
    pub(super) errors: bool,
    /// The file.
    pub(super) file: Word,
}

/// The direction of a redirection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `<`
    From,
    /// `>`
    To,
    /// `>>`
    Append,
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Words, with assignments among them, and redirections.
    Simple(Vec<Word>, Vec<Redirect>),
    /// `if … then … [elif …] [else …] fi`: conditions with what follows from them, and the rest.
    If(Vec<(Script, Script)>, Script),
    /// `while` (or, if `true`, `until`) … `do` … `done`.
    While(bool, Script, Script),
    /// `for name in words; do … done`.
    For(String, Vec<Word>, Script),
    /// `{ … }` or `( … )`.
    Group(Script),
    /// Commands whose output is the next one's input.
    Pipe(Vec<Command>),
    /// `! command`.
    Not(Box<Command>),
}

/// What ties a command to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// Nothing.
    Always,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands one after the other; with each, whether it runs in the background.
pub(super) type Script = Vec<(Tie, Command, bool)>;

/// A token.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Word),
    /// `;`, a line's end, `&`, `&&`, `||`, `|`, `(`, `)`
    Sign(&'static str),
    Redirect(Way, bool),
}

/// Reads a script.
pub(super) fn parse(text: &str) -> Script {
    let tokens = Lexer { rest: text, tokens: Vec::new() }.run();
    let mut parser = Parser { tokens, at: 0 };
    let mut script = Vec::new();
    // A word that closes nothing is stepped over.
    while parser.at < parser.tokens.len() {
        script.extend(parser.script(&[]));
        parser.at += 1;
    }
    script
}

struct Lexer<'t> {
    rest: &'t str,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(mut self) -> Vec<Token> {
        const SIGNS: [&str; 9] = ["&&", "||", ";;", ";", "&", "|", "(", ")", "\n"];
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            if self.rest.is_empty() {
                return self.tokens;
            }
            if let Some(rest) = self.rest.strip_prefix("\\\n") {
                self.rest = rest;
            } else if self.rest.starts_with('#') {
                self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
            } else if self.redirect() {
            } else if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
                self.rest = &self.rest[sign.len()..];
                self.tokens.push(Token::Sign(if *sign == "\n" || *sign == ";;" { ";" } else { sign }));
            } else {
                let word = self.word();
                self.tokens.push(Token::Word(word));
            }
        }
    }

    /// Reads a redirection; those of one output into the other are left out.
    fn redirect(&mut self) -> bool {
        for (sign, way, errors) in [
            ("2>>", Way::Append, true),
            ("2>", Way::To, true),
            ("1>", Way::To, false),
            ("&>", Way::To, false),
            (">>", Way::Append, false),
            (">", Way::To, false),
            ("<", Way::From, false),
        ] {
            let Some(rest) = self.rest.strip_prefix(sign) else { continue };
            if let Some(digit) = rest.strip_prefix('&') {
                self.rest = digit.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
                return true;
            }
            self.rest = rest;
            self.tokens.push(Token::Redirect(way, errors));
            return true;
        }
        false
    }

    fn word(&mut self) -> Word {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut quoted_nothing = false;
        while let Some(first) = self.rest.chars().next() {
            match first {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => {
                    let inner = &self.rest[1..];
                    let end = inner.find('\'').unwrap_or(inner.len());
                    text.push_str(&inner[..end]);
                    quoted_nothing = true;
                    self.rest = inner.get(end + 1..).unwrap_or("");
                }
                '"' => {
                    self.rest = &self.rest[1..];
                    quoted_nothing = true;
                    self.quoted(&mut text, &mut parts);
                }
                '\\' => {
                    let mut letters = self.rest.chars();
                    letters.next();
                    text.extend(letters.next().filter(|letter| *letter != '\n'));
                    self.rest = letters.as_str();
                }
                '$' | '`' => self.dollar(&mut text, &mut parts, false),
                other => {
                    text.push(other);
                    self.rest = &self.rest[other.len_utf8()..];
                }
            }
        }
        if !text.is_empty() || (parts.is_empty() && quoted_nothing) {
            parts.push(Part::Text(text));
        }
        parts
    }

    /// What stands between double quotes.
    fn quoted(&mut self, text: &mut String, parts: &mut Word) {
        while let Some(first) = self.rest.chars().next() {
            match first {
                '"' => {
                    self.rest = &self.rest[1..];
                    return;
                }
                '\\' => {
                    let mut letters = self.rest[1..].chars();
                    match letters.next() {
                        Some(letter @ ('"' | '\\' | '$' | '`')) => text.push(letter),
                        Some('\n') | None => {}
                        Some(letter) => text.extend(['\\', letter]),
                    }
                    self.rest = letters.as_str();
                }
                '$' | '`' => self.dollar(text, parts, true),
                other => {
                    text.push(other);
                    self.rest = &self.rest[other.len_utf8()..];
                }
            }
        }
    }

    /// What begins with `$` or is between backquotes.
    fn dollar(&mut self, text: &mut String, parts: &mut Word, quoted: bool) {
        let rest = self.rest;
        let (part, length) = if let Some(inner) = rest.strip_prefix('`') {
            let end = inner.find('`').unwrap_or(inner.len());
            (Part::Output { script: inner[..end].to_owned(), quoted }, end + 2)
        } else if rest.starts_with("$((") {
            let end = rest.find("))").unwrap_or(rest.len());
            (Part::Sum(rest.get(3..end).unwrap_or("").to_owned()), end + 2)
        } else if rest.starts_with("$(") {
            let end = closing(rest);
            (Part::Output { script: rest.get(2..end).unwrap_or("").to_owned(), quoted }, end + 1)
        } else if let Some(inner) = rest.strip_prefix("${") {
            let end = inner.find('}').unwrap_or(inner.len());
            let (name, default) = match inner[..end].split_once(":-").or_else(|| inner[..end].split_once('-')) {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (inner[..end].split(['%', '#', ':', '/']).next().unwrap_or(""), None),
            };
            (Part::Variable { name: name.to_owned(), default, quoted }, end + 3)
        } else {
            let inner = &rest[1..];
            let special = inner.starts_with(['?', '@', '#', '*', '$', '!']);
            let is_name = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
            let end = if special { 1 } else { inner.find(|letter| !is_name(letter)).unwrap_or(inner.len()) };
            if end == 0 {
                text.push('$');
                self.rest = inner;
                return;
            }
            (Part::Variable { name: inner[..end].to_owned(), default: None, quoted }, end + 1)
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(text)));
        }
        parts.push(part);
        self.rest = rest.get(length..).unwrap_or("");
    }
}

/// Where the parenthesis of a `$(` is closed.
fn closing(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    text.len()
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    /// The present token, where it is a plain word or a sign.
    fn plain(&self) -> Option<&str> {
        match self.tokens.get(self.at)? {
            Token::Sign(sign) => Some(sign),
            Token::Word(word) => match word.as_slice() {
                [Part::Text(text)] => Some(text),
                _ => None,
            },
            Token::Redirect(..) => None,
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.plain() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Commands up to one of these words, or to a closing word that belongs to somebody else.
    fn script(&mut self, until: &[&str]) -> Script {
        const CLOSING: [&str; 9] = ["then", "elif", "else", "fi", "do", "done", "}", ")", "esac"];
        let mut script = Vec::new();
        let mut tie = Tie::Always;
        loop {
            while self.take(";") {}
            match self.plain() {
                None if self.at >= self.tokens.len() => return script,
                Some(word) if until.contains(&word) || CLOSING.contains(&word) => return script,
                Some(_) | None => {}
            }
            let before = self.at;
            let command = self.pipe();
            if self.at == before {
                self.at += 1;
                continue;
            }
            let background = self.take("&");
            script.push((tie, command, background));
            tie = match self.plain() {
                Some("&&") => Tie::And,
                Some("||") => Tie::Or,
                Some(_) | None => Tie::Always,
            };
            if tie != Tie::Always {
                self.at += 1;
            }
        }
    }

    fn pipe(&mut self) -> Command {
        if self.take("!") {
            return Command::Not(Box::new(self.pipe()));
        }
        let mut commands = vec![self.command()];
        while self.take("|") {
            while self.take(";") {}
            commands.push(self.command());
        }
        match commands.len() {
            1 => commands.remove(0),
            _ => Command::Pipe(commands),
        }
    }

    fn command(&mut self) -> Command {
        if self.take("if") {
            return self.branches();
        }
        for (word, until) in [("while", false), ("until", true)] {
            if self.take(word) {
                let condition = self.script(&["do"]);
                return Command::While(until, condition, self.body());
            }
        }
        if self.take("for") {
            let name = self.plain().unwrap_or_default().to_owned();
            self.at += 1;
            let mut words = Vec::new();
            if self.take("in") {
                while let Some(Token::Word(word)) = self.tokens.get(self.at) {
                    words.push(word.clone());
                    self.at += 1;
                }
            }
            while self.take(";") {}
            return Command::For(name, words, self.body());
        }
        for (open, close) in [("{", "}"), ("(", ")")] {
            if self.take(open) {
                let script = self.script(&[close]);
                self.take(close);
                return Command::Group(script);
            }
        }
        self.simple()
    }

    /// `do … done`.
    fn body(&mut self) -> Script {
        self.take("do");
        let body = self.script(&["done"]);
        self.take("done");
        body
    }

    fn branches(&mut self) -> Command {
        let mut branches = Vec::new();
        loop {
            let condition = self.script(&["then"]);
            self.take("then");
            branches.push((condition, self.script(&["elif", "else", "fi"])));
            if !self.take("elif") {
                break;
            }
        }
        let rest = if self.take("else") { self.script(&["fi"]) } else { Vec::new() };
        self.take("fi");
        Command::If(branches, rest)
    }

    fn simple(&mut self) -> Command {
        let (mut words, mut redirects) = (Vec::new(), Vec::new());
        loop {
            match self.tokens.get(self.at) {
                Some(Token::Word(word)) => words.push(word.clone()),
                Some(Token::Redirect(way, errors)) => {
                    let Some(Token::Word(file)) = self.tokens.get(self.at + 1) else { break };
                    redirects.push(Redirect { way: *way, errors: *errors, file: file.clone() });
                    self.at += 1;
                }
                Some(Token::Sign(_)) | None => break,
            }
            self.at += 1;
        }
        Command::Simple(words, redirects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &str) -> Word {
        vec![Part::Text(word.to_owned())]
    }

    #[test]
    fn words_are_split_and_quotes_taken_off() {
        let script = parse("echo 'a b' \"c\\\"d\" e\\ f # not this");
        assert_eq!(
            script,
            vec![(
                Tie::Always,
                Command::Simple(vec![text("echo"), text("a b"), text("c\"d"), text("e f")], Vec::new()),
                false
            )]
        );
    }

    #[test]
    fn ties_and_background_are_kept() {
        let ties: Vec<_> = parse("a && b || c; d &\n e").into_iter().map(|(tie, _, back)| (tie, back)).collect();
        let expected =
            [(Tie::Always, false), (Tie::And, false), (Tie::Or, false), (Tie::Always, true), (Tie::Always, false)];
        assert_eq!(ties, expected);
    }

    #[test]
    fn nonsense_is_read_without_an_end_in_sight() {
        for text in ["if", "fi fi", "( ( (", "while do done }", "$(", "${", "\"", "for", "a | | b", "))", "echo >", "`"]
        {
            drop(parse(text));
        }
    }
}
