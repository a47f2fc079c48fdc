//! Writes a directory as the text of a directory file.

use std::fmt::Write;

use toml::Value;

use crate::identity::directory::snapshot::Directory;

impl Directory {
    /// Returns the text of a directory file with the same entries, behind some comments.
    pub fn to_text(&self, comments: &str) -> String {
        let mut text = comments.to_owned();
        // Nothing fails that is written to a string.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        for customer in self.customers() {
            writeln!(text, "[[customer]]")?;
            entry(text, "id", &customer.id)?;
            entry(text, "name", &customer.name)?;
            if !customer.active {
                writeln!(text, "active = false")?;
            }
            let quota = customer.quota;
            let records = quota.records.map(|records| format!("records = {records}"));
            let bytes = quota.bytes.map(|bytes| format!("bytes = \"{bytes} B\""));
            let rates: Vec<_> = records.into_iter().chain(bytes).collect();
            if !rates.is_empty() {
                writeln!(text, "quota = {{ {} }}", rates.join(", "))?;
            }
            writeln!(text)?;
            for integration in customer.integrations() {
                writeln!(text, "[[integration]]")?;
                entry(text, "customer", &customer.id)?;
                entry(text, "id", &integration.id)?;
                write!(text, "states = {{")?;
                for (index, (number, name)) in integration.states.iter().enumerate() {
                    let separator = if index == 0 { " " } else { ", " };
                    write!(text, "{separator}{number} = ")?;
                    string(text, name)?;
                }
                writeln!(text, " }}\n")?;
            }
        }
        for user in self.users() {
            writeln!(text, "[[user]]")?;
            entry(text, "email", &user.email)?;
            entry(text, "name", &user.name)?;
            if let Some(password) = user.password() {
                entry(text, "password", password.as_str())?;
            }
            for (key, flag) in [
                ("superadmin", user.superadmin),
                ("organization", user.organization),
            ] {
                if flag {
                    writeln!(text, "{key} = true")?;
                }
            }
            if !user.enabled {
                writeln!(text, "enabled = false")?;
            }
            write!(text, "customers = [")?;
            for (index, customer) in user.customers().iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                string(text, customer)?;
            }
            writeln!(text, "]\n")?;
        }
        Ok(())
    }
}

fn entry(text: &mut String, key: &str, value: &str) -> std::fmt::Result {
    write!(text, "{key} = ")?;
    string(text, value)?;
    text.push('\n');
    Ok(())
}

/// Writes a string of TOML.
fn string(text: &mut String, value: &str) -> std::fmt::Result {
    let is_plain = |letter: char| !letter.is_control() && letter != '"' && letter != '\\';
    if value.chars().all(is_plain) {
        write!(text, "\"{value}\"")
    } else {
        write!(text, "{}", Value::from(value))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::identity::example;

    #[test]
    fn a_text_holds_the_entries_that_it_was_made_of() {
        let texts = "[[customer]]\nid = \"q\\\"\\\\ \u{e4}\"\nname = \"line\\nfeed\\u0000\"\nactive = false\n\
             quota = { records = 0, bytes = \"2 KiB\" }\n\
             [[customer]]\nid = \"r\"\nname = \"'''\"\nquota = { bytes = \"1 B\" }\n\
             [[integration]]\ncustomer = \"r\"\nid = \"i\"\nstates = { -6 = \"a, }\", 7 = \"\\t\" }\n\
             [[integration]]\ncustomer = \"r\"\nid = \"none\"\nstates = {}\n";
        for text in [&format!("{}{texts}", *example::TEXT), ""] {
            let parse = |text: &str| Directory::parse(text, Path::new("x")).expect("a directory");
            let before = parse(text);
            let after = parse(&before.to_text("# A comment\n"));
            assert_eq!(before.changes(&after), [""; 0]);
            assert_eq!(before.customer_count(), after.customer_count());
            assert_eq!(
                before.to_text("# A comment\n"),
                after.to_text("# A comment\n")
            );
        }
    }
}
