"""The notebooks are what their sources say, and run on any record. (On those that they ship with, nbmake runs them.)"""

import json
import os
import subprocess
import sys
import warnings

import jupytext
import matplotlib
import pytest

from conftest import CLONE, PROGRAMS, command

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after its backend is chosen

NOTEBOOKS = CLONE / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
NAMES = [source.stem for source in SOURCES]


def code(source):
    """The cells of a source that are code."""
    return [cell for cell in jupytext.read(source, fmt="py:percent").cells if cell.cell_type == "code"]


def is_parameters(cell):
    return "parameters" in cell.metadata.get("tags", [])


def draw():
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


def run_notebook(source, monkeypatch, **parameters):
    """Runs a source with these parameters after its own, as papermill does; each figure is drawn."""
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.setattr(plt, "show", draw)
    names = {"__name__": source.stem}
    plt.close("all")
    with matplotlib.rc_context({"figure.dpi": 40}), warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in code(source):
            exec(compile(cell.source, source.name, "exec"), names)
            if is_parameters(cell):
                names.update({name: value for name, value in parameters.items() if name in names})
    assert not plt.get_fignums(), "a figure is not shown"
    return names


def farm(directory, tasks):
    """A run of these tasks."""
    (directory / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    arguments = ["--tasklist", directory / "tasks.jsonl", "--run-dir", directory / "run"]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return directory / "run"


def generate(directory, *options):
    """The record of a run that never was, as `tests/src/generated` makes it."""
    generator = os.path.join(PROGRAMS, "generate")
    subprocess.run([generator, "--run-dir", directory / "run", *options], check=True, capture_output=True, timeout=120)
    return directory / "run"


@pytest.fixture(scope="session")
def records(record, hostile, tmp_path_factory):
    """Records with little or much in them, by name."""

    def new(name):
        return tmp_path_factory.mktemp(name)

    sizes = ["--tasks", "6000", "--hosts", "5", "--workers", "15", "--failure-kinds", "60"]
    return {
        "of all outcomes": record,
        "hostile": hostile,
        "one task": farm(new("one"), [{"launch_cmd": "true"}]),
        "nothing ran": farm(new("none"), [{"launch_cmd": "./no-such-program"}]),
        "GPUs": generate(new("gpus"), "--sound", "busy_gpus"),
        "many hosts and sessions": generate(new("many"), *sizes, "--sessions", "3"),
        "killed": generate(new("killed"), "--tasks", "300", "--killed"),
    }


def test_notebooks_are_what_their_sources_say():
    done = subprocess.run([sys.executable, NOTEBOOKS / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(NAMES) == 7


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_notebook_has_a_cell_for_its_parameters(source):
    found = [cell.source for cell in code(source) if is_parameters(cell)]
    assert len(found) == 1 and found[0].startswith("run_dir = ")


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_notebook_runs_on_any_record(source, records, monkeypatch):
    for name, run_dir in records.items():
        print(f"on the record: {name}")
        run_notebook(source, monkeypatch, run_dir=str(run_dir), run_dir_after=str(records["of all outcomes"]))


def test_a_comparison_of_a_run_with_itself(records, monkeypatch):
    for run_dir in records.values():
        names = run_notebook(NOTEBOOKS / "06_compare.py", monkeypatch, run_dir=str(run_dir), run_dir_after=str(run_dir))
        assert len(names["pairs"]) == len(names["a"])


def test_what_ships_is_small_and_neutral():
    files = [file for file in (NOTEBOOKS / "data").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    assert {file.name for file in files if file.suffix == ".parquet"} == {
        "attempts.parquet",
        "events.parquet",
        "samples.parquet",
        "tasks.parquet",
    }
