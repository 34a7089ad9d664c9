//! What is under way, one line a step, redrawn in place beneath the lines that stay.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::super::figures::{length, plain};
use super::super::record::{Record, StepRecord};
use super::super::telling::verdict_line;
use crate::events::{Event, EventKind};
use crate::plan::StepId;

const TEMPLATE: &str = "{elapsed}  {wide_msg}";
const REDRAW: Duration = Duration::from_millis(200);

/// The moving part of a terminal.
pub(super) struct Live {
    screen: MultiProgress,
    running: BTreeMap<StepId, ProgressBar>,
}

impl Live {
    /// On this target; nothing is drawn where it is no terminal.
    pub(super) fn on(target: ProgressDrawTarget) -> Self {
        Self { screen: MultiProgress::with_draw_target(target), running: BTreeMap::new() }
    }

    /// Follows one event.
    pub(super) fn take(&mut self, event: &Event, record: &Record) {
        match &event.kind {
            EventKind::StepStarted { step } => {
                if let Some(known) = record.steps.get(step) {
                    self.begin(known);
                }
            }
            EventKind::StepWaited { step, .. } | EventKind::LookEnded { step, .. } => self.tell(step, record),
            EventKind::StepEnded { step, .. } => {
                if let Some(bar) = self.running.remove(step) {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
            }
            EventKind::RunStarted(_) | EventKind::RunInterrupted { .. } | EventKind::RunEnded { .. } => {}
        }
    }

    fn begin(&mut self, step: &StepRecord) {
        let bar = self.screen.add(ProgressBar::new_spinner().with_style(style(step)));
        bar.set_message(now(step));
        bar.enable_steady_tick(REDRAW);
        self.running.insert(step.outline.id.clone(), bar);
    }

    fn tell(&self, step: &StepId, record: &Record) {
        if let (Some(bar), Some(known)) = (self.running.get(step), record.steps.get(step)) {
            bar.set_message(now(known));
        }
    }

    /// Does something to the screen that must not mix with the moving part.
    pub(super) fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        self.screen.suspend(write)
    }

    /// Takes the moving part off the screen.
    pub(super) fn clear(self) {
        for bar in self.running.values() {
            bar.finish_and_clear();
        }
    }
}

/// `  12.3s of 3m     data-plane/redis/settle  pod redis-0: …`
fn style(step: &StepRecord) -> ProgressStyle {
    let budget = step.outline.budget.to_string();
    let elapsed = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let took = u64::try_from(state.elapsed().as_millis()).unwrap_or(u64::MAX);
        // A formatter's error has nowhere to go, and the next redraw tries again.
        write!(out, "{:>16}", format!("{} of {budget}", length(took))).ok();
    };
    // The template is a constant, and a test holds that it is a good one.
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.with_key("elapsed", elapsed)
}

/// What a step that is under way is doing.
fn now(step: &StepRecord) -> Cow<'static, str> {
    let id = plain(step.outline.id.as_str());
    let last_look = step.looks.last().map(|look| verdict_line(&look.verdict));
    match step.waits_for.as_deref().map(plain).or(last_look) {
        Some(what) => format!("{id}  {what}").into(),
        None => id.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{RunStarted, StepOutline};
    use crate::span::Span;

    fn event(at_ms: u64, kind: EventKind) -> Event {
        Event { seq: 0, at_ms, kind }
    }

    fn started() -> EventKind {
        EventKind::RunStarted(RunStarted::of(vec![StepOutline {
            id: StepId::cluster(),
            kind: "cluster".to_owned(),
            title: "a cluster is there".to_owned(),
            place: None,
            needs: Vec::new(),
            budget: Span::secs(180),
            requirements: Vec::new(),
            written: None,
        }]))
    }

    #[test]
    fn a_step_under_way_says_what_it_waits_for_until_it_ends() {
        let step = StepId::cluster();
        let (mut live, mut record) = (Live::on(ProgressDrawTarget::hidden()), Record::default());
        let mut feed = |kind| {
            let event = event(0, kind);
            record.take(&event);
            live.take(&event, &record);
            live.running.get(&step).map(ProgressBar::message)
        };
        assert_eq!(feed(started()), None);
        assert_eq!(feed(EventKind::StepStarted { step: step.clone() }).as_deref(), Some("cluster"));
        let on = "node control-plane: \u{1b}[2Jnot ready".to_owned();
        let said = feed(EventKind::StepWaited { step: step.clone(), on });
        assert_eq!(said.as_deref(), Some("cluster  node control-plane: not ready"));
        let ending = crate::events::Ending::Held { saw: String::new(), warnings: Vec::new() };
        let ended = EventKind::StepEnded { step: step.clone(), ending, took_ms: 0, looks: 0, evidence: None };
        assert_eq!(feed(ended), None);
    }

    #[test]
    fn the_template_is_one_that_indicatif_knows() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
