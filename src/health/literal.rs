//! Tests over literal objects: YAML documents, the first one assessed and the others around it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::{Health, Object, Patience, Surroundings, assess};

/// The health of the first document in the surroundings of the others.
pub(super) fn health(yaml: &str) -> Health {
    with(yaml, assess)
}

/// The health of the first document, of which and whose like no status can be written.
pub(super) fn statusless(yaml: &str, kind: (String, String)) -> Health {
    among(yaml, |around| around.without_status([kind]), assess)
}

/// What is said of the first document in the surroundings of the others.
pub(super) fn with<T>(yaml: &str, said: impl FnOnce(Object<'_>, &Surroundings<'_>) -> T) -> T {
    among(yaml, |around| around, said)
}

fn among<T>(
    yaml: &str,
    known: impl for<'a> FnOnce(Surroundings<'a>) -> Surroundings<'a>,
    said: impl FnOnce(Object<'_>, &Surroundings<'_>) -> T,
) -> T {
    let documents: Vec<Value> = yaml.split("\n---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    let metadata: Vec<ObjectMeta> =
        documents.iter().map(|document| serde_json::from_value(document["metadata"].clone()).unwrap()).collect();
    let objects: Vec<Object<'_>> = documents.iter().zip(&metadata).map(object).collect();
    let around = known(Surroundings::new(objects.iter().copied()));
    said(objects[0], &around)
}

fn object<'a>((document, metadata): (&'a Value, &'a ObjectMeta)) -> Object<'a> {
    let version = document["apiVersion"].as_str().unwrap();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Object { group, kind: document["kind"].as_str().unwrap(), metadata, data: document }
}

#[track_caller]
pub(super) fn ready(yaml: &str, saw: &str) {
    assert_eq!(health(yaml), Health::ready(saw), "{yaml}");
}

#[track_caller]
pub(super) fn waiting(yaml: &str, line: &str) {
    let health = health(yaml);
    let Health::Waiting { on, patience: None } = &health else { panic!("{health:?}\n{yaml}") };
    assert_eq!(on.line, line, "{yaml}");
}

#[track_caller]
pub(super) fn stuck(yaml: &str, line: &str, with: Patience) {
    let health = health(yaml);
    let Health::Waiting { on, patience: Some(patience) } = &health else { panic!("{health:?}\n{yaml}") };
    assert_eq!((on.line.as_str(), *patience), (line, with), "{yaml}");
}

#[track_caller]
pub(super) fn doomed(yaml: &str, line: &str) {
    let health = health(yaml);
    let Health::Doomed(cause) = &health else { panic!("{health:?}\n{yaml}") };
    assert_eq!(cause.line, line, "{yaml}");
}
