//! The container engine: docker, else podman.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::complaint;
use crate::process::Program;

use super::Missing;

/// A container engine that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Its command line client.
    pub program: PathBuf,
    /// Whether it is podman, for tools that must be told.
    pub podman: bool,
    /// Whether it keeps images as containerd does, every platform of an image under one name. A plain `save` of such an
    /// image lists platforms that were never pulled, which then cannot be imported elsewhere (kind issue 3795).
    pub multi_platform: bool,
}

impl Engine {
    /// The first engine that answers.
    ///
    /// # Errors
    /// Where none does: what each said.
    pub async fn find(path: &OsStr) -> Result<Self, Missing> {
        let mut said = Vec::new();
        for name in ["docker", "podman"] {
            match which::which_in(name, Some(path), ".") {
                Ok(program) => match Self::ask(&program).await {
                    Ok(engine) => return Ok(engine),
                    Err(words) => said.push(words),
                },
                Err(_) => said.push(format!("{name} is not on PATH")),
            }
        }
        Err(Missing::new(
            format!("a container engine that answers: {}", said.join("; ")),
            "start Docker or Podman, or install one (https://docs.docker.com/engine/install); `docker info` must succeed",
        ))
    }

    async fn ask(program: &Path) -> Result<Self, String> {
        let asked = Program::new(program).args(["info", "--format", "{{json .}}"]).output().await;
        let info: Value = serde_json::from_slice(&asked.map_err(|error| complaint::chain(&error))?)
            .map_err(|error| format!("{} info is not JSON: {error}", program.display()))?;
        Ok(Self { program: program.to_owned(), podman: info.get("host").is_some(), multi_platform: multi(&info) })
    }
}

/// Whether `docker info` names containerd's snapshotters as its storage.
fn multi(info: &Value) -> bool {
    info["DriverStatus"].as_array().is_some_and(|rows| {
        rows.iter().any(|row| row[1].as_str().is_some_and(|value| value.starts_with("io.containerd.snapshotter")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_containerd_store_is_told_from_the_classic_one() {
        assert!(multi(&json!({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]})));
        assert!(!multi(&json!({"DriverStatus": [["Backing Filesystem", "extfs"]]})));
        assert!(!multi(&json!({"DriverStatus": null})));
    }

    #[tokio::test]
    async fn without_an_engine_each_candidates_own_words_are_said() {
        let folder = tempfile::tempdir().unwrap();
        crate::tools::equipment::tests::script(
            folder.path(),
            "docker",
            "echo 'Cannot connect to the daemon' >&2; exit 1",
        );
        let missing = Engine::find(folder.path().as_os_str()).await.unwrap_err();
        assert!(missing.what.contains("Cannot connect to the daemon; podman is not on PATH"), "{missing:?}");
    }

    #[tokio::test]
    async fn podman_is_taken_where_docker_does_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        crate::tools::equipment::tests::script(folder.path(), "docker", "exit 1");
        crate::tools::equipment::tests::script(folder.path(), "podman", r#"echo '{"host": {}}'"#);
        let engine = Engine::find(folder.path().as_os_str()).await.unwrap();
        assert!(engine.podman && engine.program.ends_with("podman") && !engine.multi_platform);
    }
}
