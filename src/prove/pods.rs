//! What can become of pods, whoever makes them, with the words by which it is known.

use crate::rehearsal::Fault;

/// Each state that a pod does not leave by itself. The words are the kubelet's and the scheduler's, or say what they mean.
pub(super) const DOOMS: [(Fault, &str); 6] = [
    (Fault::ImagePull, "cannot pull image"),
    (Fault::CrashLoop, "exited with code 1"),
    (Fault::OomKilled, "OOMKilled"),
    (Fault::Unschedulable, "nodes are available"),
    (Fault::ConfigMissing, "CreateContainerConfigError"),
    (Fault::QuotaExceeded, "exceeded quota"),
];
