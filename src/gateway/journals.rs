//! The journals of topics whose durability is `journaled`, and the dead letters of all topics, opened
//! before any port.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;

use iem_journal::{Journal, JournalConfig, OnDamage, SEGMENT_BYTES};
use iem_sink::Sink;

use super::error::StartError;
use crate::config::{self, Config, Topic};
use crate::pipeline::{DeadLetterPlace, JournalParts, RejectedParts};
use crate::record::Kind;
use crate::sinks;
use crate::telemetry::traces::Tracer;

/// Returns the folder of a topic's dead letters.
pub fn dead_letters(config: &Config, kind: Kind) -> PathBuf {
    sinks::dead_letter_folder(config).join(kind.topic())
}

/// The configuration and the dead letters, which the journals of all topics share.
pub(super) struct Journals<'a> {
    config: &'a Config,
    tracer: Option<&'a Arc<Tracer>>,
    /// The files of dead letters; `None` if no topic keeps any.
    dead_letters: Option<(PathBuf, Box<dyn Sink>)>,
}

impl<'a> Journals<'a> {
    /// Opens the files of dead letters, if a topic needs them.
    ///
    /// # Errors
    /// They are in use, or the folder cannot be written.
    pub(super) fn open(
        config: &'a Config,
        tracer: Option<&'a Arc<Tracer>>,
    ) -> Result<Self, StartError> {
        if !config.topics.iter().any(Topic::keeps_dead_letters) {
            return Ok(Self {
                config,
                tracer,
                dead_letters: None,
            });
        }
        let path = sinks::dead_letter_folder(config);
        if !config.journal.create && !config.journal.path.is_dir() {
            let missing = iem_journal::OpenError::Missing(config.journal.path.clone());
            return Err(StartError::Journal {
                key: "journal.path".to_owned(),
                error: missing,
            });
        }
        let sink = sinks::dead_letters(&path).map_err(|error| StartError::Sink {
            sink: "journal.path".to_owned(),
            error,
        })?;
        Ok(Self {
            config,
            tracer,
            dead_letters: Some((path, sink)),
        })
    }

    /// Returns the files of dead letters, which their writers need for as long as they write.
    pub(super) fn into_dead_letters(self) -> Option<Box<dyn Sink>> {
        self.dead_letters.map(|(_, sink)| sink)
    }

    /// Opens the journal of a topic, if it has one. Blocks.
    ///
    /// # Errors
    /// The journal is in use, damaged, of a later release, or the disk fails.
    pub(super) fn open_topic(&self, kind: Kind) -> Result<Option<JournalParts<'_>>, StartError> {
        let topic = &self.config.topics[kind as usize];
        if !topic.is_journaled() {
            return Ok(None);
        }
        let Some(dead_letters) = self.dead_letters(kind)? else {
            return Ok(None);
        };
        let config = &self.config.journal;
        let opened = Journal::open(
            Arc::default(),
            JournalConfig {
                folder: config.path.join(kind.topic()),
                create: config.create,
                segment_bytes: SEGMENT_BYTES,
                bytes: config.bytes as u64,
                on_damage: match config.on_damage {
                    config::OnDamage::Report => OnDamage::Report,
                    config::OnDamage::Refuse => OnDamage::Refuse,
                },
            },
        );
        let journal = opened.map_err(|error| StartError::Journal {
            key: format!("topics.{}", kind.topic()),
            error,
        })?;
        let place = sinks::limit_place(topic, self.config);
        let kept_limit = journal.progress.kept_limit(&place);
        Ok(Some(JournalParts {
            journal,
            kept_limit,
            config,
            dead_letters,
            tracer: self.tracer.cloned(),
        }))
    }

    /// Opens the place of what the sink refuses of a topic without a journal, if it is to be kept.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn open_rejected(&self, kind: Kind) -> Result<Option<RejectedParts>, StartError> {
        if !self.config.topics[kind as usize].has_rejected_queue() {
            return Ok(None);
        }
        let dead_letters = self.dead_letters(kind)?;
        Ok(dead_letters.map(|dead_letters| RejectedParts {
            dead_letters,
            bytes_max: self.config.rejected_queue_bytes(),
        }))
    }

    fn dead_letters(&self, kind: Kind) -> Result<Option<DeadLetterPlace>, StartError> {
        let Some((path, sink)) = &self.dead_letters else {
            return Ok(None);
        };
        let for_sink = iem_sink::TopicConfig {
            name: kind.topic().to_owned(),
            workers: 1,
            ..self.config.topics[kind as usize].for_sink()
        };
        let writer = sink.writer(&for_sink, Waker::noop().clone());
        Ok(Some(DeadLetterPlace {
            writer: writer.map_err(|error| StartError::of_topic(kind, error))?,
            folder: path.join(kind.topic()),
            bytes_max: self.config.journal.dead_letter_bytes as u64,
        }))
    }
}
