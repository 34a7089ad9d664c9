//! Running something to its end: a Job, or a pod of its own, made for one check.

use std::hash::Hasher as _;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::OptionFuture;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::launch::{self, Stopwatch};
use super::{Site, Unseen};
use crate::checks::{Admission, Launch, Ran, Verdict};
use crate::complaint;
use crate::k8s::{CHECK_LABEL, RUN_LABEL};
use crate::kinds;
use crate::logs::{self, Heard};
use crate::manifest;
use crate::plan::CheckWork;
use crate::span::Span;
use crate::watch::ObjectRef;

/// How long the end of a log may come after the end of what wrote it.
const LOG_TAIL: Duration = Duration::from_secs(5);

/// How long the start of something may be heard after its end.
const LAUNCH_HEARD: Duration = Duration::from_secs(1);

/// How long what was said of a start may be heard after the start.
const EVENTS_HEARD: Duration = Duration::from_millis(500);

/// How long the cause of a failure may come after the failure.
const CAUSE: Duration = Duration::from_secs(3);

/// Largest part of a log that is held against a claim, in bytes: more than a kubelet keeps of one where nobody says
/// otherwise.
const LOG_READ: u64 = 16 << 20;

/// How something ended: well, or with its causes, the lowest first.
type End = Result<(), Vec<String>>;

/// An object that runs to its end.
pub(super) struct Running<'a> {
    site: &'a Site<'a>,
    object: DynamicObject,
    resource: ApiResource,
    api: Api<DynamicObject>,
}

impl<'a> Running<'a> {
    /// Prepares `object` (a `batch/v1` Job or a Pod): labels it as ours and puts it into the component's namespace.
    pub(super) fn new(site: &'a Site<'a>, mut object: DynamicObject) -> Result<Self, Unseen> {
        let Some(resource) = kinds::running(object.types.as_ref()) else {
            return Err(Unseen(format!("{} is neither a Job nor a Pod", manifest::title(&object))));
        };
        object.metadata.namespace = Some(site.namespace().to_owned());
        label(&mut object, site);
        let api = Api::namespaced_with(site.prober.hub.client().clone(), site.namespace(), &resource);
        Ok(Self { site, object, resource, api })
    }

    /// Removes what an earlier run of the same check left behind, and waits until it is gone.
    pub(super) async fn prune(&self) -> Result<(), Unseen> {
        let selector = kube::api::ListParams::default().labels(&format!("{CHECK_LABEL}={}", mark(self.site.check)));
        let stale = self.api.list(&selector).await.map_err(|error| self.cannot("list earlier runs", &error))?;
        let named = self.object.metadata.name.clone();
        let same = match &named {
            Some(name) => self.api.get_opt(name).await.map_err(|error| self.cannot("look for", &error))?,
            None => None,
        };
        for object in stale.items.into_iter().chain(same) {
            self.delete(&object).await?;
            self.gone(&object).await?;
        }
        Ok(())
    }

    /// Creates it, follows it to its end, and removes it again if it succeeded; one that failed, or that was not launched
    /// in time, stays as evidence until the run is taken down or the next run prunes it.
    pub(super) async fn until_the_end(self, launch: Option<Span>) -> Result<Ran, Unseen> {
        let prober = self.site.prober;
        prober.logs.follow(self.site.namespace());
        let begun = Instant::now();
        let made = match self.api.create(&PostParams::default(), &self.object).await {
            Ok(made) => made,
            Err(error) => match refusal(&error) {
                Some(why) => return Ok(Ran { end: Err(vec![why]), launch: None, log: None, cut: None }),
                None => return Err(self.cannot("create", &error)),
            },
        };
        prober.remember(self.reference(&made));
        // From here on it is looked at: one that hangs breaks its claim, and is no failure to look.
        let (kind, name) = (&self.resource.kind, made.name_any());
        self.site
            .notes
            .stands(Verdict::broken(format!("{kind} {name} runs to success"), format!("{kind} {name} has not ended")));
        let (launch, end) = self.watch(&made, begun, launch).await?;
        let (log, cut) = self.log(&made, end.is_ok()).await;
        if end.is_ok() {
            self.delete(&made).await?;
            prober.forget(&self.reference(&made));
        }
        Ok(Ran { end, launch, log, cut })
    }

    /// When it was launched, and how it ended. What ends without a container that ran was never launched, and what is
    /// not launched in time is not waited for.
    async fn watch(
        &self,
        made: &DynamicObject,
        begun: Instant,
        limit: Option<Span>,
    ) -> Result<(Option<Launch>, End), Unseen> {
        let stopwatch = Mutex::default();
        let (mut launched, mut end) = (pin!(self.launched(made, begun, &stopwatch)), pin!(self.end(made)));
        let late = OptionFuture::from(limit.map(|limit| sleep_until(begun + limit.duration())));
        let end = tokio::select! {
            biased;
            // One that is deleted as soon as it has ended must be seen to end meanwhile.
            pods = &mut launched => {
                let (launch, end) = tokio::join!(self.account(pods, begun, &stopwatch), end);
                return Ok((launch, end?));
            }
            end = &mut end => end?,
            Some(()) = late => return Ok((None, Err(vec![self.unlaunched(limit, begun, &stopwatch)]))),
        };
        // Jobs and pods are watched apart: the end of one may be heard before the start of the other.
        let late = if end.is_ok() { timeout(LAUNCH_HEARD, launched).await.ok().flatten() } else { None };
        Ok((self.account(late, begun, &stopwatch).await, end))
    }

    fn unlaunched(&self, limit: Option<Span>, begun: Instant, stopwatch: &Mutex<Stopwatch>) -> String {
        let limit = limit.map_or_else(String::new, |limit| format!(" within its `launch` of {limit}"));
        let last = self.site.notes.last().note.map_or_else(String::new, |last| format!(": {last}"));
        let spent = locked(stopwatch).parts(Duration::ZERO, begun.elapsed()).told();
        format!("it was not launched{limit} ({spent}){last}")
    }

    /// Its pods, by uid, once a first container was seen running, or to have run.
    async fn launched(
        &self,
        made: &DynamicObject,
        begun: Instant,
        stopwatch: &Mutex<Stopwatch>,
    ) -> Option<Vec<String>> {
        let started = |pods: &[Arc<DynamicObject>]| {
            let own = || pods.iter().filter(|pod| belongs(pod, made)).map(AsRef::as_ref);
            locked(stopwatch).look(own(), begun.elapsed()).then(|| launch::uids(own()))
        };
        self.site.prober.hub.until(&pods(), Some(self.site.namespace()), started).await.ok()
    }

    /// Where the time went of a launch with these pods.
    async fn account(&self, pods: Option<Vec<String>>, begun: Instant, stopwatch: &Mutex<Stopwatch>) -> Option<Launch> {
        let pods = pods?;
        // What was said of the image is read with what was said of the start, which comes after it and is told apart.
        let told = |events: &[Arc<DynamicObject>]| {
            let is_told = events.iter().any(|event| launch::is_start(event, &pods));
            is_told.then(|| launch::pulled(events.iter().map(AsRef::as_ref), &pods))
        };
        let events = events();
        let hub = &self.site.prober.hub;
        let told = timeout(EVENTS_HEARD, hub.until(&events, Some(self.site.namespace()), told)).await;
        let pulling = told.ok().and_then(Result::ok).unwrap_or_default();
        Some(locked(stopwatch).parts(pulling, begun.elapsed()))
    }

    /// How it ended; what is doomed ends at once.
    async fn end(&self, made: &DynamicObject) -> Result<End, Unseen> {
        let hub = &self.site.prober.hub;
        let reference = [self.reference(made)];
        let doomed = || async {
            match hub.settle(&reference, self.site.notes).await {
                Ok(Err(doom)) => Ok(std::iter::once(doom.why).chain(doom.details).collect()),
                Err(error) => Err(Unseen(complaint::chain(&error))),
                // Ready is not the same as ended.
                Ok(Ok(_)) => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            biased;
            causes = doomed() => return Ok(Err(causes?)),
            end = self.finished(made) => match end? {
                Ok(()) => return Ok(Ok(())),
                Err(why) => why,
            },
        };
        // Its own word is that it failed; what failed it takes a moment longer to read. A pod that was ready for a moment
        // was believed then, and is looked at anew.
        match timeout(CAUSE, doomed()).await {
            Ok(causes) => Ok(Err(causes?)),
            Err(_) => Ok(Err(vec![why])),
        }
    }

    async fn finished(&self, made: &DynamicObject) -> Result<Result<(), String>, Unseen> {
        let hub = &self.site.prober.hub;
        let own = |objects: &[Arc<DynamicObject>]| {
            let now = objects.iter().find(|object| object.uid() == made.uid());
            // Gone before its end was seen: by its own deletion policy, or by a hand.
            now.map_or_else(|| Some(Err("it was deleted before it ended".to_owned())), |object| ended(object))
        };
        let seen = hub.until(&self.resource, Some(self.site.namespace()), skip_until_known(made, own)).await;
        seen.map_err(|error| Unseen(complaint::chain(&error)))
    }

    /// The whole log, and why it is incomplete. What has succeeded had a pod, of which the watch of pods may not have heard yet, and
    /// in it containers that have all run, of which the keeper of logs may not.
    async fn log(&self, made: &DynamicObject, succeeded: bool) -> (Option<String>, Option<String>) {
        let prober = self.site.prober;
        let here = |pods: &[Arc<DynamicObject>]| {
            let own = pods.iter().filter(|pod| belongs(pod, made));
            let own: Vec<_> = own.map(|pod| (pod.name_any(), pod.uid(), containers(pod))).collect();
            (!succeeded || !own.is_empty()).then_some(own)
        };
        let pods = timeout(LOG_TAIL, prober.hub.until(&pods(), Some(self.site.namespace()), here)).await;
        let mut heard = Vec::new();
        for (name, uid, containers) in pods.ok().and_then(Result::ok).unwrap_or_default() {
            let least = if succeeded { containers } else { 0 };
            let ended = prober.logs.ended(&name, uid.as_deref().unwrap_or_default(), least);
            heard.push(timeout(LOG_TAIL, ended).await.unwrap_or_else(|_elapsed| {
                let mut so_far = prober.logs.of_pod(&name);
                so_far.cut.entry(name).or_insert_with(|| format!("no end of it after {}", Span::from(LOG_TAIL)));
                so_far
            }));
        }
        read(&heard).await
    }

    async fn delete(&self, object: &DynamicObject) -> Result<(), Unseen> {
        match self.api.delete(&object.name_any(), &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(self.cannot("delete", &error)),
        }
    }

    async fn gone(&self, object: &DynamicObject) -> Result<(), Unseen> {
        let gone = |objects: &[Arc<DynamicObject>]| objects.iter().all(|one| one.uid() != object.uid()).then_some(());
        let waited = self.site.prober.hub.until(&self.resource, Some(self.site.namespace()), gone).await;
        waited.map_err(|error| Unseen(complaint::chain(&error)))
    }

    fn reference(&self, made: &DynamicObject) -> ObjectRef {
        let namespace = Some(self.site.namespace().to_owned());
        ObjectRef { resource: self.resource.clone(), namespace, name: made.name_any() }
    }

    fn cannot(&self, what: &str, error: &kube::Error) -> Unseen {
        let (kind, name) = (&self.resource.kind, self.object.name_any());
        Unseen(format!("cannot {what} {kind} {name}: {}", complaint::chain(error)))
    }
}

/// What the platform says against an object that was to be made; `None` where it was not heard on that.
pub(super) fn refusal(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else { return None };
    match Admission::refused(status.code, &status.message) {
        Admission::Denied { words } | Admission::Invalid { words } => {
            matches!(status.code, 400 | 403 | 422).then_some(words)
        }
        Admission::Accepted | Admission::Unready { .. } | Admission::Forbidden { .. } => None,
    }
}

/// A watch may not have heard of an object that was just made: its absence counts only after its presence.
fn skip_until_known<T>(
    made: &DynamicObject,
    mut decide: impl FnMut(&[Arc<DynamicObject>]) -> Option<T> + Send,
) -> impl FnMut(&[Arc<DynamicObject>]) -> Option<T> + Send {
    let uid = made.uid();
    let mut known = false;
    move |objects| {
        known |= objects.iter().any(|object| object.uid() == uid);
        if known { decide(objects) } else { None }
    }
}

/// Puts the marks on an object by which it is found and taken away.
pub(super) fn label(object: &mut DynamicObject, site: &Site<'_>) {
    let marks = [(RUN_LABEL, site.prober.run.clone()), (CHECK_LABEL, mark(site.check))];
    object.labels_mut().extend(marks.map(|(key, value)| (key.to_owned(), value)));
}

/// The mark on what a check runs, so that what an earlier run left is found and pruned: `suite.component.check` as a
/// label's value, which has at most 63 characters. A longer one ends in a sum of itself: checks that begin alike would
/// prune each other's Jobs.
#[must_use]
pub fn mark(check: &CheckWork) -> String {
    let mark = format!("{}.{}.{}", check.key.suite, check.key.component, check.spec.name);
    if mark.len() <= 63 {
        return mark;
    }
    // Without a seed: the same in every run.
    let mut sum = std::hash::DefaultHasher::new();
    sum.write(mark.as_bytes());
    format!("{}-{:08x}", mark[..54].trim_end_matches(['.', '-']), sum.finish() >> 32)
}

fn events() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Event>(&())
}

fn locked(stopwatch: &Mutex<Stopwatch>) -> MutexGuard<'_, Stopwatch> {
    stopwatch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pods() -> ApiResource {
    ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&())
}

fn belongs(pod: &DynamicObject, made: &DynamicObject) -> bool {
    pod.uid() == made.uid() || pod.owner_references().iter().any(|owner| Some(&owner.uid) == made.meta().uid.as_ref())
}

/// How many containers of a pod have run, if it did not fail: one that was evicted may have run none.
fn containers(pod: &DynamicObject) -> usize {
    if pod.data["status"]["phase"] == "Failed" {
        return 0;
    }
    let count = |list: &str| pod.data["spec"][list].as_array().map_or(0, Vec::len);
    count("initContainers") + count("containers")
}

/// How a Job or a pod says it ended. A Job's interim conditions (`SuccessCriteriaMet`, `FailureTarget`) are no end.
fn ended(object: &DynamicObject) -> Option<Result<(), String>> {
    let status = &object.data["status"];
    match status["phase"].as_str() {
        Some("Succeeded") => return Some(Ok(())),
        Some("Failed") => return Some(Err(words(status, "the pod failed"))),
        Some(_) | None => {}
    }
    let met = status["conditions"].as_array()?.iter().find(|condition| {
        condition["status"] == "True" && (condition["type"] == "Complete" || condition["type"] == "Failed")
    })?;
    Some(match (met["type"] == "Complete", status["succeeded"].as_u64().unwrap_or_default()) {
        (true, 0) => Err("the Job has completed without running anything".to_owned()),
        (true, _) => Ok(()),
        (false, _) => Err(words(met, "the Job failed")),
    })
}

fn words(of: &Value, what: &str) -> String {
    let said = ["reason", "message"].map(|field| of[field].as_str().unwrap_or_default());
    format!("{what}: {}", said.join(" ").trim()).trim_end_matches([':', ' ']).to_owned()
}

/// The text of the files, without the times that stand before each line.
async fn read(heard: &[Heard]) -> (Option<String>, Option<String>) {
    use tokio::io::AsyncReadExt as _;
    let (mut log, mut cut) = (None, heard.iter().flat_map(|heard| heard.cut.values()).next().cloned());
    for path in heard.iter().flat_map(|heard| &heard.files) {
        let mut bytes = Vec::new();
        let all = async { tokio::fs::File::open(path).await?.take(LOG_READ).read_to_end(&mut bytes).await };
        match all.await {
            Ok(_) => {}
            // Of who has said nothing there is no file.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => drop(cut.get_or_insert_with(|| format!("a part of it cannot be read: {error}"))),
        }
        if bytes.len() as u64 == LOG_READ {
            cut.get_or_insert_with(|| format!("what it wrote after its first {} MiB is not read", LOG_READ >> 20));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().map(logs::words);
        let log = log.get_or_insert_with(String::new);
        lines.for_each(|line| log.extend([line, "\n"]));
    }
    (log, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(status: &Value) -> DynamicObject {
        serde_json::from_value(
            json!({ "apiVersion": "v1", "kind": "X", "metadata": { "name": "x" }, "status": status }),
        )
        .unwrap()
    }

    #[test]
    fn only_terminal_conditions_end_a_job() {
        let condition =
            |kind: &str| json!({ "conditions": [{ "type": kind, "status": "True", "reason": "R", "message": "m" }] });
        assert_eq!(ended(&object(&condition("SuccessCriteriaMet"))), None);
        assert_eq!(ended(&object(&condition("FailureTarget"))), None);
        let mut complete = condition("Complete");
        let nothing = "the Job has completed without running anything".to_owned();
        assert_eq!(ended(&object(&complete)), Some(Err(nothing)), "it wants no completions");
        complete["succeeded"] = json!(1);
        assert_eq!(ended(&object(&complete)), Some(Ok(())));
        assert_eq!(ended(&object(&condition("Failed"))), Some(Err("the Job failed: R m".to_owned())));
        assert_eq!(ended(&object(&json!({}))), None);
    }

    // The stand's client wants a runtime.
    #[tokio::test]
    async fn marks_of_long_names_that_begin_alike_differ_and_fit_into_a_label() {
        let marked = |component: &str, name: &str| {
            let mut work = crate::probes::stand::Stand::of("dns: { name: x }").work;
            work.key.component = component.parse().unwrap();
            work.spec.name = name.parse().unwrap();
            mark(&work)
        };
        assert_eq!(marked("redis", "answers"), "data-plane.redis.answers");
        let long =
            |end: &str| marked("a-component-of-thirty-two-letter", &format!("says-all-that-there-is-to-say-{end}"));
        let [one, other] = ["1", "2"].map(long);
        assert!(one != other && one.len() <= 63 && one == long("1"), "{one} {other}");
    }

    #[test]
    fn what_the_platform_refuses_speaks_against_the_object_and_a_missing_right_does_not() {
        let error =
            |code: u16, words: &str| kube::Error::Api(kube::core::Status::failure(words, "").with_code(code).boxed());
        let quota = "jobs.batch \"a\" is forbidden: exceeded quota: q";
        assert_eq!(refusal(&error(403, quota)).as_deref(), Some(quota));
        assert_eq!(refusal(&error(403, "jobs is forbidden: User \"u\" cannot create resource \"jobs\"")), None);
        assert_eq!(refusal(&error(409, "jobs.batch \"a\" already exists")), None);
        assert_eq!(refusal(&error(500, "etcdserver: leader changed")), None);
    }

    #[test]
    fn a_pod_ends_by_its_phase() {
        assert_eq!(ended(&object(&json!({ "phase": "Running" }))), None);
        assert_eq!(ended(&object(&json!({ "phase": "Succeeded" }))), Some(Ok(())));
        assert_eq!(
            ended(&object(&json!({ "phase": "Failed", "reason": "Evicted" }))),
            Some(Err("the pod failed: Evicted".to_owned()))
        );
    }
}
