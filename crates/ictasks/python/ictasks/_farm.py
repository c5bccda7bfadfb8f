"""A farm at work: the program ``ictasks taskfarm``, its events, and the tasks that go into it.

`Farm` starts the program and reads its events (``--events-fd``, described in the README of the crate ``ictasks``) while it
writes tasks to it, all in the thread of the caller: so callbacks and generators run there too, one after the other.
"""

import json
import os
import selectors
import signal
import subprocess
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Protocol, Sequence

from ._program import fail, find
from .error import RecordError

# The events that this package understands.
STREAM_VERSION = 1
# How much is read and written at once.
_CHUNK = 1 << 18
# Exit codes that tell of tasks or of an interrupt, not of the farm.
_ENDED = (0, 1, 128 + signal.SIGINT, 128 + signal.SIGTERM)

Event = Dict[str, Any]


class Follower(Protocol):
    """Where tasks come from, and whom events are told."""

    def next_lines(self) -> Optional[bytes]:
        """Tasks as JSON lines; empty if none is to be handed over now, None when there will be none any more."""

    def take(self, event: Event) -> None:
        """Takes note of an event."""

    def hush(self) -> None:
        """The run is to end early: from now on no callback is called."""


class Farm:
    """The program at work, from its start to its end.

    Parameters
    ----------
    arguments
        Of ``ictasks taskfarm``.
    settings
        A configuration, if it is not in a file.
    has_feed
        Whether tasks are handed over, once the program has said hello.
    """

    def __init__(self, arguments: Sequence[str], settings: Optional[Dict[str, Any]], has_feed: bool) -> None:
        command: List[str] = [find(), "--quiet", "taskfarm", *arguments, "--progress", "none"]
        reading, writing = os.pipe()
        passed = [writing]
        command += ["--events-fd", str(writing), "--brief-events", "--attended-by", str(os.getpid())]
        self._settings_name = ""
        if settings is not None:
            passed.append(_in_memory(json.dumps(settings)))
            self._settings_name = f"/dev/fd/{passed[-1]}"
            command += ["--config", self._settings_name]
        try:
            # In a session of its own: an interrupt reaches it once, from us.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if has_feed else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=passed,
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            for descriptor in passed:
                os.close(descriptor)
        self._events = reading
        self._said = bytearray()
        self._has_begun = False
        self._half_line = b""
        self._lines: Deque[bytes] = deque()
        self._to_write = memoryview(b"")
        self._is_last = False
        self._selector = selectors.DefaultSelector()
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)

    def work(self, follower: Follower) -> int:
        """Hands tasks over and passes events on until the program has ended; gives its exit code.

        An exception in the follower, and Ctrl-C, end the farm as in a shell: tasks are ended, the record is completed,
        and then the exception is raised. A second Ctrl-C kills what runs at once.

        Raises
        ------
        InputError, RecordError
            The program could not begin or go on.
        """
        try:
            raised = self._until_end(follower)
            code = self._process.wait()
        finally:
            self._close()
        if raised is not None:
            raise raised
        if code not in _ENDED:
            said = self._said.decode(errors="replace")
            fail(code, said.replace(self._settings_name, "the configuration") if self._settings_name else said)
        return code

    def _until_end(self, follower: Follower) -> Optional[BaseException]:
        raised: Optional[BaseException] = None
        while True:
            try:
                self._exchange(follower)
                return raised
            except BaseException as error:  # pylint: disable=broad-exception-caught
                is_interrupt = isinstance(error, KeyboardInterrupt)
                self._process.send_signal(signal.SIGINT if is_interrupt else signal.SIGTERM)
                if raised is None:
                    raised = error
                    self._end_of_tasks()
                    follower.hush()

    def _exchange(self, follower: Follower) -> None:
        """Until the stream of events ends."""
        stderr = self._process.stderr
        assert stderr is not None
        self._watch(self._events, selectors.EVENT_READ)
        self._watch(stderr.fileno(), selectors.EVENT_READ)
        is_open = True
        while is_open:
            while self._lines:
                follower.take(json.loads(self._lines.popleft()))
            # Between two handovers it only looks whether anything has happened.
            was_handed = not self._to_write and self._takes_tasks and self._hand_over(follower)
            for key, _ in self._selector.select(0 if was_handed else None):
                if key.fd == self._events:
                    is_open = self._read_events()
                elif key.fd == stderr.fileno():
                    self._read_stderr(key.fd)
                else:
                    self._write_tasks(key.fd)
        for rest in iter(lambda: os.read(stderr.fileno(), _CHUNK), b""):
            self._said += rest

    def _hand_over(self, follower: Follower) -> bool:
        """Whether there was anything to hand over."""
        lines = follower.next_lines()
        if lines is None:
            # Without this line the list was cut off: by an exception, or by the end of this process.
            self._is_last, lines = True, b"{}\n"
        if lines and self._process.stdin is not None:
            self._to_write = memoryview(lines)
            self._write_tasks(self._process.stdin.fileno())
        return bool(lines)

    @property
    def _takes_tasks(self) -> bool:
        stdin = self._process.stdin
        return self._has_begun and not self._is_last and stdin is not None and not stdin.closed

    def _read_events(self) -> bool:
        data = os.read(self._events, _CHUNK)
        self._has_begun = True
        lines = (self._half_line + data).split(b"\n")
        self._half_line = lines.pop()
        self._lines.extend(lines)
        return bool(data)

    def _read_stderr(self, descriptor: int) -> None:
        data = os.read(descriptor, _CHUNK)
        if data:
            self._said += data
        else:
            self._selector.unregister(descriptor)

    def _write_tasks(self, descriptor: int) -> None:
        try:
            written = os.write(descriptor, self._to_write[:_CHUNK])
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            # The program reads no more: its events and its exit code say why.
            written = len(self._to_write)
        self._to_write = self._to_write[written:]
        if self._is_last and not self._to_write:
            self._end_of_tasks()
        else:
            self._watch(descriptor, selectors.EVENT_WRITE if self._to_write else 0)

    def _end_of_tasks(self) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            self._watch(stdin.fileno(), 0)
            stdin.close()

    def _watch(self, descriptor: int, events: int) -> None:
        is_watched = descriptor in self._selector.get_map()
        if events and not is_watched:
            self._selector.register(descriptor, events)
        elif is_watched and not events:
            self._selector.unregister(descriptor)

    def _close(self) -> None:
        self._selector.close()
        os.close(self._events)
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()
        if self._process.poll() is None:
            # Only where reading itself has failed: its streams are closed, it ends by itself.
            self._process.wait()


def check_hello(event: Event) -> None:
    """Refuses a program whose events mean something else."""
    if event.get("stream_version") != STREAM_VERSION:
        version = event.get("ictasks_version")
        raise RecordError(
            f"the program is ictasks {version}, whose events this package does not understand: install both anew"
        )


def _in_memory(text: str) -> int:
    """A descriptor from which the text can be read."""
    descriptor = os.memfd_create("configuration", 0)
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
        file.write(text)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
