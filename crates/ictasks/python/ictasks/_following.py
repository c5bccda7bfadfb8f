"""What Python knows of a run at work: tasks that were handed over, what came back, and who is told."""

import json
import logging
import queue
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sized, Union

from . import _calls
from ._bar import Bar
from ._farm import Event, check_hello
from ._model import plain
from .error import InputError
from .task import Task, read

logger = logging.getLogger("ictasks")

Tasks = Union["queue.Queue[Task]", Iterable[Task]]
Callback = Callable[[Task], Any]

# Tasks of a list that are handed over before they are needed.
_AHEAD_OF_LISTS = 1000
# Tasks of a list that are written at once.
_TOGETHER = 64
# Of a generator as many as end within this time (seconds), and none where tasks take so long (seconds).
_AHEAD_S = 0.1
_LONG_TASK_S = 0.5
# What comes after the last task of a generator.
_END = object()
# Keys of a task that go to the program as they are.
_OPTIONS = ("params", "environment", "retries", "timeout", "expected_outputs")


class Following:
    """One run as Python sees it: the follower of a `ictasks._farm.Farm`.

    Parameters
    ----------
    run_dir
        The run directory, absolute.
    tasks
        What is to be run; empty if the program reads the tasks by itself.
    on_launched, on_completed
        Called with each task that was started, and that has ended.
    progress
        Whether a bar is shown; None: where somebody watches.
    """

    def __init__(
        self,
        run_dir: Path,
        tasks: Tasks,
        on_launched: Optional[Callback] = None,
        on_completed: Optional[Callback] = None,
        progress: Optional[bool] = None,
    ) -> None:
        self._run_dir = run_dir
        self._source = _Source(tasks)
        self._on_launched, self._on_completed = on_launched, on_completed
        self._bar = Bar(progress, self._source.count)
        # Handed over and not ended, by id.
        self._at_work: Dict[str, Task] = {}
        self._done_count = self._failed_count = 0
        self._worker_count = 1
        self._core_count = 0
        self._mean_wall_s: Optional[float] = None
        self._host_ids: Dict[str, int] = {}
        # Did not succeed, and may be tried again: the next event tells.
        self._undecided: Optional[Task] = None
        self._calls: Optional[Path] = None

    def next_lines(self) -> Optional[bytes]:
        """The next tasks as JSON lines, as far as workers can use them; None after the last."""
        room = self._worker_count + self._ahead() - len(self._at_work)
        # A generator may take its time: nobody waits for the second task of it to run the first.
        room = min(room, _TOGETHER if self._source.is_list else 1)
        lines: List[bytes] = []
        while len(lines) < room:
            task = self._source.next()
            if task is None:
                break
            lines.append(self._line(task))
        if lines:
            return b"".join(lines)
        return None if self._source.has_ended or not self._at_work else b""

    def _ahead(self) -> int:
        if self._source.is_list:
            return _AHEAD_OF_LISTS
        if self._mean_wall_s is None or self._mean_wall_s >= _LONG_TASK_S:
            return 0
        return min(int(self._worker_count * _AHEAD_S / max(self._mean_wall_s, 1e-4)), _AHEAD_OF_LISTS)

    def _line(self, task: Task) -> bytes:
        task.state, task.return_code, task.outcome, task.attempt = "created", None, None, 0
        task.launch_time, task.finish_time = 0.0, 0.0
        task.worker_id, task.host_id, task.pid = -1, -1, 0
        task.set_directory(self._run_dir / f"task_{task.id}")
        fields: Dict[str, Any] = {"id": task.id, "launch_cmd": task.launch_cmd}
        if task.launch_func is not None:
            fields.update(self._call(task, task.launch_func))
        for name in _OPTIONS:
            value = getattr(task, name)
            # 0 and an empty list are what the task wants instead of the configuration's.
            if value is not None and value != {}:
                fields[name] = plain(value)
        self._at_work[task.id] = task
        return json.dumps(fields).encode() + b"\n"

    def _call(self, task: Task, function: Callable[[Task], Any]) -> Dict[str, str]:
        """What makes a call of a task: its payload, and the text that stands for it in the record."""
        if self._calls is None:
            self._calls = Path(tempfile.mkdtemp(prefix=".calls-", dir=self._run_dir))
        payload = self._payload(task)
        _calls.dump(payload, function, (task.model_copy({"launch_func": None}),))
        return {"call": str(payload), "launch_cmd": task.launch_cmd or _calls.text(function, (), task.params)}

    def _payload(self, task: Task) -> Path:
        assert self._calls is not None
        return self._calls / f"{task.id}.pickle"

    def take(self, event: Event) -> None:
        """Takes note of an event."""
        kind = event["event"]
        if self._undecided is not None:
            undecided, self._undecided = self._undecided, None
            if kind != "task_retried":
                self._complete(undecided)
        take = _TAKES.get(kind)
        if take is not None:
            take(self, event)
        self._bar.show(self._done_count, self._failed_count)

    def _on_hello(self, event: Event) -> None:
        check_hello(event)
        self._worker_count = int(event["worker_count"])
        if event.get("task_count") is not None:
            self._bar.total = int(event["task_count"])
        if event.get("set_aside") is not None:
            logger.warning("the earlier record in %s is now in %s", self._run_dir, event["set_aside"])

    def _on_node_joined(self, event: Event) -> None:
        self._host_ids[event["host"]] = event["host_id"]
        self._core_count += int(event["core_count"])
        if len(self._host_ids) > 1:
            # Hello tells of this machine alone; a worker to a core is a guess that only decides how far ahead we are.
            self._worker_count = self._core_count

    def _on_started(self, event: Event) -> None:
        task = self._at_work.get(event["task_id"])
        if task is not None:
            self._launch(task, event, event["at"])

    def _launch(self, task: Task, event: Event, at: float) -> None:
        task.state, task.attempt, task.pid, task.launch_time = "running", event["attempt"], event["pid"], at
        task.return_code, task.outcome, task.finish_time = None, None, 0.0
        task.worker_id, task.host_id = event["worker_id"], self._host_ids.get(event["host"], -1)
        if self._on_launched is not None:
            self._on_launched(task)

    def _on_finished(self, event: Event) -> None:
        wall_s = event["wall_s"]
        if wall_s is not None:
            mean = self._mean_wall_s
            self._mean_wall_s = wall_s if mean is None else mean + (wall_s - mean) / 16
        outcome = event["outcome"]
        task = self._at_work.get(event["task_id"])
        if task is None:
            # Of a list that the program reads by itself.
            self._count(outcome)
            return
        # Of a task that takes milliseconds this is the first news.
        if event["started_at"] is not None and task.attempt != event["attempt"]:
            self._launch(task, event, event["started_at"])
        signal = event["signal"]
        task.return_code = event["exit_code"] if signal is None else -signal
        task.state, task.outcome, task.attempt = "finished", outcome, event["attempt"]
        task.finish_time = event["finished_at"] or event["at"]
        if outcome == "succeeded":
            self._complete(task)
        else:
            self._undecided = task

    def _complete(self, task: Task) -> None:
        self._end(task)
        if self._on_completed is not None:
            self._on_completed(task)

    def _on_pending(self, event: Event) -> None:
        task = self._at_work.get(event["task_id"])
        if task is not None:
            task.outcome = event["outcome"]
            self._end(task)

    def _on_skipped(self, event: Event) -> None:
        """A task that is left out is as the session before left it."""
        task = self._at_work.get(event["task_id"])
        if task is None:
            return
        try:
            earlier = read(self._run_dir / f"task_{task.id}")
        except (OSError, ValueError):
            # The run keeps no files of tasks that succeed.
            task.state, task.outcome = "finished", "succeeded"
        else:
            for name in ("state", "return_code", "launch_time", "finish_time", "worker_id", "host_id", "pid"):
                setattr(task, name, getattr(earlier, name))
            task.outcome, task.attempt = earlier.outcome, earlier.attempt
        self._end(task)

    def _end(self, task: Task) -> None:
        del self._at_work[task.id]
        self._source.task_done()
        self._count(task.outcome)
        if task.launch_func is not None:
            self._payload(task).unlink(missing_ok=True)

    def _count(self, outcome: Optional[str]) -> None:
        self._done_count += 1
        if outcome != "succeeded":
            self._failed_count += 1

    def hush(self) -> None:
        """From now on no callback is called."""
        self._on_launched = self._on_completed = None

    def finish(self) -> None:
        """Clears away what only the run needed."""
        self._bar.finish(self._done_count, self._failed_count)
        if self._calls is not None:
            shutil.rmtree(self._calls, ignore_errors=True)


_TAKES: Dict[str, Callable[[Following, Event], None]] = {
    "hello": Following._on_hello,
    "node_joined": Following._on_node_joined,
    "task_started": Following._on_started,
    "task_finished": Following._on_finished,
    "task_pending": Following._on_pending,
    "task_skipped": Following._on_skipped,
    "warning": lambda _, event: logger.warning("%s", event["message"]),
}


def _check(task: Any) -> Task:
    """The task, if it is one."""
    if not isinstance(task, Task):
        raise InputError(f"a task is a `Task`, for instance Task(launch_cmd='echo hello'), not {task!r}")
    return task


class _Source:
    """Tasks from a list, a generator or a queue."""

    def __init__(self, tasks: Tasks) -> None:
        is_queue = callable(getattr(tasks, "get_nowait", None))
        if not is_queue and (isinstance(tasks, str) or not isinstance(tasks, Iterable)):
            raise InputError(f"tasks are a list, a generator or a queue of `Task`, not {tasks!r}")
        self._queue: Any = tasks if is_queue else None
        self._iterator: Iterator[Task] = iter(()) if is_queue else iter(tasks)  # type: ignore[arg-type]
        # Whether they are all there, so that it makes no difference when they are taken.
        self.is_list = isinstance(tasks, (list, tuple))
        if self.is_list:
            for task in tasks:  # type: ignore[union-attr]
                _check(task)
        self.count: Optional[int] = len(tasks) if isinstance(tasks, Sized) else None
        self.has_ended = False

    def next(self) -> Optional[Task]:
        """The next task, if there is one now."""
        if self._queue is not None:
            try:
                task: Any = self._queue.get_nowait()
            except queue.Empty:
                return None
        else:
            task = next(self._iterator, _END)
            if task is _END:
                self.has_ended = True
                return None
        return _check(task)

    def task_done(self) -> None:
        """Tells whoever waits for the queue (`queue.Queue.join`)."""
        if hasattr(self._queue, "task_done"):
            self._queue.task_done()
