//! Any other resource, by the conventions of the systems that this program meets.
//!
//! - A new object with an empty status is not ready: no controller has touched it.
//! - A status about an older generation says nothing, whether it is the whole status or one condition.
//! - The tables name the systems that have conventions of their own.

use serde_json::Value;

use super::object::{list, text, words};
use super::{Health, Object, Surroundings, pods, workloads};

/// Conditions that say yes, where there is no `Ready` to say it for all: each that is there must be `True`.
const POSITIVE: [&str; 11] = [
    "Available",
    "Programmed",
    "Accepted",
    "ResolvedRefs",
    "Healthy",
    "Synced",
    "Done",
    "Complete",
    "Succeeded",
    "Applied",
    "Established",
];

/// Reasons with which `Ready` is `True` and means little: External Secrets cannot validate, or lost its source.
const HOLLOW: [&str; 3] = ["ValidationUnknown", "SecretDeleted", "SecretMissing"];

/// Where a phase is the whole status: group, kind, JSON pointer, the phase of a ready one.
const PHASED: [(&str, &str, &str, &str); 8] = [
    ("postgresql.cnpg.io", "Cluster", "/status/phase", "Cluster in healthy state"),
    ("postgresql.cnpg.io", "Backup", "/status/phase", "completed"),
    ("clickhouse.altinity.com", "ClickHouseInstallation", "/status/status", "Completed"),
    ("clickhouse-keeper.altinity.com", "ClickHouseKeeperInstallation", "/status/status", "Completed"),
    ("redis.redis.opstreelabs.in", "RedisCluster", "/status/state", "Ready"),
    ("minio.min.io", "Tenant", "/status/currentState", "Initialized"),
    ("apps.gitlab.com", "GitLab", "/status/phase", "Running"),
    ("postgresql.cnpg.io", "Database", "/status/applied", "true"),
];

/// Kinds that have a status which nothing writes: configuration that an operator only reads.
const READ_ONLY: [(&str, &str); 6] = [
    ("monitoring.coreos.com", "ServiceMonitor"),
    ("monitoring.coreos.com", "PodMonitor"),
    ("monitoring.coreos.com", "Probe"),
    ("monitoring.coreos.com", "PrometheusRule"),
    ("monitoring.coreos.com", "ScrapeConfig"),
    ("monitoring.coreos.com", "AlertmanagerConfig"),
];

/// Phases of these after which nothing comes: group, kind, phase (CloudNativePG `api/v1/backup_types.go`, and of a later version).
const FINAL: [(&str, &str, &str); 2] =
    [("postgresql.cnpg.io", "Backup", "failed"), ("postgresql.cnpg.io", "Backup", "invalid backup definition")];

/// A workload that is made for an object.
struct Made {
    group: &'static str,
    kind: &'static str,
    /// The kind of the workload.
    workload: &'static str,
    /// The JSON pointer to how many pods it is to have, and how many where that is not said.
    pods: (&'static str, i64),
    /// The container that matters, and the JSON pointer to its image, or to the containers that it is among.
    image: (&'static str, &'static str),
}

/// Kinds whose operator writes nothing of how they are, whatever their status: each is as ready as what is made for it. Of a RedisFailover
/// there is no status at all (spotahome/redis-operator `api/redisfailover/v1/types.go`), of a Pooler how many pods somebody tries to
/// schedule (CloudNativePG `api/v1/pooler_types.go`). That what is made is of the newest specification is seen by the number of its pods
/// and by their image alone.
const MADE: [Made; 3] = [
    Made {
        group: "databases.spotahome.com",
        kind: "RedisFailover",
        workload: "StatefulSet",
        pods: ("/spec/redis/replicas", 3),
        image: ("redis", "/spec/redis/image"),
    },
    Made {
        group: "databases.spotahome.com",
        kind: "RedisFailover",
        workload: "Deployment",
        pods: ("/spec/sentinel/replicas", 3),
        image: ("sentinel", "/spec/sentinel/image"),
    },
    Made {
        group: "postgresql.cnpg.io",
        kind: "Pooler",
        workload: "Deployment",
        pods: ("/spec/instances", 1),
        image: ("pgbouncer", "/spec/template/spec/containers"),
    },
];

/// Phases by which resources without a convention of their own say that they are ready.
const READY_PHASES: [&str; 9] =
    ["Ready", "Running", "Active", "Available", "Bound", "Healthy", "Succeeded", "Completed", "Deployed"];

pub(super) fn assess(object: Object<'_>, around: &Surroundings<'_>) -> Health {
    let own = by_status(object, around);
    // A phase is written when something was done; that what was made goes down later is not always (Altinity/clickhouse-operator#1994).
    if matches!(own, Health::Ready { .. }) && phased(object).is_none() {
        return own;
    }
    // What it owns says more about why it is not ready than its own status does.
    let owned = Health::gravest(owned(object, around)).filter(|health| health.gravity() > own.gravity());
    owned.map_or(own, |health| health.below(object))
}

fn by_status(object: Object<'_>, around: &Surroundings<'_>) -> Health {
    if let Some(health) = by_what_is_made(object, around) {
        return health;
    }
    let status = object.data.get("status").filter(|status| status.as_object().is_some_and(says_something));
    let Some(status) = status else { return untouched(object, around) };
    let line = |words: &str| format!("{} {}: {words}", object.kind, object.name());
    if object.is_stale() {
        return Health::waiting(line("its controller has not seen the newest specification"));
    }
    if let Some(stalled) = object.holds("Stalled") {
        return Health::doomed(line(&said(stalled)));
    }
    // Strimzi has no Ready while NotReady holds; what runs once has only Failed, and may be tried again.
    if let Some(bad) = ["Reconciling", "NotReady", "Failed"].into_iter().find_map(|kind| object.holds(kind)) {
        return Health::waiting(line(&said(bad)));
    }
    by_phase_of_its_own(object)
        .or_else(|| by_conditions(object, object.conditions()))
        .or_else(|| by_parents(object))
        .or_else(|| by_phase(object))
        .unwrap_or_else(|| by_what_it_owns(object, around, status))
}

/// Of a status that has no word for how the object is (a RedisReplication names its master, and nothing else): it has been written, and what
/// the object owns must be ready as well.
fn by_what_it_owns(object: Object<'_>, around: &Surroundings<'_>, status: &Value) -> Health {
    let written = match status.get("observedGeneration") {
        Some(_) => "its controller has seen the newest specification",
        None => "its status has been written and names no condition",
    };
    Health::gravest(owned(object, around)).map_or_else(|| Health::ready(written), |it| it.below(object))
}

/// Whether anything is in a status: defaults of its schema (`conditions: []`) are nobody's word.
fn says_something(status: &serde_json::Map<String, Value>) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    !status.values().all(is_empty)
}

/// An object without a status: ready only if nothing ever writes one, or what it owns is ready.
fn untouched(object: Object<'_>, around: &Surroundings<'_>) -> Health {
    if READ_ONLY.contains(&(object.group, object.kind)) {
        return Health::ready("exists; nothing reports on this kind");
    }
    let mut workloads = owned(object, around).peekable();
    if workloads.peek().is_some() {
        return Health::gravest(workloads)
            .map_or_else(|| Health::ready("everything it owns is ready"), |it| it.below(object));
    }
    if around.has_no_status(object) {
        return Health::ready("exists; its kind has no status");
    }
    Health::waiting(format!("{} {}: no controller has written a status", object.kind, object.name()))
}

/// Of a kind that is as ready as the workloads made for it: those must be there first, and for as many pods as it says by now.
fn by_what_is_made(object: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let is_told = |made: &Made| made.kind != "RedisFailover" || made.workload != "Deployment" || has_sentinels(object);
    let made = MADE.iter().filter(|made| (object.group, object.kind) == (made.group, made.kind));
    let mut made = made.filter(|made| is_told(made)).peekable();
    made.peek()?;
    let short = made.find_map(|made| made.lack(object, around));
    Some(match short {
        Some(words) => Health::waiting(format!("{} {}: {words}", object.kind, object.name())),
        None => Health::gravest(owned(object, around))
            .map_or_else(|| Health::ready("everything that was made for it is ready"), |it| it.below(object)),
    })
}

impl Made {
    /// What the workload lacks of what the object says by now.
    fn lack(&self, object: Object<'_>, around: &Surroundings<'_>) -> Option<String> {
        let (kind, (pointer, usual)) = (self.workload, self.pods);
        if !around.sees(kind) {
            return Some(format!("its {kind} may not be looked at, and nothing else says how it is"));
        }
        let workloads: Vec<Object<'_>> = around.owned(kind, object).collect();
        if workloads.is_empty() {
            return Some(format!("its operator has made no {kind} yet"));
        }
        let has: i64 = workloads.iter().map(|one| one.number("/spec/replicas").unwrap_or(1)).sum();
        let wanted = match object.number(pointer).unwrap_or(usual) {
            0 if self.kind == "Pooler" => return Some("it is to have no pods".to_owned()),
            // The operator takes what is none for what is not said (`validate.go`).
            ..=0 => usual,
            wanted => wanted,
        };
        if has != wanted {
            return Some(format!("its {kind} is for {has} of {wanted} pods"));
        }
        let wanted = self.image_in(object.data.pointer(self.image.1)?)?;
        let containers = workloads.iter().filter_map(|one| one.data.pointer("/spec/template/spec/containers"));
        let former = containers.filter_map(|all| self.image_in(all)).find(|image| *image != wanted)?;
        Some(format!("its {kind} is of the image {former}, and not yet of {wanted}"))
    }

    /// The image that is named here: by itself, or by the container that matters.
    fn image_in<'a>(&self, here: &'a Value) -> Option<&'a str> {
        let among = || here.as_array()?.iter().find(|container| container["name"] == self.image.0)?["image"].as_str();
        here.as_str().or_else(among)
    }
}

/// Whether a RedisFailover has Sentinels of its own: while it follows a master from elsewhere, only where that is said.
fn has_sentinels(failover: Object<'_>) -> bool {
    let node = failover.data.pointer("/spec/bootstrapNode");
    node.is_none_or(|node| node.is_null() || node["allowSentinels"] == true)
}

/// How the workloads and pods are that an object owns.
fn owned<'a>(object: Object<'a>, around: &'a Surroundings<'_>) -> impl Iterator<Item = Health> + 'a {
    let sets = around.owned("StatefulSet", object).map(|set| workloads::stateful_set(set, around));
    let deployments = around.owned("Deployment", object).map(|it| workloads::deployment(it, around));
    let pods = around.owned("Pod", object).map(|pod| pods::assess(pod, around));
    sets.chain(deployments).chain(pods)
}

/// Of a kind whose phase is its whole status: where that is written, and the one of a ready object.
fn phased(object: Object<'_>) -> Option<(&'static str, &'static str)> {
    let row = PHASED.into_iter().find(|(group, kind, ..)| (object.group, object.kind) == (*group, *kind));
    row.map(|(_, _, pointer, wanted)| (pointer, wanted))
}

fn by_phase_of_its_own(object: Object<'_>) -> Option<Health> {
    let (pointer, wanted) = phased(object)?;
    let phase = match object.data.pointer(pointer) {
        Some(Value::String(phase)) => phase.clone(),
        Some(other) => other.to_string(),
        // CloudNativePG's first status has certificates and no phase.
        None => {
            let words = format!("{} {}: its status has no state yet", object.kind, object.name());
            return Some(Health::waiting(words));
        }
    };
    if phase == wanted {
        return Some(short_of(object).unwrap_or_else(|| Health::ready(phase)));
    }
    // CloudNativePG says beside its phase what that is about, and of a Database nothing else; Altinity what went wrong.
    let words = ["/status/phaseReason", "/status/message", "/status/error"]
        .into_iter()
        .find_map(|pointer| object.data.pointer(pointer).and_then(Value::as_str).filter(|words| !words.is_empty()));
    let why = words.map(|words| format!(": {words}")).unwrap_or_default();
    let line = format!("{} {}: its state is {phase:?}{why}", object.kind, object.name());
    let is_final = FINAL.contains(&(object.group, object.kind, phase.as_str()));
    Some(if is_final { Health::doomed(line) } else { Health::waiting(line) })
}

/// CloudNativePG leaves its phase as it was when an instance goes away later (cloudnative-pg/cloudnative-pg#7895): ready are as many
/// as it counts.
fn short_of(object: Object<'_>) -> Option<Health> {
    if object.kind != "Cluster" {
        return None;
    }
    let count = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_i64);
    let (wanted, ready) = (count("/spec/instances")?, count("/status/readyInstances").unwrap_or_default());
    let words = || format!("Cluster {}: {ready} of {wanted} instances are ready", object.name());
    (ready < wanted).then(|| Health::waiting(words()))
}

/// `Ready` for all where it is there, else every positive condition.
fn by_conditions(object: Object<'_>, conditions: &[Value]) -> Option<Health> {
    let all = |kind: &str| conditions.iter().find(|condition| text(condition, "/type") == kind);
    let asked: Vec<_> = match all("Ready") {
        Some(ready) => vec![ready],
        None => POSITIVE.into_iter().filter_map(all).collect(),
    };
    let lacking = asked.iter().find_map(|condition| Some((condition, lack(object, condition)?)));
    let attempt = all("Issuing").filter(|attempt| text(attempt, "/reason") == "Failed");
    match (lacking, attempt) {
        // A Certificate is not ready since it has no Secret; why it has none says the last attempt to issue it (cert-manager
        // `pkg/apis/certmanager/v1`, `CertificateConditionIssuing`).
        (Some(_), Some(attempt)) => {
            Some(Health::waiting(format!("{} {}: Issuing has failed: {}", object.kind, object.name(), said(attempt))))
        }
        (Some((condition, lack)), None) => {
            let kind = text(condition, "/type");
            Some(Health::waiting(format!("{} {}: {kind} is {lack}", object.kind, object.name())))
        }
        (None, _) => asked.first().map(|condition| Health::ready(format!("{} is True", text(condition, "/type")))),
    }
}

/// What is wrong with a condition that should be `True`. Not every status is one of three: Prometheus has `Degraded`.
fn lack(object: Object<'_>, condition: &Value) -> Option<String> {
    let observed = condition.pointer("/observedGeneration").and_then(Value::as_i64);
    let stale = observed.is_some_and(|observed| observed < object.metadata.generation.unwrap_or_default());
    let status = match condition.pointer("/status") {
        Some(Value::Bool(true)) => "True",
        Some(Value::String(status)) => status,
        _ => "not known",
    };
    match status {
        "True" if stale => Some("True for an older specification".to_owned()),
        "True" if HOLLOW.contains(&text(condition, "/reason")) => Some(format!("True, but: {}", said(condition))),
        "True" => None,
        other => Some(format!("{other}: {}", said(condition))),
    }
}

/// Routes of the Gateway API have their conditions once for each parent.
fn by_parents(object: Object<'_>) -> Option<Health> {
    let parents = object.list("/status/parents").iter();
    let parents: Vec<_> = parents.filter_map(|parent| by_conditions(object, list(parent, "/conditions"))).collect();
    let first = parents.first()?.clone();
    Some(Health::gravest(parents).unwrap_or(first))
}

fn by_phase(object: Object<'_>) -> Option<Health> {
    let phase =
        ["/status/phase", "/status/state"].into_iter().map(|at| object.text(at)).find(|phase| !phase.is_empty())?;
    if READY_PHASES.iter().any(|ready| ready.eq_ignore_ascii_case(phase)) {
        return Some(Health::ready(phase));
    }
    let message = object.text("/status/message");
    Some(Health::waiting(format!("{} {} is {phase} {message}", object.kind, object.name()).trim_end().to_owned()))
}

/// A condition's message with its reason.
fn said(condition: &Value) -> String {
    match (text(condition, "/message").trim(), text(condition, "/reason")) {
        ("", _) => words(condition).to_owned(),
        (message, "") => message.to_owned(),
        (message, reason) => format!("{message} ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::literal::{doomed, ready, statusless, waiting};

    #[test]
    fn a_certificate_that_could_not_be_issued_says_why_and_not_what_it_lacks() {
        let conditions = |more: &str| {
            let ready = "{ type: Ready, status: 'False', reason: DoesNotExist, message: the Secret does not exist }";
            resource("cert-manager.io/Certificate", &format!("conditions: [{more}{ready}]"))
        };
        let failed = conditions("{ type: Issuing, status: 'False', reason: Failed, message: no account }, ");
        waiting(&failed, "Certificate x: Issuing has failed: no account (Failed)");
        waiting(&conditions(""), "Certificate x: Ready is False: the Secret does not exist (DoesNotExist)");
    }

    fn resource(kind: &str, status: &str) -> String {
        let (group, kind) = kind.split_once('/').unwrap_or(("example.org", kind));
        format!(
            "apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{ name: x, uid: o1, generation: 2 }}\nstatus: {{ {status} }}"
        )
    }

    fn conditions(conditions: &str) -> String {
        resource("Thing", &format!("conditions: [{conditions}]"))
    }

    #[test]
    fn a_status_of_empty_fields_is_as_good_as_none() {
        waiting(&conditions(""), "Thing x: no controller has written a status");
        waiting(&resource("Thing", "conditions: [], pods: {}"), "Thing x: no controller has written a status");
    }

    #[test]
    fn what_says_that_it_failed_is_not_ready() {
        waiting(&conditions("{ type: Failed, status: 'True', message: it broke }"), "Thing x: it broke");
    }

    #[test]
    fn a_new_object_with_empty_status_is_not_ready() {
        waiting(&resource("Thing", ""), "Thing x: no controller has written a status");
    }

    #[test]
    fn a_kind_on_which_nothing_reports_is_ready_by_existing() {
        ready(&resource("monitoring.coreos.com/ServiceMonitor", ""), "exists; nothing reports on this kind");
    }

    #[test]
    fn an_object_without_a_status_is_as_ready_as_what_it_owns() {
        let set = |ready: u8| {
            format!(
                "{}\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{ name: s, ownerReferences: [{{ apiVersion: a/v1, \
                 kind: Thing, name: x, uid: o1 }}] }}\nstatus: {{ observedGeneration: 0, replicas: 1, updatedReplicas: 1, \
                 readyReplicas: {ready} }}",
                resource("Thing", "")
            )
        };
        ready(&set(1), "everything it owns is ready");
        waiting(&set(0), "StatefulSet s: 0 of 1 pods are available");
    }

    #[test]
    fn a_status_without_a_word_for_readiness_leaves_that_to_what_is_owned() {
        for (status, written) in [
            ("masterNode: x-0", "its status has been written and names no condition"),
            ("observedGeneration: 2", "its controller has seen the newest specification"),
        ] {
            let object = resource("redis.redis.opstreelabs.in/RedisReplication", status);
            ready(&object, written);
            ready(&format!("{object}{}", owned("StatefulSet", 3, 3)), written);
            waiting(&format!("{object}{}", owned("StatefulSet", 3, 2)), "StatefulSet w: 2 of 3 pods are available");
        }
    }

    /// A workload that `Thing x` of these tests owns, for so many pods, of which so many are ready.
    fn owned(kind: &str, pods: u8, ready: u8) -> String {
        format!(
            "\n---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{ name: w, uid: w1, ownerReferences: [{{ apiVersion: a/v1, kind: \
             Thing, name: x, uid: o1 }}] }}\nspec: {{ replicas: {pods}, template: {{ spec: {{ containers: [{{ name: redis, image: 'redis:7' }}, \
             {{ name: pgbouncer, image: 'pgbouncer:1' }}] }} }} }}\nstatus: {{ observedGeneration: 0, replicas: {pods}, updatedReplicas: {pods}, readyReplicas: {ready}, availableReplicas: {ready} }}"
        )
    }

    #[test]
    fn a_phase_that_was_written_once_does_not_hide_that_what_was_made_is_down() {
        let installation = resource("clickhouse.altinity.com/ClickHouseInstallation", "status: Completed");
        ready(&installation, "Completed");
        ready(&format!("{installation}{}", owned("StatefulSet", 2, 2)), "Completed");
        waiting(&format!("{installation}{}", owned("StatefulSet", 2, 1)), "StatefulSet w: 1 of 2 pods are available");
    }

    #[test]
    fn a_redis_failover_is_not_ready_before_its_servers_and_its_sentinels() {
        let kind = ("databases.spotahome.com".to_owned(), "RedisFailover".to_owned());
        let failover = |spec: &str, workloads: &str| {
            let text = "apiVersion: databases.spotahome.com/v1\nkind: RedisFailover\nmetadata: { name: x, uid: o1, generation: 1 }";
            // As its definition is: nothing could ever be written of it.
            statusless(&format!("{text}\nspec: {{ {spec} }}{workloads}"), kind.clone())
        };
        let (servers, sentinels) = (|ready| owned("StatefulSet", 2, ready), |ready| owned("Deployment", 3, ready));
        let two = "redis: { replicas: 2 }";
        let on = |health: Health| if let Health::Waiting { on, .. } = health { on.line } else { panic!("{health:?}") };
        assert_eq!(on(failover(two, "")), "RedisFailover x: its operator has made no StatefulSet yet");
        assert_eq!(on(failover(two, &servers(2))), "RedisFailover x: its operator has made no Deployment yet");
        let begun = format!("{}{}", servers(1), sentinels(3));
        assert_eq!(on(failover(two, &begun)), "StatefulSet w: 1 of 2 pods are available");
        let watched = format!("{}{}", servers(2), sentinels(2));
        assert!(on(failover(two, &watched)).starts_with("Deployment w: "), "{:?}", failover(two, &watched));
        let both = format!("{}{}", servers(2), sentinels(3));
        assert_eq!(failover(two, &both), Health::ready("everything that was made for it is ready"));
        // Three are usual, and what was made before the specification was changed is too little.
        assert_eq!(on(failover("", &both)), "RedisFailover x: its StatefulSet is for 2 of 3 pods");
        let newer = "redis: { replicas: 2, image: 'redis:8' }";
        assert_eq!(
            on(failover(newer, &both)),
            "RedisFailover x: its StatefulSet is of the image redis:7, and not yet of redis:8"
        );
        assert_eq!(
            failover(&newer.replace('8', "7"), &both),
            Health::ready("everything that was made for it is ready")
        );
        let follows = format!("{two}, bootstrapNode: {{ host: elsewhere }}");
        assert_eq!(failover(&follows, &servers(2)), Health::ready("everything that was made for it is ready"));
    }

    #[test]
    fn a_pooler_is_as_ready_as_its_deployment_and_not_as_its_status_is_written() {
        let pooler = format!("{}\nspec: {{ instances: 2 }}", resource("postgresql.cnpg.io/Pooler", "instances: 2"));
        waiting(&pooler, "Pooler x: its operator has made no Deployment yet");
        waiting(&format!("{pooler}{}", owned("Deployment", 1, 1)), "Pooler x: its Deployment is for 1 of 2 pods");
        let made = owned("Deployment", 2, 2);
        ready(&format!("{pooler}{made}"), "everything that was made for it is ready");
        let newer = "instances: 2, template: { spec: { containers: [{ name: pgbouncer, image: 'pgbouncer:2' }] } }";
        let newer = format!("{}{made}", pooler.replace("spec: { instances: 2", &format!("spec: {{ {newer}")));
        waiting(&newer, "Pooler x: its Deployment is of the image pgbouncer:1, and not yet of pgbouncer:2");
        let none =
            format!("{}{}", pooler.replace("spec: { instances: 2", "spec: { instances: 0"), owned("Deployment", 0, 0));
        waiting(&none, "Pooler x: it is to have no pods");
    }

    #[test]
    fn a_backup_that_has_failed_will_not_be_completed() {
        let backup = |status: &str| resource("postgresql.cnpg.io/Backup", status);
        ready(&backup("phase: completed"), "completed");
        waiting(&backup("phase: walArchivingFailing"), "Backup x: its state is \"walArchivingFailing\"");
        doomed(&backup("phase: failed, error: no such bucket"), "Backup x: its state is \"failed\": no such bucket");
    }

    #[test]
    fn ready_decides_where_it_is_there() {
        ready(&conditions("{ type: Available, status: 'False' }, { type: Ready, status: 'True' }"), "Ready is True");
        let refused = "{ type: Ready, status: 'False', reason: Pending, message: not yet }";
        waiting(&conditions(refused), "Thing x: Ready is False: not yet (Pending)");
    }

    #[test]
    fn a_status_about_an_older_generation_says_nothing() {
        let whole = resource("Thing", "observedGeneration: 1, conditions: [{ type: Ready, status: 'True' }]");
        waiting(&whole, "Thing x: its controller has not seen the newest specification");
        let text = resource("Thing", "observedGeneration: '1', conditions: [{ type: Ready, status: 'True' }]");
        waiting(&text, "Thing x: its controller has not seen the newest specification");
        let one = "{ type: Ready, status: 'True', observedGeneration: 1 }";
        waiting(&conditions(one), "Thing x: Ready is True for an older specification");
        ready(&conditions(&one.replace("1 }", "2 }")), "Ready is True");
    }

    #[test]
    fn without_ready_every_positive_condition_must_be_true() {
        let gateway = "{ type: Accepted, status: 'True' }, { type: Programmed, status: 'False', message: no address }";
        waiting(&conditions(gateway), "Thing x: Programmed is False: no address");
        ready(&conditions(&gateway.replace("'False'", "'True'")), "Programmed is True");
    }

    #[test]
    fn conventions_of_their_own_are_known() {
        waiting(
            &conditions("{ type: NotReady, status: 'True', reason: Bad, message: no listener }"),
            "Thing x: no listener (Bad)",
        );
        waiting(
            &conditions("{ type: Available, status: Degraded, reason: Some }"),
            "Thing x: Available is Degraded: Some",
        );
        waiting(
            &conditions("{ type: Ready, status: 'True', reason: SecretMissing, message: gone }"),
            "Thing x: Ready is True, but: gone (SecretMissing)",
        );
        ready(&conditions("{ type: Ready, status: true }"), "Ready is True");
        doomed(&conditions("{ type: Stalled, status: 'True', message: for good }"), "Thing x: for good");
        waiting(&conditions("{ type: Reconciling, status: 'True', message: at it }"), "Thing x: at it");
    }

    #[test]
    fn a_phase_must_be_exactly_the_ready_one() {
        let cluster = |phase: &str| resource("postgresql.cnpg.io/Cluster", &format!("phase: {phase}"));
        ready(&cluster("Cluster in healthy state"), "Cluster in healthy state");
        let later = format!("{}\nspec: {{ instances: 3 }}", cluster("Cluster in healthy state, readyInstances: 2"));
        waiting(&later, "Cluster x: 2 of 3 instances are ready");
        ready(&later.replace("readyInstances: 2", "readyInstances: 3"), "Cluster in healthy state");
        waiting(&cluster("Setting up primary"), "Cluster x: its state is \"Setting up primary\"");
        let begun = "certificates: { serverTLSSecret: x-server }";
        waiting(&resource("postgresql.cnpg.io/Cluster", begun), "Cluster x: its status has no state yet");
        waiting(
            &cluster("Unable to create required cluster objects, phaseReason: no such Secret"),
            "Cluster x: its state is \"Unable to create required cluster objects\": no such Secret",
        );
        waiting(
            &resource("postgresql.cnpg.io/Database", "applied: false, message: no such role"),
            "Database x: its state is \"false\": no such role",
        );
        ready(&resource("Thing", "phase: running"), "running");
        waiting(&resource("Thing", "phase: Failed, message: no disk"), "Thing x is Failed no disk");
    }

    #[test]
    fn a_route_is_ready_when_every_parent_accepts_it() {
        let route = |second: &str| {
            let parent =
                |status: &str| format!("{{ conditions: [{{ type: Accepted, status: '{status}', reason: R }}] }}");
            resource("HTTPRoute", &format!("parents: [{}, {}]", parent("True"), parent(second)))
        };
        ready(&route("True"), "Accepted is True");
        waiting(&route("False"), "HTTPRoute x: Accepted is False: R");
    }
}
