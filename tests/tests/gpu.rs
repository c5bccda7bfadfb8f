//! GPUs: which are handed out, how tasks learn of them, and what is measured. The driver is a
//! stand-in (`tests/gpu/nvml.c`) that says what a test has written into a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ictasks_tests::programs::{clone_root, subject};
use ictasks_tests::table::Row;
use ictasks_tests::{FAILED, Farm, Finished, Running, SUCCEEDED, farm, wait_for};
use serde_json::json;

/// A task that the test ends: it writes its process id down and waits for the file `end` beside the list.
const WAITING: &str = "echo $$ > pid.new; mv pid.new pid; exec SUBJECT await $ICTASKS_SUBMIT_DIR/end";

/// One device of the stand-in, as a line of its file.
fn gpu(number: usize, used: i64, busy: i32, energy: i64) -> String {
    format!("gpu GPU-{number}a2b-77 80000000000 {used} {busy} 70000 {energy} Stand-in 80G\n")
}

fn idle_gpus(count: usize) -> String {
    (0..count).map(|number| gpu(number, 0, 0, 1000)).collect()
}

/// The directory of the stand-in, built once for all tests.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nvml");
        fs::create_dir_all(&directory).expect("make a directory");
        let fresh = directory.join(format!("{}.so", std::process::id()));
        let source = clone_root().join("tests/gpu/nvml.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&fresh, &source]).status();
        assert!(built.expect("start cc").success(), "cc builds the stand-in");
        // Other tests may be using the one that is there.
        fs::rename(&fresh, directory.join("libnvidia-ml.so.1")).expect("put the stand-in in place");
        directory
    })
}

trait WithGpus {
    /// Runs where the driver says this.
    fn driver(self, says: &str) -> Farm;
}

impl WithGpus for Farm {
    fn driver(self, says: &str) -> Farm {
        let state = self.directory().join("driver");
        fs::write(&state, says).expect("write what the driver says");
        self.env("LD_LIBRARY_PATH", library()).env("STAND_IN_NVML", state)
    }
}

/// Tasks of one GPU each, with further lines of configuration.
fn gpu_farm(lines: &str, commands: &[&str]) -> Farm {
    let tasks: String =
        commands.iter().map(|command| format!("- {{launch_cmd: {}}}\n", json!(command))).collect();
    let yaml =
        format!("task_distribution: {{gpus_per_task: 1, cores_per_task: 1}}\n{lines}\ntasks:\n{tasks}");
    farm().yaml(yaml.replace("SUBJECT", &subject().display().to_string())).workers(None)
}

/// Has the driver say something else from now on.
fn driver_says(run: &Running, text: &str) {
    let state = run.directory().join("driver");
    let fresh = state.with_extension("new");
    fs::write(&fresh, text).expect("write what the driver says");
    fs::rename(fresh, state).expect("put it in place");
}

/// Waits for the task's process and returns its id.
fn pid_of(run: &Running, id: &str) -> i32 {
    let path = run.record.task_directory(id).join("pid");
    let text = wait_for("the task", || fs::read_to_string(&path).ok());
    text.trim().parse().expect("a process id")
}

/// Waits until the journal has so many further samples of this kind.
fn wait_for_samples(run: &Running, count: usize, wanted: impl Fn(&Row) -> bool) {
    let number = || run.record.live_samples().iter().filter(|row| wanted(row)).count();
    let before = number();
    wait_for("samples", || (number() >= before + count).then_some(()));
}

fn end(run: Running) -> Finished {
    fs::write(run.directory().join("end"), "").expect("write a file");
    run.wait()
}

const SHOW: &str =
    "sh -c 'SUBJECT print-env CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER ICTASKS_GPU_IDS; cat gpu_ids.txt'";

#[test]
fn the_devices_of_an_inherited_mask_are_handed_out() {
    for (mask, expected) in [("2,3", ["2", "3"]), ("GPU-3a2b,GPU-1", ["3", "1"]), ("1,3,9,0", ["1", "3"])] {
        let wait = format!("{SHOW}; SUBJECT await $ICTASKS_RUN_DIR/task_1/gpu_ids.txt");
        let tasks = [wait.as_str(), &wait];
        let farm = gpu_farm("", &tasks).driver(&idle_gpus(4)).env("CUDA_VISIBLE_DEVICES", mask);
        let run = farm.workers(2).run().expect(SUCCEEDED);
        let mut seen: Vec<String> = Vec::new();
        for task in ["0", "1"] {
            let id = run.record.task(task)["gpus"][0].to_string();
            let text = format!(
                "CUDA_VISIBLE_DEVICES={mask}\nCUDA_DEVICE_ORDER=(not set)\nICTASKS_GPU_IDS={id}\n{id}\n"
            );
            assert_eq!(run.record.stdout(task), text);
            seen.push(id);
        }
        seen.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(seen, expected, "{mask}");
    }
}

#[test]
fn a_mask_without_a_driver_is_believed() {
    let run = gpu_farm("", &[SHOW]).env("CUDA_VISIBLE_DEVICES", "5").run().expect(SUCCEEDED);
    assert_eq!(run.record.task("0")["gpus"], json!([5]));
    assert_eq!(run.record.read("0", "gpu_ids.txt"), "5\n");
}

#[test]
fn no_device_is_left_by_an_empty_mask() {
    let run = gpu_farm("", &[SHOW]).driver(&idle_gpus(4)).env("CUDA_VISIBLE_DEVICES", "").run().expect(2);
    assert!(run.stderr.contains("no GPU was found on this machine"), "{}", run.stderr);
}

#[test]
fn a_task_may_be_shown_its_devices_alone() {
    let binding = "gpu_binding: visible_devices";
    let farm = gpu_farm(binding, &[SHOW]).driver(&idle_gpus(4)).env("CUDA_VISIBLE_DEVICES", "3");
    let run = farm.run().expect(SUCCEEDED);
    let expected = "CUDA_VISIBLE_DEVICES=3\nCUDA_DEVICE_ORDER=PCI_BUS_ID\nICTASKS_GPU_IDS=3\n3\n";
    assert_eq!(run.record.stdout("0"), expected);
    // Without GPUs of its own it sees none.
    let show = SHOW
        .replace("cat gpu_ids.txt", "ls gpu_ids.txt")
        .replace("SUBJECT", &subject().display().to_string());
    let yaml = format!("{binding}\ntasks: [{{launch_cmd: {}}}]\n", json!(show));
    let run = farm_without_gpus(&yaml).env("CUDA_VISIBLE_DEVICES", "1").run().expect(FAILED);
    let expected = "CUDA_VISIBLE_DEVICES=\nCUDA_DEVICE_ORDER=PCI_BUS_ID\nICTASKS_GPU_IDS=\n";
    assert_eq!(run.record.stdout("0"), expected);
}

fn farm_without_gpus(yaml: &str) -> Farm {
    farm().yaml(yaml).driver(&idle_gpus(4))
}

#[test]
fn what_the_user_sets_is_left_alone() {
    let lines = "gpu_binding: visible_devices\nenvironment: {CUDA_VISIBLE_DEVICES: '7'}";
    let run = gpu_farm(lines, &[SHOW]).driver(&idle_gpus(1)).run().expect(SUCCEEDED);
    let expected = "CUDA_VISIBLE_DEVICES=7\nCUDA_DEVICE_ORDER=PCI_BUS_ID\nICTASKS_GPU_IDS=0\n0\n";
    assert_eq!(run.record.stdout("0"), expected);
}

#[test]
fn a_number_that_the_mask_hides_is_explained() {
    let task = "sh -c 'echo CUDA error: invalid device ordinal >&2; exit 1'";
    let cases = [
        ("gpu_binding: visible_devices", None, Some("use device 0, or set `gpu_binding: file`")),
        ("", Some("2,3"), Some("set `gpu_binding: visible_devices` and use device 0")),
        ("", None, None),
    ];
    for (lines, mask, hint) in cases {
        let mut farm = gpu_farm(lines, &[task]).driver(&idle_gpus(4));
        if let Some(mask) = mask {
            farm = farm.env("CUDA_VISIBLE_DEVICES", mask);
        }
        let run = farm.run().expect(FAILED);
        for source in run.record.sources("0") {
            let Some(hint) = hint else {
                assert!(source.get("cause").is_null(), "{}", source.name);
                continue;
            };
            assert_eq!(
                (source.get("outcome"), source.get("cause")),
                (&json!("failed"), &json!("gpu_masked"))
            );
            assert_eq!(source.get("cause_evidence"), "probable", "{}", source.name);
            assert!(
                source.get("error").as_str().is_some_and(|error| error.contains(hint)),
                "{}",
                source.name
            );
        }
    }
}

#[test]
fn gpus_are_measured_by_device_and_by_task() {
    let farm = gpu_farm("sample_interval: 0.3", &[WAITING]).driver(&idle_gpus(2)).workers(1);
    let run = farm.start();
    let pid = pid_of(&run, "0");
    let is_sampled = |row: &Row| row["scope"] == "gpu" && row["gpu"] == 0;
    wait_for_samples(&run, 1, is_sampled);
    let state =
        gpu(0, 5_000_000_000, 80, 4000) + &gpu(1, 0, 0, 9000) + &format!("process 0 {pid} 4000000000\n");
    driver_says(&run, &state);
    // So long that the first moment, before it was looked at, is a small part.
    wait_for_samples(&run, 12, |row| is_sampled(row) && row["gpu_busy_fraction"] == 0.8);
    let run = end(run).expect(SUCCEEDED);

    for source in run.record.sources("0") {
        assert_eq!(source.get("gpu_memory_max_bytes"), 4_000_000_000_i64, "{}", source.name);
        assert!((source.number("gpu_energy_j") - 3.0).abs() < 1e-6, "{}", source.name);
        let busy = source.number("gpu_busy_fraction");
        // A mean of 0 and 0.8, not always the same number in the last digit.
        assert!(busy > 0.4 && busy < 0.8 + 1e-9, "{}: {busy}", source.name);
    }
    let samples = run.record.table("samples").rows;
    let of_device = |gpu: i32| samples.iter().filter(move |row| row["scope"] == "gpu" && row["gpu"] == gpu);
    assert!(
        of_device(0).any(|row| row["gpu_memory_bytes"] == 5_000_000_000_i64 && row["gpu_power_w"] == 70.0)
    );
    assert!(of_device(1).all(|row| row["gpu_busy_fraction"] == 0.0 && row["task_id"].is_null()));
    assert!(samples.iter().any(|row| row["scope"] == "task" && row["gpu_memory_bytes"] == 4_000_000_000_i64));
    let gpus = &run.record.run_json()["sessions"][0]["hosts"][0]["gpus"];
    let expected = json!({"id": 1, "name": "Stand-in 80G", "uuid": "GPU-1a2b-77", "memory_total_bytes": 80_000_000_000_i64});
    assert_eq!(gpus[1], expected, "{gpus}");
    assert!(!run.stderr.contains("not measured") && !run.stderr.contains("uses GPU"), "{}", run.stderr);
}

#[test]
fn what_a_device_does_not_give_is_null() {
    let state = "gpu GPU-0 100 -1 -1 -1 -1 Old\n";
    let run = gpu_farm("sample_interval: 0.1", &[WAITING]).driver(state).start();
    wait_for_samples(&run, 5, |row| row["scope"] == "gpu");
    let run = end(run).expect(SUCCEEDED);
    for figure in ["gpu_memory_max_bytes", "gpu_energy_j", "gpu_busy_fraction"] {
        assert!(run.record.task("0")[figure].is_null(), "{figure}");
    }
    for row in run.record.table("samples").rows.iter().filter(|row| row["scope"] == "gpu") {
        assert!(
            row["gpu_memory_bytes"].is_null()
                && row["gpu_busy_fraction"].is_null()
                && row["gpu_power_w"].is_null()
        );
    }
}

#[test]
fn a_task_on_the_wrong_device_is_told_once() {
    let run = gpu_farm("sample_interval: 0.1", &[WAITING]).driver(&idle_gpus(2)).workers(1).start();
    let pid = pid_of(&run, "0");
    driver_says(&run, &(idle_gpus(2) + &format!("process 1 {pid} 7\n")));
    wait_for("the warning", || run.stderr().contains("task `0` uses GPU 1 of ").then_some(()));
    wait_for_samples(&run, 4, |row| row["scope"] == "gpu");
    let run = end(run).expect(SUCCEEDED);
    assert_eq!(run.stderr.matches("uses GPU 1").count(), 1, "{}", run.stderr);
    assert_eq!(run.record.task("0")["gpu_memory_max_bytes"], 7);
}

#[test]
fn a_device_that_is_lost_in_mid_run_leaves_nulls_and_one_warning() {
    let run = gpu_farm("sample_interval: 0.1", &[WAITING]).driver(&idle_gpus(2)).workers(1).start();
    pid_of(&run, "0");
    wait_for_samples(&run, 4, |row| row["scope"] == "gpu");
    // NVML_ERROR_GPU_IS_LOST
    driver_says(&run, &(idle_gpus(2) + "fails 0 15\nfails 1 15\n"));
    let warning = "the use of GPU 0 of";
    wait_for("the warning", || run.stderr().contains(warning).then_some(()));
    let run = end(run).expect(SUCCEEDED);
    assert_eq!(run.stderr.matches("not measured").count(), 1, "{}", run.stderr);
    for figure in ["gpu_memory_max_bytes", "gpu_energy_j", "gpu_busy_fraction"] {
        assert!(run.record.task("0")[figure].is_null(), "{figure}");
    }
}

#[test]
fn a_driver_that_does_not_answer_is_told_only_where_gpus_are_asked_for() {
    // NVML_ERROR_DRIVER_NOT_LOADED
    let farm = gpu_farm("", &[WAITING]).driver("init 9\n").env("CUDA_VISIBLE_DEVICES", "0");
    let run = farm.start();
    wait_for("the warning", || run.stderr().contains("the use of GPUs is not measured on").then_some(()));
    let run = end(run).expect(SUCCEEDED);
    assert_eq!(run.stderr.matches("not measured").count(), 1, "{}", run.stderr);
    assert!(run.record.task("0")["gpu_energy_j"].is_null());
    let run = farm_without_gpus("tasks: [{launch_cmd: 'true'}]\n").run().expect(SUCCEEDED);
    assert!(!run.stderr.contains("GPU"), "{}", run.stderr);
    assert_eq!(run.record.task_names("0"), ["task.json", "task_stderr.txt", "task_stdout.txt"]);
}
