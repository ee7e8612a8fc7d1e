//! A client of a running server, for the commands that talk to one.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value as Json;

/// Which server, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Target {
    /// The server.
    #[arg(long, env = "TIDINGS_URL", default_value = "http://localhost:8080")]
    url: String,
    /// A secret key of the project; the variable keeps it out of the list of processes.
    #[arg(long, env = "TIDINGS_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Connected to nothing yet; every call names its path.
pub(crate) struct Client {
    base: String,
    key: String,
    http: reqwest::Client,
}

/// Calls that were refused for the moment are repeated so often.
const TRIES: u32 = 8;

/// As long as a large installation takes over a slow line.
const DOWNLOAD: Duration = Duration::from_secs(24 * 3600);

impl Target {
    /// Whether anybody is to be asked at all.
    pub(crate) fn has_key(&self) -> bool {
        self.key.as_deref().is_some_and(|key| !key.is_empty())
    }

    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let base = self.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("the server's address begins with http:// or https://; {base:?} does not");
        }
        let Some(key) = self.key.clone().filter(|key| !key.is_empty()) else {
            bail!("a secret key is needed: --key sk_…, or the variable TIDINGS_KEY");
        };
        Ok(Client { base, key, http })
    }
}

impl Client {
    /// The answer to GET.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        self.call(Method::GET, path, None).await
    }

    /// The answer to GET; `None` when there is no such thing.
    pub(crate) async fn find(&self, path: &str) -> anyhow::Result<Option<Json>> {
        match self.try_call(&Method::GET, path, None, None).await? {
            (StatusCode::NOT_FOUND, _, _) => Ok(None),
            (status, _, json) => accepted(status, json, path).map(Some),
        }
    }

    /// Write the answer to GET, which may be long and take long.
    pub(crate) async fn download(
        &self,
        path: &str,
        out: &mut impl std::io::Write,
    ) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.base);
        let request = self.http.get(&url).bearer_auth(&self.key).timeout(DOWNLOAD);
        let answer = request.send().await.map_err(|error| self.unreachable(error, &url))?;
        let status = answer.status();
        let mut answer = match status.is_success() {
            true => answer,
            false => {
                let text = answer.text().await.unwrap_or_default();
                let json = serde_json::from_str(&text).unwrap_or(Json::String(text));
                return accepted(status, json, path).map(|_| ());
            }
        };
        while let Some(chunk) = answer.chunk().await.with_context(|| format!("reading {url}"))? {
            out.write_all(&chunk)?;
        }
        Ok(())
    }

    /// The answer to POST.
    pub(crate) async fn post(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// The answer to PUT over a version that was read before.
    pub(crate) async fn put_over(
        &self,
        path: &str,
        body: &Json,
        version: u64,
    ) -> anyhow::Result<Json> {
        self.call_over(Method::PUT, path, Some(body), Some(version)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        self.call_over(method, path, body, None).await
    }

    async fn call_over(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        version: Option<u64>,
    ) -> anyhow::Result<Json> {
        let mut pause = Duration::from_millis(250);
        for _ in 1..TRIES {
            let (status, retry_after, json) = self.try_call(&method, path, body, version).await?;
            let busy = matches!(status.as_u16(), 429 | 503 | 507);
            if !busy {
                return accepted(status, json, path);
            }
            tokio::time::sleep(retry_after.unwrap_or(pause)).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
        let (status, _, json) = self.try_call(&method, path, body, version).await?;
        accepted(status, json, path)
    }

    async fn try_call(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Json>,
        version: Option<u64>,
    ) -> anyhow::Result<(StatusCode, Option<Duration>, Json)> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.clone(), &url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(version) = version {
            request = request.header(reqwest::header::IF_MATCH, format!("\"{version}\""));
        }
        let response = request.send().await.map_err(|error| self.unreachable(error, &url))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = response.text().await.with_context(|| format!("reading {url}"))?;
        let json = serde_json::from_str(&text).unwrap_or(Json::String(text));
        Ok((status, retry_after, json))
    }
}

impl Client {
    /// Why nobody answered, in words for somebody who was just woken up.
    fn unreachable(&self, error: reqwest::Error, url: &str) -> anyhow::Error {
        if error.is_connect() {
            let cause = root(&error);
            let base = &self.base;
            return anyhow::anyhow!(
                "no server answers at {base} ({cause}); is it running there? \
                 --url or TIDINGS_URL names another one"
            );
        }
        if error.is_timeout() {
            return anyhow::anyhow!(
                "{} did not answer within a minute; its log may say why",
                self.base
            );
        }
        anyhow::Error::new(error).context(format!("calling {url}"))
    }
}

/// The innermost cause; those around it repeat the address.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn accepted(status: StatusCode, json: Json, path: &str) -> anyhow::Result<Json> {
    if status.is_success() {
        return Ok(json);
    }
    let detail = json.get("detail").and_then(Json::as_str).unwrap_or("no reason was given");
    let mut message = format!("{detail} ({} from {path})", status.as_u16());
    if status == StatusCode::UNAUTHORIZED {
        message.push_str("\n  tidings keys list, next to the server's data folder, shows its keys");
    }
    for problem in json.get("problems").and_then(Json::as_array).into_iter().flatten() {
        let part = |key: &str| problem.get(key).and_then(Json::as_str).unwrap_or_default();
        message.push_str(&format!("\n  {}: {}", part("pointer"), part("message")));
    }
    bail!(message)
}

/// A part of a path, escaped.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
