//! One program from its source into the cache, built by an installed Go: the way where its download is out of reach.

use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::Tell;
use super::pin::Source;
use crate::process::{self, Program};

/// A build that has not ended by then is given up. Two slow processors and a slow network are well within it.
const LIMIT: Duration = Duration::from_mins(20);

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// Between two looks whether another process is done with the same build.
const TURN: Duration = Duration::from_millis(200);

/// What the folder of a build under way is called first.
const WORKSHOP: &str = ".building-";

/// At most so many lines of Go's own words are repeated.
const WORDS: usize = 3;

/// A build that gave nothing; nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Go did not build it.
    #[error("go cannot build {what}: {words}")]
    Go {
        /// Package and version.
        what: String,
        /// Go's own words, in one line.
        words: String,
    },
    /// Go does not run.
    #[error("go cannot build {what}")]
    Run {
        /// Package and version.
        what: String,
        /// Why it does not.
        source: process::ProcessError,
    },
    /// It took too long.
    #[error("go did not build {what} within {} min", .limit.as_secs() / 60)]
    Late {
        /// Package and version.
        what: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It cannot be kept.
    #[error("cannot keep it as {path}")]
    Keep {
        /// The file in the cache.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// What Go has done so far.
#[derive(Debug, Default)]
struct Progress {
    modules: AtomicUsize,
    packages: AtomicUsize,
}

/// Builds a program in a folder beside its place, then moves it there in one step. One process at a time builds; another
/// that wants the same waits for it, and takes what it made.
pub(super) async fn build(
    go: &Path,
    source: &Source,
    platform: &str,
    to: &Path,
    tell: Tell<'_>,
) -> Result<(), BuildError> {
    let building = in_turn(go, source, platform, to, tell);
    let late = |_| BuildError::Late { what: source.to_string(), limit: LIMIT };
    tokio::time::timeout(LIMIT, building).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

async fn in_turn(go: &Path, source: &Source, platform: &str, to: &Path, tell: Tell<'_>) -> Result<(), BuildError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let keep = |source| BuildError::Keep { path: to.display().to_string(), source };
    // Go takes whole paths only.
    let folder = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize()).map_err(keep)?;
    let (lock, had_to_wait) = turn(&folder, source, tell).await.map_err(keep)?;
    if had_to_wait && to.exists() {
        return Ok(());
    }
    sweep(&folder);
    let workshop = tempfile::Builder::new().prefix(WORKSHOP).tempdir_in(&folder).map_err(keep)?;
    run(go, source, platform, &workshop, tell).await?;
    let built = workshop.path().join(to.file_name().unwrap_or_default());
    place(&built, to).map_err(keep)?;
    drop(lock);
    Ok(())
}

/// The lock on builds in this folder, and whether another had it. It ends with its process, however that ends.
async fn turn(folder: &Path, source: &Source, tell: Tell<'_>) -> io::Result<(File, bool)> {
    let lock = File::create(folder.join(".lock"))?;
    let mut had_to_wait = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok((lock, had_to_wait)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if had_to_wait => {}
            Err(TryLockError::WouldBlock) => tell(&format!("another process builds {source}: waiting for it")),
        }
        had_to_wait = true;
        tokio::time::sleep(TURN).await;
    }
}

/// Removes what killed builds left, and ends what they left running. Whoever calls this has the lock.
fn sweep(folder: &Path) {
    for left in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if left.file_name().to_string_lossy().starts_with(WORKSHOP) {
            process::end_orphans(left.path().as_os_str());
            // What cannot be removed is in nobody's way: no build uses it again.
            std::fs::remove_dir_all(left.path()).ok();
        }
    }
}

/// Runs Go in the workshop, and tells how far it is.
async fn run(go: &Path, source: &Source, platform: &str, workshop: &TempDir, tell: Tell<'_>) -> Result<(), BuildError> {
    let what = source.to_string();
    tell(&format!("building {what} with {}; this takes minutes, and is done once", go.display()));
    let (progress, start) = (Progress::default(), Instant::now());
    let ticks = async {
        loop {
            tokio::time::sleep(PROGRESS).await;
            tell(&format!("building {what} for {} s: {}", start.elapsed().as_secs(), progress.words()));
        }
    };
    let install = install(go, source, platform, workshop.path());
    let ended = tokio::select! {
        ended = install.heard(|line| progress.hear(line)) => ended,
        never = ticks => never,
    };
    let ended = ended.map_err(|source| BuildError::Run { what: what.clone(), source })?;
    if ended.status.success() {
        tell(&format!("built {what} in {} s", start.elapsed().as_secs()));
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let subject = format!("{what}: ");
    let plain = |line: &str| line.trim().trim_start_matches("go: ").trim_start_matches(&subject).to_owned();
    let words: Vec<String> = said.lines().filter(|line| !is_progress(line)).map(plain).collect();
    let words = match words[words.len().saturating_sub(WORDS)..].join("; ") {
        nothing if nothing.is_empty() => format!("it ended with {}", ended.status),
        words => words,
    };
    Err(BuildError::Go { what, words })
}

/// The command. Proxies, checksums, caches, toolchain and flags are as the user has them. Set is what a program for this
/// machine takes, alike to the published one; and that what Go writes beside its caches goes where it is tidied up.
/// Naming each package (`-v`) shows progress, and ends a build that nobody listens to any more.
fn install(go: &Path, source: &Source, platform: &str, workshop: &Path) -> Program {
    let (os, arch) = platform.split_once('-').unwrap_or((platform, ""));
    Program::new(go)
        .arg("-C")
        .arg(workshop)
        .args(["install", "-v", "-trimpath", "-mod=readonly"])
        .arg(format!("-ldflags=-s -w -X {}=v{}", source.says, source.version))
        .arg(source.to_string())
        .env("GOBIN", workshop)
        .env("GOTMPDIR", workshop)
        .env("GO111MODULE", "on")
        .env("GOWORK", "off")
        .env("GOOS", os)
        .env("GOARCH", arch)
        .env("CGO_ENABLED", "0")
}

fn place(built: &Path, to: &Path) -> io::Result<()> {
    let program = File::open(built)?;
    program.set_permissions(Permissions::from_mode(0o755))?;
    program.sync_all()?;
    std::fs::rename(built, to)
}

/// Whether Go only says how far it is: what it downloads, or one package as it is compiled.
fn is_progress(line: &str) -> bool {
    line.starts_with("go: downloading ") || !line.trim().contains(' ')
}

impl Progress {
    fn hear(&self, line: &str) {
        if line.starts_with("go: downloading ") {
            self.modules.fetch_add(1, Ordering::Relaxed);
        } else if is_progress(line) {
            self.packages.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn words(&self) -> String {
        let [modules, packages] = [&self.modules, &self.packages].map(|count| count.load(Ordering::Relaxed));
        format!("{modules} modules fetched, {packages} packages compiled")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;
    use crate::complaint;
    use crate::tools::equipment::tests::script;

    const SOURCE: Source =
        Source { version: "4.2.3", package: "example.org/v4/helm", says: "example.org/v4/version.it" };

    /// What a Go does that builds.
    const BUILDS: &str = r#"printf '#!/bin/sh\necho v4.2.3\n' > "$GOBIN/helm""#;

    /// A folder with a Go that is a script, and a place for what it builds.
    struct Bench {
        folder: TempDir,
        told: Mutex<Vec<String>>,
    }

    impl Bench {
        fn with(go: &str) -> Self {
            let bench = Self { folder: tempfile::tempdir().unwrap(), told: Mutex::default() };
            script(bench.folder.path(), "go", &format!("cd '{}'\n{go}", bench.folder.path().display()));
            bench
        }

        fn to(&self) -> PathBuf {
            self.folder.path().join("tools/helm-4.2.3/helm")
        }

        async fn build(&self) -> Result<(), BuildError> {
            let tell = |line: &str| self.told.lock().unwrap().push(line.to_owned());
            build(&self.folder.path().join("go"), &SOURCE, "linux-amd64", &self.to(), &tell).await
        }

        /// What there is where the program is to be, the lock aside.
        fn files(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.to().parent().unwrap()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name != ".lock").collect()
        }

        async fn says(&self) -> Vec<u8> {
            Program::new(self.to()).output().await.unwrap()
        }
    }

    #[tokio::test]
    async fn what_go_builds_is_kept_whole_and_nothing_else_is() {
        let bench = Bench::with(&format!("echo \"$@\" > args; env > env; {BUILDS}; mkdir \"$GOTMPDIR/go-build1\""));
        bench.build().await.unwrap();
        assert_eq!((bench.files(), bench.says().await), (vec!["helm".to_owned()], b"v4.2.3\n".to_vec()));
        let read = |name: &str| std::fs::read_to_string(bench.folder.path().join(name)).unwrap();
        let args = read("args");
        assert!(args.contains("-X example.org/v4/version.it=v4.2.3 example.org/v4/helm@v4.2.3"), "{args}");
        for set in ["GOOS=linux", "GOARCH=amd64", "GOWORK=off", "CGO_ENABLED=0"] {
            assert!(read("env").lines().any(|line| line == set), "{set}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_told_in_gos_own_words_without_its_progress_and_nothing_is_kept() {
        let bench = Bench::with(concat!(
            "echo partial > \"$GOBIN/helm\"; printf 'go: downloading example.org/v4 v4.2.3\\nexample.org/v4/helm\\n' >&2\n",
            "echo 'go: example.org/v4/helm@v4.2.3: example.org/v4@v4.2.3: dial tcp: no such host' >&2; exit 1",
        ));
        let words = complaint::chain(&bench.build().await.unwrap_err());
        let expected = "go cannot build example.org/v4/helm@v4.2.3: example.org/v4@v4.2.3: dial tcp: no such host";
        assert_eq!((words.as_str(), bench.files()), (expected, vec![]));
        let silent = Bench::with("exit 3").build().await.unwrap_err();
        assert!(complaint::chain(&silent).ends_with("it ended with exit status: 3"), "{silent:?}");
    }

    #[tokio::test]
    async fn a_go_that_builds_nothing_is_a_failure() {
        let bench = Bench::with("exit 0");
        let words = complaint::chain(&bench.build().await.unwrap_err());
        assert!(words.starts_with("cannot keep it as ") && bench.files().is_empty(), "{words}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_build_without_an_end_is_told_of_given_up_and_leaves_nothing() {
        let bench = Bench::with("while :; do sleep 1; done");
        let words = complaint::chain(&bench.build().await.unwrap_err());
        assert_eq!(words, "go did not build example.org/v4/helm@v4.2.3 within 20 min");
        let told = bench.told.lock().unwrap().clone();
        assert!(told[0].ends_with("/go; this takes minutes, and is done once"), "{told:?}");
        assert_eq!(told[2], "building example.org/v4/helm@v4.2.3 for 20 s: 0 modules fetched, 0 packages compiled");
        assert!(bench.files().is_empty());
    }

    #[test]
    fn downloads_and_packages_are_counted_and_complaints_are_not() {
        let progress = Progress::default();
        for line in
            ["go: downloading a v1.0.0", "go: downloading b v1.0.0", "vendor/golang.org/x/net", "# a", "a.go:1: no b"]
        {
            progress.hear(line);
        }
        assert_eq!(progress.words(), "2 modules fetched, 1 packages compiled");
    }

    #[tokio::test]
    async fn of_two_at_once_one_builds_and_the_other_takes_what_it_made() {
        let bench = Bench::with(&format!("echo once >> runs; sleep 0.3; {BUILDS}"));
        let (one, other) = tokio::join!(bench.build(), bench.build());
        one.unwrap();
        other.unwrap();
        assert_eq!(std::fs::read(bench.folder.path().join("runs")).unwrap(), b"once\n");
        assert!(bench.told.lock().unwrap().iter().any(|line| line.starts_with("another process builds ")));
        assert_eq!((bench.files(), bench.says().await), (vec!["helm".to_owned()], b"v4.2.3\n".to_vec()));
    }

    #[tokio::test]
    async fn where_the_first_of_two_fails_the_other_builds() {
        let bench = Bench::with(&format!("if mkdir first; then sleep 0.3; exit 1; fi; {BUILDS}"));
        let (one, other) = tokio::join!(bench.build(), bench.build());
        assert!(one.is_err() != other.is_err(), "{one:?} {other:?}");
        assert_eq!(bench.says().await, b"v4.2.3\n");
    }

    #[tokio::test]
    async fn an_abandoned_build_leaves_nothing_and_the_next_one_sweeps_after_killed_ones() {
        let bench = Bench::with(&format!("{BUILDS}; if mkdir first; then mkfifo up; echo up > up; sleep 1000; fi"));
        tokio::select! {
            ended = bench.build() => panic!("{ended:?}"),
            // Opening it waits for the other end, and it is there only once Go runs.
            () = async { while tokio::fs::read(bench.folder.path().join("up")).await.is_err() {} } => {}
        }
        assert!(bench.files().is_empty(), "{:?}", bench.files());
        let left = bench.to().with_file_name(format!("{WORKSHOP}x"));
        script(&left, "helm", "echo half");
        assert!(!bench.to().exists());
        bench.build().await.unwrap();
        assert_eq!(bench.files(), ["helm"]);
    }

    #[tokio::test]
    async fn what_is_there_and_does_not_work_gives_way() {
        let bench = Bench::with(BUILDS);
        script(bench.to().parent().unwrap(), "helm", "exit 1");
        bench.build().await.unwrap();
        assert_eq!(bench.says().await, b"v4.2.3\n");
    }
}
