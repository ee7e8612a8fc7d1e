//! A web server with one answer, on both loopback addresses of one port.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::self_signed;

pub(crate) struct Sink {
    pub(crate) port: u16,
    pub(crate) certificate: Option<String>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    /// Answers every request with `head` (status line and headers) and `body`.
    pub(crate) async fn start(head: &str, body: Vec<u8>) -> Sink {
        let length = body.len();
        let mut answer =
            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        answer.extend(body);
        let answer = Arc::new(answer);
        let four = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = four.local_addr().unwrap().port();
        let six = TcpListener::bind(("::1", port)).await.ok();
        let sink = Sink { port, certificate: None, requests: Arc::default() };
        for listener in [Some(four), six].into_iter().flatten() {
            let (answer, requests) = (answer.clone(), sink.requests.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, answer.clone(), requests.clone()));
                }
            });
        }
        sink
    }

    /// The same over TLS, with an empty body and a certificate for `localhost`.
    pub(crate) async fn start_tls(head: &str) -> Sink {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n").into_bytes();
        let answer = Arc::new(answer);
        let (acceptor, pem) = self_signed();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = Sink { port, certificate: Some(pem), requests: Arc::default() };
        let requests = sink.requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(serve(stream, answer.clone(), requests.clone()));
                }
            }
        });
        sink
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<Vec<u8>>,
    requests: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_complete(&request) {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await?;
        if read == 0 {
            break;
        }
        request.extend_from_slice(&part[..read]);
    }
    requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    request.len() >= head.len() + 4 + length
}
