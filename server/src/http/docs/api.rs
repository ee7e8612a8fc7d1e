//! The description of the API as a page to read, group by group in the order of the tags.

use serde_json::Value as Json;

use crate::http::page::{escape, with_code};

/// The page's body. `base` is the address in the examples.
pub(super) fn as_html(api: &Json, base: &str) -> String {
    let text = |pointer: &str| api.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let mut contents = String::new();
    let mut body = format!(
        "<h1>The API</h1><p class=\"muted\">Version {} · <a href=\"/openapi.json\">openapi.json</a> \
         · <a href=\"/errors\">errors</a></p>",
        escape(text("/info/version"))
    );
    for block in text("/info/description").split("\n\n") {
        body.push_str(&format!("<p>{}</p>", with_code(block)));
    }
    for tag in api.get("tags").and_then(Json::as_array).into_iter().flatten() {
        let part = |key: &str| tag.get(key).and_then(Json::as_str).unwrap_or_default();
        let (name, anchor) = (escape(part("name")), anchor(part("name")));
        contents.push_str(&format!("<li><a href=\"#{anchor}\">{name}</a></li>"));
        body.push_str(&format!(
            "<section aria-labelledby=\"{anchor}\"><h2 id=\"{anchor}\">{name}</h2><p>{}</p>",
            with_code(part("description"))
        ));
        body.push_str(&group_as_html(api, part("name"), base));
        body.push_str("</section>");
    }
    contents.push_str("<li><a href=\"#shapes\">Shapes</a></li>");
    body.push_str("<section><h2 id=\"shapes\">Shapes</h2><p>What the bodies consist of.</p>");
    for (name, schema) in objects(api.pointer("/components/schemas")) {
        body.push_str(&schema_as_html(api, name, schema));
    }
    format!(
        "<div class=\"api\"><nav class=\"toc\" aria-label=\"On this page\"><ul>{contents}</ul></nav>\
         <div>{body}</section></div></div>"
    )
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

fn group_as_html(api: &Json, tag: &str, base: &str) -> String {
    let mut operations = Vec::new();
    for (path, methods) in objects(api.get("paths")) {
        for (method, operation) in objects(Some(methods)) {
            if operation.pointer("/tags/0").and_then(Json::as_str) == Some(tag) {
                operations.push((method, path, operation));
            }
        }
    }
    if let Some(place) = FIRST.iter().find(|(name, _)| *name == tag) {
        operations.sort_by_key(|(_, path, _)| {
            place.1.iter().position(|first| first == path).unwrap_or(usize::MAX)
        });
    }
    operations
        .into_iter()
        .map(|(method, path, operation)| operation_as_html(method, path, operation, base))
        .collect()
}

/// What a newcomer needs first stands first; the rest goes by address.
const FIRST: &[(&str, &[&str])] =
    &[("Send events", &["/v1/track", "/v1/identify", "/v1/collect", "/v1/batch", "/v1/import"])];

fn operation_as_html(method: &str, path: &str, operation: &Json, base: &str) -> String {
    let text = |key: &str| operation.get(key).and_then(Json::as_str).unwrap_or_default();
    let mut out = format!(
        "<article class=\"op\" id=\"{}\"><div class=\"route\"><span class=\"method\">{}</span> \
         <code>{}</code></div><h3>{}</h3>",
        escape(text("operationId")),
        method.to_uppercase(),
        breakable(path),
        with_code(text("summary").trim_end_matches('.'))
    );
    if !text("description").is_empty() {
        out.push_str(&format!("<p>{}</p>", with_code(text("description"))));
    }
    let mut rows = String::new();
    for parameter in operation.get("parameters").and_then(Json::as_array).into_iter().flatten() {
        let part = |key: &str| parameter.get(key).and_then(Json::as_str).unwrap_or_default();
        rows.push_str(&row(
            &format!(
                "<code>{}</code> <span class=\"muted\">{}</span>",
                escape(part("name")),
                escape(part("in"))
            ),
            &with_code(part("description")),
        ));
    }
    let content = operation.pointer("/requestBody/content");
    if let Some(schema) = content.and_then(first_schema) {
        rows.push_str(&row("body", &type_name(schema)));
    }
    if !rows.is_empty() {
        out.push_str(&format!("<h4>Request</h4><dl>{rows}</dl>"));
    }
    if let Some(example) = content.and_then(first_example) {
        out.push_str(&format!("<pre>{}</pre>", escape(&curl(operation, path, example, base))));
    }
    out.push_str(&answers_as_html(operation));
    out.push_str("</article>");
    out
}

fn answers_as_html(operation: &Json) -> String {
    let (mut good, mut bad) = (String::new(), String::new());
    for (status, response) in objects(operation.get("responses")) {
        let says = response.get("description").and_then(Json::as_str).unwrap_or_default();
        let shape = response.get("content").and_then(first_schema).map(type_name);
        let class = status.chars().next().unwrap_or('0');
        let name = if status == "default" { "other" } else { status };
        let name = format!("<span class=\"status s{}\">{name}</span>", escape(&class.to_string()));
        match class {
            '1' | '2' | '3' => {
                let shape = shape.map(|shape| format!(" — {shape}")).unwrap_or_default();
                good.push_str(&row(&name, &format!("{}{shape}", with_code(says))));
            }
            // They all have the same shape, which the head of the page names.
            _ => bad.push_str(&row(&name, &with_code(says))),
        }
    }
    let mut out = format!("<h4>Answer</h4><dl>{good}</dl>");
    if !bad.is_empty() {
        out.push_str(&format!("<details><summary>When it fails</summary><dl>{bad}</dl></details>"));
    }
    out
}

/// A call that can be pasted into a terminal, once the key is filled in.
fn curl(operation: &Json, path: &str, example: &Json, base: &str) -> String {
    let with_basic = operation
        .get("security")
        .and_then(Json::as_array)
        .is_some_and(|ways| ways.iter().any(|way| way.get("write_key").is_some()));
    let key = if with_basic { "-u pk_…:" } else { "-H 'Authorization: Bearer sk_…'" };
    format!("curl {base}{path} \\\n  {key} \\\n  -d '{}'", pretty(example, "  "))
}

/// JSON as a person would write it: who before what, and on one line what fits there.
fn pretty(json: &Json, indent: &str) -> String {
    const LINE: usize = 40;
    const FIRST: &[&str] =
        &["type", "previousId", "userId", "anonymousId", "groupId", "event", "name"];
    let inner = format!("{indent}  ");
    let (open, parts, close) = match json {
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            let place = |key: &str| FIRST.iter().position(|first| *first == key);
            fields.sort_by_key(|(key, _)| place(key).unwrap_or(FIRST.len()));
            let field = |(key, value)| format!("\"{key}\": {}", pretty(value, &inner));
            ('{', fields.into_iter().map(field).collect::<Vec<String>>(), '}')
        }
        Json::Array(items) => ('[', items.iter().map(|item| pretty(item, &inner)).collect(), ']'),
        other => return other.to_string(),
    };
    let line = format!("{open}{}{close}", parts.join(", "));
    if line.len() <= LINE && !line.contains('\n') {
        return line;
    }
    format!("{open}\n{inner}{}\n{indent}{close}", parts.join(&format!(",\n{inner}")))
}

fn row(name: &str, says: &str) -> String {
    format!("<div><dt>{name}</dt><dd>{says}</dd></div>")
}

/// A path that a narrow page may break after its slashes.
fn breakable(path: &str) -> String {
    escape(path).replace('/', "/<wbr>")
}

fn first_example(content: &Json) -> Option<&Json> {
    content.as_object()?.values().next()?.get("example")
}

fn schema_as_html(api: &Json, name: &str, schema: &Json) -> String {
    let says = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    let name = escape(name);
    let mut out = format!(
        "<article class=\"op\" id=\"{name}\"><h3><code>{name}</code></h3><p>{}</p>",
        with_code(says)
    );
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        let words = words.iter().map(|word| word.as_str().map_or(word.to_string(), str::to_owned));
        let words: Vec<String> =
            words.map(|word| format!("<code>{}</code>", escape(&word))).collect();
        out.push_str(&format!("<p>{}</p>", words.join(", ")));
    }
    let fields = fields_as_html(api, schema);
    if !fields.is_empty() {
        out.push_str(&format!("<dl>{fields}</dl>"));
    }
    for variant in schema.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        let kind = variant.pointer("/properties/kind/enum/0").and_then(Json::as_str);
        let says = variant.get("description").and_then(Json::as_str).unwrap_or_default();
        if let Some(kind) = kind {
            out.push_str(&format!(
                "<p class=\"kind\"><code>kind: {}</code> {}</p>",
                escape(kind),
                with_code(says)
            ));
        }
        let fields = fields_as_html(api, variant);
        if !fields.is_empty() {
            out.push_str(&format!("<dl>{fields}</dl>"));
        }
    }
    out.push_str("</article>");
    out
}

/// The fields of a shape, with those of the shapes it is made of.
fn fields_as_html(api: &Json, schema: &Json) -> String {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let mut out = String::new();
    for part in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
        let named = part.get("$ref").and_then(Json::as_str);
        let part = named.and_then(|name| api.pointer(name.trim_start_matches('#'))).unwrap_or(part);
        out.push_str(&fields_as_html(api, part));
    }
    for (name, field) in objects(schema.get("properties")).filter(|(name, _)| *name != "kind") {
        let says = field.get("description").and_then(Json::as_str).unwrap_or_default();
        let optional = if required.contains(&name) { "" } else { "?" };
        out.push_str(&row(
            &format!(
                "<code>{}{optional}</code> <span class=\"muted\">{}</span>",
                escape(name),
                type_name(field)
            ),
            &with_code(says),
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
