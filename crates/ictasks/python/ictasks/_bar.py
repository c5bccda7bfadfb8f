"""A bar of progress, in notebooks and on terminals."""

import sys
import time
from typing import Optional

# Seconds between two drawings.
_INTERVAL_S = 0.2
_WIDTH = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Bar:
    """How far a run is, on standard error.

    Parameters
    ----------
    is_wanted
        Whether it is shown; None: where standard error is a terminal, or in a notebook.
    total
        Number of tasks, if it is known.
    """

    def __init__(self, is_wanted: Optional[bool], total: Optional[int]) -> None:
        self.total = total
        self._is_shown = _somebody_watches() if is_wanted is None else is_wanted
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._length = 0

    def show(self, done: int, failed: int) -> None:
        """Draws it, unless it has just been drawn."""
        if self._is_shown and time.monotonic() - self._drawn_at >= _INTERVAL_S:
            self._draw(done, failed)

    def finish(self, done: int, failed: int) -> None:
        """Draws it for the last time."""
        if self._is_shown:
            self._draw(done, failed)
            sys.stderr.write("\n")
            sys.stderr.flush()

    def _draw(self, done: int, failed: int) -> None:
        self._drawn_at = time.monotonic()
        line = self._line(done, failed, self._drawn_at - self._began)
        # Spaces cover what is left of a longer line.
        sys.stderr.write("\r" + line.ljust(self._length))
        sys.stderr.flush()
        self._length = len(line)

    def _line(self, done: int, failed: int, elapsed_s: float) -> str:
        rate = done / elapsed_s if elapsed_s > 0 else 0.0
        of_failed = f", {failed} failed" if failed else ""
        if not self.total:
            return f"{done} tasks [{clock(elapsed_s)}, {rate:.1f}/s{of_failed}]"
        share = min(done / self.total, 1.0)
        eighths = int(share * _WIDTH * 8)
        bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
        left = clock((self.total - done) / rate) if rate > 0 else "?"
        return (
            f"{share:4.0%}|{bar.ljust(_WIDTH)}| {done}/{self.total} "
            f"[{clock(elapsed_s)}<{left}, {rate:.1f}/s{of_failed}]"
        )


def clock(seconds: float) -> str:
    """A duration as a clock shows it: ``01:05``, ``2:00:00``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def _somebody_watches() -> bool:
    if sys.stderr is None or sys.stderr.isatty():
        return sys.stderr is not None
    # The output of a notebook's cell is no terminal, but shows what is drawn.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
