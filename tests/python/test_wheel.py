"""`pip install ./crates/ictasks` into a clean environment: both programs and the package, and nothing else."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import CLONE, PROGRAMS


def clean_environment():
    """Without what lets other tests import the package from its source."""
    left_out = ("PYTHONPATH", "ICTASKS_PROGRAM")
    return {name: value for name, value in os.environ.items() if name not in left_out}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A virtual environment that has pip and, then, `ictasks`."""
    directory = tmp_path_factory.mktemp("wheel") / "venv"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True, timeout=300)
    install = [directory / "bin/pip", "install", "--quiet", CLONE / "crates/ictasks"]
    done = subprocess.run(install, env=clean_environment(), capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def run(*arguments, cwd):
    return subprocess.run(arguments, env=clean_environment(), cwd=cwd, capture_output=True, text=True, timeout=300)


def test_the_programs_run_an_example(prefix, tmp_path):
    done = run(prefix / "bin/ictasks", "taskfarm", "--config", CLONE / "tests/data/hello.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "task_1/task_stdout.txt").read_text() == "hello from task 1\n"
    assert (tmp_path / "tasks.parquet").exists()


def test_the_package_finds_them_and_needs_nothing_else(prefix, tmp_path):
    code = (
        "import ictasks\n"
        "tasks = [ictasks.Task(id='a', launch_cmd='true'), ictasks.Task(id='b', launch_func=str)]\n"
        "print(ictasks.run(tasks, 'run').counts, ictasks.load('run').report().text.splitlines()[0])\n"
    )
    done = run(prefix / "bin/python", "-c", code, cwd=tmp_path)
    assert done.stdout.startswith("{'succeeded': 2} Both tasks succeeded"), done.stdout + done.stderr
    listed = run(prefix / "bin/pip", "list", "--format", "freeze", cwd=tmp_path).stdout.split()
    assert {line.split("==")[0] for line in listed} <= {"ictasks", "pip", "setuptools"}


def test_a_wheel_says_which_glibc_it_needs():
    """The programs are built for the machine's own: auditwheel finds no other library that is not part of every Linux."""
    wheels = (Path(PROGRAMS).parent / "wheels").glob("ictasks-*.whl")
    wheel = max(wheels, key=lambda path: path.stat().st_mtime)
    names = zipfile.ZipFile(wheel).namelist()
    assert {Path(name).name for name in names if ".data/scripts/" in name} == {"ictasks", "ictasks-agent"}
    assert "ictasks/py.typed" in names and not any(name.endswith(".pyc") for name in names)
    done = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True, timeout=300)
    told = " ".join(done.stdout.split())
    assert done.returncode == 0 and 'platform tag: "manylinux_2_' in told, done.stdout + done.stderr
