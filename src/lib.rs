//! Seaworthy: one command that says, in minutes and with the reason, whether a layer of a Kubernetes platform works.
//!
//! # The map, in reading order
//!
//! `suite files → plan (a DAG) → engine → events → reporters`, with adapters at the side.
//!
//! **What can be said** (pure: no runtime, no cluster, no files)
//! - [`span`]: a length of time with its unit.
//! - [`checks`]: the vocabulary of claims and how an answer is judged.
//! - [`health`]: Kubernetes objects → ready, waiting on something, or doomed.
//! - [`suite`]: what the author wrote, made trustworthy; every mistake at once.
//! - [`plan`]: what will happen, before anything does.
//! - [`events`]: what did happen.
//!
//! **How it is done**
//! - [`ports`]: what the engine needs of the world.
//! - [`engine`]: executes a plan; the only source of events.
//! - [`cluster`], [`install`], [`probes`], [`evidence`]: adapters to kind and k3d, helm and manifests, the systems probed.
//! - [`watch`]: one shared watch per kind and namespace. [`logs`]: every container heard from its first line.
//! - [`tunnel`]: one way to dial `service.namespace:port`.
//! - [`tools`]: helm, kind, k3d and the container engine, found or fetched.
//! - [`k8s`], [`kinds`], [`manifest`], [`process`], [`complaint`], [`secrets`]: leaves that the adapters stand on.
//!
//! **How it is told**
//! - [`report`]: pure consumers of the event stream.
//! - [`cli`], [`app`]: the command line, and the one place that knows every room.
//!
//! Which room may import which is held by `tests/layering.rs`.

pub mod span;

pub mod checks;
pub mod engine;
pub mod events;
pub mod plan;
pub mod ports;
pub mod suite;

pub mod cluster;
pub mod complaint;
pub mod k8s;
pub mod kinds;
pub mod manifest;
pub mod process;
pub mod secrets;
pub mod tools;

pub mod evidence;
pub mod health;
pub mod install;
pub mod logs;
pub mod probes;
pub mod tunnel;
pub mod watch;

pub mod report;

pub mod app;
pub mod cli;
