#!/usr/bin/env python3
"""Time and memory of `ictasks report` beside plain aggregates by DuckDB, pandas and polars.

`generate` makes one record; every round runs each contender once on it, in turn. The peers read the
same attempts.parquet and do a part of what a report does: counts by outcome, quantiles of durations
by group, sums by group and by host. What they find is checked against what is known of the record,
and so is the report's.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

DUCKDB = """
import json, sys
import duckdb
table = f"read_parquet('{sys.argv[1]}')"
rows = lambda query: duckdb.sql(query.replace("attempts", table)).fetchall()
outcomes = dict(rows("select outcome, count(*) from attempts group by outcome"))
groups = rows('''select param_method, count(*), sum(core_count * wall_s),
    quantile_disc(wall_s, [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0]) from attempts group by param_method''')
hosts = rows("select host, count(*), sum(core_count * wall_s) from attempts group by host")
print(json.dumps({
    "outcomes": outcomes,
    "core_s": {name: core_s for name, _, core_s, _ in groups},
    "median_s": {name: quantiles[3] for name, _, _, quantiles in groups},
    "hosts": {name: count for name, count, _ in hosts},
}))
"""

PANDAS = """
import json, sys
import pandas
columns = ["outcome", "param_method", "host", "core_count", "wall_s"]
attempts = pandas.read_parquet(sys.argv[1], columns=columns, dtype_backend="numpy_nullable")
attempts["core_s"] = attempts.core_count * attempts.wall_s
groups = attempts.groupby("param_method", observed=True)
quantiles = groups.wall_s.quantile([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0])
print(json.dumps({
    "outcomes": attempts.outcome.value_counts().to_dict(),
    "core_s": groups.core_s.sum().to_dict(),
    "median_s": {name: quantiles[name, 0.5] for name in groups.groups},
    "hosts": attempts.groupby("host", observed=True).core_s.agg(["size", "sum"])["size"].to_dict(),
}, default=float))
"""

POLARS = """
import json, sys
import polars
attempts = polars.scan_parquet(sys.argv[1]).with_columns(core_s=polars.col("core_count") * polars.col("wall_s"))
fractions = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0]
quantiles = [polars.col("wall_s").quantile(f, "nearest").alias(str(f)) for f in fractions]
outcomes, groups, hosts = polars.collect_all([
    attempts.group_by(polars.col("outcome").cast(polars.String)).len(),
    attempts.group_by("param_method").agg(polars.len(), polars.col("core_s").sum(), *quantiles),
    attempts.group_by(polars.col("host").cast(polars.String)).agg(polars.len(), polars.col("core_s").sum()),
])
print(json.dumps({
    "outcomes": dict(zip(outcomes["outcome"], outcomes["len"])),
    "core_s": dict(zip(groups["param_method"], groups["core_s"])),
    "median_s": dict(zip(groups["param_method"], groups["0.5"])),
    "hosts": dict(zip(hosts["host"], hosts["len"])),
}))
"""


@dataclass
class Contender:
    """A program that is run on the record."""

    name: str
    command: list
    check: object = None
    seconds: list = field(default_factory=list)
    cpu_seconds: list = field(default_factory=list)
    peak_mib: float = 0.0
    note: str = ""
    failure: str = ""

    def run(self, scratch):
        """Runs once; notes time, peak memory and, the first time, whether it found the truth."""
        out, errors = scratch / "stdout", scratch / "stderr"
        with open(out, "wb") as stdout, open(errors, "wb") as stderr:
            start = time.perf_counter()
            process = subprocess.Popen(
                [str(word) for word in self.command], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = status
        if status != 0:
            self.failure = f"wait status {status}: {errors.read_text(errors='replace')[-300:]}"
            return
        if self.check and not self.seconds:
            self.note = self.check(out)
        self.seconds.append(seconds)
        self.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
        self.peak_mib = max(self.peak_mib, usage.ru_maxrss / 1024)


def close(found, expected, share):
    """Whether a figure is the expected one, up to this share of it."""
    return abs(found - expected) <= share * abs(expected)


def check_peer(truth):
    """A check of what a peer printed; pandas interpolates quantiles, so medians may differ a little."""

    def check(out):
        found = json.loads(out.read_text())
        outcomes = {name: sums["attempt_count"] for name, sums in truth["attempt_outcomes"].items()}
        assert found["outcomes"] == outcomes, found["outcomes"]
        assert found["hosts"] == {name: sums["attempt_count"] for name, sums in truth["hosts"].items()}
        for name, sums in truth["groups"].items():
            assert close(found["core_s"][name], sums["core_s"], 1e-9), name
            assert close(found["median_s"][name], dict(sums["wall_s"])[0.5], 1e-3), name
        return "true"

    return check


def check_report(truth):
    """A check of the report as JSON."""

    def check(out):
        found = json.loads(out.read_text())
        outcomes = {one["outcome"]: one["attempt_count"] for one in found["outcomes"]}
        assert outcomes == {name: sums["attempt_count"] for name, sums in truth["attempt_outcomes"].items()}
        assert close(found["cores"]["occupied_core_s"], truth["all"]["core_s"], 1e-9)
        assert close(found["time"]["makespan_s"], truth["makespan_s"], 1e-9)
        assert found["failures"]["group_count"] == len(truth["failures"]), found["failures"]["group_count"]
        quantiles = {one["fraction"]: one["value"] for one in found["durations"]["quantiles"]}
        assert quantiles == dict(truth["all"]["wall_s"]), quantiles
        return "true"

    return check


def contenders(arguments, run_dir, truth, scratch):
    """All contenders; peers only where their Python is given."""
    ictasks, page = Path(arguments.programs).resolve() / "ictasks", scratch / "report.html"
    size = lambda _: f"{page.stat().st_size / 1e6:.2f} MB"  # noqa: E731
    report = [ictasks, "report", run_dir]
    found = [
        Contender("ictasks report (text)", report),
        Contender("ictasks report (html)", [*report, "--format", "html", "-o", page], size),
        Contender("ictasks report (json)", [*report, "--format", "json"], check_report(truth)),
    ]
    if arguments.python:
        table = run_dir / "attempts.parquet"
        for name, script in [("DuckDB", DUCKDB), ("pandas", PANDAS), ("polars", POLARS)]:
            command = [arguments.python, "-c", script, table]
            found.append(Contender(f"{name}: plain aggregates", command, check_peer(truth)))
    return found


def record(arguments, scratch):
    """The record and what is known of it; made unless one is given."""
    if arguments.record:
        run_dir = Path(arguments.record).resolve()
        return run_dir, json.loads(run_dir.with_suffix(".json").read_text())
    run_dir, answers = scratch / "run", scratch / "run.json"
    start = time.perf_counter()
    subprocess.run([
        Path(arguments.programs).resolve() / "generate", "--tasks", str(arguments.n), "--hosts", str(arguments.hosts),
        "--failure-kinds", "7", "--seed", "1", "--run-dir", run_dir, "--answers", answers,
    ], check=True)  # fmt: skip
    print(f"made in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return run_dir, json.loads(answers.read_text())


def summary(one):
    """The figures of a contender as a dictionary."""
    if one.failure:
        return {"name": one.name, "failed": one.failure}
    return {
        "name": one.name,
        "median_s": statistics.median(one.seconds),
        "min_s": min(one.seconds),
        "max_s": max(one.seconds),
        "cpu_s": statistics.median(one.cpu_seconds),
        "peak_rss_mib": one.peak_mib,
        "note": one.note,
    }


def show(rows):
    """Prints the figures as a Markdown table."""
    print("| contender | seconds median (min-max) | CPU seconds | peak RSS MiB | |")
    print("|---|---|---|---|---|")
    for row in rows:
        if "failed" in row:
            print(f"| {row['name']} | failed: {row['failed']} | | | |")
            continue
        spread = f"{row['median_s']:.2f} ({row['min_s']:.2f}-{row['max_s']:.2f})"
        print(f"| {row['name']} | {spread} | {row['cpu_s']:.2f} | {row['peak_rss_mib']:.0f} | {row['note']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", required=True, help="the directory of ictasks and generate")
    parser.add_argument("--python", help="a Python with DuckDB, pandas and polars (tests/python/venv)")
    parser.add_argument("-n", type=int, default=1_000_000, help="number of tasks")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", help="a record that was made before: DIR, with its answers in DIR.json")
    parser.add_argument("--scratch", help="where to write")
    parser.add_argument("--json", help="a file for the figures")
    arguments = parser.parse_args()

    scratch = Path(tempfile.mkdtemp(prefix="report-", dir=arguments.scratch))
    run_dir, truth = record(arguments, scratch)
    found = contenders(arguments, run_dir, truth, scratch)
    for _ in range(arguments.rounds):
        for one in found:
            if not one.failure:
                one.run(scratch)
    rows = [summary(one) for one in found]
    size = (run_dir / "attempts.parquet").stat().st_size / 1e6
    attempts = truth["all"]["attempt_count"]
    print(f"{attempts} attempts at {truth['task_count']} tasks on {len(truth['hosts'])} hosts,"
          f" attempts.parquet {size:.0f} MB, {os.cpu_count()} processors, {arguments.rounds} rounds\n")  # fmt: skip
    show(rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))
    shutil.rmtree(scratch, ignore_errors=True)
    return 1 if any(one.failure for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
