//! A cluster that is there, with everything that works on it.

use std::path::Path;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::cluster::{Ownership, Raised};
use crate::complaint;
use crate::install::Target;
use crate::k8s::{self, Access};
use crate::logs::LogKeeper;
use crate::ports::Trouble;
use crate::probes::{Made, Prober};
use crate::secrets::Secrets;
use crate::tunnel::Dialer;
use crate::watch::Hub;

/// What works on one cluster.
pub(super) struct Site {
    pub(super) ownership: Ownership,
    pub(super) target: Target,
    pub(super) hub: Hub,
    pub(super) logs: LogKeeper,
    pub(super) prober: Prober,
}

/// What a site needs to know of its run.
pub(super) struct About<'a> {
    pub(super) run: &'a str,
    pub(super) folder: &'a Path,
    pub(super) helm: Option<&'a Path>,
    pub(super) secrets: &'a Secrets,
}

impl Site {
    /// Connects to the cluster.
    pub(super) async fn open(raised: &Raised, about: About<'_>) -> Result<Self, Trouble> {
        let client = k8s::client(&raised.access).await;
        let client = client.map_err(|error| Trouble::environment(complaint::chain(&error)))?;
        let hub = Hub::new(client.clone()).at_tempo(raised.tempo);
        let logs = LogKeeper::new(hub.clone(), about.folder.join("logs"), about.secrets.clone());
        let dialer = match raised.access {
            Access::Kubeconfig { .. } => Dialer::forwarding(hub.clone()),
            Access::Pod => Dialer::direct(hub.clone()),
        };
        let prober = Prober {
            hub: hub.clone(),
            dialer,
            secrets: about.secrets.clone(),
            run: about.run.to_owned(),
            logs: logs.clone(),
            helm: about.helm.map(Path::to_owned),
            access: raised.access.clone(),
            made: Made::default(),
            unfinished: TaskTracker::new(),
            learnt: Arc::default(),
            turns: Arc::default(),
        };
        let exclusive = raised.ownership == Ownership::Ours;
        let target = Target { access: raised.access.clone(), client, exclusive };
        Ok(Self { ownership: raised.ownership, target, hub, logs, prober })
    }
}
