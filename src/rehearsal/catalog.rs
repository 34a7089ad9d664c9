//! Which kinds are served, built-in and custom, and how each is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::schema::{self, Schema};

/// One kind with everything that discovery says of it.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) group: Arc<str>,
    pub(super) plural: Arc<str>,
    pub(super) singular: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) namespaced: bool,
    pub(super) short_names: Vec<String>,
    pub(super) categories: Vec<String>,
    /// Those that are served, the preferred one first.
    pub(super) versions: Vec<Version>,
    /// The version in which objects are stored.
    pub(super) storage: String,
    /// The collection in the store: `group/plural`.
    pub(super) collection: Arc<str>,
    /// Whether a CustomResourceDefinition brought it.
    pub(super) custom: bool,
    /// Whether objects of it can only be created, and are answered rather than stored: reviews.
    pub(super) answered: bool,
}

/// One served version.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) name: String,
    /// The structure of its objects; looked up at the first use for built-in kinds.
    schema: Option<Arc<Schema>>,
    /// Whether status is written through `/status` alone.
    pub(super) status: bool,
    /// The paths of `/scale`, where there is one.
    pub(super) scale: Option<Scale>,
    /// `additionalPrinterColumns`.
    pub(super) columns: Vec<Value>,
}

/// Where an object keeps what `/scale` shows: dotted paths as in a CustomResourceDefinition.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) spec: String,
    pub(super) status: String,
    pub(super) selector: Option<String>,
}

impl Resource {
    /// `plural.group`, the way refusals name it.
    pub(super) fn title(&self) -> String {
        match &*self.group {
            "" => self.plural.to_string(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// A version of it.
    pub(super) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// `group/version`, as in an object's `apiVersion`.
    pub(super) fn api_version(&self, version: &str) -> String {
        api_version(&self.group, version)
    }

    /// The structure of its objects at a version.
    pub(super) fn schema(&self, version: &str) -> Option<Arc<Schema>> {
        let known = self.version(version)?;
        known.schema.clone().or_else(|| schema::builtin(&self.api_version(version), &self.kind))
    }

    /// The verbs that it has.
    pub(super) fn verbs(&self) -> &'static [&'static str] {
        match self.answered {
            true => &["create"],
            false if self.group.is_empty() && &*self.plural == "namespaces" => {
                &["create", "delete", "get", "list", "patch", "update", "watch"]
            }
            false => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }
    }
}

/// `group/version`, or the version alone in the core group.
pub(super) fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// All kinds that are served.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    /// Group, plural → resource.
    resources: BTreeMap<(Arc<str>, Arc<str>), Arc<Resource>>,
}

impl Catalog {
    /// The built-in kinds.
    pub(super) fn new() -> Self {
        let mut catalog = Self { resources: BTreeMap::new() };
        BUILT_IN.iter().map(built_in).for_each(|resource| catalog.add(resource));
        catalog
    }

    /// Serves a kind, in place of what it was before.
    pub(super) fn add(&mut self, resource: Resource) {
        self.resources.insert((resource.group.clone(), resource.plural.clone()), Arc::new(resource));
    }

    /// Serves a custom kind no longer; whether it did.
    pub(super) fn withdraw(&mut self, group: &str, plural: &str) -> bool {
        let key = (group.into(), plural.into());
        let is_custom = self.resources.get(&key).is_some_and(|resource| resource.custom);
        if is_custom {
            self.resources.remove(&key);
        }
        is_custom
    }

    /// The resource of a path.
    pub(super) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let resource = self.resources.get(&(group.into(), plural.into()))?;
        resource.version(version).map(|_| resource.clone())
    }

    /// The resource of a collection in the store.
    pub(super) fn of_collection(&self, collection: &str) -> Option<Arc<Resource>> {
        let (group, plural) = collection.split_once('/')?;
        self.resources.get(&(group.into(), plural.into())).cloned()
    }

    /// The resource of a kind.
    pub(super) fn of_kind(&self, group: &str, kind: &str) -> Option<Arc<Resource>> {
        self.all().find(|resource| &*resource.group == group && resource.kind == kind).cloned()
    }

    /// All of them, by group and name.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// The groups, the core group first, each with its versions: the preferred one first.
    pub(super) fn groups(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for resource in self.all() {
            let versions = groups.entry(&resource.group).or_default();
            for version in &resource.versions {
                if !versions.contains(&version.name.as_str()) {
                    versions.push(&version.name);
                }
            }
        }
        groups.values_mut().for_each(|versions| versions.sort_by_key(|version| priority(version)));
        groups
    }

    /// The kinds of one group and version.
    pub(super) fn within<'a>(&'a self, group: &'a str, version: &'a str) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.all().filter(move |resource| &*resource.group == group && resource.version(version).is_some())
    }
}

/// The order of versions: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then others by name
/// (`k8s.io/apimachinery/pkg/version`, `CompareKubeAwareVersionStrings`).
pub(super) fn priority(version: &str) -> (u8, i64, i64, String) {
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: i64 = rest[..digits].parse().ok()?;
        let (stage, minor) = match &rest[digits..] {
            "" => (0, 0),
            stage => {
                let (rank, number) =
                    stage.strip_prefix("beta").map(|n| (1, n)).or_else(|| Some((2, stage.strip_prefix("alpha")?)))?;
                (rank, number.parse::<i64>().ok()?)
            }
        };
        Some((stage, -major, -minor, String::new()))
    });
    parsed.unwrap_or_else(|| (3, 0, 0, version.to_owned()))
}

/// The kind that a CustomResourceDefinition brings.
///
/// # Errors
/// What is wrong with the schema of one of its versions, in the API server's words.
pub(super) fn custom(crd: &Value) -> Result<Resource, Vec<schema::FieldError>> {
    let spec = &crd["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let mut versions = Vec::new();
    let mut storage = String::new();
    let mut schemas = schema::of_definition(crd)?;
    for version in spec["versions"].as_array().into_iter().flatten() {
        let name = text(&version["name"]);
        if version["served"] == true {
            versions.push(custom_version(version, schemas.remove(&name)));
        }
        if version["storage"] == true {
            storage = name;
        }
    }
    versions.sort_by_key(|version| priority(&version.name));
    let (group, plural, kind) = (text(&spec["group"]), text(&names["plural"]), text(&names["kind"]));
    Ok(Resource {
        collection: format!("{group}/{plural}").into(),
        singular: names["singular"].as_str().map_or_else(|| kind.to_lowercase(), str::to_owned),
        list_kind: names["listKind"].as_str().map_or_else(|| format!("{kind}List"), str::to_owned),
        namespaced: spec["scope"] == "Namespaced",
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        group: group.into(),
        plural: plural.into(),
        kind,
        versions,
        storage,
        custom: true,
        answered: false,
    })
}

fn custom_version(version: &Value, schema: Option<Arc<Schema>>) -> Version {
    let subresources = &version["subresources"];
    let path = |value: &Value| value.as_str().map(|path| path.trim_start_matches('.').to_owned());
    let scale = &subresources["scale"];
    Version {
        name: version["name"].as_str().unwrap_or_default().to_owned(),
        schema,
        status: subresources.get("status").is_some_and(|status| !status.is_null()),
        scale: path(&scale["specReplicasPath"]).map(|spec| Scale {
            spec,
            status: path(&scale["statusReplicasPath"]).unwrap_or_default(),
            selector: path(&scale["labelSelectorPath"]),
        }),
        columns: version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
    }
}

/// Group, version, plural, kind, traits, short names, categories.
type BuiltIn = (&'static str, &'static str, &'static str, &'static str, &'static [Trait], &'static str, &'static str);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trait {
    /// Its objects lie in namespaces.
    Spaced,
    /// It has `/status`.
    Status,
    /// It has `/scale`.
    Scaled,
    /// It is answered, not stored.
    Answered,
}

use Trait::{Answered, Scaled, Spaced, Status};

/// The kinds of Kubernetes 1.34 that are served here, with the short names and categories of `kubectl api-resources`.
const BUILT_IN: &[BuiltIn] = &[
    ("", "v1", "configmaps", "ConfigMap", &[Spaced], "cm", ""),
    ("", "v1", "endpoints", "Endpoints", &[Spaced], "ep", ""),
    ("", "v1", "events", "Event", &[Spaced], "ev", ""),
    ("", "v1", "limitranges", "LimitRange", &[Spaced], "limits", ""),
    ("", "v1", "namespaces", "Namespace", &[Status], "ns", ""),
    ("", "v1", "nodes", "Node", &[Status], "no", ""),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", &[Spaced, Status], "pvc", ""),
    ("", "v1", "persistentvolumes", "PersistentVolume", &[Status], "pv", ""),
    ("", "v1", "pods", "Pod", &[Spaced, Status], "po", "all"),
    ("", "v1", "podtemplates", "PodTemplate", &[Spaced], "", ""),
    ("", "v1", "replicationcontrollers", "ReplicationController", &[Spaced, Status, Scaled], "rc", "all"),
    ("", "v1", "resourcequotas", "ResourceQuota", &[Spaced, Status], "quota", ""),
    ("", "v1", "secrets", "Secret", &[Spaced], "", ""),
    ("", "v1", "serviceaccounts", "ServiceAccount", &[Spaced], "sa", ""),
    ("", "v1", "services", "Service", &[Spaced, Status], "svc", "all"),
    (
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        &[],
        "",
        "api-extensions",
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        &[],
        "",
        "api-extensions",
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &[Status],
        "crd crds",
        "api-extensions",
    ),
    ("apiregistration.k8s.io", "v1", "apiservices", "APIService", &[Status], "", "api-extensions"),
    ("apps", "v1", "controllerrevisions", "ControllerRevision", &[Spaced], "", ""),
    ("apps", "v1", "daemonsets", "DaemonSet", &[Spaced, Status], "ds", "all"),
    ("apps", "v1", "deployments", "Deployment", &[Spaced, Status, Scaled], "deploy", "all"),
    ("apps", "v1", "replicasets", "ReplicaSet", &[Spaced, Status, Scaled], "rs", "all"),
    ("apps", "v1", "statefulsets", "StatefulSet", &[Spaced, Status, Scaled], "sts", "all"),
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", &[Answered], "", ""),
    ("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", &[Answered], "", ""),
    (
        "authorization.k8s.io",
        "v1",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        &[Spaced, Answered],
        "",
        "",
    ),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", &[Answered], "", ""),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", &[Answered], "", ""),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", &[Answered], "", ""),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", &[Spaced, Status], "hpa", "all"),
    ("batch", "v1", "cronjobs", "CronJob", &[Spaced, Status], "cj", "all"),
    ("batch", "v1", "jobs", "Job", &[Spaced, Status], "", "all"),
    ("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", &[Status], "csr", ""),
    ("coordination.k8s.io", "v1", "leases", "Lease", &[Spaced], "", ""),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[Spaced], "", ""),
    ("networking.k8s.io", "v1", "ingressclasses", "IngressClass", &[], "", ""),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", &[Spaced, Status], "ing", ""),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", &[Spaced], "netpol", ""),
    ("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", &[], "", ""),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", &[Spaced, Status], "pdb", ""),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", &[], "", ""),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", &[], "", ""),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", &[Spaced], "", ""),
    ("rbac.authorization.k8s.io", "v1", "roles", "Role", &[Spaced], "", ""),
    ("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", &[], "pc", ""),
    ("storage.k8s.io", "v1", "csidrivers", "CSIDriver", &[], "", ""),
    ("storage.k8s.io", "v1", "csinodes", "CSINode", &[], "", ""),
    ("storage.k8s.io", "v1", "storageclasses", "StorageClass", &[], "sc", ""),
    ("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", &[Status], "", ""),
];

fn built_in(row: &BuiltIn) -> Resource {
    let (group, version, plural, kind, traits, short_names, categories) = *row;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let scale = Scale { spec: "spec.replicas".to_owned(), status: "status.replicas".to_owned(), selector: None };
    let version = Version {
        name: version.to_owned(),
        schema: None,
        status: traits.contains(&Status),
        scale: traits.contains(&Scaled).then_some(scale),
        columns: Vec::new(),
    };
    Resource {
        group: group.into(),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        namespaced: traits.contains(&Spaced),
        short_names: words(short_names),
        categories: words(categories),
        storage: version.name.clone(),
        versions: vec![version],
        collection: format!("{group}/{plural}").into(),
        custom: false,
        answered: traits.contains(&Answered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_preferred_as_kubernetes_prefers_them() {
        let mut versions = vec!["foo1", "v1alpha1", "v1", "v2beta1", "v10", "v1beta2", "v2"];
        versions.sort_by_key(|version| priority(version));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo1"]);
    }

    #[test]
    fn a_withdrawn_custom_kind_is_served_no_longer_and_a_built_in_one_stays() {
        let mut catalog = Catalog::new();
        let crd = serde_json::json!({ "spec": {
            "group": "g.example", "scope": "Namespaced", "names": { "plural": "things", "kind": "Thing" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
        } });
        catalog.add(custom(&crd).unwrap());
        assert_eq!(catalog.find("g.example", "v1", "things").unwrap().list_kind, "ThingList");
        catalog.withdraw("g.example", "things");
        catalog.withdraw("", "pods");
        assert!(catalog.find("g.example", "v1", "things").is_none());
        assert!(catalog.find("", "v1", "pods").is_some());
    }
}
