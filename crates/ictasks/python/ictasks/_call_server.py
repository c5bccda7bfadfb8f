"""The call server: ``python -m ictasks._call_server``, started by ``ictasks`` and by nobody else.

It imports once what calls need and forks a process for each call, twice, so that this becomes a child of the
slot that asks. The README of the crate ``ictasks-agent`` describes the messages.

As with the start method "fork" of ``multiprocessing``, a call sees the modules as the server has imported them.
Modules that start threads when they are imported are safer imported by each call: ``--no-preload`` leaves that
to them. Random numbers differ from call to call: Python seeds ``random`` anew after a fork, and the server does
so for numpy's global generator; other generators that are made when a module is imported are copied with it.
"""

from __future__ import annotations

import array
import gc
import json
import os
import signal
import socket
import sys
import time
import warnings
from multiprocessing import util
from threading import _shutdown  # type: ignore[attr-defined]
from typing import Any, NoReturn, Optional

from ictasks import _calls

#: Version of the messages.
VERSION = 1
SOCKET_VARIABLE = "ICTASKS_CALL_SERVER_FD"
#: Standard input, output and error, the gate, and the file of a cgroup.
MOST_DESCRIPTORS = 5
CHUNK_BYTES = 1 << 16


class Server:
    """Answers one request after another until the slot closes the socket."""

    def __init__(self, connection: socket.socket, preload: bool) -> None:
        self.connection = connection
        self.preload = preload
        self.prepared = _calls.Preparation()
        self.statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self.page_bytes = os.sysconf("SC_PAGE_SIZE")
        self.unread = b""

    def serve(self) -> None:
        self.reply({"hello": {"version": VERSION, "pid": os.getpid()}})
        while True:
            received = self.receive()
            if received is None:
                return
            request, descriptors = received
            try:
                self.reply(self.fork(request["call"], descriptors))
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def reply(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Optional[tuple[dict[str, Any], list[int]]]:
        """The next request with its descriptors; None at the end."""
        descriptors = array.array("i")
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * descriptors.itemsize)
        while b"\n" not in self.unread:
            data, control, _, _ = self.connection.recvmsg(CHUNK_BYTES, room, socket.MSG_CMSG_CLOEXEC)
            if not data:
                return None
            self.unread += data
            for level, kind, content in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    whole = len(content) - len(content) % descriptors.itemsize
                    descriptors.frombytes(content[:whole])
        line, _, self.unread = self.unread.partition(b"\n")
        return json.loads(line), list(descriptors)

    def fork(self, call: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Forks the process of a call; the reply."""
        if len(descriptors) < 4 + call["has_cgroup"]:
            return {"not_started": {"errno": 24}}
        if self.preload:
            self.prepare(call["payload"])
        reading, writing = os.pipe()
        rss_bytes = self.inherited_bytes()
        forked_ns = time.monotonic_ns()
        try:
            between = os.fork()
        except OSError as error:
            os.close(reading)
            os.close(writing)
            return {"not_started": {"errno": error.errno}}
        if between == 0:
            try:
                os.close(reading)
                self.fork_again(call, descriptors, writing)
            finally:
                os._exit(1)
        os.close(writing)
        said = os.read(reading, 32)
        os.close(reading)
        os.waitpid(between, 0)
        number = int(said or b"-5")
        if number < 0:
            return {"not_started": {"errno": -number}}
        return {"started": {"pid": number, "forked_ns": forked_ns, "rss_bytes": rss_bytes}}

    def inherited_bytes(self) -> int:
        """The memory that a process has from its fork on; pages of files are not among it (statm in proc(5))."""
        resident, shared = os.pread(self.statm, 128, 0).split()[1:3]
        return (int(resident) - int(shared)) * self.page_bytes

    def prepare(self, payload: str) -> None:
        """Imports what the call needs, in this process. Where that fails, the call meets the error again."""
        try:
            self.prepared.prepare_ahead(_calls.read_header(payload))
        except Exception:
            return
        finally:
            # What is not written yet would be written by every call as well.
            sys.stdout.flush()
            sys.stderr.flush()

    def fork_again(self, call: dict[str, Any], descriptors: list[int], writing: int) -> NoReturn:
        """In the process between: makes the call's process, tells its number, and leaves it to the slot."""
        try:
            if call["has_cgroup"]:
                os.write(descriptors[4], b"0")
            pid = os.fork()
        except OSError as error:
            os.write(writing, b"%d" % -(error.errno or 5))
            os._exit(1)
        if pid == 0:
            os.close(writing)
            self.be_the_call(call, descriptors)
        # The call does so, too: whichever of the two comes first.
        set_group(pid)
        os.write(writing, b"%d" % pid)
        os._exit(0)

    def be_the_call(self, call: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """In the process of the call: waits at the gate, and makes it."""
        code = 1
        try:
            set_group(0)
            gate = descriptors[3]
            self.enter(call, descriptors)
            self.connection.close()
            os.close(self.statm)
            # Nobody opens the gate of a call that nobody waits for.
            opened = os.read(gate, 1)
            os.close(gate)
            if opened:
                code = _calls.run(call["payload"], self.prepared)
            code = end(code)
        except KeyboardInterrupt:
            end(1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            end(1)
        finally:
            os._exit(code)

    def enter(self, call: dict[str, Any], descriptors: list[int]) -> None:
        for target, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, target)
        for descriptor in descriptors[:3] + descriptors[4:]:
            os.close(descriptor)
        if call.get("oom_score_adj") is not None:
            try:
                with open("/proc/self/oom_score_adj", "w") as file:
                    file.write(str(call["oom_score_adj"]))
            except OSError:
                pass
        os.environ.update(pair.split("=", 1) for pair in call["environment"])
        os.chdir(call["cwd"])
        generator = sys.modules.get("numpy.random")
        if generator is not None:
            try:
                generator.seed()
            except Exception:
                # Somebody has put another generator in its place, which knows no seed.
                pass


def set_group(pid: int) -> None:
    """Makes a process the leader of a group of its own, if it is there still."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def end(code: int) -> int:
    """Does what a process of ``multiprocessing`` does at its end; the exit code."""
    try:
        _shutdown()
        util._exit_function()  # type: ignore[attr-defined]
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        # As at the end of a script whose output cannot be written.
        os.write(2, f"the output cannot be written: {error}\n".encode())
        return code or 120
    return code


def main() -> int:
    number = os.environ.pop(SOCKET_VARIABLE, None)
    if number is None:
        print(f"{SOCKET_VARIABLE} is not set: this program is started by `ictasks` (call_server)", file=sys.stderr)
        return 2
    connection = socket.socket(fileno=int(number))
    os.set_inheritable(int(number), False)
    # What a task prints is in its files when it is killed, line by line.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # Threads at a fork are what `--no-preload` is for; here nobody would read the warning.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    server = Server(connection, preload="--no-preload" not in sys.argv[1:])
    gc.collect()
    gc.freeze()
    server.serve()
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except ConnectionError:
        code = 0
    sys.stderr.flush()
    # Nothing that modules registered for the end of a process is this one's to do.
    os._exit(code)
