//! One record of a body: what is said of it, the text that says it, and what a reader of the
//! contract takes from it.

use std::fmt;

use super::words::{Customer, Kind};

/// A record, good or bad.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) customer: CustomerField,
    pub(crate) key: KeyField,
    /// Members that the gateway has no business with; an index into [`EXTRAS`].
    pub(crate) extra: usize,
    /// The scripted sink will never take it, when it looks.
    pub(crate) never: bool,
    pub(crate) space: Space,
    pub(crate) fault: Option<Fault>,
}

/// Without what is as usual.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{{:?} {:?} extra {}",
            self.customer, self.key, self.extra
        )?;
        if self.never {
            f.write_str(" never")?;
        }
        if !matches!(self.space, Space::None) {
            write!(f, " {:?}", self.space)?;
        }
        if let Some(fault) = self.fault {
            write!(f, " {fault:?}")?;
        }
        f.write_str("}")
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum CustomerField {
    Own(Customer, Way),
    /// In the spelling of the other kinds.
    Other(Customer, Way),
    Both(Customer, Way, Way),
    Missing,
    /// A value that names nobody; an index into [`NO_CUSTOMERS`].
    Wrong(usize),
    Twice(Customer),
    Contradicted,
    /// Beside a name that looks like the field's; an index into [`LOOK_ALIKES`].
    LookAlike(Customer, usize),
}

/// How the customer is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Text,
    Escaped,
    /// As a number where it is all digits, else as text.
    Digits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyField {
    None,
    /// Text in the preferred field; an index into [`KEYS`].
    First(usize),
    /// In the other one, behind a value that does not count.
    Second(usize, usize),
    /// A number, its digits as they stand.
    Number(&'static str),
    /// The last counts.
    Twice(usize, usize),
    /// Longer than a key's value may be.
    Long,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Space {
    None,
    Some,
    /// Over several lines, where a record may.
    Lines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// JSON, but no object; an index into [`NO_OBJECTS`].
    NoObject(usize),
    /// The closing brace is missing.
    Cut,
    /// A member that is no JSON; an index into [`NO_MEMBERS`].
    Member(usize),
}

/// A key's text in JSON and what it says. With the last two the scripted sink leaves a record open,
/// when it looks: by key, for no later record of a key may pass one that is left.
pub(crate) const KEYS: [(&str, &str); 6] = [
    (r#""a""#, "a"),
    (r#""b""#, "b"),
    (r#""web \u00e9\/1""#, "web é/1"),
    (r#""é 😀""#, "é 😀"),
    (r#""1-late""#, "1-late"),
    (r#""2-l\u0061te""#, "2-late"),
];
pub(crate) const LATE: &str = "-late";

pub(crate) const NUMBERS: [&str; 4] = ["7", "1.50", "-1e3", "12345678901234567890123"];

/// Values of a key field that do not count.
pub(crate) const NO_KEYS: [&str; 5] = [r#""""#, "null", "true", r#"{"a":"b"}"#, r#"["a"]"#];

pub(crate) const NO_CUSTOMERS: [&str; 11] = [
    r#""""#,
    "null",
    "true",
    "1001.0",
    "1e3",
    "-1",
    "[\"acme\"]",
    r#"{"a":1}"#,
    "{}",
    "0.1",
    r#""\ud800""#,
];

/// Names that readers without regard for case take for the customer's.
pub(crate) const LOOK_ALIKES: [&str; 4] = [
    "EnvCustomerId",
    "ENVCUSTOMER_ID",
    "envcu\u{17f}tomerid",
    r"env\u0043ustomerid",
];

pub(crate) const NO_OBJECTS: [&str; 4] = ["5", "null", "true", r#""acme""#];

pub(crate) const NO_MEMBERS: [&[u8]; 7] = [
    b"\"x\":nul",
    b"\"x\":01",
    b"\"x\":\"\xff\"",
    b"\"x\":\"\x01\"",
    b"\"x\":\"\\q\"",
    b"x:1",
    b"\"x\":1,",
];

pub(crate) const EXTRAS: [&str; 10] = [
    r#""n":12345678901234567890.1230"#,
    r#""n":1E400,"m":-0.0,"l":1e-7"#,
    r#""s":"\u00e9\/\ud83d\ude00\n\"[{""#,
    r#""s":"é😀]}""#,
    r#""s":"\ud800""#,
    r#""o":{"envcustomerid":"globex","envcustomer_id":[1,2,{"b":null}]}"#,
    r#""x":1,"x":2,"":0"#,
    r#""d":[[[[[[[[{}]]]]]]]]"#,
    r#""envcustomerids":"globex","envcustomerid ":"globex""#,
    r#""x":" a  b \\ ""#,
];

/// The most bytes of a key's value that count.
const KEY_BYTES: usize = 512;

/// A record as the contract reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record of this customer, with this key.
    Record(Customer, String),
    /// JSON, but no record.
    NoRecord,
    /// No JSON.
    NoJson,
}

impl Spec {
    pub(crate) fn found(&self, kind: Kind) -> Found {
        match self.fault {
            Some(Fault::Cut | Fault::Member(_)) => return Found::NoJson,
            Some(Fault::NoObject(_)) => return Found::NoRecord,
            None => {}
        }
        match self.customer {
            CustomerField::Own(customer, _)
            | CustomerField::Other(customer, _)
            | CustomerField::Both(customer, ..) => {
                Found::Record(customer, self.key(kind, customer))
            }
            CustomerField::Missing
            | CustomerField::Wrong(_)
            | CustomerField::Twice(_)
            | CustomerField::Contradicted
            | CustomerField::LookAlike(..) => Found::NoRecord,
        }
    }

    fn key(&self, kind: Kind, customer: Customer) -> String {
        let has_second = kind.key_fields().len() > 1;
        let value = match self.key {
            KeyField::None => None,
            KeyField::Second(..) if !has_second => None,
            KeyField::First(key) | KeyField::Second(_, key) | KeyField::Twice(_, key) => {
                Some(KEYS[key].1.to_owned())
            }
            KeyField::Number(digits) => Some(digits.to_owned()),
            KeyField::Long => Some(cut(&long_key())),
        };
        value.map_or_else(
            || customer.to_owned(),
            |value| format!("{customer}/{value}"),
        )
    }

    /// The record's text, with an id of its own where it is an object.
    pub(crate) fn text(&self, kind: Kind, id: &str, on_one_line: bool) -> Vec<u8> {
        if let Some(Fault::NoObject(index)) = self.fault {
            return NO_OBJECTS[index].as_bytes().to_vec();
        }
        let mut members: Vec<Vec<u8>> = Vec::new();
        members.extend(self.key_members(kind).into_iter().map(String::into_bytes));
        members.push(format!(r#""test_id":"{id}""#).into_bytes());
        members.extend(
            self.customer_members(kind)
                .into_iter()
                .map(String::into_bytes),
        );
        members.push(EXTRAS[self.extra].as_bytes().to_vec());
        if self.never {
            members.push(br#""fate":"never""#.to_vec());
        }
        if let Some(Fault::Member(index)) = self.fault {
            members.push(NO_MEMBERS[index].to_vec());
        }
        let (open, comma, close): (&[u8], &[u8], &[u8]) = match self.space {
            Space::Lines if !on_one_line => (b"{\r\n\t", b",\n  ", b"\n}"),
            Space::None => (b"{", b",", b"}"),
            Space::Some | Space::Lines => (b"{ ", b" , ", b"\t}"),
        };
        let close = if self.fault == Some(Fault::Cut) {
            b""
        } else {
            close
        };
        [open, &members.join(comma), close].concat()
    }

    fn customer_members(&self, kind: Kind) -> Vec<String> {
        let [own, other] = kind.customer_fields();
        match self.customer {
            CustomerField::Own(customer, way) => vec![member(own, customer, way)],
            CustomerField::Other(customer, way) => vec![member(other, customer, way)],
            CustomerField::Both(customer, first, second) => {
                vec![
                    member(own, customer, first),
                    member(other, customer, second),
                ]
            }
            CustomerField::Missing => Vec::new(),
            CustomerField::Wrong(index) => vec![format!(r#""{own}":{}"#, NO_CUSTOMERS[index])],
            CustomerField::Twice(customer) => {
                vec![
                    member(own, customer, Way::Text),
                    member(own, customer, Way::Escaped),
                ]
            }
            CustomerField::LookAlike(customer, index) => {
                vec![
                    member(own, customer, Way::Text),
                    member(LOOK_ALIKES[index], customer, Way::Text),
                ]
            }
            CustomerField::Contradicted => {
                vec![
                    member(own, "acme", Way::Text),
                    member(other, "globex", Way::Text),
                ]
            }
        }
    }

    fn key_members(&self, kind: Kind) -> Vec<String> {
        let fields = kind.key_fields();
        let first = fields[0];
        match self.key {
            KeyField::None => Vec::new(),
            KeyField::First(key) => vec![format!(r#""{first}":{}"#, KEYS[key].0)],
            KeyField::Number(digits) => vec![format!(r#""{first}":{digits}"#)],
            KeyField::Twice(before, key) => {
                vec![
                    format!(r#""{first}":{}"#, KEYS[before].0),
                    format!(r#""{first}":{}"#, KEYS[key].0),
                ]
            }
            KeyField::Second(before, key) => {
                let second = fields.get(1).unwrap_or(&"no_key_of_this_kind");
                vec![
                    format!(r#""{second}":{}"#, KEYS[key].0),
                    format!(r#""{first}":{}"#, NO_KEYS[before]),
                ]
            }
            KeyField::Long => vec![format!(r#""{first}":"{}""#, long_key())],
        }
    }
}

fn member(field: &str, customer: Customer, way: Way) -> String {
    match way {
        Way::Digits if customer.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!(r#""{field}":{customer}"#)
        }
        Way::Text | Way::Digits => format!(r#""{field}":"{customer}""#),
        Way::Escaped => {
            let escape =
                |text: &str| format!("\\u{:04x}{}", u32::from(text.as_bytes()[0]), &text[1..]);
            format!(r#""{}":"{}""#, escape(field), escape(customer))
        }
    }
}

fn long_key() -> String {
    format!("x{}", "é".repeat(KEY_BYTES))
}

/// As many whole characters as fit.
fn cut(text: &str) -> String {
    let mut bytes = 0;
    text.chars()
        .take_while(|letter| {
            bytes += letter.len_utf8();
            bytes <= KEY_BYTES
        })
        .collect()
}
