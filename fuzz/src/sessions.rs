//! Any bytes as the file of ended sessions, and as a script of four bytes a step: log-ins, ends and
//! refreshes at two gateways that tell each other. Checked: nothing panics; what is read is written
//! and read again alike; a session that has ended stays so, at the gateway that ended it and at
//! those that were told; nobody else's ends; a used refresh token shows, and no other does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use iem_gateway::identity::directory::PasswordVersion;
use iem_gateway::identity::sessions::{Ended, Rotations, Session, Turn};

/// Far fewer than the gateway knows of one user.
const SESSIONS_MAX: usize = 48;
const GRACE_MS: u64 = 10_000;
const BEGIN_MS: u64 = 1_764_000_000_000;

/// Checks one input.
pub fn check(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        check_text(text);
    }
    let mut script = Script::new();
    for step in input.as_chunks::<4>().0 {
        script.take(*step);
        script.check();
    }
}

fn check_text(text: &str) {
    match Ended::parse(text, Path::new("ended")) {
        Ok(ended) => {
            let written = ended.to_text();
            let again = Ended::parse(&written, Path::new("ended")).expect("what is written holds");
            assert_eq!(again.to_text(), written);
            let mut merged = ended.clone();
            assert!(!merged.merge(&ended), "nothing new");
        }
        Err(error) => {
            let lines = 1 + text.matches('\n').count();
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)));
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }
}

struct Begun {
    user: usize,
    session: Session,
    /// The gateway that it began at.
    gateway: usize,
    /// The newest used generation, and the time of its first use.
    used: Option<(u64, u64)>,
}

struct Script {
    now_ms: u64,
    users: [(Arc<str>, PasswordVersion); 3],
    gateways: [Ended; 2],
    /// The sessions that each gateway knows to have ended.
    known: [BTreeSet<usize>; 2],
    /// The users of whom anything has ended.
    touched: BTreeSet<usize>,
    sessions: BTreeMap<usize, Begun>,
    rotations: Rotations,
}

impl Script {
    fn new() -> Self {
        let user = |number: usize, email: &str| {
            let version = PasswordVersion::try_from(format!("{number:032x}"));
            (email.into(), version.expect("a version"))
        };
        Self {
            now_ms: BEGIN_MS,
            users: [user(1, "alice"), user(2, "bob"), user(2, "carol")],
            gateways: Default::default(),
            known: Default::default(),
            touched: BTreeSet::new(),
            sessions: BTreeMap::new(),
            rotations: Rotations::new(1_000, Duration::from_hours(24)),
        }
    }

    fn take(&mut self, [step, who, which, more]: [u8; 4]) {
        let (gateway, user) = (
            usize::from(who & 1),
            usize::from(who >> 1) % self.users.len(),
        );
        match step % 7 {
            0 => self.begin(gateway, user),
            1 => self.end_all(gateway, user),
            2 => self.end_one(gateway, usize::from(which)),
            3 => {
                let other = self.gateways[1 - gateway].clone();
                self.gateways[gateway].merge(&other);
                assert!(!self.gateways[gateway].merge(&other));
                let told = self.known[1 - gateway].clone();
                self.known[gateway].extend(told);
            }
            4 => {
                let text = self.gateways[gateway].to_text();
                let read = Ended::parse(&text, Path::new("ended"));
                self.gateways[gateway] = read.expect("what is written holds");
            }
            5 => self.now_ms += u64::from(which) * u64::from(more) * 10,
            _ => self.refresh(usize::from(which), u64::from(more % 8)),
        }
    }

    /// Begins a session after all that the gateway knows to have ended.
    fn begin(&mut self, gateway: usize, user: usize) {
        if self.sessions.len() == SESSIONS_MAX {
            return;
        }
        let (email, version) = &self.users[user];
        let mut session = Session::begin(self.now());
        if let Some(until_ms) = self.gateways[gateway].until(email, *version) {
            session.begun_ms = session.begun_ms.max(until_ms + 1);
        }
        let begun = Begun {
            user,
            session,
            gateway,
            used: None,
        };
        self.sessions.insert(self.sessions.len(), begun);
    }

    fn end_all(&mut self, gateway: usize, user: usize) {
        let (email, version) = &self.users[user];
        self.gateways[gateway].end_all(email, *version, self.now_ms);
        self.touched.insert(user);
        for (number, begun) in &self.sessions {
            let is_known = begun.gateway == gateway || begun.session.begun_ms <= self.now_ms;
            if begun.user == user && is_known {
                self.known[gateway].insert(*number);
            }
        }
    }

    fn end_one(&mut self, gateway: usize, number: usize) {
        let Some(begun) = self.sessions.get(&number) else {
            return;
        };
        let (email, version) = &self.users[begun.user];
        let id = begun.session.id.expect("a session has an id");
        let ended_ms = self.now_ms.max(begun.session.begun_ms);
        self.gateways[gateway].end_one(email, *version, id, ended_ms);
        self.touched.insert(begun.user);
        self.known[gateway].insert(number);
    }

    fn refresh(&mut self, number: usize, generation: u64) {
        let now = self.now();
        let Some(begun) = self.sessions.get_mut(&number) else {
            return;
        };
        let email = &self.users[begun.user].0;
        let id = begun.session.id.expect("a session has an id");
        let turn = self.rotations.turn(email, id, generation, now);
        let expected = match begun.used {
            Some((newest, first_ms)) if generation <= newest => {
                let is_lost = generation == newest && self.now_ms - first_ms <= GRACE_MS;
                if is_lost { Turn::Next } else { Turn::Reused }
            }
            _ => {
                begun.used = Some((generation, self.now_ms));
                Turn::Next
            }
        };
        assert_eq!(turn, expected, "generation {generation} of {number}");
    }

    fn check(&self) {
        for (number, begun) in &self.sessions {
            let (email, version) = &self.users[begun.user];
            for (ended, known) in self.gateways.iter().zip(&self.known) {
                let contains = ended.contains(email, *version, &begun.session);
                assert!(contains || !known.contains(number), "{number} goes on");
                assert!(!contains || self.touched.contains(&begun.user));
            }
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms)
    }
}
