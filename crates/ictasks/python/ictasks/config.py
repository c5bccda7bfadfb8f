"""The configuration of a run, as a configuration file holds it."""

import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Dict, FrozenSet, List, Mapping, Optional, Sequence, Union

from ._model import Model, plain
from .error import InputError
from .stopping_condition import StoppingCondition
from .worker import TaskDistribution


@dataclass
class SlurmJob(Model):
    """A Slurm job.

    Parameters
    ----------
    id
        Its id.
    nodes
        The names of its nodes.
    """

    id: str = ""
    nodes: List[str] = field(default_factory=list)


@dataclass(init=False)
class Config(Model):
    """How a run is to be done.

    Parameters
    ----------
    job_id
        Your name for the run; where there is none, the id of the Slurm job, or else the run is named after its
        directory (and this attribute is a random name, as in 0.2.4).
    task_distribution
        How the machine is divided among tasks: a `TaskDistribution`, or its values by name.
    stopping_conditions
        Each a `StoppingCondition` or its values by name; once one holds, no further task starts.
    stop_on_error
        Whether no further task starts once one has failed. Not, by default.
    stdout_filename, stderr_filename
        Names of the files in a task's directory that get its output.
    check_slurm
        Whether to look for a Slurm job.
    slurm_job
        The Slurm job to run in.
    tasks
        Tasks as a configuration file lists them; `ictasks.task.queue_from_list` makes tasks of them.
    settings
        Any other key of a configuration file, for instance ``retries=2``, ``timeout="1h"`` or ``environment={...}``;
        ``ictasks schema`` lists them. The program checks them when a run begins.
    """

    job_id: str
    task_distribution: TaskDistribution
    stopping_conditions: List[StoppingCondition]
    stop_on_error: bool
    stdout_filename: str
    stderr_filename: str
    check_slurm: bool
    slurm_job: Optional[SlurmJob]
    tasks: List[Any]
    settings: Dict[str, Any]

    NOT_DUMPED: ClassVar[FrozenSet[str]] = frozenset({"settings"})

    def __init__(
        self,
        *,
        job_id: str = "",
        task_distribution: Union[TaskDistribution, Mapping[str, int]] = TaskDistribution(),
        stopping_conditions: Sequence[Union[StoppingCondition, Mapping[str, str]]] = (),
        stop_on_error: bool = False,
        stdout_filename: str = "task_stdout.txt",
        stderr_filename: str = "task_stderr.txt",
        check_slurm: bool = False,
        slurm_job: Union[SlurmJob, Mapping[str, Any], None] = None,
        tasks: Union[Sequence[Any], Mapping[str, Any]] = (),
        **settings: Any,
    ) -> None:
        distribution = task_distribution
        self.task_distribution = (
            TaskDistribution(**distribution) if isinstance(distribution, Mapping) else distribution
        )
        self.stopping_conditions = [
            StoppingCondition(**condition) if isinstance(condition, Mapping) else condition
            for condition in stopping_conditions
        ]
        self.stop_on_error = stop_on_error
        self.stdout_filename = stdout_filename
        self.stderr_filename = stderr_filename
        self.check_slurm = check_slurm
        self.slurm_job = SlurmJob(**slurm_job) if isinstance(slurm_job, Mapping) else slurm_job
        slurm_id = os.environ.get("SLURM_JOB_ID", "") if check_slurm else ""
        if self.slurm_job is None and slurm_id:
            self.slurm_job = SlurmJob(id=slurm_id)
        self.tasks = list(tasks.get("items", ()) if isinstance(tasks, Mapping) else tasks)
        self.settings = settings
        self._given_job_id = str(job_id) or (self.slurm_job.id if self.slurm_job else "")
        self.job_id = self._given_job_id or uuid.uuid4().hex

    def to_settings(self) -> Dict[str, Any]:
        """What was set, by the keys of a configuration file, without the tasks."""
        settings: Dict[str, Any] = dict(plain(self.settings))
        distribution = self.task_distribution.settings()
        if distribution:
            settings["task_distribution"] = plain(distribution)
        # A condition without a file holds nowhere.
        conditions = [one.settings() for one in self.stopping_conditions if one.stopfile is not None]
        if conditions:
            settings["stopping_conditions"] = conditions
        if self._given_job_id:
            settings["job_id"] = self._given_job_id
        if self.stop_on_error:
            settings["stop_on_error"] = True
        for key, default in (("stdout_filename", "task_stdout.txt"), ("stderr_filename", "task_stderr.txt")):
            if getattr(self, key) != default:
                settings[key] = getattr(self, key)
        if self.check_slurm:
            settings["check_slurm"] = True
        if self.slurm_job is not None:
            settings["slurm_job"] = self.slurm_job.model_dump()
        return settings

    @classmethod
    def of(cls, config: Union["Config", Mapping[str, Any], None]) -> "Config":
        """A configuration, or the keys of one."""
        if config is None:
            return cls()
        if not isinstance(config, (Config, Mapping)):
            raise InputError(f"a configuration is a `Config`, a dictionary or the path of a file, not {config!r}")
        return cls(**config) if isinstance(config, Mapping) else config


# What functions take as a configuration: also the path of a file.
ConfigLike = Union[Config, Mapping[str, Any], Path, str, None]
