//! A set of fields, as `fieldsV1` has it (`sigs.k8s.io/structured-merge-diff/fieldpath`).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

/// One step on the way to a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// A field of an object, or a key of a map: `f:spec`.
    Field(Box<str>),
    /// An item of a list by its keys, an object in JSON with its names in order: `k:{"name":"web"}`.
    Key(Box<str>),
    /// An item of a list by its value, in JSON: `v:"a"`.
    Item(Box<str>),
    /// An item of a list by its place: `i:0`.
    Index(u64),
}

impl Element {
    /// Reads what stands before a `:` and after it. None if it is no element.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.into())),
            "k" => {
                let fields: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::key(fields))
            }
            "v" => Some(Self::Item(serde_json::from_str::<Value>(rest).ok()?.to_string().into())),
            "i" => Some(Self::Index(rest.parse().ok()?)),
            _ => None,
        }
    }

    /// An item by its keys.
    pub(super) fn key(fields: BTreeMap<String, Value>) -> Self {
        Self::Key(fields.into_iter().collect::<Map<_, _>>().pipe_to_text())
    }

    /// As `fieldsV1` has it.
    fn text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Item(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

/// A map as the text of its JSON.
trait PipeToText {
    /// The text.
    fn pipe_to_text(self) -> Box<str>;
}

impl PipeToText for Map<String, Value> {
    fn pipe_to_text(self) -> Box<str> {
        Value::Object(self).to_string().into()
    }
}

/// As messages have it: `.spec`, `[name="web"]`, `[="a"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Item(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// What a set knows of one element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Whether the element itself is in the set.
    member: bool,
    /// What is in the set below it.
    below: Set,
}

/// A set of fields: those of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(BTreeMap<Element, Node>);

impl Set {
    /// Reads `fieldsV1`. What is no field in it is left out.
    pub(crate) fn parse(fields: &Value) -> Self {
        let mut set = Self::default();
        for (name, below) in fields.as_object().into_iter().flatten() {
            let Some(element) = Element::parse(name) else { continue };
            let leaf = below.as_object().is_none_or(Map::is_empty);
            let node = Node { member: leaf || below.get(".").is_some(), below: Self::parse(below) };
            set.0.insert(element, node);
        }
        set
    }

    /// As `fieldsV1`.
    pub(crate) fn to_value(&self) -> Value {
        let mut fields = Map::new();
        for (element, node) in &self.0 {
            let mut below = node.below.to_value();
            if let (true, false, Some(below)) = (node.member, node.below.is_empty(), below.as_object_mut()) {
                below.shift_insert(0, ".".to_owned(), json!({}));
            }
            fields.insert(element.text(), below);
        }
        Value::Object(fields)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a field; the object itself is none.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        if let Some((last, before)) = path.split_last() {
            let mut set = self;
            for element in before {
                set = &mut set.0.entry(element.clone()).or_default().below;
            }
            set.0.entry(last.clone()).or_default().member = true;
        }
    }

    /// Whether this element of the object itself is in it.
    pub(crate) fn has(&self, element: &Element) -> bool {
        self.0.get(element).is_some_and(|node| node.member)
    }

    /// What is in it below an element. None if nothing is.
    pub(crate) fn below(&self, element: &Element) -> Option<&Self> {
        self.0.get(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    /// Every field that is in one of the two.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (element, node) in &other.0 {
            let own = union.0.entry(element.clone()).or_default();
            own.member |= node.member;
            own.below = own.below.union(&node.below);
        }
        union
    }

    /// Every field that is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |own, other| Node {
            member: own.member && other.is_some_and(|other| other.member),
            below: other.map_or_else(Self::default, |other| own.below.intersection(&other.below)),
        })
    }

    /// Every field of this that is not in the other.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |own, other| Node {
            member: own.member && other.is_none_or(|other| !other.member),
            below: other.map_or_else(|| own.below.clone(), |other| own.below.difference(&other.below)),
        })
    }

    /// Every field of this that is neither in the other nor below one that is.
    pub(crate) fn difference_with_all_below(&self, other: &Self) -> Self {
        self.combine(other, |own, other| match other {
            Some(other) if other.member => Node::default(),
            Some(other) => Node { member: own.member, below: own.below.difference_with_all_below(&other.below) },
            None => own.clone(),
        })
    }

    /// A set of what becomes of each of its nodes, beside what the other set has there.
    fn combine(&self, other: &Self, become_: impl Fn(&Node, Option<&Node>) -> Node) -> Self {
        let nodes = self.0.iter().map(|(element, own)| (element.clone(), become_(own, other.0.get(element))));
        Self(nodes.filter(|(_, node)| node.member || !node.below.is_empty()).collect())
    }

    /// The same, with every element a member that `is_member` names; it is told the way down to it, and the element.
    pub(super) fn with_members(&self, is_member: &mut impl FnMut(&[Element], &Element) -> bool) -> Self {
        self.with_members_at(&mut Vec::new(), is_member)
    }

    /// The same, at a place of an object.
    fn with_members_at(&self, at: &mut Vec<Element>, is_member: &mut impl FnMut(&[Element], &Element) -> bool) -> Self {
        let mut set = BTreeMap::new();
        for (element, node) in &self.0 {
            let member = node.member || is_member(at, element);
            at.push(element.clone());
            let below = node.below.with_members_at(at, is_member);
            at.pop();
            set.insert(element.clone(), Node { member, below });
        }
        Self(set)
    }

    /// Every field in it, as messages have it: `.spec.replicas`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.paths_at("", &mut paths);
        paths
    }

    /// The same, below a place.
    fn paths_at(&self, at: &str, paths: &mut Vec<String>) {
        // A field comes before what is below the fields beside it.
        for (element, node) in &self.0 {
            if node.member {
                paths.push(format!("{at}{element}"));
            }
        }
        for (element, node) in &self.0 {
            node.below.paths_at(&format!("{at}{element}"), paths);
        }
    }
}
