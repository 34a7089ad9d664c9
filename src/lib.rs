//! Seaworthy: one command that says, in minutes and with the reason, whether a layer of a Kubernetes platform works.
//!
//! # The map, in reading order
//!
//! `suite files → plan (a DAG) → engine → events → reporters`, with adapters at the side. Each room says in its own
//! documentation what it is for, what it must never do, and why it is as it is.
//!
//! **What can be said** (pure: no runtime, no cluster, no files)
//! - [`span`]: a length of time with its unit.
//! - [`number`]: a number with its noun.
//! - [`checks`]: the vocabulary of claims and how an answer is judged.
//! - [`health`]: Kubernetes objects → ready, waiting on something, or doomed.
//! - [`suite`]: what the author wrote, made trustworthy; every mistake at once.
//! - [`plan`]: what will happen, before anything does.
//! - [`events`]: what did happen.
//!
//! **How it is done**
//! - [`ports`]: what the engine needs of the world.
//! - [`engine`]: executes a plan; the only source of events.
//!
//! **What the adapters stand on**
//! - [`complaint`]: an error and its causes as text.
//! - [`secrets`]: values that are kept out of everything that is written.
//! - [`process`]: children, run and described.
//! - [`grpc`]: messages and statuses of gRPC, and the few services that are spoken with.
//! - [`manifest`]: objects from the text that people and tools write.
//! - [`k8s`]: a client from an explicit access, and the names that a run leaves on what it makes.
//! - [`kinds`]: which endpoint serves a kind.
//! - [`watch`]: one shared watch per kind and namespace.
//! - [`logs`]: every container heard from its first line.
//! - [`tunnel`]: one way to dial `service.namespace:port`.
//! - [`tools`]: helm, kind, k3d and the container engine, found or fetched.
//!
//! **What can stand in for a cluster**
//! - [`rehearsal`]: an embedded one, on which checks are shown to be able to fail.
//! - [`prove`]: what can go wrong in it, and what must then become of a check.
//!
//! **The adapters** (they never name each other)
//! - [`cluster`]: clusters made for a run, reused, or borrowed; and removed.
//! - [`install`]: helm releases, manifests and CRDs, brought in and taken out again.
//! - [`probes`]: how claims are observed, one file per probed system.
//! - [`evidence`]: what shows why a step ended red.
//!
//! **How it is told**
//! - [`report`]: pure consumers of the event stream.
//! - [`cli`]: the command line as types.
//! - [`app`]: the one place that knows every room.
//!
//! Which room may import which, and that this map is complete, is held by `tests/layering.rs`.

pub mod span;

pub mod number;

pub mod checks;
pub mod health;
pub mod suite;

pub mod plan;

pub mod events;
pub mod ports;

pub mod engine;

pub mod complaint;
pub mod secrets;

pub mod process;

pub mod grpc;

pub mod manifest;

pub mod k8s;
pub mod kinds;
pub mod watch;

pub mod logs;
pub mod tunnel;

pub mod tools;

pub mod rehearsal;

pub mod prove;

pub mod cluster;
pub mod install;
pub mod probes;

pub mod evidence;
pub mod report;

pub mod cli;

pub mod app;
