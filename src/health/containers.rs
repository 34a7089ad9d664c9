//! Containers, init containers and sidecars: what each waits on, and why it exited.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::doubt::{Belief, Doubt};
use super::object::text;
use super::patience::{CRASH, MOUNT, REFERENCE, RUNTIME, SANDBOX};
use super::{Health, Object, Speaker, Surroundings, pulls};

/// Restarts after which even a container in company is not waited for: the kubelet has paused 10, 20, 40, 80, 160 s.
const RESTARTS: i64 = 6;

/// The kubelet's default for a probe's `periodSeconds`.
const PERIOD: i64 = 10;

/// How long after the kubelet said that it kills a container the container may end: the usual grace period and a little.
const KILLING: Duration = Duration::from_secs(35);

/// One container of a pod, with its status.
struct Container<'a> {
    pod: Object<'a>,
    spec: &'a Value,
    status: &'a Value,
    /// `container` or `init container`.
    role: &'static str,
}

/// The gravest state among a pod's containers; `None` where each is as it should be.
pub(super) fn gravest(pod: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    Health::gravest(all(pod).map(|container| container.assess(around)))
}

/// What speaks against believing in a pod's containers.
pub(super) fn doubts(pod: Object<'_>, around: &Surroundings<'_>, belief: Belief) -> Vec<Doubt> {
    let lasting = all(pod).filter(|container| container.role == "container" || container.is_sidecar());
    lasting.flat_map(|container| container.doubts(around, belief)).collect()
}

/// The container that ended a pod which has failed: the first that exited with an error.
pub(super) fn culprit(pod: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    all(pod).find_map(|container| {
        let end = container.status.pointer("/state/terminated")?;
        (code(end) != 0).then(|| Health::doomed(container.exit(end, around)).said_by(container.speaker(false)))
    })
}

/// The containers of a pod, in the order in which they start.
fn all(pod: Object<'_>) -> impl Iterator<Item = Container<'_>> {
    let inits = of(pod, "init container", "/spec/initContainers", "/status/initContainerStatuses");
    inits.chain(of(pod, "container", "/spec/containers", "/status/containerStatuses"))
}

fn of<'a>(pod: Object<'a>, role: &'static str, specs: &str, statuses: &str) -> impl Iterator<Item = Container<'a>> {
    let specs = pod.list(specs);
    pod.list(statuses).iter().map(move |status| {
        let named = |spec: &&Value| text(spec, "/name") == text(status, "/name");
        Container { pod, spec: specs.iter().find(named).unwrap_or(&Value::Null), status, role }
    })
}

impl Container<'_> {
    fn assess(&self, around: &Surroundings<'_>) -> Health {
        if let Some(waiting) = self.status.pointer("/state/waiting") {
            return self.waiting(text(waiting, "/reason"), text(waiting, "/message"), around);
        }
        if let Some(end) = self.status.pointer("/state/terminated") {
            return self.ended(end, around);
        }
        if self.is_up() {
            return Health::ready("up");
        }
        Health::waiting(self.running(around))
    }

    /// A container is up when it is ready; an init container never is, but for a sidecar that has started.
    fn is_up(&self) -> bool {
        let is = |field: &str| self.status.pointer(field).and_then(Value::as_bool).unwrap_or_default();
        if self.role == "container" { is("/ready") } else { self.is_sidecar() && is("/started") && is("/ready") }
    }

    fn is_sidecar(&self) -> bool {
        text(self.spec, "/restartPolicy") == "Always"
    }

    fn waiting(&self, reason: &str, message: &str, around: &Surroundings<'_>) -> Health {
        let name = self.name();
        let line = |what: &str| format!("{name} {what}: {message} ({reason})");
        match reason {
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
                pulls::assess(self.pod, &name, text(self.spec, "/image"), (reason, message), around)
            }
            "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => Health::doomed(format!(
                "{name} cannot use image \"{}\": {message} ({reason})",
                text(self.spec, "/image")
            )),
            "CreateContainerConfigError" => Health::stuck(line("is misconfigured"), REFERENCE),
            "CreateContainerError" | "RunContainerError" if stumbles(message) => {
                Health::stuck(line("cannot be created"), RUNTIME)
            }
            "CreateContainerError" | "RunContainerError" => Health::doomed(line("cannot be started")),
            "CrashLoopBackOff" => match self.status.pointer("/lastState/terminated") {
                Some(end) => self.crash(end, reason, around),
                None => Health::stuck(line("is restarted in vain"), CRASH),
            },
            "ContainerCreating" | "PodInitializing" | "" => self.creating(around),
            _ => Health::waiting(line("waits")),
        }
    }

    fn creating(&self, around: &Surroundings<'_>) -> Health {
        preparing(self.pod, around).unwrap_or_else(|| Health::waiting(format!("{} is being created", self.name())))
    }

    fn ended(&self, end: &Value, around: &Surroundings<'_>) -> Health {
        let policy = match text(self.spec, "/restartPolicy") {
            "" => self.pod.text("/spec/restartPolicy"),
            own => own,
        };
        match (policy, code(end), self.role) {
            ("Never" | "OnFailure", 0, _) | (_, 0, "init container") => Health::ready("done"),
            ("Never", _, _) => Health::doomed(self.exit(end, around)).said_by(self.speaker(false)),
            _ if text(end, "/reason") == "StartError" || self.restarts() > 0 => {
                self.crash(end, text(end, "/reason"), around)
            }
            _ => Health::waiting(self.exit(end, around)),
        }
    }

    /// A container that has exited at least twice, or could not even start.
    fn crash(&self, end: &Value, reason: &str, around: &Surroundings<'_>) -> Health {
        let line = format!("{}{} ({reason})", self.exit(end, around), self.restarted());
        let unstartable = matches!(text(end, "/reason"), "StartError" | "ContainerCannotRun");
        let previous = self.status.pointer("/state/terminated").is_none();
        let health =
            if unstartable || self.restarts() >= RESTARTS { Health::doomed(line) } else { Health::stuck(line, CRASH) };
        health.said_by(self.speaker(previous))
    }

    fn doubts(&self, around: &Surroundings<'_>, belief: Belief) -> Vec<Doubt> {
        let Some(since) = time(self.status, "/state/running/startedAt") else {
            return self.down(around, belief).into_iter().collect();
        };
        let past = match self.status.pointer("/lastState/terminated") {
            Some(end) => self.comeback(end, since, around, belief),
            None => self.youth(since, belief),
        };
        past.into_iter().chain(self.unwell(since, around, belief)).chain(self.dying(since, around)).collect()
    }

    /// A container that has exited and is not up again: its owner may not have heard of that yet.
    fn down(&self, around: &Surroundings<'_>, belief: Belief) -> Option<Doubt> {
        let ends = ["/state/terminated", "/lastState/terminated"];
        let end = ends.into_iter().find_map(|end| self.status.pointer(end))?;
        let line = format!("{}{}; it is not up again", self.exit(end, around), self.restarted());
        Some(Doubt { line, since: time(end, "/finishedAt")?, owes: belief.longest_proof() })
    }

    /// A container that is up after it had exited. No two lives are of one length, the API cuts times to whole seconds, and
    /// a kubelet tells of an exit a second or two later: hence twice its life, and more.
    fn comeback(&self, end: &Value, since: Timestamp, around: &Surroundings<'_>, belief: Belief) -> Option<Doubt> {
        let lived = time(end, "/finishedAt")?.duration_since(time(end, "/startedAt")?).unsigned_abs();
        let owes = (lived * 2 + Duration::from_secs(3)).min(belief.longest_proof());
        let past = format!("{}{}", self.exit(end, around), self.restarted());
        let (proof, lived) = (owes.as_secs(), lived.as_secs());
        let line = format!("{past}; it is up again, and must stay so for {proof} s (it last lived {lived} s)");
        Some(Doubt { line, since, owes })
    }

    /// A container in its first life: how it has done since its pod was ready, and what its liveness probe said at least
    /// once.
    fn youth(&self, up_since: Timestamp, belief: Belief) -> Option<Doubt> {
        let ready_since = self.pod.condition("Ready").and_then(|ready| time(ready, "/lastTransitionTime"));
        let since = ready_since.map_or(up_since, |ready| ready.max(up_since));
        let probed = self.spec.get("livenessProbe").map_or(Duration::ZERO, |_| {
            self.liveness("periodSeconds", PERIOD).max(self.liveness("initialDelaySeconds", 0)) + self.liveness_lag()
        });
        let owes = belief.youth().max(probed.min(belief.longest_proof()));
        let line =
            format!("{} is ready only since a moment ago, and must stay so for {} s", self.name(), owes.as_secs());
        (!belief.youth().is_zero()).then_some(Doubt { line, since, owes })
    }

    fn liveness(&self, field: &str, default: i64) -> Duration {
        let given = self.spec.pointer(&format!("/livenessProbe/{field}")).and_then(Value::as_i64);
        Duration::from_secs(given.unwrap_or(default).unsigned_abs())
    }

    /// From when a probe is due to when its failure is told.
    fn liveness_lag(&self) -> Duration {
        self.liveness("timeoutSeconds", 1) + Duration::from_secs(1)
    }

    /// A container that the kubelet kills for its liveness probe: until its grace period is over it looks alive.
    fn dying(&self, up_since: Timestamp, around: &Surroundings<'_>) -> Option<Doubt> {
        let event = self.killing(around)?;
        let since = written(event).filter(|since| *since >= up_since)?;
        let line = format!("{} is ready, and is being killed: {}", self.name(), event.text("/message").trim());
        Some(Doubt { line, since, owes: KILLING })
    }

    /// A container whose liveness probe has failed in this life. Nothing tells of a probe that succeeds: that it has not
    /// failed again for longer than its period does.
    fn unwell(&self, up_since: Timestamp, around: &Surroundings<'_>, belief: Belief) -> Option<Doubt> {
        let event = self.event(around, |event| {
            event.text("/reason") == "Unhealthy" && event.text("/message").starts_with("Liveness probe")
        })?;
        let since = written(event).filter(|since| *since >= up_since)?;
        let owes = (self.liveness("periodSeconds", PERIOD) + self.liveness_lag()).min(belief.longest_proof());
        let (words, span) = (event.text("/message").trim(), owes.as_secs());
        let line = format!("{} is ready, but its probe says: {words}; it must succeed for {span} s", self.name());
        Some(Doubt { line, since, owes })
    }

    /// The newest word of the kubelet that it kills this container for its liveness probe.
    fn killing<'a>(&self, around: &Surroundings<'a>) -> Option<Object<'a>> {
        self.event(around, |event| {
            event.text("/reason") == "Killing" && event.text("/message").contains("failed liveness probe")
        })
    }

    /// The newest event about this container that fits.
    fn event<'a>(&self, around: &Surroundings<'a>, fits: impl Fn(Object<'a>) -> bool) -> Option<Object<'a>> {
        around.newest_event_that(self.pod, |event| self.is_subject_of(event) && fits(event))
    }

    fn restarted(&self) -> String {
        match self.restarts() {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            more => format!(", restarted {more} times"),
        }
    }

    /// How it exited, in the words that tell most.
    fn exit(&self, end: &Value, around: &Surroundings<'_>) -> String {
        let (name, code, message) = (self.name(), code(end), text(end, "/message").trim());
        if let Some(words) = self.killed(end, around) {
            return format!("{name} was killed, as its liveness probe failed: {words} (exit code {code})");
        }
        match text(end, "/reason") {
            "OOMKilled" => {
                let limit = text(self.spec, "/resources/limits/memory");
                let limit =
                    if limit.is_empty() { "what its node has".to_owned() } else { format!("its limit of {limit}") };
                format!("{name} was killed for using more memory than {limit} (OOMKilled, exit code {code})")
            }
            "StartError" | "ContainerCannotRun" => format!("{name} cannot be started: {message}"),
            _ if message.is_empty() => format!("{name} exited with code {code}"),
            _ => format!("{name} exited with code {code}: {message}"),
        }
    }

    /// What its liveness probe said, where the kubelet has killed it for that: its exit code tells nothing then.
    fn killed(&self, end: &Value, around: &Surroundings<'_>) -> Option<String> {
        let after = time(end, "/finishedAt")?.duration_since(written(self.killing(around)?)?);
        let unhealthy = self.event(around, |event| {
            event.text("/reason") == "Unhealthy" && event.text("/message").contains("Liveness probe")
        });
        let words = unhealthy.map(|event| event.text("/message").trim().trim_start_matches("Liveness probe failed: "));
        let in_time = !after.is_negative() && after.unsigned_abs() <= KILLING;
        in_time.then(|| words.unwrap_or("it did not say why").to_owned())
    }

    fn running(&self, around: &Surroundings<'_>) -> String {
        if self.role != "container" {
            return format!("{} is running", self.name());
        }
        let line = format!("{} is running but not ready", self.name());
        match self.event(around, |event| event.text("/reason") == "Unhealthy") {
            Some(event) => format!("{line}: {}", event.text("/message").trim()),
            None => line,
        }
    }

    fn is_subject_of(&self, event: Object<'_>) -> bool {
        event.text("/involvedObject/fieldPath").ends_with(&format!("{{{}}}", text(self.status, "/name")))
    }

    fn restarts(&self) -> i64 {
        self.status.pointer("/restartCount").and_then(Value::as_i64).unwrap_or_default()
    }

    fn name(&self) -> String {
        format!("pod {}: {} {}", self.pod.name(), self.role, text(self.status, "/name"))
    }

    fn speaker(&self, previous: bool) -> Speaker {
        Speaker::Container {
            pod: self.pod.name().to_owned(),
            container: text(self.status, "/name").to_owned(),
            previous,
        }
    }
}

/// What keeps a pod's containers from being created, by the newest event about it.
pub(super) fn preparing(pod: Object<'_>, around: &Surroundings<'_>) -> Option<Health> {
    let event = around.newest_event(pod, &[])?;
    let message = event.text("/message").trim();
    let line = format!("pod {}: {message} ({})", pod.name(), event.text("/reason"));
    match event.text("/reason") {
        "FailedMount" if message.contains("not found") || message.contains("non-existent") => {
            Some(Health::stuck(line, REFERENCE))
        }
        "FailedMount" | "FailedAttachVolume" => Some(Health::stuck(line, MOUNT)),
        "FailedCreatePodSandBox" | "NetworkNotReady" => Some(Health::stuck(line, SANDBOX)),
        _ => None,
    }
}

/// Container runtimes fail for a while over a name still reserved by an earlier attempt, or a node under load.
fn stumbles(message: &str) -> bool {
    ["is reserved for", "context deadline exceeded", "failed to sync"].iter().any(|words| message.contains(words))
}

/// When an event was last written.
fn written(event: Object<'_>) -> Option<Timestamp> {
    time(event.data, "/lastTimestamp").or_else(|| time(event.data, "/eventTime"))
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer).parse().ok()
}

fn code(end: &Value) -> i64 {
    end.pointer("/exitCode").and_then(Value::as_i64).unwrap_or_default()
}
