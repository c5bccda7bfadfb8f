//! A part of a list that runs by itself, with a record of its own.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::slurm::Shards;

/// One of several parts of a list: every so-many-eth task. Positions and ids stay those of the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shard {
    /// Which, from 1.
    pub number: i32,
    /// Of how many.
    pub count: i32,
}

impl Shard {
    /// Whether the task at this position belongs to it.
    pub fn has(self, task_index: i64) -> bool {
        task_index.rem_euclid(self.count.max(1).into()) == i64::from(self.number) - 1
    }

    /// How many of so many tasks belong to it.
    pub fn share_of(self, task_count: u64) -> u64 {
        let (number, count) =
            (u64::from(self.number.unsigned_abs()), u64::from(self.count.max(1).unsigned_abs()));
        (task_count + count).saturating_sub(number) / count
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, count)| {
            let number: i32 = number.trim().parse().ok()?;
            let Shards { count, at_once: None } = count.parse().ok()? else { return None };
            (1..=count).contains(&number).then_some(Self { number, count })
        });
        parsed.ok_or_else(|| format!("`{text}` is no shard; give for instance `3/10` for the third of ten"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_in_one_shard() {
        for count in 1..7 {
            let shards: Vec<Shard> = (1..=count).map(|number| Shard { number, count }).collect();
            for tasks in 0..20 {
                let mut sizes = vec![0; shards.len()];
                for index in 0..tasks {
                    let of: Vec<usize> =
                        (0..shards.len()).filter(|shard| shards[*shard].has(index)).collect();
                    assert_eq!(of.len(), 1);
                    sizes[of[0]] += 1;
                }
                let shares = shards.iter().map(|shard| shard.share_of(tasks.unsigned_abs()));
                assert_eq!(sizes, shares.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn shards_as_typed() {
        assert_eq!("3/10".parse(), Ok(Shard { number: 3, count: 10 }));
        for text in ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3%2", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
