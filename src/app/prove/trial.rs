//! One check, or one component's readiness, looked at while something goes wrong, on a cluster of its own.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::Either;
use indexmap::IndexMap;
use tokio::time::{Instant, timeout};

use super::super::site::{About, Site};
use super::super::world::{Memory, Platform};
use super::deeds::{Hand, Hindrance, Until};
use crate::checks::{Check, Pace, Verdict};
use crate::cluster::{Ownership, Raised};
use crate::complaint;
use crate::engine::{self, RunOptions, Usage};
use crate::events::{Ending, Event, EventKind, Evidence, Fault, REHEARSAL};
use crate::k8s::Access;
use crate::plan::{CheckWork, Plan, Step, StepId, Work};
use crate::ports::{Done, Notes, Trouble, World};
use crate::prove::{Case, Deed, Expected, Outcome, Storm};
use crate::rehearsal::object::Key;
use crate::rehearsal::{self, Rehearsal, TEMPO};
use crate::span::Span;

/// The longest that bringing a case about may take.
const PREPARATION: Duration = Duration::from_secs(30);

/// The shortest and the longest window in which looks must see a fault.
const WINDOW: (Span, Span) = (Span::secs(3), Span::secs(4));
/// The window of what waits by itself, and ends as soon as it knows.
const WAIT: Span = Span::secs(8);
/// The shortest look: what is cut short before it has come to anything says nothing.
const LOOK: Span = Span::millis(1_500);
/// The shortest pause between two looks: what lasts is seen by a few of them, and each costs.
const PAUSE: Span = Span::millis(400);
/// The longest launch of a Job: in a rehearsal it takes a twentieth of it where nothing keeps it, and longer where something does
/// (the delay of `slow-start`).
const LAUNCH: Span = Span::millis(1_800);

/// The longest time without a write in a failover: less than where somebody else leads late (`elects-late`).
const GAP: Span = Span::millis(2_500);

/// What every trial of a proving needs.
#[derive(Clone)]
pub(super) struct Ground {
    /// The cluster in which everything holds.
    pub(super) rehearsal: Arc<Rehearsal>,
    /// Who has installed everything in it.
    pub(super) platform: Arc<Platform>,
}

/// One case of one step.
pub(super) struct Trial {
    /// What it is a proof of.
    pub(super) of: StepId,
    /// What is looked at: a check, or a component's readiness and, if it has one, its last look.
    pub(super) steps: Vec<Step>,
    pub(super) case: Case,
    /// Whether it goes wrong only once the first step has held.
    pub(super) later: bool,
    /// The namespace of the component.
    pub(super) namespace: String,
    /// What it does not stand on; not there at the first try.
    pub(super) without: Arc<[Key]>,
}

impl Trial {
    /// Brings the case about and looks, with so many times the time; what became of it, and how long it took from then on.
    pub(super) async fn run(&self, ground: &Ground, number: usize, ease: u32) -> (Outcome, Duration) {
        if let Expected::Unclaimed(why) = self.case.expected {
            return (Outcome::Unclaimed { why: why.to_owned() }, Duration::ZERO);
        }
        let undone = |why: String| (Outcome::Undone { why }, Duration::ZERO);
        let prepared = timeout(PREPARATION, self.prepare(ground, number, ease)).await;
        let (rehearsal, site) = match prepared {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(hindrance)) => return (unreached(hindrance), Duration::ZERO),
            Err(_elapsed) => return undone(format!("not brought about within {} s", PREPARATION.as_secs())),
        };
        let begun = Instant::now();
        match self.look(ground, Arc::new(rehearsal), site, ease).await {
            Ok(ending) => (self.case.expected.judge(&ending), begun.elapsed()),
            Err(hindrance) => (unreached(hindrance), Duration::ZERO),
        }
    }

    /// Whether it is likely to last longer than others: what must be asked again has all the time that it has on a real cluster.
    pub(super) fn lasts(&self) -> bool {
        matches!(self.case.storm, Some(Storm::Gust(..)))
    }

    async fn prepare(&self, ground: &Ground, number: usize, ease: u32) -> Result<(Rehearsal, Site), Hindrance> {
        // Whoever stands on more than the suite says gets all of it when tried again.
        let without = if ease == 1 { &*self.without } else { &[] };
        let forked = ground.rehearsal.fork(without, self.is_about_helm()).await;
        let rehearsal = forked.map_err(|error| Hindrance::Cannot(complaint::chain(&error)))?;
        rehearsal.rest(PREPARATION / 10).await;
        let raised = Raised {
            access: Access::Kubeconfig { file: rehearsal.kubeconfig(), context: None },
            ownership: Ownership::Ours,
            tempo: TEMPO / ease,
            done: Done::saying("forked"),
        };
        let platform = &ground.platform;
        let folder = platform.folder.join(number.to_string());
        let (helm, secrets) = (platform.helm.as_deref(), &platform.secrets);
        let about = About { run: &platform.run, folder: &folder, helm, secrets };
        let site = Site::open(&raised, about).await.map_err(|trouble| Hindrance::Cannot(trouble.headline))?;
        if !self.later {
            let hand = Hand::new(&rehearsal, site.target.client.clone(), &self.namespace);
            let until = if self.is_weather() { Until::Done } else { Until::Over };
            hand.prepare(&self.case.deeds, until).await?;
        }
        Ok((rehearsal, site))
    }

    async fn look(
        &self,
        ground: &Ground,
        rehearsal: Arc<Rehearsal>,
        site: Site,
        ease: u32,
    ) -> Result<Ending, Hindrance> {
        let client = site.target.client.clone();
        let plan =
            Plan { steps: self.hastened(ease), omissions: Vec::new(), written: std::collections::BTreeMap::new() };
        let (rehearsed, namespace) = (Arc::clone(&rehearsal), self.namespace.clone());
        let done = Arc::new(AtomicUsize::new(0));
        let world = Arc::new(Scene {
            memory: ground.platform.memory.on(site),
            rehearsal: rehearsed,
            namespace,
            later: self.later.then(|| (self.case.clone(), Arc::clone(&done))),
            is_weather: self.is_weather(),
            hindrance: Mutex::default(),
        });
        let options = RunOptions {
            jobs: NonZeroUsize::MIN,
            run: ground.platform.run.clone(),
            environment: REHEARSAL.to_owned(),
            cluster: REHEARSAL.to_owned(),
            sign_off: false,
            started: jiff::Timestamp::now(),
            measure: Usage::default,
        };
        // What is red first speaks; where nothing is, what was looked at last.
        let mut endings: Vec<Ending> = Vec::new();
        let sink = |event: &Event| {
            if let EventKind::StepEnded { ending, .. } = &event.kind {
                endings.push(ending.clone());
            }
        };
        let run = Box::pin(engine::run(&plan, Arc::clone(&world), options, futures::stream::pending(), sink));
        match self.case.storm.as_ref().filter(|_| !self.later) {
            Some(storm) => {
                let hand = Hand::new(&rehearsal, client, &self.namespace);
                let aim = hand.aim(storm).await?;
                // A storm that comes too late is none.
                match futures::future::select(pin!(hand.interfere(storm, &aim, &done)), run).await {
                    Either::Left((interfered, run)) => {
                        interfered?;
                        run.await;
                    }
                    Either::Right(_) => {}
                }
            }
            None => run.await,
        }
        if let Some(hindrance) = world.hindrance.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(hindrance);
        }
        let is_spared = self.case.storm.as_ref().is_some_and(|storm| hits(storm, &rehearsal, &done) == 0);
        let red = endings.iter().position(|ending| !matches!(ending, Ending::Held { .. }));
        match red {
            Some(0) if self.later => Err(Hindrance::Cannot("it did not hold before anything went wrong".to_owned())),
            Some(first) => Ok(endings.swap_remove(first)),
            None if is_spared => Err(Hindrance::Cannot("it was over before anything could befall it".to_owned())),
            None => endings.pop().ok_or_else(|| Hindrance::Cannot("it did not end".to_owned())),
        }
    }

    fn is_about_helm(&self) -> bool {
        let by_helm =
            |step: &Step| matches!(&step.work, Work::Check(work) if matches!(work.spec.check, Check::HelmTest(_)));
        self.steps.iter().any(by_helm)
    }

    fn is_weather(&self) -> bool {
        self.case.expected == Expected::Held && !self.case.is_control()
    }

    /// Whether it is the launch that is late, or must not be. In all other cases it may be, as on a busy machine.
    fn is_about_launch(&self) -> bool {
        let late = |deed: &Deed| matches!(deed, Deed::Life { fault: rehearsal::Fault::SlowStart, .. });
        self.case.is_control() || self.case.deeds.iter().any(late)
    }

    /// The steps with their times as a rehearsal has them. What must hold in bad weather has all the time that it has on
    /// a real cluster: it ends as soon as it holds.
    fn hastened(&self, ease: u32) -> IndexMap<StepId, Step> {
        let is_weather = self.is_weather();
        let steps = self.steps.iter().map(|step| {
            let mut step = step.clone();
            if let Work::Check(work) = &mut step.work {
                hasten(work, is_weather, ease);
                if self.is_about_launch() {
                    hasten_launch(work);
                }
                step.budget = work.spec.patience.within;
            } else if !is_weather {
                step.budget = times(WAIT, ease);
            }
            (step.id.clone(), step)
        });
        steps.collect()
    }
}

/// What becomes of a case that was not brought about.
fn unreached(hindrance: Hindrance) -> Outcome {
    match hindrance {
        Hindrance::Cannot(why) => Outcome::Undone { why },
        Hindrance::Idle(why) => Outcome::Unclaimed { why: why.to_owned() },
    }
}

/// How often a storm has hit something.
fn hits(storm: &Storm, rehearsal: &Rehearsal, done: &AtomicUsize) -> usize {
    let done = done.load(Ordering::Relaxed);
    match storm {
        Storm::Gust(..) => rehearsal.blows(),
        Storm::Forget => done.min(rehearsal.streams().borrow().expired),
        Storm::Cut | Storm::Replace(_) => done,
    }
}

/// A span as a rehearsal has it, and no shorter than this.
fn shorter(span: Span, least: Span) -> Span {
    Span::from(span.duration() / TEMPO).max(least)
}

fn times(span: Span, ease: u32) -> Span {
    Span::from(span.duration() * ease)
}

fn hasten(work: &mut CheckWork, is_weather: bool, ease: u32) {
    let patience = &mut work.spec.patience;
    patience.every = shorter(patience.every, PAUSE);
    if is_weather {
        return;
    }
    patience.within = match work.spec.check.pace() {
        Pace::Repeated => times(shorter(patience.within, WINDOW.0).min(WINDOW.1), ease),
        Pace::Once => times(WAIT, ease),
    };
    patience.look = times(shorter(patience.look, LOOK), ease);
    if let Check::Failover(failover) = &mut work.spec.check {
        failover.gap = failover.gap.min(GAP);
    }
}

/// Were a launch given more time than this, one that is late would be in time.
fn hasten_launch(work: &mut CheckWork) {
    if let Check::Job(job) = &mut work.spec.check {
        job.launch = LAUNCH.min(job.launch);
    }
}

/// A world in which everything has been installed, and something goes wrong.
struct Scene {
    memory: Memory,
    rehearsal: Arc<Rehearsal>,
    namespace: String,
    /// What goes wrong once everything is ready, and how often it did.
    later: Option<(Case, Arc<AtomicUsize>)>,
    is_weather: bool,
    /// Why that is not done.
    hindrance: Mutex<Option<Hindrance>>,
}

impl World for Scene {
    async fn perform(&self, step: &Step, notes: &Notes) -> Result<Done, Trouble> {
        match &step.work {
            Work::Settle(work) => {
                let done = self.memory.settle(work, notes).await?;
                if let Some((case, hits)) = &self.later {
                    let client = self.memory.site()?.target.client.clone();
                    let hand = Hand::new(&self.rehearsal, client, &self.namespace);
                    let until = if self.is_weather { Until::Told } else { Until::Over };
                    if let Err(hindrance) = hand.prepare(&case.deeds, until).await {
                        let why = Trouble::environment(format!("{hindrance:?}"));
                        *self.hindrance.lock().unwrap_or_else(PoisonError::into_inner) = Some(hindrance);
                        return Err(why);
                    }
                    if let Some(storm) = &case.storm {
                        hand.interrupt(storm, hits).await;
                    }
                }
                Ok(done)
            }
            Work::Endure(work) => self.memory.endure(work, notes).await,
            Work::Cluster(_)
            | Work::Render(_)
            | Work::Preload(_)
            | Work::Install(_)
            | Work::Budget(_)
            | Work::Check(_)
            | Work::Teardown => {
                let headline = format!("{} is not performed", step.id);
                Err(Trouble { fault: Fault::Ourselves, headline, details: Vec::new() })
            }
        }
    }

    async fn observe(&self, check: &CheckWork, notes: &Notes) -> Verdict {
        self.memory.observe(check, notes).await
    }

    async fn keep_evidence(&self, _: &Step, _: &Ending, _: &Notes) -> Option<Evidence> {
        None
    }
}
