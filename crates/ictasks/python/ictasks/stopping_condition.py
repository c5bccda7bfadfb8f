"""When a run starts no further task."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Union

from ._model import Model


@dataclass(frozen=True)
class StoppingCondition(Model):
    """A file in a task's directory, and a phrase in it, after which no further task starts.

    Parameters
    ----------
    stopmagic
        What the file has to hold; where it is empty, that the file is there is enough.
    stopfile
        Name of the file within the task's directory.
    """

    stopmagic: str = ""
    stopfile: Optional[Union[Path, str]] = None

    def __call__(self, path: Union[Path, str]) -> bool:
        """Whether it holds for this task directory."""
        if self.stopfile is None:
            return False
        file = Path(path) / self.stopfile
        if not file.exists():
            return False
        return not self.stopmagic or self.stopmagic.encode() in file.read_bytes()

    def settings(self) -> Dict[str, Any]:
        """The condition as it stands in a configuration file."""
        return {"stopfile": str(self.stopfile or ""), "stopmagic": self.stopmagic}
