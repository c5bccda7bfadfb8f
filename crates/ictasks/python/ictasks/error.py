"""What can go wrong, with the words of the program."""


class Error(Exception):
    """What kept the farm from its work, in the program's own words."""


class InputError(Error):
    """Bad usage or input (the program's exit code 2): nothing was run, or what ran was finished."""


class RecordError(Error):
    """The record could not be kept, or the farm itself was in trouble (exit code 3)."""


class TaskError(Error):
    """A task did not succeed, and has no exception of its own to raise."""
