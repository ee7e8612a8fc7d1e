//! A running server, and the words to talk to it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use server::config::Config;
use server::serve::{FirstKeys, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Long enough for a busy machine; nothing waits so long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with its folder.
pub(crate) struct Running {
    pub(crate) base: String,
    pub(crate) keys: FirstKeys,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Start with the default settings.
pub(crate) async fn start() -> Running {
    start_with(|_| {}).await
}

/// Start with some settings changed.
pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Running {
    start_in(TempDir::new().unwrap(), None, change).await
}

async fn start_in(
    folder: TempDir,
    keys: Option<FirstKeys>,
    change: impl FnOnce(&mut Config),
) -> Running {
    let mut config = Config {
        data: folder.path().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    };
    change(&mut config);
    let server = Server::open(config).await.unwrap();
    let base = format!("http://{}", server.address().unwrap());
    let keys = server.first_keys.clone().or(keys).expect("the first start makes keys");
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.run(async {
        stopped.await.ok();
    }));
    let http = reqwest::Client::new();
    Running { base, keys, http, folder, stop: Some(stop), ended: Some(ended) }
}

impl Running {
    /// Stop in order, and start again on the same folder.
    pub(crate) async fn restart(mut self) -> Running {
        self.end().await;
        start_in(self.folder, Some(self.keys), |_| {}).await
    }

    /// Stop in order.
    pub(crate) async fn end(&mut self) {
        drop(self.stop.take());
        if let Some(ended) = self.ended.take() {
            ended.await.unwrap().unwrap();
        }
    }

    /// Start on another folder that has the same keys.
    pub(crate) async fn elsewhere(&self, data: &std::path::Path) -> Running {
        let keys = Some(self.keys.clone());
        let data = data.to_owned();
        start_in(TempDir::new().unwrap(), keys, |config| config.data = data).await
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Json {
        self.api(Method::GET, path, None, StatusCode::OK).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Json {
        self.api(Method::POST, path, Some(body), StatusCode::OK).await
    }

    /// Call the REST API with the secret key, and expect a status.
    pub(crate) async fn api(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
        expected: StatusCode,
    ) -> Json {
        let url = format!("{}/api/v1{path}", self.base);
        let mut request = self.http.request(method, &url).bearer_auth(&self.keys.secret);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, expected, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or(Json::Null)
    }

    /// Call the tracking API with the public key as an official client does.
    pub(crate) async fn ingest(&self, path: &str, body: &Json) -> (StatusCode, Json) {
        let response = self
            .http
            .post(format!("{}{path}", self.base))
            .basic_auth(&self.keys.public, Some(""))
            .json(body)
            .send()
            .await
            .unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// An event of a user that must be accepted.
    pub(crate) async fn track(&self, user: &str, event: &str, properties: Json) -> Json {
        let body = json!({"userId": user, "event": event, "properties": properties});
        let (status, answer) = self.ingest("/v1/track", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Attributes of a user that must be accepted.
    pub(crate) async fn identify(&self, user: &str, traits: Json) {
        let body = json!({"userId": user, "traits": traits});
        let (status, answer) = self.ingest("/v1/identify", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// Create an outreach and go live with it.
    pub(crate) async fn live(&self, id: &str, definition: Json) {
        let body = json!({"id": id, "definition": definition});
        self.api(Method::POST, "/outreaches", Some(body), StatusCode::CREATED).await;
        self.post(&format!("/outreaches/{id}/go-live"), Json::Null).await;
    }

    /// Ask until the answer is as wanted.
    pub(crate) async fn wait_for(&self, path: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let begin = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(begin.elapsed() < PATIENCE, "{path} stays {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A banner on an event.
pub(crate) fn banner(event: &str, text: &str) -> Json {
    json!({
        "name": "A banner",
        "trigger": {"kind": "event", "event": event},
        "content": {"kind": "banner", "text": text},
    })
}

/// A mail on an event.
pub(crate) fn mail(event: &str) -> Json {
    json!({
        "name": "A mail",
        "trigger": {"kind": "event", "event": event},
        "content": {"kind": "email", "subject": "Hello {{ customer.first_name }}",
                    "html": "<p>You bought for {{ event.properties.total }}.</p>"},
    })
}
