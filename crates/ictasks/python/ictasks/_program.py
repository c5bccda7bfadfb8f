"""The program ``ictasks``: where it is, and what it says when it cannot go on."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Iterator, List, NoReturn, Sequence

from .error import Error, InputError, RecordError

# Names another program than the one that was installed with this package.
OVERRIDE = "ICTASKS_PROGRAM"


def find() -> str:
    """The path of the program: installed with this package, or, failing that, in ``PATH``.

    Raises
    ------
    Error
        There is none, or the one that the environment variable ``ICTASKS_PROGRAM`` names is not there.
    """
    override = os.environ.get(OVERRIDE)
    if override:
        if shutil.which(override) is None:
            raise Error(f"`{override}`, which the environment variable {OVERRIDE} names, is no program")
        return override
    searched = (Path(directory) for directory in os.environ.get("PATH", os.defpath).split(os.pathsep) if directory)
    for directory in (*_script_directories(), *searched):
        program = directory / "ictasks"
        if os.access(program, os.X_OK) and _is_program(program):
            return str(program)
    raise Error("the program `ictasks` is not installed: `pip install ictasks` brings it")


def _script_directories() -> Iterator[Path]:
    """Where an installer puts programs: beside this interpreter, for this user, or below ``--target``."""
    yield Path(sysconfig.get_path("scripts"))
    yield Path(sys.executable).parent
    user = sysconfig.get_preferred_scheme("user") if sys.version_info >= (3, 10) else "posix_user"
    yield Path(sysconfig.get_path("scripts", user))
    yield Path(__file__).resolve().parent.parent / "bin"


def _is_program(path: Path) -> bool:
    """Whether this is the program, and not the Python script of the same name of ictasks 0.2.4."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def output_of(arguments: Sequence[str]) -> str:
    """What the program prints with these arguments.

    Raises
    ------
    InputError, RecordError
        It could not do what it was asked for.
    """
    command: List[str] = [find(), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        fail(done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def fail(exit_code: int, stderr: str) -> NoReturn:
    """Raises what the exit code means, with what the program said on standard error."""
    message = stderr.strip()
    if message.startswith("error: "):
        message = message[len("error: ") :]
    if not message:
        message = f"the program ended with exit code {exit_code} and said nothing"
    if exit_code == 2:
        raise InputError(message)
    raise RecordError(message)
