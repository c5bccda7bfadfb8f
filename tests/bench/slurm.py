#!/usr/bin/env python3
"""Task rate of a farm over the nodes of a Slurm cluster, and how soon its first task starts.

    tests/bench/slurm.py --programs target/release -n 3000

A cluster of three nodes on this machine (`tests/slurm/mini-slurm`; root rights) runs the same list over its nodes, on one
of them, and, a shorter one, as one `srun` a task; beside it the farm runs on the machine without Slurm. The nodes share the
processors of the machine: three of them are no faster than it, but they show what the way over the nodes costs.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

MINI_SLURM = Path(__file__).resolve().parents[1] / "slurm" / "mini-slurm"
SRUN_AT_ONCE = 12  # as many as the job has processors


class Cluster:
    """Three nodes; ends with the `with` block, at the latest with this process."""

    def __init__(self, state, shared):
        self.shared = shared
        hidden = ("SLURM_", "SBATCH_", "ICTASKS_", "MINI_SLURM_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self.environment["MINI_SLURM_DIR"] = str(state)

    def __enter__(self):
        self.mini_slurm("up", "3", MINI_SLURM_OWNER=str(os.getpid()))
        return self

    def __exit__(self, *_):
        self.mini_slurm("down")

    def mini_slurm(self, *words, **settings):
        environment = {**self.environment, **settings}
        subprocess.run([MINI_SLURM, *words], env=environment, check=True, stdout=subprocess.DEVNULL, cwd=self.shared)

    def job(self, options, script):
        """Runs a batch script to its end."""
        path = self.shared / "job.sh"
        path.write_text(f"#!/bin/bash\n{script}\n")
        self.mini_slurm("exec", "sbatch", "--wait", "--quiet", "--output=job.out", *options, str(path))


def farm(programs, run_dir, tasks, began):
    """A line of a script that notes its time and becomes the farm."""
    words = f"{programs}/ictasks taskfarm --tasklist {tasks} --run-dir {run_dir} --progress none -q"
    return f"date +%s.%N > {began}; exec {words}"


def measured(run_dir, began, count):
    """Tasks a second, from the start of the command to the end of the record, and seconds to the first task."""
    run = json.loads((run_dir / "run.json").read_text())
    assert run["totals"]["outcomes"]["succeeded"] == count, run["totals"]
    session = run["sessions"][0]
    began_s = float(began.read_text())
    # The first task is among the first that were handed out.
    first = (json.loads((run_dir / f"task_{number}" / "task.json").read_text()) for number in range(min(count, 100)))
    first_s = min(task["launch_time"] for task in first) - began_s
    return count / (unix(session["ended_at"]) - began_s), first_s, sorted(host["host"] for host in session["hosts"])


def unix(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("-n", "--tasks", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=120, help="tasks for one srun each")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    programs = arguments.programs.resolve()
    with tempfile.TemporaryDirectory(prefix="ictasks-bench-") as shared_name, tempfile.TemporaryDirectory(
        prefix="ims-", dir="/tmp"
    ) as state:
        shared = Path(shared_name)
        tasks, began = shared / "tasks.txt", shared / "began"
        tasks.write_text("true\n" * arguments.tasks)
        rates, firsts, hosts = {}, {}, {}
        with Cluster(Path(state), shared) as cluster:
            for number in range(arguments.rounds):
                for name, options in {
                    "on this machine": None,
                    "one node of Slurm": ["-N1", "--exclusive"],
                    "three nodes of Slurm": ["-N3", "-n12"],
                }.items():
                    run_dir = shared / f"{name.replace(' ', '-')}-{number}"
                    line = farm(programs, run_dir, tasks, began)
                    if options is None:
                        subprocess.run(["sh", "-c", line], check=True, env=cluster.environment)
                    else:
                        cluster.job(options, line)
                    rate, first_s, names = measured(run_dir, began, arguments.tasks)
                    rates.setdefault(name, []).append(rate)
                    firsts.setdefault(name, []).append(first_s)
                    hosts[name] = names
                steps = f"seq {arguments.steps} | xargs -P{SRUN_AT_ONCE} -I{{}} srun -N1 -n1 --overlap true"
                cluster.job(["-N3", "-n12"], f"date +%s.%N > {began}; {steps}; date +%s.%N >> {began}")
                start, end = (float(line) for line in began.read_text().split())
                rates.setdefault("one srun a task", []).append(arguments.steps / (end - start))
    for name, of_name in rates.items():
        line = f"{name:22} {statistics.median(of_name):8.1f} tasks/s ({min(of_name):.1f}-{max(of_name):.1f})"
        if name in firsts:
            line += f"; first task after {statistics.median(firsts[name]) * 1e3:.0f} ms, on {', '.join(hosts[name])}"
        print(line)


if __name__ == "__main__":
    main()
