//! Slurm's short form of many names: `rack[1-2]node[07-10],login1`.
//!
//! Numbers in brackets are as wide as the first of their range is written, as `scontrol show hostnames` has it.

use crate::error::SlurmError;

/// More names than this are a mistake; Slurm itself takes no more in a range.
const MOST_NAMES: usize = 1 << 16;

/// The names that a list stands for, in its order.
///
/// # Errors
/// Brackets that are not closed or hold no numbers, ranges that run backwards, more than 65,536 names.
pub fn expand(list: &str) -> Result<Vec<String>, SlurmError> {
    let refused = |reason| SlurmError::NodeList { list: list.to_owned(), reason };
    let mut names = Vec::new();
    for item in items(list).map_err(refused)? {
        let expanded = expand_item(item).map_err(refused)?;
        if names.len() + expanded.len() > MOST_NAMES {
            return Err(refused("it has more than 65536 names"));
        }
        names.extend(expanded);
    }
    Ok(names)
}

/// The parts between the commas, line breaks and blanks that stand outside brackets.
fn items(list: &str) -> Result<Vec<&str>, &'static str> {
    let mut is_inside = false;
    for character in list.chars() {
        match character {
            '[' if is_inside => return Err("a bracket stands inside another"),
            ']' if !is_inside => return Err("a bracket is closed that was not opened"),
            '[' | ']' => is_inside = !is_inside,
            _ => {}
        }
    }
    if is_inside {
        return Err("a bracket is not closed");
    }
    let separates = |character: char| {
        match character {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
        !is_inside && (character == ',' || character.is_whitespace())
    };
    Ok(list.split(separates).filter(|item| !item.is_empty()).collect())
}

/// The names of one part: its text with every bracket replaced by each of its numbers, the last
/// bracket's changing first.
fn expand_item(item: &str) -> Result<Vec<String>, &'static str> {
    let mut names = vec![String::new()];
    let mut rest = item;
    while let Some((before, bracket)) = rest.split_once('[') {
        let (inside, after) = bracket.split_once(']').unwrap_or((bracket, ""));
        let numbers = numbers(inside)?;
        if names.len().saturating_mul(numbers.len()) > MOST_NAMES {
            return Err("it has more than 65536 names");
        }
        let extended =
            names.iter().flat_map(|name| numbers.iter().map(move |n| format!("{name}{before}{n}")));
        names = extended.collect();
        rest = after;
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

/// The numbers of a bracket, as they are written in names.
fn numbers(inside: &str) -> Result<Vec<String>, &'static str> {
    const NO_NUMBERS: &str = "brackets hold numbers and ranges such as `[1-3,07-10]`";
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().map_err(|_| NO_NUMBERS),
        false => Err(NO_NUMBERS),
    };
    let mut numbers = Vec::new();
    for range in inside.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (number(first)?, number(last)?);
        if from > to {
            return Err("a range runs backwards");
        }
        if to - from >= MOST_NAMES as u64 {
            return Err("it has more than 65536 names");
        }
        let width = first.len();
        numbers.extend((from..=to).map(|number| format!("{number:0width$}")));
    }
    Ok(numbers)
}

/// The short form of names, in their order: neighbours that differ only in their last number share
/// brackets. [`expand`] gives the names back.
pub fn compress(names: &[String]) -> String {
    let mut items = Vec::new();
    let mut numbered: Option<Numbered<'_>> = None;
    for name in names {
        let parts = Parts::of(name);
        match (&mut numbered, parts) {
            (Some(open), Some(parts)) if open.is_like(&parts) => open.push(parts),
            (_, Some(parts)) => {
                items.extend(numbered.replace(Numbered::begin(parts)).map(Numbered::text));
            }
            (_, None) => {
                items.extend(numbered.take().map(Numbered::text));
                items.push(name.clone());
            }
        }
    }
    items.extend(numbered.map(Numbered::text));
    items.join(",")
}

/// A name around its last number.
struct Parts<'a> {
    before: &'a str,
    digits: &'a str,
    number: u64,
    after: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` without a number, or with one too large to count with.
    fn of(name: &'a str) -> Option<Self> {
        let end = name.rfind(|character: char| character.is_ascii_digit())? + 1;
        let begin = name[..end].trim_end_matches(|character: char| character.is_ascii_digit()).len();
        let digits = &name[begin..end];
        let number = digits.parse().ok().filter(|number| *number < u64::MAX)?;
        Some(Self { before: &name[..begin], digits, number, after: &name[end..] })
    }
}

/// Names that will share brackets.
struct Numbered<'a> {
    before: &'a str,
    after: &'a str,
    /// First and last number of each range, as written.
    ranges: Vec<(&'a str, &'a str)>,
    last: u64,
}

impl<'a> Numbered<'a> {
    fn begin(parts: Parts<'a>) -> Self {
        let ranges = vec![(parts.digits, parts.digits)];
        Self { before: parts.before, after: parts.after, ranges, last: parts.number }
    }

    fn is_like(&self, parts: &Parts<'_>) -> bool {
        (self.before, self.after) == (parts.before, parts.after)
    }

    fn push(&mut self, parts: Parts<'a>) {
        // Within a range the first number says how wide all of them are.
        let goes_on = self.ranges.last_mut().filter(|(first, _)| {
            parts.number == self.last + 1
                && format!("{:0width$}", parts.number, width = first.len()) == parts.digits
        });
        match goes_on {
            Some((_, last)) => *last = parts.digits,
            None => self.ranges.push((parts.digits, parts.digits)),
        }
        self.last = parts.number;
    }

    fn text(self) -> String {
        let Self { before, after, ranges, .. } = self;
        match ranges.as_slice() {
            [(first, last)] if first == last => format!("{before}{first}{after}"),
            ranges => {
                let range = |(first, last): &(&str, &str)| match first == last {
                    true => (*first).to_owned(),
                    false => format!("{first}-{last}"),
                };
                let ranges: Vec<String> = ranges.iter().map(range).collect();
                format!("{before}[{}]{after}", ranges.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expanded(list: &str) -> String {
        expand(list).map_or_else(|error| error.to_string(), |names| names.join(" "))
    }

    /// As `scontrol show hostnames` answers.
    #[test]
    fn lists_as_slurm_reads_them() {
        for (list, names) in [
            ("node[1-3,07-10]", "node1 node2 node3 node07 node08 node09 node10"),
            ("a[01-02]b[1-2]", "a01b1 a01b2 a02b1 a02b2"),
            ("n[1-2]-ib[3-4]", "n1-ib3 n1-ib4 n2-ib3 n2-ib4"),
            ("n[1,2]", "n1 n2"),
            ("n[099-101]", "n099 n100 n101"),
            ("n[1-02]", "n1 n2"),
            ("n[01-2]", "n01 n02"),
            ("n[9-10]", "n9 n10"),
            (",n1,,n2", "n1 n2"),
            ("n[0-0]", "n0"),
            ("n[1-2],n[1-2]", "n1 n2 n1 n2"),
            ("node1", "node1"),
            ("", ""),
        ] {
            assert_eq!(expanded(list), names, "{list}");
        }
    }

    #[test]
    fn text_may_follow_a_bracket() {
        assert_eq!(expanded("n[1-2]-ib,x\nlogin"), "n1-ib n2-ib x login");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (list, reason) in [
            ("n[1-2", "a bracket is not closed"),
            ("n]", "a bracket is closed that was not opened"),
            ("n[1[2]]", "a bracket stands inside another"),
            ("n[]", "brackets hold numbers and ranges such as `[1-3,07-10]`"),
            ("n[a-b]", "brackets hold numbers and ranges such as `[1-3,07-10]`"),
            ("n[+1-2]", "brackets hold numbers and ranges such as `[1-3,07-10]`"),
            ("n[1-99999999999999999999]", "brackets hold numbers and ranges such as `[1-3,07-10]`"),
            ("n[3-1]", "a range runs backwards"),
            ("n[1-65537]", "it has more than 65536 names"),
            ("a[1-300]b[1-300]", "it has more than 65536 names"),
            ("a[1-65536],b", "it has more than 65536 names"),
        ] {
            assert_eq!(expanded(list), format!("read the list of nodes `{list}`: {reason}"));
        }
    }

    #[test]
    fn neighbours_share_brackets() {
        for (names, list) in [
            ("node1 node2 node3", "node[1-3]"),
            ("node1", "node1"),
            ("node07 node08 node10", "node[07-08,10]"),
            ("n8 n9 n10", "n[8-10]"),
            ("n08 n09 n10 n9", "n[08-10,9]"),
            ("a1b1 a1b2 a2b1", "a1b[1-2],a2b1"),
            ("login node1 node3", "login,node[1,3]"),
            ("n1-ib n2-ib n1", "n[1-2]-ib,n1"),
        ] {
            let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
            assert_eq!(compress(&names), list);
        }
        assert_eq!(compress(&[]), "");
    }

    proptest! {
        #[test]
        fn what_was_compressed_can_be_expanded(
            names in prop::collection::vec("[ab]{0,2}[0-2]{0,3}[x-]{0,1}", 0..40)
        ) {
            let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
            prop_assert_eq!(expand(&compress(&names)).unwrap(), names);
        }

        #[test]
        fn ranges_are_what_they_say(first in 0_u64..2000, count in 1_u64..50, width in 1_usize..6) {
            let list = format!("n[{first:0width$}-{:0width$}]", first + count - 1);
            let names: Vec<String> = (first..first + count).map(|n| format!("n{n:0width$}")).collect();
            prop_assert_eq!(expand(&list).unwrap(), names);
        }

        #[test]
        fn no_text_is_too_strange(list in "[a1\\[\\],-]{0,24}|\\PC{0,40}") {
            if let Ok(names) = expand(&list) {
                prop_assert_eq!(expand(&compress(&names)).unwrap(), names);
            }
        }
    }
}
