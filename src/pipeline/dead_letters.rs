//! Records that the sink will never take: they are kept, synced, with the reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::{
    Context, DeliveryToken, Outcome, Reason, Record, Sending, Settled, SinkError, Writer,
};

/// The time that one write may take.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// The time between two looks at the folder while it is full: somebody may remove files.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// The bytes of a record's attributes in a file, roughly.
const ENVELOPE_BYTES: u64 = 512;

/// The place of a topic's dead letters.
pub struct DeadLetterPlace {
    /// The writer of their files.
    pub writer: Box<dyn Writer>,
    /// The folder that the files are in.
    pub folder: PathBuf,
    /// The most bytes of the files.
    pub bytes_max: u64,
}

/// The writer of a topic's dead letters.
pub(super) struct DeadLetters {
    place: DeadLetterPlace,
    /// The bytes of the files, roughly.
    bytes: u64,
    measure_at: Instant,
}

impl DeadLetters {
    /// Looks at the files that are there already. Blocks.
    pub(super) fn new(place: DeadLetterPlace) -> Self {
        Self {
            bytes: bytes_below(&place.folder),
            place,
            measure_at: Instant::now() + MEASURE_EVERY,
        }
    }

    /// Writes a record, and returns once it is synced. Blocks.
    ///
    /// # Errors
    /// It is not kept: the disk fails, or there are as many dead letters as there may be.
    pub(super) fn put(&mut self, record: &Record, reason: Reason) -> Result<(), SinkError> {
        let letters = self.fitting(vec![letter(record, reason)]);
        if letters.is_empty() {
            return Err(full());
        }
        self.put_all(&letters)
    }

    /// Returns the letters that there is room for.
    pub(super) fn fitting(&mut self, mut letters: Vec<Record>) -> Vec<Record> {
        let all: u64 = letters.iter().map(bytes).sum();
        if all > self.room() && Instant::now() >= self.measure_at {
            self.bytes = bytes_below(&self.place.folder);
            self.measure_at = Instant::now() + MEASURE_EVERY;
        }
        let mut room = self.room();
        letters.retain(|letter| match room.checked_sub(bytes(letter)) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        });
        letters
    }

    /// Returns the bytes that there is room for.
    fn room(&self) -> u64 {
        self.place.bytes_max.saturating_sub(self.bytes)
    }

    /// Writes letters, and returns once they are synced. Blocks.
    ///
    /// # Errors
    /// None is kept.
    pub(super) fn put_all(&mut self, letters: &[Record]) -> Result<(), SinkError> {
        let tokens = (0..).map(DeliveryToken);
        let sending: Vec<_> = tokens
            .zip(letters)
            .map(|(token, record)| Sending { token, record })
            .collect();
        let mut settled = Settled::default();
        let deadline = Instant::now() + WRITE_TIME;
        self.place.writer.send(&sending, deadline, &mut settled);
        let outcomes = settled.outcomes();
        let is_delivered = |(_, outcome): &(DeliveryToken, Outcome)| *outcome == Outcome::Delivered;
        if outcomes.len() == letters.len() && outcomes.iter().all(is_delivered) {
            self.bytes += letters.iter().map(bytes).sum::<u64>();
            return Ok(());
        }
        let error = settled.take_error();
        Err(error.unwrap_or_else(|| SinkError::transient("the dead letter was not written")))
    }
}

/// Returns a record with the reason why it was refused.
pub(super) fn letter(record: &Record, reason: Reason) -> Record {
    Record {
        context: Arc::new(Context {
            rejection: Some(reason.to_string().into()),
            ..Context::clone(&record.context)
        }),
        ..record.clone()
    }
}

/// Returns the error of a folder that has as much as it may have.
pub(super) fn full() -> SinkError {
    SinkError::transient(
        "there are as many bytes of dead letters as there may be: \
         replay or remove some, or raise dead_letter_bytes",
    )
}

fn bytes(letter: &Record) -> u64 {
    letter.data.len() as u64 + ENVELOPE_BYTES
}

/// Returns the bytes of the files in a folder; 0 if it cannot be read.
fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let lengths = entries.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    lengths.sum()
}
