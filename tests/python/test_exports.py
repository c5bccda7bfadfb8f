"""What `ictasks export` writes, read by the programs that it is for."""

import csv
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
import xml.etree.ElementTree
from pathlib import Path

import junitparser
import pandas
import pytest
import viztracer

from conftest import FORMULAS, program

def export(run_dir, kind, directory):
    """The file that holds the export."""
    path = directory / kind
    subprocess.run(program("export", run_dir, "--format", kind, "-o", path), check=True, timeout=60)
    return path


def test_pandas_reads_from_csv_what_is_in_the_table(record, tmp_path):
    table = pandas.read_parquet(record / "tasks.parquet")
    frame = pandas.read_csv(export(record, "csv", tmp_path), dtype={"task_id": str, "stopped_s": float})
    assert list(frame.columns) == list(table.columns)
    for column in table.columns:
        expected, found = table[column], frame[column]
        if column in ("cores", "gpus"):
            expected = expected.map(lambda cores: None if cores is None else list(cores))
            found = found.map(json.loads, na_action="ignore")
        elif column.endswith("_at"):
            found = pandas.to_datetime(found, format="ISO8601")
        elif column.endswith("_tail"):
            # Nothing and no text are the same to pandas.
            expected, found = expected.fillna(""), found.astype(object).fillna("")
        for one, other in zip(expected, found, strict=True):
            both_null = not isinstance(one, list) and pandas.isna(one) and pandas.isna(other)
            assert both_null or one == other, (column, one, other)


def test_no_cell_of_csv_is_a_formula(hostile, tmp_path):
    path = export(hostile, "csv", tmp_path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert len(rows) == len(pandas.read_csv(path)) == 13
    number = re.compile(r"-?[0-9.]+")
    for row in rows:
        for column, cell in row.items():
            assert not re.match(r"\s*[=+\-@]", cell) or number.fullmatch(cell), (column, cell)
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", cell), (column, cell)
    texts = {row["task_index"]: row["param_text"] for row in rows}
    assert [texts[str(place + 1)] for place in range(len(FORMULAS))] == ["'" + formula for formula in FORMULAS]
    assert "=id" not in {row["task_id"] for row in rows}


def test_junitparser_reads_every_case(hostile, tmp_path):
    path = export(hostile, "junit", tmp_path)
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    cases = {case.name: case for case in suite}
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (13, 2, 1, 2)
    assert len(cases) == 13
    results = {name: [type(result).__name__ for result in case.result] for name, case in cases.items()}
    failed = {name: kinds for name, kinds in results.items() if kinds}
    assert failed == {
        "prints": ["Failure"],
        "segv": ["Failure"],
        "gone": ["Error"],
        "never-1": ["Skipped"],
        "never-2": ["Skipped"],
    }
    prints = cases["prints"]
    assert (prints.result[0].type, prints.result[0].message) == ("failed", "exit code 3")
    assert '<script>alert(1)</script> & "quotes" ]]> red  \\u{202e}evil \\u{8}\\u{1} ' in prints.system_err
    assert prints.system_out == "\ufffd\ufffd\\u{0}=1+1\n"
    assert cases["segv"].result[0].message == "killed by SIGSEGV (segmentation fault)"
    assert cases["gone"].result[0].type == "spawn_failed"


def test_junit_has_nothing_that_the_schema_of_jenkins_has_not(hostile, tmp_path):
    """As `junit-10.xsd` has it: which elements stand where, and which attributes they have."""
    sums = {"name", "time", "tests", "failures", "disabled", "errors"}
    allowed = {
        "testsuites": ({"testsuite"}, sums),
        "testsuite": (
            {"testcase", "properties", "system-out", "system-err"},
            sums | {"skipped", "timestamp", "hostname", "id", "package"},
        ),
        "properties": ({"property"}, set()),
        "property": (set(), {"name", "value"}),
        "testcase": (
            {"skipped", "error", "failure", "system-out", "system-err"},
            {"name", "assertions", "time", "classname", "status"},
        ),
        "skipped": (set(), {"type", "message"}),
        "failure": (set(), {"type", "message"}),
        "error": (set(), {"type", "message"}),
        "system-out": (set(), set()),
        "system-err": (set(), set()),
    }
    for element in xml.etree.ElementTree.parse(export(hostile, "junit", tmp_path)).iter():
        children, attributes = allowed[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert set(element.attrib) <= attributes, element.tag


@pytest.fixture
def parallel(tmp_path):
    """Runs GNU parallel on a log with the numbers of 13 jobs; returns those that it runs."""
    needed = "this test needs GNU parallel: as root, `apt-get install --no-install-recommends parallel`"
    assert shutil.which("parallel"), needed
    version = subprocess.run(["parallel", "--version"], capture_output=True, text=True)
    assert "GNU parallel" in version.stdout, needed

    def run(log, *options):
        copy = tmp_path / "copy"
        shutil.copy(log, copy)
        line = ["parallel", "--will-cite", "-k", "--joblog", copy, *options, "echo", ":::", *map(str, range(1, 14))]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return list(map(int, done.stdout.split()))

    return run


def test_gnu_parallel_goes_on_where_the_run_stopped(hostile, tmp_path, parallel):
    log = export(hostile, "joblog", tmp_path)
    assert parallel(log, "--resume") == [12, 13]
    assert parallel(log, "--resume-failed") == [1, 10, 11, 12, 13]


def test_the_log_has_the_columns_of_gnu_parallel(hostile, tmp_path, parallel):
    """The head is the one that the installed parallel writes, and the figures are those of the record."""
    log = export(hostile, "joblog", tmp_path)
    theirs = tmp_path / "theirs"
    subprocess.run(["parallel", "--will-cite", "--joblog", theirs, "echo", ":::", "1"], check=True, capture_output=True)
    assert log.read_text().splitlines()[0] == theirs.read_text().splitlines()[0]
    # One of the commands has a tab in it, which makes ten fields of nine.
    frame = pandas.read_csv(log, sep="\t", quoting=csv.QUOTE_NONE, names=range(10), usecols=range(8), skiprows=1)
    assert len(frame) == 11
    table = pandas.read_parquet(hostile / "tasks.parquet").set_index("task_index")
    for seq, _, start, runtime, send, receive, code, signal in frame.itertuples(index=False):
        row = table.loc[seq - 1]
        assert abs(float(runtime) - (0 if pandas.isna(row.wall_s) else row.wall_s)) < 0.001
        if not pandas.isna(row.started_at):
            assert abs(row.started_at.timestamp() - start) < 0.001
        assert (send, receive) == (0, 0)
        assert ((code, signal) == (0, 0)) == (row.outcome == "succeeded")


class Perfetto:
    """The user interface of ui.perfetto.dev, as VizTracer carries it, with a trace."""

    ROWS = """async query => {
        const result = await app.trace.engine.query(query);
        const names = result.columns();
        const rows = [];
        for (const row = result.iter({}); row.valid(); row.next()) {
            const cells = names.map(name => row.get(name));
            rows.push(cells.map(cell => typeof cell === 'bigint' ? Number(cell) : cell));
        }
        return rows;
    }"""

    def __init__(self, browser, trace, directory):
        shutil.copytree(Path(viztracer.__file__).parent / "web_dist", directory, dirs_exist_ok=True)
        shutil.copy(trace, directory / "trace.json")
        handler = functools.partial(Quiet, directory=directory)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        self.page.goto(f"{root}/index.html#!/?url={urllib.parse.quote(root + '/trace.json', safe='')}")
        self.page.wait_for_function("window.app && app.trace && app.trace.engine", timeout=60_000)

    def rows(self, query):
        return self.page.evaluate(f"query => ({self.ROWS})(query)", query)

    def close(self):
        self.page.context.close()
        self.server.shutdown()
        self.server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def perfetto(browser, tmp_path):
    opened = []

    def open_trace(run_dir):
        trace = export(run_dir, "perfetto", tmp_path)
        opened.append(Perfetto(browser, trace, tmp_path / f"ui-{len(opened)}"))
        return opened[-1]

    yield open_trace
    for one in opened:
        one.close()


SLICES = """
    select process.name, thread.name, slice.name, slice.category, slice.depth, slice.ts, slice.dur
    from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) join process using (upid)
"""
COUNTERS = """
    select process.name, track.name, counter.value
    from counter join process_counter_track track on counter.track_id = track.id join process using (upid) order by ts
"""


def test_perfetto_shows_each_attempt_on_its_worker(record, perfetto):
    trace = perfetto(record)
    # What it could not make sense of.
    assert trace.rows("select name, value from stats where severity in ('error', 'data_loss') and value > 0") == []
    attempts = pandas.read_parquet(record / "attempts.parquet").dropna(subset="started_at")
    slices = trace.rows(SLICES)
    assert all(depth == 0 for *_, depth, _, _ in slices)
    of_attempts = [row for row in slices if row[3] != "session"]
    found = {(host, worker, name): (ts, dur) for host, worker, name, _, _, ts, dur in of_attempts}
    assert len(found) == len(attempts) == 4
    for row in attempts.itertuples():
        name = row.task_id if row.outcome == "succeeded" else f"{row.task_id} ({row.outcome})"
        ts, dur = found[row.host, f"worker {row.worker_id}", name]
        assert abs(ts / 1e9 - row.started_at.timestamp()) < 1e-4
        assert abs(dur / 1e9 - row.wall_s) < 1e-4
    assert [name for _, _, name, category, *_ in slices if category == "session"] == ["session 0"]
    commands = trace.rows("select display_value from args where key = 'args.command'")
    assert sorted(command for (command,) in commands) == sorted(attempts.command)


def test_perfetto_has_counters_of_the_run_and_of_hosts(record, perfetto):
    counters = perfetto(record).rows(COUNTERS)
    workers = [value for _, name, value in counters if name == "busy workers"]
    assert max(workers) in (1, 2) and workers[-1] == 0
    samples = pandas.read_parquet(record / "samples.parquet").query("scope == 'host'")
    memory = [value for _, name, value in counters if name == "used memory_bytes"]
    assert memory == samples.rss_bytes.tolist() and len(memory) > 0


def test_perfetto_shows_hostile_text_and_no_more(hostile, perfetto):
    trace = perfetto(hostile)
    texts = [text for (text,) in trace.rows("select string_value from args where string_value is not null")]
    assert any("<script>alert(1)</script>" in text for text in texts)
    assert not [text for text in texts if re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)]
