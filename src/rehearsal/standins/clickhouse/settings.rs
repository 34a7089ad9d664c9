//! What the files of a server's `config.d` say: its clusters, its Keeper and its macros.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

/// What a server is told in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The hosts of each shard of each cluster, by the clusters' names (`remote_servers`).
    pub(super) clusters: BTreeMap<String, Vec<Vec<Replica>>>,
    /// Where its Keeper is (`zookeeper`), as it is told; servers that are told the same have the same one. Empty without any.
    pub(super) keeper: Vec<String>,
    /// What stands for a name in braces (`macros`).
    pub(super) macros: BTreeMap<String, String>,
}

/// A host of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) host: String,
    pub(super) port: String,
}

impl Settings {
    /// Adds what a file says; of one that cannot be read nothing.
    pub(crate) fn read(&mut self, file: &str, environment: &BTreeMap<String, String>) {
        let Ok(document) = Document::parse(file) else { return };
        let text = |node: Node<'_, '_>| match node.attribute("from_env") {
            Some(name) => environment.get(name).cloned().unwrap_or_default(),
            None => node.text().unwrap_or_default().trim().to_owned(),
        };
        let told = |node: Node<'_, '_>, name: &str| children(node, name).next().map(text).unwrap_or_default();
        let replica = |node| Replica { host: told(node, "host"), port: told(node, "port") };
        for part in elements(document.root_element()) {
            match part.tag_name().name() {
                "remote_servers" => self.clusters.extend(elements(part).map(|cluster| {
                    let shards = children(cluster, "shard");
                    let shards = shards.map(|shard| children(shard, "replica").map(replica).collect()).collect();
                    (cluster.tag_name().name().to_owned(), shards)
                })),
                "zookeeper" => {
                    let node = |node| format!("{}:{}", told(node, "host"), told(node, "port"));
                    self.keeper.extend(children(part, "node").map(node));
                }
                "macros" => {
                    self.macros.extend(elements(part).map(|one| (one.tag_name().name().to_owned(), text(one))));
                }
                _ => {}
            }
        }
    }
}

fn elements<'a, 'd>(node: Node<'a, 'd>) -> impl Iterator<Item = Node<'a, 'd>> {
    node.children().filter(Node::is_element)
}

fn children<'a, 'd>(node: Node<'a, 'd>, name: &str) -> impl Iterator<Item = Node<'a, 'd>> {
    elements(node).filter(move |child| child.tag_name().name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_keepers_and_macros_are_read_from_several_files_and_from_the_environment() {
        let mut settings = Settings::default();
        let environment = BTreeMap::from([("POD".to_owned(), "ch-1".to_owned())]);
        for file in [
            "<yandex><zookeeper><node><host>keeper</host><port>2181</port></node></zookeeper>
               <macros><shard>0</shard><replica from_env=\"POD\"/><nobody from_env=\"NOSUCH\"/></macros></yandex>",
            "<clickhouse><remote_servers replace=\"replace\"><main>
               <shard><replica><host>ch-0</host><port>9000</port></replica><replica><host>ch-1</host><port>9000</port></replica></shard>
               <shard><replica><host>ch-2</host><port>9000</port></replica></shard>
             </main></remote_servers></clickhouse>",
            "no XML",
        ] {
            settings.read(file, &environment);
        }
        let hosts: Vec<Vec<&str>> = settings.clusters["main"]
            .iter()
            .map(|shard| shard.iter().map(|replica| replica.host.as_str()).collect())
            .collect();
        assert_eq!(hosts, [vec!["ch-0", "ch-1"], vec!["ch-2"]]);
        assert_eq!(settings.keeper, ["keeper:2181"]);
        let macros: Vec<(&str, &str)> =
            settings.macros.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(macros, [("nobody", ""), ("replica", "ch-1"), ("shard", "0")]);
    }
}
