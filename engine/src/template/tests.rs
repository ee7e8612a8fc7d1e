use super::*;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

fn ann() -> Json {
    json!({
        "customer": {
            "first_name": "Ann", "html": "Ann <b>", "empty": "", "nothing": null, "plan": "pro", "age": 80.0,
            "joined": "2026-03-05T10:00:00Z", "born": "1990-12-24", "tags": ["b", "a", "b"],
            "odd": "say \"hi\"\n\\ 詳細 🚀 </script>\u{1}", "score": 12.5, "vip": true
        },
        "event": {"properties": {"total": 1234.5, "count": 1, "items": [
            {"name": "Tea", "price": 4}, {"name": "Cup & saucer", "price": 12.5}
        ]}}
    })
}

fn text(source: &str) -> String {
    render(source, Target::Text)
}

fn render(source: &str, target: Target) -> String {
    try_render(source, target).unwrap_or_else(|refusal| panic!("{source}: {refusal}"))
}

fn try_render(source: &str, target: Target) -> Result<String, Refusal> {
    compiled(source, target).render(&ann())
}

fn compiled(source: &str, target: Target) -> Template {
    Template::compile(source, target).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn error(source: &str) -> TemplateError {
    match Template::compile(source, Target::Html) {
        Ok(_) => panic!("compiles: {source}"),
        Err(error) => error,
    }
}

#[test]
fn says_what_it_should() {
    let cases = [
        ("Hello {{ customer.first_name | default(\"there\") }}!", "Hello Ann!"),
        ("Hello {{ customer.nick | default(\"there\") }}!", "Hello there!"),
        ("Hello {{ customer.nothing | default('there') }}!", "Hello there!"),
        ("Hello {{ customer.empty | default('there') }}!", "Hello there!"),
        ("Hello {{ customer.nick or 'there' }}!", "Hello there!"),
        (
            "{{ customer.age }} {{ customer.score }} {{ customer.vip }} {{ customer.nothing }}.",
            "80 12.5 true .",
        ),
        ("[{{ nope.deep.er }}{{ customer.nothing.deep }}{{ nope['a'][0].b }}]", "[]"),
        ("{{ 'a' ~ customer.nothing ~ customer.nope ~ 1 }}", "a1"),
        ("{{ event.properties.total | number(2) }}", "1,234.50"),
        ("{{ event.properties.total | number(2, '.', ',') }}", "1.234,50"),
        (
            "{{ 1234567 | number }} {{ -1000 | number }} {{ '12' | number(1) }} {{ nope | number }}",
            "1,234,567 -1,000 12.0 ",
        ),
        ("{{ -0.001 | number(2) }}", "0.00"),
        (
            "{{ 2 * customer.age|int + -1 * 3 }} {{ 'a' + 'b' }} {{ 2 * nope|default(4) * (1 + 1) }}",
            "157 ab 16",
        ),
        ("{% if 5 in [2 * 2 + 1, 7] and 2 * 2 == 4 %}yes{% endif %}", "yes"),
        ("{{ 1.5e+1 * 2 }} {{ 1e2 }}", "30 100"),
        ("{{ 10 / 2 }} {{ 7 // 2 }} {{ 1 + 1 }}", "5 3 2"),
        ("{{ event.properties.count }} item{{ event.properties.count | pluralize }}", "1 item"),
        (
            "{{ 2 }} item{{ 2 | pluralize }}, cit{{ 2 | pluralize('y', 'ies') }}, box{{ 3 | pluralize('es') }}",
            "2 items, cities, boxes",
        ),
        ("{{ customer.joined | date }}", "5 March 2026"),
        ("{{ customer.joined | date('%-d %B %Y %H:%M', 'Asia/Tokyo') }}", "5 March 2026 19:00"),
        ("{{ customer.born | date('%a %-d.%-m.') }}[{{ nope | date }}]", "Mon 24.12.[]"),
        ("{{ 0 | date('%Y') }} {{ 1772704800000 | date('%Y-%m-%d') }}", "1970 2026-03-05"),
        (
            "{{ customer.tags | join(', ') }}|{{ customer.tags | unique | sort | join }}",
            "b, a, b|ab",
        ),
        ("{{ event.properties.items | join(' + ', 'name') }}", "Tea + Cup & saucer"),
        (
            "{{ customer.tags | first }}{{ customer.tags | last }}{{ customer.tags | length }}{{ nope | length }}",
            "bb30",
        ),
        ("{{ customer.tags | reverse | join }} {{ 'abc' | reverse }}", "bab cba"),
        (
            "{{ 'hello wORLD' | title }} {{ 'hELLO' | capitalize }} {{ ' x ' | trim }}",
            "Hello World Hello x",
        ),
        (
            "{{ 'a long sentence' | truncate(8) }}|{{ 'short' | truncate(5) }}|{{ 'abcdef' | truncate(3, '') }}",
            "a long…|short|abc",
        ),
        ("{{ 'aXa' | replace('a', 'b') }}{{ 'a' | replace('', 'b') }}", "bXba"),
        (
            "{{ 12.345 | round(1) }} {{ 12.5 | round }} {{ '7' | int }} {{ -3 | abs }} {{ nope | round }}",
            "12.3 13 7 3 ",
        ),
        ("{{ 'a b&c' | urlencode }} {{ customer.tags | tojson }}", "a%20b%26c [\"b\",\"a\",\"b\"]"),
        (
            "{% for item in event.properties.items %}{{ loop.index }}:{{ item.name }} {% endfor %}",
            "1:Tea 2:Cup & saucer ",
        ),
        ("{% for item in nope.items %}x{% else %}none{% endfor %}", "none"),
        ("{% if customer.plan in ['pro', 'team'] %}yes{% endif %}", "yes"),
        (
            "{% if nope == none and customer.nothing is none and customer.plan is not none %}yes{% endif %}",
            "yes",
        ),
        ("{% if customer.nothing is defined %}no{% else %}yes{% endif %}", "yes"),
        (
            "{% macro price(amount, sign='€') %}{{ amount | number(2) }} {{ sign }}{% endmacro %}{{ price(5) }}",
            "5.00 €",
        ),
        ("{% set total = 0 %}{% set total = total + 2 %}{{ total }}", "2"),
        ("{% set x %}a{{ customer.first_name }}{% endset %}{{ x | upper }}", "AANN"),
        ("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}", "3"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}{{ range(1, 9, 4) | join('-') }}", "0121-5"),
        ("{% raw %}{{ x }}{% endraw %}{# gone #}\n", "{{ x }}\n"),
        ("{%- if true -%} a {%- endif -%}", "a"),
    ];
    for (source, expected) in cases {
        assert_eq!(text(source), expected, "{source}");
    }
}

#[test]
fn html_escapes_unless_told_that_it_is_safe() {
    assert_eq!(
        render("{{ customer.html }} & '{{ \"'\" }}'", Target::Html),
        "Ann &lt;b&gt; & '&#39;'"
    );
    assert_eq!(render("{{ customer.html | safe }}", Target::Html), "Ann <b>");
    assert_eq!(render("{{ customer.html | upper }}", Target::Html), "ANN &lt;B&gt;");
    assert_eq!(
        render("{{ customer.html | e }}{{ customer.html | default('x') }}", Target::Html),
        "Ann &lt;b&gt;Ann &lt;b&gt;"
    );
    assert_eq!(
        render("{% set x %}<i>{{ customer.html }}</i>{% endset %}{{ x }}", Target::Html),
        "<i>Ann &lt;b&gt;</i>"
    );
    assert_eq!(render("{{ '<br>' | safe ~ customer.html }}", Target::Html), "<br>Ann &lt;b&gt;");
    assert_eq!(render("{{ [customer.html] }}", Target::Html), "[&quot;Ann &lt;b&gt;&quot;]");
    let script = render("<script>x = {{ customer.odd | tojson }}</script>", Target::Html);
    assert_eq!(script.matches('<').count(), 2);
}

#[test]
fn text_is_left_alone() {
    assert_eq!(text("{{ customer.html }} {{ customer.html | safe }}"), "Ann <b> Ann <b>");
}

#[test]
fn urls_take_values_only_as_values() {
    let url = |source| render(source, Target::Url);
    assert_eq!(
        url("https://x.io/?n={{ customer.html }}&t={{ event.properties.total }}"),
        "https://x.io/?n=Ann%20%3Cb%3E&t=1234.5"
    );
    assert_eq!(
        url("/{{ 'ä/../?' }}/{{ 'a b' | urlencode }}/{{ nope }}"),
        "/%C3%A4%2F..%2F%3F/a%20b/"
    );
    assert_eq!(
        url("{% set q %}a {{ customer.html }}{% endset %}?q={{ q }}"),
        "?q=a%20Ann%20%3Cb%3E"
    );
    assert_eq!(url("{{ '<' | escape }}"), "%26lt%3B");
    assert!(Template::compile("{{ x | safe }}", Target::Url).is_err());
}

#[test]
fn json_is_valid_whatever_the_values_are() {
    let source = "{\"total\": {{ event.properties.total }}, \"name\": {{ customer.name }} , \
        \"text\": \"Hi {{ customer.name }}, \\\"you\\\"\", \"all\": {{ customer | tojson }}, \"tags\": {{ customer.tags }} }";
    let template = compiled(source, Target::Json);
    assert!(!compiled("{\"a\": \"{{ x }}\"}", Target::Json).can_refuse());
    let odd = ann()["customer"]["odd"].clone();
    for name in [
        odd,
        json!(null),
        json!(80.0),
        json!({"a": [1, {"b": null}]}),
        json!([]),
        json!(true),
        json!("\u{2028}{{ x }}"),
    ] {
        let context = json!({"customer": {"name": name, "tags": ["x", null]}, "event": {"properties": {"total": name}}});
        let parsed: Json = serde_json::from_str(&template.render(&context).unwrap()).unwrap();
        let expected = if name == json!(80.0) { json!(80) } else { name.clone() };
        assert_eq!(parsed["name"], expected);
        assert_eq!(parsed["total"], expected);
        assert_eq!(parsed["all"]["name"], expected);
        assert_eq!(parsed["tags"], json!(["x", null]));
        if let Some(text) = name.as_str() {
            assert_eq!(parsed["text"], json!(format!("Hi {text}, \"you\"")));
        }
    }
}

#[test]
fn json_holds_through_loops_sets_and_macros() {
    let source = "{% set hello %}Hi \"{{ customer.html }}\"{% endset %}{\"hello\": {{ hello }}, \"list\": [{% for item in \
        event.properties.items %}{{ item.name }}{% if not loop.last %},{% endif %}{% endfor %}]}";
    let parsed: Json = serde_json::from_str(&render(source, Target::Json)).unwrap();
    assert_eq!(parsed, json!({"hello": "Hi \"Ann <b>\"", "list": ["Tea", "Cup & saucer"]}));
    let refused =
        try_render("{\"a\": {% if customer.vip %}oops{% endif %} }", Target::Json).unwrap_err();
    assert!(matches!(refused, Refusal::Failed { .. }), "{refused}");
    let error = Template::compile("{\"a\": {{ x }},}", Target::Json).unwrap_err();
    assert!(error.message.contains("check commas"), "{error}");
}

#[test]
fn aborts_with_its_reason() {
    let aborted = |reason: &str| Err(Refusal::Aborted { reason: reason.into() });
    assert_eq!(try_render("{% abort \"no cart\" %}", Target::Html), aborted("no cart"));
    assert_eq!(try_render("{{ abort('no cart') }}", Target::Json), aborted("no cart"));
    assert_eq!(
        try_render("{%- abort 'for ' ~ customer.plan -%}", Target::Text),
        aborted("for pro")
    );
    assert_eq!(try_render("{% abort %}", Target::Url), aborted("no reason given"));
    assert_eq!(
        try_render("{{ customer.nick or abort('no nick') }}", Target::Text),
        aborted("no nick")
    );
    assert_eq!(
        try_render("{% macro m() %}{% abort 'deep' %}{% endmacro %}{{ m() }}", Target::Html),
        aborted("deep")
    );
    assert_eq!(text("{% if not customer %}{% abort 'no' %}{% endif %}ok"), "ok");
}

#[test]
fn failing_names_the_line() {
    let failed = try_render("a\n{{ customer.first_name + 1 }}", Target::Text).unwrap_err();
    assert!(failed.to_string().contains("in line 2"), "{failed}");
    let failed = try_render("{{ customer.first_name | date }}", Target::Text).unwrap_err();
    assert!(failed.to_string().contains("needs a date"), "{failed}");
}

#[test]
fn mistakes_say_where_they_are_and_what_to_do() {
    let cases = [
        ("a\n  {{ x | nope }}", 2, 10, "there is no filter `nope`"),
        ("{{ x ", 1, 1, "add `}}`"),
        ("{% if x %}", 1, 1, "add `{% endif %}`"),
        ("{% if x %}{% endfor %}", 1, 11, "add `{% endif %}`"),
        ("{% include 'x' %}", 1, 1, "replace `include` by the text itself"),
        ("{% extends 'x' %}", 1, 1, "stands alone"),
        ("{% import 'x' as y %}", 1, 1, "stands alone"),
        ("{% wat %}", 1, 1, "there is no tag `wat`"),
        ("{{ x.upper() }}", 1, 6, "use a filter"),
        ("{{ upper(x) }}", 1, 4, "`upper` is a filter"),
        ("{{ 'x' | format(1) }}", 1, 10, "there is no filter `format`"),
        ("{{ 'ab }}", 1, 4, "closing quote"),
        ("{{ (x }}", 1, 7, "closes nothing"),
        ("{{ x is divisible }}", 1, 9, "no test"),
        ("{% autoescape false %}{% endautoescape %}", 1, 1, "| safe"),
        ("{# x", 1, 1, "add `#}`"),
        ("{% raw %}", 1, 1, "add `{% endraw %}`"),
        ("{% for x in y recursive %}{% endfor %}", 1, 15, "remove `recursive`"),
        ("ä {% abort 'x' %} {{ 1 2 }}", 1, 24, "check the spelling"),
        ("{{ ü }}", 1, 4, "in quotes"),
        ("{% set or = 1 %}", 1, 8, "choose another name"),
        ("{{ 1. }}", 1, 4, "as in 1.0"),
        ("{% set a.b = 1 %}", 1, 9, "plain name"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", 1, 19, "a macro cannot call a macro"),
    ];
    for (source, line, column, part) in cases {
        let error = error(source);
        assert_eq!((error.line, error.column), (line, column), "{source}: {error}");
        assert!(error.message.contains(part), "{source}: {error}");
    }
}

#[test]
fn knows_its_variables() {
    let cases: [(&str, &[&str]); 19] = [
        ("plain", &[]),
        (
            "{{ customer.first_name | default('x') }} {{ event.properties.total }}",
            &["customer.first_name?", "event.properties.total"],
        ),
        ("{{ b }}{{ a }}{{ b | default('x') }}", &["a", "b"]),
        ("{{ a.b | upper | default('x') }}{{ c or d }}", &["a.b?", "c?", "d"]),
        ("{% if a.b %}{{ a.b }}{{ a.c }}{% endif %}", &["a.b?", "a.c"]),
        ("{% if not a.b %}x{% else %}{{ a.b }}{% endif %}{{ a }}", &["a", "a.b?"]),
        ("{% if a %}{% elif b == c.d %}{{ b }}{% endif %}", &["a?", "b?", "c.d?"]),
        ("{% if a.b.c %}{{ a.b }}{% endif %}{{ a.b.c }}", &["a.b?", "a.b.c"]),
        ("{{ a if a else b }}", &["a?", "b"]),
        (
            "{% for x in a.list %}{{ x.name }}{{ loop.index }}{{ y }}{% endfor %}{{ x }}",
            &["a.list", "x", "y"],
        ),
        ("{% for x in a.list %}{{ x }}{% else %}none{% endfor %}", &["a.list?"]),
        ("{% for k, v in a if v > b %}{{ k }}{% endfor %}", &["a", "b?"]),
        ("{% set n = a.b %}{{ n }}{{ n.c }}", &["a.b"]),
        ("{{ n }}{% set n %}{{ a | trim }}{% endset %}{{ n }}", &["a", "n"]),
        ("{% with n = a %}{{ n }}{% endwith %}{{ n }}", &["a", "n"]),
        (
            "{% macro m(x, y=a) %}{{ x }}{{ y }}{{ z }}{% endmacro %}{{ m(b, y=c) }}",
            &["a", "b", "c", "z"],
        ),
        ("{{ a['b'][0]['c d'] }}{{ a.b.0 }}{{ d[e] }}", &["a.b.0", "a.b.0.c d", "d", "e"]),
        (
            "{{ 'a.b' ~ x }}{% raw %}{{ no }}{% endraw %}{# {{ no }} #}{% abort no_more %}",
            &["no_more", "x"],
        ),
        (
            "{{ a | default(b) | replace(c, 'x') }}{{ a is defined and d is not none }}",
            &["a", "b", "c", "d"],
        ),
    ];
    for (source, expected) in cases {
        let template = compiled(source, Target::Html);
        let mark =
            |one: &Variable| format!("{}{}", one.path, if one.has_fallback { "?" } else { "" });
        let found: Vec<String> = template.variables().iter().map(mark).collect();
        assert_eq!(found, expected, "{source}");
    }
}

#[test]
fn knows_whether_it_can_refuse() {
    for source in [
        "text",
        "",
        "{{ customer.first_name }}",
        "{{ a.b | default('x') | upper }}",
        "{{ 'x' }}{# {{ abort() }} #}",
        "{{ a | title | length }}",
        "{% if a.b == 'x' and not c is defined %}{{ a }}{% elif d %}{% else %}{% endif %}",
    ] {
        assert!(!compiled(source, Target::Html).can_refuse(), "{source}");
        let hostile =
            [json!([1]), json!({"b": [{}]}), json!("x"), json!(1.5), json!(true), json!(null)];
        for value in hostile {
            let context = json!({"customer": value, "a": value, "c": value, "d": value});
            assert!(compiled(source, Target::Html).render(&context).is_ok(), "{source}");
        }
    }
    for source in [
        "{% abort %}",
        "{{ abort('x') }}",
        "{{ a or abort('x') }}",
        "{{ a + 1 }}",
        "{{ a | date }}",
        "{{ a | upper(1) }}",
        "{% for x in a %}{% endfor %}",
        "{{ a | default(b) }}",
        "{% set a = 1 %}",
        "{% if a in b %}{% endif %}",
        "{{ a(b) }}",
    ] {
        if let Ok(template) = Template::compile(source, Target::Html) {
            assert!(template.can_refuse(), "{source}");
        }
    }
}

/// Runs on a thread with the stack the module promises to need, and not for long.
fn survives(source: String, target: Target) -> Result<Result<String, Refusal>, TemplateError> {
    let short: String = source.chars().take(60).collect();
    let run = move || {
        let start = Instant::now();
        let result = Template::compile(&source, target).map(|template| template.render(&ann()));
        (result, start.elapsed())
    };
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(run).unwrap();
    let (result, took) = thread.join().unwrap();
    assert!(took < Duration::from_secs(1), "{short} took {took:?}");
    println!(
        "{took:?} {short} {}",
        match &result {
            Ok(Ok(text)) => format!("{} bytes", text.len()),
            Ok(Err(refusal)) => refusal.to_string(),
            Err(error) => error.to_string(),
        }
    );
    result
}

#[test]
fn what_overflows_the_stack_is_refused_before_parsing() {
    let nest = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for source in [
        format!("{{{{ 1{} }}}}", "+1".repeat(16_000)),
        format!("{{{{ 1{} }}}}", "+1".repeat(2_000)),
        format!("{{{{ a{} }}}}", ".a".repeat(2_000)),
        format!("{{{{ a{} }}}}", "|upper".repeat(1_000)),
        format!("{{{{ {}a }}}}", "not ".repeat(1_500)),
        format!("{{{{ {}a }}}}", "-".repeat(3_000)),
        format!("{{{{ {}a }}}}", "- ".repeat(3_000)),
        format!("{{{{ a{} }}}}", "[0]".repeat(2_000)),
        format!("{{{{ a{} }}}}", "()".repeat(2_000)),
        format!("{{{{ a{} }}}}", " if a else a".repeat(600)),
        format!("{{{{ a{} }}}}", " is defined".repeat(600)),
        format!("{{{{ {} }}}}", nest("[", "", "]", 1_000)),
        format!("{{{{ {} }}}}", nest("(", "1", ")", 1_000)),
        format!("{{{{ {} }}}}", nest("{1:", "1", "}", 1_000)),
        format!("{{{{ {} }}}}", nest("range(", "1", ")", 1_000)),
        format!("{{{{ {} }}}}", "x".repeat(10_000)),
        format!("{{{{ '{}' }}}}", "x".repeat(10_000)),
        nest("{% if a %}", "", "{% endif %}", 5_000),
        nest("{% for a in a %}", "", "{% endfor %}", 1_000),
        nest("{% set a %}", "", "{% endset %}", 1_000),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(20_000)),
        "x".repeat(300_000),
    ] {
        assert!(survives(source, Target::Html).is_err());
    }
}

#[test]
fn what_the_limits_allow_fits_the_stack() {
    let deep =
        format!("{}{}{}", "(".repeat(32), "1".to_owned() + &"**1".repeat(160), ")".repeat(32));
    let brackets = format!("{}{}{}", "[".repeat(32), "not ".repeat(160) + "a", "]".repeat(32));
    let minus = format!("{}{}a{}", "[".repeat(32), "- ".repeat(160), "]".repeat(32));
    let ternary = format!("a{}", " if a else a".repeat(100));
    let calls = format!("{}a{}", "a|default(".repeat(32), ")".repeat(32));
    for inner in [deep, brackets, minus, ternary, calls] {
        for target in [Target::Html, Target::Json] {
            let ifs = 31;
            let elifs = "{% elif b %}".repeat(64);
            let source = format!(
                "{}{elifs}{{% else %}}{{{{ {inner} }}}}{}",
                "{% if a is none %}{% if a %}".repeat(ifs / 2),
                "{% endif %}".repeat(ifs / 2 * 2)
            );
            let result = survives(source, target);
            assert!(result.is_ok(), "{result:?}");
        }
    }
    for wrap in [
        "{% for i in range(1) %}|{% endfor %}",
        "{% set x %}|{% endset %}",
        "{% with x = 1 %}|{% endwith %}",
    ] {
        let (open, close) = wrap.split_once('|').unwrap();
        assert!(
            survives(format!("{}x{}", open.repeat(32), close.repeat(32)), Target::Html)
                .unwrap()
                .is_ok()
        );
    }
}

#[test]
fn bombs_are_refused_quickly() {
    for source in [
        "{{ '%2000000000d' | format(1) }}".to_owned(),
        "{{ 'a' * 10**9 }}".into(),
        "{{ ('a' * 500000) | replace('a', 'b' * 100000) }}".into(),
        "{{ ('a' * 300000) | replace('a', 'bbbbbbbbbbbb') }}".into(),
        "{{ range(10000) | join('x' * 100000) }}".into(),
        "{{ ([1] * 10**9) | join }}".into(),
        "{{ ([1] * 10**9) | length + ([1] * 10**9) | sort }}".into(),
        "{{ [1] * 10**9 }}".into(),
        "{{ [1] * 10**9 | tojson }}".into(),
        "{{ ([1] * 10**9) ~ 'x' }}".into(),
        "{{ event.properties.items * 1000000000 ~ 'x' }}".into(),
        "{{ ([1] * 10**9) == ([1] * 10**9) }}".into(),
        "{{ ([1] * 10**9) is sequence }}{{ 2 in ([1] * 10**9) }}".into(),
        "{{ [[1] * 10**9] == [[1] * 10**9] }}".into(),
        "{{ ([1] * 10**9)[::2] }}".into(),
        "{{ ([1] * 10**9) | last }}".into(),
        "{{ ([1] * 10**9) | unique }}".into(),
        "{{ ([1] * 10**9) | reverse }}".into(),
        "{% for i in range(1000000000) %}x{% endfor %}".into(),
        "{% for i in range(-9223372036854775807, 9223372036854775807) %}x{% endfor %}".into(),
        "{% for i in [1] * 10**9 %}x{% endfor %}".into(),
        "{% for i in range(10000) %}{% for i in range(10000) %}x{% endfor %}{% endfor %}".into(),
        format!("{{% set x = 'xxxxxxxx' %}}{}{{{{ x }}}}", "{% set x = x ~ x %}".repeat(40)),
        format!("{{% set x = [1] %}}{}{{{{ x }}}}", "{% set x = [x, x] %}".repeat(40)),
        format!("{{% set x = [1] %}}{}{{{{ x }}}}", "{% set x = x + x %}".repeat(60)),
        format!("{{% set x = [1] %}}{}{{{{ x == y }}}}", "{% set x = x, x %}".repeat(60)),
        format!(
            "{{% set x = 'x' %}}{}{{{{ x }}}}",
            "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(40)
        ),
        "{% macro m(x) %}{{ x }}{{ m(x) }}{% endmacro %}{{ m(1) }}".into(),
        "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}".into(),
        "{% macro m(f) %}{{ [f, f] }}{% endmacro %}{{ m([1]) }}".into(),
        "{% for x in [[1]] recursive %}{{ loop([[x]]) }}{% endfor %}".into(),
        "{% for x in [[1]] %}{{ loop([[x]]) }}{% endfor %}".into(),
        "{{ 'x' | truncate(99999999999999999999) }}".into(),
        "{{ customer.joined | date('%1000000000d' * 100) }}".into(),
        "{% for i in range(9000) %}{{ 'x' * 1000 }}{% endfor %}".into(),
        "{% for i in range(9000) %}{{ customer }}{% endfor %}".into(),
        "{{ event.properties.items * 30000000 ~ 'x' }}".into(),
        "{{ 30000000 * event.properties.items ~ 'x' }}".into(),
        "{{ 2 * event['properties'].items|reverse|sort('name') }}".into(),
        "{{ 2 * (event.properties.items) }}".into(),
        "{{ event.properties.items + event.properties.items }}".into(),
        "{{ (event.properties.items, 1) + (1, 2) }}".into(),
        format!(
            "{{% set x = event.properties.items %}}{}{{{{ x }}}}",
            "{% set x = x + x %}".repeat(60)
        ),
        format!("{{% set c = event %}}{{{{ [{}] ~ '' }}}}", "c,".repeat(3000)),
        "{{ 9 ** 9 ** 9 ** 9 ** 9 }}{{ 2 ** 1000000000 }}".into(),
    ] {
        for target in [Target::Html, Target::Json] {
            if let Ok(Ok(text)) = survives(source.clone(), target) {
                panic!("{source} made {} bytes", text.len());
            }
        }
    }
}

#[test]
fn loud_formats_stay_small() {
    for source in [
        "{{ customer.joined | date('%99999999999d') }}",
        "{{ customer.joined | date('%255d%255Y%Q%q%:::z') }}",
        "{{ 1e300 | number(999999) }}",
    ] {
        if let Ok(Ok(text)) = survives(source.into(), Target::Text) {
            assert!(text.len() < 10_000, "{source} made {}", text.len());
        }
    }
}

#[test]
fn long_output_is_too_long() {
    let long = json!({"a": "x".repeat(400_000)});
    let twice = compiled("{{ a }}{{ a }}", Target::Text);
    assert_eq!(twice.render(&long), Err(Refusal::TooLong { bytes: 800_000 }));
    assert!(compiled("{{ a }}", Target::Text).render(&long).is_ok());
}

#[test]
fn deep_contexts_are_cut_off() {
    let deep = (0..60).fold(json!(1), |inner, _| json!({ "a": [inner] }));
    let template = compiled("{{ a }}{{ a | tojson }}{{ a == a }}", Target::Json);
    let render = move || {
        template.render(&deep).map_err(|refusal| refusal.to_string()).map(|text| text.len())
    };
    let result =
        std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(render).unwrap().join();
    assert!(result.is_ok(), "{result:?}");
}

/// Pieces that put every corner of the lexer next to every other.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{",
    "}",
    "%",
    "#",
    "-",
    "+",
    "-}}",
    "-%}",
    "{{-",
    "{%-",
    "{%+",
    " ",
    "\n",
    "\"",
    "'",
    "\\",
    "raw",
    "endraw",
    "if",
    "endif",
    "else",
    "for",
    "endfor",
    "in",
    "set",
    "a",
    "b.c",
    "a.b",
    "default",
    "|",
    "upper",
    "(",
    ")",
    "[",
    "]",
    "1",
    "1.5",
    "1e",
    "1.",
    ".",
    ",",
    "==",
    "=",
    "*",
    "**",
    "~",
    "not",
    "is",
    "none",
    "defined",
    "or",
    "abort",
    "range",
    "{{ boom }}",
    "{{ a.b|default('x') }}",
    "{% raw %}",
    "{% endraw %}",
    "{% if a %}",
    "{% endif %}",
    "{% for a in b %}",
    "{% endfor %}",
    "{# ",
    "ü",
    "x",
    ":",
    "loop",
    "safe",
    "tojson",
];

fn hostile(template: &Template) {
    let values = [
        json!(null),
        json!("<\"'\\\n{{ x }}"),
        json!(-0.5),
        json!([[], {"b": 1}]),
        json!({"b": [1], "c": {}}),
        json!(false),
    ];
    for value in values {
        let result = template.render(&json!({"a": value, "b": value, "boom": value, "x": value}));
        assert!(template.can_refuse() || result.is_ok(), "{:?}: {result:?}", template.source());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn reads_blocks_as_the_engine_does(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..14)) {
        let source = pieces.concat();
        for target in [Target::Html, Target::Text, Target::Url, Target::Json] {
            let Ok(template) = Template::compile(&source, target) else { continue };
            let ours: Vec<&str> = template.variables().iter().filter_map(|one| one.path.split('.').next()).collect();
            let engine = template.compiled.environment.get_template(NAME).unwrap().undeclared_variables(false);
            for name in engine {
                // `{{ a * or }}` is a name to the engine; it can only be a missing one.
                let known = expression::is_keyword(&name)
                    || ours.contains(&name.as_str()) || ["range", "abort", "loop", "self", filters::NIL].contains(&name.as_str());
                assert!(known, "the engine sees `{name}` in {source:?}, we see {ours:?}");
            }
            hostile(&template);
        }
    }

    #[test]
    fn expressions_never_harm(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 1..9)) {
        for around in ["{{ a | }}", "{{ | }}", "{% if | %}x{% endif %}", "{% set x = | %}{{ x }}", "\"{{ | }}\""] {
            let source = around.replacen('|', &pieces.join(" "), 1);
            for target in [Target::Html, Target::Json] {
                if let Ok(template) = Template::compile(&source, target) {
                    hostile(&template);
                }
            }
        }
    }
}
