//! Children: run a program, capture what it says, end its whole group, and describe how it failed.
//!
//! The sole owner of `Command`. A child leads a process group of its own, so that a Ctrl-C in the terminal reaches only
//! this program, which then decides; the group is killed when the future that runs it is dropped, grandchildren included.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The most that is kept of each of a child's two outputs, in bytes: the beginning; later output is read and dropped.
const KEPT: u64 = 64 << 20;

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
        let name = || self.path.display().to_string();
        let mut child = self.start().map_err(|source| ProcessError::Start { program: name(), source })?;
        let _group = Group::of(&child);
        self.talk(&mut child).await.map_err(|source| ProcessError::Lost { program: name(), source })
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// As [`Program::run`], and where it exits with anything but success.
    pub async fn output(&self) -> Result<Vec<u8>, ProcessError> {
        let ended = self.run().await?;
        if ended.status.success() {
            return Ok(ended.stdout);
        }
        Err(ProcessError::Failed { command: self.line(), status: ended.status, words: ended.words() })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door that the ban points to")]
    fn start(&self) -> std::io::Result<Child> {
        Command::new(&self.path)
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn talk(&self, child: &mut Child) -> std::io::Result<Ended> {
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(stdin) = &mut stdin {
                // A child may end without reading all of it; its exit status says what it made of that.
                stdin.write_all(&self.stdin).await.ok();
            }
            drop(stdin.take());
        };
        let ((), stdout, stderr) = tokio::join!(write, read(stdout), read(stderr));
        Ok(Ended { status: child.wait().await?, stdout: stdout?, stderr: stderr? })
    }
}

impl Ended {
    /// The last few lines that say why: of standard error, or of standard output where that is empty.
    #[must_use]
    pub fn words(&self) -> String {
        let said = [&self.stderr, &self.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        let lines: Vec<&str> =
            said.iter().find(|text| !text.is_empty()).map_or(Vec::new(), |text| text.lines().collect());
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(KEPT).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

/// A child's process group, killed when dropped; harmless once all of it has ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // No such group: everything has ended, which is what is wanted.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}
