//! Reading an object for its row, and the words for what is found.

use jiff::Timestamp;
use serde_json::Value;

/// An object at a moment.
pub(super) struct Glance<'a> {
    pub(super) object: &'a Value,
    pub(super) now: Timestamp,
}

impl<'a> Glance<'a> {
    /// What lies at a JSON pointer; null where nothing does.
    pub(super) fn at(&self, pointer: &str) -> &'a Value {
        self.object.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// What lies there, unless it is nothing or null.
    pub(super) fn some(&self, pointer: &str) -> Option<&'a Value> {
        given(self.at(pointer))
    }

    /// A text; empty where there is none.
    pub(super) fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// A text, or other words where it is empty.
    pub(super) fn text_or(&self, pointer: &str, otherwise: &'static str) -> &'a str {
        match self.text(pointer) {
            "" => otherwise,
            text => text,
        }
    }

    /// A number; 0 where there is none.
    pub(super) fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_default()
    }

    /// The elements of a list; none where there is no list.
    pub(super) fn list(&self, pointer: &str) -> &'a [Value] {
        self.at(pointer).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// How many entries a list or a map has.
    pub(super) fn count(&self, pointer: &str) -> usize {
        let here = self.at(pointer);
        here.as_array().map(Vec::len).or_else(|| here.as_object().map(serde_json::Map::len)).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &'a str {
        self.text("/metadata/name")
    }

    /// How long ago it was created.
    pub(super) fn age(&self) -> String {
        self.since("/metadata/creationTimestamp")
    }

    /// How long ago something was.
    pub(super) fn since(&self, pointer: &str) -> String {
        self.ago(self.at(pointer)).unwrap_or_else(|| "<unknown>".to_owned())
    }

    /// How long ago a time that is written in an object was; nothing where it is no time.
    pub(super) fn ago(&self, written: &Value) -> Option<String> {
        moment(written).map(|then| duration(self.now.as_second(), then))
    }

    /// Whether a condition of its status is True.
    pub(super) fn is_true(&self, condition: &str) -> bool {
        let wanted = |known: &&Value| known["type"] == condition;
        self.list("/status/conditions").iter().find(wanted).is_some_and(|known| known["status"] == "True")
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        !self.at("/metadata/deletionTimestamp").is_null()
    }
}

/// A time that is written in an object, to the second.
pub(super) fn moment(written: &Value) -> Option<Timestamp> {
    written.as_str()?.parse().ok()
}

/// The words for the time from one moment to another (`k8s.io/apimachinery/pkg/util/duration`); `now` in seconds since 1970.
pub(super) fn duration(now: i64, then: Timestamp) -> String {
    // Whole seconds on both sides: what is written in objects has no fractions.
    human(now.saturating_sub(then.as_second()))
}

/// `HumanDuration`, of seconds: two units at most, and the lesser one only while it tells something.
pub(super) fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |whole: i64, unit, rest: i64, less| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit}{rest}{less}"),
    };
    match seconds {
        i64::MIN..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// Labels on one line, in the order of their names.
pub(super) fn labels(map: &Value) -> String {
    let mut pairs = pairs(map);
    pairs.sort_unstable();
    or_none(pairs.join(","))
}

fn pairs(map: &Value) -> Vec<String> {
    let entries = map.as_object().into_iter().flatten();
    entries.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
}

/// A label selector on one line, by key: `a=b,c in (d,e),!f`; empty where it says nothing.
pub(super) fn selector(selector: &Value) -> String {
    let entries = selector["matchLabels"].as_object().into_iter().flatten();
    let mut terms: Vec<(&str, String)> =
        entries.map(|(key, value)| (key.as_str(), format!("{key}={}", value.as_str().unwrap_or_default()))).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        terms.push((
            key,
            match expression["operator"].as_str().unwrap_or_default() {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "DoesNotExist" => format!("!{key}"),
                _ => key.to_owned(),
            },
        ));
    }
    // Requirements are sorted by their key alone, and stay in order within one.
    terms.sort_by_key(|(key, _)| *key);
    terms.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(",")
}

/// `<none>` in place of nothing.
pub(super) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// The first three of several, and how many more there are; other words where there are none.
pub(super) fn first_three(all: &[String], otherwise: &str) -> String {
    match all.len() {
        0 => otherwise.to_owned(),
        1..=3 => all.join(","),
        several => format!("{} + {} more...", all[..3].join(","), several - 3),
    }
}

/// Names and images of the containers of a pod template, each on one line.
pub(super) fn containers(spec: &Value) -> (String, String) {
    let all = |field: &str| {
        let each = spec["containers"].as_array().into_iter().flatten();
        each.map(|container| container[field].as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
    };
    (all("name"), all("image"))
}

/// A value, unless it is null.
pub(super) fn given(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

/// A value as Go writes it into a text: a string without quotes, a number as it is.
pub(super) fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
