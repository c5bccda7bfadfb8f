#!/usr/bin/env python3
"""What a task costs the coordinator of many nodes: the real program, its recorder on, and simulated nodes.

    tests/bench/nodes.py --programs target/release --nodes 1000 --workers 128 -n 1000000

`simulated_nodes` takes the place of ssh and plays all nodes: the protocol is whole, tasks succeed at once.
CPU time is that of the coordinator's process alone, its record and its summary with it.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=128)
    parser.add_argument("-n", "--tasks", type=int, default=1_000_000)
    arguments = parser.parse_args()
    programs = arguments.programs.resolve()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        ssh = place / "bin" / "ssh"
        ssh.parent.mkdir()
        ssh.write_text(f"#!/bin/sh\nexec {programs}/simulated_nodes {arguments.nodes} {arguments.workers}\n")
        ssh.chmod(0o755)
        with open(place / "tasks.txt", "w") as tasks:
            tasks.writelines("true\n" for _ in range(arguments.tasks))
        (place / "farm.yaml").write_text("backend: ssh\nhosts: [simulated]\nsample_interval: 0\n")
        command = [programs / "ictasks", "taskfarm", "--config", "farm.yaml", "--tasklist", "tasks.txt"]
        command += ["--run-dir", "run", "--progress", "none", "-q"]
        environment = {**os.environ, "PATH": f"{ssh.parent}:{os.environ['PATH']}"}
        process = subprocess.Popen(command, cwd=place, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        run = json.loads((place / "run" / "run.json").read_text())
        assert run["totals"]["tasks"] == arguments.tasks, run["totals"]
        report(arguments, run, usage)


def report(arguments, run, usage):
    # wait4 adds what the coordinator itself has waited for: the nodes, and the report at the end.
    print(json.dumps({
        "nodes": arguments.nodes,
        "workers": arguments.nodes * arguments.workers,
        "tasks": arguments.tasks,
        "cpu_s_with_children": round(usage.ru_utime + usage.ru_stime, 2),
        "max_rss_mib": round(usage.ru_maxrss / 1024, 1),
        "session": {key: run["sessions"][0][key] for key in ("began_at", "ended_at")},
    }))


if __name__ == "__main__":
    main()
