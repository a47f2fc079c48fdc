//! Callers with the credentials that they would have: the password that the directory was last
//! told, and the newest token that they could get.

use std::collections::BTreeMap;

use super::body::auth_lines;
use super::change::password_text;
use super::contract::{Contract, Held};
use super::words::{Auth, Authorization, Call, Password, Request, Token, USERS, User};
use iem_test_support::issued_tokens as cases;
use iem_test_support::{Answer, Gateway, email};

pub(crate) struct Callers {
    held: Held,
    /// The newest access and refresh token of each user.
    tokens: BTreeMap<User, (String, String)>,
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
        }
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
