//! Who calls: the key, wherever clients put it, and the project it opens.
//!
//! Two doors. [`Ingest`] takes any key, from the header, the query or the body, since browsers
//! cannot set headers on a beacon. [`Team`] takes a secret key from a header only: a key in a query
//! ends up in logs. Whether the caller of an in-app endpoint *is* the customer they name is not
//! asked here: [`prove_identity`] is the one place for that.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use engine::fact::Names;
use engine::ids::ProjectNo;

use super::App;
use super::error::{ApiError, Code};
use crate::keys::KeyKind;

/// A caller with a valid key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The number of the key's project.
    pub project: ProjectNo,
    /// Its id.
    pub project_id: String,
    /// What the key is for.
    pub kind: KeyKind,
    /// The key's id; the author of what the caller changes.
    pub key_id: String,
}

/// A caller of the REST API: a secret key in the `Authorization` header.
pub struct Team(pub Caller);

impl FromRequestParts<App> for Team {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Team, ApiError> {
        let caller = find_caller(app, from_header(&parts.headers).as_deref())?;
        match caller.kind {
            KeyKind::Secret | KeyKind::Admin => Ok(Team(caller)),
            KeyKind::Public => Err(ApiError::new(
                Code::KeyNotAllowed,
                "this is a public key; the REST API takes a secret key (sk_…)",
            )),
        }
    }
}

impl Team {
    /// The caller, when they may act on the whole installation.
    ///
    /// # Errors
    /// The key is bound to its project.
    pub fn admin(self) -> Result<Caller, ApiError> {
        match self.0.kind {
            KeyKind::Admin => Ok(self.0),
            KeyKind::Public | KeyKind::Secret => Err(ApiError::new(
                Code::KeyNotAllowed,
                "what concerns the whole installation takes an admin key: tidings keys create --admin",
            )),
        }
    }
}

/// The caller a key belongs to.
pub(crate) fn find_caller(app: &App, key: Option<&str>) -> Result<Caller, ApiError> {
    let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) else {
        return Err(ApiError::new(Code::MissingKey, "send a key, for example as Basic user name"));
    };
    let row = app.keys.find(key).ok_or_else(|| {
        let start: String = key.chars().take(8).collect();
        ApiError::new(Code::UnknownKey, format!("the key {start:?}… is not known here"))
    })?;
    let project = app.project_no(&row.project).ok_or_else(|| {
        ApiError::new(Code::UnknownKey, format!("the project {:?} is gone", row.project))
    })?;
    Ok(Caller { project, project_id: row.project, kind: row.kind, key_id: row.id })
}

/// The key of the `Authorization` header: a bearer token, or the user name of Basic.
pub(crate) fn from_header(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(rest)
        .or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(rest))
        .ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    // Some clients leave the colon out.
    let user = pair.split_once(':').map_or(pair.as_str(), |(user, _)| user);
    Some(user.to_owned())
}

/// The seam for a proof that the holder of a public key is the customer they name (a signed token
/// from the site's own server). Until there is one, a public key is believed, as with Segment.
///
/// # Errors
/// Never, so far.
pub(crate) fn prove_identity(
    caller: &Caller,
    names: &Names,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let _ = (caller, names, headers);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        from_header(&headers)
    }

    #[test]
    fn keys_are_found_in_every_header_clients_send() {
        assert_eq!(header("Bearer sk_a_1").as_deref(), Some("sk_a_1"));
        assert_eq!(header("Basic YWJjMTIzOg==").as_deref(), Some("abc123"));
        assert_eq!(header("basic YWJjMTIz").as_deref(), Some("abc123"));
        assert_eq!(header("Digest x"), None);
        assert_eq!(header("Basic %%%"), None);
    }
}
