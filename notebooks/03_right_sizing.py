# %% [markdown]
# # Right-sizing: memory, cores, GPUs
#
# What did tasks use of what they were given, and what should be asked for next time? Too much means fewer tasks at
# a time, too little means failures.
#
# Put the directory of your own run into the next cell.

# %% tags=["parameters"]
run_dir = "data/connectivity"

# %%
import ictasks
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

plt.rcParams.update({"figure.figsize": (8, 3.6), "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
BLUE, SKY, RED, ORANGE, GREY = "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#BBBBBB"
MIB, GIB = 2**20, 2**30

run = ictasks.load(run_dir)
findings = run.report().findings
attempts = run.attempts()
samples = run.samples()


def log_if_wide(axes, which, values):
    """A logarithmic axis, with plain numbers, where values span more than a factor of 20."""
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set(**{f"{which}scale": "log"})
        axis = getattr(axes, f"{which}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 1000 * values.min() else (1,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def size(size_bytes):
    return f"{size_bytes / GIB:.3g} GiB" if size_bytes >= GIB else f"{size_bytes / MIB:.3g} MiB"


# %% [markdown]
# ## Memory
#
# An attempt's peak is the larger of its largest process (exact, also of the shortest task) and the sampled sum over
# all its processes. What ran out of memory would have used more: its peak is a lower bound.

# %%
attempts["peak_bytes"] = attempts[["max_process_rss_bytes", "max_tree_rss_bytes"]].max(axis=1).astype("Float64")
peaked = attempts.dropna(subset=["peak_bytes"]).copy()
peaked["peak_bytes"] = peaked["peak_bytes"].astype(float)
ran_out = peaked["outcome"].eq("out_of_memory")
memory = findings["memory"]
if peaked.empty:
    print("No attempt of this run has a memory peak: nothing to show.")
else:
    figure, axes = plt.subplots()
    ordered = peaked.sort_values("peak_bytes")
    share = pd.Series(np.arange(1, len(ordered) + 1) / len(ordered), ordered.index)
    axes.step(ordered["peak_bytes"] / MIB, share, where="post", color=BLUE, label="attempts")
    if ran_out.any():
        axes.plot(
            ordered.loc[ran_out, "peak_bytes"] / MIB,
            share[ordered.index[ran_out[ordered.index]]],
            ls="",
            marker=">",
            color=RED,
            label=f"ran out of memory ({ran_out.sum()})",
        )
    lines = [
        ("requested_bytes", "given", "black", "-"),
        ("advised_bytes", "advised", ORANGE, "--"),
        ("advised_p95_bytes", "advised for 95 %", ORANGE, ":"),
    ]
    for name, label, colour, style in lines:
        if memory[name] is not None:
            axes.axvline(memory[name] / MIB, color=colour, ls=style, label=f"{label}: {size(memory[name])}")
    log_if_wide(axes, "x", ordered["peak_bytes"])
    axes.set(
        xlabel="memory peak of an attempt [MiB]",
        ylabel="share up to here [%]",
        title="How much memory attempts needed",
        ylim=(0, 1.03),
    )
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** the curve says what share of attempts needs at most so much. Right of the line "given" nothing could go
# on. **Change:** set `memory_per_task` to "advised" (1.2 × the largest peak, rounded up). Where the curve is steep
# and then flat, give most tasks the small size and run the rest apart with the large one.
#
# ### How many fit on a node

# %%
sizes = {
    "given": memory["requested_bytes"],
    "advised": memory["advised_bytes"],
    "advised for 95 %": memory["advised_p95_bytes"],
}
node_bytes = memory["node_bytes"]
pd.DataFrame(
    {
        name: {
            "memory_per_task": size(size_bytes),
            "attempts that fit": f"{(peaked['peak_bytes'].le(size_bytes) & ~ran_out).mean():.0%}",
            "tasks at a time on the smallest node": node_bytes // size_bytes if node_bytes else "?",
        }
        for name, size_bytes in sizes.items()
        if size_bytes
    }
).T

# %% [markdown]
# ### What memory depends on
#
# The numeric parameter that goes with the peak most closely (rank correlation).

# %%
numeric = [
    column
    for column in peaked
    if column.startswith("param_") and pd.api.types.is_numeric_dtype(peaked[column]) and peaked[column].nunique() > 1
]
ranks = peaked[["peak_bytes", *numeric]].astype(float).rank()
correlation = ranks.corr()["peak_bytes"].drop("peak_bytes").dropna()
if correlation.empty:
    print("Tasks of this run have no numeric parameter that varies: nothing to show.")
elif correlation.abs().max() < 0.2:
    print(f"Memory depends on none of {', '.join(numeric)}: nothing to show.")
else:
    closest = correlation.abs().idxmax()
    figure, axes = plt.subplots()
    for those, colour, marker, label in [(~ran_out, BLUE, "o", "attempts"), (ran_out, RED, "^", "ran out of memory")]:
        if those.any():
            axes.scatter(
                peaked.loc[those, closest].astype(float),
                peaked.loc[those, "peak_bytes"] / MIB,
                s=24 if len(peaked) < 1000 else 8,
                alpha=0.6,
                color=colour,
                marker=marker,
                linewidths=0,
                label=label,
            )
    for name, label, colour, style in lines[:2]:
        if memory[name] is not None:
            axes.axhline(memory[name] / MIB, color=colour, ls=style, label=label)
    axes.set(
        xlabel=closest,
        ylabel="memory peak [MiB]",
        title=f"Memory by {closest} (rank correlation {correlation[closest]:.2f})",
        ylim=(0, None),
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** a clear curve lets you extrapolate to larger values; a cloud says that something else decides. Red
# triangles would lie higher, had they not been ended. **Change:** where memory grows with the parameter, sort the
# tasks by it and give parts of the sweep sizes of their own.
#
# ## Cores
#
# An attempt's CPU efficiency is its CPU time by the core time that it held: 100 % computes all the time, less
# waits, more had more threads than cores.

# %%
ran = attempts.dropna(subset=["started_at", "wall_s", "user_s", "system_s"]).copy()
ran["core_s"] = ran["wall_s"].astype(float) * ran["core_count"].fillna(0).astype(float)
ran["cpu_s"] = (ran["user_s"] + ran["system_s"]).astype(float)
ran = ran[ran["core_s"] > 0]
efficiency = ran["cpu_s"] / ran["core_s"]
if ran.empty:
    print("No attempt of this run has a CPU time: nothing to show.")
else:
    of_all = ran["cpu_s"].sum() / ran["core_s"].sum()
    figure, (overall, single) = plt.subplots(1, 2, figsize=(8, 3.4))
    overall.hist(
        100 * efficiency,
        bins=np.linspace(0, max(110, 100 * efficiency.max() * 1.02), 45),
        weights=ran["core_s"],
        color=SKY,
        edgecolor="white",
    )
    overall.axvline(100 * of_all, color="black", ls="--", label=f"all: {of_all:.0%}")
    overall.set(xlabel="CPU efficiency [%]", ylabel="core time [core s]", title="Computing or waiting")
    overall.legend(loc="upper left")
    single.scatter(
        ran["wall_s"].astype(float),
        ran["cpu_s"] / ran["wall_s"].astype(float),
        s=18,
        alpha=0.5,
        color=BLUE,
        linewidths=0,
        label="attempts",
    )
    held = ran["core_count"].astype(float).median()
    single.axhline(held, color="black", ls="--", label=f"held: {held:g}")
    log_if_wide(single, "x", ran["wall_s"])
    single.set(xlabel="duration [s]", ylabel="cores in use, mean", title="Cores in use by duration", ylim=(0, None))
    single.legend(loc="lower right")
    plt.show()

# %% [markdown]
# **Read:** left, where the core time was well used; right, each attempt against the cores that it held. Short
# attempts are often less efficient: starting a program waits for files. **Change:** much core time far below 100 %:
# fewer cores a task (`cores_per_task`), or, where tasks wait for input and output, more workers than cores.
# Attempts above the dashed line: set `OMP_NUM_THREADS` (or the like) to what they hold.
#
# ### What tasks wait for

# %%
sums = findings["io"]
held_s = ran["core_s"].sum()
pd.Series(
    {
        "core time held [core s]": held_s,
        "of it CPU, own code [%]": 100 * ran["user_s"].astype(float).sum() / held_s if held_s else None,
        "of it CPU, kernel [%]": 100 * ran["system_s"].astype(float).sum() / held_s if held_s else None,
        "read by calls [MiB]": sums["syscall_read_bytes"] / MIB if sums["syscall_read_bytes"] is not None else None,
        "written by calls [MiB]": sums["syscall_write_bytes"] / MIB
        if sums["syscall_write_bytes"] is not None
        else None,
        "read from storage [MiB]": sums["storage_read_bytes"] / MIB if sums["storage_read_bytes"] is not None else None,
        "waits for something, per attempt": ran["voluntary_switch_count"].astype(float).mean(),
    },
    name="all attempts",
).round(2).to_frame()

# %% [markdown]
# ## GPUs
#
# GPUs are sampled, so that short tasks have no figures.

# %%
held = attempts[attempts["gpu_count"].fillna(0) > 0].copy()
if held.empty:
    print("No attempt of this run held a GPU: this record says nothing about GPUs.")
else:
    held["busy"] = held["gpu_busy_fraction"].astype(float)
    held["memory_gib"] = held["gpu_memory_max_bytes"].astype(float) / GIB
    known = f"{held['busy'].notna().sum()} have a figure of its use, {held['memory_gib'].notna().sum()} of its memory"
    print(f"{len(held)} attempts held a GPU; {known}")
    figure, (busy, used) = plt.subplots(1, 2, figsize=(8, 3.4))
    busy.hist(
        100 * held["busy"].dropna(),
        bins=np.linspace(0, 100, 21),
        weights=(held["wall_s"] * held["gpu_count"]).astype(float)[held["busy"].notna()],
        color=SKY,
        edgecolor="white",
    )
    busy.set(xlabel="GPU busy [%]", ylabel="GPU time held [GPU s]", title="How busy GPUs were")
    used.scatter(held["wall_s"].astype(float), held["memory_gib"], s=18, alpha=0.6, color=BLUE, linewidths=0)
    used.set(xlabel="duration [s]", ylabel="largest GPU memory [GiB]", title="GPU memory of attempts", ylim=(0, None))
    plt.show()
findings["gpu"] and pd.Series(
    {name: findings["gpu"][name] for name in ("gpu_count", "held_gpu_s", "busy_fraction", "energy_j")}, name="GPUs"
).to_frame()

# %% [markdown]
# **Read:** left, how much of the GPU time that was held was used; right, how much of the device's memory.
# **Change:** below 50 % busy and well below half the memory, let two tasks share a device (more workers than GPUs:
# give the same id twice), or feed the device faster: more cores for reading, larger batches.
#
# ### GPUs over time

# %%
of_gpus = samples[samples["scope"] == "gpu"].copy()
if of_gpus.empty:
    print("This record has no samples of GPUs: nothing to show.")
else:
    figure, axes = plt.subplots()
    of_gpus["name"] = of_gpus["host"].astype(str) + " GPU " + of_gpus["gpu"].astype(str)
    looks = zip(["-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1))], [BLUE, RED, "#009E73", ORANGE, "#CC79A7", "#000000"])
    for (name, of_gpu), (style, colour) in zip(of_gpus.groupby("name"), looks):
        of_gpu = of_gpu.sort_values("at")
        time = (of_gpu["at"] - of_gpus["at"].min()).dt.total_seconds()
        marker = "." if len(of_gpu) < 200 else None
        share = 100 * of_gpu["gpu_busy_fraction"].astype(float)
        axes.plot(time, share, ls=style, lw=1, marker=marker, color=colour, label=name)
    axes.set(xlabel="time since the first sample [s]", ylabel="GPU busy [%]", title="GPUs over time", ylim=(0, 105))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# ## What the report advises

# %%
advice = [note for note in findings["advice"]]
for number, note in enumerate(advice, 1):
    print(
        f"{number}. {note['title']}\n   {note['evidence']}" + (f"\n   > {note['setting']}" if note["setting"] else "")
    )
print("" if advice else "Nothing: following no advice would have saved core time.")

# %% [markdown]
# ## Agreement with the report


# %%
def advised(peak_bytes):
    """1.2 × the peak, rounded up to a size that people write."""
    wanted = int(np.ceil(max(peak_bytes, 1) * 1.2))
    step = 64 * MIB if wanted <= GIB else 512 * MIB if wanted <= 16 * GIB else GIB
    return -(-wanted // step) * step


if findings["runs"][0]["life"] != "alive":
    if len(peaked):
        least = memory["requested_bytes"] if ran_out.any() and memory["requested_bytes"] else 0
        assert advised(max(peaked["peak_bytes"].max(), least)) == memory["advised_bytes"]
        assert len(peaked) == memory["peaks"]["count"]
        np.testing.assert_allclose(peaked["peak_bytes"].sum(), memory["peaks"]["sum"])
    if len(ran):
        np.testing.assert_allclose(
            ran["cpu_s"].sum() / ran["core_s"].sum(), findings["cores"]["cpu_efficiency_fraction"], rtol=1e-6
        )
    if findings["gpu"]:
        np.testing.assert_allclose(
            (held["wall_s"] * held["gpu_count"]).astype(float).sum(), findings["gpu"]["held_gpu_s"], rtol=1e-6
        )
