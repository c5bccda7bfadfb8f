"""``python -m ictasks`` is the program ``ictasks``, with the same arguments."""

import os
import sys

from ._program import find
from .error import Error


def main() -> None:
    """Goes on as the program."""
    try:
        program = find()
    except Error as error:
        sys.exit(f"error: {error}")
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
