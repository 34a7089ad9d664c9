//! A file's text as a tree in which every node knows its place.
//!
//! - Never: meaning. What the keys say is read from the tree afterwards, so that one wrong value hides no other.
//! - Why a tree of our own: a typed parser stops at the first value it cannot use.
//!
//! The only file outside tests that names the YAML parser.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Spanned};

use super::mistake::{Finding, Ledger};
use super::source::{Place, Sources, Text};

/// One value, list or mapping of a file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
    range: Range<usize>,
}

/// What a node is, before anybody knows what it should be.
#[derive(Debug)]
pub(super) enum Kind {
    Nothing,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// The tree of a file. `None` where its text is no YAML, which is then in the ledger.
pub(super) fn parse(sources: &mut Sources, file: usize, ledger: &mut Ledger) -> Option<Node> {
    let options = serde_saphyr::options! {
        // The tree reports each repetition itself, and reads on.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
        // A suite has a few hundred nodes, twelve deep; an alias is a convenience and never a multiplier.
        budget: serde_saphyr::budget! { max_nodes: 20_000, max_aliases: 100, max_depth: 24 },
    };
    let text = sources.text(file).text.as_str();
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(root) if matches!(root.kind, Kind::Nothing) => {
            let finding = Finding::new("this file says nothing").remedy("start it with `version: 1`");
            let place = sources.spot(file, 0..0, None, None);
            ledger.note(place, finding);
            None
        }
        Ok(mut root) => {
            let whole = root.first_word();
            Settling { sources, ledger, file }.settle(&mut root, whole, None, None);
            Some(root)
        }
        Err(error) => {
            let end = text.len()..text.len();
            let range =
                error.location().map_or(end, |at| range_of(at).unwrap_or_else(|| point_of(at, sources.text(file))));
            let range = if is_about_a_tab(&error.to_string()) { on_the_tab(text, range) } else { range };
            let place = sources.spot(file, range, None, None);
            ledger.note(place, unreadable(error.without_snippet()));
            None
        }
    }
}

/// The parser's words, without the location that the caret shows.
fn unreadable(error: &Error) -> Finding {
    let message = error.to_string();
    let message = message.lines().next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.split(" at line ").next().unwrap_or(message);
    // Only what the parser says in words of its own interface is said again in the author's.
    #[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, which may grow")]
    match error {
        Error::MergeKeyNotAllowed { .. } => {
            Finding::new("merge keys are not read").remedy("write out the entries that `<<` would bring")
        }
        Error::MultipleDocuments { .. } => Finding::new("a second document begins here")
            .remedy("one file is one suite: remove the `---`, or split the file"),
        _ if is_about_a_tab(message) => Finding::new("a tab stands here, where YAML wants spaces")
            .remedy("indent with spaces; the file is read no further than this"),
        // Inside an alias the breach arrives as text.
        _ if message.contains("budget breached") || message.contains("alias") && message.contains("limit") => {
            Finding::new("this is larger, deeper or more repetitive than a suite can be")
                .remedy("write it out flat, without anchors")
        }
        _ => Finding::new(format!("this is not YAML that can be read: {message}"))
            .remedy("the file is read no further than this; there may be more to find after it"),
    }
}

/// Gives every node its place once the whole tree is there.
struct Settling<'a> {
    sources: &'a mut Sources,
    ledger: &'a mut Ledger,
    file: usize,
}

impl Settling<'_> {
    /// A mapping or list is shown by the key it stands under: that is where the author looks for it.
    fn settle(&mut self, node: &mut Node, shown: Range<usize>, parent: Option<Place>, key: Option<&str>) {
        node.place = self.sources.spot(self.file, shown, parent, key);
        let place = node.place;
        match &mut node.kind {
            Kind::List(items) => {
                for item in items {
                    let shown = item.first_word();
                    self.settle(item, shown, Some(place), None);
                }
            }
            Kind::Map(entries) => self.settle_entries(entries, place),
            Kind::Nothing | Kind::Bool(_) | Kind::Unsigned(_) | Kind::Signed(_) | Kind::Fraction(_) | Kind::Text(_) => {
            }
        }
    }

    fn settle_entries(&mut self, entries: &mut Vec<(Node, Node)>, place: Place) {
        let mut seen: HashMap<String, Place> = HashMap::new();
        entries.retain_mut(|(key, value)| {
            let at = key.first_word();
            self.settle(key, at.clone(), Some(place), None);
            let word = key.word().map(str::to_owned);
            if let Some((word, first)) = word.as_ref().and_then(|word| seen.get_key_value(word)) {
                let places = vec![(key.place, "again here".to_owned()), (*first, "first here".to_owned())];
                self.ledger
                    .note_all(places, Finding::new(format!("`{word}` is written twice")).remedy("keep one of them"));
                return false;
            }
            let shown = if value.is_shown_itself() { value.first_word() } else { at };
            self.settle(value, shown, Some(place), word.as_deref());
            seen.extend(word.map(|word| (word, key.place)));
            true
        });
    }
}

impl Node {
    /// The text of a key.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Nothing
            | Kind::Bool(_)
            | Kind::Unsigned(_)
            | Kind::Signed(_)
            | Kind::Fraction(_)
            | Kind::List(_)
            | Kind::Map(_) => None,
        }
    }

    fn is_shown_itself(&self) -> bool {
        !matches!(self.kind, Kind::Nothing | Kind::List(_) | Kind::Map(_))
    }

    /// What is underlined for this node: its text, or the first key of a mapping.
    fn first_word(&self) -> Range<usize> {
        match &self.kind {
            Kind::Map(entries) => entries.first().map_or(self.range.clone(), |(key, _)| key.first_word()),
            Kind::Nothing
            | Kind::Bool(_)
            | Kind::Unsigned(_)
            | Kind::Signed(_)
            | Kind::Fraction(_)
            | Kind::Text(_)
            | Kind::List(_) => self.range.clone(),
        }
    }
}

/// Where a location without bytes begins.
fn point_of(at: Location, text: &Text) -> Range<usize> {
    let start = text.byte(at.line(), at.column());
    start..start
}

fn is_about_a_tab(message: &str) -> bool {
    message.contains("tabs disallowed") || message.contains("found a tab")
}

/// The parser points behind the tab that it does not allow, or to the beginning of the value that the tab ends; shown is
/// the tab.
fn on_the_tab(text: &str, range: Range<usize>) -> Range<usize> {
    let (before, after) = text.split_at(text.floor_char_boundary(range.start));
    let indentation = &before[before.trim_end_matches([' ', '\t']).len()..];
    match (indentation.find('\t'), after.find('\t')) {
        (Some(tab), _) => before.len() - indentation.len() + tab..before.len(),
        (None, Some(tab)) => before.len() + tab..before.len() + tab + 1,
        (None, None) => range,
    }
}

/// The bytes of a location.
fn range_of(at: Location) -> Option<Range<usize>> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    Some(start..start.saturating_add(length))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: kind, referenced, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { place: Place(0), kind, range: range_of(referenced).unwrap_or_default() })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Kind::Map(map))
    }
}
