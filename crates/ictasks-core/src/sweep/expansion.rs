//! What a sweep of a configuration makes of tasks.

use std::path::Path;
use std::sync::Arc;

use super::ids::IdRule;
use super::points::{Points, PointsError, SweepFiles};
use super::quoting::Dialect;
use super::template::Suspect;
use super::texts::Texts;
use crate::config::{Config, SweepPart};
use crate::error::{Fault, InputError, Place};

/// How tasks are made of what was typed: for each of them one at each point.
#[derive(Clone)]
pub struct Expansion(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) points: Arc<Points>,
    /// The rule of `id:`, if there is one.
    pub(super) id: Option<IdRule>,
    /// Variables and expected outputs of all tasks.
    pub(super) texts: Texts,
    /// Words in them that are no parameters, and their keys.
    pub(super) suspects: Vec<(&'static str, Suspect)>,
    pub(super) dialect: Dialect,
    pub(super) submit_dir: String,
    /// Where `sweep:` and `id:` stand.
    pub(super) place: Place,
    /// The keys of its parts, in words.
    kinds: String,
}

impl Expansion {
    /// Of a configuration; `None` if it has no `sweep:`. Relative names of files begin in the
    /// submit directory.
    ///
    /// # Errors
    /// What is wrong with its points or with the template of its ids.
    pub fn of(
        config: &Config,
        files: &Arc<dyn SweepFiles>,
        submit_dir: &Path,
    ) -> Result<Option<Self>, InputError> {
        let Some(sweep) = &config.sweep else { return Ok(None) };
        let points = Points::of(sweep, files, submit_dir).map_err(|(key, error)| match error {
            PointsError::OfPart(message) => InputError::At {
                place: config.places.of_part(key),
                fault: Fault::Syntax(format!("`sweep.{key}`: {message}")),
            },
            PointsError::Placed(error) => *error,
        })?;
        let id = config.id.as_deref().map(|template| {
            IdRule::template(template, points.names()).map_err(|word| InputError::At {
                place: config.places.id.clone(),
                fault: unknown_in_id(&word, points.names()),
            })
        });
        let id = id.transpose()?;
        let mut suspects = Vec::new();
        let texts = Texts::of_all(config, points.names(), |key, suspect| suspects.push((key, suspect)));
        let place = if id.is_some() { &config.places.id } else { &config.places.sweep };
        Ok(Some(Self(Arc::new(Inner {
            points: Arc::new(points),
            id,
            texts,
            suspects,
            dialect: Dialect::of(&config.shell),
            submit_dir: submit_dir.to_string_lossy().into_owned(),
            place: place.clone(),
            kinds: sweep.0.iter().map(SweepPart::key).collect::<Vec<_>>().join(" × "),
        }))))
    }

    /// Number of points.
    pub fn point_count(&self) -> u64 {
        self.0.points.count()
    }

    /// What the sweep is, for people: `6 points of x, n (grid)`.
    pub fn describe(&self) -> String {
        let count = self.point_count();
        let points = if count == 1 { "point" } else { "points" };
        format!("{count} {points} of {} ({})", self.0.points.names().join(", "), self.0.kinds)
    }
}

/// What is said of a name in a template of ids.
pub(super) fn unknown_in_id(word: &str, names: &[String]) -> Fault {
    Fault::Syntax(format!(
        "`id`: `{{{word}}}` is no parameter of the sweep; its parameters are {}",
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    ))
}
