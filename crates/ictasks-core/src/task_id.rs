//! What a task id may look like.

use crate::config::scalar::check_parameter_name;
use crate::error::Fault;

/// The longest id, in characters.
pub const MAX_LENGTH: usize = 128;

/// Checks an id: it becomes part of a directory's name.
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn check(id: &str) -> Result<(), Fault> {
    let well_formed = (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(is_allowed);
    if well_formed && id != "." && id != ".." { Ok(()) } else { Err(bad(id)) }
}

/// Whether an id may have this byte in it.
pub(crate) const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'=' | b',' | b'+' | b'@' | b':')
}

/// Checks an id that may have placeholders for parameters, `{x}`, in it.
pub(crate) fn check_template(id: &str) -> Result<(), Fault> {
    if !id.contains('{') {
        return check(id);
    }
    let mut rest = id;
    while let Some((before, from)) = rest.split_once('{') {
        let Some((name, after)) = from.split_once('}') else { return Err(bad(id)) };
        if !before.bytes().all(is_allowed) || check_parameter_name(name).is_err() {
            return Err(bad(id));
        }
        rest = after;
    }
    if rest.bytes().all(is_allowed) { Ok(()) } else { Err(bad(id)) }
}

fn bad(id: &str) -> Fault {
    Fault::BadId { id: id.chars().take(MAX_LENGTH + 1).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_ids() {
        for id in ["0", "a.b_c-d=e,f+g@h:i", "...", "-", &"x".repeat(128)] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn bad_ids() {
        for id in ["", ".", "..", "../x", "a b", "ä", "a\0", "*", "a\n", &"x".repeat(129)] {
            assert!(check(id).is_err(), "{id:?}");
        }
        assert_eq!(
            check("../x").unwrap_err().to_string(),
            "the id `../x` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, \
             and not `.` or `..`"
        );
    }

    #[test]
    fn templates() {
        for id in ["a", "{x}", "x{x}-n{n}", "{x}{y}"] {
            assert_eq!(check_template(id), Ok(()), "{id}");
        }
        for id in ["", "..", "{x", "x}", "{}", "{1}", "a/{x}", "{x} ", "{{x}}"] {
            assert!(check_template(id).is_err(), "{id:?}");
        }
    }

    proptest! {
        #[test]
        fn a_good_id_is_one_component_of_a_path(id in ".{0,8}") {
            if check(&id).is_ok() {
                let path = std::path::Path::new("run").join(&id);
                prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(id.as_str()));
                prop_assert_eq!(path.components().count(), 2);
            }
        }
    }
}
