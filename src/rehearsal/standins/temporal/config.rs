//! What a Temporal is told when it starts.

use std::collections::BTreeMap;

/// The namespace that is there whatever is told.
const DEFAULT: &str = "default";

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The port of its frontend.
    pub(crate) port: u16,
    /// Its namespaces.
    pub(crate) namespaces: Vec<String>,
}

impl Config {
    /// As the development server is told, `server start-dev --port 7233 --namespace orders`; or as the image is that sets its database
    /// up by itself (`temporalio/auto-setup`).
    pub(crate) fn told(words: &[String], environment: &BTreeMap<String, String>) -> Self {
        let said = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        let port = after(words, ["--port", "-p"]).next().or_else(|| said("FRONTEND_GRPC_PORT"));
        let more = after(words, ["--namespace", "-n"]).chain(said("DEFAULT_NAMESPACE"));
        let mut namespaces = vec![DEFAULT.to_owned()];
        namespaces.extend(more.filter(|name| name != DEFAULT));
        Self { port: port.and_then(|port| port.parse().ok()).unwrap_or(7233), namespaces }
    }
}

/// All that follows an option, by either of its names: `--namespace orders`, `--namespace=orders`.
fn after<'w>(words: &'w [String], names: [&'w str; 2]) -> impl Iterator<Item = String> + 'w {
    words.iter().enumerate().filter_map(move |(at, word)| {
        names.iter().find_map(|name| match word.strip_prefix(name)? {
            "" => words.get(at + 1).cloned(),
            value => value.strip_prefix('=').map(str::to_owned),
        })
    })
}
