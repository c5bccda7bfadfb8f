//! Text as small numbers.

use polars::prelude::PlHashMap;

/// Texts, each with its number.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    numbers: PlHashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Interned {
    /// The number of a text, a new one if it is new.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.into(), number);
        self.texts.push(text.into());
        number
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.texts.len()
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }
}
