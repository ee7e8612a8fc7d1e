//! Webhooks in the form of Standard Webhooks: the delivery id, a timestamp and an HMAC over both and
//! the body, so a receiver can tell a forgery, a replay and a repetition.
//!
//! The receiver's answer decides only by its status. Its body is read to keep the connection and
//! then dropped: it is foreign text, and echoing it would turn us into somebody's eyes.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::guard::{self, Guard};
use crate::outbox::{self, Outbox};
use crate::{Attempt, ConfigError, Outgoing, Sent, WebhookBackend, words};

/// Enough to finish reading a polite answer; an endless one ends here.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Set by us, or by the connection.
const RESERVED_HEADERS: &[&str] = &[
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "keep-alive",
];

/// A finished call to a customer's server.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// `dlv_…`; sent as `webhook-id`, the same for every attempt.
    pub delivery_id: String,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// JSON, sent and signed exactly as it stands.
    pub body: String,
    /// Seconds since 1970, when this attempt is made.
    pub timestamp: i64,
    /// `whsec_…`; two while rotating, none to send unsigned.
    pub secrets: Vec<String>,
}

// A webhook URL can itself be a password, so not even that is shown.
impl fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Webhook");
        shown.field("delivery_id", &self.delivery_id).field("method", &self.method);
        shown.field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// How webhooks leave. The default is right for the internet.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Reach any address. For one's own network only: every project can then call into it.
    pub allow_private: bool,
    /// Permit http everywhere.
    pub allow_http: bool,
    /// Hosts that may be private and use http, by the name that stands in the URL.
    pub allow_hosts: Vec<String>,
    /// Trusted besides the system's roots: receivers with certificates of one's own making.
    pub ca_pem: Option<String>,
    pub timeout: Duration,
}

impl Default for WebhookConfig {
    fn default() -> WebhookConfig {
        WebhookConfig {
            allow_private: false,
            allow_http: false,
            allow_hosts: Vec::new(),
            ca_pem: None,
            timeout: Duration::from_secs(10),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Channel {
    Http { client: reqwest::Client, guard: Guard },
    Folder(Outbox),
    Memory(Sent),
}

/// A webhook whose parts have been read.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
}

impl Channel {
    pub(crate) fn new(backend: WebhookBackend) -> Result<Channel, ConfigError> {
        Ok(match backend {
            WebhookBackend::Http(config) => {
                let guard =
                    Guard::new(config.allow_private, config.allow_http, &config.allow_hosts);
                let client = client(&config, &guard)
                    .map_err(|source| ConfigError::WebhookClient { source })?;
                Channel::Http { client, guard }
            }
            WebhookBackend::Folder(path) => Channel::Folder(Outbox::open(path)?),
            WebhookBackend::Memory(sent) => Channel::Memory(sent),
        })
    }

    pub(crate) async fn send(&self, webhook: &Webhook) -> Attempt {
        let request = match prepare(webhook) {
            Ok(request) => request,
            Err(reason) => return Attempt::rejected(reason),
        };
        match self {
            Channel::Http { client, guard } => match guard.check(&request.url) {
                Ok(()) => call(client, request, webhook).await,
                Err(refused) => Attempt::rejected(refused.to_string()),
            },
            Channel::Folder(outbox) => {
                let name = format!("{}.webhook.json", webhook.delivery_id);
                outbox.put_json(&name, &shown(&request, webhook)).await
            }
            Channel::Memory(sent) => {
                outbox::remember(sent, Outgoing::Webhook(webhook.clone()), &webhook.delivery_id)
            }
        }
    }
}

/// The only client webhooks leave by. Each line closes a way around the guard or a second attempt.
fn client(config: &WebhookConfig, guard: &Guard) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(config.timeout)
        .dns_resolver(guard.clone())
        .user_agent("Tidings");
    if let Some(pem) = &config.ca_pem {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    builder.build()
}

async fn call(client: &reqwest::Client, request: Request, webhook: &Webhook) -> Attempt {
    let Request { method, url, headers } = request;
    let sent = client.request(method, url).headers(headers).body(webhook.body.clone()).send().await;
    let mut answer = match sent {
        Ok(answer) => answer,
        Err(error) => return classify_error(error),
    };
    let attempt = classify(answer.status(), answer.headers(), webhook);
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_LIMIT {
            break;
        }
    }
    attempt
}

fn classify(status: StatusCode, headers: &HeaderMap, webhook: &Webhook) -> Attempt {
    let reason = format!("the receiver answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => {
            let own_id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
            Attempt::accepted(own_id.unwrap_or(&webhook.delivery_id))
        }
        410 => Attempt::address_gone(reason),
        408 | 425 | 429 | 500..=599 => Attempt::Retry {
            reason,
            not_before_seconds: headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| retry_after(value, webhook.timestamp)),
        },
        300..=399 => Attempt::rejected(format!("{reason}; redirects are not followed")),
        _ => Attempt::rejected(reason),
    }
}

fn classify_error(error: reqwest::Error) -> Attempt {
    if let Some(refused) = guard::refusal_in(&error) {
        return Attempt::rejected(refused.to_string());
    }
    if error.is_builder() {
        return Attempt::rejected("the webhook could not be made into a request");
    }
    // Before there is a connection nothing can have arrived; from then on nobody knows.
    let connecting = error.is_connect();
    if error.is_timeout() {
        let reason = "the receiver did not answer in time";
        return if connecting { Attempt::retry(reason) } else { Attempt::unknown(reason) };
    }
    // The causes say more than reqwest's own sentence; the URL may be a password and is left out.
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    if connecting { Attempt::retry(reason) } else { Attempt::unknown(reason) }
}

/// Retry-After in seconds: a number, or a date counted from the attempt.
fn retry_after(value: &str, attempted_at: i64) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some(u64::try_from(date.timestamp().as_second() - attempted_at).unwrap_or(0))
}

/// Reads and signs. The error is a sentence for the person who configured the webhook.
fn prepare(webhook: &Webhook) -> Result<Request, String> {
    let method = match webhook.method.as_str() {
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "GET" => Method::GET,
        _ => return Err("the webhook method must be POST, PUT, PATCH, DELETE or GET".to_owned()),
    };
    let url = Url::parse(&webhook.url).map_err(|error| format!("the webhook URL: {error}"))?;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in &webhook.headers {
        let reserved = RESERVED_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name));
        if reserved || !words::is_header_name(name) {
            return Err(format!("the header {name} cannot be set by a webhook"));
        }
        let wrong = |_| format!("the header {name} has a value that HTTP does not allow");
        let value = HeaderValue::from_str(value).map_err(wrong)?;
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name} is not a header name"))?;
        headers.insert(key, value);
    }
    for (name, value) in signature_headers(webhook)? {
        let value = HeaderValue::from_str(&value).map_err(|_| format!("{name} is not valid"))?;
        headers.insert(name, value);
    }
    Ok(Request { method, url, headers })
}

/// `webhook-id`, `webhook-timestamp` and, with a secret, `webhook-signature`.
fn signature_headers(webhook: &Webhook) -> Result<Vec<(&'static str, String)>, String> {
    let Webhook { delivery_id, timestamp, body, .. } = webhook;
    let signed = format!("{delivery_id}.{timestamp}.{body}");
    let mut signatures = Vec::with_capacity(webhook.secrets.len());
    for secret in &webhook.secrets {
        let key = secret
            .strip_prefix("whsec_")
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .filter(|key| !key.is_empty())
            .ok_or("a webhook secret must be whsec_ followed by base64")?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let tag = hmac::sign(&key, signed.as_bytes());
        signatures.push(format!("v1,{}", STANDARD.encode(tag)));
    }
    let mut headers =
        vec![("webhook-id", delivery_id.clone()), ("webhook-timestamp", timestamp.to_string())];
    if !signatures.is_empty() {
        headers.push(("webhook-signature", signatures.join(" ")));
    }
    Ok(headers)
}

/// What the outbox shows: the request as the receiver would get it.
fn shown(request: &Request, webhook: &Webhook) -> serde_json::Value {
    let headers: serde_json::Map<String, serde_json::Value> = request
        .headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into())
        })
        .collect();
    serde_json::json!({
        "method": request.method.as_str(),
        "url": request.url.as_str(),
        "headers": headers,
        "body": webhook.body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120", 0), Some(120));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(date, 1_445_412_480 - 90), Some(90));
        assert_eq!(retry_after(date, 1_445_412_480 + 90), Some(0));
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("-5", 0), None);
    }
}
