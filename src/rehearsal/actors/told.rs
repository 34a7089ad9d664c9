//! What a container's program is told when it starts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::object::View;
use super::pod::{Surroundings, expand};
use super::scene::list;

/// The words of its command, and its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    /// Command and arguments, with `$(NAME)` replaced; without a command of its own the arguments alone.
    pub(crate) words: Vec<String>,
    /// Its environment, with what Secrets and ConfigMaps give to it.
    pub(crate) environment: BTreeMap<String, String>,
}

/// What a container of a pod is told; none where there is no such container.
pub(crate) fn started(pod: &Value, container: &str, view: &dyn View) -> Option<Started> {
    let around = Surroundings::of(pod, container, view)?;
    // A container that lacks a reference does not start.
    let environment = around.environment().unwrap_or_default();
    let texts =
        ["/command", "/args"].into_iter().flat_map(|part| list(around.container, part)).filter_map(Value::as_str);
    let words = texts.map(|text| expand(text, &environment)).collect();
    Some(Started { words, environment: environment.into_iter().collect() })
}
