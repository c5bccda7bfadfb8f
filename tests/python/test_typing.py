"""Types and syntax of the package `ictasks`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CLONE, PACKAGE

MYPY = [sys.executable, "-m", "mypy", "--config-file", CLONE / "crates/ictasks/pyproject.toml", "--strict"]


@pytest.mark.parametrize("path", [Path(PACKAGE) / "ictasks", CLONE / "tests/data/settle.py"])
def test_mypy_finds_nothing(path, tmp_path):
    done = subprocess.run([*MYPY, "--cache-dir", tmp_path, path], cwd=PACKAGE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found" in done.stdout


def test_the_syntax_is_that_of_python_3_9():
    files = sorted((Path(PACKAGE) / "ictasks").glob("*.py"))
    assert len(files) > 10
    for file in files:
        ast.parse(file.read_text(), filename=str(file), feature_version=(3, 9))
