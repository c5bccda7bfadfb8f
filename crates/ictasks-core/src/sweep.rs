//! Sweeps: from the parameters that were typed to a task for each of their points.
//!
//! - `value`: one value, typed, and as text;
//! - `range`, `random`: values that are computed and never listed;
//! - `points`: [`Points`], the cross product of all parts;
//! - `template`, `quoting`: how values get into a command, as data;
//! - `texts`: how they get into variables and names of files, as they are;
//! - `ids`: ids from values;
//! - `expansion`: [`Expansion`], what the configuration makes of it all;
//! - `expanded`: tasks one after the other;
//! - `check`: the pass over all of them before anything runs.

mod check;
mod expanded;
mod expansion;
mod ids;
mod points;
mod quoting;
mod random;
mod range;
mod template;
mod texts;
mod value;

pub use expansion::Expansion;
pub use points::{Axis, PointTable, Points, SweepFiles};
pub use quoting::Dialect;
pub use random::{Distribution, Random};
pub use range::{Number, Range, Scale};
pub use value::ParamValue;

pub use crate::config::scalar::check_parameter_name;

pub(crate) use expanded::Expanded;
