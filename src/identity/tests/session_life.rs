//! Sessions: their lifetime, tokens that are used again, and ends before their time.

use super::*;

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

impl Gateway {
    fn refresh(&self, token: &str, now_s: u64) -> Result<TokenPair, TokenError> {
        let now = at(now_s);
        let (principal, session) = self.identity.refresh(token, None, now)?;
        Ok(self.identity.issue(&principal, &session, now).unwrap())
    }

    /// Starts another gateway on the same folder.
    fn another(&self) -> Gateway {
        let config = Config::default();
        let path = self.identity.directory().path();
        let directory = Arc::new(LiveDirectory::open(path).unwrap());
        let key = SigningKey::open(&self.folder.path().join("token.key")).unwrap();
        let tokens = Tokens::new(&key, &config.tokens);
        Gateway {
            folder: tempfile::tempdir().unwrap(),
            identity: Identity::new(directory, tokens, &config),
            last: LastToken::default(),
        }
    }

    /// Issues a pair of a session that begins now, by the real clock.
    fn issue_now(&self, email: &str) -> TokenPair {
        let user = Arc::clone(self.identity.directory().load().user(email).unwrap());
        let (principal, now) = (Principal::new(user), SystemTime::now());
        let session = self.identity.begin(&principal, None, now);
        self.identity.issue(&principal, &session, now).unwrap()
    }

    #[track_caller]
    fn assert_now(&self, pair: &TokenPair, expected: Result<(), TokenError>) {
        let now = SystemTime::now();
        let access = self
            .identity
            .principal(pair.access.as_bytes(), None, &self.last, now);
        assert_eq!(access.map(|_| ()), expected, "the access token");
        let refresh = self.identity.refresh(&pair.refresh, None, now);
        assert_eq!(refresh.map(|_| ()), expected, "the refresh token");
    }

    fn save(&self) {
        self.identity.directory().save_ended().unwrap();
    }
}

fn expiry(gateway: &Gateway, token: &str, usage: Use) -> u64 {
    let claims = gateway.identity.tokens.read(token.as_bytes(), usage);
    claims.unwrap().expires_at_s
}

#[test]
fn a_refresh_token_gives_a_new_pair() {
    let gateway = gateway();
    let TokenPair {
        access, refresh, ..
    } = gateway.issue(NIFI);
    let next = gateway.refresh(&refresh, 50_000).unwrap();
    assert_eq!(gateway.access(&next.access, 50_000), Ok(NIFI.to_owned()));
    assert!(gateway.refresh(&next.refresh, 100_000).is_ok());
    assert!(gateway.refresh(&access, 1000).is_err());
    assert!(gateway.refresh(&refresh, 87_400).is_err());
}

#[test]
fn a_refresh_never_lengthens_the_session() {
    let gateway = gateway();
    let mut pair = gateway.issue(NIFI);
    let end_s = 1_000 + 30 * DAY_S;
    let mut now_s = 1_000;
    for _ in 0..36 {
        now_s += 20 * HOUR_S - 60;
        pair = gateway.refresh(&pair.refresh, now_s).unwrap();
        assert!(expiry(&gateway, &pair.access, Use::Access) <= end_s);
        assert!(expiry(&gateway, &pair.refresh, Use::Refresh) <= end_s);
    }
    assert!(end_s - now_s < HOUR_S, "the last refresh is near the end");
    assert_eq!(expiry(&gateway, &pair.access, Use::Access), end_s);
    assert_eq!(expiry(&gateway, &pair.refresh, Use::Refresh), end_s);
    assert!(gateway.access(&pair.access, end_s - 1).is_ok());
    assert_eq!(
        gateway.access(&pair.access, end_s),
        Err(TokenError::Expired)
    );
    assert!(gateway.refresh(&pair.refresh, end_s).is_err());
}

#[test]
fn a_shorter_lifetime_of_sessions_holds_for_those_that_have_begun() {
    let before = gateway();
    let pair = before.issue(NIFI);
    let mut after = before.another();
    let mut config = Config::default().tokens;
    config.session_lifetime = Duration::from_secs(2 * HOUR_S);
    let key = SigningKey::open(&before.folder.path().join("token.key")).unwrap();
    after.identity.tokens = Tokens::new(&key, &config);
    assert!(after.refresh(&pair.refresh, 1_000 + 2 * HOUR_S - 1).is_ok());
    assert!(after.refresh(&pair.refresh, 1_000 + 2 * HOUR_S).is_err());
}

#[test]
fn a_used_refresh_token_ends_its_session_and_no_other() {
    let gateway = gateway();
    let (first, other) = (gateway.issue(NIFI), gateway.issue(NIFI));
    let second = gateway.refresh(&first.refresh, 2_000).unwrap();
    for access in [&first.access, &second.access] {
        assert!(gateway.access(access, 2_000).is_ok());
    }
    assert_eq!(
        gateway.refresh(&first.refresh, 2_011).map(|_| ()),
        Err(TokenError::Invalid)
    );
    for access in [&first.access, &second.access] {
        assert_eq!(gateway.access(access, 2_012), Err(TokenError::Invalid));
    }
    assert!(gateway.refresh(&second.refresh, 2_012).is_err());
    assert!(gateway.access(&other.access, 2_012).is_ok());
    assert!(gateway.refresh(&other.refresh, 2_012).is_ok());
}

#[test]
fn a_lost_answer_is_asked_for_again_and_ends_nothing() {
    let gateway = gateway();
    let first = gateway.issue(NIFI);
    let lost = gateway.refresh(&first.refresh, 2_000).unwrap();
    let got = gateway.refresh(&first.refresh, 2_010).unwrap();
    assert!(lost.refresh != got.refresh);
    assert!(gateway.access(&got.access, 2_010).is_ok());
    let next = gateway.refresh(&got.refresh, 3_000).unwrap();
    assert!(gateway.access(&next.access, 3_000).is_ok());
    // Had a thief got the lost answer, the owner's next refresh would have shown it.
    assert!(gateway.refresh(&lost.refresh, 4_000).is_err());
    assert!(gateway.access(&next.access, 4_000).is_err());
}

#[test]
fn a_token_without_a_session_holds_until_it_expires() {
    let gateway = gateway();
    let user = example::user(NIFI);
    let before = Session {
        id: None,
        begun_ms: 1_000_000,
        generation: 0,
        certificate: None,
    };
    let tokens = &gateway.identity.tokens;
    let version = gateway.identity.directory().load().user(NIFI).cloned();
    assert_eq!(version.unwrap().password_version, user.password_version);
    let pair = tokens.issue(&user, &before, at(1_000)).unwrap();
    assert!(gateway.access(&pair.access, 4_599).is_ok());
    for now_s in [2_000, 3_000, 87_399] {
        let next = gateway.refresh(&pair.refresh, now_s).unwrap();
        assert!(gateway.access(&next.access, now_s).is_ok());
    }
    assert!(gateway.refresh(&pair.refresh, 87_400).is_err());
}

#[test]
fn an_end_of_all_sessions_is_for_good_and_for_every_gateway() {
    let another = PasswordHash::new(&example::password(NIFI), example::CHEAP).unwrap();
    let ends: [&dyn Fn(&Gateway); 3] = [
        &|gateway| {
            gateway.change(|document| document.set_user_enabled(NIFI, false));
            gateway.change(|document| document.set_user_enabled(NIFI, true));
        },
        &|gateway| {
            let old = example::user(NIFI).password().unwrap().clone();
            gateway.change(|document| document.set_password(NIFI, &another));
            gateway.change(|document| document.set_password(NIFI, &old));
        },
        &|gateway| {
            let directory = gateway.identity.directory();
            let version = directory.load().user(NIFI).unwrap().password_version;
            sessions::record(directory.path(), NIFI, version, SystemTime::now()).unwrap();
            directory.reload().unwrap();
        },
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let gateway = gateway();
        let other = gateway.another();
        let before = gateway.issue_now(NIFI);
        let untouched = gateway.issue_now("root@example.com");
        gateway.assert_now(&before, Ok(()));
        end(&gateway);
        gateway.assert_now(&before, Err(TokenError::Invalid));
        // Begun in the same millisecond, as far as a clock tells.
        let after = gateway.issue_now(NIFI);
        gateway.assert_now(&after, Ok(()));
        gateway.save();
        other.identity.directory().reload().unwrap();
        for gateway in [&other, &gateway.another()] {
            gateway.assert_now(&before, Err(TokenError::Invalid));
            gateway.assert_now(&after, Ok(()));
            gateway.assert_now(&untouched, Ok(()));
        }
        println!("end {index} holds");
    }
}

#[test]
fn a_user_disabled_while_no_gateway_ran_has_no_session_left() {
    let gateway = gateway();
    let pair = gateway.issue_now(NIFI);
    let path = gateway.identity.directory().path();
    edit(path, Missing::Refuse, |document| {
        document.set_user_enabled(NIFI, false)
    })
    .unwrap();
    let started = gateway.another();
    started.save();
    started.change(|document| document.set_user_enabled(NIFI, true));
    started.assert_now(&pair, Err(TokenError::Invalid));
    gateway
        .another()
        .assert_now(&pair, Err(TokenError::Invalid));
}

#[test]
fn a_session_ended_by_one_gateway_ends_in_the_others() {
    let gateway = gateway();
    let other = gateway.another();
    let first = gateway.issue(NIFI);
    let second = gateway.refresh(&first.refresh, 2_000).unwrap();
    assert!(gateway.refresh(&first.refresh, 2_060).is_err());
    assert!(other.access(&second.access, 2_060).is_ok());
    // An entry is kept for as long as a token may live from now on; these are of 1970.
    let ended = gateway.identity.directory().ended().load().to_text();
    fs::write(gateway.folder.path().join("directory.toml.ended"), ended).unwrap();
    other.identity.directory().reload().unwrap();
    assert_eq!(
        other.access(&second.access, 2_060),
        Err(TokenError::Invalid)
    );
}

#[test]
fn a_faulty_file_of_ended_sessions_refuses_a_start_and_revives_nothing() {
    let gateway = gateway();
    let pair = gateway.issue_now(NIFI);
    gateway.change(|document| document.set_user_enabled(NIFI, false));
    gateway.change(|document| document.set_user_enabled(NIFI, true));
    gateway.save();
    let directory = gateway.identity.directory();
    let path = gateway.folder.path().join("directory.toml.ended");
    assert!(path.exists());
    fs::write(&path, "broken").unwrap();
    let error = directory.reload().unwrap_err();
    assert!(error.to_string().contains("directory.toml.ended, line 1"));
    assert_eq!(directory.status().error, Some(error));
    gateway.assert_now(&pair, Err(TokenError::Invalid));
    assert!(LiveDirectory::open(directory.path()).is_err());
    fs::remove_file(&path).unwrap();
    directory.reload().unwrap();
    gateway.assert_now(&pair, Err(TokenError::Invalid));
}

#[test]
fn a_file_of_users_that_is_empty_for_a_moment_ends_no_session() {
    let gateway = gateway();
    let pair = gateway.issue_now(NIFI);
    let directory = gateway.identity.directory();
    let text = fs::read(directory.path()).unwrap();
    fs::write(directory.path(), "").unwrap();
    directory.reload().unwrap();
    gateway.assert_now(&pair, Err(TokenError::Invalid));
    fs::write(directory.path(), text).unwrap();
    directory.reload().unwrap();
    gateway.assert_now(&pair, Ok(()));
}

#[test]
fn tokens_of_a_log_in_by_certificate_need_that_certificate() {
    let gateway = gateway();
    let user = Arc::clone(gateway.identity.directory().load().user(NIFI).unwrap());
    let principal = Principal::new(user);
    let (own, other) = (Some(Thumbprint([1; 32])), Some(Thumbprint([2; 32])));
    let session = gateway.identity.begin(&principal, own, at(1_000));
    let mut pair = gateway
        .identity
        .issue(&principal, &session, at(1_000))
        .unwrap();
    for now_s in [1_000, 2_000] {
        let access = |certificate| {
            let (token, last) = (pair.access.as_bytes(), &gateway.last);
            let found = gateway
                .identity
                .principal(token, certificate, last, at(now_s));
            found.map(|_| ())
        };
        // The connection has seen the token, but not with another certificate.
        assert_eq!(access(own), Ok(()));
        for wrong in [None, other] {
            assert_eq!(access(wrong), Err(TokenError::Invalid));
            let refreshed = gateway.identity.refresh(&pair.refresh, wrong, at(now_s));
            assert_eq!(refreshed.map(|_| ()), Err(TokenError::Invalid));
        }
        let refreshed = gateway.identity.refresh(&pair.refresh, own, at(now_s));
        let (principal, session) = refreshed.unwrap();
        pair = gateway
            .identity
            .issue(&principal, &session, at(now_s))
            .unwrap();
    }
    let free = gateway.issue(NIFI);
    let refreshed = gateway.identity.refresh(&free.refresh, own, at(1_000));
    assert!(refreshed.is_ok(), "a log-in by password binds to nothing");
}

#[test]
fn a_session_begins_after_an_end_by_a_clock_that_is_ahead() {
    let gateway = gateway();
    let directory = gateway.identity.directory();
    let user = Arc::clone(directory.load().user(NIFI).unwrap());
    let before = gateway.issue_now(NIFI);
    let ahead = SystemTime::now() + Duration::from_hours(1);
    let ended = [(Arc::clone(&user.email), user.password_version)];
    directory.ended().end_all(&ended, ahead);
    gateway.assert_now(&before, Err(TokenError::Invalid));
    gateway.assert_now(&gateway.issue_now(NIFI), Ok(()));
}
