//! A change to the directory that cannot be made.

/// A change that cannot be made: the reason, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Refusal {
    pub(in crate::identity::directory) fn customer_exists(id: &str) -> Self {
        Self(format!(
            "customer {id:?} exists already; `customer list` shows it"
        ))
    }

    pub(in crate::identity::directory) fn no_customer(id: &str) -> Self {
        Self(format!(
            "no customer {id:?}; `customer list` shows all, `customer add` adds one"
        ))
    }

    pub(in crate::identity::directory) fn user_exists(email: &str) -> Self {
        Self(format!(
            "user {email:?} exists already; `user passwd` sets another password"
        ))
    }

    pub(in crate::identity::directory) fn no_user(email: &str) -> Self {
        Self(format!(
            "no user {email:?}; `user list` shows all, `user add` adds one"
        ))
    }

    pub(in crate::identity::directory) fn integration_exists(customer: &str, id: &str) -> Self {
        Self(format!(
            "integration {id:?} of customer {customer:?} exists already"
        ))
    }

    pub(in crate::identity::directory) fn no_integration(customer: &str, id: &str) -> Self {
        Self(format!(
            "customer {customer:?} has no integration {id:?}; `integration list` shows all"
        ))
    }

    pub(in crate::identity::directory) fn state_twice(number: i64) -> Self {
        Self(format!("state {number} is given twice"))
    }
}
