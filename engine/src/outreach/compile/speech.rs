//! What each type needs to say, and what nobody may say: no script in links, no header of ours.
//!
//! Checked on the templates as written. Values are escaped for their place when they are rendered,
//! so a check of the fixed part in front of them is enough.

use std::collections::BTreeSet;

use super::Draft;
use super::names::one_of;
use crate::outreach::content::{
    Action, Advance, Block, Button, ChecklistItem, Content, Header, Question, TourStep,
};

/// A line: subject, title, label.
const LINE: usize = 500;
/// A text of several lines.
const TEXT: usize = 20_000;
const URL: usize = 2_000;
const BLOCKS: usize = 100;
const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "GET", "DELETE"];
/// Set by the signature or by the HTTP client.
const RESERVED_HEADERS: [&str; 9] = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
];

/// `address@host` or `Name <address@host>`.
pub fn is_mailbox(text: &str) -> bool {
    let text = text.trim();
    let address = match text.split_once('<') {
        None => text,
        Some((name, rest)) => match rest.strip_suffix('>') {
            Some(address) if !name.contains(['>', '@']) => address,
            Some(_) | None => return false,
        },
    };
    let Some((local, host)) = address.rsplit_once('@') else { return false };
    let plain = |letter: char| {
        !letter.is_whitespace() && !letter.is_control() && !"<>()[],;:\\\"@".contains(letter)
    };
    let labels = host.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    });
    !text.contains(char::is_control)
        && address.len() <= 254
        && !local.is_empty()
        && local.len() <= 64
        && local.chars().all(plain)
        && labels
}

/// Whether a link may be opened by a browser: web, mail, telephone, or within the site.
pub fn is_open_url(url: &str) -> bool {
    let url = url.trim();
    let start = url.get(..url.len().min(8)).unwrap_or(url).to_ascii_lowercase();
    let known = ["https://", "http://", "mailto:", "tel:", "/", "#", "?"];
    known.iter().any(|known| start.starts_with(known)) && !url.contains(char::is_control)
}

impl Draft<'_> {
    /// Is everything there that the type needs, and nothing that it must not have?
    pub(super) fn check_content(&mut self, content: &Content) {
        let at = "/content";
        match content {
            Content::Email { .. } => self.check_email(content),
            Content::Webhook { url, method, headers, body: _ } => {
                self.check_webhook(url, method, headers);
            }
            Content::Message { from: _, body, buttons, reply: _ } => {
                self.check_blocks(body, 1, &format!("{at}/body"));
                self.check_buttons(buttons, &format!("{at}/buttons"));
            }
            Content::Banner { text, button, position: _, sticky: _ } => {
                self.check_text(text, LINE, &format!("{at}/text"));
                if let Some(button) = button {
                    self.check_button(button, &format!("{at}/button"));
                }
            }
            Content::Modal { title, body, buttons } => {
                self.check_text(title, LINE, &format!("{at}/title"));
                self.check_blocks(body, 0, &format!("{at}/body"));
                self.check_buttons(buttons, &format!("{at}/buttons"));
            }
            Content::Survey { title: _, questions, thanks: _ } => self.check_questions(questions),
            Content::Tour { steps } => self.check_steps(steps),
            Content::Checklist { title, items } => {
                self.check_text(title, LINE, &format!("{at}/title"));
                self.check_items(items);
            }
            Content::Tooltip { target, body } => {
                self.check_targets(target, 1, &format!("{at}/target"));
                self.check_blocks(body, 1, &format!("{at}/body"));
            }
            Content::News { title, body, cover, labels } => {
                self.check_text(title, LINE, &format!("{at}/title"));
                self.check_blocks(body, 1, &format!("{at}/body"));
                self.check_optional_url(cover, &format!("{at}/cover"));
                self.check_length(labels, 10, &format!("{at}/labels"));
            }
            Content::Push { title, body, url, icon } => {
                self.check_text(title, LINE, &format!("{at}/title"));
                self.check_text(body, LINE, &format!("{at}/body"));
                self.check_optional_url(url, &format!("{at}/url"));
                self.check_optional_url(icon, &format!("{at}/icon"));
            }
            Content::Sms { text } | Content::Whatsapp { text, template: _ } => {
                self.check_text(text, TEXT, &format!("{at}/text"));
            }
        }
    }

    /// A text that must not be empty.
    pub(super) fn check_text(&mut self, text: &str, most: usize, pointer: &str) {
        if text.trim().is_empty() {
            self.add(pointer, "empty_text", "The text is empty; enter one.");
        }
        if text.chars().count() > most {
            let message = format!("The text has more than {most} characters; shorten it.");
            self.add(pointer, "text_too_long", message);
        }
    }

    fn check_enough<T>(&mut self, list: &[T], least: usize, most: usize, pointer: &str) {
        self.check_length(list, most, pointer);
        if list.len() < least {
            let message = format!("There are {} entries; add at least {least}.", list.len());
            self.add(pointer, "too_few", message);
        }
    }

    fn check_email(&mut self, content: &Content) {
        let Content::Email { subject, html, text, from, reply_to, .. } = content else { return };
        self.check_text(subject, LINE, "/content/subject");
        if html.trim().is_empty() && text.trim().is_empty() {
            let message = "The email has neither `html` nor `text`; write at least one of them.";
            self.add("/content/html", "no_body", message);
        }
        for (mailbox, pointer) in [(from, "/content/from"), (reply_to, "/content/reply_to")] {
            let templated = mailbox.contains("{{") || mailbox.contains("{%");
            if !mailbox.is_empty() && !templated && !is_mailbox(mailbox) {
                let message = format!(
                    "{mailbox:?} is not a mail address; write `Name <name@example.com>` or \
                     `name@example.com`."
                );
                self.add(pointer, "bad_mailbox", message);
            }
        }
    }

    fn check_webhook(&mut self, url: &str, method: &str, headers: &[Header]) {
        if !is_webhook_url(url) || url.chars().count() > URL {
            let message = "A webhook goes to a fixed server: begin with https:// (or http://) and \
                           its name; templates may follow in the path or the query.";
            self.add("/content/url", "bad_url", message);
        }
        if !METHODS.contains(&method) {
            let message = format!("`{method}` is not possible here; use {}.", one_of(&METHODS));
            self.add("/content/method", "bad_method", message);
        }
        self.check_length(headers, 20, "/content/headers");
        for (place, header) in headers.iter().enumerate() {
            self.check_header(header, &format!("/content/headers/{place}"));
        }
    }

    fn check_header(&mut self, header: &Header, pointer: &str) {
        let token =
            |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
        let name = header.name.as_str();
        if name.is_empty() || name.len() > 100 || !name.chars().all(token) {
            let message =
                format!("{name:?} is not the name of a header; use letters, digits and `-`.");
            self.add(&format!("{pointer}/name"), "bad_header", message);
        }
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            let message = format!("`{name}` is set by Tidings; choose another name.");
            self.add(&format!("{pointer}/name"), "reserved_header", message);
        }
        if header.value.contains(char::is_control) || header.value.len() > TEXT {
            let message = "A header is one line of at most 20,000 characters; remove line breaks.";
            self.add(&format!("{pointer}/value"), "bad_header", message);
        }
    }

    fn check_optional_url(&mut self, url: &str, pointer: &str) {
        if !url.is_empty() {
            self.check_url(url, pointer);
        }
    }

    fn check_url(&mut self, url: &str, pointer: &str) {
        if !is_open_url(url) || url.chars().count() > URL {
            let message = "This cannot be opened; begin with https://, http://, mailto:, tel:, or \
                           with / for a page of your site.";
            self.add(pointer, "bad_url", message);
        }
    }

    fn check_blocks(&mut self, blocks: &[Block], least: usize, pointer: &str) {
        self.check_enough(blocks, least, BLOCKS, pointer);
        for (place, block) in blocks.iter().enumerate() {
            let at = format!("{pointer}/{place}");
            match block {
                Block::Heading { text } => self.check_text(text, LINE, &format!("{at}/text")),
                Block::Paragraph { text } => self.check_text(text, TEXT, &format!("{at}/text")),
                Block::List { items } => {
                    self.check_enough(items, 1, BLOCKS, &format!("{at}/items"))
                }
                Block::Image { url, alt: _ } | Block::Video { url, title: _ } => {
                    self.check_url(url, &format!("{at}/url"));
                }
                Block::Divider {} => {}
            }
        }
    }

    fn check_buttons(&mut self, buttons: &[Button], pointer: &str) {
        self.check_length(buttons, 2, pointer);
        for (place, button) in buttons.iter().enumerate() {
            self.check_button(button, &format!("{pointer}/{place}"));
        }
    }

    fn check_button(&mut self, button: &Button, pointer: &str) {
        self.check_text(&button.label, LINE, &format!("{pointer}/label"));
        self.check_action(&button.action, &format!("{pointer}/action"));
    }

    fn check_action(&mut self, action: &Action, pointer: &str) {
        match action {
            Action::Open { url } => self.check_url(url, &format!("{pointer}/url")),
            Action::Track { event } => self.check_event_name(event, &format!("{pointer}/event")),
            Action::Show { outreach } => {
                self.known_outreach(outreach, &format!("{pointer}/outreach"));
            }
            Action::Dismiss {} | Action::SubscribeToPush {} => {}
        }
    }

    fn check_targets(&mut self, targets: &[String], least: usize, pointer: &str) {
        self.check_enough(targets, least, 10, pointer);
        for (place, target) in targets.iter().enumerate() {
            self.check_text(target, LINE, &format!("{pointer}/{place}"));
        }
    }

    fn check_questions(&mut self, questions: &[Question]) {
        let at = "/content/questions";
        self.check_enough(questions, 1, 50, at);
        let mut ids = BTreeSet::new();
        for (place, question) in questions.iter().enumerate() {
            let at = format!("{at}/{place}");
            let (Question::Nps { id, text, .. }
            | Question::Csat { id, text, .. }
            | Question::Scale { id, text, .. }
            | Question::Single { id, text, .. }
            | Question::Multi { id, text, .. }
            | Question::Text { id, text, .. }
            | Question::Info { id, text }) = question;
            self.check_id(id, &mut ids, &at);
            self.check_text(text, TEXT, &format!("{at}/text"));
            self.check_answers(question, &at);
        }
    }

    fn check_answers(&mut self, question: &Question, at: &str) {
        match question {
            Question::Single { options, .. } | Question::Multi { options, .. } => {
                self.check_enough(options, 1, BLOCKS, &format!("{at}/options"));
                for (place, option) in options.iter().enumerate() {
                    self.check_text(option, LINE, &format!("{at}/options/{place}"));
                }
            }
            Question::Scale { min, max, .. } => {
                if min >= max {
                    let message = "The scale has no steps: its end must be above its beginning.";
                    self.add(&format!("{at}/max"), "min_above_max", message);
                } else if max.saturating_sub(*min) > 100 {
                    let message = "The scale has more than 100 steps; move its ends together.";
                    self.add(&format!("{at}/max"), "too_many", message);
                }
            }
            Question::Nps { .. }
            | Question::Csat { .. }
            | Question::Text { .. }
            | Question::Info { .. } => {}
        }
    }

    fn check_id(&mut self, id: &str, ids: &mut BTreeSet<String>, at: &str) {
        let here = format!("{at}/id");
        self.check_name(id, 100, &here);
        if !ids.insert(id.trim().to_owned()) {
            let message = format!("The id `{id}` is used twice; answers could not be told apart.");
            self.add(&here, "duplicate_id", message);
        }
    }

    fn check_steps(&mut self, steps: &[TourStep]) {
        self.check_enough(steps, 1, 50, "/content/steps");
        for (place, step) in steps.iter().enumerate() {
            let at = format!("/content/steps/{place}");
            self.check_targets(&step.target, 0, &format!("{at}/target"));
            self.check_text(&step.title, LINE, &format!("{at}/title"));
            self.check_blocks(&step.body, 0, &format!("{at}/body"));
            match &step.advance {
                Advance::Next => {}
                Advance::ClickTarget => {
                    if step.target.is_empty() {
                        let message = "The step waits for a click on its target and has none; add a \
                                       selector, or advance by `next`.";
                        self.add(&format!("{at}/target"), "too_few", message);
                    }
                }
                Advance::Event { event } => {
                    self.check_event_name(event, &format!("{at}/advance/event"));
                }
                Advance::Page { path } => {
                    self.check_text(path, URL, &format!("{at}/advance/path"));
                }
            }
        }
    }

    fn check_items(&mut self, items: &[ChecklistItem]) {
        self.check_enough(items, 1, 30, "/content/items");
        let mut ids = BTreeSet::new();
        for (place, item) in items.iter().enumerate() {
            let at = format!("/content/items/{place}");
            self.check_id(&item.id, &mut ids, &at);
            self.check_text(&item.text, LINE, &format!("{at}/text"));
            if let Some(action) = &item.action {
                self.check_action(action, &format!("{at}/action"));
            }
            if !item.done_on.is_empty() {
                self.check_event_name(&item.done_on, &format!("{at}/done_on"));
            }
        }
    }
}

/// Scheme and server are fixed; what follows may be a template.
fn is_webhook_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let server = rest.split(['/', '?', '#']).next().unwrap_or("");
    let allowed = |letter: char| letter.is_alphanumeric() || "-._:[]".contains(letter);
    !server.is_empty() && server.chars().all(allowed) && !url.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        for good in ["a@b.de", "Ann Lee <ann@example.com>", "x+y@localhost", "Ä <ä@bücher.example>"]
        {
            assert!(is_mailbox(good), "{good}");
        }
        for bad in
            ["", "ann", "a@", "@b", "A <a@b", "a@b..c", "a b@c", "a@b\r\nBcc: c@d", "<a@b> x"]
        {
            assert!(!is_mailbox(bad), "{bad}");
        }
    }

    #[test]
    fn links_and_servers() {
        assert!(is_open_url("https://example.com/{{ event.properties.id }}"));
        assert!(is_open_url("/pricing"));
        for bad in ["javascript:alert(1)", "JAVASCRIPT:x", "data:text/html,x", "example.com", ""] {
            assert!(!is_open_url(bad), "{bad}");
        }
        assert!(is_webhook_url("https://hooks.example.com:8443/{{ customer.user_id }}"));
        for bad in ["https://{{ x }}/a", "ftp://a/b", "https:///x", "https://user@host/", ""] {
            assert!(!is_webhook_url(bad), "{bad}");
        }
    }
}
