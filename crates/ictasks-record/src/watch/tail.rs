//! A part of the journal that grows while it is read.

use crate::error::RecordError;
use crate::journal::{Damage, Part, TakeBatch, stream};
use crate::schema::Table;

/// How far the parts of a table have been read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The live part that was read last, how far, and the schema at its beginning.
    live: Option<(u32, stream::Place)>,
    /// Finished parts up to this one have been read.
    passed: Option<u32>,
}

impl Tail {
    /// Whether a part has been read to its end.
    pub(super) fn has_passed(&self, part: &Part) -> bool {
        part.finished && self.passed >= Some(part.number)
    }

    pub(super) fn passed(&mut self, part: &Part) {
        if part.finished {
            self.passed = self.passed.max(Some(part.number));
        }
    }

    /// Hands out what a live part has got since the last time. That it ends within a batch is no
    /// damage: the rest may be on its way.
    pub(super) fn read(
        &mut self,
        part: &Part,
        table: Table,
        take: TakeBatch<'_>,
    ) -> Result<Option<Damage>, RecordError> {
        let place = match self.live.take() {
            Some((number, place)) if number == part.number => place,
            _ => stream::Place::default(),
        };
        let (place, damage) = stream::read_on(&part.path, place, table.columns(), take)?;
        self.live = Some((part.number, place));
        Ok(damage.filter(|damage| damage.what != stream::ENDS_EARLY))
    }
}
