//! Every cluster that this program made on this machine, and the removal of those that nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::Flavour;
use super::lifecycle::{Clusters, PREFIX};
use super::maker::Maker;
use crate::ports::{Done, Trouble};

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What made it.
    pub flavour: Flavour,
    /// When, and the process that used it last; `None` where it has no record.
    pub recorded: Option<(Timestamp, u32)>,
    /// How to reach it, where a run of this user made it.
    pub kubeconfig: Option<PathBuf>,
    /// How it stands.
    pub standing: Standing,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made =
            self.recorded.map_or_else(String::new, |(at, _)| at.strftime(", made %Y-%m-%d %H:%M UTC").to_string());
        let reach = self.kubeconfig.as_ref().filter(|path| path.exists());
        let reach = reach.map_or_else(String::new, |path| format!(", KUBECONFIG={}", path.display()));
        write!(f, "{} ({}{made}): {}{reach}", self.name, self.flavour.tool().name(), self.standing)
    }
}

/// How a cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A run that lives uses it.
    InUse,
    /// It was to be kept, and is there.
    Kept,
    /// Its run ended without removing it.
    LeftOver,
    /// It has a record and does not exist.
    Gone,
    /// It has a record, but its tool is missing, so nobody can say.
    Unseen,
    /// It is called like ours and has no record here: another user's, or another state folder's.
    Unrecorded,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "in use by a run",
            Self::Kept => "kept",
            Self::LeftOver => "left over by a run that was killed",
            Self::Gone => "gone",
            Self::Unseen => "its tool is missing, so nobody can say whether it exists",
            Self::Unrecorded => "not recorded here",
        })
    }
}

/// Which clusters to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downs {
    /// Those whose runs were killed.
    LeftOver,
    /// These, kept or not.
    Named(Vec<String>),
    /// All of ours that no run uses.
    All,
}

impl Clusters {
    /// Every cluster of ours: those with a record, and those that exist.
    ///
    /// # Errors
    /// Where the records or a tool cannot be read.
    pub async fn list(&self) -> Result<Vec<Row>, Trouble> {
        let mut existing: BTreeMap<Flavour, BTreeSet<String>> = BTreeMap::new();
        for maker in self.makers() {
            existing.insert(maker.flavour(), maker.names().await?);
        }
        // Read last: a cluster that a run has made meanwhile then has a record and is not taken for a stranger.
        let mut rows: Vec<Row> = Vec::new();
        for (record, held) in self.shelf.records()? {
            let exists = existing.get_mut(&record.flavour).map(|names| names.remove(&record.name));
            let standing = standing(held, exists, record.keep);
            let recorded = Some((record.created, record.pid));
            let kubeconfig = Some(self.shelf.kubeconfig(&record.name));
            rows.push(Row { name: record.name, flavour: record.flavour, recorded, kubeconfig, standing });
        }
        for (flavour, names) in existing {
            let ours = names.into_iter().filter(|name| name.starts_with(PREFIX));
            let row = |name| Row { name, flavour, recorded: None, kubeconfig: None, standing: Standing::Unrecorded };
            rows.extend(ours.map(row));
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// Clusters of runs that ended without removing them, a warning each.
    pub(super) async fn leftovers(&self) -> Vec<String> {
        let rows = self.list().await.unwrap_or_default();
        let left = rows.into_iter().filter(|row| row.standing == Standing::LeftOver);
        left.map(|row| {
            format!("{} was left over by a run that was killed; remove it with: seaworthy cluster down", row.name)
        })
        .collect()
    }

    /// Removes clusters, and the records of those that are gone. A cluster in use is refused unless `force` is set, which
    /// breaks the run that uses it.
    ///
    /// # Errors
    /// What could not be removed and why; the others are removed all the same.
    pub async fn down(&self, which: &Downs, force: Force) -> Result<Done, Trouble> {
        let rows = self.list().await?;
        let (mut removed, mut troubles) = (Vec::new(), Vec::new());
        if let Downs::Named(names) = which {
            let unknown = names.iter().filter(|name| !rows.iter().any(|row| row.name == **name));
            troubles.extend(unknown.map(|name| format!("{name}: there is no such cluster of ours")));
        }
        for row in rows.iter().filter(|row| which.covers(row)) {
            match self.down_one(row, force).await {
                Ok(()) => removed.push(row.name.clone()),
                Err(trouble) => troubles.push(format!("{}: {}", row.name, trouble.headline)),
            }
        }
        let removed =
            if removed.is_empty() { "nothing removed".to_owned() } else { format!("removed {}", removed.join(", ")) };
        match troubles.first() {
            None => Ok(Done { saw: removed, warnings: spared(&rows, which) }),
            Some(first) => Err(Trouble::environment(first.clone()).with(troubles.split_off(1)).with([removed])),
        }
    }

    async fn down_one(&self, row: &Row, force: Force) -> Result<(), Trouble> {
        let claim = match (row.recorded, force) {
            (None, _) => None,
            (Some(_), Force::No) => {
                let claim = self.shelf.reclaim(&row.name)?;
                Some(claim.ok_or_else(|| Trouble::environment(in_use(row)))?)
            }
            (Some(_), Force::Yes) => self.shelf.reclaim(&row.name)?,
        };
        let maker = self.makers().find(|maker| maker.flavour() == row.flavour);
        let maker = maker.ok_or_else(|| Trouble::environment(format!("{} or its engine is missing", row.flavour)))?;
        self.remove(&maker, &row.name).await?;
        match claim {
            Some(claim) => self.shelf.release(&claim)?,
            None => self.shelf.forget(&row.name)?,
        }
        Ok(())
    }

    fn makers(&self) -> impl Iterator<Item = Maker> {
        Flavour::ALL.into_iter().filter_map(|flavour| Maker::of(flavour, &self.equipment))
    }
}

/// Whether a cluster is removed although a run uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is not.
    No,
    /// It is.
    Yes,
}

impl Downs {
    fn covers(&self, row: &Row) -> bool {
        match self {
            Self::Named(names) => names.contains(&row.name),
            Self::LeftOver => matches!(row.standing, Standing::LeftOver | Standing::Gone),
            Self::All => match row.standing {
                Standing::Kept | Standing::LeftOver | Standing::Gone | Standing::Unseen => true,
                Standing::InUse | Standing::Unrecorded => false,
            },
        }
    }
}

/// Where no cluster was named: what is still there, a line each with how to remove it.
fn spared(rows: &[Row], which: &Downs) -> Vec<String> {
    if matches!(which, Downs::Named(_)) {
        return Vec::new();
    }
    let names = |standing: Standing| {
        let rows = rows.iter().filter(|row| row.standing == standing && !which.covers(row));
        rows.map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let hints = [
        (Standing::Kept, "name it to remove it, or say --all"),
        (Standing::InUse, "name it with --force to remove it all the same"),
        (Standing::Unrecorded, "name it to remove it"),
    ];
    let spared = hints.map(|(standing, hint)| (standing, names(standing), hint));
    let spared = spared.iter().filter(|(_, names, _)| !names.is_empty());
    spared.map(|(standing, names, hint)| format!("{standing}: {names} ({hint})")).collect()
}

fn standing(held: bool, exists: Option<bool>, keep: bool) -> Standing {
    match (held, exists) {
        (true, _) => Standing::InUse,
        (false, None) => Standing::Unseen,
        (false, Some(false)) => Standing::Gone,
        (false, Some(true)) if keep => Standing::Kept,
        (false, Some(true)) => Standing::LeftOver,
    }
}

fn in_use(row: &Row) -> String {
    let by = row.recorded.map_or(String::new(), |(_, pid)| format!(" by process {pid}"));
    format!("in use{by}; --force removes it all the same")
}
