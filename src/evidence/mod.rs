//! What shows why a step ended red: objects, events, logs and last answers, in a folder named after the step.
//!
//! - Purpose: the reader of a report need not have the cluster any more.
//! - Never: a secret value, a failure of its own (what cannot be had is said in the folder), anything unbounded.
//! - Why not all events: a reused namespace still has those of an earlier run's pods.
//! - Why sorted: components share namespaces, and a neighbour's warnings would be read as this step's reason.

mod belonging;
mod gather;
mod words;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::events::{Ending, Evidence};
use crate::logs::LogKeeper;
use crate::plan::StepId;
use crate::ports::Last;
use crate::secrets::Secrets;
use crate::watch::{Hub, ObjectRef};

/// A log by `pod/file`, and its end.
type Log = (String, String);

/// Keeps evidence below one folder.
#[derive(Clone)]
pub struct EvidenceStore {
    /// `folder/<suite>/<component>/<step>/`.
    pub folder: PathBuf,
    /// Values that must not be written.
    pub secrets: Secrets,
    /// When the run began: in a cluster that is reused, what was said before of objects that are gone is not told.
    pub began: Timestamp,
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
    /// The mark ([`crate::k8s::CHECK_LABEL`]) of what the check ran, where the step is one.
    pub check: Option<String>,
    /// Texts of tools, by file name: helm's output, the rendered objects.
    pub texts: Vec<(String, String)>,
}

impl EvidenceStore {
    /// Writes down everything that can be had. `None` where not even the folder can be made.
    pub async fn keep(&self, step: &StepId, ending: &Ending, last: &Last, scene: &Scene) -> Option<Evidence> {
        let folder = self.folder.join(step.as_str());
        tokio::fs::create_dir_all(&folder).await.ok()?;
        let mut gathered = gather::from(scene).await.since(self.began);
        let excerpt = words::excerpt(&belonging::first(&mut gathered, scene));
        let mut files = vec![
            ("last-seen.txt".to_owned(), words::last_seen(ending, last)),
            ("objects.yaml".to_owned(), words::objects(&gathered.objects)),
            ("events.txt".to_owned(), words::events(&gathered.events)),
            ("could-not-look.txt".to_owned(), gathered.troubles.join("\n")),
        ];
        files.extend(scene.texts.iter().cloned());
        files.extend(gathered.logs.iter().map(|(name, text)| (format!("logs/{name}"), text.clone())));
        for (name, text) in files.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
            self.write(folder.join(name), &text).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fault;

    /// What is in `last-seen.txt` after an ending.
    async fn last_seen(ending: &Ending, last: &Last) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store =
            EvidenceStore { folder: folder.path().to_owned(), secrets: Secrets::default(), began: Timestamp::now() };
        store.secrets.learn("hunter2!");
        let kept = store.keep(&StepId::cluster(), ending, last, &Scene::default()).await.unwrap();
        std::fs::read_to_string(kept.folder.join("last-seen.txt")).unwrap()
    }

    #[tokio::test]
    async fn every_red_ending_leaves_what_was_last_seen_without_secret_values() {
        let broken = Ending::Broken {
            expected: "tcp db:1 accepts".to_owned(),
            actual: "refused hunter2!".to_owned(),
            details: vec!["looked 3 times: 3 broken".to_owned()],
        };
        let text = "expected: tcp db:1 accepts\nactual: refused <sensitive>\nlooked 3 times: 3 broken\n";
        assert_eq!(last_seen(&broken, &Last::default()).await, text);
        let unclear = Ending::Unclear { fault: Fault::Ourselves, why: "panicked".to_owned(), details: Vec::new() };
        let last = Last { note: Some("pod redis-0".to_owned()), verdict: None };
        assert_eq!(last_seen(&unclear, &last).await, "no judgement: panicked\nwaiting on: pod redis-0\n");
    }
}
