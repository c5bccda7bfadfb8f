"""The journal of a run that goes on is an Arrow IPC stream that pyarrow opens."""

import subprocess

import pyarrow
import pyarrow.ipc

from conftest import command, wait_for


def events(directory):
    """The events in the journal at this moment, as rows; the last batch may be unfinished."""
    rows = []
    for stream in sorted((directory / "journal").glob("*.arrows")):
        try:
            with pyarrow.ipc.open_stream(stream) as reader:
                for batch in reader:
                    rows += batch.to_pylist()
        except (pyarrow.ArrowInvalid, OSError):
            pass
    return [row for row in rows if "kind" in row]


def test_the_journal_is_readable_while_the_run_goes_on(tmp_path):
    run = tmp_path / "run"
    arguments = ["--tasklist", "-", "--run-dir", run, "--workers", "2"]
    farm = subprocess.Popen(command(*arguments), stdin=subprocess.PIPE, text=True)
    try:
        def of(kind):
            return [row for row in events(run) if row["kind"] == kind]

        farm.stdin.write("while [ ! -e ../end ]; do sleep 0.01; done\nexit 3\n")
        farm.stdin.flush()
        (finished,) = wait_for("the second task's end", lambda: of("task_finished"))
        assert (finished["task_id"], finished["outcome"], finished["exit_code"]) == ("1", "failed", 3)
        assert finished["wall_s"] > 0 and finished["finished_at"].tzinfo is not None
        assert "0" in wait_for("the first task", lambda: [r["task_id"] for r in of("task_started")])
        assert [row["seq"] for row in events(run)] == sorted(row["seq"] for row in events(run))
        (run / "end").touch()
        wait_for("the first task's end", lambda: len(of("task_finished")) == 2)
        farm.stdin.close()
        assert farm.wait(timeout=120) == 1
        assert not (run / "journal").exists()
    finally:
        farm.kill()
        farm.wait()
