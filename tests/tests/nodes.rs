//! Several nodes, all of them this machine: a stand-in for ssh runs what it is told to run here.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use ictasks_tests::programs::subject;
use ictasks_tests::{
    BAD_INPUT, Farm, NO_RECORD, Running, SUCCEEDED, children_named, farm, process_exists, processes_with,
    send_signal, wait_for,
};
use serde_json::{Value, json};

/// What runs in the place of ssh: `$host` is the node, and `run` runs the agent.
const SSH: &str = r#"#!/bin/sh
host= command=
for word; do host=$command command=$word; done
export NODE="$host"
run() { exec sh -c "$command"; }
"#;

/// A farm over these nodes, with `ssh` in the place of the program of that name.
fn nodes(nodes: &str, tasks: &[&str], yaml: &str, ssh: &str) -> Farm {
    let farm = farm().tasks(tasks).yaml(format!("backend: ssh\nhosts: [{nodes}]\n{yaml}"));
    farm.program_in_path("ssh", &format!("{SSH}{ssh}\n"))
}

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

fn kinds(run: &ictasks_tests::Finished, kind: &str) -> usize {
    run.record.column("events", "kind").iter().filter(|found| **found == kind).count()
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn every_node_works_and_the_record_tells_which() {
    let task = "echo $NODE > node; echo %TASKID% >> %SUBMITDIR%/started; ".to_owned()
        + &does("await %SUBMITDIR%/go");
    let run = nodes("c1, c2, c3", &[task.as_str(); 6], "", "run").start();
    // All six run at one time, two on each node.
    wait_for("all tasks to run", || (lines(&run.directory().join("started")) == 6).then_some(()));
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    let mut ids = run.record.column("attempts", "host_id");
    ids.sort_by_key(Value::as_i64);
    assert_eq!(ids, [0, 0, 1, 1, 2, 2].map(|id| json!(id)));
    let mut found: Vec<String> = (0..6).map(|id| run.record.read(&id.to_string(), "node")).collect();
    found.sort();
    assert_eq!(found.concat(), "c1\nc1\nc2\nc2\nc3\nc3\n");
    assert_eq!(kinds(&run, "node_joined"), 3);
    let hosts = run.record.run_json()["sessions"][0]["hosts"].clone();
    assert_eq!(hosts.as_array().unwrap().len(), 3);
    let offsets = run.record.column("events", "clock_offset_s");
    let offsets: Vec<f64> = offsets.iter().filter_map(Value::as_f64).collect();
    assert!(offsets.len() == 3 && offsets.iter().all(|offset| offset.abs() < 5.0), "{offsets:?}");
    assert_eq!(
        run.record.run_json()["sessions"][0]["plan"]["backend"],
        json!({"ssh": {"hosts": ["c1", "c2", "c3"]}})
    );
}

#[test]
fn a_node_that_comes_late_joins() {
    let task = "echo %TASKID% >> %SUBMITDIR%/started; ".to_owned() + &does("await %SUBMITDIR%/go");
    let ssh = r#"if [ "$host" = late ]; then until [ -s started ]; do sleep 0.02; done; fi; run"#;
    let run = nodes("early, late", &[task.as_str(); 3], "", ssh).workers(1).start();
    wait_for("both nodes to work", || (lines(&run.directory().join("started")) == 2).then_some(()));
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    assert_eq!(kinds(&run, "node_joined"), 2);
}

#[test]
fn what_a_lost_agent_had_runs_elsewhere_once_nothing_of_it_can_run() {
    let task = "echo $NODE >> %SUBMITDIR%/started; ".to_owned() + &does("await %SUBMITDIR%/go");
    let run = nodes("c1, c2", &[task.as_str(); 2], "", "run").workers(1).start();
    let started = run.directory().join("started");
    wait_for("both tasks to run", || (lines(&started) == 2).then_some(()));
    let agents = agents_of(&run);
    assert_eq!(agents.len(), 2);
    send_signal(agents[0], libc::SIGKILL);
    // The other node does not end its own meanwhile, so it has no room.
    wait_for("the loss to be known", || run.stderr().contains("was lost").then_some(()));
    assert_eq!(lines(&started), 2);
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    assert_eq!(lines(&run.directory().join("started")), 3);
    assert_eq!(kinds(&run, "node_lost"), 1);
    let mut outcomes = run.record.column("attempts", "outcome");
    outcomes.sort_by_key(ToString::to_string);
    assert_eq!(outcomes, ["cancelled", "succeeded", "succeeded"].map(|outcome| json!(outcome)));
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded"; 2].map(|outcome| json!(outcome)));
}

#[test]
fn an_agent_that_is_frozen_leaves_nothing_running() {
    let task = "echo $NODE >> %SUBMITDIR%/started; ".to_owned() + &does("await %SUBMITDIR%/go");
    let run = nodes("c1, c2", &[task.as_str(); 2], "", "run").workers(1).start();
    wait_for("both tasks to run", || (lines(&run.directory().join("started")) == 2).then_some(()));
    let of_run = format!("ICTASKS_RUN_DIR={}", run.record.directory().display());
    let nodes_at_work = || {
        let all: HashSet<i64> = processes_with(&of_run).into_iter().collect();
        let has_tasks =
            |node: &&&str| processes_with(&format!("NODE={node}")).iter().any(|pid| all.contains(pid));
        ["c1", "c2"].iter().filter(has_tasks).count()
    };
    assert_eq!(nodes_at_work(), 2);
    let agents = agents_of(&run);
    send_signal(agents[0], libc::SIGSTOP);
    wait_for("the loss to be known", || run.stderr().contains("was lost").then_some(()));
    assert_eq!(nodes_at_work(), 1);
    send_signal(agents[0], libc::SIGKILL);
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded"; 2].map(|outcome| json!(outcome)));
}

/// The agents: what the stand-in for ssh becomes.
fn agents_of(run: &Running) -> Vec<i64> {
    children_named(run.pid().into(), "ictasks-agent")
}

#[test]
fn nothing_runs_on_without_its_coordinator() {
    let mark = format!("ICTASKS_TEST_MARK={}", std::process::id());
    let yaml = format!("environment: {{ICTASKS_TEST_MARK: '{}'}}", std::process::id());
    let task = "echo x >> %SUBMITDIR%/started; ".to_owned() + &does("await %SUBMITDIR%/never");
    let run = nodes("c1, c2", &[task.as_str(); 4], &yaml, "run").start();
    wait_for("all tasks to run", || (lines(&run.directory().join("started")) == 4).then_some(()));
    let agents = agents_of(&run);
    assert!(!processes_with(&mark).is_empty());
    run.signal(libc::SIGKILL);
    wait_for("the tasks to end", || processes_with(&mark).is_empty().then_some(()));
    wait_for("the agents to end", || agents.iter().all(|pid| !process_exists(*pid)).then_some(()));
}

#[test]
fn the_secret_is_in_no_file_no_command_line_and_no_environment() {
    let task = "echo x >> %SUBMITDIR%/started; ".to_owned() + &does("await %SUBMITDIR%/go");
    // What is written here is the test's own copy.
    let ssh = r#"read -r invitation; umask 077; echo "$invitation" > "$PWD/.secret"; echo "$invitation" | sh -c "$command""#;
    let run = nodes("c1", &[task.as_str()], "", ssh).start();
    wait_for("the task to run", || (lines(&run.directory().join("started")) == 1).then_some(()));
    let invitation = invitation(run.directory());
    let secret = invitation["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 64);
    let holds = |bytes: &[u8]| bytes.windows(64).any(|part| part == secret.as_bytes());
    for pid in ictasks_tests::tree(run.pid().into()) {
        for what in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            // The shell of the stand-in has it in a variable, which is not exported.
            assert!(!holds(&bytes), "{what} of {pid}");
        }
    }
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    let directory = run.directory();
    fs::remove_file(directory.join(".secret")).unwrap();
    for path in files(&directory) {
        assert!(!holds(&fs::read(&path).unwrap_or_default()), "{}", path.display());
    }
}

fn invitation(directory: &Path) -> Value {
    let text = fs::read_to_string(directory.join(".secret")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["invitation"].clone()
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn strangers_end_their_own_connection_and_nothing_else() {
    let task = "echo x >> %SUBMITDIR%/started; ".to_owned() + &does("await %SUBMITDIR%/go");
    let ssh = r#"read -r invitation; echo "$invitation" > .secret; echo "$invitation" | sh -c "$command""#;
    let run = nodes("c1", &[task.as_str()], "", ssh).start();
    wait_for("the task to run", || (lines(&run.directory().join("started")) == 1).then_some(()));
    let invitation = invitation(run.directory());
    let address = invitation["addresses"][0].as_str().unwrap();
    let nonce = "0".repeat(64);
    let forged = json!({"answer": {"protocol_version": 1, "nonce": nonce, "proof": nonce}}).to_string();
    let facts = json!({"facts": {}}).to_string();
    let long = "x".repeat(1 << 20);
    for said in ["", "GET / HTTP/1.1", "{", "{\"answer\":{}}", &facts, &forged, &long] {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut challenge = String::new();
        reader.read_line(&mut challenge).unwrap();
        assert!(challenge.starts_with("{\"challenge\":"), "{challenge}");
        // The other side may be faster to end it.
        let _ = stream.write_all(said.as_bytes()).and_then(|()| stream.write_all(b"\n"));
        let mut rest = String::new();
        let _ = reader.read_to_string(&mut rest);
        assert!(rest.is_empty() || rest.starts_with("{\"refused\":"), "{rest}");
    }
    // One that says nothing stays, and holds up nobody.
    let silent = TcpStream::connect(address).unwrap();
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    drop(silent);
    assert_eq!(kinds(&run, "node_joined"), 1);
}

#[test]
fn an_agent_with_another_secret_is_refused_and_the_run_says_that_nobody_came() {
    let ssh = r#"sed 's/"secret":"[0-9a-f]*"/"secret":"'$(printf '%064d' 7)'"/' | sh -c "$command""#;
    let run = nodes("c1", &["true"], "", ssh).run().expect(NO_RECORD);
    assert!(run.stderr.contains("refused the secret"), "{}", run.stderr);
    assert!(run.stderr.contains("no node is left"), "{}", run.stderr);
    assert_eq!(run.record.column("tasks", "outcome"), [json!("pending")]);
}

#[test]
fn a_node_without_the_run_directory_is_told_of() {
    let ssh = r#"sed 's/"run_dir":"[^"]*"/"run_dir":"\/nowhere"/' | sh -c "$command""#;
    let run = nodes("c1", &["true"], "", ssh).run().expect(NO_RECORD);
    assert!(run.stderr.contains("has to lie on a file system that all nodes share"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_started_is_told_of() {
    let run = nodes("c1", &["true"], "", "echo no route to $host >&2; exit 255").run().expect(NO_RECORD);
    assert!(run.stderr.contains("ssh (c1): no route to c1"), "{}", run.stderr);
    assert!(run.stderr.contains("what started the agents has ended"), "{}", run.stderr);
}

#[test]
fn a_node_that_fails_all_alone_is_set_aside() {
    let task = r#"test "$NODE" != bad && sleep 0.02"#;
    let run = nodes("bad, good", &[task; 400], "retries: 20", "run").workers(1).run().expect(SUCCEEDED);
    assert_eq!(kinds(&run, "node_set_aside"), 1);
    assert!(run.stderr.contains("gets no more tasks: its last"), "{}", run.stderr);
    let failed =
        run.record.column("attempts", "outcome").iter().filter(|outcome| **outcome == "failed").count();
    assert!(failed < 200, "{failed}");
}

#[test]
fn hosts_have_to_be_named() {
    let run = farm().tasks(["true"]).args(["--backend", "ssh"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("give `hosts: [c1, c2]`"), "{}", run.stderr);
}

#[test]
#[ignore = "needs Open MPI"]
fn mpiexec_starts_an_agent_on_each_node_that_it_knows() {
    let run = farm().yaml("backend: mpi").tasks(["echo $OMPI_COMM_WORLD_SIZE"]).run().expect(SUCCEEDED);
    assert_eq!(run.record.stdout("0"), "1\n");
    assert_eq!(kinds(&run, "node_joined"), 1);
}

#[test]
#[ignore = "needs Open SSH, and as root /run/sshd"]
fn ssh_starts_an_agent_on_a_host() {
    let farm = farm().yaml("backend: ssh\nhosts: [localhost]").tasks(["echo $SSH_CONNECTION"]);
    let directory = farm.directory().join("ssh");
    fs::create_dir(&directory).unwrap();
    let place = directory.display().to_string();
    for name in ["host", "key"] {
        let words = ["-q", "-t", "ed25519", "-N", "", "-f", name];
        let made = Command::new("ssh-keygen").args(words).current_dir(&directory).status();
        assert!(made.unwrap().success());
    }
    let settings = format!(
        "HostKey {place}/host\nAuthorizedKeysFile {place}/key.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
    );
    // A server for this one connection, which listens nowhere.
    let ssh = format!(
        "#!/bin/sh\nexec /usr/bin/ssh -F none -o BatchMode=yes -o ProxyCommand='/usr/sbin/sshd -i -f {place}/config' \\
         -i {place}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile={place}/known -o LogLevel=ERROR \"$@\"\n"
    );
    let run = farm.file("ssh/config", settings).program_in_path("ssh", &ssh).run().expect(SUCCEEDED);
    assert_eq!(run.record.stdout("0").split_whitespace().count(), 4, "it came by ssh");
    assert_eq!(kinds(&run, "node_joined"), 1);
}
