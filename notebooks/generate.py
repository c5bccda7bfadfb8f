"""Writes the notebooks from their sources: `NN_name.ipynb`, without output, from `NN_name.py` beside it.

    python notebooks/generate.py [--check]

With `--check` nothing is written: it fails where a notebook is not what its source says. Needs jupytext. Cells
are numbered, so that a change of one cell changes no other in a diff.
"""

import sys
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources():
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def notebook(source):
    """The text of the notebook that a source says."""
    made = jupytext.read(source, fmt="py:percent")
    made.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    made.nbformat, made.nbformat_minor = 4, 5
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number:02}"
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


def main():
    is_check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not is_check:
        sys.exit(__doc__)
    stale = []
    for source in sources():
        target, text = source.with_suffix(".ipynb"), notebook(source)
        if is_check and (not target.exists() or target.read_text() != text):
            stale.append(target.name)
        elif not is_check:
            target.write_text(text)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the source says; run `python notebooks/generate.py`")


if __name__ == "__main__":
    main()
