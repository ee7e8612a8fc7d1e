//! `tidings demo`: thirty days of a small shop in a few seconds, then the clock runs on.
//!
//! The shop is played by the simulator through the real engine with a virtual clock; then the
//! server opens the same data folder and the shop goes on living at the pace of the wall clock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use engine::ids::ProjectNo;
use engine::project::ProjectChange;
use engine::time::{Timestamp, Zone};
use host::command::{Command, Submission};
use host::{Clock, Host, Options};
use indicatif::{ProgressBar, ProgressStyle};
use simulator::shop::{DAY, Shop, Stage};

use crate::config::{Config, Flags};
use crate::keys::{KeyKind, Keys};
use crate::serve::{Server, start_log, stop_signal};

const PROJECT: &str = "demo";
/// The one-off goes out two days before today, so that its answers are there.
const LAUNCH_DAYS_AGO: i64 = 2;
/// Between two visits of the living shop, at most.
const MOST_PAUSE: Duration = Duration::from_secs(3);

/// Run the server with a living demo project.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tidings demo
  tidings demo --customers 5000 --days 60 --seed 11
  tidings demo --listen 0.0.0.0:8080

The folder `demo` inside the data folder is made anew at each start. Mail, webhooks and text
messages go to its outbox; nothing leaves the machine.")]
pub(super) struct Demo {
    /// Customers of the shop.
    #[arg(long, default_value_t = 1_000)]
    customers: usize,
    /// Days that are played before the clock runs on.
    #[arg(long, default_value_t = 30)]
    days: u16,
    /// The same seed makes the same shop.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Stop when the days are played, without serving.
    #[arg(long)]
    no_serve: bool,
}

impl Demo {
    pub(super) fn run(&self, flags: &Flags) -> anyhow::Result<()> {
        let mut config = Config::load(flags)?;
        start_log(&config)?;
        config.data = config.data.join("demo");
        if config.data.exists() {
            std::fs::remove_dir_all(&config.data)
                .with_context(|| format!("clearing {}", config.data.display()))?;
        }
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("making {}", config.data.display()))?;
        let mut shop = Shop::new(self.seed, self.customers);
        let project = self.play(&config.data, &mut shop)?;
        if self.no_serve {
            return Ok(());
        }
        let keys = Keys::open(&config.data)?;
        let now = now().to_rfc3339();
        let public = keys.create(PROJECT, KeyKind::Public, &now)?;
        let secret = keys.create(PROJECT, KeyKind::Admin, &now)?;
        drop(keys);
        let seed = self.seed;
        super::runtime()?.block_on(async move {
            let server = Server::open(config).await?;
            let base = &server.app().config.base_url;
            println!("{}", invitation(base, &public, &secret, server.about_outbox()));
            let host = Arc::clone(&server.app().host);
            std::thread::Builder::new()
                .name("shop".to_owned())
                .spawn(move || live_on(&host, project, shop, seed))
                .context("starting the shop")?;
            server.run(stop_signal()).await
        })
    }

    /// The days before today.
    fn play(&self, folder: &Path, shop: &mut Shop) -> anyhow::Result<ProjectNo> {
        let today = Zone::utc().start_of_day(now(), 0);
        let first = today.plus_ms(-i64::from(self.days) * DAY);
        let clock = Arc::new(AtomicI64::new(first.0));
        let options = Options {
            clock: Clock::Virtual(Arc::clone(&clock)),
            // Nobody is told anything durable while the days are played.
            sync: false,
            ..Options::default()
        };
        let host = Host::open(folder, options).context("opening the demo's data folder")?;
        let project = host.next_project_no();
        let commands = vec![Command::Change(ProjectChange::Created { id: PROJECT.to_owned() })];
        host.submit_and_wait(Submission { project, commands })?;
        let mut stage = Stage::new(&host, clock, project, self.seed);
        stage.set()?;
        let days = i64::from(self.days);
        let bar = ProgressBar::new(u64::from(self.days)).with_style(style()?);
        for day in 0..days {
            stage.day(shop, first.plus_ms(day * DAY))?;
            if day + LAUNCH_DAYS_AGO == days {
                stage.launch()?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let counts = host.counts(project);
        let sends: u64 = counts.values().map(|count| count.sends).sum();
        let skips: u64 = counts.values().flat_map(|count| count.skips.values()).sum();
        println!(
            "Played {days} days of a shop: {} customers, {sends} decisions to send, {skips} not to.",
            host.customer_count(project)
        );
        host.close();
        Ok(project)
    }
}

/// The shop goes on: somebody comes every few seconds, and goes through the shop in fast motion.
fn live_on(host: &Host, project: ProjectNo, mut shop: Shop, seed: u64) {
    let clock = Arc::new(AtomicI64::new(0));
    let mut stage = Stage::new(host, clock, project, seed ^ 1);
    loop {
        let acts = shop.visit_now(now());
        let mut before = acts.first().map_or(0, |act| act.at.0);
        for mut act in acts {
            let gap = u64::try_from(act.at.0 - before).unwrap_or(0) / 20;
            before = act.at.0;
            std::thread::sleep(Duration::from_millis(gap).min(MOST_PAUSE));
            act.at = now();
            if stage.act(act).is_err() {
                // The server stops, and the shop with it.
                return;
            }
        }
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

fn style() -> anyhow::Result<ProgressStyle> {
    let template = "Playing the shop {bar:30} day {pos} of {len}";
    Ok(ProgressStyle::with_template(template)?.progress_chars("━╸ "))
}

/// What to open, and what to try.
fn invitation(url: &str, public: &str, secret: &str, outbox: &str) -> String {
    format!(
        "
Tidings listens on {url}
  what there is        {url}/
  the API              {url}/docs
  mail, texts, hooks   {url}/outbox
{outbox}

Keys of the project `demo`
  public  {public}
  secret  {secret}

Try it: send an event, and see what comes back
  curl -s {url}/v1/collect -d '{{\"writeKey\":\"{public}\",\"userId\":\"you\",\
\"attributes\":{{\"name\":\"You\",\"email\":\"you@example.com\"}},\
\"events\":[{{\"name\":\"signed_up\"}}]}}'
Ask why you did not get the survey
  curl -s -u {secret}: '{url}/api/v1/explain?customer=you&outreach=checkout-survey'

Stop with Ctrl-C."
    )
}
