//! What can be made to go wrong, and where.

use super::dice::LETTERS;

/// One thing that goes wrong in the life of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The image cannot be pulled.
    ImagePull,
    /// The containers end with 1 soon after each start.
    CrashLoop,
    /// The containers run and their readiness probes fail.
    NeverReady,
    /// No node fits.
    Unschedulable,
    /// A ConfigMap that the containers need is not there.
    ConfigMissing,
    /// The containers are killed for their memory soon after each start.
    OomKilled,
    /// The pods of the Job end with 1.
    JobFails,
    /// The pods of the Job never end.
    JobHangs,
    /// The pods need more than two seconds longer to start.
    SlowStart,
    /// The pods are evicted for pressure on the node's memory soon after they run.
    Evicted,
    /// Weather: each pod's first container restarts once and is well afterwards.
    RestartsOnce,
    /// Weather: the addresses of a Service's ready pods appear late.
    LateEndpoint,
    /// The Deployment makes no progress within its deadline.
    ProgressDeadline,
    /// The pods of the workload are refused by a quota.
    QuotaExceeded,
    /// An operator does not look at the custom resource.
    OperatorSilent,
    /// An operator says that the custom resource is not ready, with a reason.
    OperatorRefuses,
    /// The CustomResourceDefinition stays without `Established`.
    CrdNotEstablished,
    /// The names of the CustomResourceDefinition are not accepted.
    CrdNamesRefused,
    /// `observedGeneration` stays behind, and the status with it.
    StaleStatus,
    /// The claim is never bound.
    PvcPending,
    /// A namespace gets no ServiceAccount `default`.
    NoDefaultServiceAccount,
    /// The containers do all that they do without a word, and so do commands in them.
    Mute,
    /// Commands in the containers end with 1.
    ExecFails,
    /// Commands in the containers do not end.
    ExecHangs,
    /// What is to be run as a command in the containers is not in their image.
    ExecMissing,
    /// The containers, and commands in them, say something else than they should: what a [`super::super::Rehearsal`] is given
    /// to say.
    OtherWords,
    /// A namespace gets no ConfigMap `kube-root-ca.crt`.
    NoRootAuthority,
    /// Of the pods that elect a leader none takes over from one that is gone.
    NeverElects,
    /// One takes over seconds later than it should.
    ElectsLate,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::ImagePull,
        Self::CrashLoop,
        Self::NeverReady,
        Self::Unschedulable,
        Self::ConfigMissing,
        Self::OomKilled,
        Self::JobFails,
        Self::JobHangs,
        Self::SlowStart,
        Self::Evicted,
        Self::RestartsOnce,
        Self::LateEndpoint,
        Self::ProgressDeadline,
        Self::QuotaExceeded,
        Self::OperatorSilent,
        Self::OperatorRefuses,
        Self::CrdNotEstablished,
        Self::CrdNamesRefused,
        Self::StaleStatus,
        Self::PvcPending,
        Self::NoDefaultServiceAccount,
        Self::Mute,
        Self::ExecFails,
        Self::ExecHangs,
        Self::ExecMissing,
        Self::OtherWords,
        Self::NoRootAuthority,
        Self::NeverElects,
        Self::ElectsLate,
    ];

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImagePull => "image-pull",
            Self::CrashLoop => "crash-loop",
            Self::NeverReady => "never-ready",
            Self::Unschedulable => "unschedulable",
            Self::ConfigMissing => "config-missing",
            Self::OomKilled => "oom-killed",
            Self::JobFails => "job-fails",
            Self::JobHangs => "job-hangs",
            Self::SlowStart => "slow-start",
            Self::Evicted => "evicted",
            Self::RestartsOnce => "restarts-once",
            Self::LateEndpoint => "late-endpoint",
            Self::ProgressDeadline => "progress-deadline",
            Self::QuotaExceeded => "quota-exceeded",
            Self::OperatorSilent => "operator-silent",
            Self::OperatorRefuses => "operator-refuses",
            Self::CrdNotEstablished => "crd-not-established",
            Self::CrdNamesRefused => "crd-names-refused",
            Self::StaleStatus => "stale-status",
            Self::PvcPending => "pvc-pending",
            Self::NoDefaultServiceAccount => "no-default-service-account",
            Self::Mute => "mute",
            Self::ExecFails => "exec-fails",
            Self::ExecHangs => "exec-hangs",
            Self::ExecMissing => "exec-missing",
            Self::OtherWords => "other-words",
            Self::NoRootAuthority => "no-root-authority",
            Self::NeverElects => "never-elects",
            Self::ElectsLate => "elects-late",
        }
    }

    /// Whether it passes by itself and leaves a platform that works.
    pub fn is_weather(self) -> bool {
        matches!(self, Self::RestartsOnce | Self::LateEndpoint | Self::SlowStart)
    }
}

/// For which objects a fault is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Their namespace (of a Namespace: its own name); `None` for any, and for objects without one.
    pub namespace: Option<String>,
    /// Their name, or that of the workload or the Job that they belong to. Empty for any.
    pub name: String,
}

/// The faults that are on.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    on: Vec<(Target, Fault)>,
}

impl Faults {
    /// Switches a fault on for a target, or, with none, all of the target's off.
    pub(super) fn set(&mut self, at: Target, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.on.push((at, fault)),
            None => self.on.retain(|(target, _)| *target != at),
        }
    }

    /// Whether a fault is meant for an object.
    pub(super) fn strike(&self, namespace: &str, name: &str, fault: Fault) -> bool {
        self.on.iter().any(|(target, on)| {
            *on == fault
                && target.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
                && is_of(name, &target.name)
        })
    }
}

/// Whether a name is this one, or was made from it by a controller: with a number, a hash, or five letters behind it, or two
/// of these.
fn is_of(name: &str, owner: &str) -> bool {
    // Hashes of templates have up to ten letters, and hardly ever fewer than seven.
    let Some(rest) = name.strip_prefix(owner) else { return false };
    let made_up = |part: &str| {
        let is_hash = matches!(part.len(), 5 | 7..=10) && part.bytes().all(|c| LETTERS.contains(&c));
        is_hash || (!part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()))
    };
    owner.is_empty() || rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest.split('-').all(made_up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_only_begins_alike_is_another() {
        for (name, is) in [
            ("redis", true),
            ("redis-0", true),
            ("redis-5c9f8b7d2-x4b2z", true),
            ("redis-replica-0", false),
            ("redis-db", false),
            ("redis-v2", false),
        ] {
            assert_eq!(is_of(name, "redis"), is, "{name}");
        }
        assert!(is_of("anything", "") && !is_of("red", "redis") && !is_of("redis2", "redis"));
    }

    #[test]
    fn every_fault_has_a_name_of_its_own_in_kebab_case() {
        let mut names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())));
    }

    #[test]
    fn a_fault_strikes_its_target_alone_until_it_is_taken_back() {
        let mut faults = Faults::default();
        let at = Target { namespace: Some("a".into()), name: "web".into() };
        faults.set(at.clone(), Some(Fault::CrashLoop));
        assert!(faults.strike("a", "web-5c9f8b7d2-x4b2z", Fault::CrashLoop));
        assert!(!faults.strike("b", "web-5c9f8b7d2-x4b2z", Fault::CrashLoop));
        assert!(!faults.strike("a", "db-0", Fault::CrashLoop));
        assert!(!faults.strike("a", "web", Fault::ImagePull));
        faults.set(at, None);
        assert!(!faults.strike("a", "web-5c9f8b7d2-x4b2z", Fault::CrashLoop));
    }
}
