//! The server that is measured: started on a folder of its own, filled, watched.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use trials::client::Client;
use trials::server::{Plan, Server};

use crate::load::{self, CONNECTIONS, Done, Target};
use crate::process::Used;
use crate::setting::Setting;
use crate::world;

/// Events of a batch, as the official clients send them when there is much to send.
pub(crate) const BATCH: u64 = 100;
/// Customers of a batch of an import: what fits into the largest body.
const IMPORT: u64 = 800;

/// A server under measurement.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) server: Server,
    folder: PathBuf,
}

impl Subject {
    /// A new one on an empty folder.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(setting: &Setting, name: &str) -> anyhow::Result<Subject> {
        let folder = setting.scratch.join(name);
        let plan = Plan::new(folder.join("data"))?.with_webhooks();
        let server = Server::start(plan)?;
        Ok(Subject { server, folder })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.server.pid().context("the server does not run")
    }

    /// What it has used by now.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        Used::by(self.pid()?)
    }

    /// A client with the secret key.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.server.client()
    }

    fn target(&self, path: &'static str) -> anyhow::Result<Target> {
        let key = self.server.keys()?.secret.clone();
        Ok(Target { address: self.server.address()?, key, path, connections: CONNECTIONS })
    }

    /// Bring outreaches `from..to` of the world live. False: it would take longer than the
    /// patience, and it stopped before the end.
    pub(crate) fn publish(&self, from: u64, to: u64, patience: Duration) -> anyhow::Result<bool> {
        let mut client = self.client()?;
        let deadline = Instant::now() + patience;
        for number in from..to {
            client.go_live(&format!("o{number}"), &world::outreach(number))?;
            if Instant::now() > deadline {
                return Ok(number + 1 == to);
            }
        }
        Ok(true)
    }

    /// Make customers `from..to`, over the import, which triggers nothing.
    pub(crate) fn import(&self, from: u64, to: u64) -> anyhow::Result<Done> {
        let batches = (to - from).div_ceil(IMPORT);
        load::closed(&self.target("/v1/import")?, batches, |batch, body| {
            let begin = from + batch * IMPORT;
            load::items(begin..to.min(begin + IMPORT), body, world::customer);
        })
    }

    /// Send `count` events in batches of [`BATCH`], over 16 connections.
    pub(crate) fn events(&self, run: u64, count: u64, customers: u64) -> anyhow::Result<Done> {
        load::closed(&self.target("/v1/batch")?, count / BATCH, |batch, body| {
            let begin = batch * BATCH;
            load::items(begin..begin + BATCH, body, |number, into| {
                world::event(run, number, customers, into);
            });
        })
    }

    /// The same at a rate of events per second, over enough connections.
    pub(crate) fn events_at(
        &self,
        run: u64,
        count: u64,
        customers: u64,
        per_second: f64,
    ) -> anyhow::Result<Done> {
        let mut target = self.target("/v1/batch")?;
        target.connections = 64;
        load::open(&target, count / BATCH, per_second / BATCH as f64, |batch, body| {
            let begin = batch * BATCH;
            load::items(begin..begin + BATCH, body, |number, into| {
                world::event(run, number, customers, into);
            });
        })
    }

    /// How many decisions there were, over all outreaches.
    pub(crate) fn decisions(&self) -> anyhow::Result<u64> {
        let list = self.client()?.get_json("/api/v1/outreaches")?;
        let items = list.get("items").and_then(Value::as_array).context("a list")?;
        let count = |item: &Value, key: &str| {
            item.pointer(&format!("/counts/{key}")).and_then(Value::as_u64).unwrap_or(0)
        };
        Ok(items.iter().map(|item| count(item, "sends") + count(item, "skips")).sum())
    }

    /// How many outreaches are live.
    pub(crate) fn live(&self) -> anyhow::Result<u64> {
        let list = self.client()?.get_json("/api/v1/outreaches?status=live")?;
        Ok(list.get("items").and_then(Value::as_array).context("a list")?.len() as u64)
    }

    /// Count a filter; how many match.
    pub(crate) fn count(&self, client: &mut Client, filter: &Value) -> anyhow::Result<u64> {
        let answer = client.post_json("/api/v1/audience/estimate", &json!({"filter": filter}))?;
        answer.get("matched").and_then(Value::as_u64).context("no count")
    }

    /// End it and delete what it wrote.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.server.kill()?;
        std::fs::remove_dir_all(&self.folder).context("deleting the data folder")
    }
}
