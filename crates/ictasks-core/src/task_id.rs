//! What a task id may look like.

use crate::error::Fault;

/// Checks an id: it becomes part of a directory's name.
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn check(_id: &str) -> Result<(), Fault> {
    todo!()
}
