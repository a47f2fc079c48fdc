//! The roles of the child processes that this program starts from itself: a server, or a worker
//! that does one piece of work as often as it can.

mod bare_hyper;
mod bare_kafka;
mod bare_pubsub;
mod decode;
mod null_gateway;
mod work;

use std::time::Duration;

use work::repeat;

/// Plays the role that the command line names. Returns whether it names one.
pub fn play(arguments: &[String]) -> bool {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["role", "bare-hyper", threads] => {
            bare_hyper::serve(threads.parse().expect("the threads are a number"));
        }
        ["role", "null-gateway", config, delay_ms] => {
            null_gateway::serve(
                config,
                Duration::from_millis(delay_ms.parse().expect("the delay is a number")),
            );
        }
        ["role", "bare-kafka", bootstrap, topic] => {
            repeat(&mut bare_kafka::Bare::open(bootstrap, topic));
        }
        ["role", "bare-pubsub", endpoint, topic] => {
            repeat(&mut bare_pubsub::Bare::connect(endpoint, topic));
        }
        ["role", "decode", body] => repeat(&mut decode::Decode::new(body)),
        _ => return false,
    }
    true
}
