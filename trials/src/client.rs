//! A small HTTP client: one connection that stays open, JSON in and out.
//!
//! It does not repeat anything by itself: a trial must know which request was answered and which
//! was not. After an error the connection is dropped and the next request opens another.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};

/// How long an answer may take. Nothing that works takes so long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest body that is read; exports of small worlds fit.
const MOST_BODY: u64 = 256 * 1024 * 1024;
/// Items of a list asked for at a time: the most the server gives.
const PAGE: usize = 200;

/// A client with at most one open connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    key: Option<String>,
    connection: Option<BufReader<TcpStream>>,
}

/// Nobody listened, so nothing was sent: the cause of an error, by `error.is::<NotConnected>()`.
#[derive(Clone, Copy, Debug)]
pub struct NotConnected;

impl std::fmt::Display for NotConnected {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("no connection")
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200, 429 …
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// A client without a key.
    pub fn new(address: SocketAddr) -> Client {
        Client { address, key: None, connection: None }
    }

    /// The same with a key, given as bearer token.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Client {
        self.key = Some(key.to_owned());
        self
    }

    /// Another address from the next request on: a server that was started again has one.
    pub fn move_to(&mut self, address: SocketAddr) {
        if self.address != address {
            self.address = address;
            self.connection = None;
        }
    }

    /// GET.
    ///
    /// # Errors
    /// No answer came; nobody knows whether the request arrived.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Response> {
        self.send("GET", path, None)
    }

    /// POST with a JSON body; null stands for none.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post(&mut self, path: &str, body: &Json) -> anyhow::Result<Response> {
        let text = (!body.is_null()).then(|| body.to_string());
        self.send("POST", path, text.as_deref().map(str::as_bytes))
    }

    /// Any request, with the key and a body of JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> anyhow::Result<Response> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(key) = &self.key {
            let _ = write!(head, "authorization: Bearer {key}\r\n");
        }
        if let Some(body) = body {
            let length = body.len();
            let _ = write!(head, "content-type: application/json\r\ncontent-length: {length}\r\n");
        } else if method != "GET" {
            head.push_str("content-length: 0\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.send_raw(&bytes)
    }

    /// Bytes as they are, right or wrong, and the answer to them.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn send_raw(&mut self, bytes: &[u8]) -> anyhow::Result<Response> {
        // A connection is given back only when its answer was read to the end.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.address)?),
        };
        // A server that refuses early answers before it has read everything, and then the rest
        // cannot be written; the answer counts.
        let written = connection.get_mut().write_all(bytes);
        let response = match read_response(&mut connection) {
            Ok(response) => response,
            Err(error) => return Err(written.err().map_or(error, anyhow::Error::from)),
        };
        if written.is_ok() && response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(response)
    }

    /// GET that must succeed.
    ///
    /// # Errors
    /// No answer, or another than 200.
    pub fn get_json(&mut self, path: &str) -> anyhow::Result<Json> {
        expect(path, &self.get(path)?)
    }

    /// POST that must succeed.
    ///
    /// # Errors
    /// No answer, or another than 200 or 201.
    pub fn post_json(&mut self, path: &str, body: &Json) -> anyhow::Result<Json> {
        expect(path, &self.post(path, body)?)
    }

    /// Make an outreach and go live with it.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn go_live(&mut self, id: &str, definition: &Json) -> anyhow::Result<()> {
        self.post_json("/api/v1/outreaches", &json!({"id": id, "definition": definition}))?;
        self.post_json(&format!("/api/v1/outreaches/{id}/go-live"), &Json::Null)?;
        Ok(())
    }

    /// A batch of the tracking API.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn batch(&mut self, items: &[Json]) -> anyhow::Result<Response> {
        self.post("/v1/batch", &json!({"batch": items}))
    }

    /// Every item of a list, page by page. `path` may have a query.
    ///
    /// # Errors
    /// No answer, or another than 200.
    pub fn all(&mut self, path: &str) -> anyhow::Result<Vec<Json>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get_json(&format!("{path}{joint}limit={PAGE}{cursor}"))?;
            let found = page.get("items").and_then(Json::as_array);
            items.extend(found.context("a list without items")?.iter().cloned());
            match page.get("next").and_then(Json::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }
}

/// An event of a user, as an item of a batch.
pub fn event(message: &str, user: &str, name: &str, properties: &Json) -> Json {
    json!({"type": "track", "messageId": message, "userId": user, "event": name,
           "properties": properties})
}

fn expect(path: &str, response: &Response) -> anyhow::Result<Json> {
    if !matches!(response.status, 200..=202) {
        bail!("{path}: {} {}", response.status, response.text());
    }
    Ok(response.json())
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).context(NotConnected)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Read one answer. `100 Continue` and its like are none.
pub(crate) fn read_response(from: &mut BufReader<TcpStream>) -> anyhow::Result<Response> {
    loop {
        let status_line = read_line(from)?;
        let status = status_line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status: u16 = status.with_context(|| format!("no status in {status_line:?}"))?;
        let headers = read_headers(from)?;
        if status < 200 {
            continue;
        }
        let mut response = Response { status, headers, body: Vec::new() };
        response.body = read_body(from, &response)?;
        return Ok(response);
    }
}

/// The lines until the empty one, as pairs; names in lower case.
pub(crate) fn read_headers(
    from: &mut BufReader<TcpStream>,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(from: &mut BufReader<TcpStream>, response: &Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        loop {
            let line = read_line(from)?;
            let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
            read_exactly(from, size, &mut body)?;
            read_line(from)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    if matches!(response.status, 204 | 304) {
        return Ok(body);
    }
    match response.header("content-length") {
        Some(length) => read_exactly(from, length.parse()?, &mut body)?,
        None => {
            from.take(MOST_BODY).read_to_end(&mut body)?;
        }
    }
    Ok(body)
}

pub(crate) fn read_exactly(
    from: &mut BufReader<TcpStream>,
    size: u64,
    into: &mut Vec<u8>,
) -> anyhow::Result<()> {
    anyhow::ensure!(size <= MOST_BODY, "a body of {size} bytes");
    let read = from.take(size).read_to_end(into)?;
    anyhow::ensure!(read as u64 == size, "the connection ended in a body");
    Ok(())
}

pub(crate) fn read_line(from: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = from.take(64 * 1024).read_line(&mut line)?;
    anyhow::ensure!(read > 0, "the connection ended");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
