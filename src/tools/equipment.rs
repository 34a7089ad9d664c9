//! Everything that a run needs, found or fetched; or everything that is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use futures::future::join_all;

use super::pin::{Pin, pin, platform, source, version};
use super::{DownloadError, Engine, Found, Missing, Tool, build, download};
use crate::complaint;

/// Takes a line of what fetching and building do, which takes seconds or minutes before there is a run that could speak.
pub type Tell<'a> = &'a (dyn Fn(&str) + Send + Sync);

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

    /// Whether a container engine answers.
    pub async fn has_engine(&self) -> bool {
        Engine::find(&self.path).await.is_ok()
    }

    /// All that is needed. Tools that are missing are fetched, but only once nothing else is: a machine without an engine
    /// hears so at once. What is fetched or built is told.
    ///
    /// # Errors
    /// Everything that is missing.
    pub async fn equip(&self, needs: &Needs, tell: Tell<'_>) -> Result<Equipment, Vec<Missing>> {
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
        let fetches = absent.iter().map(|(tool, why)| async { (*tool, self.fetch(*tool, why, tell).await) });
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
        match on_path {
            Ok(found) => Ok(found),
            Err(why) => tool.ask(&self.place(tool)).await.map_err(|_| why),
        }
    }

    async fn fetch(&self, tool: Tool, why: &str, tell: Tell<'_>) -> Result<Found, Missing> {
        let brought = self.bring(tool, pin(tool, &platform()), tell).await;
        brought.map_err(|words| missing(tool, &format!("{why}; {words}")))
    }

    /// Downloads a tool, else builds it; or why neither.
    async fn bring(&self, tool: Tool, pin: Option<Pin>, tell: Tell<'_>) -> Result<Found, String> {
        let place = self.place(tool);
        let unreached = match pin {
            None => format!("no download is known for {}", platform()),
            Some(pin) => {
                tell(&format!("fetching {tool} {} from {}", pin.version, pin.url));
                match download::download(&pin, &place).await {
                    Ok(()) => return tool.ask(&place).await,
                    Err(error @ DownloadError::Fetch { .. }) => complaint::chain(&error),
                    Err(error @ (DownloadError::Sum { .. } | DownloadError::Keep { .. })) => {
                        return Err(complaint::chain(&error));
                    }
                }
            }
        };
        let Some(source) = source(tool) else { return Err(unreached) };
        let Ok(go) = which::which_in("go", Some(&self.path), ".") else {
            return Err(format!("{unreached}; go is not on PATH"));
        };
        // Another process may have been done with it meanwhile.
        if let Ok(found) = tool.ask(&place).await {
            return Ok(found);
        }
        tell(&unreached);
        let built = build::build(&go, &source, &platform(), &place, tell).await;
        built.map_err(|error| format!("{unreached}; {}", complaint::chain(&error)))?;
        tool.ask(&place).await
    }

    fn place(&self, tool: Tool) -> PathBuf {
        self.cache.join("tools").join(format!("{tool}-{}", version(tool))).join(tool.name())
    }
}

/// A tool that is missing, with every way to have it.
fn missing(tool: Tool, why: &str) -> Missing {
    let fetched = match pin(tool, &platform()) {
        Some(pin) => format!("with a network, {} is fetched by itself", pin.url),
        None => format!("no download is known for {}", platform()),
    };
    let mut remedy = format!("install {tool} {} ({}); {fetched}", tool.wanted(), tool.home());
    if let Some(source) = source(tool) {
        remedy += &format!("; with Go on the PATH, {source} is built by itself");
    }
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
        let missing = toolbox(folder.path()).equip(&needs(&[Tool::Helm, Tool::Kind]), &|_| {}).await.unwrap_err();
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
        let cached = toolbox.place(Tool::Kind);
        script(cached.parent().unwrap(), "kind", "echo kind v0.32.0 go1.26 linux/amd64");
        let equipment = toolbox.equip(&needs(&[Tool::Helm, Tool::Kind]), &|_| {}).await.unwrap();
        assert_eq!(equipment.program(Tool::Helm), Some(&bin.join("helm")));
        assert_eq!(equipment.program(Tool::Kind), Some(&cached));
        assert_eq!(toolbox.at_hand().await, equipment);
    }

    /// The pin of a helm whose address answers with this, or not at all.
    async fn pinned(answer: Option<&'static str>) -> Pin {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        if let Some(answer) = answer {
            let app = axum::Router::new().route("/", axum::routing::get(move || async move { answer }));
            tokio::spawn(async move { axum::serve(listener, app).await });
        }
        Pin { url, ..pin(Tool::Helm, "linux-amd64").unwrap() }
    }

    #[tokio::test]
    async fn where_the_download_is_out_of_reach_go_builds_helm_and_later_runs_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let toolbox = toolbox(folder.path());
        script(&folder.path().join("bin"), "go", r#"printf '#!/bin/sh\necho v4.2.3\n' > "$GOBIN/helm""#);
        let told = std::sync::Mutex::new(Vec::new());
        let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
        let found = toolbox.bring(Tool::Helm, Some(pinned(None).await), &tell).await.unwrap();
        assert_eq!(
            (found.version.to_string().as_str(), &found.path),
            (version(Tool::Helm), &toolbox.place(Tool::Helm))
        );
        assert_eq!(toolbox.look(Tool::Helm).await, Ok(found));
        let told = told.into_inner().unwrap();
        let begin =
            ["fetching helm 4.2.3 from http://127", "cannot fetch http://127", "building helm.sh/helm/v4/cmd/helm@"];
        assert!(begin.iter().zip(&told).all(|(begin, line)| line.starts_with(begin)), "{told:?}");
    }

    #[tokio::test]
    async fn where_no_way_leads_to_helm_all_three_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let toolbox = toolbox(folder.path());
        let words = toolbox.bring(Tool::Helm, Some(pinned(None).await), &|_| {}).await.unwrap_err();
        assert!(words.starts_with("cannot fetch http://") && words.ends_with("; go is not on PATH"), "{words}");
        script(&folder.path().join("bin"), "go", "echo 'go: no such host' >&2; exit 1");
        let words = toolbox.bring(Tool::Helm, Some(pinned(None).await), &|_| {}).await.unwrap_err();
        assert!(words.starts_with("cannot fetch http://") && words.ends_with("@v4.2.3: no such host"), "{words}");
        let remedy = missing(Tool::Helm, &words).remedy;
        for way in
            ["install helm >=3.18", "with a network, https://get.helm.sh/", "with Go on the PATH, helm.sh/helm/v4/"]
        {
            assert!(remedy.contains(way), "{remedy}");
        }
    }

    #[tokio::test]
    async fn a_download_that_was_tampered_with_is_no_reason_to_build() {
        let folder = tempfile::tempdir().unwrap();
        script(&folder.path().join("bin"), "go", "touch \"$0.ran\"");
        let words =
            toolbox(folder.path()).bring(Tool::Helm, Some(pinned(Some("evil")).await), &|_| {}).await.unwrap_err();
        assert!(words.contains("was published; it was not kept"), "{words}");
        assert!(!folder.path().join("bin/go.ran").exists());
    }
}
