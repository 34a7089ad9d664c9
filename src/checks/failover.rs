//! Failover: whoever takes writes is deleted, another takes them, and nothing that was acknowledged is lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::continuity::{Gap, Timeline};
use super::reach::Faults;
use super::{Claim, Kafka, Postgres, Sentinel, Verdict, Written};
use crate::number::count;
use crate::span::Span;

/// A claim that a system outlives the loss of whoever takes its writes. The pod is **deleted**, once everything else that is claimed
/// of the component holds; make this claim where that may be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failover {
    /// The system, as its own check claims it. That must hold before anything is done, and again in the end.
    pub of: System,
    /// The longest time in which no write may be acknowledged.
    #[serde(default = "gap")]
    pub gap: Span,
    /// How often a write is tried.
    #[serde(default = "every")]
    pub every: Span,
    /// Whether the pod is deleted with no grace period: it is gone from the cluster and from its Services at once. Its processes are told
    /// to stop all the same, and have as long as the kubelet gives them, a second or more: that is less than the loss of a node.
    #[serde(default)]
    pub force: bool,
}

/// What takes writes, and whose clients know where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// A Redis master that Sentinels watch.
    Sentinel(Sentinel),
    /// A PostgreSQL primary, behind the name under which it takes writes, with whoever promotes another (CloudNativePG, Patroni). After
    /// the deletion each write comes as a new client does, until another has taken one.
    Postgres(Postgres),
    /// The Kafka broker that leads a partition of ours. What a group has committed before must be there afterwards as well.
    Kafka(Kafka),
}

const fn gap() -> Span {
    Span::secs(30)
}

const fn every() -> Span {
    Span::millis(100)
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailoverAnswer {
    /// The system did not hold to begin with, in this way, and nothing was deleted.
    NotBegun(Box<Verdict>),
    /// Somebody was deleted.
    Done(Passage),
}

/// What became of a system whose master was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The pod that was deleted.
    pub deleted: String,
    /// When, in milliseconds since the first write was begun.
    pub deleted_ms: u64,
    /// Who took writes afterwards; `None` where nobody did.
    pub successor: Option<String>,
    /// Whether that pod was there before: one that was made in the place of the deleted one has nobody's writes but those of its volume.
    pub stood_by: bool,
    /// All writes.
    pub writes: Timeline,
    /// When those were acknowledged that are not there any more, in milliseconds since the first was begun; `None` where they have
    /// not been looked for.
    pub lost_ms: Option<Vec<u64>>,
    /// Of Kafka: what became of the offset that a group had committed before; `None` where nobody has told it yet.
    pub committed: Option<Committed>,
    /// Of Kafka: when the deleted broker was last seen to serve the group before it had gone, in milliseconds since the first write
    /// was begun.
    pub served_ms: Option<u64>,
    /// What the system's own claim came to in the end; `None` where that has not been looked at.
    pub after: Option<Box<Verdict>>,
    /// What of ours could not be removed, and why.
    pub leftovers: Vec<String>,
}

/// What became of an offset that a group had committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// How long the group was without service, in milliseconds: from the deletion, or from the last time that it was served by
    /// the deleted broker before that had gone, until it was told.
    pub unserved_ms: u64,
    /// Whether it was told by the broker that had been deleted, come back, and nobody else before.
    pub is_former: bool,
    /// What it was, the last time that it was asked for.
    pub offset: Written,
}

impl Claim for Failover {
    type Answer = FailoverAnswer;

    fn judge(&self, answer: &FailoverAnswer) -> Verdict {
        match answer {
            FailoverAnswer::NotBegun(verdict) => match &**verdict {
                Verdict::Broken { expected, actual, .. } => {
                    Verdict::broken(format!("before anything is deleted: {expected}"), actual)
                }
                Verdict::Unclear { why } => Verdict::unclear(why),
                Verdict::Held { .. } => Verdict::unclear("it holds, and nothing was deleted"),
            },
            FailoverAnswer::Done(passage) => self.judge_passage(passage),
        }
    }
}

impl Failover {
    fn judge_passage(&self, passage: &Passage) -> Verdict {
        let mut faults = Faults::default();
        let gap = passage.writes.longest_gap(passage.deleted_ms);
        self.judge_succession(passage, &gap, &mut faults);
        judge_loss(passage, &mut faults);
        if let System::Kafka(_) = self.of {
            self.judge_committed(passage, &mut faults);
        }
        match passage.after.as_deref() {
            Some(Verdict::Broken { expected, actual, .. }) => {
                faults.unless(false, format!("in the end: {expected}"), format!("in the end: {actual}"));
            }
            Some(Verdict::Unclear { why }) => return faults.or_unclear(format!("in the end: {why}")),
            Some(Verdict::Held { .. }) => {}
            None => faults.unless(!faults.is_empty(), "the system holds in the end", "that has not been looked at"),
        }
        let (deleted, successor) = (&passage.deleted, passage.successor.as_deref().unwrap_or_default());
        let mut verdict = faults.or_held(format!(
            "{deleted} was deleted, and {successor} took over: no write was acknowledged for {gap}, and of {} none is lost",
            count(passage.writes.acknowledged(), "acknowledged write")
        ));
        if let Verdict::Held { warnings, .. } = &mut verdict {
            warnings.extend(passage.leftovers.iter().map(|left| format!("something of ours was left behind: {left}")));
        }
        verdict
    }

    fn judge_succession(&self, passage: &Passage, gap: &Gap, faults: &mut Faults) {
        let deleted = &passage.deleted;
        let another = format!("another takes writes after {deleted} is deleted");
        let Some(successor) = &passage.successor else {
            let actual = match passage.writes.last_refusal() {
                Some(_) => format!("nobody took a write after {deleted} was deleted, for {gap}"),
                None => format!("{deleted} was deleted and still took writes when the time was up"),
            };
            return faults.unless(false, another, actual);
        };
        faults.unless(successor != deleted, &another, format!("{deleted} itself came back, and took them"));
        let anew = format!("{successor} took them, which was made after {deleted} was deleted and had followed nobody");
        faults.unless(passage.stood_by || successor == deleted, another, anew);
        faults.unless(
            u128::from(gap.length_ms) <= self.gap.duration().as_millis(),
            format!("no longer than {} without a write that is acknowledged", self.gap),
            format!("no write was acknowledged for {gap}"),
        );
    }

    /// Where records are gone, or nobody took any, that is what is told.
    fn judge_committed(&self, passage: &Passage, faults: &mut Faults) {
        let (gap, deleted) = (self.gap, &passage.deleted);
        let Some(Committed { unserved_ms, is_former, offset }) = &passage.committed else {
            let actual = match passage.served_ms {
                Some(_) => format!("{deleted} was deleted and still served the group when the time was up"),
                None => format!("no group was served since {deleted} was deleted"),
            };
            return faults.unless(!faults.is_empty(), "what a group had committed is kept", actual);
        };
        let unserved = Span::millis(*unserved_ms);
        faults.unless(
            unserved.duration() <= gap.duration(),
            format!("no longer than {gap} until a group is told what it had committed"),
            format!("no group was served for {unserved} after {deleted} was deleted"),
        );
        faults.unless(
            !is_former,
            format!("another coordinates the group after {deleted} is deleted"),
            format!("{deleted} itself came back, and served the group"),
        );
        let (holds, actual) = match offset {
            Written::Kept => (true, String::new()),
            Written::Lost(found) => {
                (false, format!("the offset that a group had committed before is gone: it had {found}"))
            }
            Written::Refused(error) => (false, format!("no group is served any more: {error}")),
        };
        faults.unless(holds, "what a group had committed is kept", actual);
    }
}

fn judge_loss(passage: &Passage, faults: &mut Faults) {
    let kept = "every write that was acknowledged is kept";
    let Some(lost) = &passage.lost_ms else {
        // Where nobody took writes, nobody could be asked.
        return faults.unless(passage.successor.is_none(), kept, "what was acknowledged has not been asked for");
    };
    let Some(first) = lost.first() else { return };
    let deleted = &passage.deleted;
    let when = match passage.deleted_ms.checked_sub(*first) {
        Some(before) => format!("{} before {deleted} was deleted", Span::millis(before)),
        None => format!("after {deleted} was deleted"),
    };
    let all = count(passage.writes.acknowledged(), "acknowledged write");
    faults.unless(false, kept, format!("{} of {all} are gone, the first of them acknowledged {when}", lost.len()));
}

#[cfg(test)]
mod tests {
    use super::super::continuity::Attempt;
    use super::*;

    fn claim() -> Failover {
        serde_saphyr::from_str("{of: {sentinel: {at: 's:26379'}}, gap: 1s}").unwrap()
    }

    fn passage() -> Passage {
        let attempt = |at_ms, refused: Option<&str>| Attempt { at_ms, refused: refused.map(str::to_owned) };
        Passage {
            deleted: "redis-0".to_owned(),
            deleted_ms: 150,
            successor: Some("redis-1".to_owned()),
            stood_by: true,
            writes: Timeline(vec![
                attempt(0, None),
                attempt(100, None),
                attempt(600, Some("refused")),
                attempt(900, None),
            ]),
            lost_ms: Some(Vec::new()),
            committed: None,
            served_ms: None,
            after: Some(Box::new(Verdict::held("all well"))),
            leftovers: Vec::new(),
        }
    }

    fn actual(passage: Passage) -> String {
        match claim().judge(&FailoverAnswer::Done(passage)) {
            Verdict::Broken { actual, .. } => actual,
            other @ (Verdict::Held { .. } | Verdict::Unclear { .. }) => panic!("not broken: {other:?}"),
        }
    }

    #[test]
    fn a_passage_without_loss_and_in_time_holds() {
        assert_eq!(
            claim().judge(&FailoverAnswer::Done(passage())),
            Verdict::held(
                "redis-0 was deleted, and redis-1 took over: no write was acknowledged for 800ms (refused, 1 time), \
                 and of 3 acknowledged writes none is lost"
            )
        );
    }

    #[test]
    fn each_part_of_a_passage_can_break_it() {
        let mut late = passage().writes;
        late.0[3].at_ms = 2_100;
        let red = Verdict::broken("1 replica", "redis-1:6379 has 0 online");
        for (passage, said) in [
            (
                Passage { successor: None, writes: Timeline(passage().writes.0[..3].to_vec()), ..passage() },
                "nobody took a write after redis-0 was deleted, for 500ms (refused, 1 time)",
            ),
            (Passage { writes: late, ..passage() }, "no write was acknowledged for 2s (refused, 1 time)"),
            (
                Passage { lost_ms: Some(vec![100]), ..passage() },
                "1 of 3 acknowledged writes are gone, the first of them acknowledged 50ms before redis-0 was deleted",
            ),
            (Passage { after: Some(Box::new(red)), ..passage() }, "in the end: redis-1:6379 has 0 online"),
            (Passage { after: None, ..passage() }, "that has not been looked at"),
            (Passage { successor: Some("redis-0".to_owned()), ..passage() }, "redis-0 itself came back, and took them"),
            (
                Passage { stood_by: false, ..passage() },
                "redis-1 took them, which was made after redis-0 was deleted and had followed nobody",
            ),
            (Passage { lost_ms: None, ..passage() }, "what was acknowledged has not been asked for"),
            (
                Passage { successor: None, writes: Timeline(passage().writes.0[..2].to_vec()), ..passage() },
                "redis-0 was deleted and still took writes when the time was up",
            ),
        ] {
            assert_eq!(actual(passage), said);
        }
    }

    #[test]
    fn what_a_group_has_committed_is_part_of_it_with_kafka() {
        let claim: Failover = serde_saphyr::from_str("{of: {kafka: {at: 'k:9092'}}, gap: 1s}").unwrap();
        let told = |offset| Some(Committed { unserved_ms: 550, is_former: false, offset });
        let judged = |committed, lost_ms| {
            claim.judge(&FailoverAnswer::Done(Passage { committed, lost_ms: Some(lost_ms), ..passage() }))
        };
        assert!(
            matches!(judged(told(Written::Kept), Vec::new()), Verdict::Held { warnings, .. } if warnings.is_empty())
        );
        let lingering = claim.judge(&FailoverAnswer::Done(Passage { served_ms: Some(1_000), ..passage() }));
        assert!(
            matches!(&lingering, Verdict::Broken { actual, .. } if actual == "redis-0 was deleted and still served the group when the time was up"),
            "{lingering:?}"
        );
        let left = Passage { committed: told(Written::Kept), leftovers: vec!["topic t: no".to_owned()], ..passage() };
        let verdict = claim.judge(&FailoverAnswer::Done(left));
        assert!(
            matches!(&verdict, Verdict::Held { warnings, .. } if warnings[0].ends_with("left behind: topic t: no"))
        );
        for (committed, lost, said) in [
            (
                told(Written::Lost("none".to_owned())),
                Vec::new(),
                "the offset that a group had committed before is gone: it had none",
            ),
            (
                told(Written::Refused("OffsetFetch: GROUP_AUTHORIZATION_FAILED".to_owned())),
                Vec::new(),
                "no group is served any more: OffsetFetch: GROUP_AUTHORIZATION_FAILED",
            ),
            (None, Vec::new(), "no group was served since redis-0 was deleted"),
            (
                Some(Committed { unserved_ms: 1_001, is_former: false, offset: Written::Kept }),
                Vec::new(),
                "no group was served for 1s1ms after redis-0 was deleted",
            ),
            (
                Some(Committed { unserved_ms: 550, is_former: true, offset: Written::Kept }),
                Vec::new(),
                "redis-0 itself came back, and served the group",
            ),
            (
                None,
                vec![100],
                "1 of 3 acknowledged writes are gone, the first of them acknowledged 50ms before redis-0 was deleted",
            ),
        ] {
            let verdict = judged(committed, lost);
            assert!(matches!(&verdict, Verdict::Broken { actual, .. } if actual == said), "{verdict:?}");
        }
    }

    #[test]
    fn what_does_not_hold_to_begin_with_is_broken_and_what_cannot_be_seen_unclear() {
        let begun = |verdict| claim().judge(&FailoverAnswer::NotBegun(Box::new(verdict)));
        assert!(matches!(
            begun(Verdict::broken("3 sentinels", "2 sentinels")),
            Verdict::Broken { expected, .. } if expected == "before anything is deleted: 3 sentinels"
        ));
        assert!(matches!(begun(Verdict::unclear("no way")), Verdict::Unclear { .. }));
        let unclear = Some(Box::new(Verdict::unclear("no way")));
        let answer = FailoverAnswer::Done(Passage { after: unclear, ..passage() });
        assert!(matches!(claim().judge(&answer), Verdict::Unclear { .. }));
    }
}
