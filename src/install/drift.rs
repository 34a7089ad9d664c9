//! What of a release is no longer as its record says, gone or changed by hand; and putting that back.
//!
//! Each object of the record is applied once without effect (a server-side dry run), and the answer is held against what
//! is there, as `kubectl diff` does: defaults, admission and the spelling of quantities are then the same on both sides.
//! What somebody has added beside it is theirs. An upgrade would not do instead: helm 3 holds custom resources against
//! its own last record only, helm 4 refuses a field that another manager has taken, and both make up new passwords where
//! a chart asks for random ones.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::Status;
use serde_json::Value;

use super::InstallError;
use super::apply::{Applier, Obstacle, SIDE_BY_SIDE, content, still_going};
use super::conceded::conceded;
use super::error::words;
use crate::checks::Admission;
use crate::kinds;
use crate::manifest;

/// The field manager of both versions of helm.
const HELM: &str = "helm";

/// How many fields of one object are named.
const NAMED: usize = 5;

/// A release as its record has it.
pub(super) struct Recorded<'a> {
    pub(super) applier: &'a Applier<'a>,
    pub(super) release: &'a str,
}

/// What came of putting a release back, a line for each object.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// What was not as recorded, and now is.
    pub(super) put_back: Vec<String>,
    /// What could not be held against the record.
    pub(super) unseen: Vec<String>,
}

/// How one object is.
enum Look {
    AsRecorded,
    Off(String),
    /// Off, and nothing that is applied makes it otherwise.
    Stuck(String),
    Unseen(String),
}

impl Recorded<'_> {
    /// Puts back what is not as recorded, in the record's order, which is the one that helm installs in.
    ///
    /// # Errors
    /// Where something cannot be put back, with everything that was found; the rest is put back all the same.
    pub(super) async fn restore(&self, objects: &[DynamicObject]) -> Result<Restored, InstallError> {
        let looks: Vec<_> = objects.iter().map(|object| self.patient_look(object)).collect();
        let looks: Vec<Look> = stream::iter(looks).buffered(SIDE_BY_SIDE).try_collect().await?;
        let mut restored = Restored::default();
        let mut stuck = Vec::new();
        for (object, look) in objects.iter().zip(looks) {
            match look {
                Look::AsRecorded => {}
                Look::Unseen(why) => restored.unseen.push(why),
                Look::Stuck(how) => stuck.push(how),
                Look::Off(how) => {
                    match self.applier.persist(&manifest::title(object), || self.put_back(object)).await {
                        Ok(()) => restored.put_back.push(how),
                        Err(InstallError::Refused { admission, .. }) => {
                            stuck.push(format!("{how}, and cannot be put back ({})", words(&admission)));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        if stuck.is_empty() {
            return Ok(restored);
        }
        stuck.extend(restored.put_back.into_iter().map(|how| format!("{how}; it was put back")));
        Err(InstallError::Drifted([stuck, restored.unseen].concat()))
    }

    async fn patient_look(&self, object: &DynamicObject) -> Result<Look, InstallError> {
        self.applier.persist(&manifest::title(object), || self.look(object)).await
    }

    async fn look(&self, object: &DynamicObject) -> Result<Look, Obstacle> {
        let title = manifest::title(object);
        let (endpoint, live) = self.find(object).await?;
        let Some(live) = live.filter(|live| live.metadata.deletion_timestamp.is_none()) else {
            let release = self.release;
            // As helm's upgrade would: how it ended is not known any more, and it may have failed.
            let why = if kinds::cleans_up(object) { ", cleaned up after it had ended, and runs again" } else { "" };
            return Ok(Look::Off(format!("{title} was gone from the release {release}{why}")));
        };
        let after = match self.apply(&endpoint, object, Some(&live), &helm().dry_run()).await {
            Err(kube::Error::Api(status)) => return Ok(self.refused(&title, &status)),
            answer => answer?,
        };
        if after.resource_version() != live.resource_version() {
            return Err(Obstacle::Refused(Admission::Unready { words: "it is being changed".to_owned() }));
        }
        let mut fields = Vec::new();
        compare("", &content(&live), &content(&after), &mut fields);
        if fields.is_empty() {
            return Ok(Look::AsRecorded);
        }
        if let Some(more) = fields.len().checked_sub(NAMED).filter(|more| *more > 0) {
            fields.truncate(NAMED);
            fields.push(format!("and {more} more"));
        }
        Ok(Look::Off(format!("{title} was not as the release {} made it: {}", self.release, fields.join(", "))))
    }

    /// How an object is that the API server does not take as it is recorded: what is immutable was changed, or an apply
    /// adds to a change what excludes it. Any other refusal is one of the dry run.
    fn refused(&self, title: &str, status: &Status) -> Look {
        match Admission::refused(status.code, &status.message) {
            Admission::Invalid { .. } if status.code == 422 => Look::Stuck(format!(
                "{title} of the release {} was changed by hand and cannot be put back ({}); delete it, and the next run \
                 makes it anew",
                self.release,
                reasons(status)
            )),
            Admission::Accepted
            | Admission::Denied { .. }
            | Admission::Invalid { .. }
            | Admission::Unready { .. }
            | Admission::Forbidden { .. } => {
                Look::Unseen(format!("whether {title} was changed by hand cannot be seen: {}", status.message))
            }
        }
    }

    async fn put_back(&self, object: &DynamicObject) -> Result<(), Obstacle> {
        let (endpoint, live) = self.find(object).await?;
        still_going(live.as_ref().map(|live| &live.metadata))?;
        self.apply(&endpoint, object, live.as_ref(), &helm()).await?;
        Ok(())
    }

    async fn find(&self, object: &DynamicObject) -> Result<(Api<DynamicObject>, Option<DynamicObject>), Obstacle> {
        let kind = self.applier.kind(object).await?;
        let endpoint = kind.endpoint(self.applier.client, object, self.applier.namespace);
        let live = endpoint.get_opt(&object.name_any()).await?;
        Ok((endpoint, live))
    }

    async fn apply(
        &self,
        endpoint: &Api<DynamicObject>,
        object: &DynamicObject,
        live: Option<&DynamicObject>,
        how: &PatchParams,
    ) -> kube::Result<DynamicObject> {
        endpoint.patch(&object.name_any(), how, &Patch::Apply(&self.wanted(object, live))).await
    }

    /// The object as helm applies it: with the marks of its release, which are not in the record (helm
    /// `pkg/action/validate.go`), and without what others have taken over.
    fn wanted(&self, object: &DynamicObject, live: Option<&DynamicObject>) -> DynamicObject {
        let mut object = conceded(object, live);
        object.labels_mut().insert("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned());
        let annotations = object.annotations_mut();
        annotations.insert("meta.helm.sh/release-name".to_owned(), self.release.to_owned());
        annotations.insert("meta.helm.sh/release-namespace".to_owned(), self.applier.namespace.to_owned());
        object
    }
}

/// Without regard to who holds a field now.
fn helm() -> PatchParams {
    PatchParams::apply(HELM).force()
}

/// Why the API server does not take an object, field by field. What it says of a value it says after the value itself
/// (apimachinery `util/validation/field/errors.go`), which may be a whole pod, and anybody's secret.
fn reasons(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let reasons = causes.map(|cause| {
        let why = cause.message.strip_prefix("Invalid value: ").and_then(|text| text.rsplit(": ").next());
        format!("{}: {}", cause.field, why.unwrap_or(&cause.message))
    });
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() { status.message.clone() } else { reasons.join(", ") }
}

/// The fields in which two objects differ, in words. Empty where nothing is wanted is as good; to want it empty, as in
/// `podSelector: {}`, is to want something.
fn compare(path: &str, there: &Value, wanted: &Value, differ: &mut Vec<String>) {
    match (there, wanted) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, &there[key], &wanted[key], differ);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                let name = other["name"].as_str().map_or_else(|| at.to_string(), str::to_owned);
                compare(&format!("{path}[{name}]"), one, other, differ);
            }
        }
        _ if there == wanted || wanted.is_null() && is_empty(there) => {}
        _ => differ.push(match (shown(path, there), shown(path, wanted)) {
            (Some(there), Some(wanted)) => format!("{path} is {there}, not {wanted}"),
            _ if there.is_null() => format!("{path} is missing"),
            _ => format!("{path} differs"),
        }),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A value that may be told: numbers, switches and images; other text may be anybody's secret.
fn shown(path: &str, value: &Value) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::String(text) if path.ends_with(".image") && !path.starts_with("data") => Some(text.clone()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differ(there: &Value, wanted: &Value) -> Vec<String> {
        let mut fields = Vec::new();
        compare("", there, wanted, &mut fields);
        fields
    }

    #[test]
    fn what_differs_is_named_by_its_path_and_no_text_but_an_image_is_told() {
        let pod = |image: &str, value: &str| {
            let container = json!({ "name": "web", "image": image, "env": [{ "name": "KEY", "value": value }] });
            json!({ "spec": { "replicas": 3, "containers": [container] } })
        };
        let mut wanted = pod("a:2", "hunter2");
        wanted["spec"]["replicas"] = 1.into();
        wanted["metadata"] = json!({ "labels": { "app": "web" } });
        assert_eq!(
            differ(&pod("a:1", "hunter1"), &wanted),
            [
                "metadata is missing",
                "spec.containers[web].env[KEY].value differs",
                "spec.containers[web].image is a:1, not a:2",
                "spec.replicas is 3, not 1"
            ]
        );
        assert_eq!(
            differ(&json!({ "data": { "x.image": "a" } }), &json!({ "data": { "x.image": "b" } })),
            ["data.x.image differs"]
        );
    }

    #[test]
    fn a_refusal_is_told_field_by_field_without_the_values() {
        let cause = |field: &str, message: &str| json!({ "field": field, "message": message });
        let causes = [
            cause("spec.template", "Invalid value: {\"env\": [\"hunter2: x\"]}: field is immutable"),
            cause("spec", "Forbidden: updates to statefulset spec: are forbidden"),
        ];
        let status = |details: Value| -> Status {
            serde_json::from_value(json!({ "message": "no", "code": 422, "details": details })).unwrap()
        };
        assert_eq!(
            reasons(&status(json!({ "causes": causes }))),
            "spec.template: field is immutable, spec: Forbidden: updates to statefulset spec: are forbidden"
        );
        assert_eq!(reasons(&status(Value::Null)), "no");
    }

    #[test]
    fn empty_where_nothing_is_wanted_is_no_difference_and_nothing_where_empty_is_wanted_is_one() {
        assert_eq!(differ(&json!({ "rules": [] }), &json!({})), [""; 0]);
        assert_eq!(differ(&json!({}), &json!({ "podSelector": {} })), ["podSelector is missing"]);
    }
}
