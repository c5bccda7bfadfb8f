"""Function calls as files: who gives a call writes one, the process that makes the call reads it.

``dump`` writes the file of a call, the *payload*: two pickles after one another. The first, a dict of plain
values, says what the call server has to prepare before it forks (``Preparation``): the path of modules,
the script whose functions are called, and the modules that are worth importing once. The second is the
function with its arguments, and is read in the process of the call alone.

``run`` makes a call, in the current process, and leaves what came of it in the task's directory:

- ``result.pickle``: what the function returned, unless that is None;
- ``exception.pickle``: what it raised;
- ``result.json``: what it returned, where that is a number, and of a dict what is a number, a text or a truth
  value, so that it becomes columns ``result_*`` of the record.

``load_result`` and ``load_exception`` read them.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import math
import numbers
import os
import pickle
import sys
import traceback
import types
from multiprocessing import process, spawn
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

from .error import TaskError

RESULT_FILE = "result.pickle"
EXCEPTION_FILE = "exception.pickle"
RESULTS_FILE = "result.json"

#: Version of the payload, in its first pickle.
FORMAT = 1
#: What ``multiprocessing`` prepares in a process that it spawns; its key and its directory are left out.
_OF_MAIN = ("sys_path", "sys_argv", "orig_dir", "init_main_from_name", "init_main_from_path")
#: So deep functions within functions are looked at for the modules that they use.
_MOST_NESTED = 8

PathLike = Union[str, "os.PathLike[str]"]


class PickleError(TypeError):
    """A function, an argument or a result cannot go from one process to another."""


class RemoteTraceback(Exception):
    """The traceback of an exception in the process of a call; the cause of what ``load_exception`` returns."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class RemoteError(TaskError):
    """Stands for an exception that could not go from one process to another."""


# ---------------------------------------------------------------- giving a call


def dump(
    path: PathLike,
    function: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Optional[Mapping[str, Any]] = None,
) -> None:
    """Writes the file of a call. It is complete, or not there.

    Raises:
        PickleError: the function or an argument cannot be pickled.
        RuntimeError: a script that is imported for the sake of its functions gives calls itself.
    """
    body, needs_main = _body(function, tuple(args), dict(kwargs or {}))
    main = _main()
    modules = _modules(function, args, (kwargs or {}).values())
    if b"cloudpickle" in body:
        modules.add("cloudpickle")
    header = {
        "format": FORMAT,
        "sys_path": main["sys_path"],
        "main": main if needs_main else None,
        "modules": sorted(modules),
    }
    _replace(os.fspath(path), pickle.dumps(header) + body)


def text(function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Optional[Mapping[str, Any]] = None) -> str:
    """A call as it would be written, for people and for the record: ``module.function(3, n=10)``."""
    shown = [_shown(value) for value in args]
    shown += [f"{name}={_shown(value)}" for name, value in (kwargs or {}).items()]
    return f"{name_of(function)}({', '.join(shown)})"


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function with that of its module, if it is not the script's."""
    name = getattr(function, "__qualname__", None)
    if name is None:
        inner = getattr(function, "func", None)
        return f"partial({name_of(inner)})" if callable(inner) else type(function).__qualname__
    module = getattr(function, "__module__", None)
    return name if module in (None, "__main__", "__mp_main__") else f"{module}.{name}"


def _shown(value: Any, limit: int = 200) -> str:
    """``repr`` in one line and of bounded length."""
    try:
        shown = repr(value)
    except Exception:
        shown = f"<{type(value).__qualname__}>"
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _body(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, bool]:
    """The pickled call, and whether it needs the script (or notebook) that gives it."""
    call = (function, args, kwargs)
    try:
        plain: Optional[bytes] = pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
        problem: Optional[Exception] = None
    except Exception as error:
        plain, problem = None, error
    if plain is not None and b"__main__" not in plain:
        return plain, False
    cloudpickle = _cloudpickle()
    if cloudpickle is not None:
        try:
            return cloudpickle.dumps(call, protocol=pickle.HIGHEST_PROTOCOL), False
        except Exception as error:
            raise PickleError(f"{name_of(function)} with its arguments cannot be pickled: {error}") from error
    if plain is None:
        raise PickleError(
            f"{name_of(function)} with its arguments cannot be pickled ({problem}); lambdas, and functions within "
            "functions, need cloudpickle: pip install ictasks[functions]"
        ) from problem
    is_of_main = getattr(function, "__module__", None) == "__main__"
    if is_of_main and not {"init_main_from_name", "init_main_from_path"} & _main().keys():
        raise PickleError(
            f"{name_of(function)} is a function of a notebook or of an interactive session, which another process "
            "cannot import; cloudpickle can send it: pip install ictasks[functions]"
        )
    return plain, True


def _main() -> dict[str, Any]:
    """What a process has to know to import the script of this one."""
    data = spawn.get_preparation_data("ictasks")
    return {name: data[name] for name in _OF_MAIN if name in data}


def _cloudpickle() -> Any:
    try:
        import cloudpickle  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        return None
    return cloudpickle


def _modules(function: Any, args: Iterable[Any], values: Iterable[Any]) -> set[str]:
    """Modules that the call is likely to need. One that is missing here is imported by the call itself."""
    found: set[str] = set(_modules_of_code(function, _MOST_NESTED))
    for value in (*args, *values):
        found.add(getattr(type(value), "__module__", "") or "")
    return {name for name in found if name and name not in ("builtins", "__main__", "__mp_main__")}


def _modules_of_code(function: Any, depth: int) -> Iterator[str]:
    function = getattr(function, "func", function)
    function = getattr(function, "__func__", function)
    yield getattr(function, "__module__", None) or ""
    if getattr(function, "__module__", None) not in ("__main__", "__mp_main__") or depth == 0:
        return
    # A function that is sent by value brings no module that would import what it uses.
    namespace = getattr(function, "__globals__", {})
    code = getattr(function, "__code__", None)
    for name in _names(code, depth) if code is not None else ():
        value = namespace.get(name)
        if isinstance(value, types.ModuleType):
            yield value.__name__
        elif isinstance(value, types.FunctionType) and value is not function:
            yield from _modules_of_code(value, depth - 1)
        elif isinstance(value, (type, types.BuiltinFunctionType)):
            yield value.__module__ or ""


def _names(code: types.CodeType, depth: int) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType) and depth > 0:
            yield from _names(constant, depth - 1)


# ---------------------------------------------------------------- preparing and making a call


class Preparation:
    """What a process has prepared for calls: the path of modules, the script, modules.

    The server prepares what it can before it forks. What goes wrong there is not told: the call meets it again
    in its own process, and that is where its traceback belongs.
    """

    def __init__(self) -> None:
        self._main: Optional[Any] = None
        self._tried: list[Any] = []

    def prepare(self, header: Mapping[str, Any]) -> None:
        """Prepares what a call cannot do without."""
        if sys.path != header["sys_path"]:
            sys.path[:] = header["sys_path"]
        main = header["main"]
        if main is not None and main != self._main:
            _prepare_main(main)
            self._main = main

    def prepare_ahead(self, header: Mapping[str, Any]) -> None:
        """Prepares what the call needs or may need, each thing once."""
        if header["main"] not in self._tried:
            self._tried.append(header["main"])
            self._try(lambda: self.prepare(header))
        for name in header["modules"]:
            if name not in self._tried:
                self._tried.append(name)
                self._try(lambda: importlib.import_module(name))

    @staticmethod
    def _try(action: Callable[[], Any]) -> None:
        try:
            action()
        except (Exception, SystemExit):
            pass
        # What is there now is there to stay, and need not be looked through after each fork.
        gc.freeze()


def _prepare_main(main: dict[str, Any]) -> None:
    current = process.current_process()
    # While the script is imported, whoever tries to start processes or calls gets an error from multiprocessing:
    # its own start must stand under `if __name__ == "__main__":`.
    current._inheriting = True  # type: ignore[attr-defined]
    try:
        spawn.prepare(dict(main))
    finally:
        del current._inheriting  # type: ignore[attr-defined]


def read_header(path: PathLike) -> dict[str, Any]:
    """The first pickle of a payload."""
    with open(path, "rb") as file:
        return _header(file, path)


def _header(file: io.BufferedReader, path: PathLike) -> dict[str, Any]:
    header = pickle.load(file)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise PickleError(f"{os.fspath(path)} is no call, or one of another version of ictasks")
    return header


def run(path: PathLike, prepared: Optional[Preparation] = None) -> int:
    """Makes the call of a payload; the exit code of its process.

    Its files go to ``ICTASKS_TASK_DIR``, or else to the current directory.
    """
    # Strings instead of paths, and `os` instead of `pathlib`: half a millisecond a call.
    directory = os.environ.get("ICTASKS_TASK_DIR") or os.getcwd()
    for stale in (RESULT_FILE, EXCEPTION_FILE):
        _remove(os.path.join(directory, stale))
    earlier = _identity(os.path.join(directory, RESULTS_FILE))
    try:
        with open(path, "rb") as file:
            (prepared or Preparation()).prepare(_header(file, path))
            function, args, kwargs = pickle.load(file)
        result = function(*args, **kwargs)
        _keep(result, directory, earlier, function)
        return 0
    except SystemExit as error:
        return _exit_code(error, directory)
    except KeyboardInterrupt as error:
        _report(error, directory)
        raise
    except BaseException as error:
        _report(error, directory)
        return 1


def _keep(result: Any, directory: str, earlier: Any, function: Callable[..., Any]) -> None:
    """Writes what a function returned."""
    if result is not None:
        try:
            data = _pickled(result)
        except Exception as error:
            raise PickleError(
                f"what {name_of(function)} returned ({type(result).__qualname__}) cannot be pickled: {error}"
            ) from error
        _replace(os.path.join(directory, RESULT_FILE), data)
    columns = _columns(result)
    results = os.path.join(directory, RESULTS_FILE)
    if columns and _identity(results) == earlier:
        _replace(results, (json.dumps(columns) + "\n").encode())


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:
        # A class of a notebook, for instance, came here by value and goes back so.
        cloudpickle = _cloudpickle()
        if cloudpickle is None:
            raise
        data: bytes = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        return data


def _columns(result: Any) -> Optional[dict[str, Any]]:
    """What of a result becomes columns of the record, if anything does."""
    if isinstance(result, dict):
        return {
            name: _plain(value)
            for name, value in result.items()
            if isinstance(name, str) and (value is None or _is_scalar(value))
        }
    is_number = _is_scalar(result) and not isinstance(result, str)
    return {"value": _plain(result)} if is_number else None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, numbers.Real)) or _is_truth_value(value)


def _is_truth_value(value: Any) -> bool:
    # Numbers of numpy are registered as such; its truth values are not.
    kind = type(value)
    return isinstance(value, bool) or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_"))


def _plain(value: Any) -> Union[None, str, bool, int, float]:
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    if _is_truth_value(value):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    number = float(value)
    # JSON has no words for what is not finite.
    return number if math.isfinite(number) else None


def _report(error: BaseException, directory: str) -> None:
    """Prints the traceback of an exception, and writes the exception."""
    # The first frame is that of `run`.
    below = error.__traceback__.tb_next if error.__traceback__ is not None else None
    told = "".join(traceback.format_exception(type(error), error, below or error.__traceback__))
    print(told, end="", file=sys.stderr, flush=True)
    kept: dict[str, Any] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": _told(error),
        "traceback": told,
        "exception": None,
    }
    try:
        kept["exception"] = _pickled(error)
    except Exception:
        pass
    _keep_exception(kept, directory)


def _keep_exception(kept: dict[str, Any], directory: str) -> None:
    try:
        _replace(os.path.join(directory, EXCEPTION_FILE), pickle.dumps(kept))
    except OSError as trouble:
        print(f"{EXCEPTION_FILE} cannot be written: {trouble}", file=sys.stderr)


def _told(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(it cannot say what it is)"


def _exit_code(error: SystemExit, directory: str) -> int:
    """What ``sys.exit`` means, as at the end of a script."""
    if error.code is None or error.code == 0:
        return 0
    if isinstance(error.code, int):
        code = error.code & 0xFF
    else:
        print(error.code, file=sys.stderr)
        code = 1
    kept = {"type": "SystemExit", "message": str(error.code), "traceback": "", "exception": None}
    _keep_exception(kept, directory)
    return code


# ---------------------------------------------------------------- what came of a call


def load_result(directory: PathLike) -> Any:
    """What the call returned whose task has this directory; None where it returned nothing, or failed."""
    try:
        with open(os.path.join(directory, RESULT_FILE), "rb") as file:
            return pickle.load(file)
    except FileNotFoundError:
        return None


def load_exception(directory: PathLike) -> Optional[BaseException]:
    """What the call raised whose task has this directory, if it did, with the traceback as its cause."""
    try:
        with open(os.path.join(directory, EXCEPTION_FILE), "rb") as file:
            kept = pickle.load(file)
    except FileNotFoundError:
        return None
    error: Optional[BaseException] = None
    if kept["exception"] is not None:
        try:
            error = pickle.loads(kept["exception"])
        except Exception:
            # Exceptions whose __init__ takes other arguments than it passes on cannot be unpickled.
            pass
    if not isinstance(error, BaseException):
        error = RemoteError(f"{kept['type']}: {kept['message']}")
    if kept["traceback"]:
        error.__cause__ = RemoteTraceback(kept["traceback"])
    return error


# ---------------------------------------------------------------- files


def _replace(path: str, data: bytes) -> None:
    """Writes a file so that a reader sees all of it or nothing."""
    directory, name = os.path.split(path)
    new = os.path.join(directory, f".{name}.new")
    try:
        with open(new, "wb") as file:
            file.write(data)
        os.replace(new, path)
    except OSError:
        # Half a file is of no use, and its room may be wanted.
        _remove(new)
        raise


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _identity(path: str) -> Optional[tuple[int, int, int]]:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
