//! Ids of swept tasks: from a template, or from the values.

use super::template::{Piece, pieces};
use super::value::ParamValue;
use crate::task::fnv1a;
use crate::task_id;

/// How the id of a task is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdRule {
    /// From `x{x}-n{n}`.
    Template(Vec<IdPart>),
    /// `x=0.1,n=2`, with what tells tasks apart that are not told apart by the values.
    Values {
        /// Before them: the id of the task itself, and a comma.
        before: String,
        /// Behind them: `@` and eight digits for the text of its line.
        behind: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdPart {
    Text(String),
    Value(usize),
}

impl IdRule {
    /// Reads a template; an unknown name is the error.
    pub(super) fn template(template: &str, names: &[String]) -> Result<Self, String> {
        let mut unknown = None;
        let parts = pieces(template, names, |suspect| unknown = unknown.take().or(Some(suspect.word)));
        let parts = parts.into_iter().map(|piece| match piece {
            Piece::Text(text) | Piece::Braced(text) => IdPart::Text(text.to_owned()),
            Piece::Value(place) => IdPart::Value(place),
        });
        let parts = parts.collect();
        unknown.map_or(Ok(Self::Template(parts)), Err)
    }

    /// The rule of a single command.
    pub(super) const fn of_values() -> Self {
        Self::Values { before: String::new(), behind: String::new() }
    }

    /// The rule of a task that has an id of its own.
    pub(super) fn of_task(id: &str, names: &[String]) -> Result<Self, String> {
        if id.contains('{') {
            return Self::template(id, names);
        }
        Ok(Self::Values { before: format!("{id},"), behind: String::new() })
    }

    /// The rule of a line of a list that has none.
    pub(super) fn of_line(line: &str) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let digits = fnv1a(line.as_bytes()) as u32;
        Self::Values { before: String::new(), behind: format!("@{digits:08x}") }
    }

    /// The id at a point. `telling` says which parameters the values need to be told apart.
    pub(super) fn id(&self, names: &[String], telling: &[bool], values: &[ParamValue]) -> String {
        let mut id = String::new();
        match self {
            Self::Template(parts) => {
                for part in parts {
                    match part {
                        IdPart::Text(text) => id.push_str(text),
                        IdPart::Value(place) => id.push_str(values[*place].as_portable_text()),
                    }
                }
            }
            Self::Values { before, behind } => {
                id.push_str(before);
                let told = names.iter().zip(values).zip(telling).filter(|(_, is_telling)| **is_telling);
                for (position, ((name, value), _)) in told.enumerate() {
                    if position > 0 {
                        id.push(',');
                    }
                    id.push_str(name);
                    id.push('=');
                    id.push_str(value.as_portable_text());
                }
                id.push_str(behind);
            }
        }
        legal(id)
    }
}

/// The text as an id: `_` for what an id cannot have, and the end of a long one replaced by a hash
/// of the whole.
fn legal(text: String) -> String {
    let is_good = text.bytes().all(task_id::is_allowed);
    let hash = if text.len() > task_id::MAX_LENGTH { fnv1a(text.as_bytes()) } else { 0 };
    let mut id = if is_good {
        text
    } else {
        let allowed = |letter: char| letter.is_ascii() && task_id::is_allowed(letter as u8);
        text.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect()
    };
    if id.len() > task_id::MAX_LENGTH || hash != 0 {
        const KEPT: usize = task_id::MAX_LENGTH - 17;
        id.truncate(KEPT);
        id.push_str(&format!("-{hash:016x}"));
    }
    if id.is_empty() || id == "." || id == ".." {
        id.insert(0, '_');
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Vec<String> {
        ["x", "name"].map(str::to_owned).into()
    }

    fn values(x: f64, name: &str) -> [ParamValue; 2] {
        [ParamValue::float(x).unwrap(), ParamValue::text(name).unwrap()]
    }

    #[test]
    fn from_values() {
        let rule = IdRule::Values { before: String::new(), behind: String::new() };
        let id = |name: &str| rule.id(&names(), &[true, true], &values(0.1, name));
        assert_eq!(id("a"), "x=0.1,name=a");
        assert_eq!(id("a b/ä"), "x=0.1,name=a_b__");
        let long = id(&"y".repeat(200));
        assert_eq!(long.len(), 128);
        assert!(long.starts_with("x=0.1,name=yyy") && long != id(&"y".repeat(201)));
        assert_eq!(rule.id(&names(), &[true, false], &values(0.1, "a")), "x=0.1");
        let own = IdRule::of_task("prep", &names()).unwrap();
        assert_eq!(own.id(&names(), &[true, true], &values(0.1, "a")), "prep,x=0.1,name=a");
        let line = IdRule::of_line("sim --x {x}").id(&names(), &[true, true], &values(0.1, "a"));
        assert_eq!(line, "x=0.1,name=a@bcbedf0c");
    }

    #[test]
    fn from_a_template() {
        let rule = IdRule::template("{name}.x{x}", &names()).unwrap();
        assert_eq!(rule.id(&names(), &[true, true], &values(0.1, "../a")), ".._a.x0.1");
        let name = IdRule::template("{name}", &names()).unwrap();
        for (value, id) in [("", "_"), (".", "_."), ("..", "_.."), ("/", "_")] {
            assert_eq!(name.id(&names(), &[true, true], &values(0.1, value)), id);
        }
        assert_eq!(IdRule::template("x{y}", &names()), Err("y".to_owned()));
    }

    proptest! {
        #[test]
        fn every_id_is_legal(value in ".{0,200}", template in prop::sample::select(vec!["{name}", "{x}-{name}", "a"])) {
            let Ok(value) = ParamValue::text(value) else { return Ok(()) };
            let values = [ParamValue::integer(1), value];
            let rule = IdRule::template(template, &names()).unwrap();
            let by_values = IdRule::Values { before: "a,".to_owned(), behind: "@01234567".to_owned() };
            for rule in [rule, by_values] {
                let id = rule.id(&names(), &[true, true], &values);
                prop_assert!(task_id::check(&id).is_ok(), "{id}");
                prop_assert_eq!(&id, &rule.id(&names(), &[true, true], &values));
            }
        }
    }
}
