//! The axis of time on which sessions stand: one behind the other, without the days between two of them; shards of one
//! list, which run at the same time, side by side.

use std::path::Path;

use super::sessions::{Session, seconds};
use crate::findings::RunFacts;

/// Has sessions of shards that lie in one directory belong to one whole.
pub(super) fn join_shards(sessions: &mut [Session], runs: &[RunFacts]) {
    let whole_dir = |run: usize| {
        let facts = runs.get(run)?;
        facts.shard.as_ref()?;
        Path::new(&facts.absolute_run_dir).parent()
    };
    for session in sessions {
        let own = whole_dir(session.run);
        let first = own.and_then(|_| (0..session.run).find(|run| whole_dir(*run) == own));
        session.whole = first.unwrap_or(session.run);
    }
}

/// Gives each session its place on the axis.
pub(super) fn lay_out(sessions: &mut [Session]) {
    let mut order: Vec<usize> = (0..sessions.len()).collect();
    let is_sharded = |index: usize| {
        sessions.iter().any(|other| other.whole == sessions[index].whole && other.run != other.whole)
    };
    let key = |index: &usize| {
        let session = &sessions[*index];
        // The clock of one run may have been set back; of several it is all that there is.
        let when = if is_sharded(*index) { session.began_at } else { i64::from(session.number) };
        (session.whole, when)
    };
    order.sort_by_cached_key(key);
    let mut axis_s = 0.0_f64;
    let mut open: Option<Stretch> = None;
    for index in order {
        let session = &mut sessions[index];
        let stretch = match open {
            Some(open) if open.whole == session.whole && is_during(session, open) => open,
            _ => Stretch {
                whole: session.whole,
                began_at: session.began_at,
                ended_at: session.began_at,
                axis_s,
            },
        };
        session.axis_start_s = stretch.axis_s + seconds(session.began_at - stretch.began_at);
        axis_s = axis_s.max(session.axis_start_s + session.span_s());
        open = Some(Stretch { ended_at: stretch.ended_at.max(session.ended_at), ..stretch });
    }
}

/// A time without a pause in which some shard of a whole was alive.
#[derive(Clone, Copy)]
struct Stretch {
    whole: usize,
    began_at: i64,
    ended_at: i64,
    /// Where it begins on the axis.
    axis_s: f64,
}

/// Whether a session of a shard began while others of its whole were alive.
const fn is_during(session: &Session, stretch: Stretch) -> bool {
    stretch.began_at <= session.began_at && session.began_at < stretch.ended_at
}

/// M: the time in which a session was alive; not the days between two sessions.
pub(crate) fn makespan_s(sessions: &[Session]) -> f64 {
    sessions.iter().map(|session| session.axis_start_s + session.span_s()).fold(0.0, f64::max)
}

/// The largest sum of what sessions have that were alive at the same time.
pub(crate) fn at_most(sessions: &[Session], count: impl Fn(&Session) -> i64) -> i64 {
    let begin = |session: &Session| (session.axis_start_s, 1, count(session));
    let end = |session: &Session| (session.axis_start_s + session.span_s(), 0, -count(session));
    let mut changes: Vec<(f64, i32, i64)> = sessions.iter().flat_map(|one| [begin(one), end(one)]).collect();
    // At the same instant one ends before the next begins.
    changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let sums = changes.iter().scan(0_i64, |sum, (_, _, change)| {
        *sum += change;
        Some(*sum)
    });
    let of_one = sessions.iter().map(&count).max().unwrap_or(0);
    sums.max().unwrap_or(0).max(of_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(run: usize, whole: usize, began_at: i64, ended_at: i64) -> Session {
        let seconds = |at: i64| at * 1_000_000;
        Session { run, whole, began_at: seconds(began_at), ended_at: seconds(ended_at), ..Session::default() }
    }

    fn laid_out(mut sessions: Vec<Session>) -> (Vec<f64>, f64, i64) {
        lay_out(&mut sessions);
        let starts = sessions.iter().map(|session| session.axis_start_s).collect();
        (starts, makespan_s(&sessions), at_most(&sessions, |_| 4))
    }

    #[test]
    fn starts_of_one_run_stand_one_behind_the_other() {
        let mut second = session(0, 0, 1000, 1010);
        second.number = 1;
        assert_eq!(laid_out(vec![session(0, 0, 0, 5), second]), (vec![0.0, 5.0], 15.0, 4));
        // Runs that have nothing to do with one another do so, too, whenever they ran.
        assert_eq!(laid_out(vec![session(0, 0, 0, 5), session(1, 1, 2, 9)]), (vec![0.0, 5.0], 12.0, 4));
    }

    #[test]
    fn shards_stand_side_by_side() {
        let shards = vec![session(0, 0, 100, 110), session(1, 0, 103, 120), session(2, 0, 500, 504)];
        assert_eq!(laid_out(shards), (vec![0.0, 3.0, 20.0], 24.0, 8));
    }

    #[test]
    fn shards_are_known_by_their_directory() {
        let facts = |dir: &str, shard: Option<&str>| RunFacts {
            absolute_run_dir: dir.to_owned(),
            shard: shard.map(ToOwned::to_owned),
            ..RunFacts::default()
        };
        let runs = [
            facts("/runs/a/shard-1", Some("1/2")),
            facts("/runs/x", None),
            facts("/runs/a/shard-2", Some("2/2")),
            facts("/runs/b/shard-1", Some("1/2")),
        ];
        let mut sessions: Vec<Session> = (0..4).map(|run| session(run, run, 0, 1)).collect();
        join_shards(&mut sessions, &runs);
        assert_eq!(sessions.iter().map(|session| session.whole).collect::<Vec<_>>(), [0, 1, 0, 3]);
    }
}
