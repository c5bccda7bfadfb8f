# %% [markdown]
# # Overview and utilisation
#
# How did it go, and what became of the cores that were paid for? The figures are those of `ictasks report`; the
# pictures are drawn from the tables, so that you can bend them. The last cells check that both agree.
#
# Put the directory of your own run into the next cell. As it stands, it is a run that was interrupted and resumed.

# %% tags=["parameters"]
run_dir = "data/connectivity"

# %%
import ictasks
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

plt.rcParams.update({"figure.figsize": (8, 3.6), "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
# The palette of Okabe and Ito, which colour-blind readers can tell apart; hatches say the same again.
LOOKS = {
    "succeeded": ("#0072B2", ""),
    "failed": ("#D55E00", "////"),
    "signaled": ("#CC79A7", "\\\\\\\\"),
    "timed_out": ("#E69F00", "xxxx"),
    "out_of_memory": ("#000000", ""),
    "spawn_failed": ("#56B4E9", "...."),
    "cancelled": ("#BBBBBB", "----"),
    "node_lost": ("#009E73", "++++"),
    "pending": ("#FFFFFF", ""),
}

run = ictasks.load(run_dir)
findings = run.report().findings
attempts = run.attempts()
print(findings["verdict"]["sentence"])
print("\n".join(findings["lacks"]))

# %% [markdown]
# ## Outcomes
#
# Tasks by the outcome of their last attempt, and the core time that all attempts with an outcome held.

# %%
ran = attempts.dropna(subset=["started_at", "wall_s"]).copy()
ran["core_s"] = ran["wall_s"].astype(float) * ran["core_count"].fillna(0).astype(float)
outcomes = pd.DataFrame(
    {
        "tasks": run.tasks()["outcome"].value_counts(),
        "attempts": attempts["outcome"].value_counts(),
        "core_s": ran.groupby("outcome", observed=True)["core_s"].sum(),
    }
).fillna(0)
outcomes = outcomes.reindex([outcome for outcome in LOOKS if outcome in outcomes.index])
outcomes = outcomes[(outcomes[["tasks", "attempts"]] > 0).any(axis=1)]

figure, axes = plt.subplots(figsize=(8, 2.3))
for place, column in enumerate(["core_s", "tasks"]):
    left = 0.0
    total = outcomes[column].sum()
    for outcome, value in outcomes[column].items():
        colour, hatch = LOOKS[outcome]
        share = value / total if total else 0.0
        axes.barh(
            place,
            share,
            left=left,
            color=colour,
            hatch=hatch,
            edgecolor="white" if colour != "#FFFFFF" else "black",
            label=outcome if place == 0 else None,
        )
        if share > 0.06:
            axes.text(
                left + share / 2,
                place,
                f"{value:,.0f}",
                ha="center",
                va="center",
                fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )
        left += share
axes.set(
    yticks=[0, 1],
    yticklabels=["core time [core s]", "tasks"],
    xlabel="share [%]",
    title="How tasks ended, and what that cost",
)
axes.set_xticks(np.linspace(0, 1, 6), [f"{tick:.0f}" for tick in np.linspace(0, 100, 6)])
axes.grid(visible=False)
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()

# %% [markdown]
# **Read:** where an outcome's share of the core time is wider than its share of the tasks, each of these was dearer
# than most. Retries count as core time, not as tasks. **Change:** much core time without success is notebook 04's
# business.
#
# ## What each worker did
#
# Time is that in which a session was alive: sessions stand one behind the other, without the hours or days between.

# %%
sessions = pd.DataFrame(findings["runs"][0]["sessions"]).set_index("session")
began_at = pd.to_datetime(sessions["began_at"], format="ISO8601", utc=True)
ended_at = pd.to_datetime(sessions["ended_at"], format="ISO8601", utc=True)
alive_s = (ended_at - began_at).dt.total_seconds()
axis_s = alive_s.cumsum() - alive_s


def on_axis(times, of_session):
    """Seconds on the axis of time in which a session was alive."""
    begin = of_session.map(began_at).clip(upper=times)
    return (of_session.map(axis_s) + (times - begin).dt.total_seconds()).astype(float).to_numpy()


ran["start_s"] = on_axis(ran["started_at"], ran["session"])
ran["end_s"] = ran["start_s"] + ran["wall_s"].astype(float)
ran["worker"] = ran["host"].astype(str) + "/" + ran["worker_id"].astype(str)
workers = ran[["host", "worker_id", "worker"]].drop_duplicates().sort_values(["host", "worker_id"])["worker"].tolist()


def busy_share(of_worker, edges):
    """Share of each step in which a worker had a task."""
    of_worker = of_worker.sort_values("start_s")
    times = of_worker[["start_s", "end_s"]].to_numpy().ravel()
    lengths = np.diff(times, prepend=0.0)
    lengths[0::2] = 0.0  # from an end to the next start it is idle
    return np.diff(np.interp(edges, np.maximum.accumulate(times), lengths.cumsum())) / np.diff(edges)


if ran.empty:
    print("No attempt of this run ever started: nothing to show.")
elif len(ran) <= 5000 and len(workers) <= 64:
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.28 * len(workers)))
    for outcome, of_outcome in ran.groupby("outcome", observed=True):
        colour, hatch = LOOKS[outcome]
        label = outcome
        for worker, bars in of_outcome.groupby("worker"):
            spans = list(zip(bars["start_s"], bars["end_s"] - bars["start_s"]))
            axes.broken_barh(
                spans,
                (workers.index(worker) - 0.4, 0.8),
                facecolors=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.4,
                label=label,
            )
            label = None
    axes.set_yticks(range(len(workers)), workers)
else:
    edges = np.linspace(0.0, alive_s.sum(), 401)
    shares = np.array([busy_share(ran[ran["worker"] == worker], edges) for worker in workers])
    rows = [part.mean(axis=0) for part in np.array_split(shares, min(64, len(workers)))]
    figure, axes = plt.subplots(figsize=(8, 4.4))
    image = axes.imshow(
        rows,
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0.0, alive_s.sum(), len(workers), 0),
    )
    figure.colorbar(image, label="share of time with a task")
    axes.grid(visible=False)
if len(ran):
    for start in axis_s[1:]:
        axes.axvline(start, color="black", ls="--", lw=1)
        axes.annotate(
            "resumed",
            (start, 1),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            ha="left",
            va="bottom",
            xytext=(2, 1),
            textcoords="offset points",
        )
    axes.set(xlabel="time in which a session was alive [s]", ylabel="worker", xlim=(0, alive_s.sum()))
    axes.set_title("What each worker did", loc="left", pad=14)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** white is an idle worker. White at the right end is a tail (notebook 02), white everywhere is a list that
# came too slowly or tasks too short for the farm to keep up, a worker that is whiter than the others had fewer or
# was lost. **Change:** put long tasks first, batch short ones, ask for no more cores than stay busy.
#
# ## Cores over time


# %%
def mean_over_steps(starts, ends, heights, edges):
    """Mean of a sum of boxes over each step: of the cores that attempts held, of the tasks that waited."""

    def integral(times):
        order = np.argsort(times)
        count = np.searchsorted(times[order], edges)
        summed = np.concatenate([[0.0], heights[order].cumsum()])[count]
        moments = np.concatenate([[0.0], (heights * times)[order].cumsum()])[count]
        return edges * summed - moments

    return np.diff(integral(starts) - integral(ends)) / np.diff(edges)


concurrency = findings["concurrency"]
edges = np.arange(len(concurrency["busy"]) + 1) * concurrency["step_s"]
start_s, end_s = ran["start_s"].to_numpy(), ran["end_s"].to_numpy()
busy = mean_over_steps(start_s, end_s, ran["core_count"].fillna(0).astype(float).to_numpy(), edges)
waiting = ran.dropna(subset=["ready_at"])
ready_s = on_axis(waiting["ready_at"], waiting["session"])
queued = mean_over_steps(ready_s, waiting["start_s"].to_numpy(), np.ones(len(waiting)), edges)

figure, (cores, queue) = plt.subplots(2, 1, sharex=True, figsize=(8, 4.4), height_ratios=[2, 1])
cores.stairs(busy, edges, fill=True, color="#0072B2", alpha=0.6, label="held by tasks")
cores.stairs(concurrency["available"], edges, color="black", lw=1.5, ls="--", label="there")
cores.set(ylabel="cores", title="Cores over time", ylim=(0, None))
cores.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
queue.stairs(queued, edges, color="#D55E00", lw=1.5)
queue.set(ylabel="tasks that\nwait", xlabel="time in which a session was alive [s]", ylim=(0, None))
plt.show()

# %% [markdown]
# **Read:** the gap between the dashed line and the area is what was paid for and not used. While the lower curve is
# above 0 there was work for every core. (Tasks that never started are not in it.) **Change:** a gap while tasks
# wait is the farm's or the file system's; a gap without waiting tasks is the list's: more tasks, or fewer cores.
#
# ## Where the core time went

# %%
parts = pd.DataFrame(findings["cores"]["parts"], columns=["name", "core_s"])
available = findings["cores"]["available_core_s"]
if parts.empty or not available:
    print("This run held no cores for any time: nothing to show.")
else:
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.34 * len(parts)))
    looks = [
        ("#0072B2", "")
        if name.startswith("useful")
        else ("#BBBBBB", "....")
        if name.startswith("idle")
        else ("#D55E00", "////")
        for name in parts["name"]
    ]
    left = parts["core_s"].cumsum() - parts["core_s"]
    bars = axes.barh(parts["name"], parts["core_s"], left=left, edgecolor="white")
    for bar, (colour, hatch) in zip(bars, looks):
        bar.set(facecolor=colour, hatch=hatch)
    axes.bar_label(
        bars,
        [f" {value:,.{0 if value >= 100 else 2}f} ({value / available:.1%})" for value in parts["core_s"]],
        fontsize=9,
    )
    axes.invert_yaxis()
    axes.set(xlabel=f"core time [core s] of {available:,.1f} that there were", xlim=(0, 1.18 * available))
    axes.set_title("Where the core time went", loc="left")
    plt.show()

# %% [markdown]
# **Read:** from top to bottom, the parts add up to all core time there was. Blue, without hatches, is what you came
# for. **Change:** the longest bar that is not blue is where to begin: "waiting" is input and output or sleep
# (notebook 03), a kind of failure is notebook 04's, "idle: tail" notebook 02's.
#
# ## Balance of workers and hosts

# %%
by_worker = ran.groupby("worker")["wall_s"].sum().astype(float).reindex(workers)
if ran.empty:
    print("No attempt of this run ever started: nothing to show.")
else:
    figure, axes = plt.subplots(figsize=(8, 2.8))
    worker_count = max(findings["cores"]["worker_count"], len(workers))
    in_order = np.sort(np.concatenate([by_worker.to_numpy(), np.zeros(worker_count - len(workers))]))[::-1]
    axes.bar(range(1, worker_count + 1), in_order, color="#56B4E9", edgecolor="white", width=0.9)
    axes.axhline(in_order.mean(), color="black", ls="--", label=f"mean: {in_order.mean():,.1f} s")
    axes.set(xlabel="worker, the busiest first", ylabel="busy [s]", title="How evenly workers were used")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower left")
    plt.show()
pd.DataFrame(findings["hosts"])[
    [
        "host",
        "core_count",
        "attempt_count",
        "failed_count",
        "slowness",
        "cpu_efficiency_fraction",
        "memory_peak_fraction",
    ]
] if findings["hosts"] else "No host is known."

# %% [markdown]
# **Read:** mean by largest is the load balance; 80 % is acceptable. In the table `slowness` is the median duration
# on a host by that of the same groups of tasks on others: 1.5 is half as slow again; empty with one host.
# **Change:** few long tasks on one worker: put them first. A slow host or one with most failures: leave it out and
# tell its owner.
#
# ## The figures

# %%
last = attempts.loc[attempts.groupby("task_index")["attempt"].idxmax()]
work = ran["core_s"].sum()
cpu = (ran["user_s"] + ran["system_s"]).astype(float)
measured = ran.loc[cpu.notna(), "core_s"].sum()
useful = ran[ran.index.isin(last.index) & (ran["outcome"] == "succeeded")]["core_s"].sum()
longest = ran["wall_s"].max() if len(ran) else 0.0
core_count = findings["cores"]["core_count"]
makespan = alive_s.sum()
lower_bound = max(work / core_count, longest) if longest and core_count else None


def ratio(one, other):
    return one / other if one is not None and other else None


figures = {
    # name in words: (from the tables, the report's)
    "makespan [s]": (makespan, findings["time"]["makespan_s"]),
    "best possible end (lower bound) [s]": (lower_bound, findings["time"]["lower_bound_s"]),
    "scheduling efficiency": (ratio(lower_bound, makespan), findings["time"]["scheduling_efficiency_fraction"]),
    "core time held by attempts [core s]": (work, findings["cores"]["occupied_core_s"]),
    "core occupancy": (ratio(work, available), findings["cores"]["occupancy_fraction"]),
    "CPU efficiency": (ratio(cpu.sum(), measured), findings["cores"]["cpu_efficiency_fraction"]),
    "useful core time (goodput)": (ratio(useful, work), findings["cores"]["goodput_fraction"]),
    "load balance": (
        ratio(in_order.mean(), in_order.max()) if len(ran) else None,
        findings["cores"]["load_balance_fraction"],
    ),
}
figures = pd.DataFrame(figures, index=["from the tables", "the report's"], dtype=float).T
figures

# %% [markdown]
# Both must be the same. (Of a run that is at work the report goes on counting while this notebook reads.)

# %%
if findings["runs"][0]["life"] != "alive":
    np.testing.assert_allclose(figures["from the tables"], figures["the report's"], rtol=1e-6)
    np.testing.assert_allclose(busy, concurrency["busy"], atol=1e-4 * max(core_count, 1))
    np.testing.assert_allclose(parts["core_s"].sum(), available, rtol=1e-3)

# %% [markdown]
# ## The whole report
#
# As a page of its own: `ictasks report RUN_DIR --format html`.

# %%
run.report()
