//! The console: pages for people that show what the gateway does, drawn on the server, and one stream
//! of events that keeps them up to date.
//!
//! The gateway is looked at once a second while somebody looks at a page, and for a minute after.
//! Otherwise nothing here runs. All of it is on the admin listener's thread.

mod dead_letters;
pub mod figures;
pub mod first;
mod history;
mod moment;
pub mod overview;
mod parts;
mod quantile;
mod records;
mod refusals;
mod replay;
mod settings;
mod stream;
mod topic;
mod verdict;
mod viewer;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::html::Html;
use crate::http::transport::Answer;
use crate::pipeline::Sample;
use crate::telemetry::Refusal;
pub use dead_letters::{DeadLetter, DeadLetters, SHOWN_MAX};
use history::History;
pub use moment::{KeyMoment, Moment, SinkMoment};
use overview::Overview;
pub use replay::{Replay, ReplayOutcome};
pub use settings::SettingPart;
pub(super) use stream::PageKey;
use stream::Streams;
use topic::TopicPage;
pub(super) use viewer::Viewer as ConsoleViewer;

/// The style of all pages of the admin listener.
pub(super) const STYLE: &str = include_str!("console/style.css");
/// The script that keeps a page up to date.
pub(super) const SCRIPT: &str = include_str!("console/script.js");

/// The pace at which the gateway is looked at.
#[derive(Clone, Copy)]
struct Pace {
    /// The time between two looks.
    interval: Duration,
    /// The time for which it is looked at after the last page was asked for.
    looked_for: Duration,
}

const PACE: Pace = Pace {
    interval: Duration::from_secs(1),
    looked_for: Duration::from_mins(1),
};
/// The time that dead letters have to be read for a page.
const LETTERS_TIME: Duration = Duration::from_secs(2);

/// The time for which a sample of records is taken.
const SAMPLES_TIME: Duration = Duration::from_mins(1);

/// Reads the dead letters of a topic. It blocks.
pub type ReadLetters = Box<dyn FnOnce() -> DeadLetters + Send>;

/// The gateway as the console sees it.
pub trait Watched {
    /// Returns the gateway as it is now.
    fn moment(&self) -> Moment;
    /// Returns how many records a second a customer may send, if that is bounded.
    fn quota(&self, customer: &str) -> Option<u32>;
    /// Returns the configuration as it holds.
    fn settings(&self) -> Vec<SettingPart>;
    /// Returns the latest refusals of a topic's own path, the last one first.
    fn refusals(&self, topic: &str) -> Vec<Refusal>;
    /// Returns what reads a topic's dead letters; `None` if it keeps none.
    fn dead_letters(&self, topic: &str) -> Option<ReadLetters>;
    /// Returns the replay of a topic's dead letters that runs, or the last one.
    fn replay(&self, topic: &str) -> Option<Replay>;
    /// Begins to replay a topic's dead letters. Returns `false` if that is not possible now.
    fn start_replay(&self, topic: &str) -> bool;
    /// Takes a sample of a topic's records for this time.
    fn take_samples(&self, topic: &str, time: Duration);
    /// Returns the time for which a sample is still taken, and the latest records of it, the last one
    /// first; `None` if none is.
    fn samples(&self, topic: &str) -> Option<(Duration, Vec<Sample>)>;
}

/// The console of a gateway. Clones share it.
pub(super) struct Console<W>(Rc<Shared<W>>);

struct Shared<W> {
    watched: Rc<W>,
    pace: Pace,
    started: SystemTime,
    history: RefCell<History>,
    streams: Streams,
    /// The dead letters of topics whose pages were asked for, with the number of letters that they
    /// were read at; `None` while they are being read.
    letters: RefCell<HashMap<&'static str, (Option<u64>, DeadLetters)>>,
    /// The users who have asked for samples of topics' records.
    sampled_for: RefCell<HashMap<&'static str, Arc<str>>>,
    looked: Cell<Instant>,
    is_looking: Cell<bool>,
}

impl<W: Watched + 'static> Console<W> {
    pub(super) fn new(watched: Rc<W>) -> Self {
        Self::at_pace(watched, PACE)
    }

    fn at_pace(watched: Rc<W>, pace: Pace) -> Self {
        Self(Rc::new(Shared {
            watched,
            pace,
            started: SystemTime::now(),
            history: RefCell::default(),
            streams: Streams::default(),
            letters: RefCell::default(),
            sampled_for: RefCell::default(),
            looked: Cell::new(Instant::now()),
            is_looking: Cell::new(false),
        }))
    }

    /// Notes that somebody looks, and begins to look at the gateway if nobody did.
    fn look(&self) {
        let shared = &self.0;
        shared.looked.set(Instant::now());
        if shared.is_looking.replace(true) {
            return;
        }
        shared.history.borrow_mut().push(shared.watched.moment());
        let shared = Rc::clone(shared);
        tokio::task::spawn_local(async move {
            let mut ticks = interval(shared.pace.interval);
            // A moment that was missed is not made up for.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first is over at once.
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let watched = shared.streams.watched();
                if watched.is_empty() && shared.looked.get().elapsed() >= shared.pace.looked_for {
                    break;
                }
                shared.history.borrow_mut().push(shared.watched.moment());
                shared.send(&watched);
            }
            shared.is_looking.set(false);
            // A sample whose time is over is forgotten by a look at it.
            for name in shared
                .sampled_for
                .borrow_mut()
                .drain()
                .map(|(name, _)| name)
            {
                shared.watched.samples(name);
            }
            shared.history.borrow_mut().clear();
            shared.letters.borrow_mut().clear();
        });
    }

    /// Returns the first screen as data.
    pub(super) fn overview(&self) -> Overview {
        self.look();
        self.0.overview()
    }

    /// Returns the first screen.
    pub(super) fn first(&self, viewer: &ConsoleViewer<'_>) -> String {
        let overview = self.overview();
        let mut html = Html::default();
        let title = format!("{} – iem-gateway", first::headline(&overview.verdict));
        parts::head(&mut html, &title, &overview.name, "/");
        records::account(&mut html, viewer);
        parts::main_part(&mut html, None, "/events");
        html.drawn(&first::live(&overview));
        html.markup("</div>\n");
        settings::settings(&mut html, &self.0.watched.settings());
        parts::foot(&mut html);
        html.into_string()
    }

    /// Returns the name of a topic, if there is one.
    pub(super) fn topic_name(&self, name: &str) -> Option<&'static str> {
        self.look();
        let history = self.0.history.borrow();
        let mut topics = history.latest()?.snapshot.topics.iter();
        topics
            .find(|topic| topic.topic == name)
            .map(|topic| topic.topic)
    }

    /// Begins to replay a topic's dead letters. Returns `false` if that is not possible now.
    pub(super) fn start_replay(&self, name: &str) -> bool {
        self.0.watched.start_replay(name)
    }

    /// Takes a sample of a topic's records, for a time and for this user alone.
    pub(super) fn take_samples(&self, name: &'static str, user: &Arc<str>) {
        let mut sampled_for = self.0.sampled_for.borrow_mut();
        sampled_for.insert(name, Arc::clone(user));
        self.0.watched.take_samples(name, SAMPLES_TIME);
    }

    /// Returns the page of a topic, for this viewer.
    pub(super) async fn topic(&self, name: &'static str, viewer: &ConsoleViewer<'_>) -> String {
        self.look();
        let read = Shared::read_letters(Rc::clone(&self.0), name, true);
        // A disk that hangs holds up no page, and is read to its end all the same.
        let read = tokio::task::spawn_local(read);
        let _ = tokio::time::timeout(LETTERS_TIME, read).await;
        let overview = self.0.overview();
        let mut html = Html::default();
        let title = format!("{name} – iem-gateway");
        parts::head(&mut html, &title, &overview.name, "");
        records::account(&mut html, viewer);
        let heading = format!("Topic {name}");
        parts::main_part(&mut html, Some(&heading), &format!("/events?topic={name}"));
        html.drawn(&self.0.topic(name, viewer.user, &overview));
        html.markup("</div>\n");
        let has_letters = self.0.letters.borrow().contains_key(name);
        records::actions(&mut html, name, has_letters, viewer);
        parts::foot(&mut html);
        html.into_string()
    }

    /// Opens a stream of a page, which goes on while its viewer is admitted.
    pub(super) fn stream(&self, page: PageKey, is_admitted: impl Fn() -> bool + 'static) -> Answer {
        self.look();
        self.0.streams.open(page, is_admitted)
    }
}

impl<W: Watched + 'static> Shared<W> {
    fn overview(&self) -> Overview {
        let quota = |customer: &str| self.watched.quota(customer);
        self.history.borrow().overview(self.started, quota)
    }

    /// Sends all pages that somebody looks at.
    fn send(self: &Rc<Self>, pages: &[PageKey]) {
        if pages.is_empty() {
            return;
        }
        let overview = self.overview();
        for page in pages {
            let html = match page {
                PageKey::First => first::live(&overview),
                PageKey::Topic { name, user } => {
                    let read = Self::read_letters(Rc::clone(self), name, false);
                    tokio::task::spawn_local(read);
                    self.topic(name, user.as_deref(), &overview)
                }
            };
            self.streams.send(page, &html);
        }
    }

    /// Returns the live part of a topic's page, for somebody or for this user.
    fn topic(&self, name: &str, user: Option<&str>, overview: &Overview) -> String {
        let Some(topic) = overview.topics.iter().find(|topic| topic.name == name) else {
            return String::new();
        };
        let letters = self.letters.borrow();
        let sampled_for = self.sampled_for.borrow();
        // Each look at records is in the audit log under its own name.
        let may_see = user.is_some() && sampled_for.get(name).map(|user| &**user) == user;
        let page = TopicPage {
            topic,
            refusals: &self.watched.refusals(name),
            letters: letters.get(name).map(|(_, letters)| letters),
            replay: self.watched.replay(name),
            samples: self.watched.samples(name).filter(|_| may_see),
            now: SystemTime::now(),
        };
        page.live()
    }

    /// Reads the dead letters of a topic, on a thread that may block, unless somebody does. Those that
    /// were read are read `anew` for a page, else only if there are others.
    async fn read_letters(self: Rc<Self>, name: &'static str, anew: bool) {
        let number = {
            let history = self.history.borrow();
            let Some(moment) = history.latest() else {
                return;
            };
            let mut topics = moment.snapshot.topics.iter();
            let topic = topics.find(|topic| topic.topic == name);
            topic.map_or(0, |topic| topic.dead_lettered)
        };
        let known = self.letters.borrow().get(name).map(|(number, _)| *number);
        // A replay removes letters.
        let replayed = self.watched.replay(name);
        let replayed = replayed.and_then(|replay| replay.outcome);
        let number = number + replayed.map_or(0, |outcome| outcome.removed as u64);
        if known == Some(None) || known == Some(Some(number)) && !anew {
            return;
        }
        let Some(read) = self.watched.dead_letters(name) else {
            return;
        };
        let being_read = || {
            let error = Some("their disk has not answered yet".to_owned());
            let letters = DeadLetters {
                error,
                ..DeadLetters::default()
            };
            (None, letters)
        };
        self.letters
            .borrow_mut()
            .entry(name)
            .or_insert_with(being_read)
            .0 = None;
        let letters = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        self.letters
            .borrow_mut()
            .insert(name, (Some(number), letters));
    }
}

#[cfg(test)]
mod tests;
