"""Functions as tasks, from Python: how long a damped oscillator takes to come to rest.

    python settle.py [RUN_DIR]

Each call is a task of its own, with its time and memory in the record; what it returns is a column.
"""

import math
import sys
from typing import Dict, Iterator

import ictasks

STEP = 1e-3
MOST_STEPS = 200_000


def settle(task: ictasks.Task) -> Dict[str, float]:
    """Integrates x'' = -x - 2 d x' from x = 1 by the semi-implicit Euler method until it stays below 1 %."""
    damping = float(task.params["damping"])
    position, velocity, last_large = 1.0, 0.0, 0
    for step in range(MOST_STEPS):
        velocity -= (position + 2 * damping * velocity) * STEP
        position += velocity * STEP
        if abs(position) > 0.01:
            last_large = step
    if last_large == MOST_STEPS - 1 or not math.isfinite(position):
        raise ArithmeticError(f"damping {damping}: not at rest after {MOST_STEPS * STEP:g}")
    return {"settling_time": last_large * STEP}


def tasks() -> Iterator[ictasks.Task]:
    """One for each damping; the smallest takes longer than is looked at."""
    for damping in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0):
        yield ictasks.Task(id=f"d{damping}", launch_func=settle, params={"damping": damping})


def main() -> None:
    """Runs them and prints what came of them."""
    run = ictasks.run(tasks(), sys.argv[1] if len(sys.argv) > 1 else "settle")
    print(run.counts)
    table = run.tasks().sort_values("param_damping")
    print(table[["task_id", "outcome", "param_damping", "result_settling_time", "user_s"]].to_string(index=False))


if __name__ == "__main__":
    main()
