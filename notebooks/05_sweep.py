# %% [markdown]
# # Parameters and results of a sweep
#
# Which parameter does the result depend on, which one the cost, and where do tasks fail? What a task was given
# stands in `param_*`, the scalars that it wrote to its `result.json` in `result_*`, beside what it took.
#
# Put the directory of your own run into the next cell. As it stands, the notebook makes a run itself, in some
# seconds: 500 points, Poisson's equation on a square of $n^2$ points by successive over-relaxation, for 50 values
# of the relaxation factor $\omega$ and 10 of $n$.

# %% tags=["parameters"]
run_dir = None  # a run directory; None: make a run in a fresh directory
x = None  # a column param_*: along the axis; None: the number with most values
series = None  # a column param_*: a curve for each value; None: the one with most values up to 12
result = None  # a column result_*; None: the first that is a number

# %%
import shlex
import sys
import tempfile
from pathlib import Path

import ictasks
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

plt.rcParams["text.parse_math"] = False  # dollars in what comes from tasks are dollars
plt.rcParams.update({"figure.figsize": (8, 3.6), "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
BLUE, RED, ORANGE, GREY = "#0072B2", "#D55E00", "#E69F00", "#BBBBBB"
MARKERS = "os^vD<>PXp*h"
# The palette of Okabe and Ito, which colour-blind readers can tell apart; markers say the same again.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777"]


def log_if_wide(axes, which, values):
    """A logarithmic axis, with plain numbers, where values span more than a factor of 20."""
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set(**{f"{which}scale": "log"})
        axis = getattr(axes, f"{which}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 1000 * values.min() else (1,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def plain(value, length=40):
    """A value as text for a picture: what came from a task may hold control characters."""
    text = f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)[:length]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


# %% [markdown]
# ## The sweep
#
# The task is a small program that writes `result.json`; the sweep is three lines of YAML.

# %%
RELAX = """
import json, math, sys
omega, n, most = float(sys.argv[1]), int(sys.argv[2]), 600
u = [[0.0] * (n + 2) for _ in range(n + 2)]
h2 = 1.0 / (n + 1) ** 2
for sweep in range(1, most + 1):
    change = 0.0
    for i in range(1, n + 1):
        above, row, below = u[i - 1], u[i], u[i + 1]
        for j in range(1, n + 1):
            step = omega * ((above[j] + below[j] + row[j - 1] + row[j + 1] + h2) / 4 - row[j])
            row[j] += step
            change = max(change, abs(step))
    if change < 1e-7:
        break
else:
    sys.exit(f"no convergence after {most} sweeps, the last change was {change:.3g}")
with open("result.json", "w") as file:
    json.dump({"sweep_count": sweep, "centre": u[(n + 1) // 2][(n + 1) // 2]}, file)
"""

SWEEP = """
job_id: relaxation
launch_cmd: PYTHON PROGRAM {omega} {n}
sweep:
  grid:
    omega: {from: 1.0, to: 1.98, count: 50}
    n: {from: 4, to: 22, step: 2}
"""

if run_dir is None:
    directory = Path(tempfile.mkdtemp(prefix="ictasks-sweep-"))
    program = directory / "relax.py"
    program.write_text(RELAX)
    config = directory / "sweep.yaml"
    config.write_text(
        SWEEP.replace("PYTHON", shlex.quote(sys.executable)).replace("PROGRAM", shlex.quote(str(program)))
    )
    run = ictasks.taskfarm(directory / "run", config_path=config)
else:
    run = ictasks.load(run_dir)
run.counts

# %%
tasks = run.tasks()
tasks["cpu_s"] = tasks["user_s"] + tasks["system_s"]
params = [column for column in tasks if column.startswith("param_") and tasks[column].nunique() > 1]
results = [column for column in tasks if column.startswith("result_") and pd.api.types.is_numeric_dtype(tasks[column])]
numbers = sorted(
    (column for column in params if pd.api.types.is_numeric_dtype(tasks[column])),
    key=lambda column: -tasks[column].nunique(),
)
x = x or next(iter(numbers), None)
few = sorted(
    (column for column in params if column != x and tasks[column].nunique() <= 12),
    key=lambda column: -tasks[column].nunique(),
)
series = series or next(iter(few), None)
result = result or next(iter(results), None)
did_not = tasks["outcome"].ne("succeeded")
print(f"along the axis: {x}; a curve for each: {series}; result: {result}")
print(f"{did_not.sum()} of {len(tasks)} tasks did not succeed")
if x is None:
    print("No parameter of this run is a number that varies: there is little to show here.")
tasks[[*params, *results, "outcome", "cpu_s"]].head()

# %% [markdown]
# ## Result and cost together
#
# Of points with the same values on the axis and of the curve the median is drawn.


# %%
def look(position, count):
    """Colour and marker of a curve; of numbers the colours are in order, also in grey."""
    is_number = series and pd.api.types.is_numeric_dtype(tasks[series])
    colour = (
        plt.get_cmap("cividis")(position / max(count - 1, 1) * 0.92) if is_number else PALETTE[position % len(PALETTE)]
    )
    return colour, MARKERS[position % len(MARKERS)]


def name(column):
    return column.removeprefix("param_").removeprefix("result_")


if x is not None:
    values = sorted(tasks[series].dropna().unique()) if series else [None]
    panels = [(result, f"{name(result)}")] if result else []
    panels.append(("cpu_s", "CPU time of a task [s]"))
    figure, rows = plt.subplots(len(panels), 1, sharex=True, figsize=(8, 1 + 2.7 * len(panels)), squeeze=False)
    spread = tasks[x].astype(float)
    for axes, (column, label) in zip(rows[:, 0], panels):
        for position, value in enumerate(values):
            colour, marker = look(position, len(values))
            those = tasks if series is None else tasks[tasks[series] == value]
            curve = (
                those[those["outcome"] == "succeeded"]
                .dropna(subset=[x, column])
                .groupby(x)[column]
                .median()
                .astype(float)
            )
            line = "-" if len(curve) <= len(those) / 2 or tasks.groupby(x).size().median() > 1 else ""
            text = plain(value)
            axes.plot(curve.index.astype(float), curve, ls=line, lw=1.2, color=colour, marker=marker, ms=4, label=text)
        span = [axes.get_ylim()[1]] * did_not.sum()
        if did_not.any():
            axes.plot(
                tasks.loc[did_not, x].astype(float),
                span,
                ls="",
                marker="|",
                ms=12,
                color=RED,
                clip_on=False,
                label="no success",
            )
        log_if_wide(axes, "y", tasks.loc[~did_not, column].dropna())
        axes.set_ylabel(label)
    log_if_wide(rows[0, 0], "x", spread)
    rows[-1, 0].set_xlabel(name(x))
    rows[0, 0].set_title("Result and cost of the same tasks")
    figure.legend(
        *rows[-1, 0].get_legend_handles_labels(),
        title=name(series) if series else None,
        loc="outside right center",
        frameon=False,
    )
    plt.show()

# %% [markdown]
# **Read:** upper curves: the result; lower curves: what it cost, of the same tasks. Red ticks at the top edge are
# points that gave no result. **Change:** where the result no longer changes and the cost still does, that part of
# the sweep can go; where a curve bends between two points, add points there (those that are done are not run again:
# `--resume`). Here: each $n$ has its best $\omega$, and missing it to the right is dear.
#
# ## What a better result costs

# %%
if x is None or result is None:
    print("This run has no numeric parameter that varies or no numeric result: nothing to show.")
else:
    figure, axes = plt.subplots(figsize=(8, 4))
    for position, value in enumerate(values):
        colour, marker = look(position, len(values))
        those = (tasks if series is None else tasks[tasks[series] == value]).dropna(subset=[result, "cpu_s"])
        text = plain(value)
        axes.scatter(
            those[result].astype(float),
            those["cpu_s"].astype(float),
            s=16,
            alpha=0.7,
            color=[colour],
            marker=marker,
            linewidths=0,
            label=text,
        )
    log_if_wide(axes, "x", tasks[result].dropna())
    log_if_wide(axes, "y", tasks["cpu_s"].dropna())
    axes.set(xlabel=name(result), ylabel="CPU time of a task [s]", title="Cost by result")
    axes.legend(title=name(series) if series else None, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** points of a curve far above its lower edge paid more than others for the same result. **Change:** the
# settings of the points at the lower edge are the ones to keep.
#
# ## The cost of the whole plane

# %%
if x is None or series is None:
    print("This run has fewer than two parameters that vary: nothing to show.")
else:
    held = tasks.assign(held_s=(tasks["wall_s"] * tasks["core_count"]).astype(float))
    places = (
        held[x]
        if held[x].nunique() <= 60
        else pd.cut(held[x].astype(float), 40).map(lambda part: part.mid).astype(float)
    )
    cost = held.pivot_table(values="held_s", index=series, columns=places, aggfunc="sum", observed=True).astype(float)
    bad = (
        held.assign(bad=did_not.astype(float))
        .pivot_table(values="bad", index=series, columns=places, aggfunc="mean", observed=True)
        .astype(float)
    )
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.28 * len(cost)))
    image = axes.imshow(cost, aspect="auto", cmap="cividis", origin="lower", interpolation="nearest")
    rows_, columns_ = np.nonzero(bad.reindex(index=cost.index, columns=cost.columns).to_numpy() >= 0.5)
    axes.plot(columns_, rows_, ls="", marker="x", color="white", ms=5, mew=2.5)
    axes.plot(columns_, rows_, ls="", marker="x", color=RED, ms=5, mew=1.2, label="half or more without success")
    shown = np.unique(np.linspace(0, cost.shape[1] - 1, min(cost.shape[1], 9)).astype(int))
    axes.set_xticks(shown, [f"{round(float(cost.columns[place]), 4):g}" for place in shown])
    axes.set_yticks(range(len(cost)), [plain(value) for value in cost.index])
    axes.grid(visible=False)
    axes.set(xlabel=name(x), ylabel=name(series), title="Core time by parameters")
    figure.colorbar(image, label="core time [core s]")
    if len(rows_):
        figure.legend(loc="outside lower center", frameon=False)
    plt.show()

# %% [markdown]
# **Read:** bright is dear; a red cross is a place where half of the tasks or more did not succeed. **Change:**
# bright places with crosses are wasted: leave them out, or give them a smaller limit. Bright places without crosses
# are where a coarser grid saves most.
#
# ## Which parameter decides
#
# The share of the variation between tasks that a parameter alone explains ($\eta^2$; of parameters with many
# values, in 20 classes).


# %%
def explained(column, by):
    """η²: the variation between groups by all variation."""
    known = tasks.dropna(subset=[column, by])
    known = known[~did_not[known.index]]
    values = known[column].astype(float)
    if len(values) and values.min() > 0:
        values = np.log(values)
    classes = known[by]
    if pd.api.types.is_numeric_dtype(classes) and classes.nunique() > 20:
        classes = pd.qcut(classes.astype(float), 20, duplicates="drop")
    everything = ((values - values.mean()) ** 2).sum()
    between = ((values.groupby(classes, observed=True).transform("mean") - values.mean()) ** 2).sum()
    return between / everything if everything > 0 else np.nan


shares = pd.DataFrame(
    {name(column): {name(by): explained(column, by) for by in params} for column in [*results[:3], "cpu_s"]}
).astype(float)
if not shares.size or not shares.notna().any(axis=None):
    print("No parameter of this run varies: nothing to show.")
else:
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.5 * len(shares)))
    (100 * shares).plot.barh(
        ax=axes, color=[*["#56B4E9", "#009E73", "#CC79A7"][: len(results[:3])], RED], edgecolor="black", width=0.8
    )
    for bars, hatch in zip(axes.containers, ["", "....", "\\\\\\\\", "////"][: shares.shape[1] - 1] + ["////"]):
        for bar in bars:
            bar.set_hatch(hatch)
    axes.set(xlabel="variation explained [%]", ylabel="parameter", title="Which parameter decides", xlim=(0, 100))
    axes.legend(title="of", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** long bars for the cost say what makes tasks dear; a parameter with short bars everywhere could be fixed.
# What is missing to 100 % is the other parameters, their interplay, or noise. **Change:** sort the list by the
# parameter that makes tasks dear, the dear ones first (notebook 02), and thin out its values first.
#
# ## The same from the program
#
# `ictasks report RUN_DIR --group-by param_omega`, here for the column on the axis.

# %%
group_by = x or next(iter(params), "outcome")
report = run.report(group_by=group_by)
print(report.text)

# %% [markdown]
# ## Agreement with the report

# %%
findings = report.findings
attempts = run.attempts().dropna(subset=["started_at", "wall_s"])
attempts["core_s"] = (attempts["wall_s"] * attempts["core_count"]).astype(float)
ours = np.sort(attempts.groupby(group_by, dropna=False, observed=True)["core_s"].sum())[::-1]
if findings["runs"][0]["life"] != "alive" and findings["group_count"] == len(findings["groups"]):
    np.testing.assert_allclose(ours, [group["core_s"] for group in findings["groups"]], rtol=1e-6)
    assert findings["grouped_by"] == group_by

# %% [markdown]
# A run that this notebook made lies in the temporary directory; `run.dir` says where.
