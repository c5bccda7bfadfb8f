//! Ways in which tasks fail, with what they print: numbers, paths, hosts and times differ from one
//! task to the next, as in real output.

use super::random::Random;

/// How many ways [`failures`] knows by name; further ones are numbered.
pub const KINDS: usize = 7;

/// A way to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it is.
    pub name: String,
    /// The exit code, if the program exits.
    pub exit_code: Option<i32>,
    /// The signal that it dies of, if it does.
    pub signal: Option<i32>,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// The shell finds no such program.
    MissingProgram(String),
    Traceback,
    SegmentationFault,
    /// Says so on standard output, as many codes of physics do.
    NotConverged,
    NoSpace,
    MissingFile,
    Gpu,
    /// One line of its own.
    Says(String),
}

impl Failure {
    fn new(name: &str, exit_code: Option<i32>, signal: Option<i32>, how: How) -> Self {
        Self { name: name.to_owned(), exit_code, signal, how }
    }

    /// The shell finds no program of this name.
    pub fn missing_program(program: &str) -> Self {
        Self::new("missing_program", Some(127), None, How::MissingProgram(program.to_owned()))
    }

    /// An input file is not there.
    pub fn missing_file() -> Self {
        Self::new("missing_file", Some(2), None, How::MissingFile)
    }

    /// The program exits with this code after this line on standard error, in which each `#` becomes
    /// a number.
    pub fn says(name: &str, exit_code: i32, line: &str) -> Self {
        Self::new(name, Some(exit_code), None, How::Says(line.to_owned()))
    }

    /// Standard error and standard output of one failure.
    pub fn output(&self, host: &str, task_index: i64, random: &mut Random) -> (String, String) {
        let number = random.below(100_000);
        let value = random.between(-40.0, 0.0);
        let stderr = match &self.how {
            How::MissingProgram(program) => format!("/bin/sh: line 1: {program}: command not found\n"),
            How::Traceback => format!(
                "{}.{number:06} WARNING start of {task_index}\nTraceback (most recent call last):\n  File \
                 \"/home/ann/run_{task_index}/relax.py\", line 214, in <module>\n    main()\n  File \
                 \"/home/ann/run_{task_index}/relax.py\", line 87, in main\n    raise ValueError(f\"negative \
                 temperature: {{t}}\")\nValueError: negative temperature: {value:.4}\n",
                1_772_352_000 + number
            ),
            How::SegmentationFault => format!(
                "forrtl: severe (174): SIGSEGV, segmentation fault occurred\nrank {} on {host}: address \
                 0x{number:012x}\n",
                number % 8
            ),
            How::NotConverged => String::new(),
            How::NoSpace => format!(
                "OSError: [Errno 28] No space left on device: '/scratch/{host}/{number}/density.h5'\n"
            ),
            How::MissingFile => format!("error: cannot open /data/in/{task_index}.xyz: no such file\n"),
            How::Gpu => {
                format!("{host}: CUDA error: an illegal memory access was encountered (gpu {})\n", number % 4)
            }
            How::Says(line) => format!("{}\n", line.replace('#', &number.to_string())),
        };
        let stdout = match &self.how {
            How::NotConverged => format!(
                " iteration {number}  residual {:.3e}\n ERROR: SCF did not converge after {} iterations\n",
                random.between(1e-6, 1e-2),
                200 + number % 300
            ),
            _ => format!("reading input\nstep {number}\n"),
        };
        (stderr, stdout)
    }
}

/// `count` different ways to fail. A time limit and a memory limit are not among them: those follow
/// from what a task needs.
pub fn failures(count: usize) -> Vec<Failure> {
    let named = [
        Failure::missing_program("mdrun_mpi"),
        Failure::new("traceback", Some(1), None, How::Traceback),
        Failure::new("segmentation_fault", None, Some(11), How::SegmentationFault),
        Failure::new("not_converged", Some(3), None, How::NotConverged),
        Failure::new("no_space", Some(1), None, How::NoSpace),
        Failure::missing_file(),
        Failure::new("gpu", Some(134), None, How::Gpu),
    ];
    let words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "juniper"];
    let more = (0..).map(|number: usize| {
        let (one, two) = (words[number % 10], words[number / 10 % 10]);
        let code = 20 + i32::try_from(number % 80).unwrap_or(0);
        Failure::says(
            &format!("{two}_{one}"),
            code,
            &format!("fatal: the {two} table has no {one} entry (#)"),
        )
    });
    named.into_iter().chain(more).take(count).collect()
}
