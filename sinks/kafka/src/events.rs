//! Callbacks of librdkafka: delivery reports go to the writers' windows, statistics to the
//! metrics; errors are kept for those who ask.
//!
//! All of them run on the producer's own polling thread, which must never wait.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Message as _};

use crate::failure::{Kind, UNCONFIRMED, code};
use crate::in_flight::InFlight;
use crate::statistics::ProducerStatistics;
use crate::token;

/// The callbacks of one producer.
pub(crate) struct Events {
    /// The producer's number.
    number: u64,
    in_flight: Arc<InFlight>,
    statistics: Arc<ProducerStatistics>,
    token_file: Option<String>,
    errors: Mutex<Errors>,
}

/// The last error of each sort, with its time and librdkafka's reason.
#[derive(Default)]
struct Errors {
    /// A connection or a broker failed.
    connection: Option<(Instant, String)>,
    /// The brokers refused the login.
    refused: Option<(Instant, String)>,
}

impl Events {
    pub(crate) fn new(
        number: u64,
        in_flight: Arc<InFlight>,
        statistics: Arc<ProducerStatistics>,
        token_file: Option<String>,
    ) -> Self {
        Self {
            number,
            in_flight,
            statistics,
            token_file,
            errors: Mutex::default(),
        }
    }

    /// Returns why the brokers have refused the login since `since`, if they have.
    pub(crate) fn refused_since(&self, since: Instant) -> Option<String> {
        let errors = self.errors.lock();
        let (at, reason) = errors.refused.as_ref()?;
        (*at >= since).then(|| {
            format!(
                "the brokers refuse the login: {reason}; see sasl.mechanism, sasl.username and \
                 sasl.password in the sink's properties"
            )
        })
    }

    /// Returns the last error of a connection since `since`.
    pub(crate) fn connection_error(&self, since: Instant) -> Option<String> {
        let errors = self.errors.lock();
        let (at, reason) = errors.connection.as_ref()?;
        (*at >= since).then(|| with_remedy(reason))
    }
}

/// Names the property to check after a failed verification. librdkafka names it for a broker's own
/// certificate, but not for the first certificate of a handshake.
fn with_remedy(reason: &str) -> String {
    let is_bare =
        reason.contains("certificate verify failed") && !reason.contains("ssl.ca.location");
    let remedy = if is_bare {
        ": verify that ssl.ca.location is correctly configured"
    } else {
        ""
    };
    format!("{reason}{remedy}")
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.statistics.set(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let now = Instant::now();
        match code(&error) {
            RDKafkaErrorCode::Fatal => {
                tracing::error!(%reason, "the Kafka producer failed for good and is replaced");
            }
            found if Kind::of(found) == Kind::Refused => {
                self.errors.lock().refused = Some((now, reason.to_owned()));
            }
            // It follows the errors of the single brokers, and says less.
            RDKafkaErrorCode::AllBrokersDown => {}
            _ => self.errors.lock().connection = Some((now, reason.to_owned())),
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
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let failure = match result {
            Ok(message) if message.offset() < 0 => Some(UNCONFIRMED),
            Ok(_) => None,
            Err((error, _)) => Some(code(error)),
        };
        if let Some(code) = failure {
            self.statistics.count_error(Kind::of(code));
        }
        self.in_flight.report(number, failure, self.number);
    }
}

/// Logs a line of librdkafka's. It calls errors what it recovers from, so those are warnings here.
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
    fn an_unverified_certificate_names_the_property_once() {
        let bare =
            "sasl_ssl://b:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed";
        let told =
            "certificate verify failed: verify that ssl.ca.location is correctly configured or …";
        for (reason, count) in [(bare, 1), (told, 1), ("connection refused", 0)] {
            assert_eq!(
                with_remedy(reason).matches("ssl.ca.location").count(),
                count,
                "{reason}"
            );
        }
    }
}
