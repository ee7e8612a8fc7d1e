//! What somebody does on a visit: look, put into the cart, pay or leave, and what happens to
//! orders that were placed before.

use engine::fact::Names;
use engine::time::Timestamp;
use serde_json::{Value as Json, json};

use super::{Act, Deed, Shop};

const GOODS: &[(&str, i64)] = &[
    ("wool socks", 1_290),
    ("rain jacket", 8_900),
    ("cast-iron pan", 5_450),
    ("field notebook", 950),
    ("reading lamp", 6_200),
    ("seed box", 2_300),
    ("tea kettle", 4_700),
    ("wooden train", 3_150),
];

/// One visit as it goes on.
struct Visit {
    at: Timestamp,
    names: Names,
}

impl Shop {
    pub(super) fn visit(&mut self, number: usize, midnight: Timestamp, acts: &mut Vec<Act>) {
        let Some(shopper) = self.shoppers.get(number) else { return };
        let opening = self.dice.between(7 * 60, 23 * 60) * 60_000;
        let mut visit = Visit { at: midnight.plus_ms(opening), names: shopper.names() };
        self.parcels(number, &mut visit, acts);
        self.track(&mut visit, acts, "pageView", json!({ "path": "/" }), "/");
        if visit.names.user_id.is_some() && self.dice.chance(0.15) {
            self.identify(number, &mut visit, acts);
        }
        if visit.names.user_id.is_none() && self.dice.chance(0.3) {
            self.sign_up(number, &mut visit, acts);
        }
        for _ in 0..self.dice.between(1, 5) {
            self.look(number, &mut visit, acts);
        }
        if self.dice.chance(0.08) {
            self.track(
                &mut visit,
                acts,
                "support_contacted",
                json!({ "topic": "delivery" }),
                "/help",
            );
        }
        self.checkout(number, &mut visit, acts);
    }

    fn sign_up(&mut self, number: usize, visit: &mut Visit, acts: &mut Vec<Act>) {
        if let Some(shopper) = self.shoppers.get_mut(number) {
            shopper.signed_up = true;
            visit.names = shopper.names();
        }
        self.identify(number, visit, acts);
        let source = self.dice.pick(&["search", "friend", "ad"]).unwrap_or("search");
        self.track(visit, acts, "signed_up", json!({ "source": source }), "/account");
    }

    fn identify(&mut self, number: usize, visit: &mut Visit, acts: &mut Vec<Act>) {
        let upgrade = self.dice.chance(0.05);
        let Some(shopper) = self.shoppers.get_mut(number) else { return };
        if upgrade {
            let pro = engine::value::Value::Text("pro".to_owned());
            shopper.attributes.insert("plan".to_owned(), pro);
        }
        let changes = shopper
            .attributes
            .iter()
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect();
        visit.at = visit.at.plus_ms(900);
        let id = self.next_id();
        let names = visit.names.clone();
        acts.push(Act { at: visit.at, names, id, deed: Deed::Identify(changes) });
    }

    fn look(&mut self, number: usize, visit: &mut Visit, acts: &mut Vec<Act>) {
        let Some((product, cents)) = self.dice.pick(GOODS) else { return };
        let page = format!("/products/{}", product.replace(' ', "-"));
        let properties = json!({ "product": product, "price": price(cents) });
        self.track(visit, acts, "product_viewed", properties.clone(), &page);
        if self.dice.chance(0.1) {
            self.track(visit, acts, "wishlist_added", properties.clone(), &page);
        }
        if self.dice.chance(0.35) {
            if let Some(shopper) = self.shoppers.get_mut(number) {
                shopper.cart += cents;
            }
            self.track(visit, acts, "added_to_cart", properties, &page);
        }
    }

    fn checkout(&mut self, number: usize, visit: &mut Visit, acts: &mut Vec<Act>) {
        let cart = self.shoppers.get(number).map_or(0, |shopper| shopper.cart);
        if cart == 0 || !self.dice.chance(0.7) {
            return;
        }
        let started = json!({ "total": price(cart), "currency": "EUR" });
        self.track(visit, acts, "checkout_started", started, "/checkout");
        if !self.dice.chance(0.6) {
            return;
        }
        self.orders += 1;
        let order = self.orders;
        let days = u8::try_from(self.dice.between(1, 4)).unwrap_or(2);
        if let Some(shopper) = self.shoppers.get_mut(number) {
            shopper.cart = 0;
            shopper.parcels.push((days, order));
        }
        let coupon = self.dice.chance(0.2).then_some("HELLO");
        let done = json!({
            "order_id": format!("A-{order}"), "total": price(cart), "currency": "EUR", "coupon": coupon,
        });
        self.track(visit, acts, "checkout_completed", done, "/checkout/thanks");
    }

    /// Orders placed before are shipped, then delivered, then perhaps reviewed.
    fn parcels(&mut self, number: usize, visit: &mut Visit, acts: &mut Vec<Act>) {
        let parcels = match self.shoppers.get_mut(number) {
            Some(shopper) => std::mem::take(&mut shopper.parcels),
            None => return,
        };
        let mut left = Vec::new();
        for (days, order) in parcels {
            let properties = json!({ "order_id": format!("A-{order}") });
            match days {
                0 => {
                    self.track(visit, acts, "order_delivered", properties.clone(), "/account");
                    if self.dice.chance(0.25) {
                        self.track(visit, acts, "review_written", properties, "/account");
                    }
                }
                1 => {
                    self.track(visit, acts, "order_shipped", properties, "/account");
                    left.push((0, order));
                }
                days => left.push((days - 1, order)),
            }
        }
        if let Some(shopper) = self.shoppers.get_mut(number) {
            shopper.parcels.append(&mut left);
        }
    }

    fn track(
        &mut self,
        visit: &mut Visit,
        acts: &mut Vec<Act>,
        event: &'static str,
        properties: Json,
        page: &str,
    ) {
        visit.at = visit.at.plus_ms(self.dice.between(2_000, 90_000));
        let id = self.next_id();
        let names = visit.names.clone();
        let deed = Deed::Track { event, properties, page: page.to_owned() };
        acts.push(Act { at: visit.at, names, id, deed });
    }
}

/// Cents as a price.
fn price(cents: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a cart is far below 2^53 cents")]
    let price = cents as f64 / 100.0;
    price
}
