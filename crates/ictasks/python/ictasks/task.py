"""A task, i.e. a small unit of work, and the files in which tasks stand."""

import json
import os
import queue
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, FrozenSet, Iterable, List, Mapping, Optional, Union
from uuid import uuid4

from . import _calls
from ._model import Model, plain
from .error import TaskError

PathLike = Union[str, "os.PathLike[str]"]

@dataclass
class Task(Model):
    """A task: a command, or a function.

    The fields up to `pid` are those of ictasks 0.2.4 and of ``task.json``. What a run finds out is written into the
    tasks that it was given.

    Parameters
    ----------
    id
        Letters, digits and ``. _ - = , + @ :``. Give one where a run is to be gone on with later (`resume`).
    launch_cmd
        The command, as a shell takes it. Of a function: the text that stands for it in the record.
    launch_func
        Called with the task in a process of its own, in place of a command.
    state
        ``created``, ``running`` or ``finished``.
    return_code
        Exit code, -N after signal N; None until it ended.
    launch_time, finish_time
        Seconds since the epoch; 0 before.
    worker_id, host_id
        Where it ran; -1 before.
    pid
        Its first process; 0 before.
    params
        Its parameters: numbers, texts, booleans or None by their names; columns ``param_*`` of the record.
    environment
        Environment variables of this task.
    retries
        Further attempts if it fails; by default those of the configuration.
    timeout
        Seconds that it may take, or for instance ``"1h30m"``; by default that of the configuration.
    expected_outputs
        Files that it must make in its current directory.
    outcome
        How it ended: ``succeeded``, ``failed``, ``signaled``, ``timed_out``, ``out_of_memory``, ``spawn_failed``,
        ``cancelled``, ``node_lost``; ``pending`` if it never started; None before the end.
    attempt
        Number of its last attempt, from 1; 0 before.
    """

    id: str = field(default_factory=lambda: uuid4().hex)
    launch_cmd: str = ""
    launch_func: Optional[Callable[["Task"], Any]] = field(default=None, repr=False)
    state: str = "created"
    return_code: Optional[int] = None
    launch_time: float = 0.0
    finish_time: float = 0.0
    worker_id: int = -1
    host_id: int = -1
    pid: int = 0
    params: Dict[str, Any] = field(default_factory=dict)
    environment: Dict[str, str] = field(default_factory=dict)
    retries: Optional[int] = None
    timeout: Union[float, str, None] = None
    expected_outputs: Optional[List[str]] = None
    outcome: Optional[str] = None
    attempt: int = 0

    NOT_DUMPED: ClassVar[FrozenSet[str]] = frozenset({"launch_func"})

    def __post_init__(self) -> None:
        self.id = str(self.id)
        # Where the task's files are, once it is known.
        self._directory: Optional[Path] = None

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.state == "finished"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.state == "running"

    @property
    def directory(self) -> Optional[Path]:
        """Its directory, once it has been handed to a farm or was read from there."""
        return self._directory

    def set_directory(self, directory: Path) -> None:
        """Says where its files are: for whoever hands it to a farm."""
        self._directory = directory

    @property
    def result(self) -> Any:
        """What the function of a task returned; None for a command.

        Raises
        ------
        Exception
            What the function raised.
        TaskError
            It has not ended, or ended otherwise.
        """
        raised = self.exception
        if raised is not None:
            raise raised
        if self._directory is None or self.return_code != 0:
            raise TaskError(f"task `{self.id}` has no result: {self.describe_end()}")
        return _calls.load_result(self._directory)

    @property
    def exception(self) -> Optional[BaseException]:
        """What the function of a task raised, if it did, with the traceback as its cause."""
        if self._directory is None or not self.finished or self.return_code == 0:
            return None
        return _calls.load_exception(self._directory)

    def describe_end(self) -> str:
        """How it ended, in words."""
        how = self.outcome or "it has not ended"
        code = self.return_code
        return f"{how} with {code}" if code not in (None, 0) else how


def get_task_dirname(task: Task) -> Path:
    """The name of the task's directory within the run directory."""
    return Path(f"task_{task.id}")


def write(path: PathLike, task: Task, filename: str = "task.json") -> None:
    """Writes the task into its directory in the run directory `path`.

    What a farm wrote there, which holds more, stays as it is: so ``partial(ictasks.task.write, work_dir)``, the usual
    callback with 0.2.4, does no harm.
    """
    file = Path(path) / get_task_dirname(task) / filename
    if _is_of_farm(file):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: plain(getattr(task, name)) for name in _FIRST_FIELDS}, indent=4) + "\n"
    # A reader sees one whole document.
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{filename}.", delete=False) as draft:
        draft.write(text)
    os.replace(draft.name, file)


# The fields of 0.2.4, which `write` writes.
_FIRST_FIELDS = [
    "id",
    "launch_cmd",
    "state",
    "return_code",
    "launch_time",
    "finish_time",
    "worker_id",
    "host_id",
    "pid",
]


def _is_of_farm(file: Path) -> bool:
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "run_id" in document


def read(path: PathLike, filename: str = "task.json") -> Task:
    """Reads the task of a task directory."""
    document = json.loads((Path(path) / filename).read_bytes())
    known = {one.name for one in fields(Task)}
    # Times are null in the file until they are known.
    values = {name: value for name, value in document.items() if name in known and value is not None}
    task = Task(**values)
    task.set_directory(Path(path).absolute())
    return task


def read_all(path: PathLike) -> List[Task]:
    """Reads the tasks of all task directories in a run directory, in the order of their names."""
    directories = sorted(Path(path).glob("task_*"))
    return [read(directory) for directory in directories if (directory / "task.json").is_file()]


def load_taskfile(content: str) -> List[Task]:
    """Tasks from a text with one command a line.

    Blank lines and lines that begin with ``#`` are left out; ``%TASKID%`` and ``%TASKNUM%`` are replaced by the
    task's id, ``%SUBMITDIR%`` by the current directory.
    """
    lines = (line.strip() for line in content.splitlines())
    commands = (line for line in lines if line and not line.startswith("#"))
    return [Task(id=str(number), launch_cmd=_replaced(command, number)) for number, command in enumerate(commands)]


def _replaced(command: str, number: int) -> str:
    for placeholder in ("%TASKID%", "%TASKNUM%"):
        command = command.replace(placeholder, str(number))
    return command.replace("%SUBMITDIR%", os.getcwd())


def read_taskfile(path: PathLike) -> List[Task]:
    """Tasks from a file with one command a line: see `load_taskfile`."""
    return load_taskfile(Path(path).read_text(encoding="utf-8"))


def queue_from_taskfile(path: PathLike) -> "queue.Queue[Task]":
    """The tasks of a file with one command a line, as a queue."""
    return _queue(read_taskfile(path))


def queue_from_list(config_task_list: Iterable[Mapping[str, Any]]) -> "queue.Queue[Task]":
    """Tasks as a configuration file lists them, as a queue: ids are the positions where none is given."""
    tasks = (Task(**{"id": str(number), **one}) for number, one in enumerate(config_task_list))
    return _queue(tasks)


def _queue(tasks: Iterable[Task]) -> "queue.Queue[Task]":
    filled: "queue.Queue[Task]" = queue.Queue()
    for task in tasks:
        filled.put(task)
    return filled


def get_gpu_ids(task_dir: PathLike) -> List[int]:
    """The ids of the GPUs that a task holds, from ``gpu_ids.txt`` in its directory.

    Raises
    ------
    FileNotFoundError
        The task holds no GPU.
    """
    return [int(line) for line in (Path(task_dir) / "gpu_ids.txt").read_text(encoding="utf-8").split()]
