//! Groups of failures, in short and in full.

use super::Page;
use crate::findings::{FailureGroup, Findings};
use crate::harmless::{lines, one_line, shortened};
use crate::units::{core_time, count, counted, percent};

impl Page {
    pub(super) fn failures(&mut self, findings: &Findings) {
        let failures = &findings.failures;
        if failures.attempt_count == 0 {
            return;
        }
        let groups = i64::try_from(failures.group_count).unwrap_or(i64::MAX);
        self.heading(&format!(
            "Failures: {} in {}, {} lost",
            counted(failures.attempt_count, "attempt"),
            counted(groups, "group"),
            core_time(failures.core_s)
        ));
        for group in failures.groups.iter().take(self.options.top) {
            self.group(group);
        }
        if failures.group_count > self.options.top {
            let rest = i64::try_from(failures.group_count - self.options.top).unwrap_or(i64::MAX);
            self.line(&format!("  and {}: --failures shows all", counted(rest, "more group")));
        }
    }

    fn group(&mut self, group: &FailureGroup) {
        let mut first = format!("  {:>6}  {}", count(group.attempt_count), group.meaning);
        if let Some(stands_out) = stands_out(group) {
            first.push_str(&format!("; {stands_out}"));
        }
        self.line(&first);
        let said = if group.template.is_empty() { "(it printed nothing)" } else { &group.template };
        self.line(&format!("          {}", one_line(said)));
    }

    pub(super) fn failures_in_full(&mut self, findings: &Findings) {
        let failures = &findings.failures;
        if failures.attempt_count == 0 {
            self.line("No attempt failed.");
            return;
        }
        for (number, group) in failures.groups.iter().enumerate() {
            self.heading(&format!(
                "{}. {}: {}",
                number + 1,
                counted(group.attempt_count, "attempt"),
                group.meaning
            ));
            self.group_in_full(group);
        }
        if failures.group_count > failures.groups.len() {
            let rest = i64::try_from(failures.group_count - failures.groups.len()).unwrap_or(i64::MAX);
            self.line(&format!("and {}: --top N shows more", counted(rest, "smaller group")));
        }
    }

    fn group_in_full(&mut self, group: &FailureGroup) {
        if !group.template.is_empty() {
            self.wrapped("   says:    ", &one_line(&group.template));
        }
        let mut lost = format!("   lost:    {}", core_time(group.core_s));
        if let (Some(first), Some(last)) = (group.first_at, group.last_at) {
            lost.push_str(&format!("; from {} to {}", first.for_people(), last.for_people()));
        }
        self.line(&lost);
        if !group.hosts.is_empty() {
            let hosts =
                group.hosts.iter().map(|host| format!("{} {}", count(host.count), one_line(&host.value)));
            let more = group.host_count - group.hosts.len();
            let more = if more > 0 { format!(", and {more} more hosts") } else { String::new() };
            self.wrapped("   where:   ", &format!("{}{more}", hosts.collect::<Vec<_>>().join(", ")));
        }
        for over in &group.over_represented {
            self.wrapped(
                "   mostly:  ",
                &format!(
                    "{} = {} ({} of this group, {} of all attempts)",
                    over.column,
                    one_line(&over.value),
                    percent(over.fraction_of_group),
                    percent(over.fraction_of_all)
                ),
            );
        }
        if let Some(evidence) = &group.cause_evidence {
            self.line(&format!("   cause:   {} ({evidence})", group.cause.as_deref().unwrap_or("")));
        }
        self.line(&format!(
            "   example: task {}: {}",
            one_line(&group.example.task_id),
            one_line(&group.example.command)
        ));
        for line in lines(&group.example_output).lines() {
            self.line(&format!("     | {line}"));
        }
        if let Some(remedy) = &group.remedy {
            self.wrapped("   advice:  ", remedy);
        }
        if group.task_count > 0 {
            self.whole_line(&format!("   again:   {}", one_line(&group.rerun)));
        } else {
            self.line("   again:   not needed: all of its tasks succeeded when they were tried again");
        }
    }
}

/// The value or host that stands out most.
fn stands_out(group: &FailureGroup) -> Option<String> {
    let over = group.over_represented.first()?;
    let name = over.column.trim_start_matches("param_");
    Some(format!("{} {name} = {}", percent(over.fraction_of_group), shortened(&one_line(&over.value), 20)))
}
