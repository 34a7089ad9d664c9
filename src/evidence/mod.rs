//! What shows why a step ended red: objects, events, logs and last answers, in a folder named after the step.
//!
//! - Purpose: the reader of a report need not have the cluster any more.
//! - Never: a secret value, a failure of its own (what cannot be had is said in the folder), anything unbounded.

mod gather;
mod words;

use std::path::PathBuf;

use crate::events::Evidence;
use crate::logs::LogKeeper;
use crate::plan::StepId;
use crate::ports::Last;
use crate::secrets::Secrets;
use crate::watch::{Hub, ObjectRef};

use self::gather::Gathered;

/// Keeps evidence below one folder.
#[derive(Clone)]
pub struct EvidenceStore {
    /// `folder/<suite>/<component>/<step>/`.
    pub folder: PathBuf,
    /// Values that must not be written.
    pub secrets: Secrets,
}

/// Where to look for what a red step involved.
#[derive(Clone, Default)]
pub struct Scene {
    /// The cluster, once there is one.
    pub hub: Option<Hub>,
    /// The logs of the run, once there is a cluster.
    pub logs: Option<LogKeeper>,
    /// The namespace of the component.
    pub namespace: Option<String>,
    /// The objects of the component.
    pub objects: Vec<ObjectRef>,
    /// Texts of tools, by file name: helm's output, the rendered objects.
    pub texts: Vec<(String, String)>,
}

impl EvidenceStore {
    /// Writes down everything that can be had. `None` where not even the folder can be made.
    pub async fn keep(&self, step: &StepId, last: &Last, scene: &Scene) -> Option<Evidence> {
        let folder = self.folder.join(step.as_str());
        tokio::fs::create_dir_all(&folder).await.ok()?;
        let gathered = match (&scene.hub, &scene.namespace) {
            (Some(hub), Some(namespace)) => gather::from_cluster(hub.client(), namespace, &scene.objects).await,
            (Some(_) | None, _) => Gathered::default(),
        };
        let logs = match (&scene.logs, &scene.namespace) {
            (Some(logs), Some(namespace)) => gather::log_tails(&logs.folder(namespace)).await,
            (Some(_) | None, _) => Vec::new(),
        };
        let mut files = vec![
            ("last-seen.txt".to_owned(), words::last_seen(last)),
            ("objects.yaml".to_owned(), words::objects(&gathered.objects)),
            ("events.txt".to_owned(), words::events(&gathered.events)),
            ("could-not-look.txt".to_owned(), gathered.troubles.join("\n")),
        ];
        files.extend(scene.texts.iter().cloned());
        files.extend(logs.iter().map(|(name, text)| (format!("logs/{name}"), text.clone())));
        for (name, text) in files.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
            self.write(folder.join(name), &text).await;
        }
        let excerpt = words::excerpt(&gathered.events, &gathered.objects, &logs);
        Some(Evidence { folder, excerpt: excerpt.iter().map(|line| self.secrets.mask(line)).collect() })
    }

    async fn write(&self, path: PathBuf, text: &str) {
        if let Some(folder) = path.parent() {
            // A folder that cannot be made shows as a file that is not there; evidence never fails a run.
            tokio::fs::create_dir_all(folder).await.ok();
        }
        tokio::fs::write(path, self.secrets.mask(text)).await.ok();
    }
}
