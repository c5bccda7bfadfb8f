"""What the record format promises of names and types, and how each reader calls the types."""

TABLES = ("tasks", "attempts", "events", "samples")

CATEGORIES = {"run_id", "outcome", "reason", "cause", "cause_evidence", "host", "kind", "scope"}
TEXTS = {
    "task_id", "command", "error", "stderr_tail", "stdout_tail", "message",
    "param_mesh", "params_json", "results_json",
}  # fmt: skip
INT32 = {
    "session", "attempt", "exit_code", "signal", "host_id", "worker_id",
    "core_count", "gpu_count", "gpu",
}  # fmt: skip
INT64 = {"task_index", "command_hash", "pid", "seq", "param_size", "result_steps"}
FLOAT64 = {"busy_cores", "load1", "gpu_energy_j", "gpu_power_w", "param_speed", "result_drag"}
LISTS = {"cores", "gpus"}


def kind(column):
    """The promised type of a column, by its name."""
    for names, promised in (
        (CATEGORIES, "category"),
        (TEXTS, "text"),
        (INT32, "int32"),
        (INT64, "int64"),
        (FLOAT64, "float64"),
        (LISTS, "list"),
        ({"at"}, "time"),
    ):
        if column in names:
            return promised
    for ending, promised in (
        ("_at", "time"),
        ("_s", "float64"),
        ("_fraction", "float64"),
        ("_bytes", "int64"),
        ("_count", "int64"),
    ):
        if column.endswith(ending):
            return promised
    raise AssertionError(f"the record format does not promise a column `{column}`")
