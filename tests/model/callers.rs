//! Callers with the credentials that they would have: the password that the directory was last
//! told, and the newest token that they could get.

use std::collections::BTreeMap;

use super::body::auth_lines;
use super::change::password_text;
use super::contract::{Began, Contract, Held};
use super::words::{Auth, Authorization, Call, Password, Request, Token, USERS, User};
use iem_test_support::issued_tokens as cases;
use iem_test_support::{Answer, Gateway, email, post};

pub(crate) struct Callers {
    held: Held,
    /// The newest access and refresh token of each user.
    tokens: BTreeMap<User, (String, String)>,
    /// The newest access token of each user's session that was refreshed twice, and its first
    /// refresh token.
    used: BTreeMap<User, (String, String)>,
    /// An access token of each user's session that has ended by that refresh token.
    ended: BTreeMap<User, String>,
}

impl Callers {
    pub(crate) fn new() -> Self {
        Self {
            held: Held::new(),
            tokens: USERS
                .into_iter()
                .map(|user| {
                    let access = cases::issued("token", user);
                    (user, (access, cases::issued("token-refresh", user)))
                })
                .collect(),
            used: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Forgets which sessions ended: a gateway that is killed may not have written it down yet.
    pub(crate) fn forget_ended(&mut self) {
        self.ended.clear();
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Gets the newest token for a request that has to send it, if its user may log in.
    pub(crate) fn freshen(
        &mut self,
        request: &Request,
        contract: &Contract,
        gateway: &Gateway,
    ) -> Result<(), String> {
        let bearer = match request.auth.authorization {
            Some(Authorization::Bearer(token)) => Some(token),
            _ => None,
        };
        let refresh = match request.call {
            Call::Refresh(token) => Some(token),
            _ => None,
        };
        let cookie = request.auth.cookie.map(|(token, _)| token);
        if let Some(Token::Used(user)) = refresh {
            self.used.remove(user);
            if let Some(began) = contract.may_log_in(user) {
                self.use_twice(user, began, gateway)?;
            }
        }
        for token in [cookie, bearer, refresh].into_iter().flatten() {
            let (Token::Newest(user) | Token::Refresh(user)) = token else {
                continue;
            };
            let Some(began) = contract.may_log_in(user) else {
                continue;
            };
            if self.held.get(user).copied().unwrap_or_default() != began {
                self.keep_pair(user, &log_in(user, began, gateway)?, began);
            }
        }
        Ok(())
    }

    /// Begins a session and refreshes it twice, so that its first refresh token is one that nobody
    /// may send again.
    fn use_twice(&mut self, user: User, began: Began, gateway: &Gateway) -> Result<(), String> {
        let mut answer = log_in(user, began, gateway)?;
        let first = answer.refresh_token();
        for _ in 0..2 {
            let body = serde_json::json!({ "refresh_token": answer.refresh_token() });
            answer = gateway.send(&post("/api/v1/user/token/refresh", body.to_string()));
            if answer.status != 200 {
                return Err(format!("{user} cannot refresh: {answer:?}"));
            }
        }
        self.used.insert(user, (answer.access_token(), first));
        Ok(())
    }

    /// Keeps the tokens that a call has got.
    pub(crate) fn keep(&mut self, call: &Call, answer: &Answer, contract: &Contract) {
        if let Call::LogIn(user, _) | Call::Refresh(Token::Refresh(user)) = call
            && answer.status == 200
        {
            self.keep_pair(user, answer, contract.last_began(user));
        }
        if let Call::Refresh(Token::Used(user)) = call
            && let Some((access, _)) = self.used.get(user)
        {
            self.ended.insert(user, access.clone());
        }
    }

    fn keep_pair(&mut self, user: User, answer: &Answer, began: Began) {
        self.tokens
            .insert(user, (answer.access_token(), answer.refresh_token()));
        self.held.insert(user, began);
    }

    fn token(&self, token: Token) -> String {
        match token {
            Token::Newest(user) => self.tokens[user].0.clone(),
            Token::Refresh(user) => self.tokens[user].1.clone(),
            Token::First(user) => cases::issued("token", user),
            Token::Expired(user) => cases::issued("expired", user),
            Token::Ended(user) => {
                let ended = self.ended.get(user).cloned();
                ended.unwrap_or_else(|| cases::issued("cut", user))
            }
            Token::Used(user) => {
                let refresh = self.used.get(user).map(|(_, refresh)| refresh.clone());
                refresh.unwrap_or_else(|| cases::issued("cut", user))
            }
            Token::Foreign => cases::issued("foreign", "alice"),
            Token::Cut(user) => cases::issued("cut", user),
            Token::Junk => "a.b.c".to_owned(),
        }
    }

    /// Returns the text that stands for a token in the body of a refresh.
    pub(crate) fn refresh_token(&self, token: Token) -> String {
        match token {
            Token::Expired(user) => cases::issued("expired-refresh", user),
            token => self.token(token),
        }
    }

    /// The header lines that a call's credentials stand in.
    pub(crate) fn lines(&self, auth: &Auth, call: &Call, contract: &Contract) -> String {
        let credentials = |user: User, password: Password| {
            let text = match password {
                Password::Right => password_text(user, contract.last_password(user)),
                Password::First => password_text(user, 0),
                Password::Wrong => "wrong".to_owned(),
            };
            format!("{}:{text}", email(user))
        };
        let auth = match call {
            Call::LogIn(user, password) => Auth {
                cookie: None,
                authorization: Some(Authorization::Basic(user, *password)),
            },
            Call::Refresh(_) | Call::Running => Auth {
                cookie: None,
                authorization: None,
            },
            Call::Publish(_) | Call::Ticket(_) => *auth,
        };
        auth_lines(&auth, |token| self.token(token), credentials)
    }
}

fn log_in(user: User, began: Began, gateway: &Gateway) -> Result<Answer, String> {
    let answer = gateway.log_in(email(user), &password_text(user, began.password));
    if answer.status == 200 {
        Ok(answer)
    } else {
        Err(format!("{user} cannot log in: {answer:?}"))
    }
}
