//! The cluster that is measured on, and the ways to it.

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ApiResource, PostParams};
use seaworthy::k8s::{self, Access};
use seaworthy::plan::StepId;
use seaworthy::ports::{Notes, Trouble};
use seaworthy::process::Program;
use seaworthy::watch::ObjectRef;
use serde_json::json;
use tokio::sync::mpsc;

use super::harness::Shared;

/// Whatever keeps a measurement from being made.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Namespace of everything that is made for a measurement.
pub(crate) const NAMESPACE: &str = "bench";

/// A cluster of our own.
pub(crate) struct Place {
    pub(crate) shared: Shared,
    pub(crate) access: Access,
}

impl Place {
    pub(crate) fn raise() -> Result<Self, Fault> {
        let shared = Shared::raise(&["bootstrap"]);
        let access = Access::Kubeconfig { file: shared.kubeconfig.clone(), context: Some(shared.context.clone()) };
        Ok(Self { shared, access })
    }

    pub(crate) fn lower(&self) {
        self.shared.lower();
    }

    /// A client with connections of its own.
    pub(crate) async fn client(&self) -> Result<Client, Fault> {
        Ok(k8s::client(&self.access).await?)
    }

    /// The namespace, made if missing.
    pub(crate) async fn namespace(&self) -> Result<(), Fault> {
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        let wanted = serde_json::from_value(json!({ "metadata": { "name": NAMESPACE } }))?;
        match namespaces.create(&PostParams::default(), &wanted).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            made => Ok(made.map(drop)?),
        }
    }

    /// kubectl, pointed at the cluster.
    pub(crate) fn kubectl<const N: usize>(&self, args: [&str; N]) -> Program {
        let program = Program::new("kubectl").arg("--kubeconfig").arg(&self.shared.kubeconfig);
        program.args(["--context", &self.shared.context]).args(args)
    }
}

/// An object in the namespace.
pub(crate) fn within(resource: ApiResource, name: &str) -> ObjectRef {
    ObjectRef { resource, namespace: Some(NAMESPACE.to_owned()), name: name.to_owned() }
}

/// Notes that nobody reads.
pub(crate) fn notes() -> Notes {
    Notes::new(StepId::cluster(), mpsc::unbounded_channel().0)
}

/// A trouble of this program as a fault of the measurement.
pub(crate) fn fault(trouble: Trouble) -> Fault {
    trouble.headline.into()
}
