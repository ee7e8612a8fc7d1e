//! What an outreach says, by type. Every text is a template.
//!
//! In-app types are carried to the browser as data; nothing here is markup except the HTML of an
//! email. The browser draws blocks with text nodes, so content cannot run script.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::definition::is_default;

/// The type of an outreach, and with it the channel that carries it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum OutreachType {
    Email,
    Message,
    Push,
    Survey,
    Tour,
    Checklist,
    Banner,
    Modal,
    Tooltip,
    News,
    Webhook,
    Sms,
    Whatsapp,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// An email.
    Email {
        /// The subject.
        subject: String,
        /// The line mail clients show after the subject.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        preheader: String,
        /// The HTML body.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        html: String,
        /// The text body; made from the HTML when left out. One of the two is needed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// `Name <address>`; the project's sender when left out.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        from: String,
        /// Where answers go.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reply_to: String,
        /// The topic a customer can unsubscribe from; empty: all marketing mail.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
        /// A mail the customer asked for (receipt, reset): no unsubscribe link, consent not asked.
        #[serde(default, skip_serializing_if = "is_default")]
        transactional: bool,
    },
    /// A request to a server of yours, signed after Standard Webhooks.
    Webhook {
        /// The address; `https`.
        url: String,
        /// `POST` when left out.
        #[serde(default = "post", skip_serializing_if = "is_post")]
        method: String,
        /// Extra headers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<Header>,
        /// A JSON template; the standard body (customer, event, outreach) when left out.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        body: String,
    },
    /// A chat message.
    Message {
        /// Who speaks.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        from: String,
        /// What is said.
        body: Vec<Block>,
        /// At most two.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        buttons: Vec<Button>,
        /// The customer may answer in text.
        #[serde(default, skip_serializing_if = "is_default")]
        reply: bool,
    },
    /// A strip at the edge of the page.
    Banner {
        /// The line.
        text: String,
        /// At most one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        button: Option<Button>,
        /// Where.
        #[serde(default, skip_serializing_if = "is_default")]
        position: Edge,
        /// The customer can close it.
        #[serde(default, skip_serializing_if = "is_default")]
        sticky: bool,
    },
    /// A dialog over the page.
    Modal {
        /// The heading.
        title: String,
        /// The body.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Vec<Block>,
        /// At most two.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        buttons: Vec<Button>,
    },
    /// Questions.
    Survey {
        /// The heading.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        title: String,
        /// One to fifty.
        questions: Vec<Question>,
        /// Shown at the end.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        thanks: String,
    },
    /// Steps that point at the page.
    Tour {
        /// One to fifty.
        steps: Vec<TourStep>,
    },
    /// Things to do.
    Checklist {
        /// The heading.
        title: String,
        /// One to thirty.
        items: Vec<ChecklistItem>,
    },
    /// A note at an element.
    Tooltip {
        /// CSS selectors, the best first.
        target: Vec<String>,
        /// The note.
        body: Vec<Block>,
    },
    /// An entry of the news feed.
    News {
        /// The heading.
        title: String,
        /// The body.
        body: Vec<Block>,
        /// An image above.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        cover: String,
        /// Labels.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        labels: Vec<String>,
    },
    /// A push notification.
    Push {
        /// The heading.
        title: String,
        /// The line.
        body: String,
        /// Opened on click.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        url: String,
        /// A picture.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        icon: String,
    },
    /// A text message through a provider.
    Sms {
        /// The text.
        text: String,
    },
    /// A WhatsApp message through a provider.
    Whatsapp {
        /// The text, or the parameters of the template as the provider wants them.
        text: String,
        /// The provider's template name.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        template: String,
    },
}

impl Content {
    /// The type this content makes the outreach.
    pub fn outreach_type(&self) -> OutreachType {
        match self {
            Content::Email { .. } => OutreachType::Email,
            Content::Webhook { .. } => OutreachType::Webhook,
            Content::Message { .. } => OutreachType::Message,
            Content::Banner { .. } => OutreachType::Banner,
            Content::Modal { .. } => OutreachType::Modal,
            Content::Survey { .. } => OutreachType::Survey,
            Content::Tour { .. } => OutreachType::Tour,
            Content::Checklist { .. } => OutreachType::Checklist,
            Content::Tooltip { .. } => OutreachType::Tooltip,
            Content::News { .. } => OutreachType::News,
            Content::Push { .. } => OutreachType::Push,
            Content::Sms { .. } => OutreachType::Sms,
            Content::Whatsapp { .. } => OutreachType::Whatsapp,
        }
    }
}

impl OutreachType {
    /// All types.
    pub const ALL: [OutreachType; 13] = [
        OutreachType::Email,
        OutreachType::Message,
        OutreachType::Push,
        OutreachType::Survey,
        OutreachType::Tour,
        OutreachType::Checklist,
        OutreachType::Banner,
        OutreachType::Modal,
        OutreachType::Tooltip,
        OutreachType::News,
        OutreachType::Webhook,
        OutreachType::Sms,
        OutreachType::Whatsapp,
    ];

    /// The word used in URL, JSON and screen.
    pub fn name(self) -> &'static str {
        match self {
            OutreachType::Email => "email",
            OutreachType::Message => "message",
            OutreachType::Push => "push",
            OutreachType::Survey => "survey",
            OutreachType::Tour => "tour",
            OutreachType::Checklist => "checklist",
            OutreachType::Banner => "banner",
            OutreachType::Modal => "modal",
            OutreachType::Tooltip => "tooltip",
            OutreachType::News => "news",
            OutreachType::Webhook => "webhook",
            OutreachType::Sms => "sms",
            OutreachType::Whatsapp => "whatsapp",
        }
    }

    /// Carried by the in-app inbox and seen in the customer's browser.
    pub fn is_in_app(self) -> bool {
        match self {
            OutreachType::Message
            | OutreachType::Survey
            | OutreachType::Tour
            | OutreachType::Checklist
            | OutreachType::Banner
            | OutreachType::Modal
            | OutreachType::Tooltip
            | OutreachType::News => true,
            OutreachType::Email
            | OutreachType::Push
            | OutreachType::Webhook
            | OutreachType::Sms
            | OutreachType::Whatsapp => false,
        }
    }

    /// Reaches people who are away, so a one-off makes sense.
    pub fn allows_one_off(self) -> bool {
        match self {
            OutreachType::Email
            | OutreachType::Push
            | OutreachType::Message
            | OutreachType::News
            | OutreachType::Webhook
            | OutreachType::Sms
            | OutreachType::Whatsapp => true,
            OutreachType::Survey
            | OutreachType::Tour
            | OutreachType::Checklist
            | OutreachType::Banner
            | OutreachType::Modal
            | OutreachType::Tooltip => false,
        }
    }

    /// Rings at the customer's side, so quiet hours and send windows apply.
    pub fn disturbs(self) -> bool {
        matches!(
            self,
            OutreachType::Email | OutreachType::Push | OutreachType::Sms | OutreachType::Whatsapp
        )
    }

    /// The receiver drops a repetition with the same key, so an unknown outcome may be repeated.
    pub fn is_idempotent(self) -> bool {
        !matches!(self, OutreachType::Email | OutreachType::Sms | OutreachType::Whatsapp)
    }
}

/// A header of a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A piece of in-app content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Block {
    Heading { text: String },
    Paragraph { text: String },
    List { items: Vec<String> },
    Image { url: String, alt: String },
    Video { url: String, title: String },
    Divider {},
}

/// A button and what it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// What it does.
    pub action: Action,
}

/// What a click does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Open { url: String },
    Dismiss {},
    Track { event: String },
    Show { outreach: String },
    SubscribeToPush {},
}

/// An edge of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Edge {
    #[default]
    Top,
    Bottom,
}

/// A question of a survey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Question {
    Nps {
        id: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_default")]
        required: bool,
    },
    Csat {
        id: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_default")]
        required: bool,
    },
    Scale {
        id: String,
        text: String,
        min: i32,
        max: i32,
        #[serde(default, skip_serializing_if = "is_default")]
        required: bool,
    },
    Single {
        id: String,
        text: String,
        options: Vec<String>,
        #[serde(default, skip_serializing_if = "is_default")]
        other: bool,
        #[serde(default, skip_serializing_if = "is_default")]
        required: bool,
    },
    Multi {
        id: String,
        text: String,
        options: Vec<String>,
        #[serde(default, skip_serializing_if = "is_default")]
        other: bool,
        #[serde(default, skip_serializing_if = "is_default")]
        required: bool,
    },
    Text {
        id: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_default")]
        required: bool,
    },
    Info {
        id: String,
        text: String,
    },
}

/// A step of a tour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TourStep {
    /// CSS selectors, the best first; none: in the middle of the page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// The heading.
    pub title: String,
    /// The body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<Block>,
    /// What leads to the next step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub advance: Advance,
}

/// What leads to the next step of a tour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Advance {
    #[default]
    Next,
    ClickTarget,
    Event {
        event: String,
    },
    Page {
        path: String,
    },
}

/// An item of a checklist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecklistItem {
    /// A stable name.
    pub id: String,
    /// What it says.
    pub text: String,
    /// What a click does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The event that ticks it off; a click when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub done_on: String,
}

fn post() -> String {
    "POST".to_owned()
}

fn is_post(method: &String) -> bool {
    method == "POST"
}
