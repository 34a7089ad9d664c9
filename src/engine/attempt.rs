//! One step, one deadline, one classified result.
//!
//! The work's future is dropped at its deadline or when the step is cut; what it last noted then speaks for it. A panic
//! ends its step and no other. A red step keeps its evidence before it reports, in a time of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::convergence::{self, Convergence, Next};
use super::ending::{self, Cut};
use super::meter::Meter;
use crate::checks::Verdict;
use crate::events::{Ending, Evidence};
use crate::plan::{CheckWork, Step, StepId, Work, budget};
use crate::ports::{Notes, World};

/// What an attempt tells the driver.
pub(super) enum Word {
    /// The step has been judged red, and this is why; what shows it is now being kept.
    Keeping { step: StepId, why: String },
    /// A look ended.
    Looked { step: StepId, look: u32, verdict: Verdict },
    /// The attempt is over; its last word.
    Ended(Report),
}

/// How one step went.
pub(super) struct Report {
    pub(super) step: StepId,
    pub(super) ending: Ending,
    /// Until it was judged; keeping evidence comes after.
    pub(super) took: Duration,
    pub(super) looks: u32,
    pub(super) evidence: Option<Evidence>,
}

/// One step under way.
pub(super) struct Attempt<W> {
    pub(super) world: Arc<W>,
    pub(super) step: Step,
    pub(super) notes: Notes,
    pub(super) meter: Meter,
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) cut: watch::Receiver<Option<Cut>>,
    pub(super) looks: AtomicU32,
}

impl<W: World> Attempt<W> {
    pub(super) async fn run(self) {
        let started = Instant::now();
        let ending = self.judged(started).await;
        let took = started.elapsed();
        let evidence = if ending::is_red(&ending) { self.kept(&ending).await } else { None };
        let (step, looks) = (self.step.id.clone(), self.looks.load(Ordering::Relaxed));
        // A driver that is gone has no use for a report.
        self.words.send(Word::Ended(Report { step, ending, took, looks, evidence })).ok();
    }

    async fn judged(&self, started: Instant) -> Ending {
        let work = AssertUnwindSafe(self.work(started)).catch_unwind();
        tokio::select! {
            biased;
            ending = work => ending.unwrap_or_else(|panic| ending::panicked(&self.step, panic.as_ref())),
            cut = self.cut_where(|_| true) => {
                ending::cut_off(&self.step, &cut, started.elapsed(), self.notes.last().note.as_deref())
            }
        }
    }

    async fn work(&self, started: Instant) -> Ending {
        match &self.step.work {
            Work::Check(check) => self.looks(check, started).await,
            Work::Cluster(_)
            | Work::Render(_)
            | Work::Preload(_)
            | Work::Install(_)
            | Work::Settle(_)
            | Work::Endure(_)
            | Work::Budget(_)
            | Work::Teardown => {
                let deed = self.meter.outside(self.world.perform(&self.step, &self.notes));
                match timeout(self.step.budget.duration(), deed).await {
                    Ok(deed) => ending::of_deed(&self.step, deed),
                    Err(_elapsed) => ending::overdue(&self.step, self.notes.last().note.as_deref()),
                }
            }
        }
    }

    /// Look after look, until the claim has converged or its window has closed.
    async fn looks(&self, check: &CheckWork, started: Instant) -> Ending {
        let mut convergence = Convergence::new(check.spec.patience, check.spec.check.pace());
        loop {
            let limit = convergence.look_limit(started.elapsed());
            let look = timeout(limit, self.meter.outside(self.world.observe(check, &self.notes))).await;
            let last = self.notes.look_afresh();
            let next = if let Ok(verdict) = look {
                self.looked(&verdict);
                convergence.look_ended(verdict, started.elapsed())
            } else {
                let silent = || Verdict::unclear(convergence::cut_short(limit, last.note.as_deref()));
                let stood = last.verdict.unwrap_or_else(silent);
                self.looked(&stood);
                convergence.look_cut_short(stood, started.elapsed())
            };
            match next {
                Next::Again(pause) => self.meter.outside(sleep(pause)).await,
                Next::Settled(conclusion) => return ending::of_check(conclusion),
            }
        }
    }

    fn looked(&self, verdict: &Verdict) {
        let look = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
        self.words.send(Word::Looked { step: self.step.id.clone(), look, verdict: verdict.clone() }).ok();
    }

    /// Keeps evidence where there is something to keep; only an abort ends that early. The reason is said first, so
    /// that nobody waits for it.
    async fn kept(&self, ending: &Ending) -> Option<Evidence> {
        if matches!(self.step.work, Work::Budget(_) | Work::Teardown) {
            return None;
        }
        let why = ending::headline(ending).to_owned();
        self.words.send(Word::Keeping { step: self.step.id.clone(), why }).ok();
        let keeping = self.meter.outside(self.world.keep_evidence(&self.step, ending, &self.notes));
        let keeping = AssertUnwindSafe(timeout(budget::EVIDENCE.duration(), keeping)).catch_unwind();
        tokio::select! {
            biased;
            kept = keeping => kept.ok()?.ok()?,
            _ = self.cut_where(|cut| matches!(cut, Cut::Abort { .. })) => None,
        }
    }

    async fn cut_where(&self, which: impl Fn(&Cut) -> bool) -> Cut {
        let mut cut = self.cut.clone();
        let seen = cut.wait_for(|cut| cut.as_ref().is_some_and(&which)).await.ok().and_then(|cut| cut.clone());
        match seen {
            Some(cut) => cut,
            // Without a driver nobody can cut any more.
            None => std::future::pending().await,
        }
    }
}
