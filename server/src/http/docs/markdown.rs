//! The little Markdown that our own pages use: headings, paragraphs, lists, fences and `code`.

use crate::http::page::{escape, with_code};

/// The text as HTML.
pub(super) fn as_html(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 1 {
            // The first line of a fence names its language.
            let code = part.split_once('\n').map_or("", |(_, code)| code);
            out.push_str(&format!("<pre>{}</pre>", escape(code.trim_end())));
            continue;
        }
        for block in part.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
            out.push_str(&block_as_html(block));
        }
    }
    out
}

fn block_as_html(block: &str) -> String {
    if block.starts_with("- ") {
        let items = block.split("\n- ").map(|item| item.trim_start_matches("- "));
        let items: String = items.map(|item| format!("<li>{}</li>", with_code(item))).collect();
        return format!("<ul>{items}</ul>");
    }
    if let Some(heading) = block.strip_prefix("## ") {
        return format!("<h2>{}</h2>", with_code(heading));
    }
    match block.strip_prefix("# ") {
        Some(heading) => format!("<h1>{}</h1>", with_code(heading)),
        None => format!("<p>{}</p>", with_code(block)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        let html = as_html("# <t>\n\n## part\n\nsome `code`\n\n- a\n- `b`\n\n```sh\nls <x>\n```");
        let list = "<ul><li>a</li><li><code>b</code></li></ul>";
        assert_eq!(
            html,
            format!(
                "<h1>&lt;t&gt;</h1><h2>part</h2><p>some <code>code</code></p>{list}\
                 <pre>ls &lt;x&gt;</pre>"
            )
        );
    }
}
