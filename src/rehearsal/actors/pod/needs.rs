//! What a container finds around itself: its environment and its files, from ConfigMaps, Secrets and the pod.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use serde_json::Value;

use super::super::super::object::{Key, View};
use super::super::scene::{is, list, name, text};

/// A container's surroundings.
pub(crate) struct Surroundings<'a> {
    /// The pod.
    pub(in super::super) pod: &'a Value,
    /// The container of its spec.
    pub(in super::super) container: &'a Value,
    /// The cluster.
    pub(in super::super) view: &'a dyn View,
}

impl<'a> Surroundings<'a> {
    /// Those of a container of a pod by its name; the first one's where the name is empty.
    pub(in super::super) fn of(pod: &'a Value, wanted: &str, view: &'a dyn View) -> Option<Self> {
        let mut all = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
        let container = all.find(|container| wanted.is_empty() || text(container, "/name") == wanted)?;
        Some(Self { pod, container, view })
    }

    fn key(&self, resource: &str, object: &str) -> Key {
        Key::new(resource, text(self.pod, "/metadata/namespace"), object)
    }

    /// The environment, or why the container cannot be made, in the kubelet's words.
    pub(in super::super) fn environment(&self) -> Result<Vec<(String, String)>, String> {
        let mut env: Vec<(String, String)> = Vec::new();
        for source in list(self.container, "/envFrom") {
            self.all_of(source, &mut env)?;
        }
        for entry in list(self.container, "/env") {
            let value = match entry.get("valueFrom") {
                Some(from) => match self.one_of(from)? {
                    Some(value) => value,
                    None => continue,
                },
                None => expand(text(entry, "/value"), &env),
            };
            let key = text(entry, "/name").to_owned();
            env.retain(|(known, _)| *known != key);
            env.push((key, value));
        }
        Ok(env)
    }

    /// All entries of a ConfigMap or a Secret.
    fn all_of(&self, source: &Value, env: &mut Vec<(String, String)>) -> Result<(), String> {
        for (field, resource, kind) in
            [("configMapRef", "/configmaps", "configmap"), ("secretRef", "/secrets", "secret")]
        {
            let Some(reference) = source.get(field) else { continue };
            let object = text(reference, "/name");
            match self.view.get(&self.key(resource, object)) {
                Some(found) => {
                    let prefix = text(source, "/prefix");
                    let entries = entries(&found).into_iter();
                    env.extend(entries.map(|(key, value)| (format!("{prefix}{key}"), value)));
                }
                None if is(reference, "/optional") => {}
                None => return Err(format!("{kind} \"{object}\" not found")),
            }
        }
        Ok(())
    }

    /// One entry, or a field of the pod; `None` where it is optional and not there.
    fn one_of(&self, from: &Value) -> Result<Option<String>, String> {
        for (field, resource, kind, shown) in [
            ("configMapKeyRef", "/configmaps", "configmap", "ConfigMap"),
            ("secretKeyRef", "/secrets", "secret", "Secret"),
        ] {
            let Some(reference) = from.get(field) else { continue };
            let (object, key) = (text(reference, "/name"), text(reference, "/key"));
            let optional = is(reference, "/optional");
            let Some(found) = self.view.get(&self.key(resource, object)) else {
                return if optional { Ok(None) } else { Err(format!("{kind} \"{object}\" not found")) };
            };
            let value = entries(&found).into_iter().find(|(known, _)| known == key).map(|(_, value)| value);
            return match value {
                None if !optional => {
                    let namespace = text(self.pod, "/metadata/namespace");
                    Err(format!("couldn't find key {key} in {shown} {namespace}/{object}"))
                }
                found => Ok(found),
            };
        }
        let path = text(from, "/fieldRef/fieldPath");
        Ok(Some(match path {
            "" => String::new(),
            "metadata.uid"
            | "metadata.name"
            | "metadata.namespace"
            | "spec.nodeName"
            | "spec.serviceAccountName"
            | "status.podIP"
            | "status.hostIP" => text(self.pod, &format!("/{}", path.replace('.', "/"))).to_owned(),
            _ => labelled(self.pod, path),
        }))
    }

    /// The content of a mounted file.
    pub(in super::super) fn file(&self, path: &str) -> Option<String> {
        let mounts = list(self.container, "/volumeMounts").iter();
        let mount = mounts
            .filter(|mount| {
                let at = text(mount, "/mountPath").trim_end_matches('/');
                path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|mount| text(mount, "/mountPath").len())?;
        let rest = path[text(mount, "/mountPath").trim_end_matches('/').len()..].trim_start_matches('/');
        let file = match text(mount, "/subPath") {
            "" => rest.to_owned(),
            sub if rest.is_empty() => sub.to_owned(),
            sub => format!("{sub}/{rest}"),
        };
        let volumes = list(self.pod, "/spec/volumes");
        let volume = volumes.iter().find(|volume| text(volume, "/name") == text(mount, "/name"))?;
        let sources = list(volume, "/projected/sources");
        std::iter::once(volume).chain(sources).find_map(|source| self.in_volume(source, &file))
    }

    /// The files of a folder with their content, by name: of one that a ConfigMap or a Secret is mounted at, and those that are mounted
    /// in it one by one.
    pub(in super::super) fn files(&self, folder: &str) -> Vec<(String, String)> {
        let folder = folder.trim_end_matches('/');
        let mut names = BTreeSet::new();
        for mount in list(self.container, "/volumeMounts") {
            let path = text(mount, "/mountPath").trim_end_matches('/');
            match path.strip_prefix(folder).map(|rest| rest.strip_prefix('/')) {
                Some(None) if path == folder => names.extend(self.mounted(mount)),
                Some(Some(name)) if !name.contains('/') => names.extend([name.to_owned()]),
                Some(_) | None => {}
            }
        }
        let read = |name: String| self.file(&format!("{folder}/{name}")).map(|content| (name, content));
        names.into_iter().filter_map(read).collect()
    }

    /// The names of the files of what is mounted as a whole.
    fn mounted(&self, mount: &Value) -> BTreeSet<String> {
        let is_its = |volume: &&Value| text(volume, "/name") == text(mount, "/name");
        let Some(volume) = list(self.pod, "/spec/volumes").iter().find(is_its) else { return BTreeSet::new() };
        let sources = std::iter::once(volume).chain(list(volume, "/projected/sources"));
        sources.flat_map(|source| self.names(source)).collect()
    }

    /// The names of the files of a volume.
    fn names(&self, volume: &Value) -> Vec<String> {
        let Some((source, object)) = self.source(volume) else { return Vec::new() };
        match list(source, "/items") {
            [] => entries(&object).into_iter().map(|(key, _)| key).collect(),
            items => items.iter().map(|item| text(item, "/path").to_owned()).collect(),
        }
    }

    /// The content of a file of a volume.
    fn in_volume(&self, volume: &Value, file: &str) -> Option<String> {
        let (source, object) = self.source(volume)?;
        let items = list(source, "/items");
        let key = match items.iter().find(|item| text(item, "/path") == file) {
            Some(item) => text(item, "/key"),
            None if items.is_empty() => file,
            None => return None,
        };
        entries(&object).into_iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// What a volume says of the ConfigMap or the Secret that it is, and that object.
    fn source<'v>(&self, volume: &'v Value) -> Option<(&'v Value, Arc<Value>)> {
        Some(match (volume.get("configMap"), volume.get("secret")) {
            (Some(map), _) => (map, self.view.get(&self.key("/configmaps", text(map, "/name")))?),
            (None, Some(secret)) => {
                let named = match text(secret, "/secretName") {
                    "" => text(secret, "/name"),
                    named => named,
                };
                (secret, self.view.get(&self.key("/secrets", named))?)
            }
            (None, None) => return None,
        })
    }
}

/// A label or an annotation, as `metadata.labels['x']` names it.
fn labelled(pod: &Value, path: &str) -> String {
    let mut parts = path.splitn(2, '[');
    let map = parts.next().unwrap_or_default().replace('.', "/");
    let key = parts.next().unwrap_or_default().trim_end_matches(']').trim_matches('\'');
    let found = pod.pointer(&format!("/{map}")).and_then(|map| map.get(key)).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// The entries of a ConfigMap or of a Secret, as text.
fn entries(object: &Value) -> Vec<(String, String)> {
    let secret = text(object, "/kind") == "Secret" || object.get("type").is_some();
    let decode = |text: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let data = object.get("data").and_then(Value::as_object);
    let pairs = data.into_iter().flatten().map(|(key, value)| {
        let value = value.as_str().unwrap_or_default();
        (key.clone(), if secret { decode(value) } else { value.to_owned() })
    });
    pairs.collect()
}

/// A text with each `$(NAME)` of a known variable replaced, and `$$(` read as `$(`.
pub(in super::super) fn expand(text: &str, env: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(escaped) = rest.strip_prefix("$$") {
            out.push('$');
            rest = escaped;
            continue;
        }
        let name = rest.strip_prefix("$(").and_then(|inner| inner.split_once(')')).map(|(name, _)| name);
        match name.and_then(|name| env.iter().find(|(known, _)| known == name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = &rest[name.len() + 3..];
            }
            None => {
                out.push('$');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The first volume whose source is not there, with why, in the kubelet's words.
pub(super) fn missing_volume(pod: &Value, view: &dyn View) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    list(pod, "/spec/volumes").iter().find_map(|volume| {
        let sources = list(volume, "/projected/sources");
        std::iter::once(volume).chain(sources).find_map(|source| {
            [
                ("/configMap", "/configMap/name", "/configmaps", "configmap"),
                ("/secret", "/secret/secretName", "/secrets", "secret"),
                ("/secret", "/secret/name", "/secrets", "secret"),
            ]
            .iter()
            .find_map(|(part, place, resource, kind)| {
                let object = text(source, place);
                let optional = is(source, &format!("{part}/optional"));
                let there = object.is_empty() || optional || view.get(&Key::new(resource, namespace, object)).is_some();
                (!there).then(|| {
                    let volume = name_of(volume);
                    format!("MountVolume.SetUp failed for volume \"{volume}\" : {kind} \"{object}\" not found")
                })
            })
        })
    })
}

/// The name of a volume.
fn name_of(volume: &Value) -> &str {
    text(volume, "/name")
}

/// The host name of a pod.
pub(in super::super) fn hostname(pod: &Value) -> &str {
    match text(pod, "/spec/hostname") {
        "" => name(pod),
        named => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_expanded_and_others_left() {
        let env = vec![("A".to_owned(), "1".to_owned())];
        assert_eq!(expand("$(A)-$(B)-$$(A)-$A", &env), "1-$(B)-$(A)-$A");
    }
}
