//! Refusals by their reason.

use crate::telemetry::Refusal;

/// Refusals of one reason.
pub(super) struct Group<'r> {
    /// The last one.
    pub(super) last: &'r Refusal,
    /// The number of them.
    pub(super) requests: u64,
}

/// Groups refusals, of which the last one comes first, by status and by message up to its first
/// number. The group with the last refusal comes first.
pub(super) fn groups(refusals: &[Refusal]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for refusal in refusals {
        let is_same = |group: &&mut Group<'_>| {
            group.last.status == refusal.status
                && reason(&group.last.message) == reason(&refusal.message)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.requests += 1,
            None => groups.push(Group {
                last: refusal,
                requests: 1,
            }),
        }
    }
    groups
}

/// Returns the message up to its first number.
fn reason(message: &str) -> &str {
    let end = message.find(|letter: char| letter.is_ascii_digit());
    &message[..end.unwrap_or(message.len())]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    use super::*;

    fn refusal(status: u16, message: &'static str) -> Refusal {
        Refusal {
            at: SystemTime::UNIX_EPOCH,
            status,
            message: message.into(),
            user: None,
            peer: Ipv4Addr::LOCALHOST.into(),
        }
    }

    #[test]
    fn messages_that_differ_in_a_number_are_of_one_reason() {
        let refusals = [
            refusal(400, "invalid JSON at byte 17: no value"),
            refusal(401, "Missing access token"),
            refusal(400, "invalid JSON at byte 3: no comma"),
            refusal(503, "Missing access token"),
        ];
        let groups = groups(&refusals);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.last.status, &*group.last.message, group.requests))
            .collect();
        let expected = [
            (400, "invalid JSON at byte 17: no value", 2),
            (401, "Missing access token", 1),
            (503, "Missing access token", 1),
        ];
        assert_eq!(found, expected);
    }
}
