//! What a pod lives through, from its creation to its end.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::object::Act;
use super::super::faults::Fault;
use super::super::scene::{Scene, leaving, list, number, text};
use super::cell::{Cell, KUBELET, Part, State, last_code};
use super::needs::missing_volume;
use super::schedule::{Choice, choose};
use super::status;

/// Who chooses nodes.
const SCHEDULER: &str = "default-scheduler";

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Without a node.
    Unscheduled,
    /// With one, whose kubelet has not seen it yet.
    Bound,
    /// Its sandbox and its volumes are being made.
    Preparing,
    /// Its containers are started and run.
    Alive,
    /// All is over, well or not.
    Over,
    /// It is being stopped.
    Leaving,
}

/// The life of one pod.
#[derive(Clone, Debug)]
pub(in super::super) struct Life {
    /// Whose.
    pub(in super::super) uid: String,
    pub(super) stage: Stage,
    /// When the stage changes next.
    due: Duration,
    /// Its address; empty before its sandbox.
    pub(super) ip: String,
    /// When its kubelet saw it first.
    pub(super) seen: Option<String>,
    pub(super) inits: Vec<Cell>,
    pub(super) mains: Vec<Cell>,
    /// Why it cannot be scheduled.
    pub(super) nowhere: Option<String>,
    /// Whether it was evicted.
    pub(super) evicted: bool,
    /// When it is to be evicted.
    evict: Option<Duration>,
    /// The message of the last volume that was not there.
    unmounted: String,
    /// The number of its address.
    number: u32,
}

impl Life {
    /// The life of a pod that was just created.
    pub(in super::super) fn new(scene: &mut Scene<'_>, number: u32) -> Self {
        let pod = scene.object;
        let inits = list(pod, "/spec/initContainers");
        let first = if inits.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let part = |container: &Value| match text(container, "/restartPolicy") {
            "Always" => Part::Sidecar,
            _ => Part::Init,
        };
        let mut due = scene.now + scene.dice.delay(3, 12);
        if scene.strikes(Fault::SlowStart) {
            due += scene.dice.delay(2_200, 2_500);
        }
        Self {
            uid: scene.uid().to_owned(),
            stage: Stage::Unscheduled,
            due,
            ip: String::new(),
            seen: None,
            inits: inits.iter().map(|container| Cell::new(part(container), "PodInitializing")).collect(),
            mains: list(pod, "/spec/containers").iter().map(|_| Cell::new(Part::Main, first)).collect(),
            nowhere: None,
            evicted: false,
            evict: None,
            unmounted: String::new(),
            number,
        }
    }

    /// Brings the pod to the present and shows it.
    pub(in super::super) fn live(&mut self, scene: &mut Scene<'_>) {
        if leaving(scene.object) && self.stage != Stage::Leaving {
            self.leave(scene);
        }
        let before = self.stage;
        while self.step(scene) {}
        if self.stage == Stage::Leaving {
            return;
        }
        if self.stage != Stage::Unscheduled || self.nowhere.is_some() || before != self.stage {
            scene.status(status::render(self, scene));
        }
        if matches!(self.stage, Stage::Unscheduled | Stage::Bound | Stage::Preparing) {
            scene.at(self.due);
        }
    }

    /// One step; `false` where there is nothing more to do now.
    fn step(&mut self, scene: &mut Scene<'_>) -> bool {
        match self.stage {
            Stage::Unscheduled if self.due <= scene.now => self.schedule(scene),
            Stage::Bound if self.due <= scene.now => {
                self.seen = Some(scene.stamp());
                self.stage = Stage::Preparing;
                self.due = scene.now + scene.dice.delay(10, 35);
                true
            }
            Stage::Preparing if self.due <= scene.now => self.prepare(scene),
            Stage::Unscheduled | Stage::Bound | Stage::Preparing => false,
            Stage::Alive => self.run(scene),
            Stage::Over => false,
            Stage::Leaving => self.vanish(scene),
        }
    }

    /// Gives the pod a node, or says why there is none.
    fn schedule(&mut self, scene: &mut Scene<'_>) -> bool {
        match choose(scene) {
            Choice::Node(node) => {
                if text(scene.object, "/spec/nodeName").is_empty() {
                    scene.merge(json!({"spec": {"nodeName": node}}));
                    let whole = format!("{}/{}", scene.key.namespace, scene.key.name);
                    let message = format!("Successfully assigned {whole} to {node}");
                    scene.tell(SCHEDULER, "Scheduled", message);
                }
                self.nowhere = None;
                self.stage = Stage::Bound;
                self.due = scene.now + scene.dice.delay(2, 8);
                true
            }
            Choice::Wait => {
                self.due = scene.now + scene.dice.delay(4, 10);
                false
            }
            Choice::Nowhere(why) => {
                if self.nowhere.as_ref() != Some(&why) {
                    scene.warn(SCHEDULER, "FailedScheduling", why.clone());
                }
                self.nowhere = Some(why);
                self.due = scene.now + scene.dice.delay(60, 100);
                false
            }
        }
    }

    /// Makes the sandbox, once the volumes are there.
    fn prepare(&mut self, scene: &mut Scene<'_>) -> bool {
        if let Some(why) = missing_volume(scene.object, scene.view) {
            if self.unmounted != why {
                scene.warn(KUBELET, "FailedMount", why.clone());
                self.unmounted = why;
            }
            self.due = scene.now + scene.dice.delay(50, 90);
            return false;
        }
        self.ip = match super::super::scene::is(scene.object, "/spec/hostNetwork") {
            true => status::HOST.to_owned(),
            false => address(self.number),
        };
        self.stage = Stage::Alive;
        if scene.strikes(Fault::Evicted) {
            self.evict = Some(scene.now + scene.dice.delay(150, 250));
        }
        // Its address is told before anything runs in it: whoever stands in for a container says where it is.
        scene.after(Duration::from_millis(1));
        false
    }

    /// Runs the containers whose turn it is.
    fn run(&mut self, scene: &mut Scene<'_>) -> bool {
        let pod = scene.object;
        if let Some(at) = self.evict {
            if at <= scene.now {
                return self.evict(scene);
            }
            scene.at(at);
        }
        let mut turn = true;
        for (cell, spec) in self.inits.iter_mut().zip(list(pod, "/spec/initContainers")) {
            if !turn {
                break;
            }
            cell.advance(scene, spec);
            turn = match cell.part {
                Part::Sidecar => cell.runs() && cell.started,
                Part::Init | Part::Main => cell.over(pod) == Some(0),
            };
        }
        if turn {
            for (cell, spec) in self.mains.iter_mut().zip(list(pod, "/spec/containers")) {
                cell.advance(scene, spec);
            }
        }
        self.conclude(scene)
    }

    /// Whether the pod is over: an init container that failed for good, or no main container left.
    fn conclude(&mut self, scene: &mut Scene<'_>) -> bool {
        let pod = scene.object;
        let failed = self.inits.iter().any(|cell| cell.over(pod).is_some_and(|code| code != 0));
        if !failed && !self.mains.iter().all(|cell| cell.over(pod).is_some()) {
            return false;
        }
        for (cell, spec) in self.inits.iter_mut().zip(list(pod, "/spec/initContainers")) {
            if cell.part == Part::Sidecar && cell.runs() {
                let (name, code) = (text(spec, "/name"), last_code(spec));
                let path = format!("spec.initContainers{{{name}}}");
                scene.event(KUBELET, "Killing", format!("Stopping container {name}"), Some(path), false);
                cell.stop(scene, spec, code, if code == 0 { "Completed" } else { "Error" });
            }
        }
        self.stage = Stage::Over;
        true
    }

    /// The kubelet evicts the pod.
    fn evict(&mut self, scene: &mut Scene<'_>) -> bool {
        self.stop_all(scene, Some(137));
        scene.warn(KUBELET, "Evicted", status::EVICTED.to_owned());
        (self.evicted, self.evict, self.stage) = (true, None, Stage::Over);
        true
    }

    /// Ends all that runs: with this code, or each as it does when it is told to.
    fn stop_all(&mut self, scene: &mut Scene<'_>, code: Option<i32>) {
        let pod = scene.object;
        let inits = self.inits.iter_mut().zip(list(pod, "/spec/initContainers"));
        let mains = self.mains.iter_mut().zip(list(pod, "/spec/containers"));
        for (cell, spec) in inits.chain(mains) {
            let code = code.unwrap_or_else(|| last_code(spec));
            cell.stop(scene, spec, code, if code == 0 { "Completed" } else { "Error" });
        }
    }

    /// Begins to stop a pod that is being deleted.
    fn leave(&mut self, scene: &mut Scene<'_>) {
        let pod = scene.object;
        let mut running = false;
        let specs = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
        for (cell, spec) in self.mains.iter().chain(&self.inits).zip(specs) {
            if cell.runs() {
                running = true;
                let name = text(spec, "/name");
                let part = if cell.part == Part::Main { "containers" } else { "initContainers" };
                let path = format!("spec.{part}{{{name}}}");
                scene.event(KUBELET, "Killing", format!("Stopping container {name}"), Some(path), false);
            }
        }
        self.stage = Stage::Leaving;
        let grace = number(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(30);
        let pause = if running && grace > 0 { scene.dice.delay(6, 25) } else { Duration::ZERO };
        self.due = scene.now + pause;
    }

    /// Stops the pod, once its grace period is over, and lets it go.
    fn vanish(&mut self, scene: &mut Scene<'_>) -> bool {
        if self.due > scene.now {
            scene.at(self.due);
            return false;
        }
        self.stop_all(scene, None);
        if self.seen.is_some() {
            scene.status(status::render(self, scene));
        }
        scene.act(Act::Reap { key: scene.key.clone(), uid: self.uid.clone() });
        false
    }

    /// The phase.
    pub(super) fn phase(&self, pod: &Value) -> &'static str {
        if self.evicted {
            return "Failed";
        }
        if self.inits.iter().any(|cell| cell.part == Part::Init && cell.over(pod).is_some_and(|code| code != 0)) {
            return "Failed";
        }
        let never = |cell: &Cell| matches!(cell.state, State::Waiting { .. }) && cell.last.is_none();
        if self.mains.iter().any(never) {
            return "Pending";
        }
        let codes: Option<Vec<i32>> = self.mains.iter().map(|cell| self.final_code(cell, pod)).collect();
        match codes {
            Some(codes) if codes.iter().all(|code| *code == 0) => "Succeeded",
            Some(_) => "Failed",
            None => "Running",
        }
    }

    /// With which code a container has ended for good.
    fn final_code(&self, cell: &Cell, pod: &Value) -> Option<i32> {
        match (&cell.state, self.stage) {
            (State::Ended(ended), Stage::Leaving) => Some(ended.code),
            _ => cell.over(pod),
        }
    }
}

/// The address of the n-th pod: in 10.244.0.0/16, never the first or the last of a node's range.
fn address(number: u32) -> String {
    let number = number % (254 * 252);
    format!("10.244.{}.{}", number / 252, number % 252 + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_pods_have_addresses_of_their_own() {
        let addresses: std::collections::HashSet<_> = (0..10_000).map(address).collect();
        assert_eq!(addresses.len(), 10_000);
        assert_eq!(address(0), "10.244.0.2");
    }
}
