#!/usr/bin/env python3
"""What a task costs the coordinator of many nodes: the real program, its recorder on, and simulated nodes.

    tests/bench/nodes.py --programs target/release --nodes 1000 --workers 128 -n 10000000

`simulated_nodes` takes the place of ssh and plays all nodes: the protocol is whole, tasks succeed at once.
CPU time and memory are those of the coordinator's process alone, its journal with it: until the last task has
ended, in tenths of the list, and for the tables at the end. How far the run is, the parts of its journal tell.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

PART_EVENTS = 8192  # of the journal, rows a part
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=128)
    parser.add_argument("-n", "--tasks", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if arguments.tasks < PART_EVENTS:
        parser.error(f"{arguments.tasks} tasks make no whole part of the journal: take {PART_EVENTS} or more")
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
        begun = time.monotonic()
        looks = list(follow(process.pid, place / "run" / "journal"))
        end_s = cpu_s(process.pid)  # of a process that has ended and is not waited for yet
        assert process.wait() == 0, process.returncode
        run = json.loads((place / "run" / "run.json").read_text())
        assert run["totals"]["tasks"] == arguments.tasks, run["totals"]
        print(json.dumps(figures(arguments, looks, begun, end_s), indent=1))


def follow(pid, journal):
    """Looks at the coordinator until it ends: tasks that have ended, CPU seconds, resident KiB, time."""
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        parts = [int(part) for part in re.findall(r"events-(\d+)", " ".join(names(journal)))]
        status = Path(f"/proc/{pid}/status").read_text()
        memory = re.search(r"VmRSS:\s+(\d+)", status)
        if memory:
            yield max(parts, default=0) * PART_EVENTS // 2, cpu_s(pid), int(memory[1]), time.monotonic()
        time.sleep(0.05)


def names(directory):
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def cpu_s(pid):
    """User and system time of the process, without what it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def figures(arguments, looks, begun, end_s):
    def cost_us(first, last):
        """CPU of a task between two shares of the list, microseconds."""
        reached = [next(look for look in looks if look[0] >= share * most) for share in (first, last)]
        (tasks, spent), (tasks_then, spent_then) = (look[:2] for look in reached)
        return round((spent_then - spent) / max(tasks_then - tasks, 1) * 1e6, 1)

    most = max(look[0] for look in looks)
    working_s, worked_until = next((look[1], look[3]) for look in looks if look[0] == most)
    while_working = [look[2] for look in looks if look[1] <= working_s]
    return {
        "nodes": arguments.nodes,
        "workers": arguments.nodes * arguments.workers,
        "tasks": arguments.tasks,
        "tasks_a_s": round(most / (worked_until - begun)),
        "cpu_us_a_task": round(working_s / most * 1e6, 1),
        "cpu_us_a_task_by_tenths": [cost_us(tenth / 10, (tenth + 1) / 10) for tenth in range(10)],
        "cpu_us_a_task_for_the_tables": round((end_s - working_s) / arguments.tasks * 1e6, 1),
        "max_rss_mib": round(max(while_working) / 1024, 1),
        "max_rss_mib_at_the_end": round(max(look[2] for look in looks) / 1024, 1),
    }


if __name__ == "__main__":
    main()
