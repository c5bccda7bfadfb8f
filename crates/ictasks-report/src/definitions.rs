//! What the findings mean: each a pure function with its formula and source.
//!
//! For an attempt: wall time `d`, cores held `c`, CPU time `u` = user + system. `C(t)`: cores that there
//! were. `W` = Σ c·d. `M`, the makespan: the time in which a session was alive, summed.

pub(crate) mod bounds;
pub(crate) mod distribution;
pub(crate) mod hosts;
pub(crate) mod idle;
pub(crate) mod memory;
pub(crate) mod over_time;
pub(crate) mod stragglers;
pub(crate) mod work;

/// `part / whole`, where there is a whole.
pub(crate) fn fraction(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
