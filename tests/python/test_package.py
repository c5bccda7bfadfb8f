"""The Python package `ictasks`: runs of commands, callbacks, records, errors, interrupts."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from functools import partial

import pandas
import polars
import pyarrow
import pytest

import ictasks
import ictasks.task
from conftest import wait_for
from ictasks import Config, Task

TWO_WORKERS = {"task_distribution": {"cores_per_node": 2, "threads_per_core": 1}}


def shell_tasks(count, command="true"):
    return [Task(id=str(number), launch_cmd=command) for number in range(count)]


def test_a_queue_of_tasks_runs_as_with_0_2_4(tmp_path):
    tasks = queue.Queue()
    tasks.put(Task(id="0", launch_cmd="echo 'hello from task 0'"))
    tasks.put(Task(id="1", launch_cmd="echo 'hello from task 1'"))
    write = partial(ictasks.task.write, tmp_path)
    run = ictasks.run(tasks, tmp_path, on_task_launched=write, on_task_completed=write)
    assert run.ok and run.counts == {"succeeded": 2} and run.dir == tmp_path
    tasks.join()
    assert (tmp_path / "task_1/task_stdout.txt").read_text() == "hello from task 1\n"
    # The callback has not taken anything away from what the farm wrote.
    document = json.loads((tmp_path / "task_1/task.json").read_text())
    assert document["outcome"] == "succeeded" and document["usage"]["user_s"] >= 0
    read = ictasks.task.read_all(tmp_path)
    assert [(task.id, task.state, task.return_code) for task in read] == [("0", "finished", 0), ("1", "finished", 0)]


def test_tasks_know_what_came_of_them(tmp_path):
    tasks = [Task(id="ok", launch_cmd="sleep 0.1"), Task(id="bad", launch_cmd="exit 3")]
    tasks += [Task(id="killed", launch_cmd="sh -c 'kill -SEGV $$'"), Task(id="gone", launch_cmd="./no-such-program")]
    launched, completed = [], []
    run = ictasks.run(tasks, tmp_path, TWO_WORKERS, None, launched.append, completed.append)
    ok, bad, killed, gone = tasks
    assert not run.ok and run.counts == {"succeeded": 1, "failed": 1, "signaled": 1, "spawn_failed": 1}
    assert (ok.return_code, bad.return_code, killed.return_code, gone.return_code) == (0, 3, -signal.SIGSEGV, None)
    assert all(task.finished and not task.running for task in tasks)
    assert ok.finish_time - ok.launch_time >= 0.1 and ok.worker_id in (0, 1) and ok.host_id == 0 and ok.pid > 0
    # What could not be started was not launched.
    assert {task.id for task in launched} == {"ok", "bad", "killed"}
    assert {task.id for task in completed} == {"ok", "bad", "killed", "gone"}


def test_callbacks_see_a_task_run_and_end(tmp_path):
    seen = []
    tell = lambda task: seen.append((task.id, task.state, task.return_code, task.pid > 0))  # noqa: E731
    ictasks.run([Task(id="t", launch_cmd="sleep 0.2")], tmp_path, on_task_launched=tell, on_task_completed=tell)
    assert seen == [("t", "running", None, True), ("t", "finished", 0, True)]


def test_a_task_that_is_tried_again_is_completed_once(tmp_path):
    command = "test -e $ICTASKS_RUN_DIR/$ICTASKS_TASK_ID.tried || { touch $ICTASKS_RUN_DIR/$ICTASKS_TASK_ID.tried; exit 5; }"
    launched, completed = [], []
    tasks = shell_tasks(10, command) + [Task(id="hopeless", launch_cmd="exit 7")]
    run = ictasks.run(
        tasks,
        tmp_path,
        Config(retries=2),
        on_task_launched=lambda task: launched.append(task.id),
        on_task_completed=lambda task: completed.append((task.id, task.return_code, task.attempt)),
    )
    assert run.counts == {"succeeded": 10, "failed": 1}
    assert sorted(completed) == sorted([(str(n), 0, 2) for n in range(10)] + [("hopeless", 7, 3)])
    assert len(launched) == 23
    assert len(run.attempts()) == 23 and len(run.tasks()) == 11


def test_a_task_may_want_less_than_the_configuration(tmp_path):
    config = Config(retries=2, expected_outputs=["out.h5"])
    tasks = [Task(id="once", launch_cmd="exit 1", retries=0), Task(id="plain", launch_cmd="true", expected_outputs=[])]
    ictasks.run(tasks, tmp_path, config)
    assert [(task.outcome, task.attempt) for task in tasks] == [("failed", 1), ("succeeded", 1)]


def test_callbacks_may_put_more_tasks_into_the_queue(tmp_path):
    tasks = queue.Queue()
    tasks.put(Task(id="0", launch_cmd="true"))

    def more(task):
        if int(task.id) < 20:
            tasks.put(Task(id=str(int(task.id) + 1), launch_cmd="true"))

    assert ictasks.run(tasks, tmp_path, on_task_completed=more).counts == {"succeeded": 21}


def test_a_generator_is_pulled_as_workers_come_free(tmp_path):
    pulled, ended = [], []
    ahead = []

    def tasks():
        for number in range(8):
            pulled.append(number)
            ahead.append(len(pulled) - len(ended))
            yield Task(id=str(number), launch_cmd="sleep 0.6")

    ictasks.run(tasks(), tmp_path, {**TWO_WORKERS}, on_task_completed=ended.append)
    # Two run, and no long task waits behind them.
    assert max(ahead) <= 2 and len(ended) == 8


def test_a_configuration_reaches_the_program(tmp_path):
    config = Config(
        job_id="mine",
        task_distribution={"cores_per_node": 1},
        stdout_filename="out.txt",
        environment={"GREETING": "hello"},
        labels={"batch": 3},
        timeout="1h",
    )
    task = Task(id="t", launch_cmd="echo $GREETING $NAME", environment={"NAME": "you"}, params={"x": 0.5, "n": 2})
    run = ictasks.run([task], tmp_path, config)
    assert (tmp_path / "task_t/out.txt").read_text() == "hello you\n"
    assert (run.info["job_id"], run.info["labels"]) == ("mine", {"batch": 3})
    row = run.tasks().iloc[0]
    assert (row.param_x, row.param_n, row.timeout_s) == (0.5, 2, 3600.0)


def test_values_that_nobody_gave_are_left_to_the_program():
    assert Config().to_settings() == {}
    assert Config(task_distribution={"threads_per_core": 1}).to_settings() == {"task_distribution": {"threads_per_core": 1}}
    assert Config().task_distribution == ictasks.config.TaskDistribution(0, 1, 1, 0, 0)
    assert ictasks.config.TaskDistribution(8, 2, 2).num_procs == 8
    assert ictasks.config.TaskDistribution(8, 2, 2, 4, 2).num_procs == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"retris": 2}, ["`retris`", "retries", "the configuration"]),
        ({"task_distribution": {"cores_per_node": 1, "cores_per_task": 4}}, ["cores_per_task", "4"]),
        ("no-such-file.yaml", ["no-such-file.yaml"]),
    ],
)
def test_a_wrong_configuration_is_an_error_with_the_words_of_the_program(tmp_path, config, words):
    with pytest.raises(ictasks.InputError) as error:
        ictasks.run(shell_tasks(1), tmp_path / "run", config)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "/dev/fd" not in str(error.value)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_wrong_task_is_an_error_and_what_ran_is_recorded(tmp_path):
    tasks = [Task(id="good", launch_cmd="true"), Task(id="../bad", launch_cmd="true")]
    with pytest.raises(ictasks.InputError, match="bad"):
        ictasks.run(tasks, tmp_path)
    assert not (tmp_path.parent / "bad").exists()
    with pytest.raises(ictasks.InputError, match="good"):
        ictasks.run([Task(id="good", launch_cmd="true"), Task(id="good", launch_cmd="true")], tmp_path)


def test_an_earlier_record_is_set_aside(tmp_path, caplog):
    first = ictasks.run([Task(id="t", launch_cmd="echo first; echo '{\"x\": 1}' > result.json")], tmp_path)
    first_id = first.run_id
    second = ictasks.run([Task(id="t", launch_cmd="echo second")], tmp_path)
    assert first_id in caplog.text and "earlier" in caplog.text
    earlier = ictasks.load(tmp_path / "earlier" / first_id)
    assert (earlier.run_id, earlier.output("t"), second.output("t")) == (first_id, "first\n", "second\n")
    assert earlier.tasks().result_x[0] == 1 and "result_x" not in second.tasks()
    assert (earlier.dir / "task_t/result.json").exists()


def test_what_was_prepared_for_tasks_stays(tmp_path):
    task = Task(id="t", launch_cmd="cat input.dat")
    ictasks.task.write(tmp_path, task)
    (tmp_path / "task_t/input.dat").write_text("prepared\n")
    assert json.loads((tmp_path / "task_t/task.json").read_text())["state"] == "created"
    assert ictasks.run([task], tmp_path).output("t") == "prepared\n"


def test_a_run_goes_on(tmp_path):
    command = "test -e $ICTASKS_RUN_DIR/now"
    tasks = shell_tasks(3, "true") + [Task(id="late", launch_cmd=command)]
    assert ictasks.run(tasks, tmp_path, resume=True).counts == {"succeeded": 3, "failed": 1}
    (tmp_path / "now").touch()
    completed = []
    again = [Task(id=task.id, launch_cmd=task.launch_cmd) for task in tasks]
    run = ictasks.run(again, tmp_path, resume=True, on_task_completed=completed.append)
    assert run.ok and [task.id for task in completed] == ["late"]
    assert [(task.state, task.return_code, task.attempt) for task in again] == [("finished", 0, 1)] * 3 + [("finished", 0, 2)]
    assert list(run.tasks().sort_values("task_index").attempt) == [1, 1, 1, 2]


def test_files_run_as_on_the_command_line(tmp_path):
    config = tmp_path / "farm.yaml"
    config.write_text("job_id: farm\ntasks:\n    items:\n    - id: 0\n      launch_cmd: \"echo task 0\"\n")
    run = ictasks.taskfarm(config_path=config, work_dir=tmp_path / "one")
    assert (run.ok, run.info["job_id"], run.output("0")) == (True, "farm", "task 0\n")
    tasklist = tmp_path / "tasks.dat"
    tasklist.write_text("echo list %TASKID%\n# none\n\nexit 2\n")
    run = ictasks.taskfarm(tmp_path / "two", config, tasklist)
    assert (run.counts, run.output("0")) == ({"succeeded": 1, "failed": 1}, "list 0\n")


def test_tables_come_as_users_want_them(record):
    run = ictasks.load(record)
    assert isinstance(run.tasks(), pandas.DataFrame) and isinstance(run.tasks("polars"), polars.DataFrame)
    assert isinstance(run.tasks(engine="arrow"), pyarrow.Table)
    assert str(run.tasks().exit_code.dtype) == "Int32"
    assert len(run.attempts()) == len(run.tasks()) == sum(run.counts.values()) == 5
    assert set(run.events().kind) >= {"run_started", "task_finished", "run_finished"}
    assert set(run.samples().scope) >= {"host"}
    with pytest.raises(ValueError, match="'pandas', 'polars' or 'arrow'"):
        run.tasks(engine="excel")


def test_a_report_is_text_a_page_and_numbers(record):
    run = ictasks.load(record)
    report = run.report()
    assert "1 of 5" in str(report) or "2 of 5" in str(report)
    assert report.findings["outcomes"] and report.markdown.startswith("#")
    page = report._repr_html_()
    assert page.startswith("<iframe") and "sandbox" in page and "<script" not in page
    failures = run.failures()
    assert set(failures.outcome) == {"failed", "signaled", "spawn_failed"} and failures.attempt_count.sum() == 3
    only = run.report(filter="outcome = 'failed'")
    assert "1 of" in only.text
    with pytest.raises(ictasks.InputError, match="no_such_column"):
        str(run.report(group_by="no_such_column"))


def test_the_record_of_a_run_at_work_can_be_read(tmp_path):
    seen = []

    def rows():
        table = ictasks.load(tmp_path).attempts()
        return list(table.task_id) or None

    def look(task):
        if task.id == "first":
            # The journal is at most 50 ms behind.
            seen.extend(wait_for("its row", rows))

    tasks = [Task(id="first", launch_cmd="true"), Task(id="second", launch_cmd="sleep 1")]
    ictasks.run(tasks, tmp_path, on_task_completed=look)
    assert seen[0] == "first"


def test_no_record_is_an_error(tmp_path):
    with pytest.raises(ictasks.InputError, match="no run directory"):
        ictasks.load(tmp_path)


def test_an_error_in_a_callback_ends_the_run_and_is_raised(tmp_path):
    def fail(task):
        raise RuntimeError(f"no room for {task.id}")

    with pytest.raises(RuntimeError, match="no room for 0"):
        ictasks.run([Task(id="0", launch_cmd="true"), Task(id="1", launch_cmd="sleep 100")], tmp_path, on_task_completed=fail)
    run = ictasks.load(tmp_path)
    assert run.state == "interrupted" and run.counts["succeeded"] == 1


def test_an_error_in_a_generator_ends_the_run_and_is_raised(tmp_path):
    def tasks():
        yield Task(id="0", launch_cmd="sleep 100")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        ictasks.run(tasks(), tmp_path)
    assert ictasks.load(tmp_path).state == "interrupted"


def test_an_interrupt_ends_tasks_and_completes_the_record(tmp_path):
    """In a process of its own, as a user presses Ctrl-C once."""
    script = (
        "import sys, ictasks\n"
        "try:\n"
        "    ictasks.run([ictasks.Task(id='t', launch_cmd='echo $$ > pid; exec sleep 100')], sys.argv[1])\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', ictasks.load(sys.argv[1]).counts)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        file = tmp_path / "task_t/pid"
        pid = int(wait_for("the task", lambda: file.exists() and file.read_text().strip()))
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
        assert printed == "interrupted {'cancelled': 1}\n"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    finally:
        process.kill()
        process.wait()


def test_runs_in_threads_do_not_disturb_one_another(tmp_path):
    runs = []
    start = lambda number: runs.append(ictasks.run(shell_tasks(20), tmp_path / str(number)))  # noqa: E731
    threads = [threading.Thread(target=start, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.counts for run in runs] == [{"succeeded": 20}] * 3


def test_a_bar_is_shown_where_it_is_wanted(tmp_path, capsys):
    ictasks.run(shell_tasks(3) + [Task(id="bad", launch_cmd="exit 1")], tmp_path, progress=True)
    drawn = capsys.readouterr().err
    assert drawn.startswith("\r") and drawn.endswith("\n") and "100%" in drawn and "4/4" in drawn and "1 failed" in drawn
    ictasks.run(shell_tasks(3), tmp_path / "quiet", progress=False)
    assert capsys.readouterr().err == ""


def test_task_lists_are_read_as_the_program_reads_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tasks = ictasks.task.load_taskfile("  echo %TASKNUM% %TASKID% \n\n# none\n%SUBMITDIR%/run\n")
    assert [(task.id, task.launch_cmd) for task in tasks] == [("0", "echo 0 0"), ("1", f"{tmp_path}/run")]
    filled = ictasks.task.queue_from_list([{"launch_cmd": "a"}, {"id": 7, "launch_cmd": "b"}])
    assert [filled.get().id, filled.get().id] == ["0", "7"]
    assert str(ictasks.task.get_task_dirname(Task(id="7"))) == "task_7"


def test_models_are_written_as_with_pydantic():
    task = Task(id="t", launch_cmd="true")
    assert task.model_dump()["launch_cmd"] == "true" and "launch_func" not in task.model_dump()
    assert json.loads(task.model_dump_json())["state"] == "created"
    assert task.model_copy(update={"id": "u"}).id == "u" and task.id == "t"
    assert len(Task().id) == 32 and Task().id != Task().id


def test_a_stopping_condition_looks_into_a_directory(tmp_path):
    condition = ictasks.stopping_condition.StoppingCondition(stopmagic="stop here", stopfile="STOP")
    assert not condition(tmp_path)
    (tmp_path / "STOP").write_text("go on\n")
    assert not condition(tmp_path)
    (tmp_path / "STOP").write_text("please stop here\n")
    assert condition(tmp_path)
    config = Config(stopping_conditions=[condition], task_distribution={"cores_per_node": 1})
    tasks = [Task(id="0", launch_cmd="echo stop here > STOP"), Task(id="1", launch_cmd="true")]
    assert ictasks.run(tasks, tmp_path / "run", config).counts == {"succeeded": 1, "pending": 1}
    assert tasks[1].outcome == "pending" and tasks[1].return_code is None


def test_the_module_is_the_program():
    done = subprocess.run([sys.executable, "-m", "ictasks", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ictasks ")


@pytest.mark.parametrize(
    "tasks",
    [None, 5, "echo", [5], [None], [{"launch_cmd": "true"}], (task for task in ["true"])],
    ids=["none", "number", "text", "numbers", "nones", "dictionaries", "generator"],
)
def test_what_is_no_task_is_refused_by_name(tasks, tmp_path):
    run = ictasks.run([ictasks.Task(id="a", launch_cmd="true")], tmp_path)
    with pytest.raises(ictasks.InputError, match="`Task`"):
        ictasks.run(tasks, tmp_path)
    if isinstance(tasks, (list, str, int, type(None))):
        assert run.counts == {"succeeded": 1}, "nothing was begun"


def test_what_is_no_configuration_is_refused_by_name(tmp_path):
    with pytest.raises(ictasks.InputError, match="`Config`"):
        ictasks.run([ictasks.Task(launch_cmd="true")], tmp_path, config=5)
