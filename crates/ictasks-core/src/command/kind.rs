//! What kind of work a command is, as far as its text tells: its template and its program.
//!
//! Reports group attempts by it, and the farm takes tasks of the same kind to be of about the same length.

/// The command with each number as `#`; in its first word only numbers that stand alone (`python3` stays).
/// At most 200 bytes of it.
pub fn template(command: &str, into: &mut String) {
    into.clear();
    let end = (0..=200.min(command.len())).rev().find(|end| command.is_char_boundary(*end)).unwrap_or(0);
    let bytes = &command.as_bytes()[..end];
    let (mut is_first_word, mut in_word) = (true, false);
    // What has not been copied yet begins here.
    let mut from = 0;
    let mut place = 0;
    while place < bytes.len() {
        let byte = bytes[place];
        if byte.is_ascii_digit() && !(is_first_word && in_word) {
            into.push_str(&command[from..place]);
            into.push('#');
            place = end_of_number(bytes, place);
            from = place;
            in_word = false;
            continue;
        }
        in_word = byte.is_ascii_alphanumeric() || !byte.is_ascii();
        is_first_word &= !byte.is_ascii_whitespace();
        place += 1;
    }
    into.push_str(&command[from..end]);
}

/// Where a number ends that begins at `place`: digits, and what joins them: `1.5e-3`.
fn end_of_number(bytes: &[u8], mut place: usize) -> usize {
    let is_digit = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_digit);
    while let Some(byte) = bytes.get(place) {
        let joins = matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+')
            && (is_digit(place + 1) || {
                // The exponent of `1e-3`.
                matches!(byte, b'e' | b'E')
                    && matches!(bytes.get(place + 1), Some(b'-' | b'+'))
                    && is_digit(place + 2)
            });
        if !(byte.is_ascii_digit() || joins) {
            break;
        }
        place += 1;
    }
    place
}

/// What runs, in a word: the first word without its directory; of an interpreter with its script.
/// `cd X &&`, assignments and programs that start others are passed over.
pub fn program(command: &str) -> &str {
    let mut rest = command.trim_start();
    // Bounded, so that a hostile line costs no more than another.
    for _ in 0..8 {
        let (word, after) = first_word(rest);
        let name = base_name(word);
        let skipped = match name {
            "cd" => after.split_once("&&").or_else(|| after.split_once(';')).map(|(_, then)| then),
            "env" | "exec" | "time" | "nice" | "nohup" | "command" => Some(after),
            "timeout" => Some(first_word(after).1),
            _ if is_assignment(word) => Some(after),
            _ => None,
        };
        match skipped.map(str::trim_start) {
            Some(next) if !next.is_empty() && !next.starts_with('-') => rest = next,
            _ => break,
        }
    }
    let (word, after) = first_word(rest);
    let name = base_name(word);
    let script = first_word(after).0;
    let is_script = !script.is_empty() && !script.starts_with(['-', '\'', '"', '$', '<', '>', '|', '&', ';']);
    if is_interpreter(name) && is_script {
        // From the interpreter's name to the end of the script's.
        let start = name.as_ptr() as usize - command.as_ptr() as usize;
        let end = script.as_ptr() as usize - command.as_ptr() as usize + script.len();
        return &command[start..end];
    }
    name
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '<' | '>'))
        .unwrap_or(text.len());
    let word = &text[..end];
    (word, &text[end..])
}

fn base_name(word: &str) -> &str {
    let word = word.trim_matches(['\'', '"']);
    word.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(word)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn is_interpreter(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(
        stem,
        "python"
            | "pypy"
            | "Rscript"
            | "julia"
            | "perl"
            | "ruby"
            | "node"
            | "bash"
            | "sh"
            | "octave"
            | "lua"
            | "java"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template_of(command: &str) -> String {
        let mut text = String::new();
        template(command, &mut text);
        text
    }

    #[test]
    fn numbers_are_masked_in_templates() {
        assert_eq!(template_of("./sim --n 12 --dt 1.5e-3 -x=-4"), "./sim --n # --dt # -x=-#");
        assert_eq!(template_of("python3 run.py input_007.dat"), "python3 run.py input_#.dat");
        assert_eq!(template_of("sha256sum f1"), "sha256sum f#");
    }

    #[test]
    fn a_program_is_named_by_what_runs() {
        let cases = [
            ("/opt/bin/sim --n 12", "sim"),
            ("python3 run.py 5", "python3 run.py"),
            ("python3 -c 'print(1)'", "python3"),
            ("cd /tmp && OMP_NUM_THREADS=1 ./sim 5", "sim"),
            ("timeout 5 sleep 1", "sleep"),
            ("exit 3", "exit"),
            ("", ""),
            ("a;b", "a"),
        ];
        for (command, expected) in cases {
            assert_eq!(program(command), expected, "{command}");
        }
    }
}
