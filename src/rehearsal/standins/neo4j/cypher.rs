//! As much of Cypher as makes a node, finds it by its properties and deletes it.

use serde_json::{Map, Value};

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// A number, under a name.
    Number { name: String, number: i64 },
    /// `CREATE (n:Label {…})`, with a property that is returned.
    Create { node: Pattern, returned: Option<Returned> },
    /// `MATCH (n:Label {…}) RETURN n.property`, no more than so many.
    Find { node: Pattern, returned: Returned, most: usize },
    /// `MATCH (n:Label {…}) DETACH DELETE n`.
    Delete { node: Pattern },
}

impl Statement {
    /// Whether it may change something.
    pub(super) const fn writes(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Delete { .. })
    }
}

/// A node as it is made or looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pattern {
    pub(super) label: Option<String>,
    pub(super) properties: Map<String, Value>,
}

/// A property of a node, and what its column is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Returned {
    pub(super) property: String,
    pub(super) column: String,
}

/// Why a statement is not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Up to this word it is Cypher, and from there it is not, or is none that is known here.
    Invalid(String),
    /// A parameter is not given.
    Missing(String),
}

/// Reads a statement with these parameters.
pub(super) fn read(text: &str, parameters: &Map<String, Value>) -> Result<Statement, Unread> {
    let words = words(text);
    let mut reader = Reader { words: &words, parameters };
    let statement = match reader.next() {
        word if is(word, "RETURN") => reader.number()?,
        word if is(word, "CREATE") => {
            let (variable, node) = reader.node()?;
            let returned = if reader.is_at_end() { None } else { Some(reader.returned(&variable)?) };
            Statement::Create { node, returned }
        }
        word if is(word, "MATCH") => reader.found()?,
        word => return Err(Unread::Invalid(word.to_owned())),
    };
    if reader.is_at_end() { Ok(statement) } else { Err(Unread::Invalid(reader.next().to_owned())) }
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// Names, numbers and `$parameters`; every other character is a word of its own.
fn words(text: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match is_name(first) {
            true => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

struct Reader<'t> {
    words: &'t [&'t str],
    parameters: &'t Map<String, Value>,
}

impl<'t> Reader<'t> {
    /// The next word; an empty one at the end.
    fn next(&mut self) -> &'t str {
        let Some((first, rest)) = self.words.split_first() else { return "" };
        self.words = rest;
        first
    }

    fn is_at_end(&self) -> bool {
        self.words.is_empty()
    }

    /// Passes a word, if it is the next.
    fn passes(&mut self, word: &str) -> bool {
        let is_next = self.words.first().is_some_and(|next| is(next, word));
        if is_next {
            self.next();
        }
        is_next
    }

    fn expect(&mut self, word: &str) -> Result<(), Unread> {
        if self.passes(word) { Ok(()) } else { Err(Unread::Invalid(self.next().to_owned())) }
    }

    fn name(&mut self) -> Result<&'t str, Unread> {
        let word = self.next();
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_name { Ok(word) } else { Err(Unread::Invalid(word.to_owned())) }
    }

    fn number(&mut self) -> Result<Statement, Unread> {
        let word = self.next();
        let number = word.parse().map_err(|_| Unread::Invalid(word.to_owned()))?;
        let name = if self.passes("AS") { self.name()? } else { word };
        Ok(Statement::Number { name: name.to_owned(), number })
    }

    fn found(&mut self) -> Result<Statement, Unread> {
        let (variable, node) = self.node()?;
        if self.passes("DETACH") {
            self.expect("DELETE")?;
            self.expect(&variable)?;
            return Ok(Statement::Delete { node });
        }
        let returned = self.returned(&variable)?;
        let most = match self.passes("LIMIT") {
            true => {
                let word = self.next();
                word.parse().map_err(|_| Unread::Invalid(word.to_owned()))?
            }
            false => usize::MAX,
        };
        Ok(Statement::Find { node, returned, most })
    }

    /// `(n:Label {key: $parameter})`, and what it is called.
    fn node(&mut self) -> Result<(String, Pattern), Unread> {
        self.expect("(")?;
        let variable = self.name()?.to_owned();
        let mut node = Pattern::default();
        if self.passes(":") {
            node.label = Some(self.name()?.to_owned());
        }
        if self.passes("{") {
            while !self.passes("}") {
                let key = self.name()?.to_owned();
                self.expect(":")?;
                let word = self.next();
                let Some(parameter) = word.strip_prefix('$') else { return Err(Unread::Invalid(word.to_owned())) };
                let value = self.parameters.get(parameter).ok_or_else(|| Unread::Missing(parameter.to_owned()))?;
                node.properties.insert(key, value.clone());
                self.passes(",");
            }
        }
        self.expect(")")?;
        Ok((variable, node))
    }

    fn returned(&mut self, variable: &str) -> Result<Returned, Unread> {
        self.expect("RETURN")?;
        self.expect(variable)?;
        self.expect(".")?;
        let property = self.name()?.to_owned();
        Ok(Returned { column: format!("{variable}.{property}"), property })
    }
}
