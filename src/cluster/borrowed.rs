//! A cluster that somebody else made: used only with its owner's word, and never removed.

use std::fmt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::Kubeconfig;
use kube::{Api, Client};

use super::usable::words;
use crate::complaint;
use crate::k8s::{self, Access};
use crate::ports::Trouble;
use crate::tools::Missing;

/// The ConfigMap in `kube-system` by which a cluster's owner lets this program use it.
const MARK: &str = "seaworthy";

/// The name by which the cluster around this program's pod is confirmed; Argo CD calls it the same.
const HERE: &str = "in-cluster";

/// A cluster to use that somebody else made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Borrowing {
    /// Where it is.
    pub place: Place,
    /// The name given with `--yes-this-cluster`; it must be the place's.
    pub confirmed: Option<String>,
}

/// Where a cluster is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind a kube context.
    Context {
        /// The context's name.
        name: String,
        /// Where to look for it, as kubectl does: the one file of `--kubeconfig`, else those of `KUBECONFIG`, else
        /// `~/.kube/config`. The first that has it counts; files that do not exist are passed over.
        files: Vec<PathBuf>,
    },
    /// Around the pod that this program runs in.
    Here,
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::Context { name, .. } => name,
            Self::Here => HERE,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context { name, .. } => write!(f, "context {name}"),
            Self::Here => f.write_str("the cluster of this pod"),
        }
    }
}

impl Borrowing {
    /// How to reach it.
    ///
    /// # Errors
    /// Where no file has the context, with the contexts that there are; where its cluster or user is in another file;
    /// where this is no pod with a service account; where the confirmation names another cluster.
    pub fn locate(&self) -> Result<Access, Missing> {
        let place = &self.place;
        let named = place.name();
        if let Some(other) = self.confirmed.as_ref().filter(|name| *name != named) {
            let remedy = format!("say --yes-this-cluster {named}, if that is the one");
            return Err(Missing::new(format!("confirmation: it is {place}, confirmed was {other}"), remedy));
        }
        match place {
            Place::Context { name, files } => locate(name, files),
            Place::Here => k8s::service_account().map(|_| Access::Pod).map_err(|error| {
                let remedy = "run it as a pod with a serviceAccountName; anywhere else name a cluster with --context";
                Missing::new(format!("a service account: {}", complaint::chain(&error)), remedy)
            }),
        }
    }

    /// Whether the cluster's owner has agreed, by its mark or on the command line.
    pub(super) async fn admit(&self, client: &Client) -> Result<String, Trouble> {
        if self.confirmed.is_some() {
            return Ok(format!("{}, confirmed on the command line", self.place));
        }
        let marks: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
        match marks.get_opt(MARK).await {
            Ok(Some(_)) => Ok(format!("{}, marked as ours to use", self.place)),
            Ok(None) => Err(self.refused("it carries no mark")),
            Err(error) => Err(self.refused(&format!("its mark cannot be read: {}", words(&error)))),
        }
    }

    fn refused(&self, why: &str) -> Trouble {
        let context = match &self.place {
            Place::Context { name, .. } => format!("--context {name} "),
            Place::Here => String::new(),
        };
        Trouble::environment(format!("{} is not used: {why}", self.place)).with([
            format!("to use it once: --yes-this-cluster {}", self.place.name()),
            format!("to mark it for good: kubectl {context}-n kube-system create configmap {MARK}"),
        ])
    }
}

/// The file that has the context.
fn locate(context: &str, files: &[PathBuf]) -> Result<Access, Missing> {
    let mut known = Vec::new();
    for file in files.iter().filter(|file| file.exists()) {
        let config = Kubeconfig::read_from(file).map_err(|error| {
            Missing::new(format!("a kubeconfig that can be read: {}", complaint::chain(&error)), "mend the file")
        })?;
        if let Some(whole) = is_whole(&config, context) {
            let access = Access::Kubeconfig { file: file.clone(), context: Some(context.to_owned()) };
            return if whole { Ok(access) } else { Err(scattered(context, file)) };
        }
        known.extend(config.contexts.into_iter().map(|context| context.name));
    }
    let absent = |file: &PathBuf| if file.exists() { "" } else { ", which does not exist" };
    let files: Vec<String> = files.iter().map(|file| format!("{}{}", file.display(), absent(file))).collect();
    let remedy = match known.as_slice() {
        [] => "name the file that has it with --kubeconfig".to_owned(),
        known => format!("name one of: {}", known.join(", ")),
    };
    Err(Missing::new(format!("kube context {context}: not in {}", files.join(", ")), remedy))
}

fn scattered(context: &str, file: &Path) -> Missing {
    Missing::new(
        format!("cluster and user of kube context {context}: not in {}, which has the context", file.display()),
        format!("kubectl config view --minify --flatten --context {context} >FILE, then --kubeconfig FILE"),
    )
}

/// Whether a file that has the context also has what it refers to; `None` where it has no such context.
fn is_whole(config: &Kubeconfig, context: &str) -> Option<bool> {
    let context = config.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster = config.clusters.iter().any(|named| named.name == context.cluster);
    let user = context.user.as_ref().is_none_or(|user| config.auth_infos.iter().any(|named| named.name == *user));
    Some(cluster && user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, context: &str, cluster: &str) -> PathBuf {
        let path = folder.join(name);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncontexts:\n- name: {context}\n  context: {{cluster: one, user: one}}\n\
             clusters:\n- name: {cluster}\n  cluster: {{server: 'https://127.0.0.1:1'}}\nusers:\n- name: one\n  user: {{}}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn borrowing(context: &str, files: Vec<PathBuf>) -> Borrowing {
        Borrowing { place: Place::Context { name: context.to_owned(), files }, confirmed: None }
    }

    #[test]
    fn the_first_file_that_has_the_context_counts_and_absent_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (file(folder.path(), "a", "blue", "one"), file(folder.path(), "b", "green", "one"));
        let access = borrowing("green", vec!["/no/such/file".into(), a, b.clone()]).locate().unwrap();
        assert_eq!(access, Access::Kubeconfig { file: b, context: Some("green".to_owned()) });
    }

    #[test]
    fn an_unknown_context_is_refused_with_those_that_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a", "blue", "one");
        let missing = borrowing("bleu", vec![a]).locate().unwrap_err();
        assert!(missing.what.starts_with("kube context bleu: not in "), "{missing:?}");
        assert_eq!(missing.remedy, "name one of: blue");
    }

    #[test]
    fn a_context_whose_cluster_is_elsewhere_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a", "blue", "other");
        let missing = borrowing("blue", vec![a]).locate().unwrap_err();
        assert!(missing.remedy.contains("config view --minify --flatten"), "{missing:?}");
    }

    #[test]
    fn a_confirmation_that_names_another_cluster_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a", "blue", "one");
        let wrong = Borrowing { confirmed: Some("green".to_owned()), ..borrowing("blue", vec![a]) };
        assert!(wrong.locate().unwrap_err().what.contains("it is context blue, confirmed was green"));
    }

    #[test]
    fn outside_of_a_pod_there_is_no_cluster_around_us_and_its_name_is_no_contexts() {
        let here = |confirmed: &str| Borrowing { place: Place::Here, confirmed: Some(confirmed.to_owned()) };
        let missing = here("in-cluster").locate().unwrap_err();
        assert!(
            missing.what.starts_with("a service account: cannot use the service account of this pod"),
            "{missing:?}"
        );
        assert!(here("blue").locate().unwrap_err().what.ends_with("the cluster of this pod, confirmed was blue"));
    }
}
