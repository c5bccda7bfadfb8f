//! The report for a terminal: 80 columns, about 45 lines.
//!
//! Words before terms, nothing by colour alone, ASCII where wanted, and no control character of a task's text.
//! Styles are ANSI sequences; who writes to a file strips them.

use anstyle::{AnsiColor, Style};

use crate::findings::{Findings, Mood, RunFacts, RunLife};
use crate::harmless::{one_line, shortened};
use crate::units::{core_time, count, counted, duration, percent};

mod charts;
mod failures;
mod summary;
mod tables;

use charts::Charts;
pub use summary::{SUMMARY_GROUPS, summary};

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const MIXED: Style = AnsiColor::Yellow.on_default().bold();

/// How the text is to look.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Columns.
    pub width: usize,
    /// Whether characters beyond ASCII may be used.
    pub unicode: bool,
    /// Lines of each list.
    pub top: usize,
    /// All groups of failures, in full, and nothing else.
    pub failures_in_full: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { width: 80, unicode: true, top: 5, failures_in_full: false }
    }
}

/// The report as text.
pub fn text(findings: &Findings, options: &TextOptions) -> String {
    let mut page = Page { text: String::new(), options: *options, charts: Charts::new(options.unicode) };
    page.identity(findings);
    if options.failures_in_full {
        page.failures_in_full(findings);
    } else {
        page.summary(findings);
        page.groups(findings);
        page.failures(findings);
        page.slowest(findings);
        page.hosts(findings);
        page.advice(findings);
        page.further(findings);
    }
    if options.unicode { page.text } else { in_ascii(&page.text) }
}

/// What is written, line by line.
struct Page {
    text: String,
    options: TextOptions,
    charts: Charts,
}

impl Page {
    /// A line, cut at the width.
    fn line(&mut self, line: &str) {
        self.text.push_str(&shortened(line.trim_end(), self.options.width));
        self.text.push('\n');
    }

    /// A line as it is, however long: one to copy.
    fn whole_line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn styled(&mut self, style: Style, line: &str) {
        let line = shortened(line, self.options.width).into_owned();
        self.text.push_str(&format!("{style}{line}{style:#}\n"));
    }

    /// An empty line and a heading.
    fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.styled(HEADING, heading);
    }

    /// Text in lines of the width: `first` before the first line, as many spaces before the others.
    fn wrapped(&mut self, first: &str, text: &str) {
        let indent = first.chars().count();
        let mut line = first.to_owned();
        let mut length = indent;
        for word in text.split_whitespace() {
            let of_word = word.chars().count();
            if length > indent && length + 1 + of_word > self.options.width {
                self.whole_line(line.trim_end());
                line = " ".repeat(indent);
                length = indent;
            } else if length > indent {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += of_word;
        }
        self.whole_line(line.trim_end());
    }

    fn identity(&mut self, findings: &Findings) {
        let style = match findings.verdict.mood {
            Mood::Good => GOOD,
            Mood::Mixed => MIXED,
            Mood::Bad => BAD,
        };
        self.styled(style, &findings.verdict.sentence);
        match findings.runs.as_slice() {
            [first, others @ ..] if findings.are_shards() => self.shards(first, others.len() + 1),
            runs => {
                runs.iter().take(self.options.top).for_each(|run| self.run(run));
                if runs.len() > self.options.top {
                    self.line(&format!("and {} more runs", runs.len() - self.options.top));
                }
            }
        }
        if let Some(filter) = &findings.filter {
            self.line(&format!(
                "filter: {} ({} of {})",
                one_line(&filter.expression),
                count(filter.task_count),
                counted(filter.of_task_count, "task")
            ));
        }
    }

    /// The shards of one run.
    fn shards(&mut self, first: &RunFacts, count: usize) {
        let began =
            first.sessions.first().map(|session| format!(", began {}", session.began_at.for_people()));
        let of = first.shard.as_ref().and_then(|shard| shard.split('/').nth(1)).unwrap_or("?");
        self.line(&format!(
            "{}: {count} of {of} shards, ictasks {}{}",
            one_line(&first.job_id),
            one_line(&first.version),
            began.unwrap_or_default()
        ));
        self.line(&format!("in {}", one_line(above(&first.absolute_run_dir))));
    }

    fn run(&mut self, run: &RunFacts) {
        let began = run.sessions.first().map(|session| format!(", began {}", session.began_at.for_people()));
        let starts = match run.sessions.len() {
            0 | 1 => String::new(),
            starts => format!(", {starts} starts"),
        };
        let name = one_line(&run.job_id);
        let name = if name.is_empty() { one_line(&run.run_dir) } else { name };
        self.line(&format!(
            "{name}: ictasks {}{}{starts}",
            one_line(&run.version),
            began.unwrap_or_default()
        ));
        self.line(&format!("in {}", one_line(&run.absolute_run_dir)));
    }

    fn summary(&mut self, findings: &Findings) {
        self.text.push('\n');
        let outcomes = findings.outcomes.iter().filter(|of| of.task_count > 0);
        let named: Vec<String> =
            outcomes.map(|of| format!("{} {}", count(of.task_count), of.outcome.replace('_', " "))).collect();
        let mut tasks = named.join(", ");
        if findings.running_count > 0 {
            tasks.push_str(&format!("; {} running", count(findings.running_count)));
        }
        if findings.retried_count > 0 {
            tasks.push_str(&format!("; {}", counted(findings.retried_count, "further attempt")));
        }
        let bar = self.charts.outcome_bar(findings, 20);
        self.wrapped(&format!("tasks         {bar} "), &tasks);
        let time = &findings.time;
        let mut took = format!("time          {}", duration(time.makespan_s));
        if let (Some(bound), Some(share)) = (time.lower_bound_s, time.scheduling_efficiency_fraction) {
            took.push_str(&format!(
                "; best possible end {} ({} of it)",
                duration(bound),
                percent(share.min(1.0))
            ));
        }
        self.line(&took);
        if let (Some(tail), Some(idle)) = (time.tail_s, time.tail_idle_core_s) {
            let share = if time.makespan_s > 0.0 { tail / time.makespan_s } else { 0.0 };
            self.line(&format!(
                "tail          {} after the last start ({}), {} idle in it",
                duration(tail),
                percent(share),
                core_time(idle)
            ));
        }
        self.meters(findings);
        let cores = findings.cores.core_count;
        if !findings.concurrency.busy.is_empty() && cores > 0 && time.makespan_s > 0.0 {
            let width = self.options.width.saturating_sub(15).min(60);
            let line = self.charts.sparkline(&findings.concurrency.busy, cores, width);
            self.line(&format!("cores busy    {line}"));
        }
    }

    fn meters(&mut self, findings: &Findings) {
        let cores = &findings.cores;
        let meter = |page: &mut Self, name: &str, share: Option<f64>, words: &str| {
            if let Some(share) = share {
                let bar = page.charts.meter(share, 20);
                page.line(&format!("{name:<13} {bar} {:>5} {words}", percent(share)));
            }
        };
        let held = format!("of {}: cores held by tasks", core_time(cores.available_core_s));
        meter(self, "occupied", cores.occupancy_fraction, &held);
        if findings.host_count > 1 {
            let words = "workers: mean by longest time at work";
            meter(self, "balance", cores.load_balance_fraction, words);
        }
        meter(self, "CPU", cores.cpu_efficiency_fraction, "of that: computing, not waiting");
        meter(self, "useful", cores.goodput_fraction, "of that: in tasks that succeeded");
        let memory = &findings.memory;
        if let Some(peak) = memory.peaks.quantiles.last() {
            #[allow(clippy::cast_possible_truncation)]
            let largest = crate::units::bytes(peak.value as i64);
            let given = memory.requested_bytes.map(|given| (given, "asked for"));
            let host = memory.node_bytes.map(|bytes| (bytes, "of a node"));
            if let Some((bytes, of)) = given.or(host) {
                #[allow(clippy::cast_precision_loss)]
                let share = Some(peak.value / bytes as f64);
                let of = format!("largest task {largest}; {} {of}", crate::units::bytes(bytes));
                meter(self, "memory", share, &of);
            } else {
                self.line(&format!("memory        largest task {largest}"));
            }
        }
        if let Some(gpu) = &findings.gpu {
            meter(self, "GPU", gpu.busy_fraction, "of the time that tasks held one: busy");
        }
    }

    fn advice(&mut self, findings: &Findings) {
        if findings.advice.is_empty() {
            return;
        }
        self.heading("What to change");
        for (number, note) in findings.advice.iter().enumerate() {
            let saves = match note.saves_core_s {
                saved if saved > 0.0 => format!(" (up to {})", core_time(saved)),
                _ => String::new(),
            };
            self.wrapped(&format!("{}. ", number + 1), &format!("{}{saves}", one_line(&note.title)));
            self.wrapped("   ", &one_line(&note.evidence));
            if let Some(setting) = &note.setting {
                self.whole_line(&format!("   > {}", one_line(setting)));
            }
        }
    }

    /// What the data lacks, the other outputs, and how to go on.
    fn further(&mut self, findings: &Findings) {
        if !findings.lacks.is_empty() {
            self.heading("What the data lacks");
            for lack in &findings.lacks {
                self.wrapped("- ", &one_line(lack));
            }
        }
        self.text.push('\n');
        let directory = findings.runs.first().map_or(".", |run| run.run_dir.as_str());
        let directory = if findings.are_shards() { above(directory) } else { directory };
        let directory = shlex::try_quote(directory).unwrap_or_default();
        let directory = one_line(&directory);
        self.whole_line(&format!("more: ictasks report {directory} --format html, --failures, --task ID"));
        let left = findings.task_count
            - findings.outcomes.iter().find(|of| of.outcome == "succeeded").map_or(0, |of| of.task_count);
        match findings.runs.as_slice() {
            [run] if run.life == RunLife::Alive => {
                self.whole_line(&format!("see it at work: ictasks watch {directory}"));
            }
            [_] if left > 0 => {
                self.whole_line(&format!("run the rest: ictasks taskfarm --run-dir {directory} --resume"));
            }
            _ => {}
        }
    }
}

/// The directory of the whole of which this is a shard's.
fn above(shard_dir: &str) -> &str {
    let above = shard_dir.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
    if above.is_empty() { "." } else { above }
}

/// Every character beyond ASCII by one of ASCII.
pub(crate) fn in_ascii(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '…' => '~',
            '×' => 'x',
            '–' | '—' => '-',
            character if character.is_ascii() => character,
            _ => '?',
        })
        .collect()
}
