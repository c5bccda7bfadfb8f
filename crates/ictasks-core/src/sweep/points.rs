//! The points of a sweep: the cross product of its parts, the last of which varies fastest.
//!
//! Nothing but what was typed, the names of files and small tables are ever in memory: a part is
//! asked for its nth point, and a large table is read again whenever it begins anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::random::Random;
use super::range::Range;
use super::value::ParamValue;
use crate::config::{Sweep, SweepPart};
use crate::error::InputError;

/// The values of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// As listed.
    Values(Vec<ParamValue>),
    /// At equal distances.
    Range(Range),
}

impl Axis {
    /// How many there are; at least one.
    pub const fn count(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Range(range) => range.count(),
        }
    }

    fn at(&self, position: u64) -> ParamValue {
        match self {
            Self::Values(values) => {
                let place = usize::try_from(position).unwrap_or(usize::MAX);
                values.get(place).cloned().unwrap_or_else(ParamValue::null)
            }
            Self::Range(range) => range.at(position),
        }
    }
}

/// What a sweep needs of the file system.
pub trait SweepFiles: Send + Sync {
    /// The names of the files that a pattern finds, in order, as the pattern gives them.
    ///
    /// # Errors
    /// What is wrong with the pattern or with a directory.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, String>;

    /// Opens a table of points.
    ///
    /// # Errors
    /// It cannot be read, or is no table.
    fn open(&self, path: &Path) -> Result<Box<dyn PointTable>, InputError>;
}

/// A table of points that is read from its beginning to its end.
pub trait PointTable: Send {
    /// The names of its columns.
    fn names(&self) -> &[String];

    /// The next row, a value a column; `None` at the end.
    fn next_row(&mut self) -> Option<Result<Vec<ParamValue>, InputError>>;
}

/// Cells of a table that are kept in memory.
const KEPT_CELLS: usize = 1 << 16;

/// The points of a sweep.
pub struct Points {
    parts: Vec<Part>,
    names: Vec<String>,
    is_telling: Vec<bool>,
    count: u64,
}

struct Part {
    /// Where its values begin among those of a point, and how many they are.
    begin: usize,
    width: usize,
    count: u64,
    values: Values,
}

enum Values {
    Axis(Axis),
    Zip(Vec<Axis>),
    Rows(Vec<Vec<ParamValue>>),
    Random(Random),
    Table(Arc<dyn SweepFiles>, PathBuf),
}

/// What keeps a sweep from having points.
#[derive(Debug)]
pub(super) enum PointsError {
    /// It belongs to the key of the part.
    OfPart(String),
    /// It has a place of its own.
    Placed(Box<InputError>),
}

impl From<InputError> for PointsError {
    fn from(error: InputError) -> Self {
        Self::Placed(Box::new(error))
    }
}

impl Points {
    /// The points of a sweep that was typed; relative names of files begin in `base`.
    pub(super) fn of(
        sweep: &Sweep,
        files: &Arc<dyn SweepFiles>,
        base: &Path,
    ) -> Result<Self, (&'static str, PointsError)> {
        let mut points = Self { parts: Vec::new(), names: Vec::new(), is_telling: Vec::new(), count: 1 };
        for part in &sweep.0 {
            let added = match part {
                SweepPart::Grid(axes) => {
                    for (name, axis) in axes {
                        let added = points.add(&[name], axis.count(), Values::Axis(axis.clone()));
                        added.map_err(|message| (part.key(), PointsError::OfPart(message)))?;
                    }
                    continue;
                }
                SweepPart::Zip(axes) => {
                    let names: Vec<&String> = axes.iter().map(|(name, _)| name).collect();
                    let count = axes.first().map_or(0, |(_, axis)| axis.count());
                    let axes = axes.iter().map(|(_, axis)| axis.clone()).collect();
                    points.add(&names, count, Values::Zip(axes)).map_err(PointsError::OfPart)
                }
                SweepPart::List { names, rows } => {
                    let names: Vec<&String> = names.iter().collect();
                    points
                        .add(&names, rows.len() as u64, Values::Rows(rows.clone()))
                        .map_err(PointsError::OfPart)
                }
                SweepPart::Random(random) => {
                    let names: Vec<&String> = random.parameters.iter().map(|(name, _)| name).collect();
                    points
                        .add(&names, random.count, Values::Random(random.clone()))
                        .map_err(PointsError::OfPart)
                }
                SweepPart::Glob(patterns) => {
                    points.add_files(patterns, files.as_ref(), base).map_err(PointsError::OfPart)
                }
                SweepPart::File(path) => points.add_table(&base.join(path), files),
            };
            added.map_err(|error| (part.key(), error))?;
        }
        Ok(points)
    }

    fn add(&mut self, names: &[&String], count: u64, values: Values) -> Result<(), String> {
        for name in names {
            if self.names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                return Err(format!("the parameter `{name}` comes twice in the sweep; give it once"));
            }
            self.names.push((*name).clone());
            self.is_telling.push(true);
        }
        self.count =
            self.count.checked_mul(count).filter(|count| *count < u64::from(u32::MAX)).ok_or_else(|| {
                "the sweep has more points than a run can have tasks (4294967294); leave some out".to_owned()
            })?;
        self.parts.push(Part { begin: self.names.len() - names.len(), width: names.len(), count, values });
        Ok(())
    }

    fn add_files(&mut self, patterns: &[String], files: &dyn SweepFiles, base: &Path) -> Result<(), String> {
        let mut rows = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for pattern in patterns {
            for found in files.matching(pattern)? {
                if !seen.insert(found.clone()) {
                    continue;
                }
                let stem = Path::new(&found).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let absolute = base.join(&found).to_string_lossy().into_owned();
                let stem = ParamValue::text(stem)?;
                rows.push(vec![ParamValue::path(absolute, found)?, stem]);
            }
        }
        if rows.is_empty() {
            let patterns: Vec<String> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
            return Err(format!("there is no file {} in `{}`", patterns.join(" or "), base.display()));
        }
        let names = ["file", "stem"].map(str::to_owned);
        self.add(&names.each_ref(), rows.len() as u64, Values::Rows(rows))?;
        // The file tells them apart, and the stem is part of it.
        self.is_telling.pop();
        self.is_telling.push(false);
        Ok(())
    }

    fn add_table(&mut self, path: &Path, files: &Arc<dyn SweepFiles>) -> Result<(), PointsError> {
        let mut table = files.open(path)?;
        let names = table.names().to_vec();
        let mut kept = Some(Vec::new());
        let mut count: u64 = 0;
        while let Some(row) = table.next_row() {
            let row = row?;
            count += 1;
            if let Some(rows) = &mut kept {
                rows.push(row);
                if rows.len().saturating_mul(names.len()) > KEPT_CELLS {
                    kept = None;
                }
            }
        }
        if count == 0 {
            let message = format!("`{}` has no rows; give a point a row", path.display());
            return Err(PointsError::OfPart(message));
        }
        let values = match kept {
            Some(rows) => Values::Rows(rows),
            None => Values::Table(Arc::clone(files), path.to_owned()),
        };
        self.add(&names.iter().collect::<Vec<_>>(), count, values).map_err(PointsError::OfPart)
    }

    /// Number of points.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The names of the parameters, in the order of the values.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Which parameters tell points apart; the others follow from them.
    pub(super) fn is_telling(&self) -> &[bool] {
        &self.is_telling
    }

    /// A point in words.
    pub(super) fn describe(&self, values: &[ParamValue]) -> String {
        const SHOWN: usize = 40;
        let pair = |(name, value): (&String, &ParamValue)| {
            let text = value.as_portable_text();
            let more = if text.chars().count() > SHOWN { "…" } else { "" };
            let text: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
            format!("{name}={text}{more}")
        };
        let told = self.names.iter().zip(values).zip(&self.is_telling).filter(|(_, is_telling)| **is_telling);
        told.map(|(named, _)| pair(named)).collect::<Vec<_>>().join(" ")
    }
}

/// Goes through the points.
pub(super) struct Cursor {
    points: Arc<Points>,
    wheels: Vec<Wheel>,
    values: Vec<ParamValue>,
    has_begun: bool,
}

/// Where a part is.
#[derive(Default)]
struct Wheel {
    position: u64,
    table: Option<Box<dyn PointTable>>,
}

impl Cursor {
    pub(super) fn new(points: Arc<Points>) -> Self {
        let wheels = points.parts.iter().map(|_| Wheel::default()).collect();
        let values = vec![ParamValue::null(); points.names.len()];
        Self { points, wheels, values, has_begun: false }
    }

    /// The values of the point.
    pub(super) fn values(&self) -> &[ParamValue] {
        &self.values
    }

    /// Goes to the next point; `None` behind the last.
    pub(super) fn next_point(&mut self) -> Option<Result<(), InputError>> {
        let moved = if std::mem::replace(&mut self.has_begun, true) {
            // From the fastest one on, as far as they come round.
            let turning = (0..self.wheels.len()).rev();
            let still = turning.into_iter().find(|&place| {
                let wheel = &mut self.wheels[place];
                wheel.position += 1;
                let goes_on = wheel.position < self.points.parts[place].count;
                if !goes_on {
                    wheel.position = 0;
                }
                goes_on
            });
            still?
        } else {
            0
        };
        for place in moved..self.wheels.len() {
            if let Err(error) = self.show(place) {
                return Some(Err(error));
            }
        }
        Some(Ok(()))
    }

    /// Puts the values of a part where they belong.
    fn show(&mut self, place: usize) -> Result<(), InputError> {
        let points = Arc::clone(&self.points);
        let part = &points.parts[place];
        let wheel = &mut self.wheels[place];
        let position = wheel.position;
        let values = &mut self.values[part.begin..part.begin + part.width];
        match &part.values {
            Values::Axis(axis) => values[0] = axis.at(position),
            Values::Zip(axes) => {
                for (value, axis) in values.iter_mut().zip(axes) {
                    *value = axis.at(position);
                }
            }
            Values::Rows(rows) => {
                let place = usize::try_from(position).unwrap_or(usize::MAX);
                if let Some(row) = rows.get(place) {
                    values.clone_from_slice(row);
                }
            }
            Values::Random(random) => random.point(position, |place, value| values[place] = value),
            Values::Table(files, path) => {
                let changed = || {
                    let source = std::io::Error::other("it has other columns or fewer rows than at first");
                    InputError::Unreadable { path: path.clone(), source }
                };
                if position == 0 {
                    wheel.table = Some(files.open(path)?);
                }
                let row = wheel.table.as_mut().and_then(|table| table.next_row()).ok_or_else(changed)??;
                if row.len() != values.len() {
                    return Err(changed());
                }
                values.clone_from_slice(&row);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
