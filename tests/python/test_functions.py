"""Functions as tasks: `run_funcs`, and functions among commands in `run`."""

import os
import subprocess
import sys
from functools import partial

import pytest

import ictasks
import ictasks.task
from ictasks import Task


def square(task):
    print("squaring", task.id)
    return int(task.id) ** 2


def report(task):
    return {"power": 2.0 ** int(task.id), "name": task.id}


def refuse(task):
    raise ValueError(f"no {task.id}")


def leave(task):
    sys.exit(7)


def touch_memory(task):
    return len(bytearray(os.urandom(1)) * (100 << 20))


def test_functions_return_values(tmp_path):
    tasks = [Task(id=str(number), launch_func=square) for number in range(5)]
    run = ictasks.run_funcs(tasks, tmp_path)
    assert run.ok and [task.result for task in tasks] == [0, 1, 4, 9, 16]
    assert run.output("3") == "squaring 3\n" and run.task("3").result == 9
    rows = run.tasks().sort_values("task_index")
    assert list(rows.result_value) == [0, 1, 4, 9, 16]
    assert all("square" in command for command in rows.command)
    # Nothing but the record and the tasks' directories is left.
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_without_a_directory_a_fresh_one_is_used():
    first, second = (ictasks.run_funcs([Task(id="1", launch_func=square)]) for _ in range(2))
    assert first.dir != second.dir and first.ok and second.ok


def test_functions_and_commands_run_side_by_side(tmp_path):
    tasks = [Task(id="1", launch_func=report), Task(id="2", launch_cmd="echo '{\"power\": 4.0}' > result.json")]
    run = ictasks.run(tasks, tmp_path)
    rows = run.tasks().sort_values("task_id")
    assert list(rows.result_power) == [2.0, 4.0] and rows.result_name.iloc[0] == "1"
    assert tasks[0].result == {"power": 2.0, "name": "1"} and tasks[1].result is None


def mixed(task):
    return {"energy": -1.5, "loss": float("nan"), "path": [1, 2], 7: "seven"}


def test_of_a_dict_what_a_column_can_hold_is_a_column(tmp_path):
    task = Task(id="1", launch_func=mixed)
    run = ictasks.run([task], tmp_path)
    columns = [column for column in run.tasks().columns if column.startswith("result_")]
    assert "result_energy" in columns and "result_path" not in columns, columns
    assert run.tasks().result_energy.iloc[0] == -1.5 and task.result["path"] == [1, 2]


def test_the_first_exception_is_raised_when_all_have_ended(tmp_path):
    tasks = [Task(id="1", launch_func=square), Task(id="2", launch_func=refuse), Task(id="3", launch_func=refuse)]
    tasks.append(Task(id="4", launch_func=square))
    with pytest.raises(ValueError, match="no 2") as raised:
        ictasks.run_funcs(tasks, tmp_path)
    assert "in refuse" in str(raised.value.__cause__)
    assert [task.return_code for task in tasks] == [0, 1, 1, 0]
    run = ictasks.load(tmp_path)
    assert "ValueError: no 3" in run.output("3", stderr=True)
    assert run.failures().meaning.iloc[0]
    with pytest.raises(ValueError, match="no 3"):
        tasks[2].result


def test_a_function_that_leaves_has_an_exit_code(tmp_path):
    tasks = [Task(id="1", launch_func=leave)]
    run = ictasks.run(tasks, tmp_path)
    assert run.counts == {"failed": 1} and tasks[0].return_code == 7
    with pytest.raises(ictasks.TaskError, match="SystemExit: 7"):
        tasks[0].result


def test_usage_of_a_call_is_its_own(tmp_path):
    tasks = [Task(id="big", launch_func=touch_memory), Task(id="1", launch_func=square)]
    one_worker = {"task_distribution": {"cores_per_node": 1}}
    rows = ictasks.run(tasks, tmp_path, one_worker).tasks().set_index("task_id")
    big, small = rows.loc["big"], rows.loc["1"]
    assert big.max_process_rss_bytes >= 100 << 20
    assert small.max_process_rss_bytes < 80 << 20 and small.rss_floor_bytes <= small.max_process_rss_bytes


def test_closures_and_lambdas_travel_by_cloudpickle(tmp_path):
    factor = 3
    tasks = [Task(id=str(number), launch_func=lambda task: factor * int(task.id)) for number in range(3)]
    ictasks.run_funcs(tasks, tmp_path)
    assert [task.result for task in tasks] == [0, 3, 6]


def test_without_cloudpickle_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match=r"ictasks\[functions\]"):
        ictasks.run_funcs([Task(id="1", launch_func=lambda task: 1)], tmp_path)


def test_a_script_calls_its_own_functions(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "import ictasks\n"
        "sys.modules['cloudpickle'] = None\n"
        "def double(task):\n"
        "    return 2 * int(task.id)\n"
        "if __name__ == '__main__':\n"
        "    tasks = [ictasks.Task(id=str(n), launch_func=double) for n in range(3)]\n"
        "    ictasks.run_funcs(tasks, sys.argv[1])\n"
        "    print([task.result for task in tasks])\n"
    )
    done = subprocess.run([sys.executable, script, tmp_path / "run"], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[0, 2, 4]\n", done.stderr


def test_the_callback_of_0_2_4_may_be_the_function(tmp_path):
    write = partial(ictasks.task.write, tmp_path)
    ictasks.run_funcs([Task(id="0", launch_func=write), Task(id="1", launch_func=write)])
    assert [task.id for task in ictasks.task.read_all(tmp_path)] == ["0", "1"]
