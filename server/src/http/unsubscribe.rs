//! Unsubscribing: the link in a mail, and the one click of a mail client (RFC 8058).
//!
//! GET shows a page and changes nothing, since scanners open every link. POST acts, without a
//! cookie or a key: the link is the proof. It names the delivery and is signed with a secret of
//! this installation, so nobody can unsubscribe somebody else by counting.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::fact::ReceiptKind;
use engine::ids::{DeliveryId, ProjectNo};
use host::command::Command;

use super::App;
use super::error::{ApiResult, Code};
use super::page::{self, escape};
use super::query::Parts1;
use crate::secret;

const MAC_BYTES: usize = 16;

/// The routes of this room.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/u/{token}", routing::get(show).post(act))
}

/// The address that unsubscribes the customer of a delivery.
pub(crate) fn link(app: &App, project: ProjectNo, delivery: DeliveryId) -> String {
    format!("{}/u/{}", app.config.base_url, token(&app.link_secret, project, delivery))
}

async fn show(State(app): State<App>, Parts1(token): Parts1<String>) -> Response {
    let Some((project, _)) = read_token(&app.link_secret, &token) else { return broken_link() };
    let body = format!(
        "<h1>Unsubscribe</h1><p>You will get no more of these messages from <b>{}</b>.</p>\
         <form method=\"post\"><button>Unsubscribe</button></form>",
        escape(&sender_name(&app, project))
    );
    page::customer(StatusCode::OK, "Unsubscribe", &body)
}

async fn act(State(app): State<App>, Parts1(token): Parts1<String>) -> ApiResult<Response> {
    let Some((project, delivery)) = read_token(&app.link_secret, &token) else {
        return Ok(broken_link());
    };
    let command = Command::Receipt {
        delivery,
        customer: None,
        kind: ReceiptKind::Unsubscribed,
        receipt_id: "unsubscribed".to_owned(),
        at: None,
        detail: "{}".to_owned(),
    };
    app.submit_one(project, command).await?;
    let body = format!(
        "<h1>You are unsubscribed</h1><p>You get no more of these messages from <b>{}</b>. You can \
         close this page.</p>",
        escape(&sender_name(&app, project))
    );
    Ok(page::customer(StatusCode::OK, "Unsubscribed", &body))
}

/// For the person who followed the link; a program reads the status.
fn broken_link() -> Response {
    let body = "<h1>This link is not complete</h1><p>Open it from the mail again, as a whole. Some \
                programs cut long links off at the end of a line.</p>";
    page::customer(Code::InvalidLink.status(), "This link is not complete", body)
}

fn sender_name(app: &App, project: ProjectNo) -> String {
    match app.project(project) {
        Ok(project) if !project.settings.name.is_empty() => project.settings.name.clone(),
        Ok(project) => project.id.clone(),
        Err(_) => "us".to_owned(),
    }
}

fn token(secret: &[u8], project: ProjectNo, delivery: DeliveryId) -> String {
    let project = project.0.to_be_bytes();
    let mac = secret::sign(secret, &[b"unsubscribe", &project, &delivery.to_bytes()]);
    let mut bytes = Vec::with_capacity(4 + 16 + MAC_BYTES);
    bytes.extend_from_slice(&project);
    bytes.extend_from_slice(&delivery.to_bytes());
    bytes.extend(mac.iter().take(MAC_BYTES));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_token(secret: &[u8], text: &str) -> Option<(ProjectNo, DeliveryId)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (project, rest) = bytes.split_at_checked(4)?;
    let (delivery, mac) = rest.split_at_checked(16)?;
    let project = ProjectNo(u32::from_be_bytes(project.try_into().ok()?));
    let delivery = DeliveryId(u128::from_be_bytes(delivery.try_into().ok()?));
    let expected =
        secret::sign(secret, &[b"unsubscribe", &project.0.to_be_bytes(), &delivery.to_bytes()]);
    secret::same(mac, expected.get(..MAC_BYTES)?).then_some((project, delivery))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_token_opens_nothing() {
        let made = token(b"secret", ProjectNo(1), DeliveryId(7));
        assert_eq!(read_token(b"secret", &made), Some((ProjectNo(1), DeliveryId(7))));
        assert_eq!(read_token(b"other", &made), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&made).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            assert_eq!(read_token(b"secret", &URL_SAFE_NO_PAD.encode(&bytes)), None);
            bytes[place] ^= 1;
        }
    }
}
