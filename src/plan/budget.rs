//! How long the steps may take whose time the author does not write.
//!
//! What the author writes bounds the rest: `cluster_budget` the cluster, `ready_within` both the install (hooks and all:
//! nothing may take longer to be put there than to be ready) and, counted from its end, the wait for readiness,
//! `within` a check, and the suite's deploy budget all installs and waits of the suite together.

use crate::span::Span;

/// Turning a chart into objects; a remote chart is fetched in this time.
pub const RENDER: Span = Span::secs(120);

/// Bringing one component's images into every node; a gigabyte takes about a minute.
pub const PRELOAD: Span = Span::secs(300);

/// Being still ready once every check has ended: what was restarted meanwhile must outlive its former life.
pub const ENDURE: Span = Span::secs(120);

/// Taking away what the run made; namespaces with finalizers are slower than a whole Kind cluster.
pub const TEARDOWN: Span = Span::secs(180);

/// Keeping what shows why a step is red; the step has been judged before.
pub const EVIDENCE: Span = Span::secs(20);
