"""The shipped example, a sweep of 210 tasks with scipy, runs from the clone by one command."""

import subprocess

import polars

from conftest import CLONE


def test_the_sweep_of_the_oscillator(tmp_path):
    script = CLONE / "tests/data/oscillator/run"
    done = subprocess.run([script, tmp_path / "run"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr  # some tasks run out of evaluations
    tasks = polars.read_parquet(tmp_path / "run/tasks.parquet")
    assert tasks.height == 210
    outcomes = dict(tasks["outcome"].value_counts().rows())
    assert set(outcomes) == {"succeeded", "failed"} and outcomes["failed"] > 30, outcomes

    failed = tasks.filter(polars.col("outcome") == "failed")
    assert failed["stderr_tail"].str.contains("used up its 40000 evaluations").all()
    assert set(failed["exit_code"]) == {1}
    assert failed["result_period"].null_count() == failed.height

    stiff = tasks.filter((polars.col("param_mu") == 1000) & (polars.col("param_rtol") == 1e-8))
    by_method = dict(stiff.select("param_method", "outcome").rows())
    assert by_method["LSODA"] == "succeeded" and by_method["RK45"] == "failed"
    period = stiff.filter(polars.col("param_method") == "LSODA")["result_period"][0]
    assert abs(period - 1614.401) < 0.01
    used = tasks["user_s"] + tasks["system_s"]
    assert used.min() > 0.05 and tasks["max_process_rss_bytes"].min() > 20 << 20
