//! Writes to PostgreSQL: each is a row of one table of our own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::super::postgres::{Login, REMOVE, Server, table_name};
use super::super::reach::{Failure, Unmet, heard};
use super::super::{Made, Site, Unseen};
use super::{AGAIN, Ledger, Master, Said, one_pod};
use crate::checks::{Address, Postgres};
use crate::tunnel::Dialer;

/// A primary, behind the name under which it takes writes.
pub(super) struct Rows<'a> {
    system: &'a Postgres,
    site: &'a Site<'a>,
    login: Login,
    table: String,
    master: Option<Master<Server>>,
    /// Removes the table also where this is dropped half-way.
    broom: Broom,
}

impl<'a> Rows<'a> {
    pub(super) async fn of(system: &'a Postgres, site: &'a Site<'a>) -> Result<Self, Unseen> {
        let login = Login::of(system, site).await?;
        let table = table_name(&site.prober.run);
        let sweep = Sweep {
            dialer: site.prober.dialer.clone(),
            at: system.at.clone(),
            namespace: site.namespace().to_owned(),
            login: login.clone(),
            table: table.clone(),
            made: site.prober.made.clone(),
        };
        let unfinished = site.prober.unfinished.clone();
        let broom = Broom { sweep, is_due: AtomicBool::new(false), unfinished };
        Ok(Self { system, site, login, table, master: None, broom })
    }

    /// Whoever is behind the name that takes writes, with our table in it.
    async fn find(&self) -> Result<Said<Master<Server>>, Unmet> {
        let Some((pod, at)) = one_pod(&self.system.at, self.site).await? else {
            return Ok(Err(format!("{} does not lead to one pod", self.system.at)));
        };
        let prepared = async {
            let server = Server::enter(&self.system.at, &self.login, self.site.dial(&at).await?).await?;
            let life = server.ask("SELECT pg_postmaster_start_time()").await?;
            self.broom.is_due.store(true, Ordering::Relaxed);
            // Where it has not come across, what was in it is missing, and a new one shows that.
            server.run(&format!("CREATE TABLE IF NOT EXISTS {} (number integer PRIMARY KEY)", self.table)).await?;
            Ok(Master { server, life: format!("{pod} {life}"), pod })
        };
        heard(prepared.await)
    }
}

impl Ledger for Rows<'_> {
    fn home(&self) -> &str {
        self.system.at.home(self.site.namespace())
    }

    fn leader(&self) -> Option<(String, String)> {
        self.master.as_ref().map(Master::told)
    }

    fn forget(&mut self) {
        self.master = None;
    }

    /// A primary that shuts down smartly serves who is in, for minutes, and lets nobody in any more.
    fn come_anew(&mut self) {
        self.forget();
    }

    async fn write(&mut self, number: usize, _: Duration) -> Result<Said<()>, Unmet> {
        let master = match &mut self.master {
            Some(master) => master,
            None => match self.find().await? {
                Ok(found) => self.master.insert(found),
                Err(words) => return Ok(Err(words)),
            },
        };
        heard(master.server.run(&format!("INSERT INTO {} VALUES ({number})", self.table)).await)
    }

    async fn missing(&mut self, numbers: &[usize], patience: Duration) -> Option<Vec<usize>> {
        let master = self.master.as_ref()?;
        let question = format!("SELECT number FROM {}", self.table);
        let rows = timeout(patience, master.server.rows(&question)).await.ok()?.ok()?;
        let there: BTreeSet<String> = rows.into_iter().flatten().flatten().collect();
        Some(numbers.iter().copied().filter(|number| !there.contains(&number.to_string())).collect())
    }

    async fn tidy(&mut self, _: usize) -> Vec<String> {
        let left = self.broom.sweep.clone().run().await;
        self.broom.is_due.store(false, Ordering::Relaxed);
        left.into_iter().collect()
    }
}

/// Removes the table, once it is due and nobody else has.
struct Broom {
    sweep: Sweep,
    is_due: AtomicBool,
    unfinished: TaskTracker,
}

impl Drop for Broom {
    fn drop(&mut self) {
        if self.is_due.load(Ordering::Relaxed) {
            self.unfinished.spawn(self.sweep.clone().run());
        }
    }
}

/// What it takes to remove the table.
#[derive(Clone)]
struct Sweep {
    dialer: Dialer,
    at: Address,
    namespace: String,
    login: Login,
    table: String,
    made: Made,
}

impl Sweep {
    /// Tries until it is done, or the time is up: there may be nobody who takes writes at the moment. Returns what is left, and why.
    async fn run(self) -> Option<String> {
        let mut last = "no answer".to_owned();
        let done = timeout(REMOVE, async {
            while let Err(failure) = self.once().await {
                last = failure.words();
                sleep(AGAIN).await;
            }
        });
        let left = done.await.err().map(|_| format!("table {} at {}: {last}", self.table, self.at));
        left.iter().cloned().for_each(|left| self.made.leave(left));
        left
    }

    async fn once(&self) -> Result<(), Failure> {
        let stream = self.dialer.dial(&self.at, &self.namespace).await.map_err(Unmet::from)?;
        let server = Server::enter(&self.at, &self.login, stream).await?;
        // A replica that is waited for in vain must not hold that up as well.
        let table = &self.table;
        server.run(&format!("BEGIN; SET LOCAL synchronous_commit TO local; DROP TABLE IF EXISTS {table}; COMMIT")).await
    }
}
