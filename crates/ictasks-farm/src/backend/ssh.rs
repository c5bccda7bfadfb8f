//! One `ssh` for each host starts the agent there.
//!
//! Nobody can type a password, so the keys have to be there already. What ssh sets, and not the environment
//! of the farm, is the environment of tasks.

use std::path::Path;

use super::StartCommand;

/// The command for one host, which may be written as ssh takes it (`user@host`).
pub fn start_command(host: &str, agent: &Path) -> StartCommand {
    let options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15", "-T"];
    let mut arguments = options.map(str::to_owned).to_vec();
    arguments.push("--".to_owned());
    arguments.push(host.to_owned());
    // The other side gives it to a shell.
    arguments.push(format!("exec {}", quoted(&agent.display().to_string())));
    StartCommand {
        program: "ssh".to_owned(),
        arguments,
        without_variables: &[],
        harmless: &[],
        place: host.to_owned(),
        agent_count: Some(1),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_quoted_for_the_shell_of_the_other_side() {
        let command = start_command("me@c1", Path::new("/my dir/it's"));
        let last: Vec<&str> = command.arguments.iter().rev().take(3).map(String::as_str).collect();
        assert_eq!(last, ["exec '/my dir/it'\\''s'", "me@c1", "--"]);
    }
}
