"""Writes the task list of the sweep as JSON lines: 14 values of mu, 5 solvers, 3 tolerances.

usage: sweep.py [EVALUATIONS], the most that a task may use if not what is usual
"""

import itertools
import json
import sys

STIFFNESS = [0.1, 0.3, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000]
METHODS = ["RK45", "DOP853", "Radau", "BDF", "LSODA"]
TOLERANCES = [1e-4, 1e-6, 1e-8]
PROGRAM = "python3 %SUBMITDIR%/tests/data/oscillator/oscillator.py"
LIMIT = f" --evaluations {int(sys.argv[1])}" if len(sys.argv) > 1 else ""

for mu, method, rtol in itertools.product(STIFFNESS, METHODS, TOLERANCES):
    task = {
        "id": f"{method}-mu{mu}-rtol{rtol:.0e}",
        "launch_cmd": f"{PROGRAM} --mu {mu} --method {method} --rtol {rtol}{LIMIT}",
        "params": {"mu": float(mu), "method": method, "rtol": rtol},
    }
    print(json.dumps(task))
