//! The contract as a small pure model: a directory, what a request is answered, and what of it
//! reaches the sink. It is written from the contract's text alone and shares no code with the
//! gateway.

mod directory;

use std::collections::BTreeMap;

use directory::Account;

use crate::record::Found;
use crate::words::{
    Auth, Authorization, Body, Call, CookieStyle, Customer, Form, Integration, Kind, Odd, Password,
    Publish, Query, Ticket, TicketBody, Token, User,
};

/// An answer that the contract allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: u16,
    pub(crate) says: Says,
    pub(crate) record: Index,
    pub(crate) failed: Vec<usize>,
    pub(crate) rejected: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// This message, and where there is nothing beside it, this exact body.
    Message(&'static str),
    /// Any message but an empty one.
    Something,
    /// Any message that names these words.
    Naming(&'static str),
    Detail(&'static str),
    /// A pair of tokens for this user.
    Pair(User),
}

/// The index of a bad record beside the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    None,
    Is(usize),
    /// Any index or none: the fault is between records.
    Any,
}

impl Verdict {
    pub(crate) fn of(status: u16, says: Says) -> Self {
        Self {
            status,
            says,
            record: Index::None,
            failed: Vec::new(),
            rejected: Vec::new(),
        }
    }

    fn message(status: u16, message: &'static str) -> Self {
        Self::of(status, Says::Message(message))
    }

    fn at(mut self, form: Form, index: usize) -> Self {
        self.record = if form == Form::One {
            Index::None
        } else {
            Index::Is(index)
        };
        self
    }
}

pub(crate) const PUBLISHED: &str = "Data published successfully";
pub(crate) const SUCCESS: &str = "Success";
const INVALID: &str = "Invalid access token";
const EXPIRED: &str = "Access token has expired";
const DENIED: &str = "Access denied";
const INACTIVE: &str = "Data has been sent for inactive customer";
const NOT_ASSOCIATED: &str = "User is not associated with the customer";

/// One record as it goes to the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) user: User,
    pub(crate) customer: Customer,
    pub(crate) key: String,
    pub(crate) integration: Option<Integration>,
    pub(crate) state: Option<&'static str>,
    /// The scripted sink never takes it, when it looks.
    pub(crate) never: bool,
}

/// The result of a request before the sink: records for the sink, or a rejection.
pub(crate) type Judged = Result<Vec<Delivery>, Verdict>;

#[derive(Clone, Debug)]
pub(crate) struct Contract {
    users: BTreeMap<User, Account>,
    /// By id, whether active.
    customers: BTreeMap<Customer, bool>,
    integrations: BTreeMap<(Customer, Integration), BTreeMap<i64, &'static str>>,
    /// How many passwords each user has had, removed users too.
    passwords: BTreeMap<User, usize>,
    /// How often all sessions of each user have ended.
    ends: BTreeMap<User, usize>,
}

/// How many passwords a user had had when a session began, and how often all sessions had ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Began {
    pub(crate) password: usize,
    pub(crate) ends: usize,
}

/// A token as a gateway could judge it by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Not,
    /// A token of a session that began then.
    By(User, Began),
    Expired(User),
}

/// The beginning of the session that each user's newest token is of.
pub(crate) type Held = BTreeMap<User, Began>;

impl Contract {
    pub(crate) fn judge(&self, auth: &Auth, call: &Call, held: &Held) -> Judged {
        match call {
            Call::Publish(publish) => self.publish(auth, publish, held),
            Call::Ticket(ticket) => self
                .ticket(auth, ticket, held)
                .map(|delivery| vec![delivery]),
            Call::LogIn(user, password) => Err(self.log_in(user, *password)),
            Call::Refresh(token) => Err(self.refresh(*token, held)),
            Call::Running => Err(Verdict::message(200, "API is running")),
        }
    }

    /// Sections 2 and 3, check by check.
    fn publish(&self, auth: &Auth, publish: &Publish, held: &Held) -> Judged {
        let token = auth
            .token()
            .ok_or(Verdict::message(401, "Missing access token"))?;
        let user = self.holder(token, held)?;
        let (form, found) = match &publish.body {
            Body::Odd(odd) => return Err(odd_body(*odd)),
            Body::Records { form, records, .. } => {
                let found: Vec<_> = records
                    .iter()
                    .map(|record| record.found(publish.kind))
                    .collect();
                (*form, found)
            }
        };
        // The whole body's syntax first, then whether each is a record, then whose.
        for fault in [Found::NoJson, Found::NoRecord] {
            if let Some(index) = found.iter().position(|found| *found == fault) {
                return Err(Verdict::of(400, Says::Something).at(form, index));
            }
        }
        let mut deliveries = Vec::new();
        for (index, found) in found.into_iter().enumerate() {
            let Found::Record(customer, key) = found else {
                unreachable!("no fault was found")
            };
            self.associated(user, customer)
                .map_err(|verdict| verdict.at(form, index))?;
            let Body::Records { records, .. } = &publish.body else {
                unreachable!("a body of records")
            };
            let never = records[index].never;
            deliveries.push(Delivery {
                user,
                customer,
                key,
                integration: None,
                state: None,
                never,
            });
        }
        Ok(deliveries)
    }

    /// Section 4, row by row.
    fn ticket(&self, auth: &Auth, ticket: &Ticket, held: &Held) -> Result<Delivery, Verdict> {
        let user = self.ticket_sender(auth, held)?;
        self.associated(user, ticket.customer)?;
        let integration = match ticket.query {
            Query::None | Query::Empty => return Err(Verdict::of(400, Says::Something)),
            Query::Integration(integration) | Query::Twice(integration, _) => integration,
        };
        let states = self.integrations.get(&(ticket.customer, integration));
        let states = states.ok_or(Verdict::message(404, "Integration not found"))?;
        let TicketBody::Good(_, state, sysid) = ticket.body else {
            return Err(Verdict::of(400, Says::Something));
        };
        Ok(Delivery {
            user,
            customer: ticket.customer,
            key: format!("{}/{sysid}", ticket.customer),
            integration: Some(integration),
            state: states.get(&state).copied(),
            never: false,
        })
    }

    fn ticket_sender(&self, auth: &Auth, held: &Held) -> Result<User, Verdict> {
        if let Some(token) = auth.token() {
            return self.holder(token, held);
        }
        let wrong = Verdict::message(403, "Invalid credentials");
        match auth.authorization {
            Some(Authorization::Basic(user, password)) => {
                if !self.is_right(user, password) {
                    return Err(wrong);
                }
                if is_organization(user) {
                    Err(Verdict::message(403, DENIED))
                } else {
                    Ok(user)
                }
            }
            Some(Authorization::BasicOfNobody | Authorization::BasicMalformed) => Err(wrong),
            _ => Err(Verdict::message(403, DENIED)),
        }
    }

    /// Checks 2 to 4.
    fn holder(&self, token: Token, held: &Held) -> Result<User, Verdict> {
        let invalid = Verdict::message(401, INVALID);
        let signed = match token {
            Token::Junk
            | Token::Foreign
            | Token::Cut(_)
            | Token::Refresh(_)
            | Token::Ended(_)
            | Token::Used(_) => Signed::Not,
            Token::First(user) => Signed::By(user, Began::default()),
            Token::Newest(user) => Signed::By(user, held.get(user).copied().unwrap_or_default()),
            Token::Expired(user) => Signed::Expired(user),
        };
        let user = match signed {
            Signed::Expired(user) if self.holds(user, Began::default()) => {
                return Err(Verdict::message(401, EXPIRED));
            }
            Signed::By(user, began) if self.holds(user, began) => user,
            Signed::Not | Signed::By(..) | Signed::Expired(_) => return Err(invalid),
        };
        if is_organization(user) {
            Err(Verdict::message(403, DENIED))
        } else {
            Ok(user)
        }
    }

    /// Checks 7 and 8.
    fn associated(&self, user: User, customer: Customer) -> Result<(), Verdict> {
        if self.customers.get(customer) != Some(&true) {
            return Err(Verdict::message(401, INACTIVE));
        }
        let of_user = &self.users[user].customers;
        if is_superadmin(user) || of_user.contains(customer) {
            Ok(())
        } else {
            Err(Verdict::message(401, NOT_ASSOCIATED))
        }
    }

    fn log_in(&self, user: User, password: Password) -> Verdict {
        if !self.is_right(user, password) {
            return Verdict::of(401, Says::Detail("Invalid username/password."));
        }
        pair(user)
    }

    fn refresh(&self, token: Token, held: &Held) -> Verdict {
        let holder = match token {
            Token::Refresh(user) => Some((user, held.get(user).copied().unwrap_or_default())),
            _ => None,
        };
        match holder {
            Some((user, began)) if self.holds(user, began) => pair(user),
            _ => Verdict::of(401, Says::Detail("Invalid refresh token.")),
        }
    }
}

fn pair(user: User) -> Verdict {
    if is_organization(user) {
        return Verdict::of(403, Says::Detail(DENIED));
    }
    Verdict::of(200, Says::Pair(user))
}

fn odd_body(odd: Odd) -> Verdict {
    let verdict = match odd {
        Odd::TooLarge | Odd::TooLargeDecoded | Odd::TooMany => Verdict::of(413, Says::Something),
        Odd::EncodingUnknown | Odd::EncodingTwice => Verdict::of(415, Says::Something),
        Odd::TwoRecords => Verdict::of(400, Says::Naming("application/x-ndjson")),
        _ => Verdict::of(400, Says::Something),
    };
    let within = matches!(odd, Odd::OpenArray | Odd::CommaTooMany);
    Verdict {
        record: if within { Index::Any } else { Index::None },
        ..verdict
    }
}

impl Auth {
    /// The cookie wins; an empty one is none.
    pub(crate) fn token(&self) -> Option<Token> {
        match (self.cookie, self.authorization) {
            (Some((token, style)), _) if !matches!(style, CookieStyle::Empty) => Some(token),
            (_, Some(Authorization::Bearer(token))) => Some(token),
            _ => None,
        }
    }
}

pub(crate) fn is_superadmin(user: User) -> bool {
    user == "root"
}

pub(crate) fn is_organization(user: User) -> bool {
    user == "org"
}

impl Call {
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Publish(publish) => Some(publish.kind),
            Self::Ticket(_) => Some(Kind::Ticket),
            _ => None,
        }
    }
}
