# %% [markdown]
# # Durations, the tail, and what if
#
# How long do tasks take, which of them hold up the end, and how long would the run have taken with another order or
# other numbers of cores?
#
# Put the directory of your own run into the next cell, and if you like the column that says which tasks are of one
# kind.

# %% tags=["parameters"]
run_dir = "data/connectivity"
group_by = None  # a column of attempts.parquet; None: the parameter that matters most, else the program

# %%
import heapq

import ictasks
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

plt.rcParams["text.parse_math"] = False  # dollars in what comes from tasks are dollars
plt.rcParams.update({"figure.figsize": (8, 3.6), "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
BLUE, SKY, RED, ORANGE, GREY = "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#BBBBBB"


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


run = ictasks.load(run_dir)
findings = run.report().findings
attempts = run.attempts()
ran = attempts.dropna(subset=["started_at", "wall_s"]).copy()
ran["wall_s"] = ran["wall_s"].astype(float)
ran["core_s"] = ran["wall_s"] * ran["core_count"].fillna(0).astype(float)
has_run = bool(ran["wall_s"].gt(0).any())
print(
    f"{len(ran):,} attempts ran, {ran['core_s'].sum():,.1f} core s"
    if has_run
    else "No attempt ran: there is nothing to show here."
)

# %% [markdown]
# ## How long attempts take


# %%
def quantile(values, fraction):
    """By nearest rank: a value that was measured, as in the report."""
    ordered = np.sort(values)
    return ordered[max(int(np.ceil(fraction * len(ordered))), 1) - 1]


if has_run:
    figure, (counts, shares) = plt.subplots(2, 1, sharex=True, figsize=(8, 4.8))
    walls = ran["wall_s"].clip(lower=ran["wall_s"].max() * 1e-9)
    is_wide = walls.max() > 20 * walls.min()
    bins = (np.geomspace if is_wide else np.linspace)(walls.min(), walls.max() * 1.0001, 41)
    counts.hist(walls, bins=bins, color=SKY, edgecolor="white")
    counts.set(ylabel="attempts", title="Durations of attempts")
    log_if_wide(counts, "x", walls)
    ordered = walls.sort_values()
    rank = np.arange(1, len(ordered) + 1) / len(ordered)
    shares.step(ordered, rank, where="post", color=BLUE, label="attempts")
    shares.step(ordered, ordered.cumsum() / ordered.sum(), where="post", color=RED, ls="--", label="their time")
    shares.set(xlabel="duration [s]", ylabel="share up to here [%]", ylim=(0, 1.02))
    shares.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    for height, (fraction, name) in zip([1, 0.8, 0.6], [(0.5, "median"), (0.95, "95 %"), (1.0, "longest")]):
        value = quantile(walls, fraction)
        for axes in (counts, shares):
            axes.axvline(value, color="black", lw=1, ls=":")
        counts.annotate(
            f"{name} {value:.3g} s",
            (value, height),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            va="top",
            ha="right",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
            xytext=(-2, 0),
            textcoords="offset points",
        )
    shares.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()
pd.DataFrame(findings["durations"]["quantiles"], columns=["fraction", "value", "task_id"]).rename(
    columns={"value": "wall_s"}
)

# %% [markdown]
# **Read:** the solid curve says what share of the attempts took at most so long, the dashed one what share of all
# time they took together. Where the dashed curve lies far below, a few long ones are most of the cost. The table
# names a task for each quantile. **Change:** two humps are two kinds of tasks, better limited apart; a `timeout`
# may well be 2 to 3 times the 95 % line.
#
# ## By kind of task

# %%
if group_by is None:
    few = [column for column in ran if column.startswith("param_") and 1 < ran[column].nunique() <= 12]
    # The one whose values differ most in what their attempts take.
    group_by = max(few, key=lambda column: ran.groupby(column)["wall_s"].mean().std(), default="program")
if group_by == "program":
    ran["program"] = ran["command"].str.split().str[0].fillna("(none)")
if has_run:
    ran["kind"] = ran[group_by].astype("object").where(ran[group_by].notna(), "(none)")
    kinds = ran.groupby("kind")["core_s"].sum().sort_values(ascending=False)
    kinds = kinds.head(15)[::-1]
    figure, (durations, sums) = plt.subplots(
        1, 2, sharey=True, figsize=(8, 1.4 + 0.3 * len(kinds)), width_ratios=[2, 1]
    )
    durations.boxplot(
        [ran.loc[ran["kind"] == kind, "wall_s"] for kind in kinds.index],
        orientation="horizontal",
        widths=0.6,
        whis=(5, 95),
        patch_artist=True,
        boxprops={"facecolor": SKY},
        medianprops={"color": "black", "lw": 2},
        flierprops={"marker": ".", "markersize": 4, "markerfacecolor": RED, "markeredgecolor": RED},
    )
    sums.barh(range(1, len(kinds) + 1), kinds, color=GREY, edgecolor="black", lw=0.6, hatch="....")
    durations.set_yticks(range(1, len(kinds) + 1), [plain(kind) for kind in kinds.index])
    log_if_wide(durations, "x", ran["wall_s"])
    durations.set(xlabel="duration [s]", ylabel=group_by, title="Durations by kind")
    sums.set(xlabel="core time [core s]", title="What that costs")
    plt.show()

# %% [markdown]
# **Read:** box: the middle half; line: the median; whiskers: 5 % to 95 %; dots: beyond. Kinds stand in the order of
# their core time, the dearest on top. **Change:** speed up or thin out what has the longest grey bar, be its box
# ever so far left: many short tasks hide in box plots. A box that is wide says that another parameter decides: set
# `group_by` to it.
#
# ## The tail
#
# From the last start on, nothing is left to start, and workers fall idle one by one.

# %%
sessions = pd.DataFrame(findings["runs"][0]["sessions"]).set_index("session")
of_last = ran[ran["session"] == ran["session"].max()] if has_run else ran
if findings["time"]["tail_s"] is None:
    print("Tasks were left over when this run ended, or it goes on: it has no tail.")
else:
    end_at = of_last["started_at"] + pd.to_timedelta(of_last["wall_s"], unit="s")
    zero = of_last["started_at"].max()
    start_s = (of_last["started_at"] - zero).dt.total_seconds().astype(float)
    end_s = (end_at - zero).dt.total_seconds().astype(float)
    tail_s = end_s.max()
    before_s = max(2 * tail_s, 1e-3)
    changes = pd.concat(
        [
            pd.Series(of_last["core_count"].to_numpy(float), start_s),
            -pd.Series(of_last["core_count"].to_numpy(float), end_s),
        ]
    )
    busy = changes.groupby(level=0).sum().sort_index().cumsum()
    session_cores = sessions["core_count"].iloc[-1]
    figure, axes = plt.subplots()
    edges = np.append(busy.index, busy.index[-1])
    axes.stairs(busy, edges, fill=True, color=BLUE, alpha=0.6, label="held by tasks")
    axes.hlines(session_cores, -before_s, tail_s, color="black", ls="--", label="there")
    axes.axvspan(0, tail_s, facecolor="none", edgecolor=ORANGE, hatch="//", alpha=0.6, label="tail")
    axes.set(
        xlim=(-before_s, tail_s * 1.02 + 1e-4), ylim=(0, None), xlabel="time since the last start [s]", ylabel="cores"
    )
    axes.set_title(f"The tail: {tail_s:.3g} s, {findings['time']['tail_idle_core_s']:,.1f} core s idle in all")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()
pd.DataFrame(findings["time"]["tail_tasks"], columns=["task_id", "outcome", "wall_s", "group"])

# %% [markdown]
# **Read:** what is hatched and not blue was paid for and not used (of a resumed run the last session is drawn). The
# table has the tasks that ended last. **Change:** put them first in the list; or split them; or ask for fewer
# cores.
#
# ## What if the order had been another


# %%
def replay_s(walls, worker_count):
    """The makespan of list scheduling: each task, in order, goes to the worker that is free first."""
    free_at = [0.0] * max(int(worker_count), 1)
    for wall_s in walls:
        heapq.heapreplace(free_at, free_at[0] + wall_s)
    return max(free_at)


workers = findings["cores"]["worker_count"]
core_count = findings["cores"]["core_count"]
work_s, longest_s = ran["core_s"].sum(), ran["wall_s"].max()
in_order = ran.sort_values("started_at", kind="stable")["wall_s"].tolist()
if has_run:
    ends = {
        "as it was": findings["time"]["makespan_s"],
        "same order, no gaps": replay_s(in_order, workers),
        "longest first": replay_s(sorted(in_order, reverse=True), workers),
        "shortest first": replay_s(sorted(in_order), workers),
        "best possible": max(work_s / core_count, longest_s),
    }
    figure, axes = plt.subplots(figsize=(8, 2.6))
    bars = axes.barh(list(ends), list(ends.values()), color=[BLUE, SKY, SKY, SKY, GREY], edgecolor="black", lw=0.6)
    bars[-1].set_hatch("....")
    axes.bar_label(bars, [f" {end:,.4g} s" for end in ends.values()], fontsize=9)
    axes.invert_yaxis()
    axes.set(
        xlabel="end of the run [s]", title="What if the order had been another", xlim=(0, 1.12 * max(ends.values()))
    )
    plt.show()

# %% [markdown]
# **Read:** the replays start each task on the worker that is free first, with the durations as recorded. "Best
# possible" is the larger of core time by cores and the longest attempt: no order beats it. **Change:** if "longest
# first" is much shorter, sort the list so; if "as it was" is much longer than "same order, no gaps", time is lost
# between tasks (below) or between start and first task.
#
# ## What if there had been more cores

# %%
more = findings["more_cores"]
if more is None:
    print("No attempt ran long enough to replay: nothing to show.")
else:
    points = pd.DataFrame(more["points"])
    cores_of_worker = points["core_count"] / (points["factor"] * workers).round().clip(lower=1)
    points["replayed_s"] = [replay_s(in_order, round(count)) for count in points["core_count"] / cores_of_worker]
    figure, (ends, used) = plt.subplots(1, 2, figsize=(8, 3.4))
    cores = np.geomspace(points["core_count"].min(), points["core_count"].max(), 200)
    ends.plot(cores, np.maximum(work_s / cores, longest_s), color="black", ls="--", lw=1, label="best possible")
    ends.plot(points["core_count"], points["replayed_s"], color=BLUE, marker="o", label="replayed")
    ends.axhline(longest_s, color=RED, ls=":", label="longest attempt")
    ends.set(xscale="log", yscale="log", xlabel="cores", ylabel="end of the run [s]", title="Sooner …")
    used.plot(
        points["core_count"], 100 * work_s / (points["core_count"] * points["replayed_s"]), color=BLUE, marker="o"
    )
    used.set(xscale="log", xlabel="cores", ylabel="occupied [%]", title="… but emptier", ylim=(0, 105))
    for axes in (ends, used):
        axes.axvline(core_count, color=GREY, lw=4, alpha=0.6, zorder=0, label="as it was")
        axes.set_xticks(points["core_count"], [f"{count:g}" for count in points["core_count"]])
        axes.minorticks_off()
    ends.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ends.yaxis.set_major_formatter("{x:g}")
    ends.legend(fontsize=8)
    plt.show()
    print(f"above {more['saturation_core_count']:.3g} cores the longest attempt alone decides when the run ends")

# %% [markdown]
# **Read:** left, how soon the run would end; right, how much of the cores that would use. Where the left curve
# turns flat, more cores buy nothing. **Change:** take the largest number of cores at which the right curve is still
# above what you find acceptable, say 80 %.
#
# ## Gaps, and tasks that are too short

# %%
gap_s = findings["time"]["dispatch_gap_median_s"]
if gap_s is None or not has_run:
    print("No worker ran two tasks one after the other while one was ready: there are no gaps to measure.")
else:
    median_s = quantile(ran["wall_s"], 0.5)
    print(f"median gap between two tasks of a worker: {gap_s * 1e3:.2g} ms")
    print(f"median attempt: {median_s:.3g} s, {median_s / gap_s:,.0f} gaps long")
    print(
        "Batch some tasks into one: half of them are shorter than 20 gaps."
        if median_s < 20 * gap_s
        else "Tasks are long enough: batching would win nothing."
    )

# %% [markdown]
# ## Stragglers
#
# Attempts that took more than three times the median of their group (of 20 or more; the report groups by program or
# command template), and at least a second.

# %%
stragglers = pd.DataFrame(findings["stragglers"], columns=["task_id", "wall_s", "group", "host", "outcome"])
stragglers if len(stragglers) else "No attempt is a straggler."

# %% [markdown]
# **Read:** are they on one host (a slow node), of one parameter value (a hard case), or anywhere (shared storage,
# neighbours)? **Change:** the node, the value's place in the list, or nothing.
#
# ## Agreement with the report

# %%
if has_run and findings["runs"][0]["life"] != "alive":
    report = findings["time"]
    np.testing.assert_allclose(max(work_s / core_count, longest_s), report["lower_bound_s"], rtol=1e-6)
    if report["longest_first_s"] is not None:
        np.testing.assert_allclose(
            replay_s(sorted(in_order, reverse=True), workers), report["longest_first_s"], rtol=1e-5
        )
    for of_report in findings["durations"]["quantiles"]:
        np.testing.assert_allclose(quantile(ran["wall_s"], of_report["fraction"]), of_report["value"], rtol=1e-9)
    if more is not None:
        np.testing.assert_allclose(points["replayed_s"], points["makespan_s"], rtol=1e-5)
        np.testing.assert_allclose(work_s / longest_s, more["saturation_core_count"], rtol=1e-6)
    if report["tail_s"] is not None and len(sessions) == 1:
        np.testing.assert_allclose(tail_s, report["tail_s"], rtol=1e-6, atol=2e-6)
