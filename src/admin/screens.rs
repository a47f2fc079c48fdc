//! The requests for the console: which page it is, who may look, and what changes something.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use hyper::StatusCode;

use super::access::{Access, CSRF_FIELD, Viewer, audit_entry};
use super::answer::{HTML, not_stored, page, redirect};
use super::console::{Console, ConsoleViewer, PageKey, Watched};
use super::inbound::Inbound;
use super::refusal::Refusal;
use crate::http::api::{Rejection, json};
use crate::http::transport::Answer;
use crate::telemetry::audit;

/// The policy for browsers: they show a page with the style and the script from here, which may ask
/// here for more, and load nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// Bytes of a form.
const FORM_BYTES_MAX: usize = 1024;

/// A page of the console, or a change that one asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Screen<'p> {
    /// The first screen.
    First,
    /// The same as data.
    Overview,
    /// The stream that keeps a page up to date.
    Events,
    /// The page of a topic.
    Topic(&'p str),
    /// A replay of the topic's dead letters.
    Replay(&'p str),
    /// A sample of the topic's records.
    Records(&'p str),
}

impl<'p> Screen<'p> {
    /// Returns what is at this path.
    pub(super) fn at(path: &'p str) -> Option<Self> {
        match path {
            "" => return Some(Self::First),
            "/overview" => return Some(Self::Overview),
            "/events" => return Some(Self::Events),
            _ => {}
        }
        let topic = path.strip_prefix("/topics/")?;
        match topic.split_once('/') {
            None => Some(Self::Topic(topic)),
            Some((topic, "replay")) => Some(Self::Replay(topic)),
            Some((topic, "records")) => Some(Self::Records(topic)),
            Some(_) => None,
        }
    }

    /// Returns the methods that it takes.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::First | Self::Overview | Self::Events | Self::Topic(_) => "GET, HEAD",
            Self::Replay(_) | Self::Records(_) => "POST",
        }
    }
}

/// Answers a request for a page of the console.
///
/// # Errors
/// There is no such topic, a log-in is needed, or a change was not asked for by a page of ours.
pub(super) async fn answer<W: Watched + 'static>(
    console: &Console<W>,
    access: &Rc<Access>,
    request: &mut Inbound<'_>,
) -> Result<Answer, Refusal> {
    let path = request.path().to_owned();
    let screen = Screen::at(&path).ok_or(Rejection::NotFound)?;
    let viewer = match screen {
        // It shows records, so it takes a log-in everywhere.
        Screen::Records(_) => Viewer::User(access.superadmin(request)?),
        _ => access.viewer(request)?,
    };
    let shown = ConsoleViewer {
        user: viewer.email(),
        csrf: viewer.csrf(),
    };
    let topic = |name| console.topic_name(name).ok_or(Rejection::NotFound);
    match screen {
        Screen::First => Ok(drawn(console.first(&shown))),
        Screen::Overview => Ok(not_stored(json(StatusCode::OK, &console.overview()))),
        Screen::Topic(name) => Ok(drawn(console.topic(topic(name)?, &shown).await)),
        Screen::Events => {
            let query = request.head.uri.query().unwrap_or_default();
            let page = match query.strip_prefix("topic=") {
                None => PageKey::First,
                Some(name) => PageKey::Topic {
                    name: topic(name)?,
                    user: viewer.email().map(Arc::from),
                },
            };
            stream(console, access, request, viewer, page)
        }
        Screen::Replay(name) => {
            let name = topic(name)?;
            change(request, &viewer).await?;
            if !console.start_replay(name) {
                return Err(Refusal::NoReplayNow);
            }
            audit::replayed(audit_entry(request, viewer.email()), name);
            Ok(redirect(&format!("/topics/{name}")))
        }
        Screen::Records(name) => {
            let name = topic(name)?;
            change(request, &viewer).await?;
            let user = viewer.email().map(Arc::from);
            console.take_samples(name, &user.ok_or(Rejection::MissingToken)?);
            audit::records_shown(audit_entry(request, viewer.email()), name);
            Ok(redirect(&format!("/topics/{name}")))
        }
    }
}

fn drawn(html: String) -> Answer {
    not_stored(page(html, HTML, POLICY))
}

fn stream<W: Watched + 'static>(
    console: &Console<W>,
    access: &Rc<Access>,
    request: &Inbound<'_>,
    viewer: Viewer,
    key: PageKey,
) -> Result<Answer, Refusal> {
    if !request.place.begin_stream() {
        return Err(Refusal::TooManyStreams);
    }
    let access = Rc::clone(access);
    let is_admitted = move || access.still_admits(&viewer, Instant::now(), SystemTime::now());
    let opened = console.stream(key, is_admitted);
    let mut answer = page(Vec::new(), "text/event-stream", POLICY);
    *answer.body_mut() = opened.into_body();
    Ok(not_stored(answer))
}

/// Checks that a page of ours, shown to this viewer, asks for a change.
async fn change(request: &mut Inbound<'_>, viewer: &Viewer) -> Result<(), Refusal> {
    Access::check_site(request)?;
    let fields = request.form(FORM_BYTES_MAX).await?;
    Access::may_change(request, viewer, fields.field(CSRF_FIELD).as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_one_page_or_one_change() {
        for (path, expected) in [
            ("", Some(Screen::First)),
            ("/overview", Some(Screen::Overview)),
            ("/topics/events", Some(Screen::Topic("events"))),
            ("/topics/events/replay", Some(Screen::Replay("events"))),
            ("/topics/events/records", Some(Screen::Records("events"))),
            ("/topics/events/records/more", None),
            ("/topics", None),
            ("/nothing", None),
        ] {
            assert_eq!(Screen::at(path), expected, "{path}");
        }
        assert_eq!(Screen::Replay("events").allow(), "POST");
    }
}
