"""The record of a run: its tables, its report, its failures."""

import html
import json
import os
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Literal, Optional, Tuple, Union, overload

from ._program import output_of
from .error import InputError
from .task import PathLike, Task, read

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Engine = Literal["pandas", "polars", "arrow"]
Table = Union["pandas.DataFrame", "polars.DataFrame", "pyarrow.Table"]

# Height of a report in a notebook, pixels: the page scrolls within it.
_HEIGHT = 720


def load(run_dir: PathLike) -> "Run":
    """The run in a run directory: one that ended, is at work, or was killed.

    Raises
    ------
    InputError
        There is no record of a run.
    """
    return Run(run_dir)


class Run:
    """A run, from its files alone.

    Attributes
    ----------
    dir
        The run directory, absolute.
    """

    dir: Path

    def __init__(self, run_dir: PathLike) -> None:
        self.dir = Path(run_dir).absolute()
        names = ("run.json", "tasks.parquet", "journal")
        if not any((self.dir / name).exists() for name in names):
            raise InputError(f"`{self.dir}` is no run directory: it holds no record of a run")

    @property
    def info(self) -> Dict[str, Any]:
        """``run.json``: who, where, when and how; the totals, and the plan of each session."""
        try:
            document = json.loads((self.dir / "run.json").read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"`{self.dir / 'run.json'}` cannot be read: {error}") from error
        return dict(document)

    @property
    def run_id(self) -> str:
        """The id of the run, the same over all its sessions."""
        return str(self.info["run_id"])

    @property
    def state(self) -> str:
        """``running`` (or killed), ``finished``, ``interrupted`` or ``failed``."""
        return str(self.info["state"])

    @property
    def counts(self) -> Dict[str, int]:
        """Number of tasks by their outcome; of a run that has not ended, of the attempts that have."""
        totals = self.info["totals"]
        counts = totals["outcomes"]
        return dict(totals["attempt_outcomes"] if counts is None else counts)

    @property
    def ok(self) -> bool:
        """Whether the run has ended and every task succeeded."""
        return self.state == "finished" and set(self.counts) <= {"succeeded"}

    @overload
    def tasks(self, engine: Literal["pandas"] = ...) -> "pandas.DataFrame": ...
    @overload
    def tasks(self, engine: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def tasks(self, engine: Literal["arrow"]) -> "pyarrow.Table": ...
    def tasks(self, engine: Engine = "pandas") -> Table:
        """One row a task: its last attempt, its parameters (``param_*``) and its results (``result_*``)."""
        return self._table("tasks", engine)

    @overload
    def attempts(self, engine: Literal["pandas"] = ...) -> "pandas.DataFrame": ...
    @overload
    def attempts(self, engine: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def attempts(self, engine: Literal["arrow"]) -> "pyarrow.Table": ...
    def attempts(self, engine: Engine = "pandas") -> Table:
        """One row an attempt."""
        return self._table("attempts", engine)

    @overload
    def events(self, engine: Literal["pandas"] = ...) -> "pandas.DataFrame": ...
    @overload
    def events(self, engine: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def events(self, engine: Literal["arrow"]) -> "pyarrow.Table": ...
    def events(self, engine: Engine = "pandas") -> Table:
        """One row an event, in order."""
        return self._table("events", engine)

    @overload
    def samples(self, engine: Literal["pandas"] = ...) -> "pandas.DataFrame": ...
    @overload
    def samples(self, engine: Literal["polars"]) -> "polars.DataFrame": ...
    @overload
    def samples(self, engine: Literal["arrow"]) -> "pyarrow.Table": ...
    def samples(self, engine: Engine = "pandas") -> Table:
        """Resource use over time, of hosts, tasks and GPUs."""
        return self._table("samples", engine)

    def task(self, task_id: str) -> Task:
        """A task by its id, from its directory; `Task.result` is what its function returned.

        Raises
        ------
        FileNotFoundError
            There is no such task, it has not begun, or the run kept no files of it (``task_files``).
        """
        return read(self.dir / f"task_{task_id}")

    def output(self, task_id: str, stderr: bool = False) -> str:
        """What a task printed; where its files are gone, the end that the record keeps."""
        options = ["--stderr"] if stderr else []
        return output_of(["output", str(self.dir), *options, "--", str(task_id)])

    def report(self, filter: Optional[str] = None, group_by: Optional[str] = None) -> "Report":
        """What happened, what failed and why, what it cost, and what to change.

        Parameters
        ----------
        filter
            Only tasks for which this holds, in SQL over the columns of `tasks`: ``"exit_code = 3 or wall_s > 60"``.
        group_by
            A column to group by, for instance ``"param_solver"``.
        """
        return Report(self.dir, filter, group_by)

    def failures(self) -> "pandas.DataFrame":
        """The groups of failures, the most expensive first: a row each, with its count, core seconds and meaning."""
        import pandas

        groups = self.report().findings["failures"]["groups"]
        return pandas.json_normalize(groups, max_level=0)

    def _table(self, name: str, engine: Engine) -> Table:
        if engine not in ("pandas", "polars", "arrow"):
            raise ValueError(f"engine {engine!r} is not known: give 'pandas', 'polars' or 'arrow'")
        if not self._needs_snapshot():
            return _read(self.dir / f"{name}.parquet", engine)
        with tempfile.TemporaryDirectory(prefix="ictasks-") as directory:
            output_of(["export", str(self.dir), "--format", "parquet", "--output", directory])
            return _read(Path(directory) / f"{name}.parquet", engine)

    def _needs_snapshot(self) -> bool:
        """Whether the tables are yet to be made of the journal."""
        try:
            return any(name != "lock" for name in os.listdir(self.dir / "journal"))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def __repr__(self) -> str:
        try:
            counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())
            return f"<Run {self.info['job_id']!r} {self.state}: {counts or 'no tasks'}; {str(self.dir)!r}>"
        except InputError:
            return f"<Run {str(self.dir)!r}>"


def _read(path: Path, engine: Engine) -> Table:
    if engine == "polars":
        import polars

        return polars.read_parquet(path)
    if engine == "arrow":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path)
    import pandas

    # Integers that may be missing stay integers.
    return pandas.read_parquet(path, dtype_backend="numpy_nullable")


class Report:
    """The report of a run: as text when printed, as a page in Jupyter, and every number in `findings`.

    Each form is made by the program when it is asked for first, and kept.
    """

    def __init__(self, run_dir: Path, filter: Optional[str] = None, group_by: Optional[str] = None) -> None:
        arguments = ["report", str(run_dir)]
        if filter is not None:
            arguments += ["--filter", filter]
        if group_by is not None:
            arguments += ["--group-by", group_by]
        self._arguments: Tuple[str, ...] = tuple(arguments)

    def _as(self, format: str, *options: str) -> str:
        return output_of([*self._arguments, "--format", format, "--output", "-", *options])

    @cached_property
    def text(self) -> str:
        """For a terminal of 100 columns."""
        return self._as("text", "--color", "never", "--width", "100")

    @cached_property
    def markdown(self) -> str:
        """As tables in Markdown."""
        return self._as("markdown")

    @cached_property
    def html(self) -> str:
        """One page that needs neither network nor scripts."""
        return self._as("html")

    @cached_property
    def findings(self) -> Dict[str, Any]:
        """Every number; ``ictasks schema report`` describes them."""
        return dict(json.loads(self._as("json")))

    @property
    def advice(self) -> List[Dict[str, Any]]:
        """What to change, the most valuable first, each with its evidence."""
        return list(self.findings["advice"])

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        # A frame of its own: the page's styles stay in it, those of the notebook outside.
        page = html.escape(self.html, quote=True)
        style = f"width:100%;height:{_HEIGHT}px;border:1px solid #8884"
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts" style="{style}" title="report"></iframe>'
