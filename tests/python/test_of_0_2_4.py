"""The tests of the Python ictasks 0.2.4, fetched from its source distribution and run against this package.

They are changed in one respect: they take every entry of a work directory for a task's directory, which the files of the
record are not.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CLONE

TESTS = CLONE / "tests"
VERSION = "0.2.4"

# The data that the tests expect, and that their distribution lacks.
DATA = {
    "sample_config.yaml": """\
job_id: my_job
task_distribution:
    cores_per_node: 1
tasks:
    - id: 0
      launch_cmd: "echo 'hello from task 0'"
    - id: 1
      launch_cmd: "echo 'hello from task 1'"
""",
    "tasklist.dat": "echo 'hello from task 1'\necho 'hello from task 2'\n",
    "gpu_config.yaml": f"""\
task_distribution:
    cores_per_node: 2
    gpus_per_node: 2
    gpus_per_task: 1
tasks:
    - id: 0
      launch_cmd: "{sys.executable} <test_path>/mocks/gpu_script.py"
    - id: 1
      launch_cmd: "{sys.executable} <test_path>/mocks/gpu_script.py"
""",
}

# A stand-in for `nvidia-smi` that knows two devices and the columns that icsystemutils asks for.
NVIDIA_SMI = f"""\
#!{sys.executable}
import sys

UNITS = {{"memory.free": "MiB", "memory.total": "MiB", "memory.used": "MiB", "power.draw": "W", "utilization.gpu": "%"}}
VALUES = {{"name": "Stand-in", "pci.bus_id": "00000000:01:00.0", "pstate": "P0", "power.draw": "70.0"}}
asked, columns = sys.argv[1].split("=")
columns = columns.split(",")
print(", ".join(f"{{column}} [{{UNITS[column]}}]" if column in UNITS else column for column in columns))
for device in range(2 if asked == "--query-gpu" else 0):
    print(", ".join(VALUES.get(column, str(device)) for column in columns))
"""

# icsystemutils 0.2.5 cannot be imported before Python 3.12: it writes `DictReader[str]`.
SITECUSTOMIZE = """\
import csv

if not hasattr(csv.DictReader, "__class_getitem__"):
    csv.DictReader.__class_getitem__ = classmethod(lambda reader, _: reader)
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A directory with the tests of 0.2.4 and what they need, and the Python to run them with."""
    directory = tmp_path_factory.mktemp("suite")
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*fetch, "--dest", directory, f"ictasks=={VERSION}"], check=True, timeout=600)
    subprocess.run(["tar", "xzf", directory / f"ictasks-{VERSION}.tar.gz", "-C", directory], check=True, timeout=60)
    tests = directory / "test"
    (directory / f"ictasks-{VERSION}" / "test").rename(tests)
    session = tests / "test_session.py"
    changed = session.read_text().replace("work_dir.iterdir()", 'work_dir.glob("task_*")')
    assert changed.count("glob") == 2
    session.write_text(changed)
    (directory / "sitecustomize.py").write_text(SITECUSTOMIZE)
    (tests / "data").mkdir()
    for name, text in DATA.items():
        (tests / "data" / name).write_text(text)
    (tests / "mocks").mkdir()
    (tests / "mocks/gpu_script.py").write_text((TESTS / "mocks/gpu_script.py").read_text())
    made = subprocess.run(
        [TESTS / "python/venv", TESTS / f"python/requirements-{VERSION}.txt"], capture_output=True, text=True, check=True
    )
    return directory, Path(made.stdout.strip()) / "bin/python"


def run(suite, file, environment):
    directory, python = suite
    arguments = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", directory / "test" / file]
    # icsystemutils starts a program of its own, which lies beside Python.
    environment = {**os.environ, **environment}
    environment["PYTHONPATH"] = f"{directory}:{environment['PYTHONPATH']}"
    environment["PATH"] = f"{python.parent}:{environment['PATH']}"
    done = subprocess.run(arguments, cwd=directory, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sessions(suite):
    assert "4 passed" in run(suite, "test_session.py", {})


def test_gpus(suite, tmp_path):
    """With stand-ins for the driver, for CUDA and for `nvidia-smi`, without which the test does nothing."""
    for library, source in (("libnvidia-ml.so.1", "nvml.c"), ("libcuda.so.1", "cuda.c")):
        compiler = ["cc", "-shared", "-fPIC", "-O1", "-o", tmp_path / library, TESTS / "gpu" / source]
        subprocess.run(compiler, check=True, timeout=120)
    devices = (f"gpu GPU-{number}a2b-77 80000000000 0 0 70000 1000 Stand-in 80G\n" for number in range(2))
    (tmp_path / "driver").write_text("".join(devices))
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    # The test removes its directory: what its tasks print goes elsewhere.
    kept = tmp_path / "kept"
    script = Path(suite[0]) / "test/mocks/gpu_script.py"
    script.write_text(f"import sys\nsys.stdout = open('{kept}', 'a')\n" + script.read_text())
    environment = {
        "LD_LIBRARY_PATH": str(tmp_path),
        "STAND_IN_NVML": str(tmp_path / "driver"),
        "STAND_IN_CUDA": "2",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    assert "1 passed" in run(suite, "test_gpu.py", environment)
    lines = sorted(kept.read_text().splitlines())
    assert lines == [f"device {n}: 1048576 bytes written and read back" for n in (0, 1)] + ["gpu ids: 0", "gpu ids: 1"]
