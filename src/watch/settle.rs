//! Waiting until objects are ready, or one of them never will be.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::time::{Instant, sleep_until, timeout};

use super::scene::Scene;
use super::{Hub, ObjectRef, WatchError};
use crate::health::{Belief, Cause, Doubt, Health, Patience, Speaker};
use crate::ports::Notes;

/// Lines kept of a log that explains a doom.
const LAST: i64 = 10;
/// How many other causes are told beside the one that a doom is put down to.
const BESIDE: usize = 5;
/// Longest wait for them: a verdict is worth more than its illustration.
const LOG: Duration = Duration::from_secs(2);

/// Objects that will not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doom {
    /// The lowest cause in one line, with the last words of the container that exited.
    pub why: String,
    /// The way down to it, and the end of that container's log. Not masked.
    pub details: Vec<String>,
}

impl Hub {
    /// Waits until every one of these objects is ready by `health`, or one is doomed; notes what it waits for.
    ///
    /// # Errors
    /// The outer error where a watch is refused, the inner one where an object is doomed.
    pub async fn settle(&self, objects: &[ObjectRef], notes: &Notes) -> Result<Result<String, Doom>, WatchError> {
        self.wait(objects, Belief::AtOnce, |on| notes.waiting(on)).await
    }

    /// As [`Hub::settle`], telling the lowest thing waited for at every look. What was restarted is ready only once it
    /// has been up for twice as long as before, and what fails its liveness probe once it no longer does.
    ///
    /// # Errors
    /// As [`Hub::settle`].
    pub async fn settle_telling(
        &self,
        objects: &[ObjectRef],
        tell: impl FnMut(&str) + Send,
    ) -> Result<Result<String, Doom>, WatchError> {
        self.wait(objects, Belief::OnceProven, tell).await
    }

    /// As [`Hub::settle_telling`] at the end of a run: waits longer for what was restarted, and a little for what has only
    /// just started.
    ///
    /// # Errors
    /// As [`Hub::settle`].
    pub async fn endure(&self, objects: &[ObjectRef], notes: &Notes) -> Result<Result<String, Doom>, WatchError> {
        self.wait(objects, Belief::Lasting, |on| notes.waiting(on)).await
    }

    async fn wait(
        &self,
        objects: &[ObjectRef],
        belief: Belief,
        mut tell: impl FnMut(&str) + Send,
    ) -> Result<Result<String, Doom>, WatchError> {
        if objects.is_empty() {
            return Ok(Ok("nothing to wait for".to_owned()));
        }
        let mut scene = Scene::open(self, objects, belief).await;
        let (mut stuck, mut proofs) = (Stuck::default(), Proofs::default());
        let clock = Clock { begun: Instant::now(), tempo: self.tempo };
        loop {
            let mut retry = None;
            if let Some(trouble) = scene.trouble() {
                tell(&trouble);
            } else if let Some(healths) = scene.look(self)? {
                match stuck.outcome(&healths, clock.now()) {
                    Outcome::Ready(saw) => match proofs.owed(scene.doubts(), clock.now()) {
                        Some((on, until)) => {
                            tell(on);
                            retry = Some(until);
                        }
                        None => return Ok(Ok(saw)),
                    },
                    Outcome::Doomed(at, cause) => {
                        let beside = beside(&healths, &cause);
                        let mut doom = self.doom(&objects[at], cause).await;
                        doom.details.extend(beside);
                        return Ok(Err(doom));
                    }
                    Outcome::Waiting { on, until } => {
                        tell(&on);
                        retry = until;
                    }
                }
            }
            tokio::select! {
                () = scene.changed() => {}
                Some(()) = OptionFuture::from(retry.map(|at| sleep_until(clock.here(at)))) => {}
            }
        }
    }

    /// The cause with the last words of the container that it is about.
    async fn doom(&self, object: &ObjectRef, cause: Cause) -> Doom {
        let mut doom = Doom { why: cause.line, details: Vec::new() };
        if !cause.way.is_empty() {
            doom.details.push(format!("found by way of {}", cause.way.join(", ")));
        }
        if let (Some(speaker), Some(namespace)) = (cause.speaker, &object.namespace)
            && let Some(LastWords { container, lines }) = self.last_words(namespace, &speaker).await
        {
            if let Some(line) = telling(&lines) {
                doom.why = format!("{}: {}", doom.why, line.trim_start());
            }
            doom.details.extend(lines.into_iter().map(|line| format!("log of container {container}: {line}")));
        }
        doom
    }

    /// The end of a container's log, of the API server or of who has heard it; nothing where neither has it.
    async fn last_words(&self, namespace: &str, speaker: &Speaker) -> Option<LastWords> {
        if let Speaker::Container { pod, container, previous } = speaker {
            // A container restarted since the look speaks for its successor: then the other log is the one.
            for previous in [*previous, !previous] {
                let params = LogParams {
                    container: Some(container.clone()),
                    previous,
                    tail_lines: Some(LAST),
                    ..LogParams::default()
                };
                let pods: Api<Pod> = Api::namespaced(self.client().clone(), namespace);
                let words = timeout(LOG, pods.logs(pod, &params)).await.ok().and_then(Result::ok);
                let words = words.filter(|text| !is_no_log(text));
                if let Some(words) = words.and_then(|text| LastWords::of(container, &text)) {
                    return Some(words);
                }
            }
        }
        let ear = self.ear.get()?.upgrade()?;
        timeout(LOG, ear.last_words(namespace, speaker)).await.ok()?
    }
}

/// Who hears containers while they run, and so knows the last words of those that are gone.
pub trait Ear: Send + Sync {
    /// The end of what this one said, once all of it has been heard; nothing where it said nothing, or was not heard.
    fn last_words<'a>(&'a self, namespace: &'a str, speaker: &'a Speaker) -> BoxFuture<'a, Option<LastWords>>;
}

/// The end of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWords {
    /// The container.
    pub container: String,
    /// Its last lines, without empty ones; at least one.
    pub lines: Vec<String>,
}

impl LastWords {
    /// The last lines of this log; `None` where it has none.
    #[must_use]
    pub fn of(container: &str, log: &str) -> Option<Self> {
        let lines = log.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let mut last: Vec<_> = lines.rev().take(usize::try_from(LAST).unwrap_or_default()).map(str::to_owned).collect();
        last.reverse();
        (!last.is_empty()).then(|| Self { container: container.to_owned(), lines: last })
    }
}

/// Whether this is what a kubelet answers in place of the log of a container that is gone (`GetContainerLogs`).
#[must_use]
pub fn is_no_log(text: &str) -> bool {
    text.starts_with("unable to retrieve container logs for ")
}

/// Until when each doubt must have been outlived.
#[derive(Default)]
struct Proofs(BTreeMap<(String, Timestamp), Instant>);

impl Proofs {
    /// The one that owes longest, if any still does.
    fn owed<'a>(&mut self, doubts: &'a [Doubt], now: Instant) -> Option<(&'a str, Instant)> {
        let owing = doubts.iter().map(|doubt| {
            // A node's clock may differ from ours: at worst the whole time is waited from the first sight.
            let lasted = Duration::try_from(Timestamp::now().duration_since(doubt.since)).unwrap_or_default();
            let until = self
                .0
                .entry((doubt.line.clone(), doubt.since))
                .or_insert_with(|| now + doubt.owes.saturating_sub(lasted));
            (doubt.line.as_str(), *until)
        });
        owing.filter(|(_, until)| *until > now).max_by_key(|(_, until)| *until)
    }
}

/// The time of a cluster, which may pass faster than ours.
#[derive(Clone, Copy, Debug)]
struct Clock {
    begun: Instant,
    tempo: u32,
}

impl Clock {
    fn now(self) -> Instant {
        self.begun + self.begun.elapsed() * self.tempo
    }

    /// When it is this time there.
    fn here(self, there: Instant) -> Instant {
        self.begun + there.saturating_duration_since(self.begun) / self.tempo
    }
}

/// What a look at all objects comes to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Ready(String),
    /// One object, by its place, and why.
    Doomed(usize, Cause),
    /// The lowest thing, and when waiting for it ends though nothing changes.
    Waiting {
        on: String,
        until: Option<Instant>,
    },
}

/// Since when which objects are in states that only heal now and then.
#[derive(Default)]
struct Stuck {
    since: BTreeMap<(usize, &'static str), Since>,
}

#[derive(Clone, Copy)]
struct Since {
    at: Instant,
    in_company: bool,
}

impl Stuck {
    fn outcome(&mut self, healths: &[Health], now: Instant) -> Outcome {
        let doomed = healths.iter().enumerate().find_map(|(at, health)| match health {
            Health::Doomed(cause) => Some(Outcome::Doomed(at, cause.clone())),
            Health::Ready { .. } | Health::Waiting { .. } => None,
        });
        doomed.or_else(|| self.exhausted(healths, now)).unwrap_or_else(|| self.waiting(healths))
    }

    /// Counts the patience of every stuck object, and names the first whose patience is over.
    fn exhausted(&mut self, healths: &[Health], now: Instant) -> Option<Outcome> {
        let mut still = BTreeMap::new();
        let mut exhausted = None;
        for (at, cause, patience) in stuck(healths) {
            let mut since =
                self.since.get(&(at, patience.with)).copied().unwrap_or(Since { at: now, in_company: false });
            since.in_company |= progress(healths).any(|other| other != at) || crashes_beside(healths, at, patience);
            still.insert((at, patience.with), since);
            if exhausted.is_none() && now >= since.ends(patience) {
                exhausted = Some(Outcome::Doomed(at, outwaited(cause, now - since.at)));
            }
        }
        self.since = still;
        // Whatever else has waited in vain, what is not there any more is the lowest.
        let gone = stuck(healths).find(|(_, _, patience)| *patience == Patience::GONE);
        match (&exhausted, gone) {
            (Some(_), Some((at, cause, patience))) => {
                let since = self.since.get(&(at, patience.with)).map_or(now, |since| since.at);
                Some(Outcome::Doomed(at, outwaited(cause, now - since)))
            }
            (Some(_) | None, _) => exhausted,
        }
    }

    /// What is waited for: a stuck object before one that makes progress.
    fn waiting(&self, healths: &[Health]) -> Outcome {
        let ends =
            stuck(healths).filter_map(|(at, _, patience)| Some(self.since.get(&(at, patience.with))?.ends(patience)));
        let until = ends.min();
        let mut on = None;
        for health in healths {
            match health {
                Health::Waiting { on: cause, patience: Some(_) } => {
                    return Outcome::Waiting { on: cause.line.clone(), until };
                }
                Health::Waiting { on: cause, patience: None } => on = on.or_else(|| Some(cause.line.clone())),
                Health::Ready { .. } | Health::Doomed(_) => {}
            }
        }
        on.map_or_else(|| Outcome::Ready(ready(healths)), |on| Outcome::Waiting { on, until })
    }
}

impl Since {
    fn ends(self, patience: Patience) -> Instant {
        self.at + if self.in_company { patience.in_company } else { patience.alone }
    }
}

fn stuck(healths: &[Health]) -> impl Iterator<Item = (usize, &Cause, Patience)> {
    healths.iter().enumerate().filter_map(|(at, health)| match health {
        Health::Waiting { on, patience: Some(patience) } => Some((at, on, *patience)),
        Health::Waiting { patience: None, .. } | Health::Ready { .. } | Health::Doomed(_) => None,
    })
}

/// Whether this one crashes while another is kept from starting at all: then it may well crash for want of that other, which
/// is the one to name.
fn crashes_beside(healths: &[Health], at: usize, patience: Patience) -> bool {
    let never_starts = |(other, _, with): (usize, &Cause, Patience)| other != at && with.is_before_the_start();
    patience == Patience::CRASH && stuck(healths).any(never_starts)
}

/// What else is not well than what a doom is put down to, a line for each cause.
fn beside(healths: &[Health], named: &Cause) -> Vec<String> {
    let mut causes = Vec::new();
    for health in healths {
        match health {
            Health::Waiting { on: cause, patience: Some(_) } | Health::Doomed(cause) => {
                // The same cause stands below several objects, and the one named may have been given its time.
                if !named.line.starts_with(&cause.line) && !causes.contains(&&cause.line) {
                    causes.push(&cause.line);
                }
            }
            Health::Waiting { patience: None, .. } | Health::Ready { .. } => {}
        }
    }
    let more = causes.len().saturating_sub(BESIDE);
    let rest = (more > 0).then(|| format!("and {more} more"));
    causes.into_iter().take(BESIDE).map(|line| format!("beside it: {line}")).chain(rest).collect()
}

/// The places of objects that are on their way.
fn progress(healths: &[Health]) -> impl Iterator<Item = usize> {
    healths.iter().enumerate().filter_map(|(at, health)| match health {
        Health::Waiting { patience: None, .. } => Some(at),
        Health::Waiting { patience: Some(_), .. } | Health::Ready { .. } | Health::Doomed(_) => None,
    })
}

fn outwaited(cause: &Cause, lasted: Duration) -> Cause {
    let mut cause = cause.clone();
    if lasted >= Duration::from_secs(1) {
        cause.line = format!("{}; still so after {} s", cause.line, lasted.as_secs());
    }
    cause
}

fn ready(healths: &[Health]) -> String {
    match healths {
        [Health::Ready { saw }] => saw.clone(),
        several => format!("{} objects are ready", several.len()),
    }
}

/// Of a container's last words the line that tells why: the last that speaks of an error, since around it tools leave positions,
/// hints and stacks; else the very last.
fn telling(words: &[String]) -> Option<&String> {
    let is_sign = |word: &str| {
        let word = word.to_lowercase();
        word.ends_with("error")
            || word.ends_with("exception")
            || matches!(word.as_str(), "fatal" | "panic" | "panicked")
    };
    let speaks = |line: &&String| line.split(|letter: char| !letter.is_alphanumeric()).any(is_sign);
    words.iter().rev().find(speaks).or(words.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { with: "a state", alone: Duration::from_secs(5), in_company: Duration::from_secs(60) };

    fn cause(line: &str) -> Cause {
        Cause { line: line.to_owned(), way: Vec::new(), speaker: None }
    }

    fn on(line: &str, patience: Option<Patience>) -> Health {
        Health::Waiting { on: cause(line), patience }
    }

    fn waiting(line: &str, until: Option<Instant>) -> Outcome {
        Outcome::Waiting { on: line.to_owned(), until }
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_cluster_of_another_tempo_a_time_comes_that_much_earlier() {
        let clock = Clock { begun: Instant::now(), tempo: 20 };
        let later = clock.now() + PATIENCE.in_company;
        assert_eq!(clock.here(later) - clock.begun, Duration::from_secs(3));
        sleep_until(clock.here(later)).await;
        assert_eq!(clock.now(), later);
    }

    #[tokio::test]
    async fn one_doomed_object_ends_the_wait_for_all() {
        let healths = [on("a", None), Health::Doomed(cause("b"))];
        assert_eq!(Stuck::default().outcome(&healths, Instant::now()), Outcome::Doomed(1, cause("b")));
    }

    #[tokio::test]
    async fn a_stuck_object_alone_is_doomed_when_its_patience_ends() {
        let (mut stuck, start, healths) = (Stuck::default(), Instant::now(), [on("a", Some(PATIENCE))]);
        let end = start + PATIENCE.alone;
        assert_eq!(stuck.outcome(&healths, start), waiting("a", Some(end)));
        assert_eq!(stuck.outcome(&healths, end), Outcome::Doomed(0, cause("a; still so after 5 s")));
    }

    #[tokio::test]
    async fn a_stuck_object_in_company_gets_more_time_and_is_the_one_that_is_named() {
        let (mut stuck, start) = (Stuck::default(), Instant::now());
        let end = start + PATIENCE.in_company;
        let both = [on("on its way", None), on("a", Some(PATIENCE))];
        assert_eq!(stuck.outcome(&both, start), waiting("a", Some(end)));
        let alone = [Health::Ready { saw: "up".to_owned() }, on("a", Some(PATIENCE))];
        assert_eq!(stuck.outcome(&alone, start + PATIENCE.alone), waiting("a", Some(end)));
        assert_eq!(stuck.outcome(&alone, end), Outcome::Doomed(1, cause("a; still so after 60 s")));
    }

    #[tokio::test]
    async fn what_crashes_beside_what_cannot_start_is_not_the_one_that_is_named() {
        let (mut stuck, start) = (Stuck::default(), Instant::now());
        let crash = on("crashes", Some(Patience::CRASH));
        let both = [crash.clone(), on("no Secret", Some(Patience::REFERENCE))];
        let end = start + Patience::REFERENCE.alone;
        assert_eq!(stuck.outcome(&both, start), waiting("crashes", Some(end)));
        let named = cause("no Secret; still so after 5 s");
        assert_eq!(stuck.outcome(&both, end), Outcome::Doomed(1, named.clone()));
        assert_eq!(beside(&both, &named), ["beside it: crashes"]);
        let other = [crash.clone(), on("no metrics", Some(PATIENCE))];
        assert_eq!(
            Stuck::default().outcome(&other, start),
            Outcome::Doomed(0, cause("crashes")),
            "it starts all the same"
        );
        let alone = [crash, Health::Ready { saw: "up".to_owned() }];
        assert_eq!(Stuck::default().outcome(&alone, start), Outcome::Doomed(0, cause("crashes")));
        assert_eq!(beside(&alone, &cause("crashes")), Vec::<String>::new());
    }

    #[test]
    fn of_many_that_are_not_well_the_first_are_told_once_each() {
        let all: Vec<_> = (0..14).map(|n| on(&format!("{}", n / 2), Some(PATIENCE))).collect();
        let told = beside(&all, &cause("0"));
        assert_eq!((told.len(), told[0].as_str(), told[5].as_str()), (6, "beside it: 1", "and 1 more"));
    }

    #[tokio::test]
    async fn a_state_that_healed_starts_anew() {
        let (mut stuck, start) = (Stuck::default(), Instant::now());
        stuck.outcome(&[on("a", Some(PATIENCE))], start);
        stuck.outcome(&[on("b", None)], start + Duration::from_secs(4));
        let again = start + Duration::from_secs(6);
        assert_eq!(stuck.outcome(&[on("a", Some(PATIENCE))], again), waiting("a", Some(again + PATIENCE.alone)));
    }

    #[tokio::test]
    async fn what_came_back_owes_what_is_left_of_its_time_and_its_next_life_owes_anew() {
        let (mut proofs, start) = (Proofs::default(), Instant::now());
        let back = |line: &str, ago: i64| Doubt {
            line: line.to_owned(),
            since: Timestamp::now() - jiff::SignedDuration::from_secs(ago),
            owes: Duration::from_secs(10),
        };
        assert_eq!(proofs.owed(&[back("restarted long ago", 3600)], start), None);
        let young = [back("restarted", 0)];
        let (line, until) = proofs.owed(&young, start).unwrap();
        assert!(line == "restarted" && until <= start + Duration::from_secs(10) && until > start);
        assert_eq!(proofs.owed(&young, until), None);
        assert!(proofs.owed(&[back("restarted", 0)], until).is_some(), "since another time");
    }

    #[tokio::test]
    async fn all_ready_is_ready() {
        let up = || Health::Ready { saw: "up".to_owned() };
        assert_eq!(Stuck::default().outcome(&[up()], Instant::now()), Outcome::Ready("up".to_owned()));
        assert_eq!(
            Stuck::default().outcome(&[up(), up()], Instant::now()),
            Outcome::Ready("2 objects are ready".to_owned())
        );
    }

    #[test]
    fn the_line_that_speaks_of_an_error_tells_more_than_what_comes_after_it() {
        let told = |text: &str| {
            let words: Vec<String> = text.lines().map(str::to_owned).collect();
            telling(&words).cloned().unwrap_or_default()
        };
        let flyway = "Message    : ERROR: syntax error at or near \"TABEL\"\n  Position: 8\n\
            Caused by: org.postgresql.util.PSQLException: ERROR: syntax error at or near \"TABEL\"\n  Position: 8";
        assert!(told(flyway).starts_with("Caused by: "), "{}", told(flyway));
        assert_eq!(
            told("ERROR: relation \"a\" does not exist\nHINT: create it"),
            "ERROR: relation \"a\" does not exist"
        );
        assert_eq!(told("Fatal: lost the lease\nbye"), "Fatal: lost the lease");
        assert_eq!(told("checked, 0 errors\nno more room on deck"), "no more room on deck");
        assert_eq!(told(""), "");
    }
}
