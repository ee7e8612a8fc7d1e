//! The description of the API: `openapi.json`, a page to read, and a page per error.
//!
//! All of it comes from the handlers themselves. The page is plain HTML and CSS without a script
//! or an address outside, so it works on a machine without a network and under any policy.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing};
use serde_json::Value as Json;

use super::App;
use super::error::{ApiError, Code};

/// The routes of this room.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/openapi.json", routing::get(openapi))
        .route("/docs", routing::get(docs))
        .route("/errors/{code}", routing::get(error_page))
}

async fn openapi(State(app): State<App>) -> Response {
    let kind = (header::CONTENT_TYPE, "application/json");
    ([kind], app.openapi.clone()).into_response()
}

async fn docs(State(app): State<App>) -> Result<Html<String>, ApiError> {
    let api: Json = serde_json::from_str(&app.openapi).map_err(ApiError::internal)?;
    Ok(Html(page("Tidings: the API", &api_as_html(&api))))
}

async fn error_page(Path(code): Path<String>) -> Result<Html<String>, ApiError> {
    let known = Code::ALL.iter().find(|known| known.code() == code);
    let known = known.ok_or_else(|| super::no_such_route(&format!("/errors/{code}")))?;
    Ok(Html(page(known.code(), &markdown_as_html(known.page()))))
}

/// A whole page around a body.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{STYLE}</style>\
         <body><main>{body}</main></body></html>",
        escape(title)
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.55 system-ui,sans-serif;margin:0}\
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 5rem}\
h1{font-size:1.9rem}h2{margin-top:2.5rem}h3{margin:2rem 0 .25rem;font-size:1.05rem}\
code,pre{font:.9em ui-monospace,monospace}pre{overflow:auto;padding:1rem;border:1px solid #8884}\
table{border-collapse:collapse;width:100%;margin:.5rem 0}\
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-top:1px solid #8884}\
th{font-weight:600}.method{display:inline-block;min-width:4.2em;font-weight:700}\
summary{cursor:pointer}.muted{opacity:.7}iframe{width:100%;height:70vh;border:1px solid #8884}";

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The little Markdown that our own pages use: headings, paragraphs, `code`.
fn markdown_as_html(text: &str) -> String {
    let mut out = String::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let (tag, text) = match block.strip_prefix("## ") {
            Some(heading) => ("h2", heading),
            None => match block.strip_prefix("# ") {
                Some(heading) => ("h1", heading),
                None => ("p", block),
            },
        };
        out.push_str(&format!("<{tag}>{}</{tag}>", with_code(text)));
    }
    out
}

/// Text with what stands between backticks set as code.
fn with_code(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split('`').enumerate() {
        let part = escape(part);
        match place % 2 {
            0 => out.push_str(&part),
            _ => out.push_str(&format!("<code>{part}</code>")),
        }
    }
    out
}

fn api_as_html(api: &Json) -> String {
    let text = |pointer: &str| api.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let mut out = format!(
        "<h1>{}</h1><p class=\"muted\">Version {} · <a href=\"/openapi.json\">openapi.json</a></p>",
        escape(text("/info/title")),
        escape(text("/info/version"))
    );
    for block in text("/info/description").split("\n\n") {
        out.push_str(&format!("<p>{}</p>", with_code(block)));
    }
    let mut group = String::new();
    for (path, methods) in objects(api.get("paths")) {
        for (method, operation) in objects(Some(methods)) {
            let tag = operation.pointer("/tags/0").and_then(Json::as_str).unwrap_or_default();
            if tag != group {
                group = tag.to_owned();
                out.push_str(&format!("<h2>{}</h2>", escape(tag)));
            }
            out.push_str(&operation_as_html(method, path, operation));
        }
    }
    out.push_str("<h2>Shapes</h2>");
    for (name, schema) in objects(api.pointer("/components/schemas")) {
        out.push_str(&schema_as_html(name, schema));
    }
    out
}

fn operation_as_html(method: &str, path: &str, operation: &Json) -> String {
    let text = |key: &str| operation.get(key).and_then(Json::as_str).unwrap_or_default();
    let mut out = format!(
        "<h3><span class=\"method\">{}</span> <code>{}</code></h3><p>{}",
        method.to_uppercase(),
        escape(path),
        with_code(text("summary"))
    );
    if !text("description").is_empty() {
        out.push_str(&format!("<br>{}", with_code(text("description"))));
    }
    out.push_str("</p><table>");
    for parameter in operation.get("parameters").and_then(Json::as_array).into_iter().flatten() {
        let part = |key: &str| parameter.get(key).and_then(Json::as_str).unwrap_or_default();
        out.push_str(&format!(
            "<tr><td><code>{}</code> <span class=\"muted\">{}</span></td><td>{}</td></tr>",
            escape(part("name")),
            escape(part("in")),
            with_code(part("description"))
        ));
    }
    if let Some(schema) = operation.pointer("/requestBody/content").and_then(first_schema) {
        out.push_str(&format!("<tr><td>body</td><td>{}</td></tr>", type_name(schema)));
    }
    for (status, response) in objects(operation.get("responses")) {
        let says = response.get("description").and_then(Json::as_str).unwrap_or_default();
        let shape = response.get("content").and_then(first_schema).map(type_name);
        let shape = shape.map(|shape| format!(" — {shape}")).unwrap_or_default();
        out.push_str(&format!("<tr><td>{status}</td><td>{}{shape}</td></tr>", with_code(says)));
    }
    out.push_str("</table>");
    out
}

fn schema_as_html(name: &str, schema: &Json) -> String {
    let says = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    let name = escape(name);
    let mut out = format!("<h3 id=\"{name}\"><code>{name}</code></h3><p>{}</p>", with_code(says));
    let variants = schema.get("oneOf").and_then(Json::as_array);
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        let words: Vec<String> = words
            .iter()
            .map(|word| format!("<code>{}</code>", escape(&word.to_string())))
            .collect();
        out.push_str(&format!("<p>{}</p>", words.join(", ")));
    }
    out.push_str("<table>");
    out.push_str(&fields_as_html(schema));
    for variant in variants.into_iter().flatten() {
        let kind = variant.pointer("/properties/kind/enum/0").and_then(Json::as_str);
        let says = variant.get("description").and_then(Json::as_str).unwrap_or_default();
        if let Some(kind) = kind {
            out.push_str(&format!(
                "<tr><th><code>kind: {}</code></th><th>{}</th></tr>",
                escape(kind),
                with_code(says)
            ));
        }
        out.push_str(&fields_as_html(variant));
    }
    out.push_str("</table>");
    out
}

fn fields_as_html(schema: &Json) -> String {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let mut out = String::new();
    for (name, field) in objects(schema.get("properties")).filter(|(name, _)| *name != "kind") {
        let says = field.get("description").and_then(Json::as_str).unwrap_or_default();
        let optional = if required.contains(&name) { "" } else { "?" };
        out.push_str(&format!(
            "<tr><td><code>{}{optional}</code> {}</td><td>{}</td></tr>",
            escape(name),
            type_name(field),
            with_code(says)
        ));
    }
    out
}

/// The type of a schema in a word or two, with a link where it has a name.
fn type_name(schema: &Json) -> String {
    if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
        let name = escape(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    for key in ["oneOf", "allOf", "anyOf"] {
        if let Some(choices) = schema.get(key).and_then(Json::as_array) {
            let names: Vec<String> = choices.iter().map(type_name).collect();
            return names.join(" or ");
        }
    }
    match schema.get("type") {
        Some(Json::String(name)) if name == "array" => {
            format!("list of {}", schema.get("items").map(type_name).unwrap_or_default())
        }
        Some(Json::String(name)) => escape(name),
        Some(Json::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Json::as_str).collect();
            escape(&names.join(" or "))
        }
        _ => "any".to_owned(),
    }
}

fn first_schema(content: &Json) -> Option<&Json> {
    content.as_object()?.values().next()?.get("schema")
}

fn objects(json: Option<&Json>) -> impl Iterator<Item = (&str, &Json)> {
    json.and_then(Json::as_object).into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        assert_eq!(with_code("a `<b>` & c"), "a <code>&lt;b&gt;</code> &amp; c");
        let html = markdown_as_html("# title\n\n## part\n\nsome `code`");
        assert_eq!(html, "<h1>title</h1><h2>part</h2><p>some <code>code</code></p>");
    }
}
