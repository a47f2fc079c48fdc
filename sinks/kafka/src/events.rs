//! What librdkafka tells: delivery reports to mailboxes, statistics to figures, trouble to whoever
//! waits.
//!
//! All of it comes on the producer's own polling thread, which must never wait.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;

use crate::failure::{Kind, code};
use crate::figures::Figures;
use crate::mailbox::{Mailboxes, Report, Ticket};
use crate::token;

/// The ears of one producer.
pub(crate) struct Events {
    mailboxes: Arc<Mailboxes>,
    figures: Arc<Figures>,
    token_file: Option<String>,
    trouble: Mutex<Trouble>,
}

/// The last of each, in librdkafka's words.
#[derive(Default)]
struct Trouble {
    /// Of connections and brokers.
    connection: Option<(Instant, String)>,
    /// A login that the brokers refuse.
    refused: Option<(Instant, String)>,
}

impl Events {
    pub(crate) fn new(
        mailboxes: Arc<Mailboxes>,
        figures: Arc<Figures>,
        token_file: Option<String>,
    ) -> Self {
        Self {
            mailboxes,
            figures,
            token_file,
            trouble: Mutex::default(),
        }
    }

    /// Why the brokers have refused the login since `since`, if they have.
    pub(crate) fn refused_since(&self, since: Instant) -> Option<String> {
        let trouble = self.trouble();
        let (at, reason) = trouble.refused.as_ref()?;
        (*at >= since).then(|| format!(
                "the brokers refuse the login: {reason}; see sasl.mechanism, sasl.username and sasl.password in \
                 the sink's properties"
            ))
    }

    /// What has last gone wrong with a connection since `since`.
    pub(crate) fn connection_trouble(&self, since: Instant) -> Option<String> {
        let trouble = self.trouble();
        let (at, reason) = trouble.connection.as_ref()?;
        (*at >= since).then(|| with_cure(reason))
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// librdkafka says what to look at when a handshake ends by a broker's certificate, but not when it
/// ends at its first step.
fn with_cure(reason: &str) -> String {
    let is_bare =
        reason.contains("certificate verify failed") && !reason.contains("ssl.ca.location");
    let cure = if is_bare {
        ": verify that ssl.ca.location is correctly configured"
    } else {
        ""
    };
    format!("{reason}{cure}")
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.figures.take(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let now = Instant::now();
        match code(&error) {
            RDKafkaErrorCode::Fatal => {
                tracing::error!(%reason, "the Kafka producer cannot go on, and is made anew");
                self.mailboxes.interrupt();
            }
            found if Kind::of(found) == Kind::Refused => {
                self.trouble().refused = Some((now, reason.to_owned()));
                self.mailboxes.interrupt();
            }
            // It follows on what the brokers said one by one, and says less.
            RDKafkaErrorCode::AllBrokersDown => {}
            _ => self.trouble().connection = Some((now, reason.to_owned())),
        }
        tracing::debug!(%error, %reason, "Kafka");
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match &self.token_file {
            Some(path) => token::read(path),
            None => Err(
                "OAUTHBEARER needs \"sasl.oauthbearer.token.endpoint.url\" = \"file:///…\"".into(),
            ),
        }
    }
}

impl ProducerContext for Events {
    type DeliveryOpaque = Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Ticket) {
        let report = match result {
            Ok(_) => Report::Delivered,
            Err((error, _)) => {
                let code = code(error);
                self.figures.count_error(Kind::of(code));
                Report::Failed(code)
            }
        };
        self.mailboxes.report(ticket, report);
    }
}

/// librdkafka calls errors what it gets over by itself: at most a warning here.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_in_doubt_names_what_to_look_at_once() {
        let bare =
            "sasl_ssl://b:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed";
        let told =
            "certificate verify failed: verify that ssl.ca.location is correctly configured or …";
        for (reason, words) in [(bare, 1), (told, 1), ("connection refused", 0)] {
            assert_eq!(
                with_cure(reason).matches("ssl.ca.location").count(),
                words,
                "{reason}"
            );
        }
    }
}
