//! What goes wrong is brought about, by the rehearsal's own means or by the hand of a client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::checks::{Address, Host};
use crate::complaint;
use crate::kinds::{Kind, endpoint};
use crate::prove::{Deed, Object, Storm, Whose};
use crate::rehearsal::{Fault, Rehearsal, Streams, Target};
use crate::watch::Hub;

/// The longest that the consequences of a deed are waited for, and of one whose consequences never end.
const CONSEQUENCES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(400));

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// It cannot be done here.
    Cannot(String),
    /// It would do nothing to an object like this one, so that nothing is claimed of it.
    Idle(&'static str),
}

impl From<String> for Hindrance {
    fn from(why: String) -> Self {
        Self::Cannot(why)
    }
}

/// What is waited for once something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// All that comes of it has come.
    Over,
    /// Somebody who watches has been told something.
    Told,
    /// Nothing: it is to be seen to come.
    Done,
}

/// What of an object is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All but its status.
    Itself,
    /// Its status.
    Status,
}

/// Who is struck by a storm.
#[derive(Debug, Default)]
pub(super) struct Aim {
    namespace: String,
    pods: Vec<DynamicObject>,
}

/// How often connections are cut while something lasts.
const CUTS: usize = 2;

/// Kinds whose end is seen only when what they have made is gone as well.
const MAKERS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];

/// Who does what goes wrong in one rehearsal.
pub(super) struct Hand<'a> {
    rehearsal: &'a Rehearsal,
    /// Watches of its own: what is looked at is not to know of it before its time.
    hub: Hub,
    /// The namespace of the component at hand.
    namespace: &'a str,
}

impl<'a> Hand<'a> {
    pub(super) fn new(rehearsal: &'a Rehearsal, client: Client, namespace: &'a str) -> Self {
        Self { rehearsal, hub: Hub::new(client), namespace }
    }

    /// Does all this, and waits for what comes of it.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) async fn prepare(&self, deeds: &[Deed], until: Until) -> Result<(), Hindrance> {
        if deeds.is_empty() {
            return Ok(());
        }
        let mut streams = self.rehearsal.streams();
        let so_far = streams.borrow().watches;
        for deed in deeds {
            self.act(deed).await?;
        }
        let is_endless = deeds.iter().any(|deed| matches!(deed, Deed::Life { .. }));
        match until {
            Until::Over => self.rehearsal.rest(if is_endless { CONSEQUENCES.1 } else { CONSEQUENCES.0 }).await,
            Until::Told => drop(timeout(CONSEQUENCES.0, streams.wait_for(|now| now.watches > so_far)).await),
            Until::Done => {}
        }
        Ok(())
    }

    /// Gets ready for what is to befall a check that has not begun: who is to be replaced, none of whom answers yet.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) async fn aim(&self, storm: &Storm) -> Result<Aim, Hindrance> {
        let Storm::Replace(at) = storm else { return Ok(Aim::default()) };
        let (namespace, pods) = self.behind(at).await?;
        if pods.is_empty() {
            return Err(Hindrance::Cannot(format!("no pod is behind {at}")));
        }
        if !pods.iter().all(|pod| pod.owner_references().iter().any(|owner| owner.controller == Some(true))) {
            return Err(Hindrance::Idle("nobody makes its pods anew"));
        }
        self.rehearsal.hold(true);
        Ok(Aim { namespace, pods })
    }

    /// Does what befalls a check that is under way, and counts how often it did. A gust is counted by the rehearsal.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) async fn interfere(&self, storm: &Storm, aim: &Aim, done: &AtomicUsize) -> Result<(), String> {
        let mut streams = self.rehearsal.streams();
        let lasting = |streams: &Streams| streams.watches + streams.forwards;
        match storm {
            Storm::Gust(gust, at_most) => self.rehearsal.storm(*gust, *at_most),
            Storm::Cut | Storm::Forget => {
                if *storm == Storm::Cut {
                    // Once in the middle of a request, and then of what lasts.
                    more(&mut streams, |streams| streams.requests).await;
                    self.break_off(storm, done);
                }
                for _ in 0..CUTS {
                    more(&mut streams, lasting).await;
                    self.break_off(storm, done);
                }
            }
            Storm::Replace(_) => {
                more(&mut streams, |streams| streams.forwards).await;
                self.replace(&aim.namespace, &aim.pods).await?;
                self.rehearsal.hold(false);
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Does what befalls somebody who has all open that he needs: he must ask again. Waits until he does.
    pub(super) async fn interrupt(&self, storm: &Storm, done: &AtomicUsize) {
        let mut streams = self.rehearsal.streams();
        if let Storm::Gust(gust, at_most) = storm {
            self.rehearsal.storm(*gust, *at_most);
        }
        let expects = |streams: &Streams| if *storm == Storm::Forget { streams.expired } else { streams.requests };
        let so_far = expects(&streams.borrow_and_update());
        self.break_off(storm, done);
        drop(timeout(CONSEQUENCES.0, streams.wait_for(|streams| expects(streams) > so_far)).await);
    }

    /// Breaks every connection, and forgets what has happened if that is it.
    fn break_off(&self, storm: &Storm, done: &AtomicUsize) {
        if *storm == Storm::Forget {
            self.rehearsal.forget();
        }
        self.rehearsal.cut();
        done.fetch_add(1, Ordering::Relaxed);
    }

    async fn act(&self, deed: &Deed) -> Result<(), Hindrance> {
        let done = match deed {
            Deed::Server { at, fault } => self.afflict(at, fault).await,
            Deed::Servers { fault } => self.afflict_all(fault).await,
            Deed::DnsServer { fault, all } => self.afflict_dns(fault, *all).await,
            Deed::Unhook { release, only } => self.unhook(release, only).await,
            Deed::Words(text) => {
                self.rehearsal.let_say(text);
                Ok(())
            }
            Deed::Unserve(definition) => self.rehearsal.unserve(definition),
            Deed::Life { whose, fault } => {
                self.strike(whose, *fault);
                Ok(())
            }
            Deed::Restart(object) => return self.restart(object).await,
            Deed::Merge { object, patch } => self.merge(object, patch, Part::Itself).await,
            Deed::Status { object, patch } => self.merge(object, patch, Part::Status).await,
            Deed::Delete(object) => self.delete(object).await,
            Deed::Recreate(object) => self.recreate(object).await,
            Deed::Create(manifest) => self.create(manifest).await,
        };
        done.map_err(Hindrance::Cannot)
    }

    /// Lets a workload make its pods anew, if it does and there are any.
    async fn restart(&self, object: &Object) -> Result<(), Hindrance> {
        let (api, names) = self.find(object).await?;
        let (mut idle, mut manual) = (true, false);
        for name in &names {
            let spec = api.get(name).await.map_err(|error| cannot("read", object, &error))?.data["spec"].take();
            idle &= spec["replicas"] == 0;
            manual |= spec["updateStrategy"]["type"] == "OnDelete";
        }
        if idle {
            return Err(Hindrance::Idle("it is meant to have no pods"));
        }
        if manual {
            return Err(Hindrance::Idle("it makes its pods anew only where somebody deletes them (`OnDelete`)"));
        }
        let now = jiff::Timestamp::now().to_string();
        let notes = json!({ "kubectl.kubernetes.io/restartedAt": now });
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": notes } } } });
        Ok(self.merge(object, &patch, Part::Itself).await?)
    }

    fn strike(&self, whose: &Whose, fault: Fault) {
        let (namespace, name) = match whose {
            Whose::Within { namespace, name } => (Some(namespace.as_deref().unwrap_or(self.namespace)), name),
            Whose::Definition(name) => (None, name),
        };
        let target = Target { namespace: namespace.map(str::to_owned), name: name.clone() };
        self.rehearsal.afflict(target, Some(fault));
    }

    async fn afflict(&self, at: &Address, fault: &str) -> Result<(), String> {
        let (namespace, pods) = self.behind(at).await?;
        let struck: usize =
            pods.iter().map(|pod| self.rehearsal.afflict_server(&namespace, &pod.name_any(), Some(fault))).sum();
        if struck == 0 {
            return Err(format!("no server behind {at} can be made to show `{fault}`"));
        }
        Ok(())
    }

    async fn afflict_all(&self, fault: &str) -> Result<(), String> {
        let pods = self.pods(self.namespace, "").await?;
        let strike = |pod: &DynamicObject| self.rehearsal.afflict_server(self.namespace, &pod.name_any(), Some(fault));
        match pods.iter().map(strike).sum::<usize>() {
            0 => Err(format!("no server in {} can be made to show `{fault}`", self.namespace)),
            _ => Ok(()),
        }
    }

    async fn afflict_dns(&self, fault: &str, all: bool) -> Result<(), String> {
        let pods = self.pods("kube-system", "k8s-app=kube-dns").await?;
        let meant = if all { pods.len() } else { 1 };
        let strike =
            |pod: &DynamicObject| self.rehearsal.afflict_server("kube-system", &pod.name_any(), Some(fault)).min(1);
        let struck: usize = pods.iter().rev().take(meant).map(strike).sum();
        if struck == 0 || struck < meant {
            return Err(format!("{struck} of {meant} DNS servers can be made to show `{fault}`"));
        }
        Ok(())
    }

    /// The pods that serve an address, and their namespace.
    async fn behind(&self, at: &Address) -> Result<(String, Vec<DynamicObject>), String> {
        let within = |namespace: &Option<String>| namespace.clone().unwrap_or_else(|| self.namespace.to_owned());
        let (object, namespace) = match &at.host {
            Host::Outside(_) => return Err(format!("{at} lies outside the cluster")),
            Host::Service { name, namespace } => (named("Service", namespace.as_ref(), name), within(namespace)),
            Host::Pod { name, namespace } => (named("Pod", namespace.as_ref(), name), within(namespace)),
        };
        let (api, _) = self.find(&object).await?;
        let found = api.get(&object.name).await.map_err(|error| cannot("read", &object, &error))?;
        if object.kind == "Pod" {
            return Ok((namespace, vec![found]));
        }
        let selector = found.data["spec"]["selector"].as_object().cloned().unwrap_or_default();
        if selector.is_empty() {
            return Err(format!("Service {name} selects no pods", name = object.name));
        }
        let labels = selector.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        let pods = self.pods(&namespace, &labels.collect::<Vec<_>>().join(",")).await?;
        Ok((namespace, pods))
    }

    async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<DynamicObject>, String> {
        let kind = self.kind("Pod").await?;
        let api: Api<DynamicObject> = endpoint(self.hub.client(), &kind.resource, Some(namespace));
        let pods = api.list(&ListParams::default().labels(labels)).await;
        pods.map(|list| list.items).map_err(|error| format!("cannot list pods: {}", complaint::chain(&error)))
    }

    /// Deletes pods, and waits until they are gone.
    async fn replace(&self, namespace: &String, pods: &[DynamicObject]) -> Result<(), String> {
        let names: Vec<String> = pods.iter().map(|pod| pod.name_any()).collect();
        for name in &names {
            self.delete(&named("Pod", Some(namespace), name)).await?;
        }
        self.gone(&named("Pod", Some(namespace), "*"), &pods.iter().filter_map(|pod| pod.uid()).collect::<Vec<_>>())
            .await
    }

    /// Merges a patch into an object, or into what it says of itself.
    async fn merge(&self, object: &Object, patch: &Value, part: Part) -> Result<(), String> {
        let (api, names) = self.find(object).await?;
        let (how, patch) = (PatchParams::default(), Patch::Merge(patch));
        for name in names {
            let patched = match part {
                Part::Itself => api.patch(&name, &how, &patch).await,
                Part::Status => api.patch_status(&name, &how, &patch).await,
            };
            patched.map_err(|error| cannot("change", object, &error))?;
        }
        Ok(())
    }

    async fn unhook(&self, release: &str, only: &[String]) -> Result<(), String> {
        let kept = named("Secret", None, &format!("sh.helm.release.v1.{release}.v1"));
        let (api, _) = self.find(&kept).await?;
        let found = api.get(&kept.name).await.map_err(|error| cannot("read", &kept, &error))?;
        let fewer = with_other_hooks(found.data["data"]["release"].as_str().unwrap_or_default(), only)
            .ok_or_else(|| format!("Secret {} holds no release that can be read", kept.name))?;
        self.merge(&kept, &json!({ "data": { "release": fewer } }), Part::Itself).await
    }

    async fn delete(&self, object: &Object) -> Result<(), String> {
        let (api, names) = self.find(object).await?;
        let makes = MAKERS.contains(&object.kind.as_str());
        let policy = if makes { PropagationPolicy::Foreground } else { PropagationPolicy::Background };
        let how = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        let mut uids = Vec::new();
        for name in &names {
            let deleted = api.delete(name, &how).await.map_err(|error| cannot("delete", object, &error))?;
            uids.extend(deleted.left().and_then(|object| object.uid()));
        }
        if makes {
            self.gone(object, &uids).await?;
        }
        Ok(())
    }

    /// Waits until none of these objects is there, by their uids: who makes them anew may call them the same.
    async fn gone(&self, object: &Object, uids: &[String]) -> Result<(), String> {
        let kind = self.kind(&object.kind).await?;
        let is_one = |one: &std::sync::Arc<DynamicObject>| one.uid().is_some_and(|uid| uids.contains(&uid));
        let gone = |objects: &[std::sync::Arc<DynamicObject>]| (!objects.iter().any(is_one)).then_some(());
        let waited = self.hub.until(&kind.resource, self.place(&kind, object).as_deref(), gone).await;
        waited.map_err(|error| complaint::chain(&error))
    }

    async fn recreate(&self, object: &Object) -> Result<(), String> {
        let (api, _) = self.find(object).await?;
        let found = api.get(&object.name).await.map_err(|error| cannot("read", object, &error))?;
        self.delete(object).await?;
        self.gone(object, &found.uid().into_iter().collect::<Vec<_>>()).await?;
        let mut fresh =
            DynamicObject { data: found.data, types: found.types, metadata: kube::api::ObjectMeta::default() };
        fresh.metadata.name = found.metadata.name;
        fresh.metadata.namespace = found.metadata.namespace;
        fresh.metadata.labels = found.metadata.labels;
        fresh.metadata.annotations = found.metadata.annotations;
        if let Some(fields) = fresh.data.as_object_mut() {
            fields.remove("status");
        }
        let created = api.create(&PostParams::default(), &fresh).await;
        created.map(drop).map_err(|error| cannot("create", object, &error))
    }

    async fn create(&self, manifest: &Value) -> Result<(), String> {
        let object: DynamicObject =
            serde_json::from_value(manifest.clone()).map_err(|error| format!("no object: {error}"))?;
        let title = named(manifest["kind"].as_str().unwrap_or_default(), None, &object.name_any());
        let kind = self.kind(&title.kind).await?;
        let api = kind.endpoint(self.hub.client(), &object, self.namespace);
        let created = api.create(&PostParams::default(), &object).await;
        created.map(drop).map_err(|error| cannot("create", &title, &error))
    }

    /// Where an object is reached, and its name; of all of a kind, their names.
    async fn find(&self, object: &Object) -> Result<(Api<DynamicObject>, Vec<String>), String> {
        let kind = self.kind(&object.kind).await?;
        let api: Api<DynamicObject> = endpoint(self.hub.client(), &kind.resource, self.place(&kind, object).as_deref());
        if object.name != "*" {
            return Ok((api, vec![object.name.clone()]));
        }
        let all = api.list(&ListParams::default()).await.map_err(|error| cannot("list", object, &error))?;
        match all.items.iter().map(|object| object.name_any()).collect::<Vec<_>>() {
            names if names.is_empty() => Err(format!("there is no {}", object.kind)),
            names => Ok((api, names)),
        }
    }

    fn place(&self, kind: &Kind, object: &Object) -> Option<String> {
        kind.namespaced.then(|| object.namespace.as_deref().unwrap_or(self.namespace).to_owned())
    }

    async fn kind(&self, kind: &str) -> Result<Kind, String> {
        self.hub.resource(kind).await.map_err(|error| complaint::chain(&error))
    }
}

/// A release as helm keeps it (`pkg/storage/driver/util.go`: gzip in base64, which the API puts into base64 once more; what is
/// not packed is read as well), in which these hooks make something of another name, or without any.
fn with_other_hooks(kept: &str, only: &[String]) -> Option<String> {
    let packed = STANDARD.decode(STANDARD.decode(kept).ok()?).ok()?;
    let mut release: Value = serde_json::from_reader(flate2::read::GzDecoder::new(packed.as_slice())).ok()?;
    let hooks = release["hooks"].as_array_mut()?;
    hooks.retain(|_| !only.is_empty());
    for hook in hooks {
        if let Some(name) = only.iter().find(|name| hook["name"] == ***name) {
            let other = format!("other-than-{name}");
            let manifest = hook["manifest"].as_str().unwrap_or_default().replace(name.as_str(), &other);
            hook["manifest"] = json!(manifest);
        }
    }
    Some(STANDARD.encode(STANDARD.encode(release.to_string())))
}

/// Waits until more has come to be open than was so far.
async fn more(streams: &mut tokio::sync::watch::Receiver<Streams>, count: impl Fn(&Streams) -> usize) {
    let so_far = count(&streams.borrow_and_update());
    // The sender is the rehearsal's, which is there as long as its hand.
    streams.wait_for(|streams| count(streams) > so_far).await.ok();
}

fn named(kind: &str, namespace: Option<&String>, name: &str) -> Object {
    Object { kind: kind.to_owned(), namespace: namespace.cloned(), name: name.to_owned() }
}

fn cannot(what: &str, object: &Object, error: &kube::Error) -> String {
    format!("cannot {what} {} {}: {}", object.kind, object.name, complaint::chain(error))
}
