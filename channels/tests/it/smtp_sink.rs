//! A relay that does what it is told, including the worst.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::self_signed;

/// What the sink answers. The default takes everything.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) mail: &'static str,
    pub(crate) rcpt: &'static str,
    pub(crate) data: &'static str,
    pub(crate) end: End,
    pub(crate) tls: Tls,
    /// The mechanism offered and what it must be given.
    pub(crate) auth: Option<(&'static str, &'static str, &'static str)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    Reply(&'static str),
    /// The dot has arrived; nobody will ever say so.
    DropAfterDot,
    ReplyThenDrop,
    /// Hangs up after the first kilobyte of the message.
    DropInMessage,
    Silence,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tls {
    Off,
    Start,
    /// Somebody on the way appends an answer of their own before encryption starts.
    StartInjected,
    Implicit,
}

impl Default for Script {
    fn default() -> Script {
        let end = End::Reply("250 2.0.0 queued as q1");
        Script { mail: "250 ok", rcpt: "250 ok", data: "354 go", end, tls: Tls::Off, auth: None }
    }
}

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: String,
    pub(crate) taken: Arc<Mutex<Vec<Vec<u8>>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
type Line = BufReader<Box<dyn Stream>>;

impl Sink {
    pub(crate) async fn start(script: Script) -> Sink {
        let (acceptor, certificate) = self_signed();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Sink {
            address: listener.local_addr().unwrap(),
            certificate,
            taken: Arc::default(),
            connections: Arc::default(),
        };
        let (taken, connections) = (sink.taken.clone(), sink.connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, taken, acceptor) = (script.clone(), taken.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match script.tls {
                        Tls::Implicit => Box::new(acceptor.accept(stream).await?),
                        Tls::Start | Tls::StartInjected | Tls::Off => Box::new(stream),
                    };
                    serve(BufReader::new(stream), script, taken, acceptor).await
                });
            }
        });
        sink
    }

    pub(crate) fn taken(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

type Taken = Arc<Mutex<Vec<Vec<u8>>>>;

async fn serve(
    mut line: Line,
    script: Script,
    taken: Taken,
    acceptor: TlsAcceptor,
) -> std::io::Result<()> {
    let mut encrypted = script.tls == Tls::Implicit;
    say(&mut line, "220 sink").await?;
    while let Some(command) = hear(&mut line).await? {
        let verb = command.split([' ', ':']).next().unwrap().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => {
                let mut features = vec!["sink".to_owned(), "8BITMIME".to_owned()];
                if matches!(script.tls, Tls::Start | Tls::StartInjected) && !encrypted {
                    features.push("STARTTLS".to_owned());
                }
                if let Some((mechanism, _, _)) = script.auth {
                    features.push(format!("AUTH {mechanism}"));
                }
                let last = features.len() - 1;
                let mark = |at| if at == last { ' ' } else { '-' };
                let lines =
                    features.iter().enumerate().map(|(at, f)| format!("250{}{f}", mark(at)));
                lines.collect::<Vec<_>>().join("\r\n")
            }
            "STARTTLS" => {
                let injected = script.tls == Tls::StartInjected;
                say(&mut line, if injected { "220 go\r\n250 injected" } else { "220 go" }).await?;
                let stream = acceptor.accept(line.into_inner()).await?;
                line = BufReader::new(Box::new(stream));
                encrypted = true;
                continue;
            }
            "AUTH" => authenticate(&mut line, &command, &script).await?.to_owned(),
            "MAIL" => script.mail.to_owned(),
            "RCPT" => script.rcpt.to_owned(),
            "DATA" => {
                say(&mut line, script.data).await?;
                if !script.data.starts_with("354") {
                    continue;
                }
                if !take_message(&mut line, &script, &taken).await? {
                    return Ok(());
                }
                continue;
            }
            "QUIT" => return say(&mut line, "221 bye").await,
            _ => "250 ok".to_owned(),
        };
        say(&mut line, &reply).await?;
        if reply.starts_with("421") {
            return Ok(());
        }
    }
    Ok(())
}

/// False when the connection must go.
async fn take_message(line: &mut Line, script: &Script, taken: &Taken) -> std::io::Result<bool> {
    if script.end == End::DropInMessage {
        line.read_exact(&mut [0; 1024]).await?;
        return Ok(false);
    }
    let mut message = Vec::new();
    loop {
        let mut part = Vec::new();
        line.read_until(b'\n', &mut part).await?;
        if part == b".\r\n" {
            break;
        }
        message.extend_from_slice(part.strip_prefix(b".").unwrap_or(&part));
    }
    taken.lock().unwrap().push(message);
    match script.end {
        End::Reply(reply) => say(line, reply).await.map(|()| true),
        End::ReplyThenDrop => say(line, "250 2.0.0 queued as q1").await.map(|()| false),
        End::DropAfterDot | End::DropInMessage => Ok(false),
        End::Silence => {
            hear(line).await?;
            Ok(false)
        }
    }
}

async fn authenticate(
    line: &mut Line,
    command: &str,
    script: &Script,
) -> std::io::Result<&'static str> {
    let Some((mechanism, user, password)) = script.auth else { return Ok("503 no") };
    let given = if mechanism == "PLAIN" {
        let token = command.strip_prefix("AUTH PLAIN ").unwrap_or("");
        STANDARD.decode(token).unwrap()
    } else {
        say(line, "334 VXNlcm5hbWU6").await?;
        let user = hear(line).await?.unwrap_or_default();
        say(line, "334 UGFzc3dvcmQ6").await?;
        let password = hear(line).await?.unwrap_or_default();
        let decoded = [STANDARD.decode(user).unwrap(), STANDARD.decode(password).unwrap()];
        [b"".as_slice(), &decoded[0], &decoded[1]].join(&0)
    };
    let right = given == format!("\0{user}\0{password}").as_bytes();
    Ok(if right { "235 welcome" } else { "535 5.7.8 bad credentials" })
}

async fn say(line: &mut Line, reply: &str) -> std::io::Result<()> {
    line.write_all(format!("{reply}\r\n").as_bytes()).await?;
    line.flush().await
}

async fn hear(line: &mut Line) -> std::io::Result<Option<String>> {
    let mut command = String::new();
    let read = line.read_line(&mut command).await?;
    Ok((read > 0).then(|| command.trim_end().to_owned()))
}
