"""`ictasks report` on real runs: kinds of failure, states of a run, hostile text, and the JSON schemas."""

import json
import os
import re
import signal
import subprocess

import jsonschema
import markdown_it
import pytest

from conftest import PROGRAMS, command, program, wait_for

# Each kind of failure: the command, how many such tasks, and what the report has to say of it.
KINDS = {
    "missing program": ("no-such-solver --mesh {n}", 3, "could not be started", "`no-such-solver` was not found in PATH"),
    "traceback": ("python3 -c 'raise ValueError(\"no mesh {n}\")'", 4, "exit code 1", "ValueError: no mesh #"),
    "segmentation fault": ("sh -c 'kill -SEGV $$'", 5, "killed by SIGSEGV (segmentation fault)", ""),
    "time-out": ("echo step {n}; sleep 600", 2, "ended at its time limit", "step #"),
    "out of memory": (
        "python3 -c 'import time; hold = b\"x\" * (400 << 20); time.sleep(600)'",
        2,
        "used more than `memory_per_task` and was ended",
        "",
    ),
    "exit code": ("sh -c 'echo did not converge >&2; exit 7'", 6, "exit code 7", "did not converge"),
}
SUCCESSES = 10


def run_farm(directory, tasks, config="{}", expected=0):
    """The run directory of these tasks."""
    (directory / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (directory / "farm.yaml").write_text(config)
    arguments = ["--config", directory / "farm.yaml", "--tasklist", directory / "tasks.jsonl"]
    farm = command(*arguments, "--run-dir", directory / "run", "--workers", "2")
    done = subprocess.run(farm, capture_output=True, text=True, timeout=300)
    assert done.returncode == expected, done.stderr
    return directory / "run"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A run with every kind of failure."""
    tasks = [{"launch_cmd": f"true {number}"} for number in range(SUCCESSES)]
    for name, (launch_cmd, count, _, _) in KINDS.items():
        limit = {"timeout": 0.5} if name == "time-out" else {}
        for number in range(count):
            tasks.append({"launch_cmd": launch_cmd.replace("{n}", str(number)), "params": {"kind": name}} | limit)
    config = "memory_per_task: 200M\nenforce_memory: true\nsample_interval: 100ms\ntimeout: 120\n"
    return run_farm(tmp_path_factory.mktemp("kinds"), tasks, config, 1)


def report(*arguments):
    """What the program prints; it succeeds."""
    done = subprocess.run(program("report", *arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def findings(*arguments):
    return json.loads(report(*arguments, "--format", "json"))


def schema(of):
    """A validator for a document of the program."""
    text = subprocess.run(program("schema", of), capture_output=True, check=True, timeout=60).stdout
    document = json.loads(text)
    validator = jsonschema.validators.validator_for(document)
    assert validator is not jsonschema.validators.Draft3Validator, "the schema says which draft it follows"
    validator.check_schema(document)
    return validator(document)


def test_every_kind_of_failure_is_a_group(kinds):
    found = findings(kinds)
    assert found["task_count"] == SUCCESSES + sum(count for _, count, _, _ in KINDS.values())
    groups = {group["meaning"]: group for group in found["failures"]["groups"]}
    assert len(groups) == len(found["failures"]["groups"]) == len(KINDS)
    for name, (_, count, meaning, template) in KINDS.items():
        group = groups[meaning]
        assert group["attempt_count"] == group["task_count"] == count, name
        assert template in group["template"], name
        standing_out = [(over["column"], over["value"]) for over in group["over_represented"]]
        if count >= 5:
            assert ("param_kind", name) in standing_out, name


def test_advice_says_what_to_do_about_them(kinds):
    titles = {note["rule"]: note["title"] for note in findings(kinds)["advice"]}
    assert "memory" in titles["out_of_memory"]
    assert "wait" in titles["hanging"], "they slept: more time would not help"
    text = report(kinds, "--failures", "--width", "100")
    assert "the command, its path" in text
    assert "debugger" in text


def test_a_group_shows_the_pipe_that_runs_it_again(tmp_path):
    tasks = [{"launch_cmd": f"test -e {tmp_path}/ready"}] * 2 + [{"launch_cmd": "exit 3"}]
    run_dir = run_farm(tmp_path, tasks, expected=1)
    group = next(group for group in findings(run_dir)["failures"]["groups"] if group["exit_code"] == 1)
    (tmp_path / "ready").touch()
    path = f"{os.path.abspath(PROGRAMS)}:{os.environ['PATH']}" if PROGRAMS else os.environ["PATH"]
    done = subprocess.run(group["rerun"], shell=True, env=os.environ | {"PATH": path}, cwd=tmp_path, timeout=120)
    assert done.returncode == 0
    after = findings(run_dir)
    outcomes = {outcome["outcome"]: outcome["task_count"] for outcome in after["outcomes"]}
    assert outcomes == {"succeeded": 2, "failed": 1}


def test_documents_are_what_their_schemas_say(kinds, hostile, tmp_path):
    of_report = schema("report")
    one = run_farm(tmp_path, [{"launch_cmd": "true"}])
    for arguments in [(kinds,), (hostile,), (one,), (kinds, hostile, one), (kinds, "--filter", "exit_code = 7")]:
        of_report.validate(findings(*arguments))
    of_task = schema("task")
    for task_id in ["0", "12", "25"]:
        of_task.validate(findings(kinds, "--task", task_id))
    compared = subprocess.run(program("compare", kinds, hostile, "--format", "json"), capture_output=True, timeout=60)
    schema("compare").validate(json.loads(compared.stdout))
    with pytest.raises(jsonschema.ValidationError):
        of_report.validate(findings(one) | {"task_count": "one"})


def test_several_runs_are_one_report(tmp_path):
    for name, codes in {"one": [0, 3], "two": [3, 3, 0]}.items():
        (tmp_path / name).mkdir()
        run_farm(tmp_path / name, [{"launch_cmd": f"exit {code}"} for code in codes], expected=1)
    (tmp_path / "no-run" / "run").mkdir(parents=True)
    runs = tmp_path / "*" / "run"
    found = findings(runs)
    assert [run["run_dir"] for run in found["runs"]] == [str(tmp_path / name / "run") for name in ["one", "two"]]
    assert (found["task_count"], found["failures"]["groups"][0]["attempt_count"]) == (5, 3)
    assert {line["run"] for line in found["failed"]} == {run["run_dir"] for run in found["runs"]}
    assert report(runs, "--filter", f"exit_code = 3 and run = '{tmp_path}/two/run'", "--format", "ids") == "0\n1\n"
    done = subprocess.run(program("report", tmp_path / "none*"), capture_output=True, text=True, timeout=60)
    assert (done.returncode, "no run directory matches" in done.stderr) == (2, True)


def test_a_run_that_is_alive_is_reported_as_such(tmp_path):
    farm = subprocess.Popen(
        command("--tasklist", "-", "--run-dir", tmp_path / "run", "--workers", "2"), stdin=subprocess.PIPE, text=True
    )
    try:
        farm.stdin.write(f"exit 4\nwhile [ ! -e {tmp_path}/end ]; do sleep 0.01; done\n")
        farm.stdin.flush()

        def one_ended_and_one_runs():
            printed = subprocess.run(
                program("report", tmp_path / "run", "--format", "json"), capture_output=True, text=True, timeout=60
            )
            found = json.loads(printed.stdout) if printed.returncode == 0 else {}
            return found if (found.get("attempt_count"), found.get("running_count")) == (1, 1) else None

        found = wait_for("one task to end and one to run", one_ended_and_one_runs)
        assert found["runs"][0]["life"] == "alive"
        schema("report").validate(found)
        assert "alive" in report(tmp_path / "run") or "running" in report(tmp_path / "run")
        report(tmp_path / "run", "--format", "html", "-o", tmp_path / "page.html")
        assert "<h2" in (tmp_path / "page.html").read_text()
        farm.send_signal(signal.SIGKILL)
        farm.wait(timeout=60)
        killed = wait_for("the death to be seen", lambda: report(tmp_path / "run") if is_killed(tmp_path) else None)
        assert "killed" in killed
        # run.json did not name it yet: what the events tell counts.
        (session,) = findings(tmp_path / "run")["runs"][0]["sessions"]
        assert (len(session["hosts"]), session["core_count"]) == (1, 2)
    finally:
        (tmp_path / "end").touch()
        farm.stdin.close()
        farm.kill()
        farm.wait()


def is_killed(directory):
    return findings(directory / "run")["runs"][0]["life"] == "killed"


def test_a_run_without_samples_has_all_but_those(tmp_path):
    run_dir = run_farm(tmp_path, [{"launch_cmd": "true"}] * 3)
    (run_dir / "samples.parquet").unlink(missing_ok=True)
    assert findings(run_dir)["task_count"] == 3
    report(run_dir, "--task", "0")
    assert "3 tasks" in report(run_dir)


def test_a_run_of_no_finished_task(tmp_path):
    tasks = [{"launch_cmd": "sleep 600"}] * 3
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    farm = command("--tasklist", tmp_path / "tasks.jsonl", "--run-dir", tmp_path / "run", "--workers", "1")
    done = subprocess.Popen(farm, stderr=subprocess.PIPE, text=True)
    wait_for("the farm to run", lambda: list((tmp_path / "run").glob("task_*/task.json")))
    done.send_signal(signal.SIGTERM)
    assert "succeeded" in done.communicate(timeout=60)[1]
    found = findings(tmp_path / "run")
    outcomes = {outcome["outcome"]: outcome["task_count"] for outcome in found["outcomes"]}
    assert outcomes == {"cancelled": 1, "pending": 2}
    schema("report").validate(found)
    for kind in ["text", "markdown", "html"]:
        assert report(tmp_path / "run", "--format", kind, "-o", "-")


def test_a_record_of_a_newer_format_is_refused(tmp_path):
    run_dir = run_farm(tmp_path, [{"launch_cmd": "true"}])
    manifest = json.loads((run_dir / "run.json").read_text())
    manifest["format_version"] = 99
    (run_dir / "run.json").write_text(json.dumps(manifest))
    for arguments in [("report", run_dir), ("compare", run_dir, run_dir), ("export", run_dir, "--format", "csv")]:
        done = subprocess.run(program(*arguments), capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.search("it has format 99.*or a later one", done.stderr), done.stderr


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty", "other"])
@pytest.mark.parametrize("name", ["tasks.parquet", "attempts.parquet", "events.parquet", "run.json"])
def test_a_damaged_record_is_told_and_never_a_panic(tmp_path, name, damage):
    run_dir = run_farm(tmp_path, [{"launch_cmd": f"exit {number % 2}"} for number in range(20)], expected=1)
    path = run_dir / name
    intact = path.read_bytes()
    half = len(intact) // 2
    damaged = {
        "cut": intact[:half],
        "zeros": intact[:half] + bytes(len(intact) - half - 8) + intact[-8:],
        "empty": b"",
        "other": b"PAR1 this is no table, whatever its name says PAR1",
    }
    path.write_bytes(damaged[damage])
    for arguments in [("report", run_dir), ("export", run_dir, "--format", "csv"), ("compare", run_dir, run_dir)]:
        done = subprocess.run(program(*arguments), capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 2, 3), (arguments, done.returncode, done.stderr)
        assert "panicked" not in done.stderr
        if done.returncode != 0:
            assert done.stderr.startswith("error: "), done.stderr
    assert path.read_bytes() == damaged[damage], "a reader changes no file"


# Everything that moves a cursor, hides or reorders text.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@pytest.mark.parametrize("kind", ["text", "markdown", "ids", "summary"])
def test_hostile_text_is_inert_in_text(hostile, kind):
    for more in [(), ("--failures",), ("--group-by", "param_text"), ("--task", "prints")]:
        if "--task" in more and kind not in ("text", "markdown"):
            continue
        text = report(hostile, "--format", kind, *more)
        assert not UNSAFE.search(text), (kind, more, UNSAFE.search(text))
        if kind == "markdown":
            # CommonMark passes HTML on, so whatever the text meant as such would be in the page.
            page = markdown_it.MarkdownIt("commonmark").enable("table").render(text)
            assert not re.search("<(?!/?(h[1-6]|p|ul|ol|li|table|thead|tbody|tr|t[hd]|pre|code|strong|em|a|hr)\\b)", page)
            assert "javascript:" not in page
