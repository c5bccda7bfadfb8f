//! Merges near-duplicates among many groups: equal outcome and code, equally many words, most of them equal.

use std::collections::HashMap;

use super::{Gathered, NO_GROUP};

/// Share of equal words from which on two templates are taken for one.
const LIKE: f64 = 0.6;
/// Representatives that a template is compared with; more make one group of the rest hardly better.
const COMPARED: usize = 500;

/// Puts each group into the first one that is like it. Words that differ become `*`.
#[allow(clippy::cast_precision_loss)]
pub(super) fn merge(gathered: &mut Gathered) {
    let mut kept: Vec<usize> = Vec::new();
    let mut of_shape: HashMap<_, Vec<usize>> = HashMap::new();
    let mut new_number = vec![NO_GROUP; gathered.groups.len()];
    let mut templates: Vec<Vec<String>> = Vec::new();
    for (number, group) in gathered.groups.iter().enumerate() {
        let words: Vec<&str> = group.key.template.split_whitespace().collect();
        let shape = (group.key.outcome.clone(), group.key.exit_code, group.key.signal, words.len());
        let like = of_shape.entry(shape).or_default();
        let found = like.iter().take(COMPARED).copied().find(|place| {
            let equal = templates[*place].iter().zip(&words).filter(|(one, other)| one == *other).count();
            !words.is_empty() && equal as f64 >= LIKE * words.len() as f64
        });
        let place = found.unwrap_or_else(|| {
            kept.push(number);
            templates.push(words.iter().map(|word| (*word).to_owned()).collect());
            like.push(kept.len() - 1);
            kept.len() - 1
        });
        for (word, other) in templates[place].iter_mut().zip(&words) {
            if word != other {
                "*".clone_into(word);
            }
        }
        new_number[number] = u32::try_from(place).unwrap_or(NO_GROUP);
    }
    let mut groups = Vec::with_capacity(kept.len());
    for (place, number) in kept.into_iter().enumerate() {
        let mut group = gathered.groups[number].clone();
        group.key.template = templates[place].join(" ");
        groups.push(group);
    }
    gathered.merged = groups.len() < gathered.groups.len();
    gathered.groups = groups;
    for group in gathered.group_of.iter_mut().filter(|group| **group != NO_GROUP) {
        *group = new_number.get(*group as usize).copied().unwrap_or(NO_GROUP);
    }
}
