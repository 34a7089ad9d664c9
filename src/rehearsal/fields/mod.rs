//! Who owns which field of an object, and what a patch makes of one.
//!
//! Everything here is a plain function on `serde_json::Value` and a [`Schema`](super::schema::Schema). An object that is
//! written by POST, PUT or a patch goes through [`updated()`] once it is defaulted and found right; one that is applied goes
//! through [`apply()`] first, which makes the object to default and to look at, and writes down its owners at once.

mod apply;
mod merging;
mod owners;
mod patch;
mod set;
mod strategic;
mod typed;

pub(crate) use apply::{ApplyError, Conflict, apply, conflict_message};
pub(crate) use owners::{Writer, updated};
pub(crate) use patch::{PatchError, json_patch, merge_patch};
pub(crate) use strategic::strategic_merge_patch;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
