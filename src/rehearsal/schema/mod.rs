//! What objects look like: which fields a kind has, what they are when nobody wrote them, and what is wrong with them.
//!
//! Everything here is a plain function on `serde_json::Value`. For a write the API server asks, in this order: what cannot
//! be decoded ([`decode_error()`]), what is dropped ([`prune()`]), what is filled in ([`default()`]), who owns what
//! (`fields`), what the server does to it by itself ([`prepare()`]), and what is wrong ([`admit()`], then [`validate()`] for
//! custom resources).
//!
//! Rules in CEL (`x-kubernetes-validations`) are not evaluated: a schema that has them is read as if it had none.

mod admit;
mod builtin;
mod crd;
mod decode;
mod default;
mod error;
mod go;
mod names;
mod prepare;
mod prune;
mod quantity;
mod tree;
mod validate;
mod workloads;

pub(crate) use admit::admit;
pub(crate) use builtin::builtin;
pub(crate) use crd::of_definition;
pub(crate) use decode::decode_error;
pub(crate) use default::default;
pub(crate) use error::{FieldError, invalid_message};
pub(crate) use prepare::prepare;
pub(crate) use prune::prune;
pub(crate) use quantity::Amount;
pub(crate) use tree::{List, Merge, Schema, Type, anything};
pub(crate) use validate::validate;
pub(crate) use workloads::selects;

#[cfg(test)]
mod tests;
