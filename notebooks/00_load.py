# %% [markdown]
# # Load a record
#
# What a run of `ictasks` did is in four Parquet files and `run.json` of its run directory. They need no program of
# ours: pandas, polars, DuckDB, R or Spark read them. This notebook loads them in three of these ways and draws two
# first pictures.
#
# Put the directory of your own run into the next cell. As it stands, it is the record of 210 runs of a differential
# equation's solver that ships with these notebooks (`data/README.md`).

# %% tags=["parameters"]
run_dir = "data/oscillator"

# %%
import duckdb
import ictasks
import matplotlib.pyplot as plt
import pandas as pd
import polars as pl
from matplotlib.ticker import LogLocator, NullFormatter

run = ictasks.load(run_dir)
print(
    f"{run.info['job_id']}: {run.info['state']}, {len(run.info['sessions'])} session(s), ictasks {run.info['version']}"
)
run.counts

# %% [markdown]
# ## The tables
#
# `tasks` has one row a task, that of its last attempt; `attempts` has one row an attempt, so also those that were
# tried again. `events` is what happened, in order, and `samples` is what hosts, tasks and GPUs used over time.
# `tasks` and `attempts` are joined on `task_index`. All columns: [README of
# `ictasks-record`](../crates/ictasks-record/README.md).
#
# Units stand in the names: `_s` seconds, `_bytes`, `_count`, `_fraction` 0 to 1, `_at` a time in UTC. **What was
# not measured is null, never 0**: so count before you average.

# %%
tables = {"tasks": run.tasks(), "attempts": run.attempts(), "events": run.events(), "samples": run.samples()}
pd.DataFrame({name: {"rows": len(table), "columns": table.shape[1]} for name, table in tables.items()}).T

# %% [markdown]
# ## pandas
#
# `run.tasks()` is `pandas.read_parquet(run_dir + "/tasks.parquet", dtype_backend="numpy_nullable")`; that back end
# keeps whole numbers whole where some are null. `run.tasks()` reads the journal too, of a run that is at work or
# was killed.

# %%
tasks = tables["tasks"]
columns = ["task_id", "outcome", "exit_code", "wall_s", "user_s", "max_process_rss_bytes"]
tasks[columns].head()

# %% [markdown]
# What tasks were given as parameters and what they wrote to their `result.json` are columns beside what they cost:
# notebook 05 plots them.

# %%
own = [column for column in tasks if column.startswith(("param_", "result_"))]
tasks[own].describe(include="all").T if own else "No task of this run has parameters or results."

# %% [markdown]
# ## polars

# %%
frame = run.tasks(engine="polars")
by_outcome = (
    frame.group_by(pl.col("outcome").cast(pl.String))
    .agg(
        pl.len().alias("tasks"),
        pl.col("wall_s").median().alias("median_s"),
        (pl.col("wall_s") * pl.col("core_count")).sum().alias("core_s"),
    )
    .sort("tasks", "outcome", descending=[True, False])
)
by_outcome

# %% [markdown]
# ## DuckDB
#
# SQL on the files themselves, without loading them: `from 'RUN_DIR/tasks.parquet'`; of many runs at once `from
# read_parquet('runs/*/tasks.parquet', union_by_name=true, filename=true)`. Here on the Arrow table that `run.tasks`
# gives, which also a run has that is still at work.

# %%
arrow = run.tasks(engine="arrow")
in_sql = duckdb.sql("""
    select outcome, count(*) as tasks, median(wall_s) as median_s, sum(wall_s * core_count) as core_s
    from arrow group by outcome order by tasks desc, outcome
""").df()
in_sql

# %% [markdown]
# All of them count the same, and so does `run.counts`.

# %%
assert dict(zip(by_outcome["outcome"], by_outcome["tasks"])) == dict(zip(in_sql["outcome"], in_sql["tasks"]))
assert dict(zip(in_sql["outcome"], in_sql["tasks"])) == tasks["outcome"].value_counts().loc[lambda n: n > 0].to_dict()
assert run.state != "finished" or sum(run.counts.values()) == len(tasks)

# %% [markdown]
# ## A first picture: what tasks take

# %%
plt.rcParams.update({"figure.figsize": (8, 3.6), "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
# The palette of Okabe and Ito, which colour-blind readers can tell apart; markers say the same again.
LOOKS = {
    "succeeded": ("#0072B2", "o"),
    "failed": ("#D55E00", "X"),
    "signaled": ("#CC79A7", "v"),
    "timed_out": ("#E69F00", "s"),
    "out_of_memory": ("#000000", "P"),
    "spawn_failed": ("#56B4E9", "D"),
    "cancelled": ("#777777", "<"),
    "node_lost": ("#009E73", ">"),
}


def log_if_wide(axes, which, values):
    """A logarithmic axis, with plain numbers, where values span more than a factor of 20."""
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set(**{f"{which}scale": "log"})
        axis = getattr(axes, f"{which}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 1000 * values.min() else (1,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


attempts = tables["attempts"]
# The larger of the largest process (always known) and the sampled tree (known of tasks that ran long enough).
attempts["peak_bytes"] = attempts[["max_process_rss_bytes", "max_tree_rss_bytes"]].max(axis=1)
ran = attempts.dropna(subset=["wall_s", "peak_bytes"])
if ran.empty:
    print("No attempt of this run has a duration and a memory peak: nothing to show.")
else:
    figure, axes = plt.subplots()
    for outcome, (colour, marker) in LOOKS.items():
        those = ran[ran["outcome"] == outcome]
        if len(those):
            axes.scatter(
                those["wall_s"].astype(float),
                those["peak_bytes"].astype(float) / 2**20,
                s=26,
                alpha=0.7,
                color=colour,
                marker=marker,
                linewidths=0,
                label=f"{outcome} ({len(those)})",
            )
    log_if_wide(axes, "x", ran["wall_s"])
    log_if_wide(axes, "y", ran["peak_bytes"])
    axes.set(xlabel="duration of an attempt [s]", ylabel="memory peak [MiB]")
    axes.set_title("What attempts took")
    axes.legend(title="outcome (attempts)", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** each mark is an attempt; further right took longer, further up needed more memory. Clouds that lie apart
# are kinds of tasks. **Change:** where failures (other marks) lie at one edge, look for a limit: of time at the
# right (notebook 02), of memory at the top (03), a program that stops at once at the left (04).
#
# ## A second picture: over time
#
# `samples` has a row for each host about once a second (more rarely as the run grows old).

# %%
samples = tables["samples"]
of_hosts = samples[samples["scope"] == "host"]
if of_hosts.empty:
    print("This record has no samples of hosts (the run was shorter than the first one): nothing to show.")
else:
    # Sessions stand one behind the other, without the hours or days between.
    of_session = of_hosts.groupby("session")["at"]
    spans_s = (of_session.max() - of_session.min()).dt.total_seconds()
    begin = of_hosts["session"].map(of_session.min())
    time_s = (of_hosts["at"] - begin).dt.total_seconds() + of_hosts["session"].map(spans_s.cumsum() - spans_s)
    of_hosts = of_hosts.assign(time_s=time_s).sort_values("time_s")
    figure, (cores, memory) = plt.subplots(2, 1, sharex=True, figsize=(8, 4.4))
    hosts = of_hosts["host"].value_counts().loc[lambda n: n > 0].index[:6]
    colours = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#000000"]
    for host, style, colour in zip(hosts, ["-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1))], colours):
        those = of_hosts[of_hosts["host"] == host]
        look = {"color": colour, "ls": style, "lw": 1.2, "marker": "." if len(those) < 200 else None, "label": host}
        cores.plot(those["time_s"], those["busy_cores"].astype(float), **look)
        memory.plot(those["time_s"], those["rss_bytes"].astype(float) / 2**30, **look)
    cores.set(ylabel="busy cores", title="What hosts used", ylim=(0, None))
    memory.set(ylabel="memory [GiB]", xlabel="time in which a session was sampled [s]", ylim=(0, None))
    cores.legend(title="host", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** cores that stay busy until the end are well used; memory that climbs from left to right is a leak, or
# tasks that grow. **Change:** where cores fall idle long before the end, notebooks 01 and 02 say why; where memory
# comes near that of the host, notebook 03 says how much a task needs.
