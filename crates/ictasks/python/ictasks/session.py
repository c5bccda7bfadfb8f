"""Runs of tasks: `run`, `run_funcs` and `taskfarm`."""

import os
import shlex
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence

from ._farm import Farm
from ._following import Callback, Following, Tasks
from .config import Config, ConfigLike
from .error import InputError, TaskError
from .record import Run
from .task import PathLike, Task

# What calls functions, beside each worker: it begins with the first call.
_CALL_SERVER = shlex.join([sys.executable, "-m", "ictasks._call_server"])


def run(
    tasks: Tasks,
    work_dir: Optional[PathLike] = None,
    config: ConfigLike = None,
    nodes: Optional[Sequence[Any]] = None,
    on_task_launched: Optional[Callback] = None,
    on_task_completed: Optional[Callback] = None,
    *,
    resume: bool = False,
    progress: Optional[bool] = None,
) -> Run:
    """Runs tasks, each in a directory of its own, and records what happened to every one.

    Parameters
    ----------
    tasks
        A list, a generator, or a `queue.Queue`. A generator is pulled as workers come free: what it yields may depend
        on tasks that have ended. A queue is taken from until it is empty and no task runs: callbacks may put more.
    work_dir
        The run directory; by default the current one. An earlier record there is moved to ``earlier/<run_id>/``.
    config
        A `Config`, the keys of a configuration file as a dictionary, or the path of one.
    nodes
        Hosts to run on, by ssh, as names or with an attribute ``address``; by default this one, or those of the
        Slurm job.
    on_task_launched, on_task_completed
        Called with a task that was started, and that has ended, in the thread of the caller.
    resume
        Go on with the run in `work_dir`: tasks that succeeded are left out. Give tasks ids of your own for this.
    progress
        Whether a bar is shown; by default on a terminal and in a notebook.

    Returns
    -------
    Run
        The record. Tasks that failed raise nothing: see `Run.ok`, `Run.counts`, `Run.failures`.

    Raises
    ------
    InputError
        The configuration or a task is wrong.
    RecordError
        The record could not be kept, or the farm was in trouble.
    KeyboardInterrupt
        After Ctrl-C, when tasks have been ended and the record is complete; a second one kills at once.
    """
    run_dir = Path(os.getcwd() if work_dir is None else work_dir).absolute()
    following = Following(run_dir, tasks, on_task_launched, on_task_completed, progress)
    arguments = ["--run-dir", str(run_dir), "--tasklist", "-", "--tasklist-format", "jsonl"]
    arguments.append("--resume" if resume else "--set-aside")
    _perform(Farm(arguments, _settings(config, nodes, arguments), has_feed=True), following)
    return Run(run_dir)


def run_funcs(
    tasks: Iterable[Task],
    work_dir: Optional[PathLike] = None,
    config: ConfigLike = None,
    *,
    progress: Optional[bool] = None,
) -> Run:
    """Calls the functions of tasks (`Task.launch_func`), each with its task in a process of its own.

    Parameters
    ----------
    tasks
        Tasks with functions; what they return is `Task.result` then.
    work_dir
        The run directory; by default a fresh one in the directory for temporary files (`Run.dir`).
    config, progress
        As of `run`.

    Raises
    ------
    Exception
        When all have ended, what the first task that did not succeed has raised; `TaskError` if it ended otherwise.
    """
    given = list(tasks)
    directory = tempfile.mkdtemp(prefix="ictasks-") if work_dir is None else work_dir
    done = run(given, directory, config, progress=progress)
    for task in given:
        if task.outcome != "succeeded":
            if task.exception is not None:
                raise task.exception
            raise TaskError(f"task `{task.id}` did not succeed: {task.describe_end()}; see `{done.dir}`")
    return done


def taskfarm(
    work_dir: PathLike,
    config_path: Optional[PathLike] = None,
    tasklist: Optional[PathLike] = None,
    *,
    resume: bool = False,
    progress: Optional[bool] = None,
) -> Run:
    """Runs the tasks of files: what ``ictasks taskfarm`` does.

    Parameters
    ----------
    work_dir
        The run directory. An earlier record there is moved to ``earlier/<run_id>/``.
    config_path
        A configuration in YAML.
    tasklist
        A file with one command a line, or (``.jsonl``) one task a line; its tasks win over those of the configuration.
    resume, progress
        As of `run`.
    """
    run_dir = Path(work_dir).absolute()
    arguments = ["--run-dir", str(run_dir), "--resume" if resume else "--set-aside"]
    for option, path in (("--config", config_path), ("--tasklist", tasklist)):
        if path is not None:
            arguments += [option, os.fspath(path)]
    _perform(Farm(arguments, None, has_feed=False), Following(run_dir, (), progress=progress))
    return Run(run_dir)


def _perform(farm: Farm, following: Following) -> None:
    try:
        farm.work(following)
    finally:
        following.finish()


def _settings(
    config: ConfigLike, nodes: Optional[Sequence[Any]], arguments: List[str]
) -> Optional[Dict[str, Any]]:
    """The keys of a configuration; of a file its path goes to the arguments instead."""
    hosts = [str(getattr(node, "address", node)) for node in nodes or ()]
    is_here = {"localhost", "127.0.0.1", "::1", socket.gethostname()}.issuperset(hosts)
    if isinstance(config, (str, Path)):
        if not is_here:
            raise InputError(f"`nodes` and the file `{config}`: give `backend: ssh` and `hosts:` there instead")
        arguments += ["--config", os.fspath(config)]
        return None
    settings = Config.of(config).to_settings()
    if not is_here:
        settings.update(backend="ssh", hosts=hosts)
    settings.setdefault("call_server", _CALL_SERVER)
    return settings
