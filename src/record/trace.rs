//! The trace that a client's request belongs to: W3C Trace Context level 1, section 3.2,
//! <https://www.w3.org/TR/trace-context-1/>.

/// `version "-" trace-id "-" parent-id "-" trace-flags`
const LEN: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

/// Returns the `traceparent` of a header's value if it is valid: lower-case hexadecimal, version not
/// `ff`, neither identifier all zero. From a later version it keeps only the fields that level 1
/// knows, as section 4.3 requires.
pub fn traceparent(value: &[u8]) -> Option<&str> {
    let (known, unknown) = value.split_at_checked(LEN)?;
    let known = str::from_utf8(known).ok()?;
    let mut fields = known.split('-');
    let version = hexadecimal(fields.next()?, 2)?;
    let trace = hexadecimal(fields.next()?, 32)?;
    let parent = hexadecimal(fields.next()?, 16)?;
    hexadecimal(fields.next()?, 2)?;
    let ends = match version {
        "ff" => false,
        "00" => unknown.is_empty(),
        _ => matches!(unknown, [] | [b'-', ..]),
    };
    (ends && !is_zero(trace) && !is_zero(parent)).then_some(known)
}

fn hexadecimal(field: &str, len: usize) -> Option<&str> {
    (field.len() == len
        && field
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    .then_some(field)
}

fn is_zero(field: &str) -> bool {
    field.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn valid() {
        for value in [
            VALID,
            &VALID.replace("-01", "-00"),
            &VALID.replace("-01", "-ff"),
        ] {
            assert_eq!(traceparent(value.as_bytes()), Some(value));
        }
    }

    #[test]
    fn a_later_version_keeps_the_known_fields() {
        let later = VALID.replacen("00", "cc", 1);
        for value in [
            later.clone(),
            format!("{later}-"),
            format!("{later}-what-will-be"),
        ] {
            assert_eq!(traceparent(value.as_bytes()), Some(&*later), "{value}");
        }
        assert_eq!(traceparent(format!("{later}.what").as_bytes()), None);
    }

    #[test]
    fn invalid() {
        let cases = [
            String::new(),
            "00".to_owned(),
            VALID[..LEN - 1].to_owned(),
            format!("{VALID}-"),
            format!("{VALID}0"),
            format!(" {VALID}"),
            VALID.to_uppercase(),
            VALID.replacen("00", "ff", 1),
            VALID.replacen("00", "0x", 1),
            VALID.replace('-', "_"),
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.replace("b7ad6b7169203331-", "b7ad6b7169203331a"),
            VALID.replace("0af7", "0ag7"),
            VALID.replace("0af7", "0\u{e4}7"),
        ];
        for value in cases {
            assert_eq!(traceparent(value.as_bytes()), None, "{value}");
        }
        assert_eq!(traceparent(&[0xff; LEN]), None);
    }
}
