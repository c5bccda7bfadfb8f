//! The words that mean something to a shell where a command stands: reserved words and builtins
//! of POSIX, dash, bash, ksh, mksh, zsh and busybox, and functions that clusters export to
//! every shell (environment modules, `which` on Red Hat). Left out are ordinary programs that some shell has
//! built in with the same meaning (`sleep` of ksh, `cat` of mksh).

/// Whether `word` may be something else than a program to some shell.
pub(super) fn is_shell_name(word: &str) -> bool {
    SHELL_NAMES.binary_search(&word).is_ok()
}

/// Sorted. `echo`, `true` and `false` are decided on elsewhere.
#[rustfmt::skip]
const SHELL_NAMES: &[&str] = &[
    "!", ".", ":", "[", "[[", "]]", "alias", "autoload", "bg", "bind", "bindkey", "break",
    "builtin", "bye", "caller", "case", "cd", "chdir", "command", "compctl", "compgen",
    "complete", "compopt", "conda", "continue", "coproc", "declare", "dirs", "disable",
    "disown", "do", "done", "echotc", "echoti", "elif", "else", "emulate", "enable", "end",
    "enum", "esac", "eval", "exec", "exit", "export", "fc", "fg", "fi", "float", "for",
    "foreach", "function", "functions", "getln", "getopts", "hash", "help", "hist", "history",
    "if", "in", "integer", "jobid", "jobs", "kill", "let", "limit", "local", "log", "logout",
    "mamba", "mapfile", "micromamba", "ml", "module", "nameref", "nocorrect", "noglob", "popd",
    "print", "printf", "private", "pushd", "pwd", "r", "read", "readarray", "readonly",
    "redirect", "rehash", "repeat", "return", "sched", "scl", "select", "set", "setopt",
    "setvar", "shift", "shopt", "source", "spack", "suspend", "test", "then", "time", "times",
    "tput", "trap", "ttyctl", "type", "typeset", "ulimit", "umask", "unalias", "unfunction",
    "unhash", "unlimit", "unset", "unsetopt", "until", "vared", "vmstate", "wait", "whence",
    "where", "which", "while", "wordexp", "zcompile", "zmodload", "zstyle", "{", "}",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sorted() {
        assert!(SHELL_NAMES.is_sorted());
    }

    /// Bash lists its own builtins and reserved words; where it is installed, none may be missing.
    #[test]
    fn knows_all_names_of_bash() {
        let script = "compgen -b; compgen -k";
        let Ok(output) = std::process::Command::new("bash").args(["-c", script]).output() else {
            return;
        };
        for name in String::from_utf8(output.stdout).unwrap().lines() {
            let decided_elsewhere = ["echo", "true", "false"].contains(&name);
            assert!(decided_elsewhere || is_shell_name(name), "{name}");
        }
    }
}
