//! Server-side apply: what others stand on first, side by side within a rank, and patient only with what passes.
//!
//! Conflicts are not forced: a field that another manager owns is told, with that manager's name, and not taken. What only
//! we have ever written is ours to take, and so is, on a cluster that nobody else works on, what was changed after us.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::conceded::conceded;
use super::{InstallError, Installed, Target};
use crate::checks::Admission;
use crate::k8s::{FIELD_MANAGER, RUN_LABEL};
use crate::kinds::{self, Kind};
use crate::manifest;
use crate::ports::{Done, Notes};
use crate::watch::ObjectRef;

/// How many requests are under way at once.
pub(super) const SIDE_BY_SIDE: usize = 32;

/// How long the API server may keep saying that it cannot take an object *yet*.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a kind may stay unserved: a CRD of the same component was established just before.
const UNSERVED: Duration = Duration::from_secs(5);

/// How long a new namespace's default ServiceAccount is waited for before its absence is left to others to meet.
const ACCOUNT: Duration = Duration::from_secs(10);

/// Pauses between attempts: the first, and the longest that doubling leads to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Applies the objects of one component.
pub(super) struct Applier<'a> {
    pub(super) client: &'a Client,
    exclusive: bool,
    pub(super) namespace: &'a str,
    pub(super) run: &'a str,
    pub(super) notes: &'a Notes,
    served: Mutex<HashMap<String, Vec<Kind>>>,
}

/// What an apply did to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Changed,
    /// Others had changed it since we last applied it: what they held, in words.
    PutBack(String),
    Unchanged,
}

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// No endpoint for its kind.
    Unserved(String),
    /// The API server's answer.
    Refused(Admission),
    /// No answer.
    Lost(Box<kube::Error>),
}

/// In which order kinds are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Namespaces,
    Crds,
    /// What pods refer to.
    Foundations,
    Rest,
    /// What could refuse everything else while nothing answers behind it.
    Gatekeepers,
}

impl From<kube::Error> for Obstacle {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Lost(Box::new(error)) };
        if status.code == 404 && status.message.contains("requested resource") {
            return Self::Unserved(status.message);
        }
        Self::Refused(Admission::refused(status.code, &status.message))
    }
}

impl<'a> Applier<'a> {
    pub(super) fn new(cluster: &'a Target, namespace: &'a str, run: &'a str, notes: &'a Notes) -> Self {
        let Target { client, exclusive, .. } = cluster;
        Self { client, exclusive: *exclusive, namespace, run, notes, served: Mutex::default() }
    }

    /// The component's namespace, made if missing; labels that others give it are theirs.
    pub(super) async fn namespace(&self) -> Result<(), InstallError> {
        let title = format!("Namespace {}", self.namespace);
        if self.persist(&title, || self.create_namespace()).await? == Change::Created {
            self.notes.waiting(format!("the default ServiceAccount of {}", self.namespace));
            let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), self.namespace);
            let there = |account: Option<&ServiceAccount>| account.is_some();
            // Where it never comes, whatever needs it says so.
            timeout(ACCOUNT, kube::runtime::wait::await_condition(accounts, "default", there)).await.ok();
        }
        Ok(())
    }

    async fn create_namespace(&self) -> Result<Change, Obstacle> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let wanted = json!({ "metadata": { "name": self.namespace, "labels": { RUN_LABEL: self.run } } });
        let wanted = serde_json::from_value(wanted).map_err(|error| Obstacle::from(kube::Error::SerdeError(error)))?;
        match namespaces.create(&ours(), &wanted).await {
            Ok(_) => Ok(Change::Created),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let found = namespaces.get(self.namespace).await?;
                still_going(Some(&found.metadata))?;
                Ok(Change::Unchanged)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Applies all of them, rank after rank.
    pub(super) async fn apply(&self, objects: &[DynamicObject]) -> Result<Installed, InstallError> {
        let mut ranks: BTreeMap<Rank, Vec<&DynamicObject>> = BTreeMap::new();
        for object in objects {
            ranks.entry(rank(object)).or_default().push(object);
        }
        let mut applied = Vec::new();
        for objects in ranks.into_values() {
            let each: Vec<_> = objects.into_iter().map(|object| self.one(object)).collect();
            applied.extend(stream::iter(each).buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<_>>().await?);
        }
        Ok(told(applied))
    }

    /// Applies one object, and says which it is.
    pub(super) async fn one(&self, object: &DynamicObject) -> Result<(Change, ObjectRef), InstallError> {
        self.persist(&manifest::title(object), || self.attempt(object)).await
    }

    async fn attempt(&self, object: &DynamicObject) -> Result<(Change, ObjectRef), Obstacle> {
        let kind = self.kind(object).await?;
        let endpoint = kind.endpoint(self.client, object, self.namespace);
        let reference = reference(&kind, object, self.namespace);
        let live = endpoint.get_opt(&reference.name).await?;
        still_going(live.as_ref().map(|live| &live.metadata))?;
        let wanted = self.labelled(&conceded(object, live.as_ref()), live.as_ref());
        let mut how = PatchParams::apply(FIELD_MANAGER);
        how.force = live.as_ref().is_some_and(only_ours);
        let ours_before = self.exclusive && live.as_ref().is_some_and(is_applied_by_us);
        let change = match endpoint.patch(&reference.name, &how, &Patch::Apply(&wanted)).await {
            Err(kube::Error::Api(status)) if ours_before && is_conflict(&status) => {
                endpoint.patch(&reference.name, &how.force(), &Patch::Apply(&wanted)).await?;
                let (_, held) = status.message.split_once(": ").unwrap_or_default();
                Change::PutBack(held.lines().collect::<Vec<_>>().join(" "))
            }
            after => match (live, after?) {
                (None, _) => Change::Created,
                (Some(before), after) if content(&before) == content(&after) => Change::Unchanged,
                (Some(_), _) => Change::Changed,
            },
        };
        Ok((change, reference))
    }

    /// Whether admission answers for an object, by a dry run; whatever else is against it is for others to tell.
    pub(super) async fn admits(&self, object: &DynamicObject) -> Result<(), Obstacle> {
        // What serves it may be part of what is installed.
        let Ok(kind) = self.kind(object).await else { return Ok(()) };
        let rehearsal = PostParams { dry_run: true, ..ours() };
        let asked = kind.endpoint(self.client, object, self.namespace).create(&rehearsal, object).await;
        match asked.map_err(Obstacle::from) {
            Err(silent @ Obstacle::Refused(Admission::Unready { .. })) => Err(silent),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The object with the run's mark.
    fn labelled(&self, object: &DynamicObject, live: Option<&DynamicObject>) -> DynamicObject {
        DynamicObject { metadata: self.marked(&object.metadata, live), ..object.clone() }
    }

    /// An object's metadata with the run's mark, if this run makes it; what was there keeps the mark that it has, or none.
    pub(super) fn marked(&self, metadata: &ObjectMeta, live: Option<&DynamicObject>) -> ObjectMeta {
        let mut metadata = metadata.clone();
        let run = match live {
            None => Some(self.run.to_owned()),
            Some(live) => live.metadata.labels.as_ref().and_then(|labels| labels.get(RUN_LABEL).cloned()),
        };
        if let Some(run) = run {
            metadata.labels.get_or_insert_default().insert(RUN_LABEL.to_owned(), run);
        }
        metadata
    }

    /// The kind of an object; each version of a group is asked for once, and again only where it lacked a kind.
    pub(super) async fn kind(&self, object: &DynamicObject) -> Result<Kind, Obstacle> {
        let types = object.types.clone().unwrap_or_default();
        let mut served = self.served.lock().await;
        let find = |kinds: &[Kind]| kinds.iter().find(|kind| kind.resource.kind == types.kind).cloned();
        if let Some(kind) = served.get(&types.api_version).and_then(|kinds| find(kinds)) {
            return Ok(kind);
        }
        let kinds = kinds::of_version(self.client, &types.api_version).await?;
        let found = find(&kinds);
        served.insert(types.api_version.clone(), kinds);
        found.ok_or_else(|| Obstacle::Unserved(format!("it serves no kind {} in {}", types.kind, types.api_version)))
    }

    /// Attempts until it is done, refused for good, or has been put off for too long; notes what it waits for.
    pub(super) async fn persist<T, F: Future<Output = Result<T, Obstacle>>>(
        &self,
        title: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, InstallError> {
        let started = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let obstacle = match attempt().await {
                Ok(done) => return Ok(done),
                Err(obstacle) => obstacle,
            };
            let patience = obstacle.patience();
            let told = obstacle.told(title);
            if started.elapsed() >= patience {
                return Err(told);
            }
            self.notes.waiting(told.to_string());
            sleep(pause).await;
            pause = PAUSES.1.min(pause * 2);
        }
    }
}

impl Obstacle {
    fn patience(&self) -> Duration {
        match self {
            Self::Refused(Admission::Unready { .. }) | Self::Lost(_) => PATIENCE,
            Self::Unserved(_) => UNSERVED,
            Self::Refused(_) => Duration::ZERO,
        }
    }

    fn told(self, object: &str) -> InstallError {
        let object = object.to_owned();
        match self {
            Self::Unserved(words) => InstallError::Refused { object, admission: Admission::Invalid { words } },
            Self::Refused(admission) => InstallError::Refused { object, admission },
            Self::Lost(source) => InstallError::Api { deed: format!("apply {object}"), source },
        }
    }
}

/// What was applied, counted, for the report; the objects are what is to settle.
pub(super) fn told(applied: Vec<(Change, ObjectRef)>) -> Installed {
    let (mut counts, mut warnings) = ([(0, "created"), (0, "changed"), (0, "put back"), (0, "unchanged")], Vec::new());
    for (change, object) in &applied {
        let at = match change {
            Change::Created => 0,
            Change::Changed => 1,
            Change::PutBack(held) => {
                warnings.push(format!("{object} was changed since it was applied, and was put back: {held}"));
                2
            }
            Change::Unchanged => 3,
        };
        counts[at].0 += 1;
    }
    let saw = match counts {
        [(0, _), (0, _), (0, _), (1, _)] => "unchanged: the only object is as it should be".to_owned(),
        [(0, _), (0, _), (0, _), (all, _)] => format!("unchanged: all {all} objects are as they should be"),
        counts => {
            let some = counts.iter().filter(|(count, _)| *count > 0);
            some.map(|(count, deed)| format!("{count} {deed}")).collect::<Vec<_>>().join(", ")
        }
    };
    let mut objects: Vec<ObjectRef> = applied.into_iter().map(|(_, object)| object).collect();
    objects.sort_by(|a, b| (&a.resource.kind, &a.namespace, &a.name).cmp(&(&b.resource.kind, &b.namespace, &b.name)));
    Installed { done: Done { saw, warnings }, objects }
}

pub(super) fn reference(kind: &Kind, object: &DynamicObject, namespace: &str) -> ObjectRef {
    ObjectRef {
        resource: kind.resource.clone(),
        namespace: kind.place(object, namespace),
        name: object.metadata.name.clone().unwrap_or_default(),
    }
}

/// For plain creates.
pub(super) fn ours() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// An obstacle where there is an object that goes, with what holds it.
pub(super) fn still_going(found: Option<&ObjectMeta>) -> Result<(), Obstacle> {
    let Some(going) = found.filter(|found| found.deletion_timestamp.is_some()) else { return Ok(()) };
    let words = match going.finalizers.as_deref() {
        None | Some([]) => "object is being deleted".to_owned(),
        Some(finalizers) => format!("object is being deleted, held by {}", finalizers.join(", ")),
    };
    Err(Obstacle::Refused(Admission::Unready { words }))
}

/// Whether nobody but us has written anything beyond its status.
pub(super) fn only_ours(live: &DynamicObject) -> bool {
    let managers = live.metadata.managed_fields.as_deref().unwrap_or_default();
    let ours = |manager: &str| manager == FIELD_MANAGER;
    managers
        .iter()
        .all(|entry| entry.subresource.as_deref() == Some("status") || entry.manager.as_deref().is_some_and(ours))
}

fn is_applied_by_us(live: &DynamicObject) -> bool {
    live.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
}

/// Whether another manager holds a field that an apply sets (apimachinery `managedfields/internal/conflict.go`).
fn is_conflict(status: &Status) -> bool {
    status.code == 409 && status.message.starts_with("Apply failed with")
}

/// What an author can mean: everything but status and the API server's own bookkeeping.
pub(super) fn content(object: &DynamicObject) -> Value {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    object.metadata.resource_version = None;
    object.metadata.generation = None;
    if let Some(fields) = object.data.as_object_mut() {
        fields.remove("status");
    }
    serde_json::to_value(object).unwrap_or_default()
}

fn rank(object: &DynamicObject) -> Rank {
    let types = object.types.clone().unwrap_or_default();
    match types.kind.as_str() {
        "Namespace" => Rank::Namespaces,
        "CustomResourceDefinition" => Rank::Crds,
        "ValidatingWebhookConfiguration"
        | "MutatingWebhookConfiguration"
        | "ValidatingAdmissionPolicyBinding"
        | "MutatingAdmissionPolicyBinding"
        | "APIService" => Rank::Gatekeepers,
        "ServiceAccount"
        | "Secret"
        | "ConfigMap"
        | "ClusterRole"
        | "ClusterRoleBinding"
        | "Role"
        | "RoleBinding"
        | "PriorityClass"
        | "RuntimeClass"
        | "StorageClass"
        | "PersistentVolume"
        | "PersistentVolumeClaim"
        | "ResourceQuota"
        | "LimitRange"
        | "NetworkPolicy"
        | "Service" => Rank::Foundations,
        _ => Rank::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Fake};
    use super::*;
    use crate::k8s::Access;

    const GREETING: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\ndata: {a: b}\n";

    async fn apply(fake: &Fake, run: &str, text: &str) -> Result<String, InstallError> {
        applied(fake, true, run, text).await.map(|done| done.saw)
    }

    async fn applied(fake: &Fake, exclusive: bool, run: &str, text: &str) -> Result<Done, InstallError> {
        let (notes, _kept) = fake::notes();
        let objects: Vec<DynamicObject> =
            manifest::read("x", text).unwrap().into_iter().map(|written| written.object).collect();
        let cluster = Target { access: Access::Pod, client: fake.client(), exclusive };
        let installed = Applier::new(&cluster, "shop", run, &notes).apply(&objects).await?;
        Ok(installed.done)
    }

    #[tokio::test(start_paused = true)]
    async fn applying_twice_changes_nothing_and_says_so_whichever_run_does_it() {
        let fake = Fake::default();
        assert_eq!(apply(&fake, "one", GREETING).await.unwrap(), "1 created");
        assert_eq!(apply(&fake, "two", GREETING).await.unwrap(), "unchanged: the only object is as it should be");
        assert_eq!(fake.label("greeting", RUN_LABEL).as_deref(), Some("one"));
        assert_eq!(apply(&fake, "two", &GREETING.replace("a: b", "a: c")).await.unwrap(), "1 changed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_that_starts_is_waited_for_and_one_that_never_does_is_the_platforms_fault() {
        let words = "Internal error occurred: failed calling webhook \"w\": connection refused";
        let fake = Fake::default();
        fake.refuse("PATCH", 3, 500, words);
        assert_eq!(apply(&fake, "one", GREETING).await.unwrap(), "1 created");
        fake.refuse("PATCH", usize::MAX, 500, words);
        let started = Instant::now();
        let trouble = apply(&fake, "one", GREETING).await.unwrap_err().trouble(&crate::secrets::Secrets::default());
        assert!(trouble.headline.contains("failed calling webhook"), "{trouble:?}");
        assert_eq!(trouble.fault, crate::events::Fault::Platform);
        assert!(started.elapsed() >= PATIENCE && started.elapsed() < PATIENCE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_for_good_ends_at_once_in_the_api_servers_words() {
        for (code, words) in [
            (409, "Apply failed with 1 conflict: conflict with \"argocd\": .data.a"),
            (422, "ConfigMap \"greeting\" is invalid: data: Invalid value"),
            (403, "configmaps is forbidden: User \"u\" cannot patch resource \"configmaps\""),
        ] {
            let fake = Fake::default();
            fake.refuse("PATCH", usize::MAX, code, words);
            let started = Instant::now();
            let error = apply(&fake, "one", GREETING).await.unwrap_err().to_string();
            assert_eq!(error, format!("the API server does not take ConfigMap greeting: {words}"));
            assert!(started.elapsed() < Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_changed_after_us_is_put_back_where_nobody_else_works_and_a_conflict_elsewhere() {
        let held = "conflicts with \"kubectl-patch\" using v1:\n- .data.a\n- .data.b";
        let words = format!("Apply failed with 2 conflicts: {held}");
        let words = words.as_str();
        let after = |exclusive: bool, managers: &'static [&str]| async move {
            let fake = Fake::default();
            let managers: Vec<_> = managers.iter().map(|name| json!({ "manager": name })).collect();
            let metadata = json!({ "name": "greeting", "managedFields": managers });
            let live = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
            fake.put("/api/v1/namespaces/shop/configmaps/greeting", live);
            fake.refuse("PATCH", 1, 409, words);
            applied(&fake, exclusive, "one", GREETING).await.map_err(|error| error.to_string())
        };
        let done = after(true, &[FIELD_MANAGER, "kubectl-patch"]).await.unwrap();
        assert_eq!(done.saw, "1 put back");
        let held = "conflicts with \"kubectl-patch\" using v1: - .data.a - .data.b";
        let warning = format!("ConfigMap greeting was changed since it was applied, and was put back: {held}");
        assert_eq!(done.warnings, [warning]);
        let refused = Err(format!("the API server does not take ConfigMap greeting: {words}"));
        assert_eq!(after(false, &[FIELD_MANAGER, "kubectl-patch"]).await, refused, "somebody else works on it");
        assert_eq!(after(true, &["helm"]).await, refused, "it is another component's");
    }

    #[test]
    fn an_object_that_goes_is_named_with_what_holds_it() {
        let going = |more: Value| -> Result<(), String> {
            let found: ObjectMeta = serde_json::from_value(more).unwrap();
            still_going(Some(&found)).map_err(|obstacle| obstacle.told("ConfigMap a").to_string())
        };
        let since = "2026-01-01T00:00:00Z";
        let refused =
            |words: &str| Err(format!("the API server does not take ConfigMap a: object is being deleted{words}"));
        assert_eq!(going(json!({ "finalizers": ["x.io/a"] })), Ok(()));
        assert_eq!(going(json!({ "deletionTimestamp": since })), refused(""));
        let held = json!({ "deletionTimestamp": since, "finalizers": ["x.io/a", "y"] });
        assert_eq!(going(held), refused(", held by x.io/a, y"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_nothing_serves_is_named() {
        let text = "apiVersion: v1\nkind: Widget\nmetadata: {name: w}\n";
        let error = apply(&Fake::default(), "one", text).await.unwrap_err().to_string();
        assert_eq!(error, "the API server does not take Widget w: it serves no kind Widget in v1");
    }

    #[test]
    fn a_field_of_another_manager_is_never_forced_and_our_own_always() {
        let live = |managers: Value| -> DynamicObject {
            let metadata = json!({ "name": "a", "managedFields": managers });
            serde_json::from_value(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap()
        };
        let status = json!({ "manager": "kube-apiserver", "subresource": "status" });
        assert!(only_ours(&live(json!([{ "manager": FIELD_MANAGER, "operation": "Update" }, status]))));
        assert!(!only_ours(&live(json!([{ "manager": FIELD_MANAGER }, { "manager": "argocd" }]))));
    }

    #[test]
    fn what_others_stand_on_comes_first_and_what_could_refuse_them_last() {
        let rank = |kind: &str| {
            let text = format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n");
            super::rank(&manifest::read("x", &text).unwrap()[0].object)
        };
        let order = ["Namespace", "CustomResourceDefinition", "Secret", "Deployment", "ValidatingWebhookConfiguration"];
        assert!(order.map(rank).is_sorted());
    }
}
