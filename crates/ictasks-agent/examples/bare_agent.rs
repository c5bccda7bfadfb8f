//! An agent and nothing else, for the tests of this crate: `ictasks-agent` without the command line.

fn main() -> Result<(), ictasks_agent::AgentError> {
    ictasks_agent::agent::run()
}
