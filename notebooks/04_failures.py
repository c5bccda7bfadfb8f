# %% [markdown]
# # Failures
#
# What failed, why, where, was it worth trying again, and which command runs it once more?
#
# Put the directory of your own run into the next cell.

# %% tags=["parameters"]
run_dir = "data/connectivity"

# %%
import ictasks
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

plt.rcParams["text.parse_math"] = False  # dollars in what comes from tasks are dollars
plt.rcParams.update({"figure.figsize": (8, 3.6), "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
BLUE, SKY, RED, ORANGE, GREY = "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#BBBBBB"
# Cancelled attempts and those of lost nodes did not fail: they run again with `--resume`.
FAILURES = ["failed", "signaled", "timed_out", "out_of_memory", "spawn_failed"]


def plain(value, length=40):
    """A value as text for a picture: what came from a task may hold control characters."""
    text = f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)[:length]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


run = ictasks.load(run_dir)
report = run.report()
findings = report.findings
attempts = run.attempts()
attempts["has_failed"] = attempts["outcome"].isin(FAILURES)
attempts["core_s"] = attempts["wall_s"].fillna(0).astype(float) * attempts["core_count"].fillna(0).astype(float)
has_failures = bool(attempts["has_failed"].any())
print(findings["verdict"]["sentence"])
if not has_failures:
    print("No attempt of this run failed: there is little to show here.")

# %% [markdown]
# ## Why: groups of failures
#
# Attempts that failed are in one group if they ended in the same way and said the same, numbers, paths and the like
# aside.

# %%
groups = run.failures()
for number, group in groups.head(10).iterrows():
    where = ", ".join(f"{host['value']} {host['count']}" for host in group["hosts"]) or "no host"
    cost = f"{group['attempt_count']} attempts, {group['core_s']:.3g} core s"
    print(f"[{number}] {cost}: {group['meaning']}; on {where}")
    print(f"    {group['template'] or '(printed nothing)'}")
    for value in group["over_represented"][:3]:
        shares = f"{value['fraction_of_group']:.0%} have it, of all attempts {value['fraction_of_all']:.0%}"
        print(f"    {value['column']} = {value['value']}: {shares}")

# %%
if has_failures:
    shown = groups.head(12)
    labels = [f"[{number}] {plain(group['template'] or group['meaning'], 46)}" for number, group in shown.iterrows()]
    figure, (counts, costs) = plt.subplots(1, 2, sharey=True, figsize=(8.6, 1.4 + 0.42 * len(shown)))
    for axes, column, colour, hatch, form in [
        (counts, "attempt_count", RED, "////", "{:,.0f}"),
        (costs, "core_s", GREY, "....", "{:,.3g}"),
    ]:
        bars = axes.barh(labels, shown[column], color=colour, hatch=hatch, edgecolor="white")
        axes.bar_label(bars, [" " + form.format(value) for value in shown[column]], fontsize=9)
        axes.set_xlim(0, 1.2 * max(shown[column].max(), 1e-9))
    counts.invert_yaxis()
    counts.set(xlabel="attempts", title="How often")
    costs.set(xlabel="core time [core s]", title="What it cost")
    plt.show()

# %% [markdown]
# **Read:** the same groups twice: by number, and by the core time that was lost. **Change:** begin with the longest
# grey bar, not the longest red one: a time-out costs its whole limit, a missing file next to nothing.
#
# ## Where: values of parameters
#
# The share of attempts that failed by the two parameters (or a parameter and the host) of which it depends most.


# %%
def spread(column):
    """How far the shares of failures of its values lie apart: their variance, less what chance alone would make."""
    shares = attempts.groupby(column, observed=True)["has_failed"].agg(["mean", "size"])
    overall, count = attempts["has_failed"].mean(), shares["size"].sum()
    variance = (shares["size"] * (shares["mean"] - overall) ** 2).sum() / count
    return variance - overall * (1 - overall) * (len(shares) - 1) / count


candidates = [column for column in attempts if column.startswith("param_") or column == "host"]
candidates = [column for column in candidates if 1 < attempts[column].nunique() <= 40]
candidates = sorted(candidates, key=spread, reverse=True)
if not has_failures or not candidates:
    print("Nothing failed, or all attempts have the same parameters and host: nothing to show.")
else:
    down, across = (candidates + [None])[:2]
    shares = attempts.pivot_table(
        values="has_failed", index=down, columns=across or (lambda _: "all"), aggfunc="mean", observed=True
    ).astype(float)
    sizes = attempts.pivot_table(
        values="core_s", index=down, columns=across or (lambda _: "all"), aggfunc="size", observed=True
    )
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.32 * len(shares)))
    image = axes.imshow(100 * shares, cmap="cividis_r", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(
        range(shares.shape[1]),
        [plain(value, 12) for value in shares.columns],
        rotation=90 if shares.shape[1] > 12 else 0,
    )
    axes.set_yticks(
        range(shares.shape[0]),
        [plain(value, 24) for value in shares.index],
    )
    if shares.size <= 200:
        for row, column in np.ndindex(*shares.shape):
            if np.isfinite(shares.iloc[row, column]):
                axes.text(
                    column,
                    row,
                    f"{100 * shares.iloc[row, column]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if shares.iloc[row, column] > 0.5 else "black",
                )
    axes.grid(visible=False)
    axes.set(xlabel=across or "", ylabel=down, title="Share of attempts that failed [%]")
    figure.colorbar(image, label="failed [%]")
    plt.show()

# %% [markdown]
# **Read:** a dark row or column is a value that fails whatever the other is; a dark corner is a limit that both
# reach together; an even grey is chance or the machine. **Change:** leave out or mend the value, not the run. Is
# the host among the axes, look at that host first.
#
# ## When

# %%
ended = attempts.dropna(subset=["started_at", "wall_s"]).sort_values("finished_at")
if ended.empty or not has_failures:
    print("Nothing failed, or nothing ever ran: nothing to show.")
else:
    figure, axes = plt.subplots()
    number = np.arange(1, len(ended) + 1)
    axes.step(number, ended["has_failed"].cumsum(), where="post", color=RED, label="failed")
    axes.plot([0, len(ended)], [0, ended["has_failed"].sum()], color="black", ls=":", label="if evenly spread")
    for session in ended["session"].unique()[1:]:
        axes.axvline(number[(ended["session"] == session).argmax()], color="black", ls="--", lw=1)
        axes.annotate(
            "resumed",
            (number[(ended["session"] == session).argmax()], 0.02),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            xytext=(2, 0),
            textcoords="offset points",
        )
    axes.set(
        xlabel="attempts that have ended",
        ylabel="failed so far",
        title="When attempts failed",
        xlim=(0, len(ended)),
        ylim=(0, None),
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()

# %% [markdown]
# **Read:** a straight line fails at random or all over the sweep; a step is an event (a full disk, a node, a file
# system that was away); a bend is a part of the list that is harder. **Change:** a step: look at what the host or
# storage did then and run these again. From the start on: `max_failures` or `stop_if_none_succeed` would have ended
# the run sooner.
#
# ## Was it worth trying again?

# %%
tries = attempts.groupby("attempt").agg(
    attempts=("has_failed", "size"), failed=("has_failed", "sum"), core_s=("core_s", "sum")
)
tries["succeeded"] = attempts["outcome"].eq("succeeded").groupby(attempts["attempt"]).sum()
again = attempts[attempts["attempt"] > 1]
first = attempts[attempts["has_failed"] & attempts["task_index"].isin(again["task_index"])].drop_duplicates(
    "task_index"
)
worth = first.set_index("task_index")[["outcome"]].join(
    again.groupby("task_index")["outcome"]
    .apply(lambda of_task: bool(of_task.eq("succeeded").any()))
    .rename("then_succeeded")
)
if worth.empty:
    print("No attempt that failed was tried again: nothing to show. (`retries: 1` would try each once more.)")
else:
    by_outcome = worth.groupby("outcome", observed=True)["then_succeeded"].agg(["size", "sum"]).astype(float)
    figure, axes = plt.subplots(figsize=(8, 1.3 + 0.4 * len(by_outcome)))
    axes.barh(by_outcome.index.astype(str), by_outcome["sum"], color=BLUE, edgecolor="white", label="succeeded then")
    bars = axes.barh(
        by_outcome.index.astype(str),
        by_outcome["size"] - by_outcome["sum"],
        left=by_outcome["sum"],
        color=RED,
        hatch="////",
        edgecolor="white",
        label="never succeeded",
    )
    axes.bar_label(
        bars, [f" {good:.0f} of {all_:.0f}" for all_, good in by_outcome.itertuples(index=False)], fontsize=9
    )
    axes.set(
        xlabel="tasks that were tried again",
        ylabel="first failure",
        title="Was it worth trying again?",
        xlim=(0, 1.15 * by_outcome["size"].max()),
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    plt.show()
tries

# %% [markdown]
# **Read:** blue, not hatched, are tasks that succeeded after they had failed first; how they failed first stands at
# the left. **Change:** where nearly all is hatched, retries only cost: set `retries: 0`, or raise the limit that
# they hit. Where most is blue, the trouble is chance: retries are right, and a `retry_delay` may help.
#
# ## What an example printed

# %%
for number, group in groups.head(5).iterrows():
    example = group["example"]
    print(f"[{number}] task {example['task_id']}, attempt {example['attempt']} on {example['host']}")
    print(f"    {example['command'][:100]}")
    print(
        "\n".join("    | " + plain(line, 160) for line in group["example_output"].splitlines()[-6:])
        or "    (it printed nothing)"
    )
    print(f"    > {group['remedy']}" if isinstance(group["remedy"], str) else "")

# %% [markdown]
# ## Run them again
#
# Each line runs the tasks of one group once more, in the same run directory, after you have changed what made them
# fail.

# %%
for number, group in groups.head(10).iterrows():
    print(f"[{number}] {group['rerun']}")

# %% [markdown]
# ## Out of memory, and how sure that is

# %%
pd.DataFrame(findings["memory"]["out_of_memory"]) if findings["memory"][
    "out_of_memory"
] else "No attempt ran out of memory, as far as the record tells."

# %% [markdown]
# `certain`: the kernel's or Slurm's word, or ended by `enforce_memory`; `probable`: a SIGKILL that was not ours
# near the limit; `allocation`: the program's own words.
#
# ## Agreement with the report

# %%
if findings["runs"][0]["life"] != "alive":
    assert attempts["has_failed"].sum() == findings["failures"]["attempt_count"]
    np.testing.assert_allclose(
        attempts.loc[attempts["has_failed"], "core_s"].sum(), findings["failures"]["core_s"], rtol=1e-6
    )
    if findings["failures"]["group_count"] == len(groups):
        assert (groups["attempt_count"].sum() if has_failures else 0) == findings["failures"]["attempt_count"]
