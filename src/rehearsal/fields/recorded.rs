//! What a real API server (Kubernetes v1.34) answered to the same requests, one after the other: the objects, their owners
//! and the messages. `recorded/record` asks one again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::schema::{self, FieldError, Schema};
use super::*;

/// What is asked.
const REQUESTS: &str = include_str!("recorded/requests.json");
/// What was answered.
const ANSWERS: &str = include_str!("recorded/answers.json");

/// One request for one kind of object.
struct Asked<'a> {
    /// The `apiVersion` of the kind.
    version: &'a str,
    /// The kind.
    kind: &'a str,
    /// Its schema.
    schema: Arc<Schema>,
    /// Whether it is no kind of Kubernetes itself.
    custom: bool,
    /// The object before.
    old: Option<&'a Value>,
    /// How, who and what.
    step: &'a Value,
}

/// What is wrong, as a message has it.
fn said(error: PatchError) -> String {
    match error {
        PatchError::Malformed(said) | PatchError::Unfit(said) | PatchError::Failed(said) => said,
    }
}

impl Asked<'_> {
    /// What we answer: the object, or the message.
    fn answer(&self) -> Result<Value, String> {
        let how = self.step["how"].as_str().unwrap();
        let body = &self.step["body"];
        let writer = Writer {
            manager: self.step["manager"].as_str().unwrap(),
            api_version: self.version,
            subresource: if how == "status" { "status" } else { "" },
            time: "2026-01-01T00:00:00Z",
            has_status: self.schema.child("status").is_some(),
        };
        let old = self.old.filter(|_| how != "create");
        let mut new = match how {
            "create" => body.clone(),
            "update" | "status" | "merge" => merge_patch(old.unwrap(), body).map_err(said)?,
            "json" => json_patch(old.unwrap(), body).map_err(said)?,
            "strategic" => strategic_merge_patch(&self.schema, old.unwrap(), body).map_err(said)?,
            "apply" => {
                apply(&self.schema, old, body, &writer, self.step["force"] == true).map_err(|error| match error {
                    ApplyError::Bad(said) | ApplyError::Unfit(said) => said,
                    ApplyError::Conflicts(conflicts) => conflict_message(&conflicts),
                })?
            }
            other => panic!("{other}"),
        };
        if let Some(said) = schema::decode_error(&self.schema, &new) {
            let (version, kind) = (self.version.rsplit('/').next().unwrap(), self.kind);
            return Err(format!("{kind} in version {version:?} cannot be handled as a {kind}: {said}"));
        }
        if !self.custom || how != "apply" {
            schema::prune(&self.schema, &mut new);
        }
        schema::default(&self.schema, &mut new);
        if how != "apply" {
            updated(&self.schema, old, &mut new, &writer);
        }
        self.finish(old, new)
    }

    /// What we keep of it, or what is wrong with it.
    fn finish(&self, old: Option<&Value>, mut new: Value) -> Result<Value, String> {
        if old.is_none() {
            new["metadata"]["uid"] = "UID".into();
        }
        if !self.custom && self.step["how"] != "status" {
            schema::prepare(self.version, self.kind, old, &mut new);
        }
        let mut errors: Vec<FieldError> = schema::admit(self.version, self.kind, old, &new);
        if self.custom {
            errors.extend(schema::validate(&self.schema, &new));
        }
        if errors.is_empty() {
            return Ok(new);
        }
        let group = self.version.split_once('/').map_or("", |(group, _)| group);
        Err(schema::invalid_message(group, self.kind, new["metadata"]["name"].as_str().unwrap(), &errors))
    }
}

/// The same value with its fields in order. Go writes `null` for some that are not there.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: BTreeMap<&String, Value> = fields.map(|(name, value)| (name, ordered(value))).collect();
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(ordered).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// An answer as a text to compare, without what those write who serve a definition.
fn shown(answer: &Value) -> String {
    let mut answer = ordered(answer);
    if let Some(status) = answer.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("storedVersions");
    }
    format!("{answer:#}")
}

#[test]
fn the_same_requests_have_the_answers_of_a_real_server() {
    let requests: Value = serde_json::from_str(REQUESTS).unwrap();
    let answers: Value = serde_json::from_str(ANSWERS).unwrap();
    let custom = schema::of_definition(&requests["definition"]).unwrap();
    let (mut steps, mut differences) = (0, Vec::new());
    for scenario in requests["scenarios"].as_array().unwrap() {
        let (version, kind) = (scenario["apiVersion"].as_str().unwrap(), scenario["kind"].as_str().unwrap());
        let builtin = schema::builtin(version, kind);
        let is_custom = builtin.is_none();
        let schema = builtin.unwrap_or_else(|| custom["v1"].clone());
        let told = answers[scenario["name"].as_str().unwrap()].as_array().unwrap();
        let mut old: Option<&Value> = None;
        for (index, (step, told)) in scenario["steps"].as_array().unwrap().iter().zip(told).enumerate() {
            let asked = Asked { version, kind, schema: schema.clone(), custom: is_custom, old, step };
            let ours = asked.answer().unwrap_or_else(Value::String);
            if shown(&ours) != shown(told) {
                let place = format!("{}, step {}: {step}", scenario["name"], index + 1);
                differences.push(format!("{place}\nreal: {}\nours: {}\n", shown(told), shown(&ours)));
            }
            steps += 1;
            if told.is_object() {
                old = Some(told);
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(steps > 150, "{steps}");
}
