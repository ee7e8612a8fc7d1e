//! What a template can speak of: the customer, the event, the outreach, the project.

use serde_json::{Map, Value as Json, json};

use super::compiled::Outreach;
use crate::customer::Customer;
use crate::ids::CustomerId;
use crate::project::Project;
use crate::time::Timestamp;

/// The event as templates see it.
pub fn event(name: &str, properties: &Json) -> Json {
    json!({ "name": name, "properties": properties })
}

/// Everything a template can speak of.
///
/// `customer.…` are the attributes by canonical key (dotted keys as objects too), plus `id`,
/// `user_id`, `first_seen`, `last_seen`; `first_name` falls back to the first word of `name`.
pub fn build(
    project: &Project,
    outreach: &Outreach,
    id: CustomerId,
    customer: &Customer,
    event: Option<&Json>,
    now: Timestamp,
) -> Json {
    json!({
        "customer": customer_json(id, customer),
        "event": event,
        "outreach": {
            "id": outreach.id,
            "name": outreach.definition.name,
            "version": outreach.version,
        },
        "project": { "id": project.id, "name": project.settings.name },
        "now": now.to_rfc3339(),
    })
}

/// The customer as templates and webhooks see them.
pub fn customer_json(id: CustomerId, customer: &Customer) -> Json {
    let mut object = Map::new();
    for (key, attribute) in &customer.attributes {
        put(&mut object, key, attribute.value.to_json());
    }
    object.insert("id".to_owned(), Json::String(id.to_string()));
    for key in ["user_id", "first_seen", "last_seen", "session_count"] {
        if let Some(value) = customer.attribute(key) {
            object.insert(key.to_owned(), value.to_json());
        }
    }
    if !object.contains_key("first_name")
        && let Some(first) = customer.text("name").and_then(|name| name.split_whitespace().next())
    {
        object.insert("first_name".to_owned(), Json::String(first.to_owned()));
    }
    Json::Object(object)
}

/// `address.city` becomes an object inside, unless something else stands in the way.
fn put(object: &mut Map<String, Json>, key: &str, value: Json) {
    if let Some((first, rest)) = key.split_once('.')
        && let Json::Object(inner) =
            object.entry(first.to_owned()).or_insert_with(|| Json::Object(Map::new()))
    {
        put(inner, rest, value);
        return;
    }
    object.insert(key.to_owned(), value);
}
