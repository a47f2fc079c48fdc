//! The gateway as the console sees it.

use std::time::{Duration, Instant, SystemTime};

use iem_sink::Record;

use super::journals;
use super::state::GatewayState;
use crate::admin::State;
use crate::admin::console::{
    DeadLetter, DeadLetters, KeyMoment, Moment, ReadLetters, Replay, SHOWN_MAX, SettingPart,
    SinkMoment, Watched,
};
use crate::config::{self, Setting};
use crate::pipeline::{Sample, Vitals};
use crate::record::Kind;
use crate::sinks::Kept;
use crate::telemetry::{Endpoint, Refusal};

impl Watched for GatewayState {
    fn moment(&self) -> Moment {
        let (at, clock) = (Instant::now(), SystemTime::now());
        let readiness = self.readiness();
        let (keys, signer) = self.identity.tokens().keys(clock);
        let keys = keys.into_iter().map(|(id, created)| KeyMoment {
            id: id.to_string(),
            created,
            signs: Some(id) == signer,
        });
        let sink = |vitals: &Vitals| SinkMoment {
            trouble: vitals.health().down(at),
            last_error: vitals.health().last_error(),
        };
        Moment {
            at,
            clock,
            name: self.config.server.name.clone(),
            draining: readiness.draining,
            snapshot: self.snapshot(),
            sinks: self.vitals.iter().map(sink).collect(),
            counts: self.metrics.counts(),
            customers: self.metrics.customers().totals(),
            faulty_files: readiness.faulty_files,
            keys: keys.collect(),
        }
    }

    fn quota(&self, customer: &str) -> Option<u32> {
        let directory = self.identity.directory().load();
        let customer = directory.customer(customer)?;
        self.quotas.quota(customer).records.map(u32::from)
    }

    fn settings(&self) -> Vec<SettingPart> {
        let part = |setting: &Setting| SettingPart {
            key: setting.key.clone(),
            value: setting.value.as_ref().map(ToString::to_string),
            origin: setting.origin.to_string(),
            is_default: setting.holds_in(config::defaults()),
        };
        self.settings.get().iter().map(part).collect()
    }

    fn refusals(&self, topic: &str) -> Vec<Refusal> {
        let kind = Kind::of_topic(topic).map(Endpoint::Records);
        kind.map_or_else(Vec::new, |kind| self.metrics.refusals().latest(kind))
    }

    fn dead_letters(&self, topic: &str) -> Option<ReadLetters> {
        let kind = Kind::of_topic(topic)?;
        if !self.config.topics[kind as usize].keeps_dead_letters() {
            return None;
        }
        let folder = journals::dead_letters(&self.config, kind);
        Some(Box::new(move || match Kept::read(&folder, SHOWN_MAX) {
            Ok(kept) => letters(&kept),
            Err(error) => DeadLetters {
                error: Some(error.message),
                ..DeadLetters::default()
            },
        }))
    }

    fn replay(&self, topic: &str) -> Option<Replay> {
        self.replays.state(Kind::of_topic(topic)?)
    }

    fn start_replay(&self, topic: &str) -> bool {
        Kind::of_topic(topic).is_some_and(|kind| self.replays.start(kind))
    }

    fn take_samples(&self, topic: &str, time: Duration) {
        if let Some(kind) = Kind::of_topic(topic) {
            self.vitals[kind as usize].tap().open(Instant::now() + time);
        }
    }

    fn samples(&self, topic: &str) -> Option<(Duration, Vec<Sample>)> {
        let vitals = &self.vitals[Kind::of_topic(topic)? as usize];
        vitals.tap().samples(Instant::now())
    }
}

fn letters(kept: &Kept) -> DeadLetters {
    let letter = |record: &Record| DeadLetter {
        id: record.id.to_string(),
        time: record.context.time,
        customer: record.customer.to_string(),
        user: record.context.user.to_string(),
        bytes: record.data.len(),
        reason: record
            .context
            .rejection
            .as_deref()
            .unwrap_or_default()
            .to_owned(),
    };
    DeadLetters {
        files: kept.files,
        bytes: kept.bytes,
        latest: kept.latest.iter().map(letter).collect(),
        error: None,
    }
}
