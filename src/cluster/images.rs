//! Images from the local engine into a cluster's nodes, so that nothing is pulled there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::lifecycle::{ClusterKind, Clusters};
use super::maker::{Maker, MakerError};
use crate::number::count;
use crate::ports::{Done, Notes, Trouble};
use crate::process::Program;

/// Images that are brought at the same time: saving and importing wait for the disk more than for each other.
const AT_ONCE: usize = 3;

/// What has been brought; components that share an image share its way.
#[derive(Debug, Default)]
pub(super) struct Loader(Mutex<BTreeMap<String, Arc<OnceCell<Brought>>>>);

/// How an image came to be in the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brought {
    There,
    Loaded,
}

impl Clusters {
    /// Brings images into the nodes of this run's cluster, unless they are there already.
    ///
    /// # Errors
    /// An image that the local engine neither has nor can pull, in the engine's words; one that did not arrive.
    pub async fn preload(&self, images: &[String], notes: &Notes) -> Result<Done, Trouble> {
        if let ClusterKind::Borrowed(borrowing) = &self.options.kind {
            return Ok(Done::saying(format!("the nodes of {} pull for themselves", borrowing.place)));
        }
        if self.options.kind == ClusterKind::Rehearsal {
            return Ok(Done::saying("no image is read in a rehearsal"));
        }
        let Some((maker, cluster)) = self.usable() else {
            return Err(Trouble::environment("no cluster to bring images into"));
        };
        let site = Site { maker: &maker, cluster: &cluster, folder: &self.options.folders.run };
        let (tagged, digested): (Vec<&String>, Vec<&String>) = images.iter().partition(|image| !image.contains('@'));
        let each: Vec<_> = tagged.iter().map(|image| self.bring(image, &site, notes)).collect();
        let brought: Vec<Brought> = stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await?;
        let loaded = brought.iter().filter(|brought| **brought == Brought::Loaded).count();
        let there = brought.len() - loaded;
        let mut done = Done::saying(format!("{} loaded, {there} already there", count(loaded, "image")));
        done.warnings.extend(
            digested
                .iter()
                .map(|image| format!("{image} is named by its digest, which loading loses: the nodes will pull it")),
        );
        done.warnings.extend(tagged.iter().filter(|image| is_latest(image)).map(|image| {
            format!("{image} is tagged latest: unless its pull policy says otherwise, the nodes will pull it again")
        }));
        Ok(done)
    }

    /// Once for every image, whoever asks; another one who asks waits for the first.
    async fn bring(&self, image: &str, site: &Site<'_>, notes: &Notes) -> Result<Brought, Trouble> {
        notes.waiting(format!("image {image}"));
        let cell = {
            let mut cells = self.loader.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(canonical(image)).or_default())
        };
        cell.get_or_try_init(|| site.bring(image)).await.copied()
    }
}

/// One cluster's nodes.
struct Site<'a> {
    maker: &'a Maker,
    cluster: &'a str,
    folder: &'a Path,
}

impl Site<'_> {
    async fn bring(&self, image: &str) -> Result<Brought, Trouble> {
        let local = self.local(image).await?;
        if self.everywhere(image, Some(&local.id)).await? {
            return Ok(Brought::There);
        }
        let folder = tempfile::tempdir_in(self.folder).map_err(|error| {
            Trouble::environment(format!("cannot keep image {image} in {}: {error}", self.folder.display()))
        })?;
        let archive = folder.path().join("image.tar");
        let unsaved = |error: MakerError| error.during(&format!("cannot save image {image}"));
        self.maker.run(&self.save(image, &local, &archive)).await.map_err(unsaved)?;
        let unloaded = |error: MakerError| error.during(&format!("cannot load image {image} into {}", self.cluster));
        self.maker.load(&archive, self.cluster).await.map_err(unloaded)?;
        // k3d ends well when an import failed.
        if self.everywhere(image, None).await? {
            return Ok(Brought::Loaded);
        }
        Err(Trouble::environment(format!(
            "image {image} was loaded into {}, but its nodes do not have it",
            self.cluster
        )))
    }

    /// The engine's image, pulled if need be.
    async fn local(&self, image: &str) -> Result<Local, Trouble> {
        if let Ok(local) = self.inspect(image).await {
            return Ok(local);
        }
        let pull = self.engine(&["pull", "--quiet", image]);
        let missing =
            |error: MakerError| error.during(&format!("image {image} is not in the local engine and cannot be pulled"));
        self.maker.run(&pull).await.map_err(missing)?;
        Ok(self.inspect(image).await?)
    }

    async fn inspect(&self, image: &str) -> Result<Local, MakerError> {
        let inspect = self.engine(&["image", "inspect", "--format", "{{.Id}} {{.Os}}/{{.Architecture}}", image]);
        let printed = self.maker.run(&inspect).await?;
        let printed = String::from_utf8_lossy(&printed);
        let (id, platform) = printed.trim().split_once(' ').unwrap_or((printed.trim(), ""));
        // podman leaves the algorithm out.
        let id = if id.contains(':') { id.to_owned() } else { format!("sha256:{id}") };
        Ok(Local { id, platform: platform.to_owned() })
    }

    fn save(&self, image: &str, local: &Local, archive: &Path) -> Program {
        let save = self.engine(&["save"]);
        let save = if self.maker.engine().multi_platform { save.args(["--platform", &local.platform]) } else { save };
        save.arg("--output").arg(archive).arg(image)
    }

    /// Whether every node has the image under its name, and, where an id is given, is that very image.
    async fn everywhere(&self, image: &str, id: Option<&str>) -> Result<bool, Trouble> {
        let nodes = self.maker.nodes(self.cluster).await?;
        let lists = join_all(nodes.iter().map(|node| self.images(node))).await;
        for list in lists {
            if !has(&list?, &canonical(image), id) {
                return Ok(false);
            }
        }
        Ok(!nodes.is_empty())
    }

    async fn images(&self, node: &str) -> Result<String, Trouble> {
        let list = self.engine(&["exec", node, "ctr", "--namespace", "k8s.io", "images", "list"]);
        let unread = |error: MakerError| error.during(&format!("cannot list the images of node {node}"));
        let printed = self.maker.run(&list).await.map_err(unread)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    fn engine(&self, args: &[&str]) -> Program {
        Program::new(&self.maker.engine().program).args(args)
    }
}

/// An image of the local engine.
struct Local {
    id: String,
    platform: String,
}

/// Reads what `ctr images list` prints: name, type and digest of each image, and, under the id of its configuration as
/// name, the same digest again. Engines identify an image by that id, or, with containerd's store, by the digest.
fn has(list: &str, name: &str, id: Option<&str>) -> bool {
    let rows = || {
        list.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.nth(1)?))
        })
    };
    let digest = rows().find_map(|(row, digest)| (row == name).then_some(digest));
    match (digest, id) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(digest), Some(id)) => id == digest || rows().any(|row| row == (id, digest)),
    }
}

/// An image's name as a node's runtime writes it: with its registry, and the tag where none is given.
fn canonical(image: &str) -> String {
    let (host, rest) = match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("docker.io", image),
    };
    let library = if host == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    let tag = if rest.contains(':') { "" } else { ":latest" };
    format!("{host}/{library}{rest}{tag}")
}

fn is_latest(image: &str) -> bool {
    canonical(image).ends_with(":latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_there_only_under_its_name_and_with_its_id() {
        let list = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
                    docker.io/lab/redis:7.0 application/vnd.v2+json sha256:aa 50.1 MiB linux/amd64 io.cri=managed\n\
                    docker.io/lab/other:1 application/vnd.v2+json sha256:bb 50.1 MiB linux/amd64 io.cri=managed\n\
                    sha256:1d application/vnd.v2+json sha256:aa 50.1 MiB linux/amd64 io.cri=managed\n";
        let redis = "docker.io/lab/redis:7.0";
        for (name, id, there) in [
            (redis, Some("sha256:1d"), true),
            (redis, Some("sha256:aa"), true),
            (redis, Some("sha256:rebuilt"), false),
            ("docker.io/lab/other:1", Some("sha256:1d"), false),
            ("docker.io/lab/other:1", None, true),
            ("docker.io/lab/absent:1", None, false),
        ] {
            assert_eq!(has(list, name, id), there, "{name} {id:?}");
        }
    }

    #[test]
    fn names_are_completed_as_a_node_writes_them() {
        for (written, whole) in [
            ("redis:7", "docker.io/library/redis:7"),
            ("redis", "docker.io/library/redis:latest"),
            ("lab/redis:7.0", "docker.io/lab/redis:7.0"),
            ("localhost/redis:7", "localhost/redis:7"),
            ("registry:5000/redis", "registry:5000/redis:latest"),
            ("ghcr.io/org/app:1.2", "ghcr.io/org/app:1.2"),
            ("docker.io/redis:7", "docker.io/library/redis:7"),
        ] {
            assert_eq!(canonical(written), whole);
        }
    }

    /// An engine that has `lab/redis:7` and can pull nothing, and a kind that loads by this script.
    async fn machine(load: &str) -> (tempfile::TempDir, Maker) {
        use crate::tools::{Engine, Equipment, Found, Tool};
        let folder = tempfile::tempdir().unwrap();
        let engine = "case \"$1 $2\" in\n\
                      'ps --filter') echo 'n1 control-plane'; echo 'lb external-load-balancer' ;;\n\
                      'image inspect') test \"$5\" = lab/redis:7 && echo 'sha256:1d linux/amd64' ;;\n\
                      'pull --quiet') echo 'Error response from daemon: no such host' >&2; exit 1 ;;\n\
                      'save --output') echo redis >\"$3\" ;;\n\
                      'exec n1') cat \"$(dirname \"$0\")/node\" ;;\n\
                      *) exit 9 ;; esac";
        let list = "docker.io/lab/redis:7 v2 sha256:aa\\nsha256:1d v2 sha256:aa\\n";
        let kind = load.replace("LOAD", &format!("printf '{list}' >\"$(dirname \"$0\")/node\""));
        for (name, body) in [("docker", engine), ("kind", kind.as_str())] {
            std::fs::write(folder.path().join(name), format!("#!/bin/sh\n{body}\n")).unwrap();
            Program::new("/bin/chmod").arg("+x").arg(folder.path().join(name)).output().await.unwrap();
        }
        std::fs::write(folder.path().join("node"), "").unwrap();
        let engine = Engine { program: folder.path().join("docker"), podman: false, multi_platform: false };
        let found = Found { path: folder.path().join("kind"), version: "0.33.0".parse().unwrap() };
        let equipment = Equipment { engine: Some(engine), tools: [(Tool::Kind, found)].into() };
        (folder, Maker::of(crate::cluster::Flavour::Kind, &equipment).unwrap())
    }

    async fn bring(load: &str, images: &[&str]) -> Result<Vec<Brought>, Trouble> {
        let (folder, maker) = machine(load).await;
        let site = Site { maker: &maker, cluster: "seaworthy-a1", folder: folder.path() };
        stream::iter(images).then(|image| site.bring(image)).try_collect().await
    }

    #[tokio::test]
    async fn an_image_is_loaded_once_and_then_there() {
        assert_eq!(bring("LOAD", &["lab/redis:7", "lab/redis:7"]).await.unwrap(), [Brought::Loaded, Brought::There]);
    }

    #[tokio::test]
    async fn a_tool_that_says_it_loaded_what_is_not_there_is_not_believed() {
        let trouble = bring("exit 0", &["lab/redis:7"]).await.unwrap_err();
        assert!(
            trouble.headline.ends_with("was loaded into seaworthy-a1, but its nodes do not have it"),
            "{trouble:?}"
        );
    }

    #[tokio::test]
    async fn an_image_that_is_nowhere_is_named_in_the_engines_words() {
        let trouble = bring("LOAD", &["lab/rediz:7"]).await.unwrap_err();
        assert_eq!(
            trouble.headline,
            "image lab/rediz:7 is not in the local engine and cannot be pulled: Error response from daemon: no such host"
        );
    }
}
