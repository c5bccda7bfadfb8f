"""A record to read, of one run of the real program, and a browser."""

import json
import os
import shutil
import subprocess
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


def program(*arguments):
    """The program under test with these arguments."""
    path = os.path.join(PROGRAMS, "ictasks")
    assert shutil.which(path), f"`{path}` is missing: run tests/run-all"
    return [path, *map(str, arguments)]


def command(*arguments):
    """The command line of a task farm."""
    return program("taskfarm", *arguments)


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
