//! Writes to Redis: each is a key of its own.

use std::time::Duration;

use redis::cmd;
use tokio::time::timeout;

use super::super::reach::Unmet;
use super::super::redis::{Login, Refusal, Server, field};
use super::super::{Site, Unseen, credential, sentinel, token};
use super::{Ledger, Master, Said, one_pod};
use crate::checks::{Claim as _, Sentinel, Verdict};

/// Keys of ours go away by themselves, should the run end before they are removed: so long after the check's window.
const OUTLIVE: u64 = 600;

/// Longest time for removing them.
const REMOVE: Duration = Duration::from_secs(2);

/// A Redis master, as Sentinels name it.
pub(super) struct Keys<'a> {
    system: &'a Sentinel,
    site: &'a Site<'a>,
    password: Option<String>,
    /// What the keys begin with.
    prefix: String,
}

impl<'a> Keys<'a> {
    pub(super) async fn of(system: &'a Sentinel, site: &'a Site<'a>) -> Result<Self, Unseen> {
        let password = credential::resolve_any(system.password.as_ref(), site).await?;
        Ok(Self { system, site, password, prefix: format!("seaworthy:{}:{}", site.prober.run, token()) })
    }

    fn key(&self, number: usize) -> String {
        format!("{}:{number}", self.prefix)
    }
}

impl Ledger for Keys<'_> {
    type Server = Server;

    fn home(&self) -> &str {
        self.system.at.home(self.site.namespace())
    }

    async fn verdict(&self) -> Verdict {
        match sentinel::observe(self.system, self.site).await {
            Ok(answer) => self.system.judge(&answer),
            Err(Unseen(why)) => Verdict::unclear(why),
        }
    }

    /// The master, as the first Sentinel names it that names one.
    async fn find(&self) -> Result<Said<Master<Server>>, Unmet> {
        let named = match sentinel::named(self.system, self.site).await? {
            Ok(named) => named,
            Err(words) => return Ok(Err(words)),
        };
        // Where each pod is announced by a Service of its own.
        let dialer = &self.site.prober.dialer;
        let announced = dialer.known_as(&named.host, named.port, self.home()).await?;
        let Some(pod) = one_pod(&announced, self.site).await? else {
            return Ok(Err(format!("{} is not one pod", named.place())));
        };
        let login = Login { user: None, password: self.password.as_deref() };
        let mut server = match Server::enter(&announced, &login, self.site).await? {
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

    async fn write(&self, server: &mut Server, number: usize) -> Result<Said<()>, Unmet> {
        let key = self.key(number);
        let mut set = cmd("SET");
        let window = self.site.check.spec.patience.within.duration().as_secs();
        set.arg(&key).arg(&key).arg("EX").arg(window + OUTLIVE);
        Ok(server.ask::<redis::Value>(&set).await?.map(drop))
    }

    async fn missing(&self, server: &mut Server, numbers: &[usize]) -> Result<Said<Vec<usize>>, Unmet> {
        let mut missing = Vec::new();
        for number in numbers {
            let key = self.key(*number);
            match server.ask::<Option<String>>(cmd("GET").arg(&key)).await? {
                Ok(Some(found)) if found == key => {}
                Ok(_) => missing.push(*number),
                Err(words) => return Ok(Err(words)),
            }
        }
        Ok(Ok(missing))
    }

    /// What cannot be removed goes away by itself.
    async fn tidy(&self, server: Option<&mut Server>, numbers: usize) -> Option<String> {
        let keys: Vec<String> = (0..numbers).map(|number| self.key(number)).collect();
        if let Some(server) = server {
            timeout(REMOVE, server.ask::<redis::Value>(cmd("DEL").arg(keys))).await.ok();
        }
        None
    }
}
