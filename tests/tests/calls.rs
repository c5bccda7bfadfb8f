//! Function calls as tasks: each is a process with a record of its own, and their server is no part of any.

use std::fs;
use std::path::Path;
use std::process::Command;

use ictasks_tests::programs::clone_root;
use ictasks_tests::{
    BAD_INPUT, FAILED, Farm, Finished, Running, SUCCEEDED, TERMINATED, children_named, farm, process_exists,
    processes_with, send_signal, wait_for,
};
use serde_json::{Value, json};

const MIB: i64 = 1 << 20;
const SERVER: &str = "call_server: python3 -m ictasks._call_server\n";

/// What the calls of these tests do. `SERVER` is the server that has imported it.
const WORK: &str = r#"
import os, random, signal, subprocess, sys, time

SERVER = os.getpid()

def add(a, b=1):
    return a + b

def touch(mib):
    return len(bytearray(b"x") * (mib << 20)) >> 20

def hold(mib):
    held = bytearray(b"x") * (mib << 20)
    wait_for("never")
    return len(held)

def burn(seconds):
    while time.process_time() < seconds:
        pass

def write(name, size):
    with open(name, "wb") as file:
        file.write(b"x" * size)

def fail(text):
    print("it begins")
    raise ValueError(text)

def leave(code):
    sys.exit(code)

def kill(number):
    os.kill(os.getpid(), number)

def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.005)

def where():
    print(os.getcwd(), sys.stdin.read() == "", os.environ["ICTASKS_TASK_ID"], os.environ["MINE"])
    print(os.environ["ICTASKS_PARAM_X"], os.getpgid(0) == os.getpid(), "ICTASKS_CALL_SERVER_FD" in os.environ)
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if int(name) > 2:
            print(name, target)

def orphan():
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open("pid", "w") as file:
        file.write(str(child.pid))

def kill_server():
    os.kill(SERVER, signal.SIGKILL)
    while os.path.exists(f"/proc/{SERVER}/exe"):
        time.sleep(0.005)
    return os.getppid()

def numbers():
    return {"drag": 0.5, "steps": 3, "mesh": "m1"}

def once(name):
    if not os.path.exists(name):
        open(name, "w").close()
        raise RuntimeError("not yet")
    return 7

def draw():
    return random.random()
"#;

/// Writes the files of calls, and the lines of a task list that name them.
const GIVE: &str = r#"
import json, sys
from ictasks import _calls
import work
for number, words in enumerate(json.loads(sys.argv[1])):
    name, *args = words.pop("call")
    path = f"{sys.argv[2]}/call_{number}"
    _calls.dump(path, getattr(work, name), args)
    print(json.dumps({"launch_cmd": _calls.text(getattr(work, name), args), "call": path, **words}))
"#;

/// The way by which Python finds the package, and `work`.
fn python_path(directory: &Path) -> String {
    let package = clone_root().join("crates/ictasks/python");
    format!("{}:{}", package.display(), directory.display())
}

/// The lines of a task list of these calls: `{"call": [FUNCTION, ARGUMENT…]}` with keys of a task.
fn lines(directory: &Path, calls: &[Value]) -> String {
    fs::write(directory.join("work.py"), WORK).unwrap();
    let output = Command::new("python3")
        .args(["-c", GIVE, &json!(calls).to_string()])
        .arg(directory)
        .env("PYTHONPATH", python_path(directory))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("start python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A farm of calls, with these keys of a configuration.
fn calls_in(farm: Farm, yaml: &str, calls: &[Value]) -> Farm {
    let lines = lines(farm.directory(), calls);
    let path = python_path(farm.directory());
    farm.yaml(yaml).jsonl(lines).env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1")
}

fn calls(calls: &[Value]) -> Farm {
    calls_in(farm(), SERVER, calls)
}

fn call(words: Value) -> Value {
    json!({ "call": words })
}

fn number(run: &Finished, id: &str, figure: &str) -> i64 {
    let task = run.record.task(id);
    task[figure].as_i64().unwrap_or_else(|| panic!("`{figure}` of task {id} is {}", task[figure]))
}

fn cpu_s(run: &Finished, id: &str) -> f64 {
    let task = run.record.task(id);
    ["user_s", "system_s"].iter().filter_map(|figure| task[*figure].as_f64()).sum()
}

#[test]
fn the_usage_of_each_call_is_its_own() {
    let run = calls(&[
        call(json!(["touch", 200])),
        call(json!(["add", 1])),
        call(json!(["burn", 0.6])),
        call(json!(["write", "big", 3_000_000])),
        call(json!(["add", 2])),
    ])
    .workers(1)
    .run()
    .expect(SUCCEEDED);
    let size = |id| number(&run, id, "max_process_rss_bytes");
    let floor = number(&run, "1", "rss_floor_bytes");
    assert!(size("0") > 200 * MIB && size("0") < 300 * MIB, "{}", size("0"));
    for id in ["1", "4"] {
        assert!(size(id) >= floor && size(id) < 100 * MIB && floor > MIB, "{} of {floor}", size(id));
        assert!(cpu_s(&run, id) < 0.5, "{}", cpu_s(&run, id));
        assert!(number(&run, id, "syscall_write_bytes") < 100_000);
    }
    assert!(cpu_s(&run, "2") >= 0.6, "{}", cpu_s(&run, "2"));
    assert!(number(&run, "3", "syscall_write_bytes") >= 3_000_000);
    for id in ["0", "1", "2", "3", "4"] {
        assert_eq!(number(&run, id, "leftover_process_count"), 0);
        let task = run.record.task(id);
        assert!(task["wall_s"].as_f64().unwrap() >= 0.0 && task["exit_code"] == 0);
    }
    assert_eq!(run.record.task("0")["command"], "work.touch(200)");
}

#[test]
fn a_call_ends_as_a_script_would() {
    let run = calls(&[
        call(json!(["fail", "no mesh"])),
        call(json!(["leave", 3])),
        call(json!(["kill", 15])),
        call(json!(["kill", 11])),
        call(json!(["leave", null])),
        call(json!(["kill", 2])),
    ])
    .run()
    .expect(FAILED);
    let outcomes = ["failed", "failed", "signaled", "signaled", "succeeded", "signaled"];
    assert_eq!(run.record.column("tasks", "outcome"), outcomes);
    let null = Value::Null;
    assert_eq!(
        run.record.column("tasks", "exit_code"),
        [json!(1), json!(3), null.clone(), null.clone(), json!(0), null]
    );
    let signals: Vec<Value> = run.record.column("tasks", "signal");
    assert_eq!((&signals[2], &signals[3], &signals[5]), (&json!(15), &json!(11), &json!(2)));
    assert_eq!(run.record.stdout("0"), "it begins\n");
    let printed = run.record.read("0", "task_stderr.txt");
    assert!(printed.starts_with("Traceback") && printed.ends_with("ValueError: no mesh\n"), "{printed}");
    assert!(printed.contains("work.py") && !printed.contains("ictasks/_calls.py"), "{printed}");
    assert_eq!(run.record.task("0")["stderr_tail"], json!(printed));
    assert!(run.record.task_names("0").contains(&"exception.pickle".to_owned()));
}

#[test]
fn a_call_is_where_a_command_would_be() {
    let given = json!({"call": ["where"], "params": {"x": 5}, "environment": {"MINE": "a=b"}});
    let run = calls(&[given]).env("MINE", "farm").run().expect(SUCCEEDED);
    let directory = run.record.task_directory("0").canonicalize().unwrap();
    let expected = format!("{} True 0 a=b\n5 True False\n", directory.display());
    let printed = run.record.stdout("0");
    assert!(printed.starts_with(&expected), "{printed}");
    // Nothing else is open but the directory that is being listed.
    let others: Vec<&str> =
        printed[expected.len()..].lines().filter(|line| !line.contains("/proc/")).collect();
    assert!(others.is_empty(), "{others:?}");
    let run = calls_in(farm(), &format!("{SERVER}cwd: submit\n"), &[call(json!(["write", "here", 3]))]);
    let run = run.run().expect(SUCCEEDED);
    assert!(run.directory().join("here").is_file());
}

#[test]
fn what_a_call_returns_is_kept_and_becomes_columns() {
    let yaml = format!("{SERVER}retries: 1\n");
    let run = calls_in(
        farm(),
        &yaml,
        &[
            call(json!(["numbers"])),
            call(json!(["add", 2, 3])),
            call(json!(["add", "a", "b"])),
            call(json!(["once", "made"])),
        ],
    )
    .workers(1)
    .run()
    .expect(SUCCEEDED);
    let first = run.record.task("0");
    assert_eq!(
        (&first["result_drag"], &first["result_steps"], &first["result_mesh"]),
        (&json!(0.5), &json!(3), &json!("m1"))
    );
    assert_eq!(run.record.task("1")["result_value"], 5);
    assert!(run.record.task_names("2").contains(&"result.pickle".to_owned()));
    assert!(!run.record.task_names("2").contains(&"result.json".to_owned()));
    let names = run.record.task_names("3");
    assert!(
        names.contains(&"result.pickle".to_owned())
            && names.contains(&"exception.pickle.attempt-1".to_owned()),
        "{names:?}"
    );
    assert!(!names.contains(&"exception.pickle".to_owned()), "{names:?}");
}

#[test]
fn calls_draw_different_random_numbers() {
    let run = calls(&vec![call(json!(["draw"])); 4]).workers(1).run().expect(SUCCEEDED);
    let mut drawn: Vec<String> =
        run.record.column("tasks", "result_value").iter().map(Value::to_string).collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 4);
}

#[test]
fn a_call_has_a_time_limit_and_leaves_nothing_behind() {
    let late = json!({"call": ["wait_for", "never"], "timeout": "200ms"});
    let run =
        calls(&[late, call(json!(["orphan"])), call(json!(["add", 1]))]).workers(1).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "outcome"), ["timed_out", "succeeded", "succeeded"]);
    assert_eq!(run.record.column("tasks", "leftover_process_count"), [0, 1, 0]);
    let pid: i64 = run.record.read("1", "pid").parse().unwrap();
    assert!(!process_exists(pid));
}

#[test]
fn commands_and_calls_share_a_slot() {
    let directory = farm();
    let mut list = lines(directory.directory(), &[call(json!(["add", 1])), call(json!(["add", 2]))]);
    list.push_str("{\"launch_cmd\": \"sleep 0.2 & echo done\"}\n{\"launch_cmd\": \"true\"}\n");
    let path = python_path(directory.directory());
    let run = directory.yaml(SERVER).jsonl(list).env("PYTHONPATH", path).workers(1).run().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "leftover_process_count"), [0, 0, 1, 0]);
    let floor = number(&run, "3", "rss_floor_bytes");
    assert!(floor < number(&run, "0", "rss_floor_bytes"), "a command begins at the slot's size");
}

#[test]
fn a_server_that_dies_is_started_again_and_charged_to_nobody() {
    let run = calls(&[call(json!(["kill_server"])), call(json!(["add", 1])), call(json!(["add", 2]))]);
    let run = run.workers(1).run().expect(SUCCEEDED);
    assert!(cpu_s(&run, "0") < 5.0);
    assert_eq!(run.record.column("tasks", "leftover_process_count"), [0, 0, 0]);
    let warning = "the call server of worker 0 was killed by signal 9 and is started again";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
}

/// A server that says `hello` and dies of its first request, as often as `deaths` says.
fn mortal(deaths: u32) -> String {
    format!(
        "import os, socket, sys\n\
         made = len([name for name in os.listdir('.') if name.startswith('death_')])\n\
         if made < {deaths}:\n    \
             open(f'death_{{made}}', 'w').close()\n    \
             link = socket.socket(fileno=int(os.environ['ICTASKS_CALL_SERVER_FD']))\n    \
             link.sendall(b'{{\"hello\":{{\"version\":1}}}}\\n')\n    \
             link.recv(1)\n    \
             sys.exit('out of luck')\n\
         os.execvp('python3', ['python3', '-m', 'ictasks._call_server'])\n"
    )
}

#[test]
fn a_call_that_its_server_did_not_live_to_take_is_made_again_once() {
    for (deaths, outcomes) in [(1, ["succeeded", "succeeded"]), (2, ["spawn_failed", "succeeded"])] {
        let yaml = "call_server: [python3, mortal.py]\n";
        let run = calls_in(farm(), yaml, &[call(json!(["add", 1])), call(json!(["add", 2]))])
            .file("mortal.py", mortal(deaths))
            .workers(1)
            .run();
        assert_eq!(run.record.column("tasks", "outcome"), outcomes);
        assert_eq!(run.record.column("tasks", "attempt_count"), [1, 1]);
        if deaths == 2 {
            let error = &run.record.column("tasks", "error")[0];
            let expected = "the call server `python3 mortal.py` did not take the call: it ended with exit code 1: out of luck";
            assert_eq!(error, expected);
            assert_eq!(run.record.read("0", "task_stderr.txt"), "out of luck\n");
        }
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let cases = [
        ("no-such-program -m x", "the program `no-such-program` was not found in PATH"),
        ("python3 -c 'import no_such_module'", "No module named 'no_such_module'"),
        ("'true'", "it ended with exit code 0"),
        ("echo-nothing/at/all", "cannot be executed"),
        (
            "[python3, -c, \"import os; os.write(int(os.environ['ICTASKS_CALL_SERVER_FD']), b'good day\\\\n')\"]",
            "it says `good day`",
        ),
    ];
    for (server, expected) in cases {
        let yaml = format!("call_server: {server}\n");
        let run = calls_in(farm(), &yaml, &[call(json!(["add", 1])), json!({"call": ["add", 2], "id": "b"})]);
        let run = run.run().expect(FAILED);
        assert_eq!(run.record.column("tasks", "outcome"), ["spawn_failed", "spawn_failed"], "{server}");
        let error = run.record.task("b")["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(expected) && error.contains("cannot be started"), "{server}: {error}");
        if server.contains("import no") {
            assert!(run.record.read("b", "task_stderr.txt").starts_with("Traceback"));
        }
    }
}

#[test]
fn a_call_needs_a_server_and_an_absolute_path() {
    let list = "{\"launch_cmd\": \"f()\", \"call\": \"/c\"}\n";
    let run = farm().jsonl(list).run().expect(BAD_INPUT);
    assert!(
        run.stderr.contains("tasks.jsonl:1: the task is a `call`, and there is no `call_server`"),
        "{}",
        run.stderr
    );
    let run = farm().yaml("tasks:\n- {launch_cmd: f(), call: /c}\n").run().expect(BAD_INPUT);
    assert!(run.stderr.contains("farm.yaml:2") && run.stderr.contains("call_server"), "{}", run.stderr);
    let list = "{\"launch_cmd\": \"f()\", \"call\": \"c\"}\n";
    let run = farm().yaml(SERVER).jsonl(list).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("`c` is no absolute path"), "{}", run.stderr);
    let run = calls(&[call(json!(["add", 1]))]).args(["--dry-run"]).run().expect(SUCCEEDED);
    assert!(run.stdout.contains("task 0: the call work.add(1) in "), "{}", run.stdout);
    assert!(!run.record.directory().exists());
}

#[test]
fn a_call_whose_file_is_gone_fails_alone() {
    let list = "{\"launch_cmd\": \"f()\", \"call\": \"/no/such/call\"}\n";
    let directory = farm();
    let path = python_path(directory.directory());
    let run = directory.yaml(SERVER).jsonl(list).env("PYTHONPATH", path).run().expect(FAILED);
    assert!(run.record.read("0", "task_stderr.txt").contains("No such file or directory: '/no/such/call'"));
}

/// Waits until a call of the run waits for a file.
fn waits(run: &Running) {
    let began = || run.record.journal().iter().any(|event| event["kind"] == "task_started").then_some(());
    wait_for("the call", began);
}

fn mark(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

#[test]
fn no_server_outlives_its_slot_whatever_ends_that() {
    for victim in ["coordinator", "agent", "slot"] {
        let mark = mark(victim);
        let run = calls(&[call(json!(["wait_for", "never"]))]).env("CALLS_TEST", &mark).workers(1).start();
        waits(&run);
        let agents = children_named(run.pid().into(), "ictasks-agent");
        let slots: Vec<i64> =
            agents.iter().flat_map(|agent| children_named(*agent, "ictasks-agent")).collect();
        assert_eq!((agents.len(), slots.len()), (1, 1));
        match victim {
            "coordinator" => run.signal(libc::SIGKILL),
            "agent" => send_signal(agents[0], libc::SIGKILL),
            _ => send_signal(slots[0], libc::SIGKILL),
        }
        // What is left of the run may go on with a new agent, which begins another server.
        run.signal(libc::SIGTERM);
        wait_for("the end of all", || processes_with(&mark).is_empty().then_some(()));
        run.wait();
    }
}

#[test]
fn the_server_ends_with_the_run() {
    let mark = mark("end");
    let run = calls(&[call(json!(["add", 1]))]).env("CALLS_TEST", &mark).run().expect(SUCCEEDED);
    assert!(processes_with(&mark).is_empty());
    drop(run);
}

#[test]
fn a_run_can_be_ended_and_stopped_while_a_server_starts() {
    let mark = mark("start");
    // Not `exec`: the server is a child of what is started.
    let yaml = "call_server: [sh, -c, 'echo $$ > pid; sleep 1000; true']\n";
    let run = calls_in(farm(), yaml, &[call(json!(["add", 1]))]).env("CALLS_TEST", &mark).start();
    wait_for("the server", || {
        fs::read_to_string(run.directory().join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    });
    run.signal(libc::SIGTSTP);
    let state = |pid: i64| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    };
    wait_for("the farm to stop", || (state(run.pid().into()) == Some('T')).then_some(()));
    run.signal(libc::SIGCONT);
    run.signal(libc::SIGTERM);
    let run = run.wait().expect(TERMINATED);
    assert_eq!(run.record.column("tasks", "outcome"), ["pending"]);
    assert_eq!(run.record.column("tasks", "attempt_count"), [0]);
    assert!(processes_with(&mark).is_empty());
    // And a farm that is killed.
    let run = run.again();
    fs::remove_file(run.directory().join("pid")).unwrap();
    let run =
        calls_in(run, yaml, &[call(json!(["add", 1]))]).args(["--resume"]).env("CALLS_TEST", &mark).start();
    wait_for("the server", || {
        fs::read_to_string(run.directory().join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    });
    run.signal(libc::SIGKILL);
    wait_for("the end of all", || processes_with(&mark).is_empty().then_some(()));
    run.wait();
}

#[test]
fn calls_are_resumed_like_commands() {
    let given = [call(json!(["add", 1])), call(json!(["once", "../made"]))];
    let run = calls(&given).run().expect(FAILED);
    let run = calls_in(run.again(), SERVER, &given).args(["--resume"]).run().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [1, 2]);
    assert_eq!(run.record.column("tasks", "result_value"), [2, 7]);
}

#[test]
fn memory_limits_are_for_the_call_and_not_for_its_server() {
    let yaml = format!("{SERVER}memory_per_task: 120M\nenforce_memory: true\n");
    let directory = farm().file("held.py", "HELD = bytearray(b'x') * (200 << 20)\n");
    let run = calls_in(directory, &yaml, &[call(json!(["wait_for", "../go"])), call(json!(["hold", 300]))]);
    let run = run.file("work.py", format!("import held\n{WORK}")).workers(1).start();
    waits(&run);
    // Long enough for the agent to look at it more than once.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    fs::write(run.record.directory().join("go"), "").unwrap();
    let run = run.wait().expect(FAILED);
    let outcomes = run.record.column("tasks", "outcome");
    assert_eq!(outcomes[0], "succeeded");
    assert_eq!(outcomes[1], "out_of_memory");
}
