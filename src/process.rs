//! Children: run a program, capture what it says, end its whole group, and describe how it failed.
//!
//! The sole owner of `Command`. A child leads a process group of its own, so that a Ctrl-C in the terminal reaches only
//! this program, which then decides; the group is killed when the future that runs it is dropped, grandchildren included.
//! Where this program itself is killed by SIGKILL nobody does that. Asking the system for it (`PR_SET_PDEATHSIG`) takes
//! code between fork and exec, which is unsafe. So each child carries a mark in its environment, and whoever takes over
//! what an orphan works on ends it first ([`end_orphans`]).

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The most that is kept of each of a child's two outputs, in bytes: the beginning; later output is read and dropped.
const KEPT: usize = 64 << 20;

/// A line longer than this, in bytes, is handed on in pieces.
const LINE: usize = 64 << 10;

/// Variable in the environment of every child: the number of the process that started it.
const MARK: &str = "SEAWORTHY_PARENT";

/// One program to run.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
}

/// What a child left behind.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A child that could not be run, or that failed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("cannot start {program}")]
    Start {
        /// The program's path.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Talking to it failed.
    #[error("lost {program} while it ran")]
    Lost {
        /// The program's path.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("{command} failed ({status}): {words}")]
    Failed {
        /// Program and arguments, secrets not included by contract of the caller.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines that it printed, standard error preferred.
        words: String,
    },
}

impl Program {
    /// A program by its path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Vec::new(), env: Vec::new(), stdin: Vec::new() }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// One more variable in its environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// What it reads from standard input; nothing unless said.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The command as a person would type it.
    #[must_use]
    pub fn line(&self) -> String {
        let words = std::iter::once(self.path.file_name().unwrap_or(self.path.as_os_str()))
            .chain(self.args.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end, whatever its exit status.
    ///
    /// Dropping the future kills the child and everything it started.
    ///
    /// # Errors
    /// Where it does not start or its pipes break; not where it fails.
    pub async fn run(&self) -> Result<Ended, ProcessError> {
        self.heard(|_| {}).await
    }

    /// Runs it to its end as [`Program::run`] does, and hands on each line of its standard error as it comes.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub async fn heard(&self, on_line: impl FnMut(&str) + Send) -> Result<Ended, ProcessError> {
        let name = || self.path.display().to_string();
        let mut child = self.start().await.map_err(|source| ProcessError::Start { program: name(), source })?;
        let mut group = Group::of(&child);
        let ended =
            self.talk(&mut child, on_line).await.map_err(|source| ProcessError::Lost { program: name(), source })?;
        group.spare();
        Ok(ended)
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// As [`Program::run`], and where it exits with anything but success.
    pub async fn output(&self) -> Result<Vec<u8>, ProcessError> {
        self.run().await?.succeeded(self)
    }

    /// A program that was written a moment ago is busy while a child forked meanwhile, for another task, still holds the
    /// open file; that child's own exec closes it within a millisecond.
    async fn start(&self) -> std::io::Result<Child> {
        let mut attempts = 1;
        loop {
            match self.spawn() {
                Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy && attempts < 100 => attempts += 1,
                started => return started,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door that the ban points to")]
    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.path)
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .env(MARK, std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn talk(&self, child: &mut Child, mut on_line: impl FnMut(&str) + Send) -> std::io::Result<Ended> {
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(stdin) = &mut stdin {
                // A child may end without reading all of it; its exit status says what it made of that.
                stdin.write_all(&self.stdin).await.ok();
            }
            drop(stdin.take());
        };
        let ((), stdout, stderr) = tokio::join!(write, read(stdout, |_| {}), read(stderr, &mut on_line));
        Ok(Ended { status: child.wait().await?, stdout: stdout?, stderr: stderr? })
    }
}

impl Ended {
    /// The standard output of a program that did well.
    ///
    /// # Errors
    /// Where it exited with anything but success: its last words.
    pub fn succeeded(self, program: &Program) -> Result<Vec<u8>, ProcessError> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        Err(ProcessError::Failed { command: program.line(), status: self.status, words: self.words() })
    }

    /// The last few lines that say why: of standard error, or of standard output where that is empty.
    #[must_use]
    pub fn words(&self) -> String {
        let said = [&self.stderr, &self.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        let lines: Vec<&str> =
            said.iter().find(|text| !text.is_empty()).map_or(Vec::new(), |text| text.lines().collect());
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Reads to the end, keeps the beginning, and hands on each line.
async fn read(pipe: Option<impl AsyncRead + Unpin>, mut on_line: impl FnMut(&str)) -> std::io::Result<Vec<u8>> {
    let (mut kept, mut line, mut chunk) = (Vec::new(), Vec::new(), vec![0; 8 << 10]);
    let Some(mut pipe) = pipe else { return Ok(kept) };
    loop {
        let read = match pipe.read(&mut chunk).await? {
            0 => return Ok(kept),
            read => &chunk[..read],
        };
        kept.extend_from_slice(&read[..read.len().min(KEPT - kept.len())]);
        for part in read.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() > LINE {
                on_line(String::from_utf8_lossy(&line).trim());
                line.clear();
            }
        }
    }
}

/// A child's process group, killed when dropped unless spared.
///
/// A child that has been waited for is spared: its number may by then belong to somebody else. What it left running
/// has closed the pipes, so it is a daemon on purpose.
struct Group(Option<Pid>);

/// The groups that run now, for an end without drops.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Kills every child with its group: for a process that is about to exit without dropping what it runs.
pub fn kill_all() {
    for group in groups().iter().filter_map(|id| Pid::from_raw(*id)) {
        kill_process_group(group, Signal::KILL).ok();
    }
}

/// Kills, with its group, every child of another process of this program that has `argument` on its command line, and
/// says how many there were. The caller knows that no process that lives still needs them.
///
/// Only where the system tells of processes in `/proc`, and only of one's own; elsewhere none is found.
pub fn end_orphans(argument: &OsStr) -> usize {
    let mark = format!("{MARK}=");
    let ours = format!("{mark}{}", std::process::id());
    let mut ended = 0;
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let (line, environment) = (read("cmdline"), read("environ"));
        let is_about = line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes());
        let marked = |word: &[u8]| word.starts_with(mark.as_bytes()) && word != ours.as_bytes();
        let id = process.file_name().to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| is_about && environment.split(|byte| *byte == 0).any(marked)) {
            // A child leads a group of its own; what is no leader goes with its own.
            ended += usize::from(kill_process_group(id, Signal::KILL).is_ok());
        }
    }
    ended
}

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        groups().extend(leader.map(Pid::as_raw_nonzero).map(i32::from));
        Self(leader)
    }

    fn spare(&mut self) {
        if let Some(leader) = self.0.take() {
            groups().remove(&i32::from(leader.as_raw_nonzero()));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // No such group: everything has ended, which is what is wanted.
            kill_process_group(group, Signal::KILL).ok();
            self.spare();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    /// The read end of a FIFO ends when the last process that holds its write end has ended.
    #[tokio::test]
    async fn dropping_a_run_kills_its_grandchildren_even_those_that_ignore_a_polite_end() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("alive");
        sh("mkfifo \"$0\"").arg(&fifo).output().await.unwrap();
        let program = sh("(trap '' TERM HUP; echo up; while :; do sleep 1; done) > \"$0\" & wait").arg(&fifo);
        let run = tokio::spawn(async move { program.run().await });
        let mut alive = tokio::fs::File::open(&fifo).await.unwrap();
        let mut up = [0; 3];
        alive.read_exact(&mut up).await.unwrap();
        run.abort();
        let rest = tokio::time::timeout(Duration::from_secs(5), alive.read_to_end(&mut Vec::new())).await;
        assert_eq!(rest.expect("the grandchild lives on").unwrap(), 0);
    }

    #[tokio::test]
    async fn an_orphan_is_known_by_its_mark_and_its_argument_and_a_child_of_ones_own_is_spared() {
        let folder = tempfile::tempdir().unwrap();
        let about = folder.path().as_os_str();
        // `env` takes the place of this process as the one that marked it.
        let hang = |mark: &str| sh("exec env \"$1\" sh -c 'echo up >&2; sleep 1000; :' sh \"$0\"").arg(about).arg(mark);
        for (mark, orphan) in [(format!("{MARK}=1"), true), (format!("{MARK}={}", std::process::id()), false)] {
            let (said, mut up) = tokio::sync::mpsc::unbounded_channel();
            let program = hang(&mark);
            let run = tokio::spawn(async move { program.heard(|_| said.send(()).unwrap()).await });
            up.recv().await.unwrap();
            assert_eq!(end_orphans(about), usize::from(orphan));
            if orphan {
                assert!(!run.await.unwrap().unwrap().status.success());
            } else {
                run.abort();
            }
        }
    }

    #[tokio::test]
    async fn what_a_child_left_running_on_purpose_is_spared() {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        sh("mkfifo \"$0\"").arg(&gate).output().await.unwrap();
        sh("(read line < \"$0\"; echo lives > \"$0.out\") >/dev/null 2>&1 &").arg(&gate).output().await.unwrap();
        tokio::fs::write(&gate, "go\n").await.unwrap();
        sh("while ! test -s \"$0\"; do sleep 0.01; done").arg(folder.path().join("gate.out")).output().await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_says_the_command_and_its_last_words() {
        let error = sh("echo noise; echo 'no such thing' >&2; exit 3").output().await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("sh -c ") && text.ends_with("failed (exit status: 3): no such thing"), "{text}");
    }

    #[tokio::test]
    async fn both_outputs_and_input_larger_than_a_pipe_get_through() {
        let input = vec![b'x'; 1 << 20];
        let ended = sh("tee /dev/stderr").stdin(input.clone()).run().await.unwrap();
        assert!(ended.stdout == input && ended.stderr == input);
    }

    #[tokio::test]
    async fn lines_are_heard_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        sh("mkfifo \"$0\"").arg(&gate).output().await.unwrap();
        // The child goes on only once its first line has been heard.
        let program = sh("echo ' first' >&2; read go < \"$0\"; printf 'second\\nunfinished' >&2").arg(&gate);
        let mut heard = Vec::new();
        let mut open = |line: &str| {
            heard.push(line.to_owned());
            if line == "first" {
                std::fs::write(&gate, "go\n").unwrap();
            }
        };
        let ended = program.heard(&mut open).await.unwrap();
        assert_eq!(ended.stderr, b" first\nsecond\nunfinished");
        assert_eq!(heard, ["first", "second"]);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Program::new("/no/such/program").run().await.unwrap_err();
        assert_eq!(error.to_string(), "cannot start /no/such/program");
    }
}
