//! The real server as a child process: started, killed, stopped and started again on one folder.
//!
//! It is used as an operator uses it: the settings go in by the environment, the address and the
//! first keys come out of what it prints. It listens on a port of the system's choice, a new one
//! at each start, so that no two servers of a test run ever meet.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::client::Client;

/// How long a start or a stop may take before it counts as hanging. Busy machines are slow; nothing
/// that works takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program's own name, as `cargo` and the packages call it.
const PROGRAM: &str = "tidings";

/// How the server is started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program.
    pub binary: PathBuf,
    /// Its data folder. What the program says goes to a file beside it, `<data>.log`.
    pub data: PathBuf,
    /// Settings (`TIDINGS_…`) and whatever else shall stand in its environment, such as
    /// `LD_PRELOAD`. Settings of somebody else's server are not handed down.
    pub env: Vec<(OsString, OsString)>,
    /// A command that becomes the server in the end (`exec`), such as one that sets limits first.
    /// Empty: none.
    pub launcher: Vec<OsString>,
}

impl Plan {
    /// The default settings on this data folder, with the program that was built along.
    ///
    /// # Errors
    /// There is no such program.
    pub fn new(data: impl Into<PathBuf>) -> anyhow::Result<Plan> {
        let (env, launcher) = (Vec::new(), Vec::new());
        Ok(Plan { binary: find_binary()?, data: data.into(), env, launcher })
    }

    /// The same with one more setting or variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Plan {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same with webhooks that leave by HTTP to receivers on this machine.
    #[must_use]
    pub fn with_webhooks(self) -> Plan {
        self.with("TIDINGS_WEBHOOK__TRANSPORT", "http")
            .with("TIDINGS_WEBHOOK__ALLOW_PRIVATE", "true")
            .with("TIDINGS_WEBHOOK__ALLOW_HTTP", "true")
    }

    /// Where what the program says is kept, over all starts.
    pub fn log(&self) -> PathBuf {
        let mut name = self.data.clone().into_os_string();
        name.push(".log");
        name.into()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.launcher.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.args(arguments).arg("--data").arg(&self.data).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDINGS_") {
                command.env_remove(name);
            }
        }
        // A `tidings.toml` of the present folder is somebody else's too.
        if let Some(folder) = self.data.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            command.current_dir(folder);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The keys of the first project.
#[derive(Clone, Debug)]
pub struct Keys {
    /// For web pages and apps: sends events.
    pub public: String,
    /// For servers and people: everything.
    pub secret: String,
}

/// A server that runs, or could.
#[derive(Debug)]
pub struct Server {
    plan: Plan,
    keys: Option<Keys>,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// What it prints. Read to the end by a thread, since a full pipe would block the server.
    lines: Receiver<String>,
    address: Option<SocketAddr>,
    public: Option<String>,
    secret: Option<String>,
}

impl Server {
    /// Start and wait until it serves.
    ///
    /// # Errors
    /// It ended, or it does not answer.
    pub fn start(plan: Plan) -> anyhow::Result<Server> {
        let mut server = Server::new(plan);
        server.start_again()?;
        Ok(server)
    }

    /// One that does not run yet.
    pub fn new(plan: Plan) -> Server {
        Server { plan, keys: None, process: None }
    }

    /// Start on the same folder and wait until it serves.
    ///
    /// # Errors
    /// It runs, it ended, or it does not answer.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.wait_until_ready(PATIENCE)
    }

    /// Start and wait for nothing, for whoever wants to kill it while it starts.
    ///
    /// # Errors
    /// It runs already, or it cannot be started.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            bail!("the server runs already");
        }
        if let Some(folder) = self.plan.data.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let log = File::options().create(true).append(true).open(self.plan.log())?;
        let mut command = self.plan.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(log);
        let mut child =
            command.spawn().with_context(|| format!("starting {}", self.plan.binary.display()))?;
        let stdout = child.stdout.take().context("the server's output is not ours")?;
        let (send, lines) = channel();
        std::thread::Builder::new().name("server output".to_owned()).spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Whoever stopped listening wants it drained all the same.
                let _ = send.send(line);
            }
        })?;
        let (address, public, secret) = (None, None, None);
        self.process = Some(Process { child, lines, address, public, secret });
        Ok(())
    }

    /// Wait until it serves; it has its keys afterwards.
    ///
    /// # Errors
    /// It ended, or it does not answer in time.
    pub fn wait_until_ready(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        let process = self.process.as_mut().context("the server was not started")?;
        while process.address.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match process.lines.recv_timeout(left) {
                Ok(line) => process.read(&line),
                Err(RecvTimeoutError::Timeout) => bail!("the server does not listen"),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = process.child.wait()?;
                    self.process = None;
                    bail!("the server ended at its start ({status}): {}", self.last_words());
                }
            }
        }
        if let (Some(public), Some(secret)) = (process.public.take(), process.secret.take()) {
            self.keys = Some(Keys { public, secret });
        }
        if self.keys.is_none() {
            self.make_keys()?;
        }
        let status = self.client()?.get("/readyz")?.status;
        anyhow::ensure!(status == 200, "the server is not ready: {status}");
        Ok(())
    }

    /// The keys were shown to a process that was killed: an operator makes others.
    fn make_keys(&mut self) -> anyhow::Result<()> {
        let make = |kind: &[&str]| -> anyhow::Result<String> {
            let words: Vec<&str> = ["keys", "create"].iter().chain(kind).copied().collect();
            let made = self.other_command(&words)?;
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            anyhow::ensure!(made.status.success(), "tidings keys create: {said}");
            Ok(String::from_utf8(made.stdout)?.trim().to_owned())
        };
        let keys = Keys { public: make(&[])?, secret: make(&["--admin"])? };
        // A running server learns of them within a second.
        let deadline = Instant::now() + PATIENCE;
        let mut client = Client::new(self.address()?).with_key(&keys.secret);
        while client.get("/api/v1/outreaches")?.status != 200 {
            anyhow::ensure!(Instant::now() < deadline, "the server does not take its new keys");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.keys = Some(keys);
        Ok(())
    }

    /// End it as a power cut ends it: without a word. Nothing happens when it does not run.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.child.kill()?;
            process.child.wait()?;
        }
        Ok(())
    }

    /// Ask it to end (SIGTERM) and say how it did.
    ///
    /// # Errors
    /// It does not run, or it does not end.
    pub fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.ask_to_end()?;
        self.wait_for_its_end(PATIENCE)
    }

    /// Ask it to end (SIGTERM) and wait for nothing.
    ///
    /// # Errors
    /// It does not run.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the server does not run")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("a pid of 0")?;
        Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
    }

    /// Wait until it has ended by itself.
    ///
    /// # Errors
    /// It does not run, or it does not end in time.
    pub fn wait_for_its_end(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        let process = self.process.as_mut().context("the server does not run")?;
        loop {
            if let Some(status) = process.child.try_wait()? {
                self.process = None;
                return Ok(status);
            }
            anyhow::ensure!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the process lives.
    ///
    /// # Errors
    /// The system does not say.
    pub fn is_alive(&mut self) -> anyhow::Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.child.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// How it is started; changes count from the next start.
    pub fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.plan.data
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// Where it listens.
    ///
    /// # Errors
    /// It does not.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let process = self.process.as_ref().context("the server does not run")?;
        process.address.context("the server does not listen yet")
    }

    /// Its keys.
    ///
    /// # Errors
    /// It was never ready.
    pub fn keys(&self) -> anyhow::Result<&Keys> {
        self.keys.as_ref().context("the server has no keys yet")
    }

    /// A client with the secret key.
    ///
    /// # Errors
    /// It does not listen, or has no keys.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.address()?).with_key(&self.keys()?.secret))
    }

    /// What it said on its log so far, over all starts.
    pub fn log_text(&self) -> String {
        let bytes = std::fs::read(self.plan.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Another command of the program on the same folder, such as `check`, run to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn other_command(&self, words: &[&str]) -> anyhow::Result<Output> {
        Ok(self.plan.command(words).output()?)
    }

    /// Lines of its log that no good run has.
    pub fn complaints(&self) -> Vec<String> {
        let text = self.log_text();
        let bad = |line: &&str| line.contains(" ERROR ") || line.contains("panicked");
        text.lines().filter(bad).map(str::to_owned).collect()
    }

    fn last_words(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ = self.kill();
    }
}

impl Process {
    fn read(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("public"), Some(key)) => self.public = Some(key.to_owned()),
            (Some("secret"), Some(key)) => self.secret = Some(key.to_owned()),
            _ => {
                if let Some(address) = line.strip_prefix("Tidings listens on http://") {
                    self.address = address.trim().parse().ok();
                }
            }
        }
    }
}

/// The program: `TIDINGS_BINARY`, or what was built into the same folder as the one that runs.
///
/// # Errors
/// There is none.
pub fn find_binary() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("TIDINGS_BINARY") {
        let path = PathBuf::from(named);
        anyhow::ensure!(path.is_file(), "TIDINGS_BINARY: there is no {}", path.display());
        return std::path::absolute(path).context("TIDINGS_BINARY");
    }
    let here = std::env::current_exe()?;
    // Tests run in `target/<profile>/deps`, programs one above.
    for folder in here.ancestors().skip(1).take(2) {
        let path = folder.join(PROGRAM);
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("there is no `{PROGRAM}` beside {}: cargo build -p tidings", here.display())
}
