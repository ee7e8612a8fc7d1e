//! SMTP submission to a relay, one message per attempt, over a few kept connections.
//!
//! lettre speaks the protocol, but its transport reports a dead connection the same way whether the
//! relay had the message or not. That difference is the one that matters: after the final dot
//! nobody can know (RFC 1047). So the commands are driven from here and every failure carries its
//! [`Phase`]. Not here: MX lookup and direct delivery; a relay does that.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials as LettreCredentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsVersion,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::message::Mail;
use super::starttls::NoReadAhead;
use crate::{Attempt, ConfigError, Secret};

/// Relays commonly close an idle connection after one to five minutes.
const IDLE_LIMIT: Duration = Duration::from_secs(45);
/// Relays commonly refuse more than a hundred messages on one connection.
const MESSAGES_PER_CONNECTION: u32 = 90;

/// How to reach a relay.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    pub host: String,
    /// By default 465 for [`Security::Tls`], 587 for [`Security::StartTls`], 25 for [`Security::Plain`].
    pub port: Option<u16>,
    pub security: Security,
    pub credentials: Option<Credentials>,
    /// Trusted besides the public roots: a relay with a certificate of one's own making.
    pub ca_pem: Option<String>,
    /// The name given in EHLO; some relays want a real one.
    pub hello_name: Option<String>,
    /// Permits [`Security::Plain`] to a host that is not this machine, say a container beside us.
    pub allow_plaintext: bool,
    pub connections: usize,
    /// For connecting, TLS, EHLO and AUTH together.
    pub connect_timeout: Duration,
    /// For the answer to one command.
    pub command_timeout: Duration,
    /// For the message and the answer to its final dot. RFC 5321 §4.5.3.2.6 asks for ten minutes:
    /// giving up earlier makes the outcome unknowable.
    pub message_timeout: Duration,
}

impl SmtpConfig {
    pub fn new(host: impl Into<String>, security: Security) -> SmtpConfig {
        SmtpConfig {
            host: host.into(),
            port: None,
            security,
            credentials: None,
            ca_pem: None,
            hello_name: None,
            allow_plaintext: false,
            connections: 8,
            connect_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(60),
            message_timeout: Duration::from_secs(600),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// No encryption: for a relay on this machine, or see [`SmtpConfig::allow_plaintext`].
    Plain,
    /// Encryption is required; a relay that does not offer it is not used.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

#[derive(Debug, Clone)]
pub struct Credentials {
    pub username: String,
    pub password: Secret,
}

/// A configured relay and its open connections.
pub(crate) struct Relay {
    host: String,
    port: u16,
    security: Security,
    tls: Option<TlsParameters>,
    credentials: Option<LettreCredentials>,
    hello: ClientId,
    connect_timeout: Duration,
    command_timeout: Duration,
    message_timeout: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<Session>>,
}

struct Session {
    connection: AsyncSmtpConnection,
    used: u32,
    since: Instant,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connect,
    Sender,
    Recipient,
    Content,
    /// The final dot may have left us.
    Dot,
}

struct Failure {
    phase: Phase,
    cause: Cause,
}

enum Cause {
    Smtp(SmtpError),
    Network(std::io::Error),
    TimedOut,
    /// An answer that does not belong to the question.
    OutOfStep,
    /// The relay cannot carry this message; found out without asking it.
    Unsupported(&'static str),
}

impl fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Relay");
        shown.field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Relay {
    pub(crate) fn new(config: SmtpConfig) -> Result<Relay, ConfigError> {
        let is_local = config.host == "localhost"
            || config.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let tls = match config.security {
            Security::Plain if !is_local && !config.allow_plaintext => {
                return Err(ConfigError::PlaintextSmtp { host: config.host });
            }
            Security::Plain => None,
            Security::StartTls | Security::Tls => Some(tls_parameters(&config)?),
        };
        let default_port = match config.security {
            Security::Plain => 25,
            Security::StartTls => 587,
            Security::Tls => 465,
        };
        let hello = match config.hello_name {
            Some(name) if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) => {
                let reason = "it must be a host name".to_owned();
                return Err(ConfigError::Smtp { setting: "hello_name", reason });
            }
            Some(name) => ClientId::Domain(name),
            None => ClientId::default(),
        };
        Ok(Relay {
            port: config.port.unwrap_or(default_port),
            host: config.host,
            security: config.security,
            tls,
            credentials: config
                .credentials
                .map(|c| LettreCredentials::new(c.username, c.password.expose().to_owned())),
            hello,
            connect_timeout: config.connect_timeout,
            command_timeout: config.command_timeout,
            message_timeout: config.message_timeout,
            permits: Semaphore::new(config.connections.max(1)),
            idle: Mutex::new(Vec::new()),
        })
    }

    pub(crate) async fn send(&self, mail: &Mail) -> Attempt {
        match self.deliver(mail).await {
            Ok(response) => {
                let answer: Vec<&str> = response.message().collect();
                Attempt::accepted(answer.join(" "))
            }
            Err(failure) => classify(&failure, mail.to.as_ref()),
        }
    }

    async fn deliver(&self, mail: &Mail) -> Result<Response, Failure> {
        // The semaphore is never closed; were it, the message would go out without its limit.
        let _permit = self.permits.acquire().await.ok();
        let mut session = self.open(mail).await?;
        let outcome = self.hand_over(&mut session.connection, mail).await;
        self.keep(session, outcome.as_ref().err()).await;
        outcome
    }

    /// A connection on which the relay has taken the sender. A kept connection may have died in the
    /// meantime; nothing of the message has been said yet, so a fresh one takes its place.
    async fn open(&self, mail: &Mail) -> Result<Session, Failure> {
        if let Some(mut session) = self.take_idle()
            && self.announce_sender(&mut session.connection, mail).await.is_ok()
        {
            return Ok(session);
        }
        let dialled = timeout(self.connect_timeout, Box::pin(self.dial())).await;
        let mut connection = at(Phase::Connect, dialled)?;
        self.announce_sender(&mut connection, mail).await?;
        Ok(Session { connection, used: 0, since: Instant::now() })
    }

    async fn dial(&self) -> Result<AsyncSmtpConnection, Cause> {
        let address = (self.host.as_str(), self.port);
        let hello = &self.hello;
        let mut connection = match (self.security, &self.tls) {
            (Security::StartTls, Some(tls)) => {
                let stream = Box::new(NoReadAhead::new(connect(address).await?));
                let mut connection =
                    AsyncSmtpConnection::connect_with_transport(stream, hello).await?;
                connection.starttls(tls.clone(), hello).await?;
                connection
            }
            (Security::Plain, _) => {
                let stream = Box::new(NoReadAhead::never_encrypted(connect(address).await?));
                AsyncSmtpConnection::connect_with_transport(stream, hello).await?
            }
            (Security::StartTls | Security::Tls, tls) => {
                AsyncSmtpConnection::connect_tokio1(address, None, hello, tls.clone(), None).await?
            }
        };
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }

    async fn announce_sender(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &Mail,
    ) -> Result<(), Failure> {
        let mut parameters = Vec::new();
        let addresses_are_ascii = [&mail.from, &mail.to].iter().all(|address| {
            let text: &str = address.as_ref();
            text.is_ascii()
        });
        if !addresses_are_ascii {
            require(connection, Extension::SmtpUtfEight, "the relay takes no non-ASCII addresses")?;
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !mail.bytes.is_ascii() {
            require(connection, Extension::EightBitMime, "the relay takes no 8-bit content")?;
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let command = MailFrom::new(Some(mail.from.clone()), parameters);
        self.step(Phase::Sender, connection.command(command)).await.map(|_| ())
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &Mail,
    ) -> Result<Response, Failure> {
        let recipient = Rcpt::new(mail.to.clone(), Vec::new());
        self.step(Phase::Recipient, connection.command(recipient)).await?;
        let go_ahead = self.step(Phase::Content, connection.command(Data)).await?;
        if !go_ahead.has_code(354) {
            return Err(Failure { phase: Phase::Content, cause: Cause::OutOfStep });
        }

        // lettre writes each part, and the dot once the parts are exhausted. The iterator's end is
        // therefore the moment from which the relay may have the message.
        let dot = AtomicBool::new(false);
        let end = std::iter::from_fn(|| {
            dot.store(true, Ordering::Relaxed);
            None::<&[u8]>
        });
        let parts = std::iter::once(mail.bytes.as_slice()).chain(end);
        let answered = timeout(self.message_timeout, connection.message_iter(parts)).await;
        let phase = if dot.load(Ordering::Relaxed) { Phase::Dot } else { Phase::Content };
        let response = at(phase, answered)?;
        // lettre counts 3xx as good news too; only 2xx means that the relay has the message.
        if !(200..300).contains(&u16::from(response.code())) {
            return Err(Failure { phase, cause: Cause::OutOfStep });
        }
        Ok(response)
    }

    async fn step(
        &self,
        phase: Phase,
        command: impl Future<Output = Result<Response, SmtpError>>,
    ) -> Result<Response, Failure> {
        at(phase, timeout(self.command_timeout, command).await)
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| session.since.elapsed() < IDLE_LIMIT);
        idle.pop()
    }

    /// Keeps a connection whose relay is still in step with us, after a refusal too.
    async fn keep(&self, mut session: Session, failure: Option<&Failure>) {
        session.used += 1;
        if session.used >= MESSAGES_PER_CONNECTION {
            return;
        }
        if let Some(failure) = failure {
            let Some(code) = failure.code() else { return };
            let reset = self.step(failure.phase, session.connection.command(Rset));
            if code == 421 || reset.await.is_err() {
                return;
            }
        }
        session.since = Instant::now();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }
}

/// SMTP is a conversation of short lines: each leaves at once, or every mail waits 40 ms for an
/// acknowledgement that the other side holds back.
async fn connect(address: (&str, u16)) -> Result<TcpStream, Cause> {
    let stream = TcpStream::connect(address).await.map_err(Cause::Network)?;
    stream.set_nodelay(true).map_err(Cause::Network)?;
    Ok(stream)
}

impl From<SmtpError> for Cause {
    fn from(error: SmtpError) -> Cause {
        Cause::Smtp(error)
    }
}

fn at<T>(
    phase: Phase,
    result: Result<Result<T, impl Into<Cause>>, tokio::time::error::Elapsed>,
) -> Result<T, Failure> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(cause)) => Err(Failure { phase, cause: cause.into() }),
        Err(_) => Err(Failure { phase, cause: Cause::TimedOut }),
    }
}

fn require(
    connection: &AsyncSmtpConnection,
    extension: Extension,
    otherwise: &'static str,
) -> Result<(), Failure> {
    if connection.server_info().supports_feature(extension) {
        return Ok(());
    }
    Err(Failure { phase: Phase::Sender, cause: Cause::Unsupported(otherwise) })
}

fn tls_parameters(config: &SmtpConfig) -> Result<TlsParameters, ConfigError> {
    let refused =
        |setting, error: SmtpError| ConfigError::Smtp { setting, reason: error.to_string() };
    let mut builder =
        TlsParameters::builder(config.host.clone()).set_min_tls_version(TlsVersion::Tlsv12);
    if let Some(pem) = &config.ca_pem {
        let certificate =
            Certificate::from_pem(pem.as_bytes()).map_err(|error| refused("ca_pem", error))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| refused("host", error))
}

impl Failure {
    /// The relay's code, when it was the relay that refused.
    fn code(&self) -> Option<u16> {
        match &self.cause {
            Cause::Smtp(error) => error.status().map(u16::from),
            Cause::Network(_) | Cause::TimedOut | Cause::OutOfStep | Cause::Unsupported(_) => None,
        }
    }

    fn sentence(&self) -> String {
        let doing = match self.phase {
            Phase::Connect => "connecting to the relay",
            Phase::Sender => "announcing the sender",
            Phase::Recipient => "announcing the recipient",
            Phase::Content => "sending the message",
            Phase::Dot => "waiting for the relay to confirm the message",
        };
        match &self.cause {
            Cause::Smtp(error) => format!("{doing}: {error}"),
            Cause::Network(error) => format!("{doing}: {error}"),
            Cause::TimedOut => format!("{doing}: timed out"),
            Cause::OutOfStep => format!("{doing}: the relay gave the answer to another question"),
            Cause::Unsupported(what) => format!("{doing}: {what}"),
        }
    }
}

/// What a failure means. Only a refusal that names the mailbox suppresses an address, and only
/// silence after the dot is unknowable.
fn classify(failure: &Failure, recipient: &str) -> Attempt {
    // The relay's sentence often repeats the address; the ledger need not.
    let reason = failure.sentence().replace(recipient, "the address");
    if failure.phase == Phase::Connect {
        // A refused password or certificate is ours to repair; the message is not at fault.
        return Attempt::retry(reason);
    }
    if matches!(failure.cause, Cause::Unsupported(_)) {
        return Attempt::rejected(reason);
    }
    match (failure.code(), failure.phase) {
        (Some(400..=499), _) => Attempt::retry(reason),
        (Some(530 | 534 | 535 | 538), _) => Attempt::retry(reason),
        (Some(code), Phase::Recipient | Phase::Dot) if says_gone(code, &reason, failure.phase) => {
            Attempt::address_gone(reason)
        }
        (Some(_), _) => Attempt::rejected(reason),
        (None, Phase::Dot) => Attempt::unknown(reason),
        (None, _) => Attempt::retry(reason),
    }
}

/// Whether a permanent refusal is about the mailbox. The enhanced code (RFC 3463) decides when
/// there is one. A bare 550 is also what a relay says to a sender it does not like, so words of
/// policy keep the address: suppressing a whole audience over a wrong password is not repairable.
fn says_gone(code: u16, reason: &str, phase: Phase) -> bool {
    const MAILBOX: &[&str] = &["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"];
    const POLICY: &[&str] = &[
        "relay",
        "spam",
        "block",
        "blacklist",
        "denied",
        "policy",
        "authentic",
        "reject",
        "sender",
        "spf",
        "dkim",
        "dmarc",
        "reputation",
        "not permitted",
        "not allowed",
        "rate",
        "quota",
    ];
    match enhanced_code(reason) {
        Some(enhanced) => MAILBOX.contains(&enhanced),
        None => {
            let lower = reason.to_lowercase();
            phase == Phase::Recipient
                && matches!(code, 550 | 551 | 553)
                && !POLICY.iter().any(|word| lower.contains(word))
        }
    }
}

fn enhanced_code(text: &str) -> Option<&str> {
    let is_enhanced = |word: &str| {
        let mut parts = word.split('.');
        let class = parts.next();
        let numbers: Vec<&str> = parts.collect();
        let number =
            |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        class == Some("5") && numbers.len() == 2 && numbers.iter().all(number)
    };
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find(|word| is_enhanced(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_mailbox_means_it_is_gone() {
        let gone = |code, text| says_gone(code, text, Phase::Recipient);
        assert!(gone(550, "permanent error (550): 5.1.1 no such user"));
        assert!(gone(550, "permanent error (550): 5.1.10 null MX"));
        assert!(gone(550, "permanent error (550): No such person here"));
        assert!(gone(553, "permanent error (553): mailbox name invalid"));
        assert!(!gone(550, "permanent error (550): 5.7.1 Unable to relay"));
        assert!(!gone(550, "permanent error (550): relay not permitted"));
        assert!(!gone(552, "permanent error (552): 5.2.2 mailbox full"));
        assert!(!gone(554, "permanent error (554): transaction failed"));
        assert!(!says_gone(550, "permanent error (550): message refused", Phase::Dot));
        assert_eq!(enhanced_code("x 550-5.1.1 the 1.2.3.4 5.1"), Some("5.1.1"));
    }
}
