//! What the rooms of the rehearsal say to each other about objects.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::standins::postgres;

/// One object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Its collection, `group/plural`, where the core group is empty: `/pods`, `apps/deployments`.
    pub(crate) resource: Arc<str>,
    /// Its namespace; empty where its kind has none.
    pub(crate) namespace: Arc<str>,
    /// Its name.
    pub(crate) name: Arc<str>,
}

impl Key {
    /// The key of an object.
    pub(crate) fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The key of another object in the same namespace.
    pub(crate) fn beside(&self, resource: &str, name: &str) -> Self {
        Self { resource: resource.into(), namespace: self.namespace.clone(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = self.resource.rsplit('/').next().unwrap_or_default();
        match &*self.namespace {
            "" => write!(f, "{plural}/{}", self.name),
            namespace => write!(f, "{plural}/{namespace}/{}", self.name),
        }
    }
}

/// What can be seen of the cluster at one moment.
pub(crate) trait View {
    /// An object, whole.
    fn get(&self, key: &Key) -> Option<Arc<Value>>;
    /// All objects of a collection, in one namespace or in all, in the order of their names.
    fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>>;
    /// Those of them with all these labels: a map of strings, as `matchLabels` is.
    fn labelled(&self, resource: &str, namespace: &str, labels: &Value) -> Vec<Arc<Value>>;
    /// The objects of a collection that this one controls (`ownerReferences` with `controller: true`).
    fn controlled(&self, resource: &str, owner_uid: &str) -> Vec<Arc<Value>>;

    /// The PostgreSQL behind a name, as a pod of this namespace would reach it; `None` where none answers, or where nobody can be
    /// reached from.
    fn database(&self, _namespace: &str, _host: &str, _port: u16) -> Option<Arc<postgres::Server>> {
        None
    }
}

/// One thing that an actor does. What is said of an object that is gone, or whose uid is another by now, does nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// Creates an object, unless there is one of its name. It goes through everything that a client's request does.
    Create {
        /// Its collection.
        resource: &'static str,
        /// The object; `metadata.generateName` works as for clients.
        object: Value,
    },
    /// Merges (RFC 7386) into an object, its status left alone.
    Merge {
        /// Which.
        key: Key,
        /// Of this uid.
        uid: String,
        /// What.
        patch: Value,
    },
    /// Replaces the status as a whole; nothing happens where it is the same.
    Status {
        /// Which.
        key: Key,
        /// Of this uid.
        uid: String,
        /// The status.
        status: Value,
    },
    /// Deletes as a client would, with what it owns (in the background).
    Delete {
        /// Which.
        key: Key,
        /// Of this uid.
        uid: String,
    },
    /// The kubelet's last word on a pod that is being deleted: it is removed at once.
    Reap {
        /// Which.
        key: Key,
        /// Of this uid.
        uid: String,
    },
    /// Reports an event on an object. Same object, reason and message: the count goes up.
    Event {
        /// On which.
        about: Key,
        /// Of this uid.
        uid: String,
        /// Whether it is a warning.
        warning: bool,
        /// Its reason, in one word.
        reason: &'static str,
        /// Its message.
        message: String,
        /// Who says so: `kubelet`, `default-scheduler`, `job-controller`.
        source: &'static str,
        /// `spec.containers{name}`, where it is about a container.
        field_path: Option<String>,
    },
    /// A container writes a line to its log (without its end).
    Log {
        /// The pod.
        pod: Key,
        /// Of this uid.
        uid: String,
        /// The container.
        container: String,
        /// How often it had been started before.
        restart: u32,
        /// What.
        line: String,
    },
    /// What a container's script has waited for has answered, and it serves from now on.
    Serve {
        /// Its pod.
        pod: Key,
        /// The pod's uid.
        uid: String,
        /// Its name.
        container: String,
    },
    /// A container runs from now on: its log begins and its ports answer.
    Start {
        /// The pod.
        pod: Key,
        /// Of this uid.
        uid: String,
        /// The container.
        container: String,
        /// How often it had been started before.
        restart: u32,
    },
    /// It does not any more: its log is complete and its ports are silent.
    Stop {
        /// The pod.
        pod: Key,
        /// Of this uid.
        uid: String,
        /// The container.
        container: String,
        /// How often it had been started before.
        restart: u32,
    },
}
