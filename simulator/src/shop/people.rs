//! Who shops here.

use std::collections::BTreeMap;

use engine::fact::Names;
use engine::value::Value;

use super::Dice;

const FIRST: &[&str] = &[
    "Mara", "Tomás", "Jia", "Anna", "Ben", "Ingrid", "Yusuf", "Chloé", "Łukasz", "Noor", "Kofi",
    "Elif", "Hana", "Diego", "Sofia", "Pavel", "Amara", "Liam", "Zoë", "Ravi", "Mei", "Omar",
];
const LAST: &[&str] = &[
    "Lindqvist",
    "Okafor",
    "Wen",
    "Berger",
    "Novak",
    "García",
    "Haddad",
    "O’Neill",
    "Kowalska",
    "Tanaka",
    "Mensah",
    "Yılmaz",
    "Rossi",
    "Dubois",
    "Petrov",
    "Silva",
    "Iyer",
    "Chen",
];
const PLACES: &[(&str, &str, &str)] = &[
    ("DE", "Europe/Berlin", "de"),
    ("FR", "Europe/Paris", "fr"),
    ("GB", "Europe/London", "en"),
    ("US", "America/New_York", "en"),
    ("US", "America/Los_Angeles", "en"),
    ("JP", "Asia/Tokyo", "ja"),
    ("BR", "America/Sao_Paulo", "pt"),
    ("IN", "Asia/Kolkata", "en"),
    ("AU", "Australia/Sydney", "en"),
];

/// A customer of the shop.
#[derive(Clone, Debug)]
pub struct Shopper {
    /// The shop's own id.
    pub user_id: String,
    /// The browser's id.
    pub anonymous_id: String,
    /// Whether they have signed up.
    pub signed_up: bool,
    /// How likely a visit is on a day.
    pub eagerness: f64,
    /// Goods in the cart, in cents.
    pub cart: i64,
    /// Orders on their way: days until delivery and the order's number.
    pub parcels: Vec<(u8, u32)>,
    /// Known to the shop.
    pub attributes: BTreeMap<String, Value>,
}

impl Shopper {
    /// Somebody new.
    pub fn new(number: usize, dice: &mut Dice) -> Shopper {
        let first = dice.pick(FIRST).unwrap_or("Mara");
        let last = dice.pick(LAST).unwrap_or("Wen");
        let (country, timezone, language) =
            dice.pick(PLACES).unwrap_or(("DE", "Europe/Berlin", "de"));
        let text = |text: &str| Value::Text(text.to_owned());
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), text(&format!("{first} {last}"))),
            ("country".to_owned(), text(country)),
            ("timezone".to_owned(), text(timezone)),
            ("language".to_owned(), text(language)),
            (
                "plan".to_owned(),
                text(dice.pick(&["free", "free", "free", "pro", "business"]).unwrap_or("free")),
            ),
            (
                "birthday".to_owned(),
                text(&format!(
                    "{}-{:02}-{:02}",
                    dice.between(1950, 2005),
                    dice.between(1, 12),
                    dice.between(1, 28)
                )),
            ),
        ]);
        if dice.chance(0.92) {
            let address = format!("{}.{number}@shop.example", ascii(first));
            attributes.insert("email".to_owned(), Value::Text(address));
        }
        if dice.chance(0.4) {
            attributes.insert("phone".to_owned(), Value::Text(format!("+49151{number:07}")));
        }
        if dice.chance(0.3) {
            attributes.insert("push_token".to_owned(), Value::Text(format!("token-{number}")));
        }
        if dice.chance(0.5) {
            let interests = ["shoes", "garden", "books", "kitchen", "toys"];
            let list = interests.iter().filter(|_| dice.chance(0.4)).map(|one| text(one)).collect();
            attributes.insert("interests".to_owned(), Value::List(list));
        }
        let eagerness = dice.pick(&[0.02, 0.05, 0.1, 0.2, 0.35]).unwrap_or(0.1);
        Shopper {
            user_id: format!("u-{number:05}"),
            anonymous_id: format!("browser-{number:05}"),
            signed_up: dice.chance(0.6),
            eagerness,
            cart: 0,
            parcels: Vec::new(),
            attributes,
        }
    }

    /// How the browser names them.
    pub fn names(&self) -> Names {
        Names {
            user_id: self.signed_up.then(|| self.user_id.clone()),
            anonymous_id: Some(self.anonymous_id.clone()),
        }
    }
}

fn ascii(name: &str) -> String {
    name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}
