"""`--events-fd`: what happens as JSON lines, for programs that drive the farm."""

import json
import os
import subprocess
import sys

import pandas
import pytest

from conftest import command, wait_for


class Farm:
    """A farm that takes tasks from a pipe and tells what happens by another."""

    def __init__(self, run_dir, *arguments):
        reading, writing = os.pipe()
        base = ["--tasklist", "-", "--tasklist-format", "jsonl", "--run-dir", run_dir, "--workers", "2"]
        self.process = subprocess.Popen(
            command(*base, "--events-fd", writing, *arguments),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[writing],
        )
        os.close(writing)
        self.events = os.fdopen(reading)

    def give(self, **task):
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()

    def next(self, kind):
        """The next event of this kind; those before it are passed over."""
        for line in self.events:
            event = json.loads(line)
            if event["event"] == kind:
                return event
        raise AssertionError(f"the stream ended without `{kind}`: {self.process.stderr.read()}")

    def end(self):
        """The exit code, when all tasks have run."""
        self.process.stdin.close()
        self.events.read()
        self.process.stderr.read()
        return self.process.wait(timeout=120)


@pytest.fixture
def farm(tmp_path):
    started = []

    def start(*arguments):
        started.append(Farm(tmp_path / "run", *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        for stream in (one.events, one.process.stdin, one.process.stderr):
            stream.close()


def test_tasks_and_events_go_back_and_forth(farm):
    running = farm()
    hello = running.next("hello")
    assert (hello["stream_version"], hello["worker_count"], hello["task_count"]) == (1, 2, None)
    running.give(id="first", launch_cmd="exit 3", params={"x": 0.5})
    first = running.next("task_finished")
    assert (first["task_id"], first["outcome"], first["exit_code"]) == ("first", "failed", 3)
    assert (first["params"], first["signal"], first["host_id"]) == ({"x": 0.5}, None, 0)
    # The second task is one that the end of the first has led to.
    running.give(id="second", launch_cmd="echo '{\"y\": 2}' > result.json")
    second = running.next("task_finished")
    assert (second["task_id"], second["outcome"], second["results"]) == ("second", "succeeded", {"y": 2})
    assert running.end() == 1


def test_the_stream_tells_what_the_table_tells(farm, tmp_path):
    running = farm()
    for number in range(50):
        running.give(launch_cmd=f"exit {number % 2}", params={"n": number})
    running.process.stdin.close()
    told = [json.loads(line) for line in running.events]
    assert running.process.wait(timeout=120) == 1
    assert told[0]["event"] == "hello" and told[-1]["event"] == "run_finished"
    told = told[1:]
    table = pandas.read_parquet(tmp_path / "run" / "events.parquet", dtype_backend="numpy_nullable")
    assert [event["seq"] for event in told] == list(table.seq)
    assert [event["event"] for event in told] == list(table.kind)
    finished = [event for event in told if event["event"] == "task_finished"]
    rows = table[table.kind == "task_finished"].to_dict("records")
    assert len(finished) == len(rows) == 50
    for event, row in zip(finished, rows):
        assert (event["task_id"], event["exit_code"], event["params"]) == (row["task_id"], row["exit_code"], {"n": row["param_n"]})
        assert event["wall_s"] == row["wall_s"] and event["user_s"] == row["user_s"]
        assert event["started_at"] == pytest.approx(row["started_at"].timestamp(), abs=1e-6)
        for name, value in event.items():
            if name in row and value is None and not isinstance(row[name], list):
                assert pandas.isna(row[name]), name


def test_tasks_do_not_hold_the_stream_open(farm):
    running = farm()
    running.give(launch_cmd="ls -l /proc/self/fd >&2; exit 3")
    printed = running.next("task_finished")["stderr_tail"]
    pipe = os.readlink(f"/proc/self/fd/{running.events.fileno()}")
    assert pipe.startswith("pipe:") and pipe not in printed
    assert running.end() == 1


def test_a_reader_that_goes_away_ends_nothing(farm, tmp_path):
    running = farm()
    running.next("hello")
    running.events.close()
    for _ in range(20):
        running.give(launch_cmd="true")
    running.process.stdin.close()
    assert running.process.wait(timeout=120) == 0
    assert len(pandas.read_parquet(tmp_path / "run" / "tasks.parquet")) == 20


@pytest.mark.parametrize("number", ["1", "77"])
def test_a_descriptor_that_cannot_be_written_is_refused(tmp_path, number):
    arguments = command("--tasklist", "-", "--run-dir", tmp_path / "run", "--events-fd", number)
    done = subprocess.run(arguments, input="true\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"--events-fd {number}" in done.stderr and "3>events.jsonl" in done.stderr.replace("77>", "3>")
    assert not (tmp_path / "run").exists()


def test_a_resume_without_the_program_that_gave_the_tasks_says_so(farm, tmp_path):
    begun = farm()
    begun.give(id="a", launch_cmd="false")
    assert begun.end() == 1
    resumed = subprocess.run(
        command("--run-dir", tmp_path / "run", "--resume"), capture_output=True, text=True, timeout=120
    )
    assert resumed.returncode == 2
    assert "`resume=True`" in resumed.stderr, resumed.stderr


def killed_driver(run_dir, tasks):
    """run.json at the end of a farm whose Python program was killed with the first of these tasks, an expression."""
    words = f"""
import ictasks
ictasks.run({tasks}, {str(run_dir)!r}, on_task_launched=lambda task: print("begun", flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) as process:
        begun = process.stdout.readline()
        process.kill()
    assert begun == "begun\n"
    return wait_for("the end of the farm", lambda: end_of(run_dir))


def end_of(run_dir):
    """run.json, if no farm works in the directory any more."""
    run = json.loads((run_dir / "run.json").read_text())
    return None if run["state"] == "running" else run


def test_a_farm_ends_with_the_program_that_drives_it(tmp_path):
    command_of = "ictasks.Task(id=str(number), launch_cmd='sleep 100')"
    run = killed_driver(tmp_path, f"[{command_of} for number in range(9)]")
    assert run["state"] == "interrupted", run
    assert "which drove the run" in run["sessions"][0]["how_it_ended"]
    outcomes = pandas.read_parquet(tmp_path / "tasks.parquet")["outcome"].value_counts().to_dict()
    assert sum(outcomes.values()) == 9 and set(outcomes) == {"cancelled", "pending"}, outcomes


def test_a_list_that_was_cut_off_is_not_complete(tmp_path):
    command_of = "ictasks.Task(id=str(number), launch_cmd='sleep 0.3')"
    run = killed_driver(tmp_path, f"({command_of} for number in range(1000))")
    assert not run["list_complete"], run
    assert "cut off" in run["sessions"][0]["how_it_ended"] or "drove" in run["sessions"][0]["how_it_ended"], run
