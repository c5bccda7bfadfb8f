"""`ictasks._calls`: function calls as files, and what comes of them. (`tests/calls.rs` tests them as tasks.)"""

import functools
import json
import math
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import CLONE

PACKAGE = CLONE / "crates" / "ictasks" / "python"
sys.path.insert(0, str(PACKAGE))

from ictasks import _calls  # noqa: E402


@pytest.fixture
def task(tmp_path, monkeypatch):
    """The directory of a task, which is also the current one."""
    directory = tmp_path / "task_0"
    directory.mkdir()
    monkeypatch.setenv("ICTASKS_TASK_DIR", str(directory))
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def make(task, monkeypatch):
    """Writes a call, makes it here, and returns its exit code."""
    saved = list(sys.path)

    def made(function, *args, **kwargs):
        path = task.parent / "call"
        _calls.dump(path, function, args, kwargs)
        return _calls.run(path)

    yield made
    sys.path[:] = saved


def without_cloudpickle(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


class Awkward(Exception):
    """An exception that cannot be unpickled: it passes on another argument than it takes."""

    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")


def awkward():
    raise Awkward(3, "no mesh")


def hello(name, punctuation="!"):
    print("printed")
    return f"hello {name}{punctuation}"


def numbers(value):
    return value


def fails():
    return 1 / 0


def own_results():
    Path("result.json").write_text('{"own": 1}')
    return {"other": 2}


def moves():
    os.chdir("/")
    return 3


def test_a_call_is_made_and_returns(make, task, capfd):
    assert make(hello, "you", punctuation="?") == 0
    assert _calls.load_result(task) == "hello you?"
    assert _calls.load_exception(task) is None
    assert capfd.readouterr().out == "printed\n"
    assert not (task / "result.json").exists()
    assert not list(task.glob(".*"))


def test_nothing_is_kept_of_nothing(make, task):
    (task / "result.pickle").write_bytes(b"stale")
    assert make(print, "x") == 0
    assert os.listdir(task) == [] and _calls.load_result(task) is None


@pytest.mark.parametrize(
    "value, columns",
    [
        (3, {"value": 3}),
        (0.5, {"value": 0.5}),
        (True, {"value": True}),
        ({"a": 1, "b": "x", "c": None, "d": math.inf}, {"a": 1, "b": "x", "c": None, "d": None}),
        ("text", None),
        ({"a": [1]}, None),
        ({1: 2}, None),
        ({}, None),
        ([1, 2], None),
    ],
)
def test_scalars_become_columns(make, task, value, columns):
    assert make(numbers, value) == 0
    assert _calls.load_result(task) == value
    written = task / "result.json"
    assert (json.loads(written.read_text()) if written.exists() else None) == columns


def test_numbers_of_numpy_are_numbers(make, task):
    numpy = pytest.importorskip("numpy")
    assert make(numbers, {"i": numpy.int64(3), "f": numpy.float32(0.5), "b": numpy.bool_(True)}) == 0
    assert json.loads((task / "result.json").read_text()) == {"i": 3, "f": 0.5, "b": True}


def test_what_a_function_writes_itself_stays(make, task):
    assert make(own_results) == 0
    assert json.loads((task / "result.json").read_text()) == {"own": 1}
    assert _calls.load_result(task) == {"other": 2}


def test_files_go_to_the_task_wherever_the_function_went(make, task):
    assert make(moves) == 0
    assert _calls.load_result(task) == 3


def test_an_exception_is_printed_and_kept(make, task, capfd):
    assert make(fails) == 1
    printed = capfd.readouterr().err
    assert printed.startswith("Traceback") and printed.endswith("ZeroDivisionError: division by zero\n")
    assert "ictasks/_calls.py" not in printed
    error = _calls.load_exception(task)
    assert isinstance(error, ZeroDivisionError) and isinstance(error.__cause__, _calls.RemoteTraceback)
    assert "in fails" in str(error.__cause__)
    assert _calls.load_result(task) is None


def test_an_exception_that_cannot_travel_has_a_stand_in(make, task):
    assert make(awkward) == 1
    error = _calls.load_exception(task)
    assert isinstance(error, _calls.RemoteError) and "Awkward: 3: no mesh" in str(error)
    assert "in awkward" in str(error.__cause__)


@pytest.mark.parametrize("code, expected, said", [(None, 0, ""), (0, 0, ""), (3, 3, ""), (259, 3, ""), ("no", 1, "no\n")])
def test_sys_exit_means_what_it_means_in_a_script(make, task, capfd, code, expected, said):
    assert make(sys.exit, code) == expected
    assert capfd.readouterr().err == said
    assert (_calls.load_exception(task) is None) == (expected == 0)


def test_a_result_that_cannot_be_pickled_is_an_error(make, task, capfd, monkeypatch):
    without_cloudpickle(monkeypatch)
    assert make(open, os.devnull) == 1
    assert "what io.open returned (TextIOWrapper) cannot be pickled" in capfd.readouterr().err.replace("_io.", "io.")


def test_a_lambda_needs_cloudpickle(task, monkeypatch):
    without_cloudpickle(monkeypatch)
    with pytest.raises(_calls.PickleError, match=r"pip install ictasks\[functions\]"):
        _calls.dump(task / "call", lambda: 1)
    assert not (task / "call").exists()


def test_an_argument_that_cannot_be_pickled_is_named_with_its_function(task):
    with pytest.raises(_calls.PickleError, match="hello with its arguments"):
        _calls.dump(task / "call", hello, [threading.Lock()])


def test_a_file_that_is_no_call_is_refused(task, capfd):
    (task / "call").write_bytes(pickle.dumps({"format": 99}))
    assert _calls.run(task / "call") == 1
    assert "is no call, or one of another version" in capfd.readouterr().err


def test_a_call_as_text():
    assert _calls.text(math.hypot, [3], {"n": 10}) == "math.hypot(3, n=10)"
    assert _calls.text(functools.partial(math.hypot, 3), ["x" * 500]).startswith("partial(math.hypot)('xxx")
    assert len(_calls.text(math.hypot, ["x" * 500])) < 250
    assert "\n" not in _calls.text(math.hypot, ["a\nb"])


SCRIPT = """
import sys
sys.path.insert(0, {package!r})
from ictasks import _calls
{hide}
import json
FACTOR = 3

class Point:
    def __init__(self, x):
        self.x = x

def scaled(point):
    return Point(json.loads(str(point.x * FACTOR)))

{guard}_calls.dump(sys.argv[1], scaled, [Point(4)])
"""
HIDE = "sys.modules['cloudpickle'] = None"
MAKE = """
import sys
sys.path.insert(0, {package!r})
from ictasks import _calls
{hide}
prepared = _calls.Preparation()
prepared.prepare_ahead(_calls.read_header(sys.argv[1]))
code = _calls.run(sys.argv[1], prepared)
if code == 0:
    print(_calls.load_result('.').x)
sys.exit(code)
"""


def python(directory, source, *arguments):
    (directory / "script.py").write_text(source)
    words = [sys.executable, "-B", "script.py", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ICTASKS_")}
    return subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("hide", [HIDE, ""])
def test_functions_and_classes_of_a_script_are_found_again(tmp_path, hide):
    giving, making = tmp_path / "giving", tmp_path / "making"
    giving.mkdir()
    making.mkdir()
    if not hide:
        pytest.importorskip("cloudpickle")
    guard = "if __name__ == '__main__': "
    given = python(giving, SCRIPT.format(package=str(PACKAGE), hide=hide, guard=guard), str(tmp_path / "call"))
    assert given.returncode == 0, given.stderr
    made = python(making, MAKE.format(package=str(PACKAGE), hide=hide), str(tmp_path / "call"))
    assert (made.stdout, made.returncode) == ("12\n", 0), made.stderr


def test_a_script_without_a_guard_is_told_so(tmp_path):
    given = python(tmp_path, SCRIPT.format(package=str(PACKAGE), hide=HIDE, guard=""), str(tmp_path / "call"))
    assert given.returncode == 0, given.stderr
    (tmp_path / "making").mkdir()
    made = python(tmp_path / "making", MAKE.format(package=str(PACKAGE), hide=HIDE), str(tmp_path / "call"))
    assert made.returncode == 1
    assert "if __name__ == '__main__':" in made.stderr


def test_the_server_is_not_for_hands(tmp_path):
    words = [sys.executable, "-B", "-m", "ictasks._call_server"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    environment.pop("ICTASKS_CALL_SERVER_FD", None)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "call_server" in done.stderr
