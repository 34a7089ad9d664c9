//! What documents are made of: parts that may each be wrong on their own.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::source::Place;

/// How a [`Field`] asks the forgiving reader for its attempts.
pub(super) const FIELD: &str = "seaworthy::Field";
/// How [`Entries`] ask it for entries whose values may be wrong.
pub(super) const ENTRIES: &str = "seaworthy::Entries";

/// One part of a document. What is wrong inside it has been noted and does not spread.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    /// Not written.
    #[default]
    Missing,
    /// Written, and wrong: noted already.
    Broken,
    /// Written and understood, here.
    Is(Placed<T>),
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// The entries of a mapping from names, in the order written.
#[derive(Clone, Debug)]
pub(super) struct Entries<K, V>(pub(super) Vec<(Field<K>, Field<V>)>);

/// A list of parts.
pub(super) type List<T> = Field<Vec<Field<T>>>;

impl<T> Field<T> {
    /// The part, if it could be understood.
    pub(super) fn get(&self) -> Option<&Placed<T>> {
        match self {
            Self::Is(placed) => Some(placed),
            Self::Missing | Self::Broken => None,
        }
    }

    /// Its value, if it could be understood.
    pub(super) fn value(&self) -> Option<&T> {
        self.get().map(|placed| &placed.value)
    }
}

impl<T> Field<Vec<Field<T>>> {
    /// Every element that could be understood.
    pub(super) fn items(&self) -> impl Iterator<Item = &Placed<T>> {
        self.value().into_iter().flatten().filter_map(Field::get)
    }
}

impl<K, V> Field<Entries<K, V>> {
    /// Every entry, without its name where that could not be understood: what it names is looked at all the same.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<&Placed<K>>, &Field<V>)> {
        self.value().into_iter().flat_map(|entries| &entries.0).map(|(key, value)| (key.get(), value))
    }

    /// Every entry whose name could be understood.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Placed<K>, &Field<V>)> {
        self.all().filter_map(|(key, value)| Some((key?, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, Attempt(PhantomData))
    }
}

struct Attempt<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Attempt<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the forgiving reader")
    }

    /// The reader gives the place, then the value as often as it is asked: each failure has taken away what was
    /// wrong, and the end means that nothing is left to try.
    fn visit_seq<A: SeqAccess<'de>>(self, mut attempts: A) -> Result<Field<T>, A::Error> {
        let place = attempts.next_element()?.map(Place).ok_or_else(|| A::Error::custom("no place was given"))?;
        loop {
            match attempts.next_element() {
                Ok(Some(value)) => return Ok(Field::Is(Placed { place, value })),
                Ok(None) => return Ok(Field::Broken),
                Err(_) => {}
            }
        }
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Entries<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ENTRIES, EachEntry(PhantomData))
    }
}

struct EachEntry<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for EachEntry<K, V> {
    type Value = Entries<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<K, V>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<K: JsonSchema, V: JsonSchema> JsonSchema for Entries<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_by_{}", V::schema_name(), K::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "propertyNames": generator.subschema_for::<K>(),
            "additionalProperties": generator.subschema_for::<V>(),
        })
    }
}
