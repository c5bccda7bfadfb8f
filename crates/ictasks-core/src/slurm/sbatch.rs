//! Options of `sbatch`, as they are given in the configuration and on the command line.

use std::str::FromStr;

use super::time;
use crate::config::scalar::parse_seconds;

/// The options that Slurm's manual has, with their letters; newer versions may have more.
const KNOWN: &[(&str, Option<char>)] = &[
    ("account", Some('A')),
    ("acctg-freq", None),
    ("array", Some('a')),
    ("batch", None),
    ("bb", None),
    ("bbf", None),
    ("begin", Some('b')),
    ("chdir", Some('D')),
    ("cluster-constraint", None),
    ("clusters", Some('M')),
    ("comment", None),
    ("constraint", Some('C')),
    ("container", None),
    ("container-id", None),
    ("contiguous", None),
    ("core-spec", Some('S')),
    ("cores-per-socket", None),
    ("cpu-freq", None),
    ("cpus-per-gpu", None),
    ("cpus-per-task", Some('c')),
    ("deadline", None),
    ("delay-boot", None),
    ("dependency", Some('d')),
    ("distribution", Some('m')),
    ("error", Some('e')),
    ("exclude", Some('x')),
    ("exclusive", None),
    ("export", None),
    ("export-file", None),
    ("extra", None),
    ("extra-node-info", Some('B')),
    ("get-user-env", None),
    ("gid", None),
    ("gpu-bind", None),
    ("gpu-freq", None),
    ("gpus", Some('G')),
    ("gpus-per-node", None),
    ("gpus-per-socket", None),
    ("gpus-per-task", None),
    ("gres", None),
    ("gres-flags", None),
    ("hint", None),
    ("hold", Some('H')),
    ("ignore-pbs", None),
    ("input", Some('i')),
    ("job-name", Some('J')),
    ("kill-on-invalid-dep", None),
    ("licenses", Some('L')),
    ("mail-type", None),
    ("mail-user", None),
    ("mcs-label", None),
    ("mem", None),
    ("mem-bind", None),
    ("mem-per-cpu", None),
    ("mem-per-gpu", None),
    ("mincpus", None),
    ("network", None),
    ("nice", None),
    ("no-kill", Some('k')),
    ("no-requeue", None),
    ("nodefile", Some('F')),
    ("nodelist", Some('w')),
    ("nodes", Some('N')),
    ("ntasks", Some('n')),
    ("ntasks-per-core", None),
    ("ntasks-per-gpu", None),
    ("ntasks-per-node", None),
    ("ntasks-per-socket", None),
    ("oom-kill-step", None),
    ("open-mode", None),
    ("output", Some('o')),
    ("overcommit", Some('O')),
    ("oversubscribe", Some('s')),
    ("partition", Some('p')),
    ("power", None),
    ("prefer", None),
    ("priority", None),
    ("profile", None),
    ("propagate", None),
    ("qos", Some('q')),
    ("reboot", None),
    ("requeue", None),
    ("reservation", None),
    ("resv-ports", None),
    ("segment", None),
    ("signal", None),
    ("sockets-per-node", None),
    ("spread-job", None),
    ("stepmgr", None),
    ("switches", None),
    ("thread-spec", None),
    ("threads-per-core", None),
    ("time", Some('t')),
    ("time-min", None),
    ("tmp", None),
    ("tres-bind", None),
    ("tres-per-task", None),
    ("uid", None),
    ("use-min-nodes", None),
    ("wait-all-nodes", None),
    ("wckey", None),
];

/// Options that a job of `ictasks submit` cannot have, and why.
const REFUSED: &[(&str, &str)] = &[
    ("wrap", "the batch script is written by ictasks; commands before it go to `slurm: setup:`"),
    ("test-only", "`ictasks submit --dry-run` shows what would be submitted"),
    ("wait", "`ictasks watch` shows how the run goes on"),
    ("parsable", "the id of the job is printed anyway"),
];

/// What Slurm takes for a time limit beside times.
const TIME_WORDS: [&str; 2] = ["INFINITE", "UNLIMITED"];

/// An option of `sbatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbatchOption {
    /// Its long name, without `--`.
    pub name: String,
    /// Its value; none of a flag.
    pub value: Option<String>,
}

impl SbatchOption {
    /// An option, checked as far as that can be done without a cluster.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn new(name: &str, value: Option<String>) -> Result<Self, String> {
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(format!("the option `{name}` of sbatch cannot be used here: {why}"));
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(format!("`{}` is no option of sbatch", name.escape_debug()));
        }
        let value = match (name, value) {
            ("time" | "time-min", Some(value)) => Some(time_limit(&value)?),
            (_, value) => value,
        };
        if let Some(value) = value.as_ref().filter(|value| value.contains(['\n', '\r', '\0'])) {
            return Err(format!("the value `{}` of `{name}` has more than one line", value.escape_debug()));
        }
        Ok(Self { name: name.to_owned(), value })
    }

    /// The long name of an option that has this letter.
    pub fn name_of_letter(letter: char) -> Option<&'static str> {
        KNOWN.iter().find(|(_, own)| *own == Some(letter)).map(|(name, _)| *name)
    }

    /// All long names that are known.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(name, _)| *name)
    }

    /// As it stands behind `#SBATCH`, in Slurm's own quotes where it needs them.
    pub fn text(&self) -> String {
        let Some(value) = &self.value else { return format!("--{}", self.name) };
        let is_plain =
            |character: char| character.is_ascii_alphanumeric() || "-_./=,:+@%*[]&|".contains(character);
        if !value.is_empty() && value.chars().all(is_plain) {
            return format!("--{}={value}", self.name);
        }
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("--{}=\"{escaped}\"", self.name)
    }
}

/// A time limit as sbatch takes it; one with units (`2h30m`) becomes one.
fn time_limit(text: &str) -> Result<String, String> {
    let text = text.trim();
    if time::limit(text).is_some() || TIME_WORDS.contains(&text.to_ascii_uppercase().as_str()) {
        return Ok(text.to_owned());
    }
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    // More than ten thousand years are a mistake.
    let seconds = parse_seconds(text).filter(|seconds| has_unit && (1.0..=1e9).contains(seconds));
    match seconds {
        #[allow(clippy::cast_possible_truncation)]
        Some(seconds) => Ok(time::as_limit(seconds.ceil() as i64)),
        None => Err(format!(
            "`{text}` is no time limit; give minutes such as `90`, `2:00:00`, `1-12:00:00` (days), or `2h30m`"
        )),
    }
}

/// Into how many independent jobs a list is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// How many.
    pub count: i32,
    /// How many of them may run at one time.
    pub at_once: Option<i32>,
}

/// More jobs than this are more than any array of Slurm's.
const MOST_SHARDS: i32 = 1_000_000;

impl FromStr for Shards {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.parse::<i32>().ok().filter(|number| (1..=MOST_SHARDS).contains(number));
        let (count, at_once) = match text.trim().split_once('%') {
            Some((count, at_once)) => (number(count), Some(number(at_once))),
            None => (number(text.trim()), None),
        };
        match (count, at_once) {
            (Some(count), None) => Ok(Self { count, at_once: None }),
            (Some(count), Some(Some(at_once))) => Ok(Self { count, at_once: Some(at_once) }),
            _ => Err(format!(
                "`{text}` is no number of shards; give for instance `10`, or `10%4` for 4 of them at a time"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(name: &str, value: &str) -> Result<String, String> {
        SbatchOption::new(name, Some(value.to_owned())).map(|option| option.text())
    }

    #[test]
    fn options_as_they_stand_in_a_script() {
        assert_eq!(option("nodes", "2-4").unwrap(), "--nodes=2-4");
        assert_eq!(option("constraint", "[rack1|rack2]").unwrap(), "--constraint=[rack1|rack2]");
        assert_eq!(option("comment", "it's \"so\" \\").unwrap(), r#"--comment="it's \"so\" \\""#);
        assert_eq!(SbatchOption::new("hold", None).unwrap().text(), "--hold");
    }

    #[test]
    fn time_limits_may_have_units() {
        for (typed, expected) in [
            ("90", "90"),
            ("1:30:00", "1:30:00"),
            ("2-0", "2-0"),
            ("infinite", "infinite"),
            ("90m", "1:30:00"),
            ("2h30m", "2:30:00"),
            ("3d", "3-00:00:00"),
            ("90.5s", "0:01:31"),
        ] {
            assert_eq!(option("time", typed).unwrap(), format!("--time={expected}"));
        }
        for typed in ["", "soon", "1.5", "-3", "0s", "2h30"] {
            assert!(option("time", typed).unwrap_err().contains("is no time limit"), "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_told() {
        assert!(option("wrap", "true").unwrap_err().contains("slurm: setup:"));
        assert!(option("comment", "a\nb").unwrap_err().contains("more than one line"));
        assert!(option("a b", "c").unwrap_err().contains("no option of sbatch"));
    }

    #[test]
    fn shards() {
        assert_eq!("10".parse(), Ok(Shards { count: 10, at_once: None }));
        assert_eq!("10%4".parse(), Ok(Shards { count: 10, at_once: Some(4) }));
        for text in ["", "0", "1-10", "10%", "10%0", "x", "-1", "99999999"] {
            assert!(text.parse::<Shards>().is_err(), "{text}");
        }
    }

    #[test]
    fn letters_stand_for_names() {
        assert_eq!(SbatchOption::name_of_letter('N'), Some("nodes"));
        assert_eq!(SbatchOption::name_of_letter('Z'), None);
    }
}
