//! Bars and sparklines of characters.

use crate::findings::Findings;

/// Draws in Unicode or in ASCII.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charts {
    unicode: bool,
}

/// Heights of a sparkline.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const HEIGHTS: [char; 9] = [' ', '.', '.', ':', '-', '=', '+', '*', '#'];

impl Charts {
    pub(super) const fn new(unicode: bool) -> Self {
        Self { unicode }
    }

    /// A bar that is filled to a share.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub(super) fn meter(self, share: f64, width: usize) -> String {
        let filled = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
        let (full, empty) = if self.unicode { ('█', '░') } else { ('#', '.') };
        (0..width).map(|place| if place < filled { full } else { empty }).collect()
    }

    /// Tasks by outcome: succeeded, failed, the rest; whatever there is has at least one character.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub(super) fn outcome_bar(self, findings: &Findings, width: usize) -> String {
        let of =
            |name: &str| findings.outcomes.iter().find(|of| of.outcome == name).map_or(0, |of| of.task_count);
        let (good, bad) = (of("succeeded"), findings.failures.task_count);
        let all = (findings.task_count + findings.running_count).max(1);
        let part = |count: i64| match (count as f64 / all as f64 * width as f64).round() as usize {
            0 if count > 0 => 1,
            part => part,
        };
        let bad_width = part(bad).min(width);
        let good_width = part(good).min(width - bad_width);
        let (good_mark, bad_mark, rest_mark) =
            if self.unicode { ('█', '▚', '░') } else { ('#', 'x', '.') };
        let rest = width - bad_width - good_width;
        // Rounding leaves no hole in a bar of tasks that all ended.
        let (good_width, rest) = if good + bad == all { (good_width + rest, 0) } else { (good_width, rest) };
        let repeat = |mark: char, count: usize| std::iter::repeat_n(mark, count);
        repeat(good_mark, good_width)
            .chain(repeat(bad_mark, bad_width))
            .chain(repeat(rest_mark, rest))
            .collect()
    }

    /// Heights over time, of `top` at most.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub(super) fn sparkline(self, values: &[f64], top: i64, width: usize) -> String {
        let width = width.min(values.len()).max(1);
        let heights = if self.unicode { BLOCKS } else { HEIGHTS };
        let line = (0..width).map(|place| {
            let (from, to) = (place * values.len() / width, ((place + 1) * values.len() / width).max(1));
            let part = values.get(from..to).unwrap_or_default();
            let mean = part.iter().sum::<f64>() / part.len().max(1) as f64;
            let height = (mean / top.max(1) as f64 * 8.0).clamp(0.0, 8.0);
            // Something is never drawn as nothing.
            let height = if height > 0.0 { height.round().max(1.0) } else { 0.0 };
            heights[height as usize]
        });
        line.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_shares() {
        let charts = Charts::new(false);
        assert_eq!(charts.meter(0.5, 10), "#####.....");
        assert_eq!(charts.meter(7.0, 4), "####");
        assert_eq!(charts.sparkline(&[0.0, 1.0, 2.0, 0.01], 2, 4), " -#.");
    }
}
