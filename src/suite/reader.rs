//! A forgiving reader: from a tree to a typed document, past everything that is wrong.
//!
//! - Purpose: `serde` stops at the first error. This reader notes it, takes the wrong node away, and reads the
//!   enclosing [`Field`] again, until it can be understood or nothing of it is left.
//! - Never: a mistake that only follows from another. What a removed node leaves behind is silent.
//! - Why in a deserializer: claims stay plain `serde` types that know nothing of places.

use std::cell::RefCell;
use std::collections::HashSet;
use std::slice::Iter;

use serde::de::value::U32Deserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::field::{ENTRIES, FIELD, Field};
use super::mistake::{Finding, Ledger, MOST, listed};
use super::source::Place;
use super::stop::{Cause, Stop};
use super::tree::{Kind, Node};

/// Understands a file's tree as a document. What is wrong with it is in the ledger.
pub(super) fn read<'de, T: Deserialize<'de>>(root: &'de Node, ledger: &mut Ledger) -> Field<T> {
    let session = RefCell::new(Session { ledger, removed: HashSet::new(), given_up: HashSet::new(), noted: 0 });
    Field::deserialize(Reader { node: root, session: &session }).unwrap_or(Field::Broken)
}

/// What has become known of a file while it is read.
struct Session<'s> {
    ledger: &'s mut Ledger,
    /// Nodes that are read past as if they were not there.
    removed: HashSet<Place>,
    /// Fields of which nothing could be understood.
    given_up: HashSet<Place>,
    noted: usize,
}

impl Session<'_> {
    /// Notes why an attempt at the field `field` ended, and takes away what was wrong with it.
    fn take_away(&mut self, stop: Stop, field: Place) {
        let place = stop.place.unwrap_or(field);
        match stop.cause {
            Cause::Finding(finding) => self.note(place, finding),
            Cause::Missing(key) => self.note(place, Finding::missing(key).remedy(format!("add `{key}: …`"))),
            Cause::Consequence => {}
        }
        // A node that is already gone cannot be what ends another attempt; going on would not end.
        if place == field || self.noted > MOST || !self.removed.insert(place) {
            self.given_up.insert(field);
        }
    }

    fn note(&mut self, place: Place, finding: Finding) {
        self.noted += 1;
        if self.noted <= MOST {
            self.ledger.note(place, finding);
        } else if self.noted == MOST + 1 {
            let more = Finding::new(format!("this file has more than {MOST} mistakes"));
            self.ledger.note(place, more.remedy("correct those shown first; is it a suite at all?"));
        }
    }
}

/// One node, about to be understood.
#[derive(Clone, Copy)]
struct Reader<'de, 's> {
    node: &'de Node,
    session: &'s RefCell<Session<'s>>,
}

impl<'de, 's> Reader<'de, 's> {
    fn of(self, node: &'de Node) -> Self {
        Self { node, session: self.session }
    }

    fn is_removed(self, node: &Node) -> bool {
        self.session.borrow().removed.contains(&node.place)
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.kind {
            Kind::Nothing => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Unsigned(number) => visitor.visit_u64(*number),
            Kind::Signed(number) => visitor.visit_i64(*number),
            Kind::Fraction(number) => visitor.visit_f64(*number),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { list: self, left: items.iter() }),
            Kind::Map(entries) => visitor
                .visit_map(Pairs { map: self, left: entries.iter(), value: None })
                .map_err(|stop| self.unless_removed(entries, stop)),
        }
    }

    /// Takes unknown keys away, all at once; `serde` would stop at each.
    fn refuse_unknown(self, entries: &[(Node, Node)], known: &'static [&'static str]) {
        let left = entries.iter().map(|(key, _)| key).filter(|key| !self.is_removed(key));
        let unknown = left.filter_map(|key| Some((key, key.word().filter(|word| !known.contains(word))?)));
        for (key, word) in unknown.take(MOST + 1) {
            let stop = Stop::unknown_field(word, known).at(key.place);
            self.session.borrow_mut().take_away(stop, self.node.place);
        }
    }

    /// A key that is missing because it was taken away is no mistake of its own.
    fn unless_removed(self, entries: &[(Node, Node)], mut stop: Stop) -> Stop {
        if let (None, Cause::Missing(key)) = (stop.place, &stop.cause) {
            let was_there = entries.iter().any(|(name, _)| name.word() == Some(key));
            stop.cause = if was_there { Cause::Consequence } else { stop.cause };
        }
        stop
    }
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.is_removed(self.node) {
            return Err(Stop::consequence(self.node.place));
        }
        self.visit(visitor).map_err(|stop| stop.at(self.node.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.node.kind {
            Kind::Nothing => visitor.visit_none(),
            Kind::Bool(_)
            | Kind::Unsigned(_)
            | Kind::Signed(_)
            | Kind::Fraction(_)
            | Kind::Text(_)
            | Kind::List(_)
            | Kind::Map(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        match name {
            FIELD => visitor.visit_seq(Attempts { field: self, placed: false }),
            ENTRIES => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match &self.node.kind {
            Kind::Map(entries) => {
                self.refuse_unknown(entries, known);
                self.deserialize_any(visitor)
            }
            Kind::Nothing => self.deserialize_any(visitor),
            // Derived structs would take a list for their fields in order.
            Kind::List(_) => Err(Stop::invalid_type(Unexpected::Seq, &"a map").keys(known).at(self.node.place)),
            Kind::Bool(_) | Kind::Unsigned(_) | Kind::Signed(_) | Kind::Fraction(_) | Kind::Text(_) => {
                self.deserialize_any(visitor).map_err(|stop| stop.keys(known))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let here = self.node.place;
        let one_of =
            || Finding::new("exactly one key is expected here").remedy(format!("write one of {}", listed(known)));
        let choice = match &self.node.kind {
            Kind::Text(_) => Choice { word: self, content: None },
            Kind::Map(entries) => match entries.as_slice() {
                [(word, content)] => Choice { word: self.of(word), content: Some(self.of(content)) },
                _ => return Err(Stop::new(one_of()).at(here)),
            },
            Kind::Nothing | Kind::Bool(_) | Kind::Unsigned(_) | Kind::Signed(_) | Kind::Fraction(_) | Kind::List(_) => {
                return Err(Stop::new(one_of()).at(here));
            }
        };
        if self.is_removed(choice.word.node) || choice.content.is_some_and(|content| self.is_removed(content.node)) {
            return Err(Stop::consequence(here));
        }
        visitor.visit_enum(choice).map_err(|stop| stop.at(here))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The place of a field, then the attempts to understand it.
struct Attempts<'de, 's> {
    field: Reader<'de, 's>,
    placed: bool,
}

impl<'de> SeqAccess<'de> for Attempts<'de, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let here = self.field.node.place;
        if !self.placed {
            self.placed = true;
            let place: U32Deserializer<Stop> = here.0.into_deserializer();
            return seed.deserialize(place).map(Some);
        }
        if self.field.session.borrow().given_up.contains(&here) {
            return Ok(None);
        }
        seed.deserialize(self.field).map(Some).map_err(|stop| {
            self.field.session.borrow_mut().take_away(stop, here);
            Stop::consequence(here)
        })
    }
}

/// The items of a list that have not been taken away.
struct Items<'de, 's> {
    list: Reader<'de, 's>,
    left: Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let Some(item) = self.left.find(|item| !self.list.is_removed(item)) else { return Ok(None) };
        seed.deserialize(self.list.of(item)).map(Some).map_err(|stop| stop.at(item.place))
    }
}

/// The entries of a mapping that have not been taken away.
struct Pairs<'de, 's> {
    map: Reader<'de, 's>,
    left: Iter<'de, (Node, Node)>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Pairs<'de, '_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stop> {
        let map = self.map;
        let Some((key, value)) = self.left.find(|(key, value)| !map.is_removed(key) && !map.is_removed(value)) else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(map.of(key)).map(Some).map_err(|stop| stop.at(key.place))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        let value = self.value.take().unwrap_or(self.map.node);
        seed.deserialize(self.map.of(value)).map_err(|stop| stop.at(value.place))
    }
}

/// A variant by its name, and what it was given: `any`, or `{ ca: … }`.
struct Choice<'de, 's> {
    word: Reader<'de, 's>,
    content: Option<Reader<'de, 's>>,
}

impl<'de, 's> EnumAccess<'de> for Choice<'de, 's> {
    type Error = Stop;
    type Variant = Content<'de, 's>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'de, 's>), Stop> {
        let variant = seed.deserialize(self.word).map_err(|stop| stop.at(self.word.node.place))?;
        Ok((variant, Content { word: self.word.node, given: self.content }))
    }
}

struct Content<'de, 's> {
    word: &'de Node,
    given: Option<Reader<'de, 's>>,
}

impl<'de, 's> Content<'de, 's> {
    fn given(&self) -> Result<Reader<'de, 's>, Stop> {
        self.given.ok_or_else(|| {
            let word = self.word.word().unwrap_or_default();
            let finding = Finding::new(format!("`{word}` needs to say more")).remedy(format!("write `{word}: …`"));
            Stop::new(finding).at(self.word.place)
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'de, '_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        match self.given {
            Some(Reader { node, .. }) if !matches!(node.kind, Kind::Nothing) => {
                Err(Stop::new(Finding::new("nothing more is said of this choice")).at(node.place))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        let given = self.given()?;
        seed.deserialize(given).map_err(|stop| stop.at(given.node.place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.given()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.given()?.deserialize_any(visitor)
    }
}
