//! Work that two threads share.
//!
//! Each of them keeps to its own half of the processors meanwhile. The kernel would leave both on one, with
//! another one idle, where they waited for the same page of the program: until its next balancing, which
//! may come after the work.

use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::error::RecordError;

/// Something to be done, by any thread.
pub(crate) type Job<'a, T> = Box<dyn FnOnce() -> Result<T, RecordError> + Send + 'a>;

/// Does these jobs here and, if the system has a thread to spare, beside. Results come in any order; after an
/// error no further job begins.
pub(crate) fn in_two_threads<T: Send>(jobs: Vec<Job<'_, T>>) -> Result<Vec<T>, RecordError> {
    let jobs = Mutex::new(jobs.into_iter());
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut done = Vec::new();
        while let Some(job) = next() {
            match job() {
                Ok(result) => done.push(result),
                Err(error) => {
                    while next().is_some() {}
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let halves = Halves::of_this_thread();
    let beside = || {
        if let Some(halves) = &halves {
            keep_to(&halves.other);
        }
        work()
    };
    let result = thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, beside).ok();
        if let (Some(_), Some(halves)) = (&beside, &halves) {
            keep_to(&halves.own);
        }
        let here = work();
        let there =
            beside.map_or(Ok(Vec::new()), |beside| beside.join().unwrap_or(Err(RecordError::Stopped)));
        let mut done = here?;
        done.extend(there?);
        Ok(done)
    });
    if let Some(halves) = &halves {
        keep_to(&halves.before);
    }
    result
}

/// The processors that this thread may use, and how two threads share them.
struct Halves {
    before: CpuSet,
    /// With the one that it is on.
    own: CpuSet,
    other: CpuSet,
}

impl Halves {
    /// None where there is but one, or the kernel does not tell.
    fn of_this_thread() -> Option<Self> {
        Self::divide(sched_getaffinity(None).ok()?, sched_getcpu())
    }

    fn divide(before: CpuSet, current: usize) -> Option<Self> {
        let half = before.count() / 2;
        let mut halves = [CpuSet::new(), CpuSet::new()];
        let allowed = (0..CpuSet::MAX_CPU).filter(|cpu| before.is_set(*cpu));
        for (place, cpu) in (0..).zip(allowed) {
            halves[usize::from(place >= half)].set(cpu);
        }
        let [first, second] = halves;
        let is_in_second = current < CpuSet::MAX_CPU && second.is_set(current);
        let (own, other) = if is_in_second { (second, first) } else { (first, second) };
        (half > 0).then_some(Self { before, own, other })
    }
}

/// A hint: what the kernel says to it does not matter.
fn keep_to(cpus: &CpuSet) {
    let _ = sched_setaffinity(None, cpus);
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn cpus(numbers: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        numbers.iter().for_each(|number| set.set(*number));
        set
    }

    fn halves(allowed: &[usize], current: usize) -> Option<[CpuSet; 2]> {
        Halves::divide(cpus(allowed), current).map(|halves| [halves.own, halves.other])
    }

    #[test]
    fn a_thread_stays_in_the_half_that_it_is_in() {
        assert!(halves(&[3], 3).is_none());
        assert!(halves(&[2, 5], 2).unwrap() == [cpus(&[2]), cpus(&[5])]);
        assert!(halves(&[2, 5], 5).unwrap() == [cpus(&[5]), cpus(&[2])]);
        assert!(halves(&[0, 1, 4, 6, 7], 1).unwrap() == [cpus(&[0, 1]), cpus(&[4, 6, 7])]);
        assert!(halves(&[0, 1], usize::MAX).unwrap() == [cpus(&[0]), cpus(&[1])]);
    }

    #[test]
    fn both_threads_work_and_this_one_may_use_all_processors_again() {
        let before = sched_getaffinity(None).unwrap();
        let both = Barrier::new(2);
        let jobs: Vec<Job<'_, CpuSet>> = (0..2)
            .map(|_| {
                let job: Job<'_, CpuSet> = Box::new(|| {
                    both.wait();
                    Ok(sched_getaffinity(None).unwrap())
                });
                job
            })
            .collect();

        let used = in_two_threads(jobs).unwrap();

        if before.count() > 1 {
            assert_eq!(used[0].count() + used[1].count(), before.count());
        }
        assert!(sched_getaffinity(None).unwrap() == before);
    }

    #[test]
    fn after_an_error_nothing_more_begins() {
        let both = Barrier::new(2);
        let fails = || -> Job<'_, ()> {
            Box::new(|| {
                both.wait();
                Err(RecordError::Stopped)
            })
        };
        let mut jobs = vec![fails(), fails()];
        jobs.push(Box::new(|| panic!("it began")));
        assert!(matches!(in_two_threads(jobs), Err(RecordError::Stopped)));
    }
}
