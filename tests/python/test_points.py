"""Files of points as pandas and polars write them are swept."""

import subprocess

import pandas
import polars
import pytest

from conftest import command

POINTS = {"x": [0.5, 1.5, None], "n": [1, 2, 3], "name": ["a", "b c", "d"]}


def write_by_pandas(path):
    frame = pandas.DataFrame(POINTS).convert_dtypes()
    frame.to_parquet(path)  # its compression is snappy if nothing else is asked for


def write_by_polars(path):
    polars.DataFrame(POINTS).write_parquet(path)


@pytest.mark.parametrize("write", [write_by_pandas, write_by_polars])
def test_a_parquet_file_is_swept(tmp_path, write):
    write(tmp_path / "points.parquet")
    (tmp_path / "farm.yaml").write_text("launch_cmd: echo {name} {n}\nsweep: {file: points.parquet}\n")
    arguments = ["--config", "farm.yaml", "--run-dir", "run", "--workers", "1"]
    done = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    columns = ["param_x", "param_n", "param_name"]
    tasks = polars.read_parquet(tmp_path / "run/tasks.parquet").sort("task_index")
    assert tasks.select(columns).rows() == list(zip(*POINTS.values()))
    said = [(tmp_path / f"run/task_{task}/task_stdout.txt").read_text() for task in tasks["task_id"]]
    assert said == ["a 1\n", "b c 2\n", "d 3\n"]
