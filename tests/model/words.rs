//! The words of a sequence: its steps and their parts. Nothing here knows what the gateway does
//! with them.

use std::fmt;

use super::record::Spec;

/// The part of the email before the `@`, as the tests' directory has it.
pub(crate) type User = &'static str;
pub(crate) type Customer = &'static str;
pub(crate) type Integration = &'static str;

pub(crate) const USERS: [User; 6] = ["alice", "bob", "carol", "root", "org", "off"];
/// The first four are in the tests' directory, the last is never added.
pub(crate) const CUSTOMERS: [Customer; 6] =
    ["acme", "globex", "1001", "closed", "initech", "nobody"];
pub(crate) const INTEGRATIONS: [Integration; 4] =
    ["servicenow-1", "jira 2", "globex-only", "new&one"];

/// A configuration and the steps that a gateway with it goes through.
#[derive(Clone)]
pub(crate) struct Sequence {
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) threads: i64,
    pub(crate) linger: bool,
    /// The workers of the topic of metrics; the others have one.
    pub(crate) workers: i64,
}

/// One step a line.
impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "with {:?}", self.setup)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {number}. {step:?}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// One request, whose answer is awaited.
    Send(Request),
    /// Requests on connections of their own, all sent before an answer is read.
    Together(Vec<Request>),
    /// A change of the directory, made as the command line makes it.
    Change(Change),
    /// A plan for a topic's writes: the next ones, and then all others.
    Plan(Kind, Plan),
    /// The gateway ends and starts again in the same folder, with these requests under way.
    Restart(End, Vec<Request>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Drain,
    Kill,
}

#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) auth: Auth,
    pub(crate) call: Call,
    pub(crate) via: Via,
    pub(crate) trace: Trace,
}

/// Writes the caller, the call and its form, and leaves out what is as usual.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.call, self.via)?;
        if let Some((token, style)) = &self.auth.cookie {
            write!(f, ", cookie {token:?} {style:?}")?;
        }
        if let Some(authorization) = &self.auth.authorization {
            write!(f, ", {authorization:?}")?;
        }
        if self.trace == Trace::None {
            Ok(())
        } else {
            write!(f, ", trace {:?}", self.trace)
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Publish(Publish),
    Ticket(Ticket),
    /// The token endpoint, with these credentials alone.
    LogIn(User, Password),
    /// The refresh endpoint.
    Refresh(Token),
    Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// On a connection that other requests use before and after.
    Kept,
    Fresh,
    /// On a fresh connection, the body in chunks.
    Chunked,
    Http2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    None,
    Valid,
    Invalid,
}

/// Both places where credentials may stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Auth {
    pub(crate) cookie: Option<(Token, CookieStyle)>,
    pub(crate) authorization: Option<Authorization>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum CookieStyle {
    Plain,
    Quoted,
    AmongOthers,
    InTheSecondHeader,
    /// No value: as if there were no cookie.
    Empty,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Authorization {
    Bearer(Token),
    Basic(User, Password),
    BasicOfNobody,
    BasicMalformed,
    OtherScheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password {
    Right,
    /// The one that the user had at first.
    First,
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The newest that the user could get.
    Newest(User),
    /// From before the sequence.
    First(User),
    /// Expired before the sequence.
    Expired(User),
    /// A refresh token from before the sequence; at the refresh endpoint, the newest.
    Refresh(User),
    /// An access token of a session that ended when a used refresh token came.
    Ended(User),
    /// A refresh token that was used before; it is of a session of its own.
    Used(User),
    /// Signed with another key.
    Foreign,
    /// The signature cut short.
    Cut(User),
    Junk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Event,
    Metric,
    Entity,
    Service,
    Healthcheck,
    Ticket,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Event,
        Self::Metric,
        Self::Entity,
        Self::Service,
        Self::Healthcheck,
        Self::Ticket,
    ];

    pub(crate) fn topic(self) -> &'static str {
        match self {
            Self::Event => "events",
            Self::Metric => "metrics",
            Self::Entity => "entities",
            Self::Service => "services",
            Self::Healthcheck => "healthchecks",
            Self::Ticket => "tickets",
        }
    }

    pub(crate) fn event_type(self) -> &'static str {
        match self {
            Self::Event => "iem.event",
            Self::Metric => "iem.metric",
            Self::Entity => "iem.entity",
            Self::Service => "iem.service",
            Self::Healthcheck => "iem.healthcheck",
            Self::Ticket => "iem.ticket",
        }
    }

    /// The fields that may hold the ordering key, the preferred one first.
    pub(crate) fn key_fields(self) -> &'static [&'static str] {
        match self {
            Self::Event => &["splitby", "entityid"],
            Self::Metric => &["mappedentityid", "entity"],
            Self::Entity => &["entityid"],
            Self::Service => &["servicename"],
            Self::Healthcheck => &["host"],
            Self::Ticket => &["sysid"],
        }
    }

    /// The customer field as the API spells it for this kind, and as for the others.
    pub(crate) fn customer_fields(self) -> [&'static str; 2] {
        match self {
            Self::Event | Self::Metric => ["envcustomerid", "envcustomer_id"],
            _ => ["envcustomer_id", "envcustomerid"],
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) kind: Kind,
    /// Which of the kind's paths.
    pub(crate) path: usize,
    pub(crate) body: Body,
}

impl Publish {
    pub(crate) fn path(&self) -> &'static str {
        let paths: &[&str] = match self.kind {
            Kind::Event => &[
                "/publish/allevents/",
                "/publish/allevnts/",
                "/publish/allevents",
            ],
            Kind::Metric => &["/publish/metrics/", "/publish/metrics"],
            Kind::Entity => &["/publish/entity/", "/publish/entity"],
            Kind::Service => &["/publish/service/", "/publish/service"],
            Kind::Healthcheck => &["/publish/healthcheck/", "/publish/healthcheck"],
            Kind::Ticket => unreachable!("a ticket is no publish call"),
        };
        paths[self.path % paths.len()]
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Records {
        form: Form,
        records: Vec<Spec>,
        coding: Coding,
        style: usize,
    },
    /// A body at fault as a whole.
    Odd(Odd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    One,
    Array,
    Lines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Gzip,
    Zlib,
    Deflate,
    Zstd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    Empty,
    White,
    EmptyArray,
    BlankLines,
    TwoRecords,
    OpenArray,
    CommaTooMany,
    TooLarge,
    TooLargeDecoded,
    /// More records than the topic's queue takes.
    TooMany,
    EncodingUnknown,
    EncodingTwice,
    CorruptGzip,
}

#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) customer: Customer,
    pub(crate) query: Query,
    pub(crate) body: TicketBody,
    pub(crate) coding: Coding,
    /// The path in percent-encoding where it need not be.
    pub(crate) escaped: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Query {
    None,
    Empty,
    Integration(Integration),
    /// The first counts.
    Twice(Integration, Integration),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TicketBody {
    /// `state` as JSON text, its number, `sysid`.
    Good(&'static str, i64, &'static str),
    Bad(&'static str),
}

/// A plan for a sink: acts that happen once each, and the one that stays.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) once: Vec<Act>,
    pub(crate) then: Act,
}

/// An act of a sink with one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Deliver,
    /// A little slow, but in time.
    Slow,
    Transient,
    Permanent,
    Panic,
    /// Each record by what is written in it; what is left open may be tried again.
    Mark,
    /// The same, but trying again is in vain.
    MarkForGood,
    /// Gives up at the deadline.
    Late,
    /// Delivers after the deadline, against the rules of sinks.
    PastDeadline,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Enable(User),
    Disable(User),
    Passwd(User),
    RemoveUser(User),
    AddUser(User, Vec<Customer>),
    Grant(User, Customer),
    Revoke(User, Customer),
    AddCustomer(Customer),
    RemoveCustomer(Customer),
    Activate(Customer),
    Deactivate(Customer),
    AddIntegration(Customer, Integration, Vec<(i64, &'static str)>),
    RemoveIntegration(Customer, Integration),
}
