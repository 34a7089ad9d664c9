//! What is served, as clients ask for it: by group, by version, and all at once.

use serde_json::{Map, Value, json};

use super::catalog::{Catalog, Resource, Version, api_version};

/// The version that the rehearsal is an image of.
const VERSION: &str = "1.34.4";

/// `GET /version`.
pub(super) fn version() -> Value {
    let mut parts = VERSION.split('.');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    json!({
        "major": part(),
        "minor": part(),
        // What follows the plus says what it is, and still reads as a version.
        "gitVersion": format!("v{VERSION}+rehearsal"),
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// `GET /api`.
pub(super) fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// `GET /apis`.
pub(super) fn groups(catalog: &Catalog) -> Value {
    let groups = catalog.groups();
    let groups: Vec<Value> =
        groups.iter().filter(|(group, _)| !group.is_empty()).map(|(name, versions)| group_of(name, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `GET /apis/GROUP`.
pub(super) fn group(catalog: &Catalog, name: &str) -> Option<Value> {
    let groups = catalog.groups();
    let mut group = group_of(name, groups.get(name)?);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

fn group_of(name: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": api_version(name, version), "version": version }))
        .collect();
    json!({ "name": name, "versions": versions, "preferredVersion": versions.first() })
}

/// `GET /apis/GROUP/VERSION` and `GET /api/v1`.
pub(super) fn resources(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let mut resources: Vec<Value> = Vec::new();
    for resource in catalog.within(group, version) {
        let mut listed = json!({
            "name": *resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs(),
        });
        if !resource.short_names.is_empty() {
            listed["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            listed["categories"] = json!(resource.categories);
        }
        if !resource.answered {
            listed["storageVersionHash"] = json!("cmVoZWFyc2Fs");
        }
        resources.push(listed);
        for part in resource.version(version).into_iter().flat_map(|version| parts(resource, version)) {
            let mut listed = json!({
                "name": format!("{}/{}", resource.plural, part.name),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": part.kind,
                "verbs": part.verbs,
            });
            if !part.group.is_empty() {
                listed["group"] = json!(part.group);
                listed["version"] = json!(part.version);
            }
            resources.push(listed);
        }
    }
    let group_version = api_version(group, version);
    (!resources.is_empty()).then(|| {
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
    })
}

/// A part of an object that has its own path.
struct Part {
    name: &'static str,
    kind: String,
    group: &'static str,
    version: &'static str,
    verbs: &'static [&'static str],
}

fn parts(resource: &Resource, version: &Version) -> Vec<Part> {
    let part = |name, kind: &str, verbs| Part { name, kind: kind.to_owned(), group: "", version: "", verbs };
    let mut parts = Vec::new();
    let status = version.status.then(|| part("status", &resource.kind, &["get", "patch", "update"]));
    let scale = version.scale.as_ref().map(|_| {
        let scale = part("scale", "Scale", &["get", "patch", "update"]);
        Part { group: "autoscaling", version: "v1", ..scale }
    });
    // Those of built-in kinds come in the order of their names, those of definitions as they are read.
    let both = if resource.custom { [status, scale] } else { [scale, status] };
    parts.extend(both.into_iter().flatten());
    match (&*resource.group, &*resource.plural) {
        ("", "pods") => {
            parts.push(Part { group: "policy", version: "v1", ..part("eviction", "Eviction", &["create"]) });
            parts.push(part("exec", "PodExecOptions", &["create", "get"]));
            parts.push(part("log", "Pod", &["get"]));
            parts.push(part("portforward", "PodPortForwardOptions", &["create", "get"]));
        }
        ("", "namespaces") => parts.push(part("finalize", "Namespace", &["update"])),
        ("", "serviceaccounts") => {
            let token = part("token", "TokenRequest", &["create"]);
            parts.push(Part { group: "authentication.k8s.io", version: "v1", ..token });
        }
        _ => {}
    }
    parts
}

/// Discovery of all groups in one answer (KEP-3352). `GET /api` has the core group, `GET /apis` the others.
pub(super) fn aggregated(catalog: &Catalog, core: bool) -> Value {
    let groups = catalog.groups();
    let groups = groups.iter().filter(|(name, _)| name.is_empty() == core);
    let items: Vec<Value> = groups
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = catalog.within(name, version).map(|r| whole(r, version)).collect();
                    json!({ "version": version, "freshness": "Current", "resources": resources })
                })
                .collect();
            let metadata = if name.is_empty() { json!({}) } else { json!({ "name": name }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn whole(resource: &Resource, version: &str) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let mut listed = json!({
        "resource": *resource.plural,
        "responseKind": kind(&resource.group, version, &resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs(),
    });
    if !resource.short_names.is_empty() {
        listed["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        listed["categories"] = json!(resource.categories);
    }
    let parts = resource.version(version).into_iter().flat_map(|version| parts(resource, version));
    let parts: Vec<Value> = parts
        .map(|part| {
            let (group, version) = match part.group {
                "" => (&*resource.group, version),
                group => (group, part.version),
            };
            json!({
                "subresource": part.name,
                "responseKind": kind(group, version, &part.kind),
                "verbs": part.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        listed["subresources"] = json!(parts);
    }
    listed
}

/// `GET /openapi/v3`: where the description of each group and version is.
pub(super) fn descriptions(catalog: &Catalog) -> Value {
    let mut paths = Map::new();
    for (group, versions) in catalog.groups() {
        for version in versions {
            let path = place(group, version);
            let url = format!("/openapi/v3/{path}?hash=rehearsal-{}", catalog.within(group, version).count());
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// `GET /openapi/v3/apis/GROUP/VERSION`: the paths with the kinds that they take and what a write may ask for, which is
/// how clients learn that fields are checked here. The kinds' own structure is left out.
pub(super) fn description(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    for resource in catalog.within(group, version).filter(|resource| !resource.answered) {
        let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{}/{namespace}{}/{{name}}", place(group, version), resource.plural);
        let kind = json!({ "group": group, "version": version, "kind": resource.kind });
        let of_query = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"].map(of_query).to_vec();
        let operation = |action: &str| {
            json!({
                "parameters": parameters,
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind,
                "responses": {},
            })
        };
        paths.insert(path, json!({ "patch": operation("patch"), "put": operation("put"), "post": operation("post") }));
    }
    let info = json!({ "title": "Kubernetes", "version": format!("v{VERSION}") });
    (!paths.is_empty())
        .then(|| json!({ "openapi": "3.0.0", "info": info, "paths": paths, "components": { "schemas": {} } }))
}

fn place(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_in_both_notations_of_discovery() {
        let catalog = Catalog::new();
        let apps = resources(&catalog, "apps", "v1").unwrap();
        let names: Vec<&str> =
            apps["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"deployments") && names.contains(&"deployments/scale"), "{names:?}");
        let all = aggregated(&catalog, false);
        let apps = all["items"].as_array().unwrap().iter().find(|group| group["metadata"]["name"] == "apps").unwrap();
        let found = apps["versions"][0]["resources"].as_array().unwrap();
        assert!(found.iter().any(|r| r["resource"] == "deployments" && r["subresources"][0]["subresource"] == "scale"));
        assert_eq!(aggregated(&catalog, true)["items"].as_array().unwrap().len(), 1);
        assert!(resources(&catalog, "nobody", "v1").is_none());
    }
}
