//! Cuts a body into its events: one event of the JSON format, an array of them, or one a line.

use super::CloudEvent;
use super::fault::EventFault;
use crate::record::body::{BodyFault, fault_of, trimmed};
use crate::record::malformed::Malformed;
use crate::record::text;

/// The fewest bytes that an event without a fault takes.
const EVENT_BYTES_MIN: usize = 80;

/// The form in which a body holds its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventForm {
    /// Structured mode: one event.
    Structured,
    /// Batched mode: an array of events.
    Batch,
    /// NDJSON: one event a line.
    Lines,
}

/// The events of a body whose grammar holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvents<'b> {
    /// The events before the first one with a fault, in the body's order.
    pub events: Vec<CloudEvent<'b>>,
    /// The fault of the first event that has one.
    pub fault: Option<BodyFault>,
    /// Whether answers name an event by its index, because the body may hold several.
    pub indexed: bool,
}

/// Returns the events of a body, at most `max`.
///
/// # Errors
/// The first fault in the grammar of the whole body, no event, or too many.
pub fn cloud_events(
    body: &[u8],
    form: EventForm,
    max: usize,
) -> Result<CloudEvents<'_>, BodyFault> {
    match form {
        EventForm::Structured => structured(body),
        EventForm::Batch => batch(body, max),
        EventForm::Lines => lines(body, max),
    }
}

fn structured(body: &[u8]) -> Result<CloudEvents<'_>, BodyFault> {
    let event = CloudEvent::from_json(body).map_err(of_body)?;
    Ok(CloudEvents {
        events: vec![event],
        fault: None,
        indexed: false,
    })
}

fn batch(body: &[u8], max: usize) -> Result<CloudEvents<'_>, BodyFault> {
    match trimmed(body).first() {
        None => return Err(of_body(Malformed::Empty)),
        Some(b'[') => {}
        Some(_) => return Err(of_body(EventFault::NotABatch.into())),
    }
    let elements = text::elements(body, max)
        .map_err(|(record, malformed)| BodyFault::Malformed { record, malformed })?;
    let mut reader = Reader::new(body, max);
    let events_max = elements.len().min(body.len() / EVENT_BYTES_MIN);
    reader.events.reserve_exact(events_max);
    for element in elements {
        reader.event(element)?;
    }
    reader.end()
}

fn lines(body: &[u8], max: usize) -> Result<CloudEvents<'_>, BodyFault> {
    let mut reader = Reader::new(body, max);
    for line in body.split(|byte| *byte == b'\n').map(trimmed) {
        if !line.is_empty() {
            reader.event(line)?;
        }
    }
    reader.end()
}

/// Reads one event after another.
struct Reader<'b> {
    body: &'b [u8],
    max: usize,
    /// The number of events so far, good or bad.
    count: usize,
    events: Vec<CloudEvent<'b>>,
    fault: Option<BodyFault>,
}

impl<'b> Reader<'b> {
    fn new(body: &'b [u8], max: usize) -> Self {
        Self {
            body,
            max,
            count: 0,
            events: Vec::new(),
            fault: None,
        }
    }

    /// Reads one event: a slice of the body without white space around it.
    fn event(&mut self, event: &'b [u8]) -> Result<(), BodyFault> {
        let index = self.count;
        self.count += 1;
        if self.count > self.max {
            return Err(BodyFault::TooMany);
        }
        match CloudEvent::from_json(event) {
            Ok(event) if self.fault.is_none() => self.events.push(event),
            Ok(_) => {}
            Err(malformed) => {
                let fault = fault_of(self.body, event, index, malformed)?;
                self.fault.get_or_insert(fault);
            }
        }
        Ok(())
    }

    fn end(self) -> Result<CloudEvents<'b>, BodyFault> {
        if self.count == 0 {
            return Err(of_body(Malformed::NoRecord));
        }
        Ok(CloudEvents {
            events: self.events,
            fault: self.fault,
            indexed: true,
        })
    }
}

fn of_body(malformed: Malformed) -> BodyFault {
    BodyFault::Malformed {
        record: None,
        malformed,
    }
}
