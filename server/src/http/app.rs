//! What every handler holds: the host, the keys, the settings, and the way to ask.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use channels::Channels;
use engine::apply::properties_in;
use engine::customer::Customer;
use engine::decision::SkipReason;
use engine::delivery::Delivery;
use engine::delivery::hand_over::{self, Ready};
use engine::fact::Names;
use engine::ids::{CustomerId, OutreachNo, ProjectNo};
use engine::project::{Project, ProjectChange};
use engine::situation::History;
use engine::time::Timestamp;
use host::Host;
use host::command::{Accepted, Command, Refused, Submission, SubmitError};
use host::query::QueryError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::error::{ApiError, ApiResult, Code};
use super::outreaches::Counts;
use crate::config::Config;
use crate::keys::Keys;
use crate::limits;
use crate::signals::Signals;

/// The server's state; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What [`App`] shares.
pub struct Inner {
    pub(crate) host: Arc<Host>,
    pub(crate) keys: Keys,
    pub(crate) config: Config,
    pub(crate) channels: Channels,
    pub(crate) link_secret: [u8; 32],
    pub(crate) openapi: String,
    pub(crate) signals: Arc<Signals>,
    /// Only this machine reaches the listener.
    pub(crate) is_local: bool,
    streams: Arc<Semaphore>,
    stopping: watch::Sender<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Running,
    /// Somebody asked for it.
    Asked,
    /// The host has stopped by itself.
    Failed,
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl FromRequestParts<App> for App {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<App, Self::Rejection> {
        Ok(app.clone())
    }
}

impl App {
    /// Open the host on the data folder of the settings.
    pub(crate) async fn open(
        config: Config,
        keys: Keys,
        link_secret: [u8; 32],
        is_local: bool,
    ) -> anyhow::Result<App> {
        let channels = Channels::new(config.channels()?)?;
        let signals = Arc::new(Signals::new());
        let (told, asked) = (Arc::clone(&signals), Arc::clone(&signals));
        let options = host::Options {
            queue_commands: config.queue.commands,
            queue_bytes: config.queue.bytes,
            checkpoint_every: std::time::Duration::from_millis(config.checkpoint.every_ms),
            sink: Arc::new(move |published| told.publish(published)),
            watched: Arc::new(move || asked.is_watched()),
            ..host::Options::default()
        };
        let folder = config.data.clone();
        let host = tokio::task::spawn_blocking(move || Host::open(&folder, options))
            .await
            .context("opening the data folder")?
            .with_context(|| format!("opening {}", config.data.display()))?;
        Ok(App(Arc::new(Inner {
            host: Arc::new(host),
            keys,
            config,
            channels,
            link_secret,
            openapi: super::openapi_json(),
            signals,
            is_local,
            streams: Arc::new(Semaphore::new(limits::STREAMS)),
            stopping: watch::Sender::new(Stop::Running),
        })))
    }

    /// The moment now, as the engine sees it.
    pub fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// Submit commands and wait until they are durable.
    pub(crate) async fn try_submit(
        &self,
        project: ProjectNo,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Accepted, Refused>>, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let submission = Submission { project, commands };
        // The client may have gone away; what was accepted stays accepted.
        self.host.submit(submission, Box::new(move |answers| drop(answer.send(answers))));
        let gone = || Err(SubmitError::Stopped("the host has stopped".to_owned()));
        let answers = answered.await.unwrap_or_else(|_| gone());
        if matches!(answers, Err(SubmitError::Stopped(_))) && self.host.fault().is_some() {
            self.stopping.send_replace(Stop::Failed);
        }
        answers
    }

    /// As [`App::try_submit`], with the error of the API.
    pub(crate) async fn submit(
        &self,
        project: ProjectNo,
        commands: Vec<Command>,
    ) -> ApiResult<Vec<Result<Accepted, Refused>>> {
        self.try_submit(project, commands).await.map_err(ApiError::from)
    }

    /// One command.
    pub(crate) async fn submit_one(
        &self,
        project: ProjectNo,
        command: Command,
    ) -> ApiResult<Accepted> {
        match self.submit(project, vec![command]).await?.pop() {
            Some(answer) => answer.map_err(ApiError::from),
            None => Err(ApiError::internal("a command without an answer")),
        }
    }

    /// Ask the host something that may read the disk or count everybody, off the async threads.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Host) -> T + Send + 'static,
    ) -> ApiResult<T> {
        let host = Arc::clone(&self.host);
        tokio::task::spawn_blocking(move || question(&host)).await.map_err(ApiError::internal)
    }

    /// A project as it is now.
    pub(crate) fn project(&self, no: ProjectNo) -> ApiResult<Arc<Project>> {
        self.host.project(no).ok_or_else(|| ApiError::new(Code::NotFound, "the project is gone"))
    }

    /// All projects.
    pub(crate) fn projects(&self) -> Vec<Arc<Project>> {
        self.host.projects()
    }

    /// The number of a project.
    pub(crate) fn project_no(&self, id: &str) -> Option<ProjectNo> {
        self.host.project_by_id(id).map(|project| project.no)
    }

    /// Make a project with the next free number.
    pub(crate) async fn create_project(&self, id: &str) -> ApiResult<ProjectNo> {
        let no = self.host.next_project_no();
        let change = ProjectChange::Created { id: id.to_owned() };
        self.submit_one(no, Command::Change(change)).await?;
        Ok(no)
    }

    /// The customer that these names mean, merged guests followed.
    pub(crate) fn resolve(
        &self,
        project: ProjectNo,
        names: &Names,
    ) -> ApiResult<Option<CustomerId>> {
        let user = names.user_id.as_ref().map(|name| CustomerId::of_user(project, name));
        if let Some(id) = user
            && let Some(found) = self.resolve_id(project, id)?
        {
            return Ok(Some(found));
        }
        let Some(name) = names.anonymous_id.as_ref() else { return Ok(None) };
        let Some(found) = self.resolve_id(project, CustomerId::of_guest(project, name))? else {
            return Ok(None);
        };
        // On a shared device the guest may have become somebody else than who is named.
        let is_theirs = user.is_none() || self.is_guest(project, found)?;
        Ok(is_theirs.then_some(found))
    }

    /// By the id and not by the name: a user and a guest may be called the same.
    pub(crate) fn resolve_id(
        &self,
        project: ProjectNo,
        id: CustomerId,
    ) -> ApiResult<Option<CustomerId>> {
        self.host.resolve(project, &id.to_string()).map_err(ApiError::internal)
    }

    /// Whether nobody has said yet who this is.
    pub(crate) fn is_guest(&self, project: ProjectNo, id: CustomerId) -> ApiResult<bool> {
        Ok(self.customer(project, id)?.is_some_and(|customer| customer.is_guest()))
    }

    /// The customer an address of the API means: `cus_…`, a user id, or an anonymous id.
    pub(crate) fn find_customer(&self, project: ProjectNo, text: &str) -> ApiResult<CustomerId> {
        let found = self.host.resolve(project, text).map_err(ApiError::internal)?;
        found.ok_or_else(|| ApiError::not_found("customer", text))
    }

    /// A customer as they are now.
    pub(crate) fn customer(
        &self,
        project: ProjectNo,
        id: CustomerId,
    ) -> ApiResult<Option<Customer>> {
        self.host.customer(project, id).map_err(ApiError::internal)
    }

    /// Decisions so far, per outreach.
    pub(crate) fn counts(&self, project: ProjectNo) -> BTreeMap<OutreachNo, Counts> {
        let counters = self.host.counts(project);
        let view = |counts: host::Counts| Counts {
            sends: counts.sends,
            skips: counts.skips,
            latest: counts.latest.map(Timestamp::to_rfc3339),
        };
        counters.into_iter().map(|(no, counts)| (no, view(counts))).collect()
    }

    /// What lies in a customer's inbox, rendered, and durable if that does not take too long. An
    /// item that does not render is left out; it stays in the inbox until it expires.
    pub(crate) async fn inbox(
        &self,
        project: ProjectNo,
        customer: CustomerId,
    ) -> ApiResult<Vec<(Delivery, Ready)>> {
        let own = self.project(project)?;
        self.ask(move |host| {
            let Some(found) = host.customer(project, customer)? else { return Ok(Vec::new()) };
            let now = host.now();
            let history = Past { host, project, customer };
            let mut items = Vec::new();
            for delivery in hand_over::inbox(&own, &found, now) {
                match hand_over::ready(&own, customer, &found, delivery, now, &history) {
                    Ok(ready) => items.push((delivery.clone(), ready)),
                    Err(reason) => {
                        tracing::warn!(delivery.id = %delivery.id, %reason, "not shown");
                    }
                }
            }
            if !items.is_empty() && !host.wait_durable(limits::DURABLE_WAIT) {
                tracing::warn!(customer.id = %customer, "an inbox is shown that is not durable yet");
            }
            Ok::<_, QueryError>(items)
        })
        .await?
        .map_err(ApiError::internal)
    }

    /// A delivery ready to leave, or the reason why it may not.
    pub(crate) async fn ready(
        &self,
        project: ProjectNo,
        customer: CustomerId,
        delivery: &Delivery,
    ) -> ApiResult<Result<Ready, SkipReason>> {
        let own = self.project(project)?;
        let delivery = delivery.clone();
        self.ask(move |host| {
            let Some(found) = host.customer(project, customer)? else {
                return Ok(Err(SkipReason::NoAddress));
            };
            let history = Past { host, project, customer };
            let now = host.now();
            Ok::<_, QueryError>(hand_over::ready(&own, customer, &found, &delivery, now, &history))
        })
        .await?
        .map_err(ApiError::internal)
    }

    /// A place among the open streams, held as long as the stream is.
    pub(crate) fn open_stream(&self) -> ApiResult<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| ApiError {
            retry_after_seconds: Some(30),
            ..ApiError::new(Code::Overloaded, "too many streams are open")
        })
    }

    /// Nothing new is begun from here on.
    pub(crate) fn stop(&self) {
        self.stopping.send_if_modified(|stop| {
            let first = *stop == Stop::Running;
            if first {
                *stop = Stop::Asked;
            }
            first
        });
        self.signals.due.notify_one();
    }

    /// Whether nothing new is begun any more.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow() != Stop::Running || self.host.fault().is_some()
    }

    /// Done when the server stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as `self`.
        let _ = stopping.wait_for(|stop| *stop != Stop::Running).await;
    }

    /// Done when the host has stopped by itself.
    pub(crate) async fn failed(&self) {
        let mut stopping = self.stopping.subscribe();
        let _ = stopping.wait_for(|stop| *stop == Stop::Failed).await;
    }

    /// Close the host: what was accepted is durable and a checkpoint is written.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        let host = Arc::clone(&self.host);
        tokio::task::spawn_blocking(move || {
            host.close();
            match host.fault() {
                Some(fault) => Err(anyhow::anyhow!("the host has stopped: {fault}")),
                None => Ok(()),
            }
        })
        .await
        .context("closing the data folder")?
    }
}

/// The properties of past events of one customer, read from their timeline.
struct Past<'a> {
    host: &'a Host,
    project: ProjectNo,
    customer: CustomerId,
}

impl History for Past<'_> {
    fn properties(&self, position: u64, event_key: u64) -> serde_json::Value {
        let Some(project) = self.host.project(self.project) else { return serde_json::Value::Null };
        let page = self.host.timeline(self.project, self.customer, Some(position + 1), 1);
        let entries = page.map(|page| page.items).unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry.position == position)
            .map(|entry| properties_in(&project, &entry.fact, event_key))
            .find(|properties| !properties.is_null())
            .unwrap_or(serde_json::Value::Null)
    }
}
