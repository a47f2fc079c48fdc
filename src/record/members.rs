//! The wanted members of an object, each as it was sent.

use super::malformed::Malformed;
use super::text;

/// The values of the wanted members of an object.
pub(super) struct Members<'v, const N: usize> {
    /// The value of each, as it was sent. `None` for `null` and for a member that is not there.
    pub(super) values: [Option<&'v str>; N],
    /// A wanted member that the object has more than once.
    pub(super) repeated: Option<&'static str>,
}

impl<'v, const N: usize> Members<'v, N> {
    /// Reads the object, and keeps the members of these names.
    pub(super) fn read(object: &'v [u8], names: &[&'static str; N]) -> Result<Self, Malformed> {
        let mut members = Self {
            values: [None; N],
            repeated: None,
        };
        let mut met = [false; N];
        text::members(object, |name, value| {
            let Some(index) = names.iter().position(|wanted| *wanted == name) else {
                return;
            };
            if met[index] {
                members.repeated.get_or_insert(names[index]);
            }
            met[index] = true;
            members.values[index] = Some(value).filter(|value| *value != "null");
        })?;
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_sent() {
        let members = Members::read(
            br#"{"z":0,"a": {"b" : 1.50} ,"\u0062":null,"c":"\u0041"}"#,
            &["a", "b", "c", "d"],
        )
        .expect("an object");
        assert_eq!(
            members.values,
            [Some(r#"{"b" : 1.50}"#), None, Some(r#""\u0041""#), None]
        );
        assert_eq!(members.repeated, None);
    }

    #[test]
    fn a_wanted_member_that_comes_twice_is_told() {
        for object in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":null,"\u0061":1}"#,
            r#"{"a":1,"x":2,"a":null}"#,
        ] {
            let members = Members::read(object.as_bytes(), &["b", "a"]).expect("an object");
            assert_eq!(members.repeated, Some("a"), "{object}");
        }
        let members = Members::read(br#"{"x":1,"x":2}"#, &["a"]).expect("an object");
        assert_eq!(members.repeated, None);
    }
}
