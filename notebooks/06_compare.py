# %% [markdown]
# # Compare two runs
#
# What changed from one run to another: which tasks fail newly or do not any more, and have times shifted as a whole
# or do single tasks scatter? The pairs and figures are those of `ictasks compare RUN_A RUN_B`.
#
# Put the directories of your own runs into the next cell, A before, B after. As it stands: the solvers of an
# oscillator, first with 40,000 evaluations at most, then with 80,000.

# %% tags=["parameters"]
run_dir = "data/oscillator"  # run A, the one before
run_dir_after = "data/oscillator-80000"  # run B, the one after

# %%
import json
import subprocess
import sys

import ictasks
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

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


before, after = ictasks.load(run_dir), ictasks.load(run_dir_after)
line = [
    sys.executable,
    "-m",
    "ictasks",
    "compare",
    str(before.dir),
    str(after.dir),
    "--format",
    "json",
    "--top",
    "1000",
]
comparison = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
print(comparison["verdict"]["sentence"])
print(comparison["times"]["sentence"])
print(comparison["times"]["noise"] or "")

# %% [markdown]
# ## What differs between the runs themselves

# %%
pd.DataFrame(comparison["differences"]) if comparison[
    "differences"
] else "Nothing that run.json tells: the same version, machine, plan and labels."

# %%
totals = [
    "task_count",
    "attempt_count",
    "makespan_s",
    "core_s",
    "cpu_s",
    "median_run_s",
    "largest_memory_bytes",
    "core_count",
    "host_count",
]
pd.DataFrame(
    {"A": {name: comparison["a"][name] for name in totals}, "B": {name: comparison["b"][name] for name in totals}}
).assign(ratio=lambda table: table["B"].astype(float) / table["A"].astype(float)).round(3)

# %% [markdown]
# ## Pairs
#
# By id where ids were given, else by the command before placeholders, the nth with the nth: so a line that was put
# into the list changes no other pair. The running time of a task is the median of its attempts that succeeded.


# %%
def side(run):
    """The tasks of a run, each with the running time and the memory of its attempts that succeeded."""
    attempts = run.attempts()
    good = attempts[attempts["outcome"] == "succeeded"].copy()
    good["run_s"] = (good["wall_s"] - good["stopped_s"].fillna(0)).astype(float)
    good["peak_bytes"] = good[["max_process_rss_bytes", "max_tree_rss_bytes"]].max(axis=1).astype(float)
    figures = good.groupby("task_index").agg(run_s=("run_s", "median"), peak_bytes=("peak_bytes", "max"))
    tasks = run.tasks().sort_values("task_index").join(figures, on="task_index")
    tasks["outcome"] = tasks["outcome"].astype(str)
    own = tasks["task_id"] != tasks["task_index"].astype(str)
    # A number that is not the position was given: then so was every other number.
    tasks["is_given"] = True if tasks.loc[own, "task_id"].str.fullmatch("0|[1-9][0-9]*").any() else own
    return tasks[["task_index", "task_id", "is_given", "command", "command_hash", "outcome", "run_s", "peak_bytes"]]


def paired(a, b):
    by_id = a.merge(b, on="task_id", suffixes=("_a", "_b"))
    by_id = by_id[by_id["is_given_a"] | by_id["is_given_b"]]
    rest_a = a[~a["task_index"].isin(by_id["task_index_a"])]
    rest_b = b[~b["task_index"].isin(by_id["task_index_b"])]
    rest_a, rest_b = (rest.assign(nth=rest.groupby("command_hash").cumcount()) for rest in (rest_a, rest_b))
    by_command = rest_a.merge(rest_b, on=["command_hash", "nth"], suffixes=("_a", "_b")).rename(
        columns={"task_id_a": "task_id"}
    )
    return pd.concat([by_id, by_command], ignore_index=True)


a, b = side(before), side(after)
pairs = paired(a, b)
print(
    f"{len(pairs)} pairs; only in A: {len(a) - len(pairs)}, only in B: {len(b) - len(pairs)}; "
    f"another command: {comparison['matching']['changed_command_count']}"
)
print(comparison["matching"]["hint"] or "")

# %% [markdown]
# ## Outcomes

# %%
ORDER = [
    "succeeded",
    "failed",
    "signaled",
    "timed_out",
    "out_of_memory",
    "spawn_failed",
    "cancelled",
    "node_lost",
    "pending",
]
transitions = pd.crosstab(pairs["outcome_a"], pairs["outcome_b"])
if transitions.empty:
    print("No task of A is one of B: nothing to show.")
else:
    here = [outcome for outcome in ORDER if outcome in transitions.index or outcome in transitions.columns]
    transitions = transitions.reindex(index=here, columns=here, fill_value=0)
    figure, axes = plt.subplots(figsize=(1.8 + 1.1 * len(here), 1.2 + 0.6 * len(here)))
    axes.imshow(transitions > 0, cmap="Greys", vmin=0, vmax=4, aspect="auto")
    for row, column in np.ndindex(*transitions.shape):
        count = transitions.iloc[row, column]
        is_worse = here[row] == "succeeded" != here[column]
        is_better = here[column] == "succeeded" != here[row]
        axes.text(
            column,
            row,
            f"{count}" + (" worse" if count and is_worse else " better" if count and is_better else ""),
            ha="center",
            va="center",
            color=RED if count and is_worse else BLUE if count and is_better else "black" if count else GREY,
            weight="bold" if count and (is_worse or is_better) else "normal",
        )
    axes.set_xticks(range(len(here)), here)
    axes.set_yticks(range(len(here)), here)
    axes.grid(visible=False)
    axes.set(xlabel="outcome in B", ylabel="outcome in A", title="Tasks by both outcomes")
    plt.show()
listed = [
    ("newly failing", "newly_failing"),
    ("do not fail any more", "newly_passing"),
    ("did not finish", "unfinished"),
]
pd.DataFrame(
    [
        {
            "change": words,
            "task": pair["b"]["task_id"],
            "A": pair["a"]["outcome"],
            "B": pair["b"]["outcome"],
            "message in B": pair["b"]["message"],
        }
        for words, name in listed
        for pair in comparison[name]["pairs"][:8]
    ],
    columns=["change", "task", "A", "B", "message in B"],
)

# %% [markdown]
# **Read:** on the diagonal nothing changed; "worse" succeeded in A only, "better" in B only. **Change:** worse ones
# first: `ictasks compare A B --format ids | ictasks taskfarm --run-dir B --resume --only -` runs these again.
#
# ## Times, task by task

# %%
both = pairs[
    (pairs["outcome_a"] == "succeeded")
    & (pairs["outcome_b"] == "succeeded")
    & (pairs["run_s_a"] > 0)
    & (pairs["run_s_b"] > 0)
]
ratios = (both["run_s_b"] / both["run_s_a"]).sort_values()
threshold = comparison["threshold_ratio"]
if both.empty:
    print("No task has a running time in both runs: nothing to show.")
else:
    slower = (ratios > threshold) & (both["run_s_b"] - both["run_s_a"] >= comparison["time_floor_s"])
    faster = (1 / ratios > threshold) & (both["run_s_a"] - both["run_s_b"] >= comparison["time_floor_s"])
    figure, (single, shares) = plt.subplots(1, 2, figsize=(8.6, 4))
    ends = np.array(
        [
            min(both["run_s_a"].min(), both["run_s_b"].min()) * 0.9,
            max(both["run_s_a"].max(), both["run_s_b"].max()) * 1.1,
        ]
    )
    single.fill_between(
        ends,
        ends / threshold,
        ends * threshold,
        color=GREY,
        alpha=0.35,
        lw=0,
        label=f"within a factor of {threshold:g}",
    )
    single.plot(ends, ends, color="black", lw=1)
    kinds = [
        (~slower & ~faster, BLUE, "o", "much the same"),
        (slower, RED, "^", "slower in B"),
        (faster, "#009E73", "v", "faster in B"),
    ]
    for those, colour, marker, label in kinds:
        if those.any():
            marked = both.loc[those[those].index]
            single.scatter(
                marked["run_s_a"],
                marked["run_s_b"],
                s=20,
                alpha=0.6,
                color=colour,
                marker=marker,
                linewidths=0,
                label=f"{label} ({len(marked)})",
            )
    for which in "xy":
        log_if_wide(single, which, ends)
    single.set(
        xlabel="running time in A [s]", ylabel="running time in B [s]", title="Each task twice", xlim=ends, ylim=ends
    )
    single.legend(fontsize=8, loc="lower right")
    shares.step(ratios, np.arange(1, len(ratios) + 1) / len(ratios), where="post", color=BLUE)
    shares.axvline(1, color="black", lw=1)
    interval = comparison["times"]["median_ratio_interval"]
    if interval:
        shares.axvspan(*interval, color=ORANGE, alpha=0.4, hatch="//", label="median, 95 % interval")
        shares.legend(fontsize=8, loc="lower right")
    log_if_wide(shares, "x", ratios)
    shares.set(
        xlabel="running time in B by that in A",
        ylabel="share up to here [%]",
        title="All tasks together",
        ylim=(0, 1.02),
    )
    shares.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    plt.show()

# %% [markdown]
# **Read:** left, a task above the line took longer in B; the grey band is what counts as the same. Right, if the
# curve is steep and crosses 50 % at 1, nothing changed; if it is steep elsewhere, *all* tasks are slower or faster
# (another machine, library, file system); if it has a long end, only some are. **Change:** an interval that does
# not hold 1 is a shift of the whole run: look at the table of differences first. Single tasks outside the band: run
# them twice more before you believe it.
#
# ## Memory, task by task

# %%
sized = both.dropna(subset=["peak_bytes_a", "peak_bytes_b"])
if sized.empty:
    print("No task has a memory peak in both runs: nothing to show.")
else:
    figure, axes = plt.subplots(figsize=(5, 4.2))
    ends = (
        np.array(
            [
                sized[["peak_bytes_a", "peak_bytes_b"]].min(axis=None) * 0.95,
                sized[["peak_bytes_a", "peak_bytes_b"]].max(axis=None) * 1.05,
            ]
        )
        / 2**20
    )
    axes.plot(ends, ends, color="black", lw=1, label="the same")
    axes.scatter(
        sized["peak_bytes_a"] / 2**20,
        sized["peak_bytes_b"] / 2**20,
        s=20,
        alpha=0.5,
        color=BLUE,
        linewidths=0,
        label="tasks",
    )
    axes.set(
        xlabel="memory peak in A [MiB]",
        ylabel="memory peak in B [MiB]",
        title="Memory, each task twice",
        xlim=ends,
        ylim=ends,
    )
    axes.legend(loc="upper left")
    plt.show()

# %% [markdown]
# **Read:** points above the line need more in B. **Change:** if all do, `memory_per_task` wants the same factor.
#
# ## Agreement with the comparison

# %%
if "alive" not in (comparison["a"]["life"], comparison["b"]["life"]):
    assert len(pairs) == comparison["matching"]["pair_count"]
    assert comparison["missing"]["task_count"] == len(a) - len(pairs) and comparison["new"]["task_count"] == len(
        b
    ) - len(pairs)
    assert len(both) == comparison["times"]["pair_count"]
    if len(both):
        for of_report in comparison["times"]["ratios"]:
            rank = max(int(np.ceil(of_report["fraction"] * len(ratios))), 1) - 1
            np.testing.assert_allclose(ratios.iloc[rank], of_report["value"], rtol=1e-6)
        assert slower.sum() == comparison["slower"]["task_count"] and faster.sum() == comparison["faster"]["task_count"]
