//! Names that readers without regard for case take for another name, as Go's `encoding/json` and
//! .NET's serializers do.

/// The one character outside ASCII that Unicode's simple case folding makes an `s`
/// (`CaseFolding.txt`, status C). Another one becomes a `k`, which is in no name here.
const LONG_S: &[u8] = "ſ".as_bytes();

/// Returns whether `name` is not `target`, but becomes it by Unicode's simple case folding. The
/// target is in small letters of ASCII without `k`, and has one `s`.
pub(super) fn is_look_alike(name: &[u8], target: &str) -> bool {
    let target = target.as_bytes();
    if name.len() == target.len() {
        return name != target && name.eq_ignore_ascii_case(target);
    }
    name.len() == target.len() + 1 && folds_to(name, target)
}

fn folds_to(mut name: &[u8], target: &[u8]) -> bool {
    for letter in target {
        name = match name.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(letter) => rest,
            _ if *letter == b's' && name.starts_with(LONG_S) => &name[LONG_S.len()..],
            _ => return false,
        };
    }
    name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_looks_like_another_by_its_letters_alone() {
        let target = "envcustomerid";
        for name in [
            "EnvCustomerId",
            "ENVCUSTOMERID",
            "envcustomeriD",
            "envcuſtomerid",
            "EnvCuſtomerID",
        ] {
            assert!(is_look_alike(name.as_bytes(), target), "{name}");
        }
        for name in [
            "envcustomerid",
            "envcustomer_id",
            "EnvCustomerIds",
            "EnvCustomerI",
            "envcustomer\u{131}d",
            "envcustomer\u{130}d",
            "ſ",
            "e",
            "",
        ] {
            assert!(!is_look_alike(name.as_bytes(), target), "{name}");
        }
    }

    #[test]
    fn no_other_character_folds_to_a_letter_of_a_target() {
        let is_of_target = |c: char| "envcustomer_id".contains(c.to_ascii_lowercase());
        let becomes_one = |c: &char| {
            let (mut lower, mut upper) = (c.to_lowercase(), c.to_uppercase());
            lower.len() == 1 && lower.any(is_of_target)
                || upper.len() == 1 && upper.any(is_of_target)
        };
        let others = ('\u{80}'..=char::MAX).filter(becomes_one);
        // The dotless i has I as its capital letter, but does not fold to i.
        assert_eq!(others.collect::<String>(), "\u{131}ſ");
    }
}
