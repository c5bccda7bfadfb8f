//! The monitor with a driver that says what a test wants.

use std::cell::RefCell;
use std::rc::Rc;

use ictasks_core::protocol::GpuInfo;

use super::super::cell::GpuFigures;
use super::*;

const SECOND: i64 = 1_000_000_000;

/// Answers of each device; an error means that it is lost.
type Answers = Rc<RefCell<BTreeMap<i32, Result<(Look, Option<u64>), String>>>>;

struct Scripted(Answers);

impl Driver for Scripted {
    fn ids(&self) -> Vec<i32> {
        self.0.borrow().keys().copied().collect()
    }

    fn info(&self, id: i32) -> GpuInfo {
        GpuInfo { id, ..GpuInfo::default() }
    }

    fn energy_mj(&self, id: i32) -> Result<Option<u64>, String> {
        self.0.borrow()[&id].clone().map(|(_, energy)| energy)
    }

    fn look(&self, id: i32) -> Result<Look, String> {
        self.0.borrow()[&id].clone().map(|(look, _)| look)
    }
}

struct Bench {
    answers: Answers,
    monitor: Monitor<Scripted>,
    cells: &'static [SlotCell],
    now_ns: i64,
}

/// A host of so many GPUs with workers that hold these. Below each slot there is this process.
fn bench(device_count: i32, workers: &[&[i32]]) -> Bench {
    let look = Look { busy_fraction: Some(0.5), memory_bytes: Some(9), power_w: Some(70.0), processes: None };
    let answers = (0..device_count).map(|id| (id, Ok((look.clone(), Some(1000))))).collect();
    let answers: Answers = Rc::new(RefCell::new(answers));
    let cells = sys::shared_memory::<SlotCell>(workers.len()).unwrap();
    let slot_pid = i32::try_from(std::os::unix::process::parent_id()).unwrap();
    let worker = |(gpus, cell): (&&[i32], _)| WatchedWorker { slot_pid, cell, gpus: gpus.to_vec() };
    let watched = Watched {
        host: "c17".to_owned(),
        session: 0,
        interval_s: 1.0,
        workers: workers.iter().zip(cells).map(worker).collect(),
    };
    let monitor = Monitor::new(watched, Scripted(Rc::clone(&answers)), |_| None);
    Bench { answers, monitor, cells, now_ns: sys::monotonic_ns() }
}

impl Bench {
    fn begin(&self, worker: usize, task_id: &str) {
        self.cells[worker].begin(task_id, 1, self.now_ns);
    }

    /// What comes of looks every tenth of a second, for so many seconds.
    fn pass(&mut self, seconds: i64) -> Vec<Reply> {
        let mut replies = Vec::new();
        for _ in 0..seconds * 10 {
            self.now_ns += SECOND / 10;
            replies.extend(self.monitor.round(self.now_ns));
        }
        replies
    }

    fn warnings(&mut self, seconds: i64) -> Vec<String> {
        let warning = |reply| match reply {
            Reply::Warning { message } => Some(message),
            _ => None,
        };
        self.pass(seconds).into_iter().filter_map(warning).collect()
    }

    fn change(&self, id: i32, change: impl Fn(&mut Look, &mut Option<u64>)) {
        if let Some(Ok((look, energy))) = self.answers.borrow_mut().get_mut(&id) {
            change(look, energy);
        }
    }

    /// Puts this process on a device, with so much memory.
    fn use_device(&self, id: i32, memory: Option<i64>) {
        let pid = i32::try_from(std::process::id()).unwrap();
        self.change(id, |look, _| look.processes = Some(BTreeMap::from([(pid, memory)])));
    }

    fn figures(&self, worker: usize) -> GpuFigures {
        self.cells[worker]
            .running()
            .map(|task| self.cells[worker].gpu.read(task.sequence))
            .unwrap_or_default()
    }
}

#[test]
fn every_device_has_a_row_in_each_interval() {
    let mut bench = bench(2, &[&[0]]);
    let replies = bench.pass(3);
    let rows: Vec<&Sample> = replies
        .iter()
        .flat_map(|reply| if let Reply::Samples(rows) = reply { &rows[..] } else { &[] })
        .collect();
    assert!((4..=8).contains(&rows.len()), "{}", rows.len());
    assert_eq!((rows[1].scope, rows[1].gpu, rows[1].gpu_power_w), (Scope::Gpu, Some(1), Some(70.0)));
    assert_eq!((rows[0].gpu_busy_fraction, rows[0].gpu_memory_bytes), (Some(0.5), Some(9)));
}

#[test]
fn a_task_has_the_figures_of_the_devices_that_it_holds() {
    let mut bench = bench(3, &[&[0, 2], &[1]]);
    bench.begin(0, "a");
    bench.pass(1);
    bench.use_device(2, Some(77));
    bench.change(2, |look, _| look.busy_fraction = Some(1.0));
    bench.pass(3);
    bench.change(2, |_, energy| *energy = Some(6000));
    bench.change(1, |_, energy| *energy = Some(8000));
    bench.pass(1);
    let figures = bench.figures(0);
    assert_eq!(figures.memory_max_bytes, Some(77));
    assert_eq!(figures.energy.map(|energy| energy.joules), Some(5.0));
    let busy = figures.busy_fraction.unwrap();
    assert!(busy > 0.6 && busy <= 0.75, "{busy}");
    assert_eq!(bench.figures(1), GpuFigures::default());
}

#[test]
fn the_next_task_begins_anew() {
    let mut bench = bench(1, &[&[0]]);
    bench.begin(0, "a");
    bench.use_device(0, Some(77));
    bench.pass(2);
    assert_eq!(bench.cells[0].end().gpu.memory_max_bytes, Some(77));
    bench.change(0, |look, _| look.processes = None);
    bench.begin(0, "b");
    bench.pass(2);
    assert_eq!(bench.cells[0].end().gpu.memory_max_bytes, None);
}

#[test]
fn a_device_without_a_counter_gives_no_energy() {
    let mut bench = bench(2, &[&[0, 1]]);
    bench.change(1, |look, energy| (look.busy_fraction, *energy) = (None, None));
    bench.begin(0, "a");
    bench.pass(3);
    assert_eq!((bench.figures(0).energy, bench.figures(0).busy_fraction), (None, None));
}

#[test]
fn processes_that_are_not_known_here_are_not_taken_for_those_of_a_task() {
    let mut bench = bench(1, &[&[0]]);
    bench.begin(0, "a");
    bench.use_device(0, Some(77));
    bench.change(0, |look, _| {
        // Beyond the largest process id that Linux gives.
        look.processes.as_mut().unwrap().insert(1 << 23, Some(5));
    });
    assert_eq!(bench.warnings(3), [""; 0]);
    assert_eq!(bench.figures(0).memory_max_bytes, None);
}

#[test]
fn a_task_on_a_gpu_that_it_does_not_hold_is_told_once() {
    let mut bench = bench(2, &[&[0]]);
    bench.begin(0, "a");
    bench.use_device(1, Some(5));
    let expected = "task `a` uses GPU 1 of `c17` and holds 0: it must take those that `gpu_ids.txt` names, or \
                    `gpu_binding: visible_devices` hides the others from it";
    assert_eq!(bench.warnings(5), [expected]);
}

#[test]
fn a_task_without_gpus_on_a_gpu_is_told_once() {
    let mut bench = bench(2, &[&[], &[0]]);
    bench.cells[0].begin("b", 1, bench.now_ns);
    bench.use_device(1, Some(5));
    let warnings = bench.warnings(5);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("task `b` uses GPU 1 of `c17` and holds none: "), "{warnings:?}");
    assert_eq!(bench.figures(0).memory_max_bytes, Some(5));
}

#[test]
fn lost_devices_are_told_once_and_leave_nulls() {
    let mut bench = bench(3, &[&[0], &[1], &[2]]);
    (0..3).for_each(|worker| bench.begin(worker, "a"));
    bench.pass(3);
    assert!(bench.figures(0).energy.is_some() && bench.figures(0).busy_fraction.is_some());
    for id in [0, 1] {
        bench.answers.borrow_mut().insert(id, Err("fell off the bus".to_owned()));
    }
    let expected = "the use of GPU 0 of `c17` is not measured any more: fell off the bus";
    assert_eq!(bench.warnings(3), [expected]);
    assert_eq!((bench.figures(0), bench.figures(1)), (GpuFigures::default(), GpuFigures::default()));
    assert!(bench.figures(2).energy.is_some());
}

#[test]
fn lost_devices_that_nobody_asked_for_are_not_told() {
    let mut bench = bench(1, &[&[]]);
    bench.answers.borrow_mut().insert(0, Err("fell off the bus".to_owned()));
    assert_eq!(bench.warnings(2), [""; 0]);
}

#[test]
fn a_device_that_is_held_and_not_there_is_told() {
    let mut bench = bench(1, &[&[0], &[1]]);
    bench.begin(1, "a");
    let expected = "the use of GPU 1 of `c17` is not measured: the driver does not show it";
    assert_eq!(bench.warnings(2), [expected]);
    assert_eq!(bench.figures(1), GpuFigures::default());
}
