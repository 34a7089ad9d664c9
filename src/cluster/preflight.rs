//! Everything that a run needs before it starts, asked for at once.

use std::collections::BTreeSet;

use super::{ClusterKind, Flavour};
use crate::ports::Trouble;
use crate::tools::{Equipment, Missing, Needs, Tell, Tool, Toolbox};

/// Finds or fetches what this kind of cluster and the installs need (`tools`); tells what is fetched or built.
///
/// # Errors
/// Everything that is missing, `more` included, as one trouble of the environment.
pub async fn preflight(
    toolbox: &Toolbox,
    kind: &ClusterKind,
    tools: BTreeSet<Tool>,
    more: Vec<Missing>,
    tell: Tell<'_>,
) -> Result<Equipment, Trouble> {
    let mut missing = more;
    let needs = match kind {
        ClusterKind::Kind => needs(Some(Flavour::Kind), tools),
        ClusterKind::K3d => needs(Some(Flavour::K3d), tools),
        ClusterKind::Borrowed(borrowing) => {
            missing.extend(borrowing.locate().err());
            needs(None, tools)
        }
        ClusterKind::Rehearsal => needs(None, tools),
    };
    let equipment = toolbox.equip(&needs, tell).await;
    let equipment = equipment.map_err(|absent| missing.splice(0..0, absent).for_each(drop)).ok();
    match equipment {
        Some(equipment) if missing.is_empty() => Ok(equipment),
        _ => Err(Trouble::environment(Missing::headline(&missing)).with(Missing::lines(&missing))),
    }
}

fn needs(flavour: Option<Flavour>, mut tools: BTreeSet<Tool>) -> Needs {
    tools.extend(flavour.map(Flavour::tool));
    Needs { engine: flavour.is_some(), tools }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Borrowing, Place};
    use crate::events::Fault;

    #[tokio::test]
    async fn everything_missing_is_one_trouble_of_the_environment() {
        let nowhere = Toolbox { path: "/nowhere".into(), cache: "/nowhere".into() };
        let more = vec![Missing::new("variable REGISTRY", "set it")];
        let trouble =
            preflight(&nowhere, &ClusterKind::Kind, BTreeSet::from([Tool::Helm]), more, &|_| {}).await.unwrap_err();
        assert_eq!(trouble.fault, Fault::Environment);
        assert!(trouble.headline.starts_with("4 things are missing, first: a container engine"), "{trouble:?}");
        let what: Vec<&String> = trouble.details.iter().filter(|line| line.starts_with("missing: ")).collect();
        assert!(what[1].contains("helm") && what[2].contains("kind") && what[3].contains("REGISTRY"), "{what:?}");
        assert_eq!(trouble.details.len(), 8);
    }

    #[tokio::test]
    async fn a_borrowed_cluster_needs_its_context_and_no_engine() {
        let nowhere = Toolbox { path: "/nowhere".into(), cache: "/nowhere".into() };
        let place = Place::Context { name: "blue".to_owned(), files: vec!["/nowhere".into()] };
        let kind = ClusterKind::Borrowed(Borrowing { place, confirmed: None });
        let trouble = preflight(&nowhere, &kind, BTreeSet::new(), Vec::new(), &|_| {}).await.unwrap_err();
        assert!(trouble.headline.starts_with("kube context blue: not in /nowhere"), "{trouble:?}");
    }
}
