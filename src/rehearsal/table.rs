//! Objects as rows, the way `kubectl get` asks for them: a `Table` of `meta.k8s.io/v1`.
//!
//! Columns and cells are those of Kubernetes 1.34 (`pkg/printers/internalversion` for built-in kinds,
//! `apiextensions-apiserver/pkg/registry/customresource/tableconvertor` for custom ones). kubectl prints what it is sent, so
//! the words are made here, and depend on nothing but the object and the present.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::catalog::Resource;

mod custom;
mod glance;
mod network;
mod others;
mod pods;
mod storage;
mod workloads;

use glance::Glance;

/// The cells of one object: an array, as long as there are columns.
type Cells = fn(&Glance<'_>) -> Value;

/// The columns of a kind, parted by `|`, and what fills them. Each begins with its traits: `*` is shown with `-o wide` alone,
/// `#` is an integer, `?` a boolean, `@` a date, and all others are strings.
type Layout = (&'static str, Cells);

/// A `Table` of objects of one kind; `metadata` is that of the list. Columns are left out where a watch has said them before.
pub(super) fn table(
    resource: &Resource,
    version: &str,
    objects: &[Value],
    metadata: &Value,
    with_columns: bool,
) -> Value {
    let kind = match resource.custom {
        true => Kind::Custom(resource.version(version).map(|version| &*version.columns).unwrap_or_default()),
        false => Kind::BuiltIn(layout(&resource.group, &resource.plural)),
    };
    let now = Timestamp::now();
    let rows: Vec<Value> = objects.iter().map(|object| kind.row(object, now)).collect();
    let columns = if with_columns { kind.columns() } else { Value::Null };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

/// Where the columns of a kind are said.
enum Kind<'a> {
    BuiltIn(Layout),
    /// `additionalPrinterColumns`.
    Custom(&'a [Value]),
}

impl Kind<'_> {
    fn columns(&self) -> Value {
        match self {
            Self::BuiltIn((columns, _)) => columns.split('|').map(column).collect(),
            Self::Custom(columns) => custom::columns(columns),
        }
    }

    fn row(&self, object: &Value, now: Timestamp) -> Value {
        let glance = Glance { object, now };
        let cells = match self {
            Self::BuiltIn((_, cells)) => cells(&glance),
            Self::Custom(columns) => custom::cells(columns, &glance),
        };
        let mut row = json!({ "cells": cells });
        if let Some(condition) = pods::completion(object) {
            row["conditions"] = json!([condition]);
        }
        row["object"] = json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        });
        row
    }
}

fn column(written: &str) -> Value {
    let name = written.trim_start_matches(['*', '#', '?', '@']);
    let traits = &written[..written.len() - name.len()];
    let kind = match traits.trim_start_matches('*') {
        "#" => "integer",
        "?" => "boolean",
        "@" => "date",
        _ => "string",
    };
    definition(name, kind, i64::from(traits.starts_with('*')))
}

/// A column; the one that is called Name holds the name by which kubectl refers to the object.
fn definition(name: &str, kind: &str, priority: i64) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({ "name": name, "type": kind, "format": format, "description": "", "priority": priority })
}

/// The columns of a built-in kind. Those that no printer knows have their name and the moment of their creation
/// (`k8s.io/apiserver/pkg/registry/rest/table.go`).
fn layout(group: &str, plural: &str) -> Layout {
    let known = match group {
        "" => core(plural),
        "apps" | "batch" | "autoscaling" | "policy" => workloads::layout(plural),
        "networking.k8s.io" | "discovery.k8s.io" => network::layout(plural),
        "storage.k8s.io" => storage::layout(plural),
        _ => others::layout(plural),
    };
    known.unwrap_or(("Name|@Created At", others::unknown))
}

fn core(plural: &str) -> Option<Layout> {
    match plural {
        "pods" => Some(pods::LAYOUT),
        _ => network::layout(plural)
            .or_else(|| storage::layout(plural))
            .or_else(|| workloads::layout(plural))
            .or_else(|| others::layout(plural)),
    }
}

#[cfg(test)]
mod tests;
