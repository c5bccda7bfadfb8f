"""What the types of 0.2.4 have from pydantic and users may call: `model_dump` and its like."""

import copy
import dataclasses
import json
import os
from typing import Any, ClassVar, Dict, FrozenSet, Mapping, Optional, TypeVar

Self = TypeVar("Self", bound="Model")


class Model:
    """The base of dataclasses that can be written as JSON."""

    # Fields that are no part of what is written.
    NOT_DUMPED: ClassVar[FrozenSet[str]] = frozenset()

    def model_dump(self) -> Dict[str, Any]:
        """The fields by their names, those of models within as dictionaries too."""
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return {name: plain(getattr(self, name)) for name in names if name not in self.NOT_DUMPED}

    def model_dump_json(self, indent: Optional[int] = None) -> str:
        """The fields as a JSON object."""
        return json.dumps(self.model_dump(), indent=indent)

    def model_copy(self: Self, update: Optional[Mapping[str, Any]] = None) -> Self:
        """A copy, with some fields changed."""
        changed = copy.copy(self)
        for name, value in (update or {}).items():
            object.__setattr__(changed, name, value)
        return changed


def plain(value: Any) -> Any:
    """A value in the terms of JSON: of models their fields, of paths their text."""
    if isinstance(value, Model):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        # A scalar of numpy.
        return value.item()
    return value
