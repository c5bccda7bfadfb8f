//! Equal ids in bounded memory: hashes in sorted runs, spilled to a temporary file and merged.
//!
//! Equal ids have equal hashes, so nothing is missed; unequal ids may have equal hashes, too, so
//! the caller compares the ids themselves in another pass.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

/// Hashes in memory before they are spilled (8 MiB).
pub(crate) const RUN_LENGTH: usize = 1 << 20;

/// Hashes of a run that are read at once.
const BLOCK_LENGTH: usize = 1 << 10;

/// Collects hashes, to find those that come more than once.
pub(crate) struct Hashes {
    run_length: usize,
    run: Vec<u64>,
    spilled: Option<File>,
    /// Where each spilled run ends in the file, counted in hashes.
    run_ends: Vec<u64>,
}

impl Hashes {
    pub(crate) fn new(run_length: usize) -> Self {
        Self { run_length, run: Vec::new(), spilled: None, run_ends: Vec::new() }
    }

    pub(crate) fn push(&mut self, hash: u64) -> io::Result<()> {
        if self.run.len() == self.run_length {
            self.spill()?;
        }
        self.run.push(hash);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        if self.spilled.is_none() {
            self.spilled = Some(tempfile::tempfile()?);
        }
        let mut writer = BufWriter::with_capacity(1 << 16, self.spilled.as_ref().expect("just made"));
        for hash in self.run.drain(..) {
            writer.write_all(&hash.to_le_bytes())?;
        }
        writer.flush()?;
        drop(writer);
        let begin = self.run_ends.last().copied().unwrap_or(0);
        self.run_ends.push(begin + self.run_length as u64);
        Ok(())
    }

    /// Up to `limit` hashes that came more than once.
    pub(crate) fn repeated(mut self, limit: usize) -> io::Result<HashSet<u64>> {
        self.run.sort_unstable();
        let mut begin = 0;
        let mut runs = vec![Run::in_memory(self.run)];
        for &end in &self.run_ends {
            runs.push(Run::spilled(begin..end));
            begin = end;
        }
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (position, run) in runs.iter_mut().enumerate() {
            if let Some(hash) = run.next(self.spilled.as_ref())? {
                heads.push(Reverse((hash, position)));
            }
        }
        let mut repeated = HashSet::new();
        let mut last = None;
        while let Some(Reverse((hash, position))) = heads.pop() {
            if last == Some(hash) {
                repeated.insert(hash);
                if repeated.len() >= limit {
                    break;
                }
            }
            last = Some(hash);
            if let Some(next) = runs[position].next(self.spilled.as_ref())? {
                heads.push(Reverse((next, position)));
            }
        }
        Ok(repeated)
    }
}

/// A sorted run, read block by block.
struct Run {
    unread: std::ops::Range<u64>,
    block: std::vec::IntoIter<u64>,
}

impl Run {
    fn in_memory(hashes: Vec<u64>) -> Self {
        Self { unread: 0..0, block: hashes.into_iter() }
    }

    fn spilled(unread: std::ops::Range<u64>) -> Self {
        Self { unread, block: Vec::new().into_iter() }
    }

    fn next(&mut self, file: Option<&File>) -> io::Result<Option<u64>> {
        if let (0, false, Some(file)) = (self.block.len(), self.unread.is_empty(), file) {
            let length = (self.unread.end - self.unread.start).min(BLOCK_LENGTH as u64);
            let mut bytes = [0; BLOCK_LENGTH * 8];
            let bytes = &mut bytes[..usize::try_from(length).unwrap_or(BLOCK_LENGTH) * 8];
            file.read_exact_at(bytes, self.unread.start * 8)?;
            self.unread.start += length;
            let hashes = bytes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash));
            self.block = hashes.collect::<Vec<_>>().into_iter();
        }
        Ok(self.block.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_exactly_the_repeated(hashes in prop::collection::vec(0_u64..300, 0..400), run in 1_usize..50) {
            let mut collected = Hashes::new(run);
            let (mut seen, mut expected) = (HashSet::new(), HashSet::new());
            for &hash in &hashes {
                collected.push(hash).unwrap();
                if !seen.insert(hash) {
                    expected.insert(hash);
                }
            }
            prop_assert_eq!(collected.repeated(usize::MAX).unwrap(), expected);
        }
    }
}
