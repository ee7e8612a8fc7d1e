//! Hostile definitions: conditions, expressions, templates and addresses that want to be saved.

use serde_json::{Value as Json, json};

use super::{Piece, Saved, Target};
use crate::receiver::Receiver;

/// All of them.
pub(super) fn pieces(target: &Target, receiver: &Receiver) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (name, filter) in filters() {
        let asked = [
            ("/api/v1/audience/estimate", json!({"filter": "@"})),
            ("/api/v1/customers/search", json!({"filter": "@"})),
            ("/api/v1/segments", json!({"name": "hostile", "filter": "@"})),
        ];
        for (path, form) in asked {
            let body = form.to_string().replace("\"@\"", &filter);
            pieces.push(Piece {
                name: format!("{name} at {path}"),
                bytes: target.request("POST", path, "", body.as_bytes()),
                is_about_the_head: false,
                saves: None,
            });
        }
        let banner = json!({"kind": "banner", "text": "Hello"});
        let audience = json!({"kind": "dynamic", "filter": "@"});
        let whole = definition(pieces.len(), &json!({"content": banner, "audience": audience}));
        let body = whole.to_string().replace("\"@\"", &filter);
        pieces.push(saving(target, &format!("{name} as an audience"), pieces.len(), &body));
    }
    for (name, template) in templates() {
        let contents = [
            json!({"kind": "email", "subject": "Hello", "html": template}),
            json!({"kind": "email", "subject": template, "html": "Hello"}),
            json!({"kind": "banner", "text": template}),
            json!({"kind": "webhook", "url": receiver.url("/hostile"), "body": template}),
        ];
        for content in contents {
            let kind = content.get("kind").and_then(Json::as_str).unwrap_or_default().to_owned();
            let whole = definition(pieces.len(), &json!({"content": content}));
            let name = format!("{name} in {kind}");
            pieces.push(saving(target, &name, pieces.len(), &whole.to_string()));
        }
    }
    for (name, fields) in fields(receiver) {
        let whole = definition(pieces.len(), &fields);
        pieces.push(saving(target, &name, pieces.len(), &whole.to_string()));
    }
    pieces
}

fn saving(target: &Target, name: &str, number: usize, body: &str) -> Piece {
    Piece {
        name: name.to_owned(),
        bytes: target.request("POST", "/api/v1/outreaches", "", body.as_bytes()),
        is_about_the_head: false,
        saves: Some(Saved { outreach: id(number), event: id(number) }),
    }
}

fn id(number: usize) -> String {
    format!("hostile-{number}")
}

/// A definition that is sound but for the fields.
fn definition(number: usize, fields: &Json) -> Json {
    let mut whole = json!({
        "name": "Hostile",
        "trigger": {"kind": "event", "event": id(number)},
        "frequency": {"kind": "every_time"},
        "content": {"kind": "banner", "text": "Hello"},
    });
    if let (Some(whole), Some(fields)) = (whole.as_object_mut(), fields.as_object()) {
        for (key, value) in fields {
            whole.insert(key.clone(), value.clone());
        }
    }
    json!({"id": id(number), "definition": whole})
}

/// Conditions, as JSON text since some are deeper than our own JSON goes.
fn filters() -> Vec<(String, String)> {
    let mut filters = Vec::new();
    let leaf = r#"{"kind":"attribute","attribute":"plan","test":{"kind":"is","value":"a"}}"#;
    for depth in [10, 25, 40, 1_000] {
        let nested = r#"{"kind":"all","conditions":["#.repeat(depth) + leaf + &"]}".repeat(depth);
        filters.push((format!("{depth} nested groups"), nested));
        let muted = r#"{"kind":"muted","condition":"#.repeat(depth) + leaf + &"}".repeat(depth);
        filters.push((format!("{depth} nested mutes"), muted));
    }
    for width in [1_000, 8_000] {
        let leaves = vec![leaf; width].join(",");
        filters.push((
            format!("{width} conditions"),
            format!(r#"{{"kind":"any","conditions":[{leaves}]}}"#),
        ));
    }
    let test =
        |test: Json| json!({"kind": "attribute", "attribute": "plan", "test": test}).to_string();
    for pattern in [
        "(a+)+$",
        "(a|a)*b",
        "(?:a{1000}){1000}",
        "(?:(?:a{100}){100}){100}",
        "[",
        "(",
        "\\",
        "(?P<n>a)(?P=n)",
        "(?=a)",
        "\\p{Nonsense}",
        "(?i)\\p{L}{1000}",
        "x*{2,1}",
        "(?u:\\xff)",
        "a{99999999999}",
        "\\x{110000}",
    ] {
        let found = test(json!({"kind": "matches_regex", "pattern": pattern}));
        filters.push((format!("the expression {pattern}"), found));
    }
    let long = test(json!({"kind": "matches_regex", "pattern": "(a?){20}".repeat(5_000)}));
    filters.push(("an expression of 40 KB".to_owned(), long));
    let brackets =
        test(json!({"kind": "matches_regex", "pattern": "(".repeat(500) + &")".repeat(500)}));
    filters.push(("500 nested brackets".to_owned(), brackets));
    let many: Vec<String> = (0..20_000).map(|number| format!("v{number}")).collect();
    filters.push(("20,000 values".to_owned(), test(json!({"kind": "is_any_of", "values": many}))));
    for odd in [
        r#"{"kind":"nonsense"}"#,
        r#"{"kind":"all","conditions":{}}"#,
        r#"{"kind":"all"}"#,
        "[]",
        "7",
        "\"\"",
        r#"{"kind":"attribute","attribute":"a\r\nb","test":{"kind":"is_set"}}"#,
        r#"{"kind":"custom_attribute","attribute":"\u0000","test":{"kind":"is_set"}}"#,
        r#"{"kind":"custom_attribute","attribute":"","test":{"kind":"equals","value":1e308}}"#,
        r#"{"kind":"attribute","attribute":"last_seen","test":{"kind":"more_than_ago","amount":4294967295,"unit":"years"}}"#,
        r#"{"kind":"attribute","attribute":"last_seen","test":{"kind":"before","value":"+999999999-01-01"}}"#,
        r#"{"kind":"event","event":"e","test":{"kind":"count","count":{"kind":"between","min":18446744073709551615,"max":0}}}"#,
        r#"{"kind":"event","event":"e","window":{"kind":"last","amount":4294967295,"unit":"years"}}"#,
        r#"{"kind":"event","event":"e","window":{"kind":"between","from":"-9999-01-01","to":"9999-12-31"}}"#,
        r#"{"kind":"segment","segment":"hostile"}"#,
        r#"{"kind":"bucket","percent":1e308}"#,
    ] {
        filters.push((odd.to_owned(), odd.to_owned()));
    }
    filters
}

fn templates() -> Vec<(String, String)> {
    let mut templates: Vec<(String, String)> = Vec::new();
    for text in [
        "{{ '%2000000000d'|format(1) }}",
        "{{ 'a'|replace('a', 'b'*1000000000) }}",
        "{{ 'a' * 4000000000 }}",
        "{{ range(1000000000)|join(',') }}",
        "{{ range(9999)|list|tojson|replace('1', range(9999)|join) }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set x = 'a' %}{% for i in range(64) %}{% set x = x ~ x %}{% endfor %}{{ x }}",
        "{{ event.properties.a|replace('a', event.properties.a)|replace('a', event.properties.a) }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
        "{% extends 'x' %}",
        "{{ env.HOME }}{{ self }}{{ loop }}{{ debug() }}",
        "{{ 1 / 0 }}{{ 1 % 0 }}{{ 2 ** 100000 }}",
        "{{ 9223372036854775807 + 9223372036854775807 }}",
        "{{ [1]*100000000 }}",
        "{{ event.properties.list[99999999999] }}{{ event.properties['a'][::-1] }}",
        "{{ customer.created_at|date('%9999999999Y') }}",
        "{{ customer.nothing.at.all }}",
        "{{",
        "{%",
        "{#",
        "}}",
        "{{ }}",
        "{% raw %}",
        "{% if %}",
        "{{ a b }}",
        "{{ '",
        "{% endfor %}",
        "{{ customer.name }}\r\nBcc: x@example.com",
        "<script>{{ customer.name|safe }}</script>",
        "{{ 1|nonsense }}{{ nonsense() }}",
    ] {
        templates.push((text.to_owned(), text.to_owned()));
    }
    for (name, part, times) in [
        ("sums", "+1", 16_000_usize),
        ("dots", ".a", 16_000),
        ("pipes", "|upper", 16_000),
        ("brackets", "[0]", 16_000),
        ("calls", "()", 16_000),
    ] {
        templates.push((format!("{times} {name}"), format!("{{{{ a{} }}}}", part.repeat(times))));
    }
    templates
        .push(("16,000 times not".to_owned(), format!("{{{{ {}1 }}}}", "not ".repeat(16_000))));
    let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
    templates.push(("10,000 brackets".to_owned(), brackets));
    let lists = format!("{{{{ {}1{} }}}}", "[".repeat(10_000), "]".repeat(10_000));
    templates.push(("10,000 lists".to_owned(), lists));
    let ifs = "{% if 1 %}".repeat(5_000) + &"{% endif %}".repeat(5_000);
    templates.push(("5,000 ifs".to_owned(), ifs));
    let elifs = "{% if 0 %}".to_owned() + &"{% elif 0 %}".repeat(5_000) + "{% endif %}";
    templates.push(("5,000 elifs".to_owned(), elifs));
    templates.push(("300 KB of text".to_owned(), "x".repeat(300_000)));
    templates
}

/// Other fields, each hostile in its own way.
fn fields(receiver: &Receiver) -> Vec<(String, Json)> {
    let mut fields = Vec::new();
    for url in [
        "file:///etc/passwd",
        "gopher://x",
        "http://[::1",
        "http://",
        "javascript:alert(1)",
        "http://x\r\nHost: y",
        "https://user:password@x",
        "http://x:99999",
        "//x",
        "",
        "{{ customer.name }}",
        "http://\u{0}",
    ] {
        let content = json!({"kind": "webhook", "url": url});
        fields.push((format!("the address {url}"), json!({"content": content})));
    }
    let long = json!({"kind": "webhook", "url": receiver.url(&"/x".repeat(50_000))});
    fields.push(("an address of 100 KB".to_owned(), json!({"content": long})));
    let header = json!([{"name": "a\r\nb", "value": "c\r\nd"}, {"name": "Host", "value": "x"},
        {"name": "", "value": "\u{0}"}, {"name": "Content-Length", "value": "0"}]);
    let hook = json!({"kind": "webhook", "url": receiver.url("/h"), "headers": header});
    fields.push(("hostile headers".to_owned(), json!({"content": hook})));
    let method = json!({"kind": "webhook", "url": receiver.url("/h"), "method": "GET /x\r\n"});
    fields.push(("a hostile method".to_owned(), json!({"content": method})));
    for name in ["", " ", "a\r\nb", "\u{0}", "\u{202e}"] {
        fields.push((format!("the name {name:?}"), json!({"name": name})));
    }
    fields.push(("a name of 100 KB".to_owned(), json!({"name": "n".repeat(100_000)})));
    for amount in [json!(0), json!(-1), json!(4_294_967_295_u32), json!(1e18), json!("1")] {
        let span = json!({"amount": amount, "unit": "years"});
        let trigger = json!({"kind": "event", "event": "e", "delay": span});
        fields.push((format!("a delay of {amount} years"), json!({"trigger": trigger})));
        fields.push((format!("expires after {amount} years"), json!({"expires_after": span})));
        let often = json!({"kind": "at_most_once_per", "amount": amount, "unit": "years"});
        fields.push((format!("once per {amount} years"), json!({"frequency": often})));
    }
    for moment in [
        "+999999999-01-01T00:00:00Z",
        "-9999-01-01",
        "0000-00-00",
        "never",
        "\u{0}",
        "9999-12-31T23:59:60Z",
    ] {
        let schedule = json!({"start": moment, "stop": moment});
        fields.push((format!("the schedule {moment:?}"), json!({"schedule": schedule})));
    }
    let tags: Vec<String> = (0..5_000).map(|number| format!("tag{number}\r\n")).collect();
    fields.push(("5,000 tags".to_owned(), json!({"tags": tags})));
    let quiet = json!({"quiet_hours": {"from": "99:99", "to": "-1:00"}});
    fields.push(("nonsense quiet hours".to_owned(), json!({"guardrails": quiet})));
    let pages = json!([{"kind": "matches_regex", "pattern": "(a+)+["}]);
    fields.push(("hostile pages".to_owned(), json!({"pages": pages})));
    fields.push(("an unknown field".to_owned(), json!({"nonsense": 1})));
    fields
}
