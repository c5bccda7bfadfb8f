"""How the processors and GPUs of a machine are divided among tasks."""

from dataclasses import dataclass, fields
from typing import Any, Dict

from ._model import Model


class _Default(int):
    """A value that nobody gave: the program is not told, and may find out a better one."""


@dataclass(frozen=True)
class TaskDistribution(Model):
    """How a machine is divided. What is not given is found out when the farm starts.

    Parameters
    ----------
    cores_per_node
        Physical cores to use; 0: all that this process may use, at most the quota of its cgroup.
    threads_per_core
        Workers that share a core; where the cores are found out, so are the hardware threads.
    cores_per_task
        Cores that a task holds.
    gpus_per_node
        GPUs to use; 0: all that the farm may use.
    gpus_per_task
        GPUs that a task holds.
    """

    cores_per_node: int = _Default(0)
    threads_per_core: int = _Default(1)
    cores_per_task: int = _Default(1)
    gpus_per_node: int = _Default(0)
    gpus_per_task: int = _Default(0)

    @property
    def num_procs(self) -> int:
        """Number of workers that these values give, without what is found out: 0 where `cores_per_node` is 0."""
        workers = self.cores_per_node // self.cores_per_task * self.threads_per_core
        if self.gpus_per_task and self.gpus_per_node // self.gpus_per_task:
            return min(workers, self.gpus_per_node // self.gpus_per_task)
        return workers

    def settings(self) -> Dict[str, Any]:
        """The values that were given, by their keys in a configuration file."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if not isinstance(value, _Default)}
