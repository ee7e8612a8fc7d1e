//! Running the server: open, start the loops, bind, wait, drain.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::http::App;
use crate::keys::{KeyKind, Keys, write_private};
use crate::{http, limits, listen, secret, worker};

const FIRST_PROJECT: &str = "main";
const LINK_SECRET: &str = "link.secret";

/// Keys that were made because there were none; shown once.
#[derive(Clone, Debug)]
pub struct FirstKeys {
    /// For web pages and apps.
    pub public: String,
    /// For servers; may also make projects.
    pub secret: String,
}

/// A server that is ready to run.
pub struct Server {
    app: App,
    listener: TcpListener,
    /// The keys made at the first start.
    pub first_keys: Option<FirstKeys>,
}

/// Run until SIGTERM or SIGINT.
///
/// # Errors
/// The data folder cannot be opened, the address is taken, or the host failed.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    start_log(&config)?;
    let server = Server::open(config).await?;
    if let Some(keys) = &server.first_keys {
        println!("The project `{FIRST_PROJECT}` was made. Its keys are shown this once:");
        println!("  public  {}", keys.public);
        println!("  secret  {}", keys.secret);
    }
    println!("Tidings listens on http://{}", server.address()?);
    println!("{}", server.about_outbox());
    server.run(stop_signal()).await
}

impl Server {
    /// Bind the address and open the data folder. Nothing is served yet.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn open(mut config: Config) -> anyhow::Result<Server> {
        // First, so that a taken address is found before the data folder is touched.
        let listen = config.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("listening on {listen} (--listen or TIDINGS_LISTEN names another address)")
        })?;
        if config.base_url.is_empty() {
            config.base_url = format!("http://localhost:{}", listener.local_addr()?.port());
        }
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("making {}", config.data.display()))?;
        let keys = Keys::open(&config.data)?;
        let link_secret = link_secret(&config.data)?;
        let is_local = listener.local_addr()?.ip().is_loopback();
        let app = App::open(config, keys, link_secret, is_local).await?;
        let first_keys = first_keys(&app).await?;
        Ok(Server { app, listener, first_keys })
    }

    /// The state of the server, for what runs beside it.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Where what would be sent goes, for the start message.
    pub(crate) fn about_outbox(&self) -> &'static str {
        match (self.app.config.has_outbox(), self.app.is_local) {
            (false, _) => "Messages leave through your relay and reach your receivers.",
            (true, true) => {
                "Messages that have no way out yet stay in /outbox, open on this machine."
            }
            (true, false) => {
                "Messages that have no way out yet stay in /outbox, which asks for the admin key: \
                 give it as user name, without a password."
            }
        }
    }

    /// Serve until `stop` is done; then finish what is under way and close the host.
    ///
    /// # Errors
    /// The dispatcher or the host failed.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let Server { app, listener, .. } = self;
        let dispatcher = tokio::spawn(worker::dispatch::run(app.clone()));
        let (stopped, is_stopped) = oneshot::channel::<()>();
        let stopping = app.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop => {}
                () = stopping.failed() => tracing::error!("the host has stopped; so does the server"),
            }
            stopping.stop();
            // The receiver is gone only when the server has ended by itself.
            let _ = stopped.send(());
        });
        let router = http::router(app.clone());
        let draining = app.clone();
        let served = listen::serve(listener, router, app.config.patience, async move {
            is_stopped.await.ok();
        });
        tokio::select! {
            () = served => {}
            () = async {
                draining.stopped().await;
                tokio::time::sleep(limits::DRAIN).await;
            } => tracing::warn!("requests were still open after {:?}", limits::DRAIN),
        }
        app.stop();
        dispatcher.await.context("the dispatcher failed")?;
        app.close().await
    }
}

/// On an empty data folder: a project and keys for it.
async fn first_keys(app: &App) -> anyhow::Result<Option<FirstKeys>> {
    if app.projects().is_empty() {
        app.create_project(FIRST_PROJECT)
            .await
            .map_err(|error| anyhow::anyhow!("making the first project: {}", error.detail))?;
    }
    if !app.keys.list().is_empty() {
        return Ok(None);
    }
    let now = app.now().to_rfc3339();
    let public = app.keys.create(FIRST_PROJECT, KeyKind::Public, &now)?;
    let secret = app.keys.create(FIRST_PROJECT, KeyKind::Admin, &now)?;
    Ok(Some(FirstKeys { public, secret }))
}

/// The secret that signs the links in mails: made once, kept with the data.
fn link_secret(folder: &Path) -> anyhow::Result<[u8; 32]> {
    let path = folder.join(LINK_SECRET);
    match std::fs::read(&path) {
        Ok(bytes) => bytes
            .try_into()
            .map_err(|_| anyhow::anyhow!("{} does not hold 32 bytes", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let made = secret::random_bytes::<32>();
            write_private(&path, &made).with_context(|| format!("writing {}", path.display()))?;
            Ok(made)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

pub(crate) fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level)
        .with_context(|| format!("log.level {:?}", config.log.level))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Where a line cannot be written, neither can the complaint about it, and that one would panic: a log on a full disk
    // must not take the server with it.
    let log = log.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
    // A second server in one process (tests) keeps the first one's log.
    let _ = match config.log.json {
        true => log.json().try_init(),
        false => log.try_init(),
    };
    Ok(())
}

pub(crate) async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        _ = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("stopping");
}
