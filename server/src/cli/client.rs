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
    /// A secret key of the project.
    #[arg(long, env = "TIDINGS_KEY", hide_env_values = true)]
    key: String,
}

/// Connected to nothing yet; every call names its path.
pub(crate) struct Client {
    base: String,
    key: String,
    http: reqwest::Client,
}

/// Calls that were refused for the moment are repeated so often.
const TRIES: u32 = 8;

impl Target {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let base = self.url.trim_end_matches('/').to_owned();
        Ok(Client { base, key: self.key.clone(), http })
    }
}

impl Client {
    /// The answer to GET.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Json> {
        self.call(Method::GET, path, None).await
    }

    /// The answer to GET; `None` when there is no such thing.
    pub(crate) async fn find(&self, path: &str) -> anyhow::Result<Option<Json>> {
        match self.try_call(&Method::GET, path, None).await? {
            (StatusCode::NOT_FOUND, _, _) => Ok(None),
            (status, _, json) => accepted(status, json, path).map(Some),
        }
    }

    /// The answer to POST.
    pub(crate) async fn post(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// The answer to PUT.
    pub(crate) async fn put(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> anyhow::Result<Json> {
        let mut pause = Duration::from_millis(250);
        for _ in 1..TRIES {
            let (status, retry_after, json) = self.try_call(&method, path, body).await?;
            let busy = matches!(status.as_u16(), 429 | 503 | 507);
            if !busy {
                return accepted(status, json, path);
            }
            tokio::time::sleep(retry_after.unwrap_or(pause)).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
        let (status, _, json) = self.try_call(&method, path, body).await?;
        accepted(status, json, path)
    }

    async fn try_call(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Json>,
    ) -> anyhow::Result<(StatusCode, Option<Duration>, Json)> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.clone(), &url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("calling {url}"))?;
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

fn accepted(status: StatusCode, json: Json, path: &str) -> anyhow::Result<Json> {
    if status.is_success() {
        return Ok(json);
    }
    let detail = json.get("detail").and_then(Json::as_str).unwrap_or("no reason was given");
    let mut message = format!("{path} answered {status}: {detail}");
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
