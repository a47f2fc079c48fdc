//! Whoever calls, with the credentials that they would have: passwords by what the directory was
//! last told, tokens as new as they could get.

use std::collections::BTreeMap;

use super::body::auth_lines;
use super::change::password_text;
use super::contract::{Contract, Held};
use super::words::{Auth, Authorization, Call, Password, Request, Token, USERS, User};
use crate::harness::{Answer, Gateway, email};
use crate::http::contract as cases;

pub(crate) struct Callers {
    held: Held,
    /// The newest access and refresh token of each user.
    tokens: BTreeMap<User, (String, String)>,
}

impl Callers {
    pub(crate) fn new() -> Self {
        let pair = |user| {
            (
                cases::issued("token", user),
                cases::issued("token-refresh", user),
            )
        };
        Self {
            held: Held::new(),
            tokens: USERS.into_iter().map(|user| (user, pair(user))).collect(),
        }
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Whoever shall send the newest token gets it first, if they may.
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
        for token in [cookie, bearer, refresh].into_iter().flatten() {
            let (Token::Newest(user) | Token::Refresh(user)) = token else {
                continue;
            };
            let Some(password) = contract.may_log_in(user) else {
                continue;
            };
            if self.held.get(user).copied().unwrap_or_default() != password {
                let answer = gateway.log_in(email(user), &password_text(user, password));
                if answer.status != 200 {
                    return Err(format!("{user} cannot log in: {answer:?}"));
                }
                self.keep_pair(user, &answer, password);
            }
        }
        Ok(())
    }

    /// Keeps the tokens that a call has got.
    pub(crate) fn keep(&mut self, call: &Call, answer: &Answer, contract: &Contract) {
        if let Call::LogIn(user, _) | Call::Refresh(Token::Refresh(user)) = call
            && answer.status == 200
        {
            self.keep_pair(user, answer, contract.last_password(user));
        }
    }

    fn keep_pair(&mut self, user: User, answer: &Answer, password: usize) {
        self.tokens
            .insert(user, (answer.access_token(), answer.refresh_token()));
        self.held.insert(user, password);
    }

    fn token(&self, token: Token) -> String {
        match token {
            Token::Newest(user) => self.tokens[user].0.clone(),
            Token::Refresh(user) => self.tokens[user].1.clone(),
            Token::First(user) => cases::issued("token", user),
            Token::Expired(user) => cases::issued("expired", user),
            Token::Foreign => cases::issued("foreign", "alice"),
            Token::Cut(user) => cases::issued("cut", user),
            Token::Junk => "a.b.c".to_owned(),
        }
    }

    /// What stands for a token in the body of the refresh endpoint.
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
