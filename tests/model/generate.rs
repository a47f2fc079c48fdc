//! Random sequences: mostly good requests, so that sequences get somewhere, and every fault often
//! enough.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use super::record::{
    CustomerField, EXTRAS, Fault, KEYS, KeyField, LOOK_ALIKES, NO_CUSTOMERS, NO_KEYS, NO_MEMBERS,
    NO_OBJECTS, NUMBERS, Space, Spec, Way,
};
use super::words::{
    Act, Auth, Authorization, Body, CUSTOMERS, Call, Change, Coding, CookieStyle, Customer, End,
    Form, INTEGRATIONS, Integration, Kind, Odd, Password, Plan, Publish, Query, Request, Sequence,
    Setup, Step, Ticket, TicketBody, Token, Trace, USERS, User, Via,
};

/// Which sink a sequence is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Script,
    Files,
}

pub(crate) fn sequence(target: For) -> impl Strategy<Value = Sequence> {
    let setup = (1..3i64, any::<bool>(), select(vec![1, 3i64]));
    setup.prop_flat_map(move |(threads, linger, workers)| {
        let setup = Setup {
            threads,
            linger,
            workers,
        };
        vec(step(target, setup), 5..40).prop_map(move |steps| Sequence { setup, steps })
    })
}

fn step(target: For, setup: Setup) -> BoxedStrategy<Step> {
    let end = match target {
        For::Script => Just(End::Drain).boxed(),
        For::Files => select(vec![End::Drain, End::Kill, End::Kill]).boxed(),
    };
    let steps = prop_oneof![
        24 => request().prop_map(Step::Send),
        3 => vec(request(), 2..6).prop_map(Step::Together),
        5 => change().prop_map(Step::Change),
        1 => (end, vec(request(), 0..4)).prop_map(|(end, requests)| Step::Restart(end, requests)),
    ];
    match target {
        For::Files => steps.boxed(),
        For::Script => prop_oneof![33 => steps, 8 => plan(setup)].boxed(),
    }
}

fn request() -> impl Strategy<Value = Request> {
    let call = prop_oneof![
        24 => publish().prop_map(Call::Publish),
        5 => ticket().prop_map(Call::Ticket),
        1 => (user(), password()).prop_map(|(user, password)| Call::LogIn(user, password)),
        3 => refresh_token().prop_map(Call::Refresh),
        1 => Just(Call::Running),
    ];
    let via = select(vec![
        Via::Kept,
        Via::Kept,
        Via::Fresh,
        Via::Chunked,
        Via::Http2,
    ]);
    let trace =
        prop_oneof![8 => Just(Trace::None), 1 => Just(Trace::Valid), 1 => Just(Trace::Invalid)];
    (call, via, trace).prop_flat_map(|(call, via, trace)| {
        let is_ticket = matches!(call, Call::Ticket(_));
        auth(is_ticket).prop_map(move |auth| Request {
            auth,
            call: call.clone(),
            via,
            trace,
        })
    })
}

fn auth(is_ticket: bool) -> BoxedStrategy<Auth> {
    let style = select(vec![
        CookieStyle::Plain,
        CookieStyle::Quoted,
        CookieStyle::AmongOthers,
        CookieStyle::InTheSecondHeader,
    ]);
    let cookie = (caller(), style.clone()).prop_map(|(user, style)| Auth {
        cookie: Some((Token::Newest(user), style)),
        authorization: None,
    });
    let bearer = caller().prop_map(|user| Auth {
        cookie: None,
        authorization: Some(Authorization::Bearer(Token::Newest(user))),
    });
    let basic = caller().prop_map(|user| Auth {
        cookie: None,
        authorization: Some(Authorization::Basic(user, Password::Right)),
    });
    let style = prop_oneof![4 => style, 1 => Just(CookieStyle::Empty)];
    let any = (
        weighted(0.6, (token(), style)),
        weighted(0.5, authorization()),
    )
        .prop_map(|(cookie, authorization)| Auth {
            cookie,
            authorization,
        });
    let over = prop_oneof![
        2 => caller().prop_map(Token::Ended),
        1 => caller().prop_map(Token::First),
    ]
    .prop_map(|token| Auth {
        cookie: Some((token, CookieStyle::Plain)),
        authorization: None,
    });
    prop_oneof![14 => cookie, 5 => bearer, 2 => over, u32::from(is_ticket) * 10 + 1 => basic, 4 => any].boxed()
}

fn refresh_token() -> impl Strategy<Value = Token> {
    prop_oneof![
        1 => user().prop_map(Token::Refresh),
        2 => caller().prop_map(Token::Used),
        1 => token()
    ]
}

/// Users who may call from the start, the one who is associated with all customers most often.
fn caller() -> impl Strategy<Value = User> {
    select(vec![
        "alice", "bob", "carol", "carol", "root", "root", "root", "root",
    ])
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        4 => user().prop_map(Token::Newest),
        4 => user().prop_map(Token::First),
        2 => select(vec!["alice", "org"]).prop_map(Token::Expired),
        1 => user().prop_map(Token::Refresh),
        1 => user().prop_map(Token::Cut),
        1 => Just(Token::Foreign),
        1 => Just(Token::Junk),
    ]
}

fn authorization() -> impl Strategy<Value = Authorization> {
    prop_oneof![
        3 => token().prop_map(Authorization::Bearer),
        4 => (user(), password()).prop_map(|(user, password)| Authorization::Basic(user, password)),
        1 => Just(Authorization::BasicOfNobody),
        1 => Just(Authorization::BasicMalformed),
        1 => Just(Authorization::OtherScheme),
    ]
}

fn user() -> impl Strategy<Value = User> {
    select(USERS.to_vec())
}

fn password() -> impl Strategy<Value = Password> {
    select(vec![
        Password::Right,
        Password::Right,
        Password::First,
        Password::Wrong,
    ])
}

fn customer() -> impl Strategy<Value = Customer> {
    prop_oneof![
        16 => Just("acme"),
        3 => Just("globex"),
        4 => Just("1001"),
        1 => select(CUSTOMERS.to_vec()),
    ]
}

fn publish() -> impl Strategy<Value = Publish> {
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Ticket)
        .collect::<Vec<_>>();
    let body = prop_oneof![
        12 => records(),
        1 => select(vec![
            Odd::Empty, Odd::White, Odd::EmptyArray, Odd::BlankLines, Odd::TwoRecords, Odd::OpenArray,
            Odd::CommaTooMany, Odd::TooLarge, Odd::TooLargeDecoded, Odd::TooMany, Odd::EncodingUnknown,
            Odd::EncodingTwice, Odd::CorruptGzip,
        ]).prop_map(Body::Odd),
    ];
    (select(kinds), 0..3usize, body).prop_map(|(kind, path, body)| Publish { kind, path, body })
}

fn records() -> impl Strategy<Value = Body> {
    let form = prop_oneof![
        3 => (Just(Form::One), vec(spec(), 1)),
        3 => (Just(Form::Array), vec(spec(), 1..7)),
        2 => (Just(Form::Lines), vec(spec(), 1..7)),
    ];
    (form, coding(), 0..40usize).prop_map(|((form, records), coding, style)| Body::Records {
        form,
        records,
        coding,
        style,
    })
}

fn coding() -> impl Strategy<Value = Coding> {
    let others = vec![Coding::Gzip, Coding::Zlib, Coding::Deflate, Coding::Zstd];
    prop_oneof![2 => Just(Coding::Plain), 1 => select(others)]
}

fn spec() -> impl Strategy<Value = Spec> {
    let way = || select(vec![Way::Text, Way::Text, Way::Escaped, Way::Digits]);
    let field = prop_oneof![
        30 => (customer(), way()).prop_map(|(customer, way)| CustomerField::Own(customer, way)),
        5 => (customer(), way()).prop_map(|(customer, way)| CustomerField::Other(customer, way)),
        3 => (customer(), way(), way()).prop_map(|(customer, one, other)| CustomerField::Both(customer, one, other)),
        1 => prop_oneof![
            1 => Just(CustomerField::Missing),
            3 => (0..NO_CUSTOMERS.len()).prop_map(CustomerField::Wrong),
            1 => customer().prop_map(CustomerField::Twice),
            1 => Just(CustomerField::Contradicted),
            1 => (customer(), 0..LOOK_ALIKES.len()).prop_map(|(customer, index)| CustomerField::LookAlike(customer, index)),
        ],
    ];
    let text = || 0..KEYS.len();
    let key = prop_oneof![
        2 => Just(KeyField::None),
        8 => text().prop_map(KeyField::First),
        2 => (0..NO_KEYS.len(), text()).prop_map(|(before, key)| KeyField::Second(before, key)),
        2 => select(NUMBERS.to_vec()).prop_map(KeyField::Number),
        1 => (text(), text()).prop_map(|(before, key)| KeyField::Twice(before, key)),
        1 => Just(KeyField::Long),
    ];
    let fault = prop_oneof![
        (0..NO_OBJECTS.len()).prop_map(Fault::NoObject),
        Just(Fault::Cut),
        (0..NO_MEMBERS.len()).prop_map(Fault::Member),
    ];
    let space = select(vec![Space::None, Space::Some, Space::Lines]);
    (
        field,
        key,
        0..EXTRAS.len(),
        proptest::bool::weighted(0.15),
        space,
        weighted(0.03, fault),
    )
        .prop_map(|(customer, key, extra, never, space, fault)| Spec {
            customer,
            key,
            extra,
            never,
            space,
            fault,
        })
}

fn ticket() -> impl Strategy<Value = Ticket> {
    let of_acme = (
        Just("acme"),
        select(vec!["servicenow-1", "jira 2"]).prop_map(Query::Integration),
    );
    let query = prop_oneof![
        Just(Query::None),
        Just(Query::Empty),
        integration().prop_map(Query::Integration),
        (integration(), integration()).prop_map(|(first, second)| Query::Twice(first, second)),
    ];
    let states = vec![
        ("6", 6),
        ("7", 7),
        ("10", 10),
        (r#""6""#, 6),
        ("-1", -1),
        (r#""7""#, 7),
        ("99", 99),
    ];
    let good = (select(states), select(vec!["a", "b", "9d385017c611"]))
        .prop_map(|((text, state), sysid)| TicketBody::Good(text, state, sysid));
    let bad = select(vec![
        "",
        "{",
        "[]",
        r#"[{"state":6,"sysid":"a"}]"#,
        r#"{"sysid":"a"}"#,
        r#"{"state":6}"#,
        r#"{"state":6.0,"sysid":"a"}"#,
        r#"{"state":"resolved","sysid":"a"}"#,
        r#"{"state":null,"sysid":"a"}"#,
        r#"{"state":6,"sysid":""}"#,
        r#"{"state":6,"sysid":"a"}{}"#,
    ])
    .prop_map(TicketBody::Bad);
    let target = prop_oneof![2 => of_acme, 1 => (customer(), query)];
    (
        target,
        prop_oneof![5 => good, 1 => bad],
        coding(),
        any::<bool>(),
    )
        .prop_map(|((customer, query), body, coding, escaped)| Ticket {
            customer,
            query,
            body,
            coding,
            escaped,
        })
}

fn integration() -> impl Strategy<Value = Integration> {
    select(INTEGRATIONS.to_vec())
}

fn change() -> impl Strategy<Value = Change> {
    let any_customer = || select(CUSTOMERS[..5].to_vec());
    let states = select(vec![
        vec![],
        vec![(6, "done")],
        vec![(10, "resolved"), (-1, "lost")],
    ]);
    prop_oneof![
        3 => user().prop_map(Change::Enable),
        2 => user().prop_map(Change::Disable),
        1 => user().prop_map(Change::Passwd),
        1 => user().prop_map(Change::RemoveUser),
        2 => (user(), vec(any_customer(), 0..3)).prop_map(|(user, mut customers)| {
            customers.sort_unstable();
            customers.dedup();
            Change::AddUser(user, customers)
        }),
        3 => (user(), any_customer()).prop_map(|(user, customer)| Change::Grant(user, customer)),
        2 => (user(), any_customer()).prop_map(|(user, customer)| Change::Revoke(user, customer)),
        3 => any_customer().prop_map(Change::AddCustomer),
        1 => any_customer().prop_map(Change::RemoveCustomer),
        3 => any_customer().prop_map(Change::Activate),
        2 => any_customer().prop_map(Change::Deactivate),
        2 => (any_customer(), integration(), states)
            .prop_map(|(customer, id, states)| Change::AddIntegration(customer, id, states)),
        1 => (any_customer(), integration()).prop_map(|(customer, id)| Change::RemoveIntegration(customer, id)),
    ]
}

/// With several workers nobody knows which of them meets what happens once, nor which of several
/// batches of a request, as those of entities may be: then it is the same for all.
fn plan(setup: Setup) -> BoxedStrategy<Step> {
    let passing = vec![Act::Transient, Act::Panic];
    let once = vec![
        Act::Deliver,
        Act::Slow,
        Act::Transient,
        Act::Transient,
        Act::Permanent,
        Act::Panic,
        Act::Mark,
        Act::MarkForGood,
        Act::Late,
        Act::PastDeadline,
    ];
    let then = || {
        prop_oneof![
            8 => Just(Act::Deliver),
            2 => Just(Act::Slow),
            1 => select(vec![Act::Transient, Act::Panic, Act::Late, Act::Mark]),
            3 => select(vec![Act::Permanent, Act::MarkForGood]),
        ]
    };
    select(Kind::ALL.to_vec())
        .prop_flat_map(move |kind| {
            let shared = kind == Kind::Entity || kind == Kind::Metric && setup.workers > 1;
            let once = vec(
                select(if shared {
                    passing.clone()
                } else {
                    once.clone()
                }),
                0..3,
            );
            (once, then()).prop_map(move |(once, then)| Step::Plan(kind, Plan { once, then }))
        })
        .boxed()
}
