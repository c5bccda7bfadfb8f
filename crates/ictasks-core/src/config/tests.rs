use super::*;
fn parse(text: &str) -> Result<Config, String> {
    Config::parse("c.yaml", text.as_bytes()).map_err(|e| e.to_string())
}
#[test]
fn show() {
    for t in [
        "",
        "a",
        "job_id: [",
        "tasks:\n\t- id: 1\n",
        "tasks:\n  items:\n  - id: 0\n\t launch_cmd: x\n",
        "jobid: x",
        "task_distribution:\n  cores_per_nod: 1",
        "zzz: 1",
        "tasks: []",
        "tasks:",
        "tasks: {items: []}",
        "tasks: 3",
        "tasks:\n- id: a\n",
        "tasks:\n- launch_cmd: [a]\n",
        "tasks:\n- {id: true, launch_cmd: a}",
        "tasks:\n- {id: 1.5, launch_cmd: a}",
        "tasks:\n- {id: ../x, launch_cmd: a}",
        "tasks:\n- {id: x, launch_cmd: a}\n- {id: x, launch_cmd: a}",
        "tasks:\n  items:\n  - {id: 1, launch_cmd: a}\n  - {launch_cmd: a}",
        "job_id: a\njob_id: b\n",
        "task_distribution: {cores_per_node: -1}",
        "task_distribution: {cores_per_node: two}",
        "task_distribution: 3",
        "task_distribution:\njob_id: 3",
        "environment: {A=: 1}",
        "environment: {A: 1, A: 2}",
        "environment: [a]",
        "environment: {A: [1]}",
        "stdout_filename: a/b",
        "stdout_filename: task.json",
        "shell: ''",
        "shell: 3",
        "cwd: home",
        "sample_interval: 3m",
        "sample_interval: -1",
        "stop_on_error: maybe",
        "stopping_conditions: {}",
        "slurm_job: {id: 3, nodes: [a]}",
        "slurm_job: {ids: 3}",
        "x-a: {b: 1}\nx-b: 2\ntask_distribution: {x-c: 1}",
        "tasks:\n- {launch_cmd: '', id: 3}",
        "tasks:\n- {launch_cmd: a, params: {1a: 3}}",
        "tasks:\n- {launch_cmd: a, params: {a: 3, A: 1}}",
        "tasks:\n- {launch_cmd: a, params: {a: [3]}}",
        "environment: {A: 1.10, B: true, C: 'x', D: 0x10}",
        "tasks:\n- launch_cmd: true\n- launch_cmd:\n",
        "labels: {a: {b: 1}, a: 2}",
        "a: b: c",
        "? [a]\n: 3",
        "a: &x 3\nb: *y",
        "---\na\n---\nb",
        "tasks:\n- id: 0\n  launch_cmd: \"a\n  b",
    ] {
        println!("{t:?}\n    {:?}", parse(t));
    }
    println!("{}", serde_json::to_string_pretty(&json_schema()).unwrap());
}
