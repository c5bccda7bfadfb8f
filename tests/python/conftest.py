"""A record to read, of one run of the real program, and a browser."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

PROGRAMS = os.environ.get("ICTASKS_TEST_PROGRAMS", "")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
# Root and many containers have no sandbox for it, and the pages are our own or of a package.
FLAGS += ["--no-sandbox"]
CLONE = Path(__file__).resolve().parents[2]

# The package is imported from its source, here and in processes that tests start, and drives the program under test.
PACKAGE = str(CLONE / "crates" / "ictasks" / "python")
sys.path.insert(0, PACKAGE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGE, os.environ.get("PYTHONPATH")]))
os.environ["ICTASKS_PROGRAM"] = os.path.join(PROGRAMS, "ictasks")

# What a task may print, or be called with.
HOSTILE = "<script>alert(1)</script> & \"quotes\" ]]> \x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eevil \x08\x01 "
FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", " =HYPERLINK(\"http://x\")", "=cmd|' /C calc'!A0"]


def program(*arguments):
    """The program under test with these arguments."""
    path = os.path.join(PROGRAMS, "ictasks")
    assert shutil.which(path), f"`{path}` is missing: run tests/run-all"
    return [path, *map(str, arguments)]


def command(*arguments):
    """The command line of a task farm."""
    return program("taskfarm", *arguments)


def wait_for(what, condition):
    """Waits until `condition()` is something true, and returns it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


@pytest.fixture(scope="session")
def record(tmp_path_factory):
    """The run directory of tasks that succeed, fail, cannot start, and run for some seconds."""
    directory = tmp_path_factory.mktemp("record")
    tasks = [
        {"launch_cmd": "echo '{\"drag\": 0.5, \"steps\": 3}' > result.json"},
        {"launch_cmd": "sh -c 'echo no mesh >&2; exit 3'"},
        {"launch_cmd": "sh -c 'kill -TERM $$'"},
        {"launch_cmd": "no-such-program"},
        {"launch_cmd": "sleep 1.5"},
    ]
    for number, task in enumerate(tasks):
        task["params"] = {"speed": number + 0.5, "mesh": f"m{number}", "size": number}
    tasklist = directory / "tasks.jsonl"
    tasklist.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    arguments = ["--tasklist", tasklist, "--run-dir", directory / "run", "--workers", "2"]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    return directory / "run"


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without any window."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "these tests need Chromium: as root, `apt-get install --no-install-recommends chromium`"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """The record of tasks whose text would harm a careless reader; the last two never ran."""
    directory = tmp_path_factory.mktemp("hostile")
    script = directory / "script.sh"
    script.write_bytes(b"printf '%s\\n' \"$1\" >&2; printf '\\377\\376\\000=1+1\\n'; exit 3\n")
    one_word = "'" + HOSTILE.replace("'", "'\\''") + "'"
    tasks = [{"id": "prints", "launch_cmd": f"sh {script} {one_word}", "params": {"text": HOSTILE}}]
    for number, formula in enumerate(FORMULAS):
        tasks.append({"launch_cmd": "true", "params": {"text": formula, "number": -number - 0.5}})
    tasks.append({"id": "=id", "launch_cmd": "true\t2>&1\n# of two lines"})
    tasks.append({"id": "segv", "launch_cmd": "sh -c 'kill -SEGV $$'"})
    tasks.append({"id": "gone", "launch_cmd": "./no-such-program"})
    tasks.append({"id": "never-1", "launch_cmd": "true"})
    tasks.append({"id": "never-2", "launch_cmd": "true"})
    tasklist = directory / "tasks.jsonl"
    tasklist.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    config = directory / "farm.yaml"
    config.write_text("max_failures: 3\n")
    arguments = ["--config", config, "--tasklist", tasklist, "--run-dir", directory / "run", "--workers", "1"]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    return directory / "run"
