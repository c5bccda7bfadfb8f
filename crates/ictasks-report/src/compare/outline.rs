//! What a comparison shows, in words: sections of lines and tables, the same in every format.

use ictasks_core::attempt::Outcome;

use super::comparison::{Absences, Changes, Comparison, Difference, Matching, Pair, Shift, TaskSide, Topic};
use super::parts::{Cell, Grid, Section};
use crate::findings::{Mood, RunLife};
use crate::units;

/// The heading of the page.
pub(super) const TITLE: &str = "Comparison of two runs";

/// The mood in a word.
pub(super) const fn mood(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "no regression",
        Mood::Mixed => "slower",
        Mood::Bad => "regressions",
    }
}

/// All sections, in order.
pub(super) fn sections(comparison: &Comparison) -> Vec<Section> {
    let mut sections = vec![
        runs(comparison),
        differences(&comparison.differences),
        tasks(comparison),
        times(comparison),
        totals(comparison),
    ];
    sections.extend(changes_of_outcome(comparison));
    sections.extend(change_of_times(comparison));
    sections.extend(change_of_memory(comparison));
    sections.extend(absent(("missing", "Missing in B"), &comparison.missing));
    sections.extend(absent(("new", "New in B"), &comparison.new));
    if !comparison.lacks.is_empty() {
        let lines = comparison.lacks.clone();
        sections.push(Section::new("lacks", "What the data lacks", lines, None));
    }
    sections
}

fn changes_of_outcome(comparison: &Comparison) -> impl Iterator<Item = Section> {
    let row = |pair: &Pair, side: &TaskSide| {
        let message = Cell::Verbatim(side.message.clone().unwrap_or_default());
        vec![task(pair), Cell::Words(outcome(side)), message, command(&pair.b)]
    };
    let in_b = ["task", "in B", "last line that it printed", "command"];
    let in_a = ["task", "in A", "last line that it printed in A", "command"];
    let failing = ("newly-failing", "Newly failing");
    let unfinished = ("unfinished", "No longer finished");
    let passing = ("newly-passing", "Newly passing");
    let lists = [
        list(failing, &comparison.newly_failing, in_b, |pair| row(pair, &pair.b)),
        list(unfinished, &comparison.unfinished, in_b, |pair| row(pair, &pair.b)),
        list(passing, &comparison.newly_passing, in_a, |pair| row(pair, &pair.a)),
    ];
    lists.into_iter().flatten()
}

fn runs(comparison: &Comparison) -> Section {
    let (a, b) = (&comparison.a, &comparison.b);
    let row = |name: &str, a: String, b: String| {
        vec![Cell::Words(name.to_owned()), Cell::Verbatim(a), Cell::Verbatim(b)]
    };
    let machine = |run: &super::ComparedRun| {
        let hosts = units::counted(i64::try_from(run.host_count).unwrap_or(i64::MAX), "host");
        format!("{hosts}, {}", units::counted(run.core_count, "core"))
    };
    let state = |run: &super::ComparedRun| match run.session_count {
        0 | 1 => life(run.life).to_owned(),
        count => format!("{}, {count} sessions", life(run.life)),
    };
    let began = |run: &super::ComparedRun| run.began_at.map_or_else(String::new, |at| at.for_people());
    let mut rows = vec![
        row("directory", a.run_dir.clone(), b.run_dir.clone()),
        row("state", state(a), state(b)),
        row("began", began(a), began(b)),
        row("machine", machine(a), machine(b)),
    ];
    if !a.job_id.is_empty() || !b.job_id.is_empty() {
        rows.insert(1, row("name", a.job_id.clone(), b.job_id.clone()));
    }
    let same = !a.run_id.is_empty() && a.run_id == b.run_id;
    let lines = if same { vec!["A and B are the same run.".to_owned()] } else { Vec::new() };
    let grid = Grid { header: vec!["", "A", "B"], rows, wide_columns: 0, of_tasks: false };
    Section::new("runs", "Runs", lines, Some(grid))
}

const fn life(life: RunLife) -> &'static str {
    match life {
        RunLife::Alive => "at work",
        RunLife::Killed => "killed",
        RunLife::Finished => "finished",
        RunLife::Interrupted => "interrupted",
        RunLife::Failed => "failed",
        RunLife::Unknown => "unknown",
    }
}

fn differences(differences: &[Difference]) -> Section {
    let section = |lines, grid| Section::new("differences", "What differs between the runs", lines, grid);
    if differences.is_empty() {
        let nothing = "Nothing: version, software, modules, machine, plan and labels are the same.";
        return section(vec![nothing.to_owned()], None);
    }
    let value = |value: &Option<String>| match value {
        Some(value) => Cell::Verbatim(value.clone()),
        None => Cell::Words("-".to_owned()),
    };
    let row = |difference: &Difference| {
        let topic = Cell::Words(topic(difference.topic).to_owned());
        vec![topic, Cell::Verbatim(difference.name.clone()), value(&difference.a), value(&difference.b)]
    };
    let rows = differences.iter().map(row).collect();
    let grid = Grid { header: vec!["", "what", "A", "B"], rows, wide_columns: 0, of_tasks: false };
    section(Vec::new(), Some(grid))
}

const fn topic(topic: Topic) -> &'static str {
    match topic {
        Topic::Version => "version",
        Topic::Software => "software",
        Topic::Module => "module",
        Topic::Machine => "machine",
        Topic::Plan => "plan",
        Topic::Label => "label",
    }
}

fn tasks(comparison: &Comparison) -> Section {
    let kinds = [
        ("newly failing: succeeded in A, failed in B", &comparison.newly_failing),
        ("no longer finished: succeeded in A, cut short or never run in B", &comparison.unfinished),
        ("newly passing: failed in A, succeeded in B", &comparison.newly_passing),
        ("slower", &comparison.slower),
        ("faster", &comparison.faster),
        ("more memory", &comparison.more_memory),
        ("less memory", &comparison.less_memory),
    ];
    let row = |name: &str, count: i64| vec![Cell::Words(name.to_owned()), Cell::count(count)];
    let mut rows: Vec<Vec<Cell>> =
        kinds.iter().map(|(name, changes)| row(name, changes.task_count)).collect();
    rows.push(row("missing in B", comparison.missing.task_count));
    rows.push(row("new in B", comparison.new.task_count));
    let grid = Grid { header: vec!["change", "tasks"], rows, wide_columns: 0, of_tasks: false };
    let mut lines = vec![paired(comparison)];
    if comparison.matching.changed_command_count > 0 {
        let count = units::counted(comparison.matching.changed_command_count, "pair");
        lines.push(format!("{count} with another command in B than in A."));
    }
    lines.extend(comparison.matching.hint.clone());
    lines.push(format!(
        "Slower, faster, more and less: of tasks that succeeded in both, by more than {} times and at least {} or {}.",
        comparison.threshold_ratio,
        units::duration(comparison.time_floor_s),
        units::bytes(comparison.memory_floor_bytes)
    ));
    Section::new("tasks", "Tasks", lines, Some(grid))
}

fn paired(comparison: &Comparison) -> String {
    let by = comparison.matching.paired_by.iter().map(|paired| {
        let how = match paired.by {
            Matching::Id => "id",
            Matching::Command => "command",
            Matching::Param => "parameters",
        };
        format!("{} by {how}", units::count(paired.pair_count))
    });
    let by: Vec<String> = by.collect();
    let pairs = units::counted(comparison.matching.pair_count, "pair");
    let (a, b) =
        (units::counted(comparison.a.task_count, "task"), units::counted(comparison.b.task_count, "task"));
    match by.is_empty() {
        true => format!("No pair of {a} in A and {b} in B."),
        false => format!("{pairs} of {a} in A and {b} in B: {}.", by.join(", ")),
    }
}

fn times(comparison: &Comparison) -> Section {
    let times = &comparison.times;
    let sentence = |text: &str| {
        let mut characters = text.chars();
        let first = characters.next().map(|first| first.to_uppercase().to_string());
        format!("{}{}.", first.unwrap_or_default(), characters.as_str())
    };
    let mut lines = vec![sentence(&times.sentence)];
    lines.extend(times.noise.as_deref().map(sentence));
    let grid = (times.pair_count > 0).then(|| {
        let names = ["smallest", "5 %", "25 %", "median", "75 %", "95 %", "largest"];
        let figures = times.ratios.iter().map(|quantile| Cell::ratio(Some(quantile.value)));
        let mut row = vec![Cell::Words("time in B by time in A".to_owned())];
        row.extend(figures);
        let header = std::iter::once("").chain(names).collect();
        Grid { header, rows: vec![row], wide_columns: 0, of_tasks: false }
    });
    let title = match times.shift {
        Shift::Slower => "Running times: longer as a whole",
        Shift::Faster => "Running times: shorter as a whole",
        Shift::None | Shift::Unknown => "Running times",
    };
    Section::new("times", title, lines, grid)
}

#[allow(clippy::cast_precision_loss)]
fn totals(comparison: &Comparison) -> Section {
    let (a, b) = (&comparison.a, &comparison.b);
    let row = |name: &str, values: [Option<f64>; 2], show: &dyn Fn(f64) -> String| {
        let shown = values.map(|value| Cell::figure(value, show));
        let by = match values {
            [Some(a), Some(b)] if a > 0.0 => Some(b / a),
            _ => None,
        };
        let [a, b] = shown;
        vec![Cell::Words(name.to_owned()), a, b, Cell::ratio(by)]
    };
    #[allow(clippy::cast_possible_truncation)]
    let count = |value: f64| units::count(value as i64);
    let counts = |a: i64, b: i64| [Some(a as f64), Some(b as f64)];
    let mut rows = vec![row("tasks", counts(a.task_count, b.task_count), &count)];
    for name in Outcome::ALL.iter().map(|outcome| outcome.as_str()) {
        let of = |run: &super::ComparedRun| {
            run.outcomes.iter().find(|count| count.outcome == name).map_or(0, |count| count.task_count)
        };
        if of(a) == 0 && of(b) == 0 {
            continue;
        }
        rows.push(row(&format!("  {}", name.replace('_', " ")), counts(of(a), of(b)), &count));
    }
    rows.extend([
        row("attempts", counts(a.attempt_count, b.attempt_count), &count),
        row("core time", [Some(a.core_s), Some(b.core_s)], &units::core_time),
        row("CPU time", [a.cpu_s, b.cpu_s], &units::duration),
        row("makespan", [a.makespan_s, b.makespan_s], &units::duration),
        row("median time of what succeeded", [a.median_run_s, b.median_run_s], &units::duration),
        row(
            "largest memory",
            [a, b].map(|run| run.largest_memory_bytes.map(|bytes| bytes as f64)),
            &bytes_of,
        ),
    ]);
    let grid = Grid { header: vec!["", "A", "B", "B by A"], rows, wide_columns: 0, of_tasks: false };
    Section::new("totals", "Totals", Vec::new(), Some(grid))
}

/// Identity and title of a list.
type Name = (&'static str, &'static str);

/// A section for one kind of change, unless there is none.
fn list<const COLUMNS: usize>(
    name: Name,
    changes: &Changes,
    header: [&'static str; COLUMNS],
    row: impl Fn(&Pair) -> Vec<Cell>,
) -> Option<Section> {
    let rows: Vec<Vec<Cell>> = changes.pairs.iter().map(row).collect();
    // Beside a message there is no room for the command.
    let wide_columns = usize::from(header.iter().any(|name| name.starts_with("last line")));
    section_of(name, changes.task_count, Grid { header: header.to_vec(), rows, wide_columns, of_tasks: true })
}

fn section_of((id, title): Name, task_count: i64, grid: Grid) -> Option<Section> {
    let shown = i64::try_from(grid.rows.len()).unwrap_or(i64::MAX);
    let count = match shown {
        shown if shown < task_count => {
            format!("{} tasks, the first {shown} of them", units::count(task_count))
        }
        _ => units::counted(task_count, "task"),
    };
    let section = Section::new(id, title, Vec::new(), (shown > 0).then_some(grid));
    (task_count > 0).then_some(Section { count: Some(count), ..section })
}

fn change_of_times(comparison: &Comparison) -> impl Iterator<Item = Section> {
    let header = ["task", "A", "B", "B by A", "attempts", "command"];
    let seconds = |side: &TaskSide| Cell::figure(side.run_s, units::duration);
    let row = move |pair: &Pair| {
        let attempts = format!("{}, {}", pair.a.succeeded_count, pair.b.succeeded_count);
        let by = Cell::ratio(pair.run_ratio);
        vec![
            task(pair),
            seconds(&pair.a),
            seconds(&pair.b),
            by,
            Cell::Figure(attempts, None),
            command(&pair.b),
        ]
    };
    let slower = list(("slower", "Slower"), &comparison.slower, header, row);
    slower.into_iter().chain(list(("faster", "Faster"), &comparison.faster, header, row))
}

fn change_of_memory(comparison: &Comparison) -> impl Iterator<Item = Section> {
    let header = ["task", "A", "B", "B by A", "command"];
    let bytes = |side: &TaskSide| {
        #[allow(clippy::cast_precision_loss)]
        let value = side.memory_bytes.map(|bytes| bytes as f64);
        Cell::figure(value, bytes_of)
    };
    let row = move |pair: &Pair| {
        let by = Cell::ratio(pair.memory_ratio);
        vec![task(pair), bytes(&pair.a), bytes(&pair.b), by, command(&pair.b)]
    };
    let more = list(("more-memory", "More memory"), &comparison.more_memory, header, row);
    more.into_iter().chain(list(("less-memory", "Less memory"), &comparison.less_memory, header, row))
}

fn absent(name: Name, absences: &Absences) -> Option<Section> {
    let row = |side: &TaskSide| {
        let time = Cell::figure(side.run_s, units::duration);
        let id = Cell::Verbatim(side.task_id.clone());
        vec![id, Cell::Words(outcome(side)), time, command(side)]
    };
    let rows = absences.tasks.iter().map(row).collect();
    let header = vec!["task", "outcome", "time", "command"];
    section_of(name, absences.task_count, Grid { header, rows, wide_columns: 0, of_tasks: true })
}

#[allow(clippy::cast_possible_truncation)]
fn bytes_of(bytes: f64) -> String {
    units::bytes(bytes as i64)
}

/// Its id; both where they differ.
fn task(pair: &Pair) -> Cell {
    let (a, b) = (&pair.a.task_id, &pair.b.task_id);
    Cell::Verbatim(if a == b { b.clone() } else { format!("{b} (in A: {a})") })
}

fn command(side: &TaskSide) -> Cell {
    Cell::Verbatim(side.command.clone())
}

fn outcome(side: &TaskSide) -> String {
    let name = side.outcome.replace('_', " ");
    match (side.exit_code, side.signal) {
        (Some(code), _) if code != 0 => format!("{name}, exit code {code}"),
        (_, Some(signal)) => format!("{name}, signal {signal}"),
        _ => name,
    }
}
