//! One container of a pod: waiting, running or ended, and what comes next.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::super::super::object::Act;
use super::super::faults::Fault;
use super::super::play::{Plot, perform};
use super::super::scene::{Scene, list, number, text};
use super::needs::Surroundings;

/// Who says so.
pub(super) const KUBELET: &str = "kubelet";
/// The longest pause between two starts: the kubelet's 300 s, a hundred times shorter.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What a container does at a moment.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It does not run yet, or not again yet.
    Waiting {
        /// In one word.
        reason: &'static str,
        /// At length; may be empty.
        message: String,
    },
    /// It runs.
    Running {
        /// Since when.
        since: String,
    },
    /// It has ended.
    Ended(Ended),
}

/// How a container ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Its exit code.
    pub(super) code: i32,
    /// `Completed`, `Error` or `OOMKilled`.
    pub(super) reason: &'static str,
    /// When it had been started.
    pub(super) started: String,
    /// When it ended.
    pub(super) finished: String,
    /// The id it had.
    pub(super) id: String,
}

/// Which part a container has in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Before all others, until it has ended well.
    Init,
    /// Beside all others, from before they start until they have ended.
    Sidecar,
    /// What the pod is for.
    Main,
}

/// One container.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) part: Part,
    pub(super) state: State,
    pub(super) last: Option<Ended>,
    pub(super) restarts: u32,
    /// The id of the last start; empty before the first.
    pub(super) id: String,
    pub(super) ready: bool,
    /// Whether its startup probe has succeeded.
    pub(super) started: bool,
    /// When it changes by itself next.
    due: Option<Duration>,
    /// Lines yet to be written, with their times.
    lines: VecDeque<(Duration, String)>,
    /// When and how it will end.
    end: Option<(Duration, i32, &'static str)>,
    /// When it is played again, because it waits for what did not answer.
    replay: Option<Duration>,
    /// How often it was played again: less and less often.
    replays: u32,
    /// When its readiness probe is asked next.
    probe: Option<Duration>,
    /// How often its image could not be pulled.
    pulls: u32,
    /// How often it has ended.
    ends: u32,
}

impl Cell {
    /// A container that waits for its pod.
    pub(super) fn new(part: Part, reason: &'static str) -> Self {
        Self {
            part,
            state: State::Waiting { reason, message: String::new() },
            last: None,
            restarts: 0,
            id: String::new(),
            ready: false,
            started: false,
            due: None,
            lines: VecDeque::new(),
            end: None,
            replay: None,
            replays: 0,
            probe: None,
            pulls: 0,
            ends: 0,
        }
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether it has ended and stays so.
    pub(super) fn over(&self, pod: &Value) -> Option<i32> {
        match &self.state {
            State::Ended(ended) if !self.starts_again(pod, ended.code) => Some(ended.code),
            State::Ended(_) | State::Waiting { .. } | State::Running { .. } => None,
        }
    }

    /// Whether it is started again after it ended with this code.
    fn starts_again(&self, pod: &Value, code: i32) -> bool {
        match (self.part, text(pod, "/spec/restartPolicy")) {
            (Part::Sidecar, _) => true,
            (Part::Init | Part::Main, "Never") => false,
            (Part::Init, _) | (Part::Main, "OnFailure") => code != 0,
            (Part::Main, _) => true,
        }
    }

    /// Brings the container to the present, it being its turn to run. `true` where something can be seen to have changed.
    pub(super) fn advance(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        let mut changed = false;
        while self.due.is_none_or(|due| due <= scene.now) || self.runs() {
            let step = match &self.state {
                State::Waiting { reason: "ErrImagePull", .. } => self.back_off_pull(scene, spec),
                State::Waiting { .. } => self.start(scene, spec),
                State::Running { .. } => self.run(scene, spec),
                State::Ended(ended) => {
                    let code = ended.code;
                    self.starts_again(scene.object, code) && self.restart(scene, spec)
                }
            };
            if !step {
                break;
            }
            changed = true;
        }
        self.wake(scene);
        changed
    }

    /// Asks to be called again when something is due.
    fn wake(&self, scene: &mut Scene<'_>) {
        let line = self.lines.front().map(|(at, _)| *at);
        let end = self.end.map(|(at, _, _)| at);
        let due = if self.runs() { None } else { self.due };
        let probe = if self.runs() { self.probe } else { None };
        let now = scene.now;
        let replay = if self.runs() { self.replay } else { None };
        for at in [line, end, due, probe, replay].into_iter().flatten().filter(|at| *at > now) {
            scene.at(at);
        }
    }

    /// Waits for a reason.
    fn wait(&mut self, scene: &mut Scene<'_>, reason: &'static str, message: String, pause: Duration) -> bool {
        self.state = State::Waiting { reason, message };
        self.due = Some(scene.now + pause);
        true
    }

    /// Reports something about the container.
    fn tell(scene: &mut Scene<'_>, spec: &Value, reason: &'static str, message: String, warning: bool) {
        scene.event(KUBELET, reason, message, Some(field_path(scene.object, spec)), warning);
    }

    /// Starts, or finds out why it cannot.
    fn start(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        let image = text(spec, "/image");
        if let Some(why) = never_there(spec) {
            Self::tell(scene, spec, "ErrImageNeverPull", why.clone(), true);
            Self::tell(scene, spec, "Failed", "Error: ErrImageNeverPull".into(), true);
            let pause = scene.dice.delay(50, 100);
            return self.wait(scene, "ErrImageNeverPull", why, pause);
        }
        if scene.strikes(Fault::ImagePull) || unknown(image) {
            return self.fail_pull(scene, spec);
        }
        let around = Surroundings { pod: scene.object, container: spec, view: scene.view };
        let missing = match scene.strikes(Fault::ConfigMissing) {
            true => Some(format!("configmap \"{}-rehearsed\" not found", scene.key.name)),
            false => around.environment().err(),
        };
        let present = format!("Container image \"{image}\" already present on machine");
        Self::tell(scene, spec, "Pulled", present, false);
        if let Some(why) = missing {
            Self::tell(scene, spec, "Failed", format!("Error: {why}"), true);
            let pause = scene.dice.delay(50, 100);
            return self.wait(scene, "CreateContainerConfigError", why, pause);
        }
        let plot = self.plot(scene, &around);
        let name = text(spec, "/name");
        Self::tell(scene, spec, "Created", format!("Created container: {name}"), false);
        Self::tell(scene, spec, "Started", format!("Started container {name}"), false);
        self.begin(scene, spec, plot);
        true
    }

    /// The container runs from now on.
    fn begin(&mut self, scene: &mut Scene<'_>, spec: &Value, (plot, reason): (Plot, &'static str)) {
        let (now, container) = (scene.now, text(spec, "/name").to_owned());
        let (pod, uid) = (scene.key.clone(), scene.uid().to_owned());
        scene.act(Act::Start { pod, uid, container, restart: self.restarts });
        self.id = scene.dice.hex(64);
        self.state = State::Running { since: scene.stamp() };
        self.replays = 0;
        self.script(scene, plot, reason);
        self.due = None;
        let wait = |probe: &str| number(spec, &format!("{probe}/initialDelaySeconds")).unwrap_or_default();
        let probed = spec.get("readinessProbe").is_some() || spec.get("startupProbe").is_some();
        self.started = spec.get("startupProbe").is_none();
        self.ready = !probed && self.part != Part::Init && !scene.strikes(Fault::NeverReady);
        let seconds = (wait("/readinessProbe") + wait("/startupProbe")).clamp(0, 20);
        let pause = Duration::from_millis(u64::try_from(seconds).unwrap_or_default() * 10) + scene.dice.delay(4, 25);
        self.probe = (!self.ready && self.part != Part::Init).then_some(now + pause);
    }

    /// Takes over what it will do.
    fn script(&mut self, scene: &mut Scene<'_>, plot: Plot, reason: &'static str) {
        let now = scene.now;
        // One that waits says so once, not as often as it tries.
        let most = if plot.waits { 1 } else { usize::MAX };
        self.lines = plot.lines.into_iter().take(most).map(|(after, line)| (now + after, line)).collect();
        self.end = plot.end.map(|(after, code)| {
            let reason = if code == 0 { "Completed" } else { reason };
            // What takes no time has ended before anybody could see it run.
            let jitter = if after.is_zero() { after } else { scene.dice.delay(0, 5) };
            (now + after + jitter, code, reason)
        });
        self.replay = plot.waits.then(|| now + Duration::from_millis(40 << self.replays.min(3)));
    }

    /// Plays it again from where it waits.
    fn play_on(&mut self, scene: &mut Scene<'_>, spec: &Value) {
        let around = Surroundings { pod: scene.object, container: spec, view: scene.view };
        let mut plot = perform(&around, self.part != Part::Main, scene.wall);
        self.replays += 1;
        if plot.waits {
            plot.lines.clear();
        } else if plot.end.is_none() {
            let (pod, uid, container) = (scene.key.clone(), scene.uid().to_owned(), text(spec, "/name").to_owned());
            scene.act(Act::Serve { pod, uid, container });
        }
        self.script(scene, plot, "Error");
    }

    /// What it will do, and what it is called if it ends badly.
    fn plot(&self, scene: &mut Scene<'_>, around: &Surroundings<'_>) -> (Plot, &'static str) {
        let soon = scene.dice.delay(2, 15);
        let short = |code| Plot { end: Some((soon, code)), ..Plot::default() };
        if self.part == Part::Main {
            if scene.strikes(Fault::CrashLoop) || scene.strikes(Fault::JobFails) {
                let mut plot = short(1);
                plot.lines.push((Duration::ZERO, "fatal: this container is rehearsed to fail".into()));
                return (plot, "Error");
            }
            if scene.strikes(Fault::OomKilled) {
                return (short(137), "OOMKilled");
            }
            if scene.strikes(Fault::JobHangs) {
                return (Plot::default(), "Error");
            }
            if scene.strikes(Fault::RestartsOnce) && self.restarts == 0 {
                return (short(1), "Error");
            }
        }
        (perform(around, self.part != Part::Main, scene.wall), "Error")
    }

    /// Tries to pull an image that is not to be had.
    fn fail_pull(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        let image = text(spec, "/image");
        let why = pull_error(image);
        self.pulls += 1;
        Self::tell(scene, spec, "Pulling", format!("Pulling image \"{image}\""), false);
        Self::tell(scene, spec, "Failed", format!("Failed to pull image \"{image}\": {why}"), true);
        Self::tell(scene, spec, "Failed", "Error: ErrImagePull".into(), true);
        let pause = scene.dice.delay(15, 30);
        self.wait(scene, "ErrImagePull", why, pause)
    }

    /// Waits before the next attempt to pull.
    fn back_off_pull(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        let image = text(spec, "/image");
        let message = format!("Back-off pulling image \"{image}\"");
        Self::tell(scene, spec, "BackOff", message.clone(), false);
        Self::tell(scene, spec, "Failed", "Error: ImagePullBackOff".into(), true);
        let why = pull_error(image);
        self.wait(scene, "ImagePullBackOff", format!("{message}: ErrImagePull: {why}"), pause_after(self.pulls))
    }

    /// What a running container does next: a line, a probe, its end.
    fn run(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        if self.replay.is_some_and(|at| at <= scene.now) {
            self.play_on(scene, spec);
        }
        while let Some((at, _)) = self.lines.front()
            && *at <= scene.now
        {
            let Some((_, line)) = self.lines.pop_front() else { break };
            self.log(scene, spec, line);
        }
        if let Some((at, code, reason)) = self.end
            && at <= scene.now
        {
            self.stop(scene, spec, code, reason);
            return true;
        }
        match self.probe {
            Some(at) if at <= scene.now => self.ask(scene, spec),
            Some(_) | None => false,
        }
    }

    fn log(&self, scene: &mut Scene<'_>, spec: &Value, line: String) {
        if scene.strikes(Fault::Mute) {
            return;
        }
        let (pod, uid) = (scene.key.clone(), scene.uid().to_owned());
        let container = text(spec, "/name").to_owned();
        scene.act(Act::Log { pod, uid, container, restart: self.restarts, line });
    }

    /// Asks the startup and readiness probes. `true` where the answer is new.
    fn ask(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        let around = Surroundings { pod: scene.object, container: spec, view: scene.view };
        let refused = ["startupProbe", "readinessProbe"].iter().find_map(|probe| {
            let command = spec.get(*probe)?.pointer("/exec/command")?;
            let answer = super::super::play::execute(&around, &words(command), scene.wall);
            (answer.code != 0).then_some((*probe, answer.stdout))
        });
        let refused = match scene.strikes(Fault::NeverReady) {
            true => Some(("readinessProbe", String::new())),
            false => refused,
        };
        if let Some((probe, said)) = refused {
            let kind = if probe == "startupProbe" { "Startup" } else { "Readiness" };
            Self::tell(scene, spec, "Unhealthy", format!("{kind} probe failed: {said}"), true);
            let pause = scene.dice.delay(80, 120);
            self.probe = Some(scene.now + pause);
            let startup = probe == "startupProbe";
            let changed = self.ready || (!startup && !self.started);
            self.ready = false;
            self.started |= !startup;
            return changed;
        }
        self.probe = None;
        (self.ready, self.started) = (true, true);
        true
    }

    /// Ends.
    pub(super) fn stop(&mut self, scene: &mut Scene<'_>, spec: &Value, code: i32, reason: &'static str) {
        let State::Running { since } = &self.state else { return };
        let started = since.clone();
        while let Some((_, line)) = self.lines.pop_front() {
            self.log(scene, spec, line);
        }
        let (pod, uid, container) = (scene.key.clone(), scene.uid().to_owned(), text(spec, "/name").to_owned());
        scene.act(Act::Stop { pod, uid, container, restart: self.restarts });
        self.state = State::Ended(Ended { code, reason, started, finished: scene.stamp(), id: self.id.clone() });
        (self.ready, self.end, self.probe, self.replay) = (false, None, None, None);
        self.started = self.part != Part::Main && code == 0;
        self.ends += 1;
        let pause = scene.dice.delay(3, 12);
        self.due = Some(scene.now + pause);
    }

    /// What an ended container that is to run again does: at first at once, later after a pause.
    fn restart(&mut self, scene: &mut Scene<'_>, spec: &Value) -> bool {
        let State::Ended(ended) = &self.state else { return false };
        self.last = Some(ended.clone());
        if self.ends > 1 {
            let (pod, name) = (scene.object, text(spec, "/name"));
            let whole = format!(
                "{}_{}({})",
                super::super::scene::name(pod),
                scene.key.namespace,
                super::super::scene::uid(pod)
            );
            let message = format!("Back-off restarting failed container {name} in pod {whole}");
            Self::tell(scene, spec, "BackOff", message, true);
            let turn = self.ends - 1;
            let message = format!("back-off {} restarting failed container={name} pod={whole}", spoken(turn));
            self.restarts += 1;
            // The count goes up with the start; until then the object shows the one before.
            return self.wait(scene, "CrashLoopBackOff", message, pause_after(turn));
        }
        self.restarts += 1;
        self.start(scene, spec)
    }

    /// How often it has been started again, as its object shows it.
    pub(super) fn shown_restarts(&self) -> u32 {
        match &self.state {
            State::Waiting { reason: "CrashLoopBackOff", .. } => self.restarts.saturating_sub(1),
            State::Waiting { .. } | State::Running { .. } | State::Ended(_) => self.restarts,
        }
    }
}

/// The pause after the `turn`-th failure: the kubelet's 10 s and twice as long each time, a hundred times shorter.
fn pause_after(turn: u32) -> Duration {
    let seconds = 10_u64 << turn.saturating_sub(1).min(10);
    Duration::from_millis(seconds * 10).min(LONGEST_PAUSE)
}

/// That pause as the kubelet says it.
fn spoken(turn: u32) -> String {
    let seconds = (10_u64 << turn.saturating_sub(1).min(10)).min(300);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// Where in the pod's spec a container is, as events name it.
fn field_path(pod: &Value, spec: &Value) -> String {
    let name = text(spec, "/name");
    let main = list(pod, "/spec/containers").iter().any(|container| text(container, "/name") == name);
    format!("spec.{}{{{name}}}", if main { "containers" } else { "initContainers" })
}

/// The words of a command.
pub(super) fn words(command: &Value) -> Vec<String> {
    command.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The code with which a container ends when it is told to: shells and what they wait for do not listen, and are killed.
pub(super) fn last_code(spec: &Value) -> i32 {
    let program = text(spec, "/command/0").rsplit('/').next().unwrap_or_default();
    if matches!(program, "sh" | "bash" | "ash" | "sleep" | "tail") { 137 } else { 0 }
}

/// Whether an image is one that cannot be had: its registry is in the domain that never resolves, or its tag says so.
fn unknown(image: &str) -> bool {
    registry(image).is_some_and(|host| host.split(':').next().unwrap_or_default().ends_with(".invalid"))
        || image.ends_with(":no-such-tag")
}

/// Why an image that may not be pulled is not there.
fn never_there(spec: &Value) -> Option<String> {
    let image = text(spec, "/image");
    let never = text(spec, "/imagePullPolicy") == "Never";
    (never && (unknown(image) || image.contains("no-such")))
        .then(|| format!("Container image \"{image}\" is not present with pull policy of Never"))
}

/// The host of an image's registry, where it names one.
fn registry(image: &str) -> Option<&str> {
    let (host, _) = image.split_once('/')?;
    (host.contains('.') || host.contains(':') || host == "localhost").then_some(host)
}

/// What containerd says of an image that cannot be had.
fn pull_error(image: &str) -> String {
    let host = registry(image);
    let (repository, tag) = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        Some(_) | None => (image, "latest"),
    };
    let (server, path) = match host {
        Some(host) => (host, repository.strip_prefix(host).unwrap_or(repository).trim_start_matches('/').to_owned()),
        None if repository.contains('/') => ("docker.io", repository.to_owned()),
        None => ("docker.io", format!("library/{repository}")),
    };
    let reference = format!("{server}/{path}:{tag}");
    if unknown(image) && server.ends_with(".invalid") {
        return format!(
            "failed to pull and unpack image \"{reference}\": failed to resolve reference \"{reference}\": failed to do \
             request: Head \"https://{server}/v2/{path}/manifests/{tag}\": dial tcp: lookup {server} on 172.18.0.1:53: no such host"
        );
    }
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{reference}\": failed to resolve reference \
         \"{reference}\": {reference}: not found"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pause_after(1), Duration::from_millis(100));
        assert_eq!(pause_after(3), Duration::from_millis(400));
        assert_eq!(pause_after(30), LONGEST_PAUSE);
        assert_eq!([spoken(1), spoken(4), spoken(9)], ["10s", "1m20s", "5m0s"]);
    }

    #[test]
    fn images_that_cannot_be_had_are_told_from_others() {
        assert!(unknown("registry.invalid/x:1"));
        assert!(unknown("registry.invalid:5000/x"));
        assert!(unknown("redis:no-such-tag"));
        assert!(!unknown("redis:7"));
        assert!(!unknown("quay.io/x/invalid:1"));
    }

    #[test]
    fn a_pull_fails_in_the_words_of_containerd() {
        assert_eq!(
            pull_error("redis:no-such-tag"),
            "rpc error: code = NotFound desc = failed to pull and unpack image \
             \"docker.io/library/redis:no-such-tag\": failed to resolve reference \
             \"docker.io/library/redis:no-such-tag\": docker.io/library/redis:no-such-tag: not found"
        );
        assert!(pull_error("r.invalid/a/b").contains("Head \"https://r.invalid/v2/a/b/manifests/latest\": dial tcp"));
    }
}
