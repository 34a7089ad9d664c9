//! Writes to Redis: each is a key of its own.

use std::time::Duration;

use redis::cmd;
use tokio::time::timeout;

use super::super::channel::Tls;
use super::super::reach::Unmet;
use super::super::redis::{Login, Refusal, Server, field};
use super::super::{Site, Unseen, credential, sentinel, token};
use super::{Ledger, Master, Said, one_pod};
use crate::checks::Sentinel;

/// Keys of ours go away by themselves, should the run end before they are removed: so long after the check's window.
const OUTLIVE: u64 = 600;

/// Longest time for removing them.
const REMOVE: Duration = Duration::from_secs(2);

/// A Redis master, as Sentinels name it.
pub(super) struct Keys<'a> {
    system: &'a Sentinel,
    site: &'a Site<'a>,
    password: Option<String>,
    tls: Tls,
    /// What the keys begin with.
    prefix: String,
    master: Option<Master<Server>>,
}

impl<'a> Keys<'a> {
    pub(super) async fn of(system: &'a Sentinel, site: &'a Site<'a>) -> Result<Self, Unseen> {
        let password = credential::resolve_any(system.password.as_ref(), site).await?;
        let tls = Tls::of(system.tls.as_ref(), site).await?;
        let prefix = format!("seaworthy:{}:{}", site.prober.run, token());
        Ok(Self { system, site, password, tls, prefix, master: None })
    }

    fn key(&self, number: usize) -> String {
        format!("{}:{number}", self.prefix)
    }

    /// The master, as the first Sentinel names it that names one.
    async fn find(&self) -> Result<Said<Master<Server>>, Unmet> {
        let named = match sentinel::named(self.system, self.site).await? {
            Ok(named) => named,
            Err(words) => return Ok(Err(words)),
        };
        // Where each pod is announced by a Service of its own.
        let dialer = &self.site.prober.dialer;
        let announced = dialer.known_as(&named.host, named.port, self.system.at.home(self.site.namespace())).await?;
        let Some((pod, at)) = one_pod(&announced, self.site).await? else {
            return Ok(Err(format!("{} is not one pod", named.place())));
        };
        let login = Login { user: None, password: self.password.as_deref(), tls: self.tls.clone() };
        let mut server = match Server::enter(&at, &named.host, &login, self.site).await? {
            Ok(server) => server,
            Err(Refusal { command, error }) => return Ok(Err(format!("{command}: {error}"))),
        };
        let info = match server.ask::<String>(cmd("INFO").arg("server")).await? {
            Ok(info) => info,
            Err(error) => return Ok(Err(format!("INFO: {error}"))),
        };
        let life = field(&info, "run_id").unwrap_or_default().to_owned();
        Ok(Ok(Master { server, life, pod }))
    }
}

impl Ledger for Keys<'_> {
    fn home(&self) -> &str {
        self.system.at.home(self.site.namespace())
    }

    fn leader(&self) -> Option<(String, String)> {
        self.master.as_ref().map(Master::told)
    }

    fn forget(&mut self) {
        self.master = None;
    }

    async fn write(&mut self, number: usize, _: Duration) -> Result<Said<()>, Unmet> {
        let key = self.key(number);
        let master = match &mut self.master {
            Some(master) => master,
            None => match self.find().await? {
                Ok(found) => self.master.insert(found),
                Err(words) => return Ok(Err(words)),
            },
        };
        let mut set = cmd("SET");
        let window = self.site.check.spec.patience.within.duration().as_secs();
        set.arg(&key).arg(&key).arg("EX").arg(window + OUTLIVE);
        Ok(master.server.ask::<redis::Value>(&set).await?.map(drop))
    }

    async fn missing(&mut self, numbers: &[usize], patience: Duration) -> Option<Vec<usize>> {
        let mut master = self.master.take()?;
        let mut asked = redis::pipe();
        let keys: Vec<String> = numbers.iter().map(|number| self.key(*number)).collect();
        for key in &keys {
            asked.cmd("GET").arg(key);
        }
        let found = timeout(patience, master.server.ask_all::<Option<String>>(&asked)).await.ok()?.ok()?.ok()?;
        self.master = Some(master);
        let all = numbers.iter().zip(keys.iter().zip(&found));
        Some(all.filter(|(_, (key, found))| found.as_ref() != Some(key)).map(|(number, _)| *number).collect())
    }

    /// What cannot be removed goes away by itself.
    async fn tidy(&mut self, numbers: usize) -> Vec<String> {
        let keys: Vec<String> = (0..numbers).map(|number| self.key(number)).collect();
        if let Some(master) = &mut self.master {
            timeout(REMOVE, master.server.ask::<redis::Value>(cmd("DEL").arg(keys))).await.ok();
        }
        Vec::new()
    }
}
