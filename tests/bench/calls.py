"""Measures the Python package: function calls beside a pool of processes, commands beside the program itself.

    python tests/bench/calls.py --ictasks target/release/ictasks --rounds 5 -n 1000

Prints seconds of each round and the medians. All runs have two workers and a fresh directory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "crates" / "ictasks" / "python"
WORKERS = 2


def identity(task):
    """A function that costs nothing."""
    return 0


def timed(work):
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pool(count, _):
    """The calls by `concurrent.futures`."""
    with ProcessPoolExecutor(WORKERS) as executor:
        futures = [executor.submit(identity, number) for number in range(count)]
        assert [future.result() for future in futures] == [0] * count


def functions(count, directory):
    """The calls by the package."""
    import ictasks

    tasks = [ictasks.Task(id=str(number), launch_func=identity) for number in range(count)]
    config = {"task_distribution": {"cores_per_node": WORKERS, "threads_per_core": 1}}
    assert ictasks.run_funcs(tasks, directory, config, progress=False).ok


def commands(count, directory):
    """Commands by the package."""
    import ictasks

    tasks = [ictasks.Task(id=str(number), launch_cmd="true") for number in range(count)]
    config = {"task_distribution": {"cores_per_node": WORKERS, "threads_per_core": 1}}
    assert ictasks.run(tasks, directory, config, progress=False).ok


def program(count, directory):
    """The same commands by the program, from a pipe as the package gives them."""
    lines = "".join(json.dumps({"id": str(number), "launch_cmd": "true"}) + "\n" for number in range(count))
    arguments = ["-q", "taskfarm", "--tasklist", "-", "--tasklist-format", "jsonl", "--workers", str(WORKERS)]
    command = [os.environ["ICTASKS_PROGRAM"], *arguments, "--run-dir", directory]
    subprocess.run(command, input=lines.encode(), check=True)


def main():
    """Runs all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ictasks", required=True, help="the program")
    parser.add_argument("-n", type=int, default=1000, help="tasks a run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", default=None, help="where runs are made; by default that of temporary files")
    arguments = parser.parse_args()
    os.environ["ICTASKS_PROGRAM"] = os.path.abspath(arguments.ictasks)
    os.environ["PYTHONPATH"] = str(PACKAGE)
    sys.path.insert(0, str(PACKAGE))
    times = {work: [] for work in (pool, functions, commands, program)}
    for _ in range(arguments.rounds):
        for work, seconds in times.items():
            directory = tempfile.mkdtemp(prefix="bench-", dir=arguments.directory)
            seconds.append(timed(lambda: work(arguments.n, os.path.join(directory, "run"))))
    for work, seconds in times.items():
        rounds = " ".join(f"{second:.3f}" for second in seconds)
        print(f"{work.__name__:10} median {statistics.median(seconds):.3f} s  ({rounds})")
    median = {work: statistics.median(seconds) for work, seconds in times.items()}
    print(f"a call takes {1000 * (median[functions] - median[pool]) / arguments.n:.2f} ms more than in the pool")
    print(f"commands take {100 * (median[commands] / median[program] - 1):+.1f} % beside the program itself")


if __name__ == "__main__":
    main()
