//! Everything that a run needs, found or fetched; or everything that is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use futures::future::join_all;

use super::pin::{Pin, pin, platform};
use super::{Engine, Found, Missing, Tool, download};
use crate::complaint;

/// Where tools are looked for, and kept.
#[derive(Clone, Debug)]
pub struct Toolbox {
    /// Folders as in PATH.
    pub path: OsString,
    /// This program's cache; tools are in its `tools/<name>-<version>/`.
    pub cache: PathBuf,
}

/// What a run needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether a container engine must answer.
    pub engine: bool,
    /// Tools.
    pub tools: BTreeSet<Tool>,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Equipment {
    /// The container engine.
    pub engine: Option<Engine>,
    /// Tools at versions that work.
    pub tools: BTreeMap<Tool, Found>,
}

impl Equipment {
    /// A tool's program.
    #[must_use]
    pub fn program(&self, tool: Tool) -> Option<&PathBuf> {
        self.tools.get(&tool).map(|found| &found.path)
    }
}

impl Toolbox {
    /// Whatever is there of everything; nothing is fetched and nothing is demanded.
    pub async fn at_hand(&self) -> Equipment {
        let (engine, tools) = tokio::join!(Engine::find(&self.path), join_all(Tool::ALL.map(|tool| self.look(tool))));
        let tools = Tool::ALL.into_iter().zip(tools).filter_map(|(tool, found)| Some((tool, found.ok()?)));
        Equipment { engine: engine.ok(), tools: tools.collect() }
    }

    /// All that is needed. Tools that are missing are fetched, but only once nothing else is: a machine without an engine
    /// hears so at once.
    ///
    /// # Errors
    /// Everything that is missing.
    pub async fn equip(&self, needs: &Needs) -> Result<Equipment, Vec<Missing>> {
        let engine = async { if needs.engine { Engine::find(&self.path).await.map(Some) } else { Ok(None) } };
        let looks = needs.tools.iter().map(|tool| async { (*tool, self.look(*tool).await) });
        let (engine, looks) = tokio::join!(engine, join_all(looks));
        let (mut tools, mut absent) = (BTreeMap::new(), Vec::new());
        for (tool, look) in looks {
            match look {
                Ok(found) => drop(tools.insert(tool, found)),
                Err(why) => absent.push((tool, why)),
            }
        }
        let engine = match engine {
            Ok(engine) => engine,
            Err(none) => {
                let absent = absent.iter().map(|(tool, why)| missing(*tool, why));
                return Err(std::iter::once(none).chain(absent).collect());
            }
        };
        let fetches = absent.iter().map(|(tool, why)| async { (*tool, self.fetch(*tool, why).await) });
        let mut lost = Vec::new();
        for (tool, fetch) in join_all(fetches).await {
            match fetch {
                Ok(found) => drop(tools.insert(tool, found)),
                Err(missing) => lost.push(missing),
            }
        }
        if lost.is_empty() { Ok(Equipment { engine, tools }) } else { Err(lost) }
    }

    /// A tool on PATH, else in the cache; or why neither.
    async fn look(&self, tool: Tool) -> Result<Found, String> {
        let on_path = match which::which_in(tool.name(), Some(&self.path), ".") {
            Ok(path) => tool.ask(&path).await,
            Err(_) => Err("not on PATH".to_owned()),
        };
        match (on_path, pin(tool, &platform())) {
            (Err(why), Some(pin)) => tool.ask(&self.place(tool, &pin)).await.map_err(|_| why),
            (on_path, _) => on_path,
        }
    }

    async fn fetch(&self, tool: Tool, why: &str) -> Result<Found, Missing> {
        let Some(pin) = pin(tool, &platform()) else {
            return Err(missing(tool, why));
        };
        let place = self.place(tool, &pin);
        let unfetched = |words: String| missing(tool, &format!("{why}; {words}"));
        download::download(&pin, &place).await.map_err(|error| unfetched(complaint::chain(&error)))?;
        tool.ask(&place).await.map_err(unfetched)
    }

    fn place(&self, tool: Tool, pin: &Pin) -> PathBuf {
        self.cache.join("tools").join(format!("{tool}-{}", pin.version)).join(tool.name())
    }
}

fn missing(tool: Tool, why: &str) -> Missing {
    let install = format!("install {tool} {} ({})", tool.wanted(), tool.home());
    let remedy = match pin(tool, &platform()) {
        Some(pin) => format!("{install}; with a network, {} is fetched by itself", pin.url),
        None => format!("{install}; no download is known for {}", platform()),
    };
    Missing::new(format!("{tool} {}: {why}", tool.wanted()), remedy)
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    /// A program that is a shell script.
    pub(in crate::tools) fn script(folder: &Path, name: &str, body: &str) {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn toolbox(folder: &Path) -> Toolbox {
        Toolbox { path: folder.join("bin").into(), cache: folder.join("cache") }
    }

    fn needs(tools: &[Tool]) -> Needs {
        Needs { engine: true, tools: tools.iter().copied().collect() }
    }

    #[tokio::test]
    async fn everything_that_is_missing_is_said_at_once_and_nothing_is_fetched_without_an_engine() {
        let folder = tempfile::tempdir().unwrap();
        script(&folder.path().join("bin"), "helm", "echo v3.12.0+gc9f554d");
        let missing = toolbox(folder.path()).equip(&needs(&[Tool::Helm, Tool::Kind])).await.unwrap_err();
        let what: Vec<&str> = missing.iter().map(|missing| missing.what.as_str()).collect();
        assert_eq!(what.len(), 3, "{what:?}");
        assert!(what[0].starts_with("a container engine that answers: docker is not on PATH; podman is not on PATH"));
        assert!(what[1].ends_with("bin/helm is 3.12.0, needed is >=3.18, <5"), "{what:?}");
        assert_eq!(what[2], "kind >=0.29, <1: not on PATH");
        assert!(missing.iter().all(|missing| missing.remedy.contains("https://")), "{missing:?}");
        assert!(!folder.path().join("cache").exists());
    }

    #[tokio::test]
    async fn a_tool_on_path_wins_and_one_too_old_gives_way_to_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let toolbox = toolbox(folder.path());
        let bin = folder.path().join("bin");
        script(&bin, "docker", r#"echo '{"DriverStatus": []}'"#);
        script(&bin, "helm", "echo v3.18.4+gd80839c");
        script(&bin, "kind", "echo kind v0.20.0 go1.20 linux/amd64");
        let cached = toolbox.place(Tool::Kind, &pin(Tool::Kind, &platform()).unwrap());
        script(cached.parent().unwrap(), "kind", "echo kind v0.32.0 go1.26 linux/amd64");
        let equipment = toolbox.equip(&needs(&[Tool::Helm, Tool::Kind])).await.unwrap();
        assert_eq!(equipment.program(Tool::Helm), Some(&bin.join("helm")));
        assert_eq!(equipment.program(Tool::Kind), Some(&cached));
        assert_eq!(toolbox.at_hand().await, equipment);
    }
}
