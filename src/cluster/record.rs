//! What is remembered of each cluster that was made, from before its creation until after its removal.
//!
//! A record is a file, and it is locked for as long as a run uses its cluster: the system frees the lock however the
//! process ends, so a lock that is held means a run that lives, with no process number to be mistaken for another's.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Flavour;
use crate::complaint;
use crate::ports::Trouble;

/// One cluster that this program made, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) flavour: Flavour,
    /// The run that made it.
    pub(super) run: String,
    /// The process that uses it, or used it last; for people, the lock is what counts.
    pub(super) pid: u32,
    pub(super) created: Timestamp,
    /// Whether it is to outlive its run.
    pub(super) keep: bool,
    /// What it was made of; equal ones may be reused.
    pub(super) digest: String,
}

/// A record that this process holds; nobody else uses, reuses or removes the cluster until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) record: Record,
    file: File,
    path: PathBuf,
}

/// The folder of records.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
}

/// A record that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the record {path}")]
pub(super) struct RecordError {
    what: &'static str,
    path: String,
    source: io::Error,
}

impl Shelf {
    /// The records under this program's state folder.
    pub(super) fn new(state: &Path) -> Self {
        Self { folder: state.join("clusters") }
    }

    /// The file that says how to reach a cluster. It lives and dies with the record.
    pub(super) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.kubeconfig"))
    }

    /// Writes a new record; it appears whole and locked, or, where one of that name exists, not at all.
    pub(super) fn claim(&self, record: Record) -> Result<Claim, RecordError> {
        let path = self.path(&record.name);
        let file = self.place(&record, &path).map_err(failed("write", &path))?;
        Ok(Claim { record, file, path })
    }

    /// Takes hold of an existing record; `None` where a run holds it, or it is gone.
    pub(super) fn reclaim(&self, name: &str) -> Result<Option<Claim>, RecordError> {
        let path = self.path(name);
        let claim = lock(&path).and_then(|file| match file {
            Some(mut file) => Ok(Some(Claim { record: read(&mut file)?, file, path: path.clone() })),
            None => Ok(None),
        });
        claim.map_err(failed("read", &path))
    }

    /// Every record, by name, and whether a run holds it.
    pub(super) fn records(&self) -> Result<Vec<(Record, bool)>, RecordError> {
        let mut records = Vec::new();
        for name in self.names().map_err(failed("list", &self.folder))? {
            let path = self.path(&name);
            match File::open(&path).and_then(|mut file| Ok((read(&mut file)?, held(&file)?))) {
                Ok(entry) => records.push(entry),
                // Removed since the folder was listed.
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("read", &path)(source)),
            }
        }
        Ok(records)
    }

    /// Removes a record that somebody else may hold.
    pub(super) fn forget(&self, name: &str) -> Result<(), RecordError> {
        self.discard(name, &self.path(name))
    }

    /// Removes a record that is held, after its cluster is gone.
    pub(super) fn release(&self, claim: &Claim) -> Result<(), RecordError> {
        self.discard(&claim.record.name, &claim.path)
    }

    fn discard(&self, name: &str, record: &Path) -> Result<(), RecordError> {
        for path in [&self.kubeconfig(name), record] {
            match std::fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed("remove", path)(source)),
                _ => {}
            }
        }
        Ok(())
    }

    fn place(&self, record: &Record, path: &Path) -> io::Result<File> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.as_file().lock()?;
        write(file.as_file_mut(), record)?;
        Ok(file.persist_noclobber(path)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(none) if none.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }
}

impl From<RecordError> for Trouble {
    fn from(error: RecordError) -> Self {
        Self::environment(complaint::chain(&error))
    }
}

/// Unlocked in so many words: closing is not enough where another task has just forked, and its child, until its own
/// exec, has the file open as well.
impl Drop for Claim {
    fn drop(&mut self) {
        // Locked no more, or never: either way there is nothing left to do.
        self.file.unlock().ok();
    }
}

impl Claim {
    /// Says who uses the cluster now.
    pub(super) fn used_by(&mut self, pid: u32) -> Result<(), RecordError> {
        self.record.pid = pid;
        self.written()
    }

    /// Says that the cluster is to outlive its run.
    pub(super) fn keep(&mut self) -> Result<(), RecordError> {
        self.record.keep = true;
        self.written()
    }

    fn written(&mut self) -> Result<(), RecordError> {
        write(&mut self.file, &self.record).map_err(failed("write", &self.path))
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.display().to_string();
    move |source| RecordError { what, path, source }
}

/// The file, locked; `None` where another holds it, or it was removed while we waited for it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let same = std::fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() == now.ino()));
    Ok(same.then_some(file))
}

fn held(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// In place, so that the lock, which belongs to the file and not to its name, stays. One write, then the cut: a process
/// that ends between them leaves a whole record with a tail, which [`read`] ignores.
fn write(file: &mut File, record: &Record) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(record)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

fn read(file: &mut File) -> io::Result<Record> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let first = serde_json::Deserializer::from_slice(&text).into_iter().next();
    Ok(first.unwrap_or_else(|| Err(serde::de::Error::custom("it is empty")))?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cluster) fn record(name: &str) -> Record {
        Record {
            name: name.to_owned(),
            flavour: Flavour::Kind,
            run: "a1".to_owned(),
            pid: 42,
            created: Timestamp::UNIX_EPOCH,
            keep: true,
            digest: "d".to_owned(),
        }
    }

    #[test]
    fn a_record_is_held_until_its_claim_is_dropped_and_then_can_be_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path());
        let claim = shelf.claim(record("a")).unwrap();
        assert_eq!(shelf.records().unwrap(), [(record("a"), true)]);
        assert!(shelf.reclaim("a").unwrap().is_none());
        drop(claim);
        assert_eq!(shelf.records().unwrap(), [(record("a"), false)]);
        let mut again = shelf.reclaim("a").unwrap().unwrap();
        again.used_by(7).unwrap();
        assert_eq!(shelf.records().unwrap(), [(Record { pid: 7, ..record("a") }, true)]);
        shelf.release(&again).unwrap();
        assert!(shelf.records().unwrap().is_empty());
    }

    #[test]
    fn two_runs_never_get_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path());
        let first = shelf.claim(record("a")).unwrap();
        assert!(shelf.claim(record("a")).is_err());
        drop(first);
        assert!(shelf.claim(record("a")).is_err());
        assert_eq!(shelf.records().unwrap().len(), 1);
    }

    #[test]
    fn whoever_waited_for_a_removed_record_does_not_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path());
        drop(shelf.claim(record("a")).unwrap());
        let old = File::open(shelf.path("a")).unwrap();
        shelf.forget("a").unwrap();
        assert!(shelf.reclaim("a").unwrap().is_none());
        drop(shelf.claim(record("a")).unwrap());
        assert_ne!(old.metadata().unwrap().ino(), std::fs::metadata(shelf.path("a")).unwrap().ino());
    }

    #[test]
    fn a_record_whose_rewriting_was_cut_off_is_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clusters/a.json");
        let shelf = Shelf::new(folder.path());
        drop(shelf.claim(record("a")).unwrap());
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b" 9\n}").unwrap();
        assert_eq!(shelf.records().unwrap(), [(record("a"), false)]);
    }

    #[test]
    fn a_folder_that_is_not_there_holds_no_records() {
        assert!(Shelf::new(Path::new("/nowhere")).records().unwrap().is_empty());
    }
}
