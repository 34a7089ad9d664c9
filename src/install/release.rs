//! One helm release: what its records say, and what follows from that.
//!
//! The records are read by their labels, without helm: its Secrets carry revision and status, and ours carry the run and
//! the digest of what was installed. So a release of this content costs no upgrade, and two requests for each object.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PartialObjectMeta};

use super::apply::{Applier, SIDE_BY_SIDE};
use super::drift::Recorded;
use super::helm::{DIGEST_LABEL, Mark, Named};
use super::{InstallError, Installed, Installer, Rendered, Target, apply, crds, helm, hidden, render};
use crate::health::is_built_in;
use crate::k8s::RUN_LABEL;
use crate::manifest;
use crate::ports::Done;
use crate::suite::HelmInstall;
use crate::watch::ObjectRef;

/// One revision by its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revision {
    /// The record's own name.
    record: String,
    number: u64,
    status: String,
    run: Option<String>,
    digest: Option<String>,
}

/// What is to be done with a release.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    /// There is none.
    Install,
    /// There is one, of other content or in a bad state.
    Upgrade,
    /// It is deployed with this very content; its objects may have been changed since.
    Keep,
    /// One of our runs was interrupted in the middle: its record is forgotten, and the objects it left are adopted.
    Recover,
    /// Somebody else is at it.
    Leave,
}

/// `exclusive`: where nobody else works on the cluster, a run that has left a release pending lives no more.
fn course(latest: Option<&Revision>, digest: &str, exclusive: bool) -> Course {
    let Some(latest) = latest else { return Course::Install };
    match latest.status.as_str() {
        "deployed" if latest.digest.as_deref() == Some(digest) => Course::Keep,
        status if status.starts_with("pending-") && latest.run.is_some() && exclusive => Course::Recover,
        status if status.starts_with("pending-") => Course::Leave,
        "uninstalled" => Course::Install,
        _ => Course::Upgrade,
    }
}

pub(super) async fn install(
    installer: &Installer,
    applier: &Applier<'_>,
    install: &HelmInstall,
    rendered: &Rendered,
    cluster: &Target,
) -> Result<Installed, InstallError> {
    applier.namespace().await?;
    if !rendered.crds.is_empty() {
        crds::install(applier, &rendered.crds).await?;
        crds::served(applier.client, &rendered.crds, applier.notes).await?;
    }
    let deploy = Deploy { installer, applier, install, rendered, cluster };
    deploy.run().await
}

struct Deploy<'a> {
    installer: &'a Installer,
    applier: &'a Applier<'a>,
    install: &'a HelmInstall,
    rendered: &'a Rendered,
    cluster: &'a Target,
}

impl Deploy<'_> {
    async fn run(&self) -> Result<Installed, InstallError> {
        let name = &self.install.release;
        let latest = latest(self.applier.client, self.applier.namespace, name).await?;
        let mut warnings = Vec::new();
        match (course(latest.as_ref(), &self.rendered.digest, self.cluster.exclusive), &latest) {
            (Course::Keep, Some(revision)) => return self.kept(revision).await,
            (Course::Recover, Some(revision)) => {
                self.forget(revision).await?;
                let (number, status) = (revision.number, &revision.status);
                warnings.push(format!(
                    "an interrupted run had left revision {number} of {name} {status}; it was recovered"
                ));
            }
            (Course::Leave, Some(revision)) => return Err(self.pending(revision)),
            (Course::Keep | Course::Recover | Course::Leave | Course::Install | Course::Upgrade, _) => {}
        }
        self.upgrade(warnings).await
    }

    /// A release that others may be working on.
    fn pending(&self, revision: &Revision) -> InstallError {
        let (name, status) = (&self.install.release, &revision.status);
        let by = revision.run.as_ref().map_or("somebody else".to_owned(), |run| format!("the run {run}"));
        let deed = if status == "pending-install" { "uninstall" } else { "rollback" };
        InstallError::Release(format!(
            "the release {name} is {status} by {by}; let them finish, or, if they were killed, run: helm {deed} {name} \
             --namespace {}",
            self.applier.namespace
        ))
    }

    async fn upgrade(&self, warnings: Vec<String>) -> Result<Installed, InstallError> {
        let named = self.named();
        let Some(chart) = &self.rendered.chart else {
            return Err(InstallError::Nothing(format!("the chart {} was not rendered before", named.chart)));
        };
        let mark = Mark { run: &self.installer.run, digest: &self.rendered.digest };
        // Where it is waited for in vain helm tells, or mends it: what is installed may be what serves the webhook.
        self.admitted().await.ok();
        self.applier.notes.waiting(format!("helm installs {} and runs its hooks", named.name));
        let values = helm::values(self.install);
        let release = self.installer.helm.upgrade(&self.cluster.access, &named, chart, values, &mark).await?;
        let saw = match release.version {
            1 => format!("installed {}, revision 1", named.name),
            revision => format!("upgraded {} to revision {revision}", named.name),
        };
        let objects = self.written(&release.manifest)?;
        Ok(Installed { done: Done { saw, warnings }, objects: self.references(&objects).await? })
    }

    /// Waits until admission answers for what operators look after, by server-side dry runs: their webhooks are reached a moment after
    /// they are ready (cloudnative-pg/charts#493, cloudnative-pg/cloudnative-pg#1790), and helm gives up at the first that is not.
    async fn admitted(&self) -> Result<(), InstallError> {
        let group = |object: &DynamicObject| {
            let types = object.types.as_ref()?;
            types.api_version.split_once('/').map(|(group, _)| group.to_owned())
        };
        let is_custom = |object: &&DynamicObject| group(object).is_some_and(|group| !is_built_in(&group));
        let asked = |object| async move {
            self.applier.persist(&manifest::title(object), || self.applier.admits(object)).await
        };
        let each: Vec<_> = self.rendered.objects.iter().filter(is_custom).map(asked).collect();
        stream::iter(each).buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    /// The release as it stands, with what was changed by hand put back.
    async fn kept(&self, revision: &Revision) -> Result<Installed, InstallError> {
        let named = self.named();
        let (name, number) = (named.name, revision.number);
        let objects = self.written(&self.installer.helm.manifest(&self.cluster.access, &named).await?)?;
        let restored = Recorded { applier: self.applier, release: name }.restore(&objects).await?;
        let saw = match restored.put_back.len() {
            0 if restored.unseen.is_empty() => {
                format!("unchanged: all that {name} revision {number} records is in place")
            }
            0 => format!("unchanged as far as can be seen: {name} revision {number}"),
            count => format!("put back {count} of the objects of {name} revision {number}"),
        };
        let warnings = [restored.put_back, restored.unseen].concat();
        Ok(Installed { done: Done { saw, warnings }, objects: self.references(&objects).await? })
    }

    /// What is in the cluster by helm's own account. It may differ from what was rendered: a chart may ask which kinds the
    /// cluster serves, and may make up passwords.
    fn written(&self, text: &str) -> Result<Vec<DynamicObject>, InstallError> {
        let written = render::read(&self.install.release, text)?;
        let objects: Vec<DynamicObject> = written.into_iter().map(|one| one.object).collect();
        hidden::learn(&objects, &self.installer.secrets);
        Ok(objects)
    }

    async fn references(&self, objects: &[DynamicObject]) -> Result<Vec<ObjectRef>, InstallError> {
        let mut references = Vec::new();
        for object in objects {
            let kind = self.applier.persist(&manifest::title(object), || self.applier.kind(object)).await?;
            references.push(apply::reference(&kind, object, self.applier.namespace));
        }
        Ok(references)
    }

    async fn forget(&self, revision: &Revision) -> Result<(), InstallError> {
        let records: Api<Secret> = Api::namespaced(self.applier.client.clone(), self.applier.namespace);
        let gone = records.delete(&revision.record, &DeleteParams::default()).await.map(drop);
        gone.map_err(|source| InstallError::Api {
            deed: format!("forget {}", revision.record),
            source: Box::new(source),
        })
    }

    fn named(&self) -> Named<'_> {
        Named {
            name: &self.install.release,
            namespace: self.applier.namespace,
            chart: helm::title(&self.install.chart),
        }
    }
}

async fn latest(client: &Client, namespace: &str, name: &str) -> Result<Option<Revision>, InstallError> {
    let records: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let of_release = ListParams::default().labels(&format!("owner=helm,name={name}"));
    let found = records.list_metadata(&of_release).await;
    let found = found.map_err(|source| InstallError::Api {
        deed: format!("look for the release {name}"),
        source: Box::new(source),
    })?;
    Ok(found.items.iter().filter_map(revision).max_by_key(|revision| revision.number))
}

/// A revision from its record's labels (helm `pkg/storage/driver/secrets.go`).
pub(super) fn revision(record: &PartialObjectMeta<Secret>) -> Option<Revision> {
    let labels = record.metadata.labels.as_ref()?;
    let label = |key: &str| labels.get(key).cloned();
    Some(Revision {
        record: record.metadata.name.clone()?,
        number: label("version")?.parse().ok()?,
        status: label("status")?,
        run: label(RUN_LABEL),
        digest: label(DIGEST_LABEL),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::{self, Fake};
    use super::*;
    use crate::k8s::Access;

    fn found(status: &str, run: Option<&str>, digest: Option<&str>) -> Revision {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Revision { record: "r".to_owned(), number: 3, status: status.to_owned(), run: own(run), digest: own(digest) }
    }

    #[test]
    fn what_a_record_says_decides_the_course() {
        for (latest, expected) in [
            (None, Course::Install),
            (Some(found("deployed", Some("a"), Some("d"))), Course::Keep),
            (Some(found("deployed", Some("a"), Some("other"))), Course::Upgrade),
            (Some(found("deployed", None, None)), Course::Upgrade),
            (Some(found("failed", Some("a"), Some("d"))), Course::Upgrade),
            (Some(found("pending-install", Some("a"), Some("d"))), Course::Recover),
            (Some(found("pending-upgrade", None, None)), Course::Leave),
        ] {
            assert_eq!(course(latest.as_ref(), "d", true), expected, "{latest:?}");
        }
        let pending = found("pending-install", Some("a"), Some("d"));
        assert_eq!(course(Some(&pending), "d", false), Course::Leave, "its run may live");
    }

    /// A helm that answers as an upgrade or as `get manifest`, and writes down what it was asked.
    const HELM: &str = r#"#!/bin/sh
echo "$*" >> "$(dirname "$0")/asked"
manifest='apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\n'
case "$1" in
  upgrade) printf '{"version": 1, "manifest": "%s"}' "$manifest" ;;
  *) printf "$manifest" ;;
esac
"#;

    const RECORDS: &str = "/api/v1/namespaces/shop/secrets";
    const GREETING: &str = "/api/v1/namespaces/shop/configmaps/greeting";

    fn record(status: &str, digest: &str) -> serde_json::Value {
        let labels = json!({ "owner": "helm", "name": "redis", "version": "1", "status": status, RUN_LABEL: "old",
                             DIGEST_LABEL: digest });
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "record", "labels": labels } })
    }

    /// The chart's one object, with these annotations.
    fn greeting(annotations: &serde_json::Value) -> serde_json::Value {
        let labels = json!({ "app.kubernetes.io/managed-by": "Helm" });
        let metadata = json!({ "name": "greeting", "labels": labels, "annotations": annotations });
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })
    }

    /// What helm writes onto every object of the release.
    fn marks() -> serde_json::Value {
        json!({ "meta.helm.sh/release-name": "redis", "meta.helm.sh/release-namespace": "shop" })
    }

    /// Installs into a cluster with this record of the release, and says what came of it and what helm was asked.
    async fn install(fake: &Fake, status: Option<&str>) -> (Result<Done, crate::ports::Trouble>, String) {
        install_with(fake, status, Vec::new()).await
    }

    /// The same, where these objects were rendered.
    async fn install_with(
        fake: &Fake,
        status: Option<&str>,
        objects: Vec<DynamicObject>,
    ) -> (Result<Done, crate::ports::Trouble>, String) {
        let place = fake::place(HELM);
        let installer = place.installer(crate::secrets::Secrets::default());
        let (notes, _kept) = fake::notes();
        let work = place.work("a", "1");
        let rendered = Rendered { chart: Some("chart".into()), digest: "d".to_owned(), objects, ..Rendered::default() };
        fake.put("/api/v1/namespaces/shop", json!({ "metadata": { "name": "shop" } }));
        if let Some(status) = status {
            fake.put(&format!("{RECORDS}/record"), record(status, "d"));
        }
        let access = Access::Kubeconfig { file: "kubeconfig".into(), context: None };
        let cluster = Target { access, client: fake.client(), exclusive: true };
        let installed = installer.install(&work, &rendered, &cluster, &notes).await;
        let asked = std::fs::read_to_string(place.folder().join("asked")).unwrap_or_default();
        (installed.map(|installed| installed.done), asked)
    }

    #[tokio::test]
    async fn a_release_is_marked_with_run_and_digest_and_never_waited_for() {
        let (done, asked) = install(&Fake::default(), None).await;
        assert_eq!(done.unwrap(), Done::saying("installed redis, revision 1"));
        assert!(asked.contains("--labels seaworthy.dev/run=run-1,seaworthy.dev/digest=d"), "{asked}");
        assert!(asked.contains("--skip-crds") && asked.contains("--kubeconfig kubeconfig"), "{asked}");
        assert!(!asked.contains("--wait") && !asked.contains("--create-namespace"), "{asked}");
    }

    const ORDERS: &str = "POST /apis/example.com/v1/namespaces/shop/orders";

    fn order() -> Vec<DynamicObject> {
        let order = json!({ "apiVersion": "example.com/v1", "kind": "Order", "metadata": { "name": "first" } });
        vec![serde_json::from_value(order).unwrap()]
    }

    #[tokio::test]
    async fn helm_is_asked_once_the_webhook_of_an_operator_answers() {
        let fake = Fake::default();
        fake.refuse(
            ORDERS,
            2,
            500,
            "failed calling webhook \"w\": dial tcp 10.96.0.7:443: connect: connection refused",
        );
        let (done, asked) = install_with(&fake, None, order()).await;
        assert_eq!(done.unwrap(), Done::saying("installed redis, revision 1"));
        assert_eq!(fake.asked().iter().filter(|asked| *asked == ORDERS).count(), 3);
        assert_eq!(asked.matches("upgrade").count(), 1, "{asked}");
        assert!(!fake.holds("first"), "a dry run makes nothing");
    }

    #[tokio::test]
    async fn what_a_webhook_denies_or_nobody_serves_yet_is_left_to_helm_to_tell() {
        let fake = Fake::default();
        fake.refuse(ORDERS, 1, 403, "admission webhook \"w\" denied the request: no");
        let (done, asked) = install_with(&fake, None, order()).await;
        assert!(done.is_ok() && asked.contains("upgrade"), "{asked}");
        let mut unserved = order();
        unserved[0].types.as_mut().unwrap().kind = "Basket".to_owned();
        let (done, asked) = install_with(&fake, None, unserved).await;
        assert!(done.is_ok() && asked.contains("upgrade"), "{asked}");
        assert_eq!(fake.asked().iter().filter(|asked| *asked == ORDERS).count(), 1);
    }

    #[tokio::test]
    async fn a_release_with_this_content_is_left_alone_while_its_objects_are_there() {
        let fake = Fake::default();
        fake.put(GREETING, greeting(&marks()));
        let (done, asked) = install(&fake, Some("deployed")).await;
        assert_eq!(done.unwrap(), Done::saying("unchanged: all that redis revision 1 records is in place"));
        assert!(!asked.contains("upgrade"), "{asked}");
    }

    #[tokio::test]
    async fn what_is_gone_from_a_release_or_was_changed_by_hand_is_named_and_put_back_without_an_upgrade() {
        let fake = Fake::default();
        let (done, asked) = install(&fake, Some("deployed")).await;
        let done = done.unwrap();
        assert_eq!(done.saw, "put back 1 of the objects of redis revision 1");
        assert_eq!(done.warnings, ["ConfigMap greeting was gone from the release redis"]);
        assert!(!asked.contains("upgrade"), "{asked}");

        fake.put(GREETING, greeting(&json!({ "added": "by hand" })));
        let (done, _) = install(&fake, Some("deployed")).await;
        let changed = "ConfigMap greeting was not as the release redis made it: \
                       metadata.annotations.meta.helm.sh/release-name is missing, \
                       metadata.annotations.meta.helm.sh/release-namespace is missing";
        assert_eq!(done.unwrap().warnings, [changed]);
        let (done, _) = install(&fake, Some("deployed")).await;
        assert_eq!(done.unwrap(), Done::saying("unchanged: all that redis revision 1 records is in place"));
    }

    #[tokio::test]
    async fn an_object_that_cannot_be_held_against_its_record_is_named_and_what_cannot_be_put_back_is_the_platforms_red()
     {
        let fake = Fake::default();
        fake.put(GREETING, greeting(&json!({})));
        fake.refuse("PATCH", 1, 400, "admission webhook \"w\" does not support dry run");
        let Done { saw, warnings } = install(&fake, Some("deployed")).await.0.unwrap();
        assert_eq!(saw, "unchanged as far as can be seen: redis revision 1");
        let words = "admission webhook \"w\" does not support dry run";
        assert_eq!(warnings, [format!("whether ConfigMap greeting was changed by hand cannot be seen: {words}")]);
        fake.refuse("PATCH", 1, 422, "data: Forbidden: field is immutable when `immutable` is set");
        let trouble = install(&fake, Some("deployed")).await.0.unwrap_err();
        let stuck = "ConfigMap greeting of the release redis was changed by hand and cannot be put back (data: Forbidden: \
                     field is immutable when `immutable` is set); delete it, and the next run makes it anew";
        assert_eq!(trouble, crate::ports::Trouble::platform(stuck));
    }

    #[tokio::test]
    async fn what_an_interrupted_run_left_pending_is_forgotten_and_installed_again() {
        let fake = Fake::default();
        let (done, asked) = install(&fake, Some("pending-install")).await;
        assert!(done.unwrap().warnings[0].contains("had left revision 1 of redis pending-install"));
        assert!(fake.asked().contains(&format!("DELETE {RECORDS}/record")));
        assert!(asked.contains("upgrade"), "{asked}");
    }
}
