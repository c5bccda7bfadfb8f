"""Runs many small tasks, and records what happened to every one of them, exactly.

>>> import ictasks
>>> tasks = [ictasks.Task(id=str(n), launch_cmd=f"./simulate {n}") for n in range(100)]
>>> run = ictasks.run(tasks, work_dir="runs/first")
>>> run.tasks()[["task_id", "outcome", "wall_s", "max_process_rss_bytes"]]
>>> run.report()

The package drives the program ``ictasks``, which is installed with it: one engine, whichever way it is used.

- `run` takes tasks from a list, a generator or a queue; `run_funcs` is for functions, `taskfarm` for files;
- `load` opens the record of any run, also of one that was started in a shell, is still alive, or was killed;
- `ictasks.task`, `ictasks.config`, `ictasks.worker` and `ictasks.stopping_condition` hold the types.
"""

from .config import Config
from .error import Error, InputError, RecordError, TaskError
from .record import Report, Run, load
from .session import run, run_funcs, taskfarm
from .task import Task, get_gpu_ids

__all__ = [
    "Config",
    "Error",
    "InputError",
    "RecordError",
    "Report",
    "Run",
    "Task",
    "TaskError",
    "get_gpu_ids",
    "load",
    "run",
    "run_funcs",
    "taskfarm",
]
