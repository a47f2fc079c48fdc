//! A call's bytes: bodies in every form and encoding, and the request around them.

use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::words::{
    Auth, Authorization, Body, Coding, CookieStyle, Form, Odd, Password, Publish, Query, Ticket,
    TicketBody, Token, Trace, User, Via,
};
use iem_test_support::{basic, encoded};

/// As configured in these tests.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 10;
pub(crate) const QUEUE_RECORDS: usize = 24;

/// One record as it stands in a body.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) id: String,
    pub(crate) data: Vec<u8>,
}

/// A body, its records, and the headers that go with it.
pub(crate) struct Rendered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Written>,
    headers: Vec<(&'static str, &'static str)>,
}

/// The white space and the headers of a body, by its style's number.
struct Style {
    before: &'static str,
    between: &'static str,
    line_end: &'static str,
    mark: bool,
    content_type: Option<&'static str>,
}

fn style(form: Form, number: usize) -> Style {
    let of = |options: &[&'static str], shift: usize| options[(number >> shift) % options.len()];
    let content_type = match form {
        Form::Lines => Some(of(
            &[
                "application/x-ndjson",
                "Application/X-NDJSON; charset=utf-8",
            ],
            2,
        )),
        _ => Some(of(
            &[
                "",
                "application/json",
                "text/plain",
                "application/x-www-form-urlencoded",
            ],
            2,
        )),
    };
    Style {
        before: of(&["", "\n ", "\r\n\t"], 0),
        between: of(&["", " ", "\n\t"], 1),
        line_end: of(&["\n", "\r\n", "\n\n  \r\n"], 3),
        mark: number.is_multiple_of(5),
        content_type: content_type.filter(|text| !text.is_empty()),
    }
}

impl Style {
    /// A body with these records; lines may end in a line's end.
    fn body(&self, form: Form, texts: &[&[u8]], ends_last_line: bool) -> Vec<u8> {
        let before = self.before.as_bytes();
        let between = self.between.as_bytes();
        match form {
            Form::One => [before, texts[0], between].concat(),
            Form::Array => {
                let comma = [between, b",", between].concat();
                let list = texts.join(&comma[..]);
                [before, b"[", between, &list, between, b"]", before].concat()
            }
            Form::Lines => {
                let end = self.line_end.as_bytes();
                let last = if ends_last_line { end } else { b"" };
                [&*texts.join(end), last].concat()
            }
        }
    }
}

impl Publish {
    /// The body, with ids of their own for its records.
    pub(crate) fn render(&self, mut next_id: impl FnMut() -> String) -> Rendered {
        let Body::Records {
            form,
            records,
            coding,
            style: number,
        } = &self.body
        else {
            let Body::Odd(odd) = self.body else {
                unreachable!("two kinds of bodies")
            };
            return self.render_odd(odd, next_id());
        };
        let style = style(*form, *number);
        let mut written: Vec<_> = records
            .iter()
            .map(|record| {
                let id = next_id();
                let data = record.text(self.kind, &id, *form == Form::Lines);
                Written { id, data }
            })
            .collect();
        let texts: Vec<&[u8]> = written.iter().map(|record| &*record.data).collect();
        let plain = style.body(*form, &texts, number.is_multiple_of(2));
        if *form == Form::One {
            written[0].data.clone_from(&plain);
        }
        let plain = if style.mark {
            [b"\xef\xbb\xbf", &plain[..]].concat()
        } else {
            plain
        };
        let mut headers: Vec<_> = style
            .content_type
            .map(|value| ("Content-Type", value))
            .into_iter()
            .collect();
        let bytes = coded(*coding, plain, &mut headers);
        Rendered {
            bytes,
            records: written,
            headers,
        }
    }

    fn render_odd(&self, odd: Odd, id: String) -> Rendered {
        let field = self.kind.customer_fields()[0];
        let record = format!(r#"{{"{field}":"acme","test_id":"{id}"}}"#);
        let padded = || format!("{record}{}", " ".repeat(BODY_BYTES_MAX));
        let plain = match odd {
            Odd::Empty => String::new(),
            Odd::White | Odd::BlankLines => " \r\n\t\n".to_owned(),
            Odd::EmptyArray => " [ ] ".to_owned(),
            Odd::TwoRecords => format!("{record}\n{record}"),
            Odd::OpenArray => format!("[{record},{record}"),
            Odd::CommaTooMany => format!("[{record},{record},]"),
            Odd::TooLarge => padded(),
            Odd::TooLargeDecoded => return gzipped(&padded(), id),
            Odd::TooMany => format!("[{}]", vec![&*record; QUEUE_RECORDS + 1].join(",")),
            Odd::EncodingUnknown | Odd::EncodingTwice | Odd::CorruptGzip => record.clone(),
        };
        let headers = match odd {
            Odd::BlankLines => vec![("Content-Type", "application/x-ndjson")],
            Odd::EncodingUnknown => vec![("Content-Encoding", "br")],
            Odd::EncodingTwice => vec![("Content-Encoding", "gzip, gzip")],
            Odd::CorruptGzip => vec![("Content-Encoding", "gzip")],
            _ => Vec::new(),
        };
        let data = record.into_bytes();
        Rendered {
            bytes: plain.into_bytes(),
            records: vec![Written { id, data }],
            headers,
        }
    }
}

fn gzipped(plain: &str, id: String) -> Rendered {
    let headers = vec![("Content-Encoding", "gzip")];
    let records = vec![Written {
        id,
        data: plain.as_bytes().to_vec(),
    }];
    Rendered {
        bytes: encoded("gzip", plain.as_bytes()),
        records,
        headers,
    }
}

fn coded(
    coding: Coding,
    plain: Vec<u8>,
    headers: &mut Vec<(&'static str, &'static str)>,
) -> Vec<u8> {
    let (way, name) = match coding {
        Coding::Plain => return plain,
        Coding::Gzip => ("gzip", "gzip"),
        Coding::Zlib => ("zlib", "deflate"),
        Coding::Deflate => ("deflate", "Deflate"),
        Coding::Zstd => ("zstd", "zstd"),
    };
    headers.push(("Content-Encoding", name));
    encoded(way, &plain)
}

impl Ticket {
    pub(crate) fn target(&self) -> String {
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let customer = if self.escaped {
            self.customer
                .bytes()
                .fold(String::new(), |text, byte| text + &format!("%{byte:02x}"))
        } else {
            self.customer.to_owned()
        };
        let query = match self.query {
            Query::None => String::new(),
            Query::Empty => "?integrationid=".to_owned(),
            Query::Integration(id) => format!("?a=b&integrationid={}&c", escaped(id)),
            Query::Twice(first, second) => {
                format!(
                    "?integrationid={}&integrationid={}",
                    escaped(first),
                    escaped(second)
                )
            }
        };
        format!("/gbp/push/{customer}{query}")
    }

    pub(crate) fn render(&self, id: String) -> Rendered {
        let plain = match self.body {
            TicketBody::Good(state, _, sysid) => {
                format!(r#"{{"state":{state}, "sysid":"{sysid}","test_id":"{id}","n":1.50}}"#)
            }
            TicketBody::Bad(text) => text.to_owned(),
        };
        let data = plain.clone().into_bytes();
        let mut headers = Vec::new();
        let bytes = coded(self.coding, plain.into_bytes(), &mut headers);
        Rendered {
            bytes,
            records: vec![Written { id, data }],
            headers,
        }
    }
}

impl Rendered {
    pub(crate) fn of(body: String) -> Self {
        Self {
            bytes: body.into_bytes(),
            records: Vec::new(),
            headers: Vec::new(),
        }
    }
}

/// Credentials as header lines; `token` says what stands for a token, `password` for a user's email
/// and password.
pub(crate) fn auth_lines(
    auth: &Auth,
    token: impl Fn(Token) -> String,
    credentials: impl Fn(User, Password) -> String,
) -> String {
    let mut lines = String::new();
    if let Some((cookie, style)) = auth.cookie {
        let value = token(cookie);
        let line = match style {
            CookieStyle::Plain => format!("Cookie: access_token={value}"),
            CookieStyle::Quoted => format!("Cookie: access_token=\"{value}\""),
            CookieStyle::AmongOthers => {
                format!("cookie: a=access_token=b; access_token={value};c=d")
            }
            CookieStyle::InTheSecondHeader => {
                format!("Cookie: a=b\r\nCookie: access_token={value}")
            }
            CookieStyle::Empty => "Cookie: access_token=".to_owned(),
        };
        lines += &line;
        lines += "\r\n";
    }
    let value = match auth.authorization {
        None => return lines,
        Some(Authorization::Bearer(bearer)) => format!("Bearer {}", token(bearer)),
        Some(Authorization::Basic(user, password)) => basic(credentials(user, password)),
        Some(Authorization::BasicOfNobody) => basic("nobody@iem.example:alice-password"),
        Some(Authorization::BasicMalformed) => "Basic ====".to_owned(),
        Some(Authorization::OtherScheme) => "Digest a=b".to_owned(),
    };
    write!(lines, "Authorization: {value}\r\n").expect("a string takes text");
    lines
}

/// The value of `traceparent` that a sink must see of it.
pub(crate) const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The whole request, as it stands in HTTP/1.1.
pub(crate) fn request(
    method: &str,
    target: &str,
    lines: &str,
    body: &Rendered,
    trace: Trace,
    via: Via,
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n{lines}");
    for (name, value) in &body.headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes text");
    }
    match trace {
        Trace::None => {}
        Trace::Valid => write!(head, "traceparent: {TRACE}\r\n").expect("a string takes text"),
        Trace::Invalid => head += "traceparent: 00-zz-zz-01\r\n",
    }
    if method == "GET" {
        return (head + "\r\n").into_bytes();
    }
    if via != Via::Chunked {
        write!(head, "Content-Length: {}\r\n\r\n", body.bytes.len()).expect("a string takes text");
        return [head.as_bytes(), &body.bytes].concat();
    }
    head += "Transfer-Encoding: chunked\r\n\r\n";
    let mut bytes = head.into_bytes();
    for chunk in body.bytes.chunks(100.max(body.bytes.len() / 3)) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}
