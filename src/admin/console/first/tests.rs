//! Tests of the first screen.

use super::*;
use crate::admin::console::overview::{
    CertificatePart, CustomerPart, Customers, Fill, JournalPart, KeyPart, LimitPart, Reason,
    SinkError,
};

const HOSTILE: &str = "<script>\"'&";

/// An overview all of whose texts are hostile.
fn hostile() -> Overview {
    let text = || HOSTILE.to_owned();
    Overview {
        name: text(),
        version: text(),
        verdict: Verdict {
            level: Level::Bad,
            reasons: vec![Reason {
                level: Level::Warning,
                subject: text(),
                text: text(),
            }],
        },
        topics: [None, Some(text())]
            .map(|trouble| TopicPart {
                name: text(),
                sink: text(),
                trouble,
                last_error: Some(SinkError {
                    message: text(),
                    ago_s: 1,
                }),
                line: vec![1.0, 2.0],
                ..TopicPart::default()
            })
            .into(),
        customers: Customers {
            seen: 2,
            top: vec![CustomerPart {
                customer: Some(text()),
                quota: Some(3),
                ..CustomerPart::default()
            }],
        },
        limits: vec![LimitPart {
            limit: text(),
            ..LimitPart::default()
        }],
        certificates: vec![CertificatePart {
            name: text(),
            ..CertificatePart::default()
        }],
        keys: vec![KeyPart {
            id: text(),
            ..KeyPart::default()
        }],
        ..Overview::default()
    }
}

#[test]
fn no_text_from_outside_is_markup() {
    let page = live(&hostile());
    assert!(
        page.matches("&lt;script&gt;&quot;&#39;&amp;").count() >= 12,
        "{page}"
    );
    assert!(!page.contains("<script"));
    for forbidden in [" style=", " onclick=", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn every_element_is_closed() {
    let page = live(&hostile());
    for name in [
        "section", "table", "tr", "td", "th", "dl", "dd", "div", "span", "svg", "ul", "p",
    ] {
        let opened =
            page.matches(&format!("<{name} ")).count() + page.matches(&format!("<{name}>")).count();
        let closed = page.matches(&format!("</{name}>")).count();
        assert_eq!(opened, closed, "{name}");
    }
}

#[test]
fn a_state_is_told_in_words() {
    let mut overview = Overview::default();
    assert!(live(&overview).contains("All is well"));
    overview.topics = vec![TopicPart {
        name: "events".to_owned(),
        sink: "kafka".to_owned(),
        trouble: Some("no broker".to_owned()),
        bytes: Fill {
            used: 1 << 20,
            limit: 2 << 20,
        },
        journal: Some(JournalPart {
            backlog: 1_200,
            age_s: Fill {
                used: 61,
                limit: 100,
            },
            is_full: true,
            ..JournalPart::default()
        }),
        ..TopicPart::default()
    }];
    let page = live(&overview);
    for words in [
        "kafka takes no records",
        "no broker",
        "50 % <small>1.0 MiB of 2.0 MiB</small>",
        "61 % <small>1,200 wait, the oldest 1 min</small>",
        "full</span>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}
