//! What the slots and the sampler of one agent share: a cell of memory for each slot.
//!
//! The slot says here which task it runs; the sampler, a thread of the agent, adds what it saw of
//! the task's tree. So a slot's report is complete without asking anybody. `state` is a sequence
//! lock: odd while a task runs, and with [`LOCKED`] while the sampler writes.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::gpu::cell::{GpuCell, GpuFigures};

/// Longest task id, bytes.
const ID_BYTES: usize = 128;
/// Bit of `state`: the sampler is adding what it saw.
const LOCKED: u64 = 1 << 63;

/// One slot's cell. Zero bytes mean: no task has run yet.
pub struct SlotCell {
    state: AtomicU64,
    /// Not 0 from the moment the slot has an order until it has replied.
    is_busy: AtomicU32,
    /// The stop (`Requests::stop`) that the slot has carried out.
    stopped_for: AtomicU32,
    /// A child of the slot that is, with all below it, no part of its task; 0 for none.
    apart: AtomicI32,
    /// Memory that the first process of the task shares with the call server from its birth on.
    inherited_bytes: AtomicI64,
    /// The task that the sampler saw above its memory limit, and with how much.
    excess_sequence: AtomicU64,
    excess_bytes: AtomicI64,
    started_ns: AtomicI64,
    max_tree_rss_bytes: AtomicI64,
    sample_count: AtomicI64,
    attempt: AtomicI32,
    id_length: AtomicU32,
    id: [AtomicU8; ID_BYTES],
    /// What was seen of its GPUs.
    pub gpu: GpuCell,
}

/// What the sampler saw of one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// Largest sum of resident memory over the tree; `None` without samples.
    pub max_tree_rss_bytes: Option<i64>,
    /// Number of samples.
    pub sample_count: i64,
    /// What was seen of its GPUs.
    pub gpu: GpuFigures,
}

/// A task that runs, as the sampler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Names this task among those of the slot.
    pub sequence: u64,
    /// Its start by the monotonic clock.
    pub started_ns: i64,
}

impl SlotCell {
    /// The slot has an order, or is done with it.
    pub fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy.into(), Ordering::SeqCst);
    }

    /// Whether the slot has an order.
    pub fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::SeqCst) != 0
    }

    /// Nothing of this slot's task runs any more, as this stop wanted it.
    pub fn set_stopped_for(&self, stop: u32) {
        self.stopped_for.store(stop, Ordering::SeqCst);
    }

    /// Whether the slot has carried out this stop, or has nothing to stop.
    pub fn is_stopped_for(&self, stop: u32) -> bool {
        // In this order: a slot says that it is busy before it looks whether it may begin.
        !self.is_busy() || self.stopped_for.load(Ordering::SeqCst) == stop
    }

    /// This child of the slot, with all below it, is no part of any task; 0 for none.
    pub fn set_apart(&self, pid: i32) {
        self.apart.store(pid, Ordering::SeqCst);
    }

    /// The child of the slot that is no part of any task; 0 for none.
    pub fn apart(&self) -> i32 {
        self.apart.load(Ordering::SeqCst)
    }

    /// The task that begins next shares so much memory with the call server; set before [`SlotCell::begin`].
    pub fn set_inherited_bytes(&self, bytes: i64) {
        self.inherited_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Memory that the task shares with the call server at most.
    pub fn inherited_bytes(&self) -> i64 {
        self.inherited_bytes.load(Ordering::Relaxed)
    }

    /// The sampler saw the task `sequence` above its memory limit, with so much.
    pub fn report_excess(&self, sequence: u64, tree_rss_bytes: i64) {
        self.excess_bytes.store(tree_rss_bytes, Ordering::Relaxed);
        self.excess_sequence.store(sequence, Ordering::Release);
    }

    /// With how much memory the task `sequence` was seen above its limit.
    pub fn excess(&self, sequence: u64) -> Option<i64> {
        let is_this = self.excess_sequence.load(Ordering::Acquire) == sequence;
        is_this.then(|| self.excess_bytes.load(Ordering::Relaxed))
    }

    /// The slot starts a task, at this time of the monotonic clock. Returns the task's sequence.
    pub fn begin(&self, task_id: &str, attempt: i32, started_ns: i64) -> u64 {
        let id = &task_id.as_bytes()[..task_id.len().min(ID_BYTES)];
        for (cell, byte) in self.id.iter().zip(id) {
            cell.store(*byte, Ordering::Relaxed);
        }
        self.id_length.store(u32::try_from(id.len()).unwrap_or(0), Ordering::Relaxed);
        self.attempt.store(attempt, Ordering::Relaxed);
        self.max_tree_rss_bytes.store(0, Ordering::Relaxed);
        self.sample_count.store(0, Ordering::Relaxed);
        self.started_ns.store(started_ns, Ordering::Relaxed);
        self.state.fetch_add(1, Ordering::Release) + 1
    }

    /// The task's tree has ended: no sample is added any more.
    pub fn end(&self) -> Sampled {
        // The sampler holds the lock for microseconds; should the agent die within them, the
        // slot must not wait for ever.
        let sequence = self.state.load(Ordering::Acquire) & !LOCKED;
        for _ in 0..100_000 {
            let state = self.state.load(Ordering::Acquire);
            let free = state & LOCKED == 0;
            if free
                && self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                break;
            }
            std::thread::yield_now();
        }
        let sample_count = self.sample_count.load(Ordering::Relaxed);
        let largest = self.max_tree_rss_bytes.load(Ordering::Relaxed);
        let max_tree_rss_bytes = (sample_count > 0).then_some(largest);
        Sampled { max_tree_rss_bytes, sample_count, gpu: self.gpu.read(sequence) }
    }

    /// The id of the task `sequence`, if it runs still.
    pub fn task_id(&self, sequence: u64) -> Option<String> {
        let runs = || self.state.load(Ordering::Acquire) & !LOCKED == sequence;
        let length = self.id_length.load(Ordering::Relaxed) as usize;
        let id = self.id.iter().take(length).map(|byte| byte.load(Ordering::Relaxed)).collect();
        // Read while another task began, it would be a mixture of two.
        std::sync::atomic::fence(Ordering::Acquire);
        String::from_utf8(id).ok().filter(|_| runs())
    }

    /// The task that runs now, if one does.
    pub fn running(&self) -> Option<Running> {
        let sequence = self.state.load(Ordering::Acquire) & !LOCKED;
        (sequence % 2 == 1).then(|| Running { sequence, started_ns: self.started_ns.load(Ordering::Relaxed) })
    }

    /// The task `sequence` was seen with so much memory, outside of the samples.
    pub fn note_memory(&self, sequence: u64, tree_rss_bytes: i64) {
        // It counts as a sample: a figure without samples behind it would be none.
        let _ = self.add_sample(sequence, tree_rss_bytes);
    }

    /// Adds a sample of the task `sequence`; its id and attempt, or `None` if it has ended.
    pub fn add_sample(&self, sequence: u64, tree_rss_bytes: i64) -> Option<(String, i32)> {
        self.state.compare_exchange(sequence, sequence | LOCKED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.max_tree_rss_bytes.fetch_max(tree_rss_bytes, Ordering::Relaxed);
        self.sample_count.fetch_add(1, Ordering::Relaxed);
        let length = self.id_length.load(Ordering::Relaxed) as usize;
        let id = self.id.iter().take(length).map(|byte| byte.load(Ordering::Relaxed)).collect();
        let attempt = self.attempt.load(Ordering::Relaxed);
        self.state.store(sequence, Ordering::Release);
        Some((String::from_utf8(id).unwrap_or_default(), attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_go_to_the_task_they_were_taken_of() {
        let cell = &crate::sys::shared_memory::<SlotCell>(1).unwrap()[0];
        assert_eq!(cell.running(), None);
        let sequence = cell.begin("a", 1, 5);
        let first = cell.running().unwrap();
        assert_eq!(first.sequence, sequence);
        assert_eq!(cell.add_sample(first.sequence, 5), Some(("a".to_owned(), 1)));
        assert_eq!(cell.add_sample(first.sequence, 3), Some(("a".to_owned(), 1)));
        assert_eq!(
            cell.end(),
            Sampled { max_tree_rss_bytes: Some(5), sample_count: 2, gpu: GpuFigures::default() }
        );
        cell.begin("b", 1, 9);
        assert_eq!(cell.add_sample(first.sequence, 9), None);
        assert_eq!(
            cell.end(),
            Sampled { max_tree_rss_bytes: None, sample_count: 0, gpu: GpuFigures::default() }
        );
    }

    #[test]
    fn an_excess_of_memory_is_that_of_one_task() {
        let cell = &crate::sys::shared_memory::<SlotCell>(1).unwrap()[0];
        let first = cell.begin("a", 1, 5);
        assert_eq!(cell.excess(first), None);
        cell.report_excess(first, 9);
        assert_eq!(cell.excess(first), Some(9));
        cell.end();
        assert_eq!(cell.excess(cell.begin("b", 1, 6)), None);
    }

    #[test]
    fn a_slot_without_an_order_has_nothing_to_stop() {
        let cell = &crate::sys::shared_memory::<SlotCell>(1).unwrap()[0];
        assert!(cell.is_stopped_for(1));
        cell.set_busy(true);
        assert!(!cell.is_stopped_for(1));
        cell.set_stopped_for(1);
        assert!(cell.is_stopped_for(1) && !cell.is_stopped_for(3));
    }
}
