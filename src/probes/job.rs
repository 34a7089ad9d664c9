//! Twin of `checks/job.rs`.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::running::Running;
use super::{Site, Unseen};
use crate::checks::{Job, JobAnswer};
use crate::complaint;
use crate::manifest::{self, Written};

pub(super) async fn observe(claim: &Job, site: &Site<'_>) -> Result<JobAnswer, Unseen> {
    let object = job(claim, site).await?;
    let running = Running::new(site, object)?;
    running.prune().await?;
    running.until_the_end(Some(claim.launch)).await
}

/// The Job of the file, under a name of its own.
async fn job(claim: &Job, site: &Site<'_>) -> Result<DynamicObject, Unseen> {
    let path = site.check.folder.join(&claim.manifest);
    let file = path.display().to_string();
    let text = tokio::fs::read_to_string(&path).await;
    let text = text.map_err(|error| Unseen(format!("cannot read {file}: {}", complaint::chain(&error))))?;
    let mut objects = manifest::read(&file, &text).map_err(|error| Unseen(complaint::chain(&error)))?;
    let (Some(Written { mut object, .. }), true) = (objects.pop(), objects.is_empty()) else {
        return Err(Unseen(format!("{file} must hold exactly one Job")));
    };
    let prefix = object.name_any();
    object.metadata.name = None;
    object.metadata.generate_name = Some(format!("{}-", prefix.trim_end_matches('-')));
    for containers in ["initContainers", "containers"] {
        replace(&mut object.data["spec"]["template"]["spec"][containers], &claim.images);
    }
    Ok(object)
}

fn replace(containers: &mut Value, images: &BTreeMap<String, String>) {
    for container in containers.as_array_mut().into_iter().flatten() {
        if let Some(image) = container["image"].as_str().and_then(|image| images.get(image)) {
            container["image"] = Value::from(image.as_str());
        }
    }
}
