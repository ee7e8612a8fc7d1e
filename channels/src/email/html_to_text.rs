//! The plain part of a mail, made from its HTML.
//!
//! Mail HTML is layout tables, so tags say little: blocks become lines, links keep their target in
//! brackets, images their alt text, and what is not shown (head, style, `display:none`) is left out.
//! One pass over the input, whatever its nesting: a general converter that builds a tree took
//! minutes for a hundred thousand nested tags and drew a border around every layout table.

/// Content that is never text.
const UNSHOWN: &[&str] = &["head", "style", "script", "title", "template", "noscript"];
const PARAGRAPHS: &[&str] =
    &["p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "pre"];
const LINES: &[&str] = &["div", "tr", "br", "section", "header", "footer", "article", "center"];
const VOID: &[&str] = &["br", "hr", "img", "input", "meta", "link", "col", "wbr", "area", "base"];

pub(crate) fn html_to_text(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, from_tag) = rest.split_at(at);
        page.text(text);
        if let Some(comment) = from_tag.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let looks_like_tag = from_tag
            .chars()
            .nth(1)
            .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        if !looks_like_tag {
            page.text("<");
            rest = from_tag.get(1..).unwrap_or("");
            continue;
        }
        let end = tag_end(from_tag);
        let (tag, after) = from_tag.split_at(end);
        page.tag(tag.trim_start_matches('<').trim_end_matches('>'));
        rest = after;
    }
    page.text(rest);
    page.finish()
}

/// Where a tag ends: its first `>` outside quotes, or the first one at all when a quote never ends.
fn tag_end(from_tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in from_tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    from_tag.find('>').map_or(from_tag.len(), |at| at + 1)
}

#[derive(Default)]
struct Page {
    out: String,
    /// Line breaks owed before the next word; at most two.
    breaks: usize,
    space: bool,
    /// The tag whose content is being left out, and how deep inside its namesakes we are.
    unshown: Option<(String, usize)>,
    link: Option<Link>,
}

struct Link {
    target: String,
    text_from: usize,
}

impl Page {
    fn text(&mut self, text: &str) {
        if self.unshown.is_some() {
            return;
        }
        for c in decode(text).chars() {
            match c {
                c if c.is_whitespace() => self.space = true,
                // Padding that mail templates put behind the preheader.
                '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{ad}' | '\u{34f}' => {}
                c => self.push(c),
            }
        }
    }

    fn push(&mut self, c: char) {
        if !self.out.is_empty() {
            for _ in 0..self.breaks {
                self.out.push('\n');
            }
            if self.breaks == 0 && self.space {
                self.out.push(' ');
            }
        }
        self.breaks = 0;
        self.space = false;
        self.out.push(c);
    }

    fn push_all(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    fn tag(&mut self, tag: &str) {
        let closing = tag.starts_with('/');
        let tag = tag.trim_start_matches('/');
        let name_end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(name_end);
        let name = name.to_ascii_lowercase();
        if let Some((unshown, depth)) = &mut self.unshown {
            if *unshown == name {
                *depth = if closing { depth.saturating_sub(1) } else { *depth + 1 };
                if *depth == 0 {
                    self.unshown = None;
                }
            }
            return;
        }
        if closing {
            self.close(&name);
        } else {
            self.open(&name, attributes);
        }
    }

    fn open(&mut self, name: &str, attributes: &str) {
        let hidden = attribute(attributes, "style").is_some_and(|style| {
            style.to_ascii_lowercase().replace(' ', "").contains("display:none")
        });
        let void = VOID.contains(&name) || attributes.ends_with('/');
        if (UNSHOWN.contains(&name) || hidden) && !void {
            self.unshown = Some((name.to_owned(), 1));
            return;
        }
        self.break_for(name);
        match name {
            "li" => {
                self.breaks = self.breaks.max(1);
                self.push_all("-");
                self.space = true;
            }
            "hr" => {
                self.breaks = 2;
                self.push_all("---");
                self.breaks = 2;
            }
            "td" | "th" => self.space = true,
            "img" => {
                if let Some(alt) = attribute(attributes, "alt") {
                    self.text(&alt);
                }
            }
            "a" => {
                self.link = attribute(attributes, "href")
                    .map(|target| Link { target, text_from: self.out.len() });
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if name == "a"
            && let Some(link) = self.link.take()
        {
            let target = decode(link.target.trim());
            let shown = self.out.get(link.text_from..).unwrap_or("").trim();
            let outside = ["https://", "http://", "mailto:", "tel:"];
            let leads_out = outside.iter().any(|scheme| target.starts_with(scheme));
            if leads_out && !shown.is_empty() && !target.ends_with(shown) {
                self.push_all(&format!(" ({target})"));
            }
        }
        self.break_for(name);
    }

    fn break_for(&mut self, name: &str) {
        if PARAGRAPHS.contains(&name) {
            self.breaks = 2;
        } else if LINES.contains(&name) {
            // A second <br> in a row asks for an empty line; nested blocks do not.
            let more = if name == "br" { self.breaks + 1 } else { self.breaks.max(1) };
            self.breaks = more.min(2);
        }
    }

    fn finish(mut self) -> String {
        self.out.push('\n');
        self.out
    }
}

/// The value of an attribute, undecoded. Enough for what mail HTML is made of.
fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.split_whitespace().next_back().unwrap_or("");
        let after = after.trim_start();
        let (value, next) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = after.get(1..).unwrap_or("");
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            _ => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

fn decode(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let name_end = from.bytes().take(12).position(|b| b == b';');
        let decoded = name_end.and_then(|end| Some((from.get(1..end).and_then(entity)?, end + 1)));
        let (c, length) = decoded.unwrap_or(('&', 1));
        out.push(c);
        rest = from.get(length..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// The entities that mail templates use; any other stays as it was written.
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
        "zwnj" | "shy" | "zwj" => '\u{200c}',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "hellip" => '…',
        "mdash" => '—',
        "ndash" => '–',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "bull" => '•',
        "middot" => '·',
        "rarr" => '→',
        "larr" => '←',
        "euro" => '€',
        "pound" => '£',
        "times" => '×',
        "deg" => '°',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        "ntilde" => 'ñ',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::html_to_text;

    #[test]
    fn a_mail_of_layout_tables_reads_like_a_letter() {
        let html = "<html><head><title>no</title><style>a{}</style></head><body>\
            <div style=\"display: none\">preheader <div>inner</div> more</div>\
            <table><tr><td><h1>Hello &amp; welcome</h1><p>Dear Anna,<br>have a\n   look: \
            <a href='https://x.example/a?b=1&amp;c=2'>your page</a>.</p><!-- <p>no</p> -->\
            <ul><li>one<li>two</ul><img src=x alt=\"Logo\"></td></tr></table>\
            5 < 6 &mdash; &unknown; <a href=\"https://y.example\">https://y.example</a></body></html>";
        assert_eq!(
            html_to_text(html),
            "Hello & welcome\n\nDear Anna,\nhave a look: your page \
             (https://x.example/a?b=1&c=2).\n\n- one\n- two\n\nLogo\n\n\
             5 < 6 — &unknown; https://y.example\n"
        );
    }

    #[test]
    fn hostile_html_takes_linear_time() {
        let started = std::time::Instant::now();
        for unit in ["<div>", "<b a='", "<a href=x>", "&", "<", "<!--", "<div style=display:none>"]
        {
            html_to_text(&unit.repeat(100_000));
        }
        assert!(started.elapsed().as_secs() < 10, "took {:?}", started.elapsed());
    }
}
