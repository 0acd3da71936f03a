//! The tasks, and how the words of a command line become one of them and its flags.

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command};

use crate::args::{CompletionsFlags, ContainerFlags, DoctorFlags, ExplainFlags, GcFlags, RunFlags, WhyFlags};

/// What was given, understood: the task, and its flags.
///
/// Defining all flags was the largest part of what `run` adds to a short command. So it is first tried with the flags of
/// those headings alone that one is given of; whatever that cannot make sense of, all of them decide.
pub(crate) fn parse(words: &[OsString]) -> Result<(String, ArgMatches), clap::Error> {
    // Not taken apart again, both of them: the end of the process does that at once.
    if let Some(("run", given)) = words.get(1).and_then(|task| task.to_str()).zip(words.get(2..)) {
        let mut brief = ManuallyDrop::new(brief_run(&Words::of(given)));
        if let Ok(matches) = brief.try_get_matches_from_mut(given) {
            return Ok(("run".into(), matches));
        }
    }
    let mut whole = ManuallyDrop::new(command());
    let found = whole.try_get_matches_from_mut(words)?.remove_subcommand();
    found.ok_or_else(|| whole.error(ErrorKind::MissingSubcommand, "no task was given"))
}

fn brief_run(words: &Words) -> Command {
    let run = Command::new("run").no_binary_name(true).disable_help_flag(true);
    ContainerFlags::define(RunFlags::augment_args(run), |flags| words.have_one_of(flags))
}

/// The words of a command line that may be flags.
struct Words {
    /// Long ones, spelled as their fields, without value.
    long: Vec<String>,
    /// Whether there are short ones, which can stand together.
    short: bool,
}

impl Words {
    fn of(words: &[OsString]) -> Words {
        let words = words.iter().map(|word| word.as_encoded_bytes()).take_while(|word| *word != b"--");
        let mut found = Words { long: Vec::new(), short: false };
        for word in words {
            match word {
                [b'-', b'-', long @ ..] => {
                    let name = long.split(|byte| *byte == b'=').next().unwrap_or_default();
                    found.long.push(String::from_utf8_lossy(name).replace('-', "_"));
                }
                [b'-', _, ..] => found.short = true,
                _ => {}
            }
        }
        found
    }

    fn have_one_of(&self, flags: &[&str]) -> bool {
        self.short || self.long.iter().any(|word| flags.contains(&word.as_str()))
    }
}

/// The program: its tasks, each with its flags, which are defined when it is called.
pub(crate) fn command() -> Command {
    Command::new("seclude")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .max_term_width(110)
        .about("Run a command born inside a Linux container: it starts there or not at all")
        .after_help(
            "Exit status: the command's own; 125 seclude failed before the command ran, or could not write its report or all of its output, 126 \
             it cannot be executed, 127 it was not found, 128+N signal N ended it.\n\nFirst steps:  seclude run id    seclude explain id    seclude \
             doctor",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            task("run", "Run a command in a container", |run| whole(RunFlags::augment_args(run))).long_about(
                "Run a command in a container\n\nWithout flags: all namespaces new (but time), and no user namespaces below; as \
                 root 65,536 ids that nobody has, otherwise the caller mapped to root; of the host's files /usr, /bin, /sbin, /lib*, /opt, \
                 /etc without its secrets, and the directory that you are in, all read-only (--ro and --rw show more); a fresh /proc and \
                 /dev; an empty /tmp, /run and home, in memory; PATH, TERM, LANG, LC_*, TZ and NO_COLOR of your environment (--env NAME \
                 hands on more); only a loopback interface that is up, a tiny init, no capabilities, no new privileges, the system calls \
                 of programs alone, a session and a keyring of its own, and its end with that of seclude.",
            ),
        )
        .subcommand(task(
            "explain",
            "Print what `run` would do with the same flags: who does what, in which order",
            |explain| whole(ExplainFlags::augment_args(RunFlags::augment_args(explain))).mut_arg("spec", printed),
        ))
        .subcommand(
            task("why", "Say whether `run` with the same flags would allow something, and by which part of the plan", |why| {
                whole(WhyFlags::augment_args(RunFlags::augment_args(why))).mut_arg("command", asked).mut_arg("json", |json| json.help("Print the answer as JSON"))
            })
            .after_help(
                "Exit status: 0 it is allowed, 1 it is refused, 2 only the run can tell, 125 there is no answer.\n\nRelative paths begin where \
                 you are. To write to a directory is to make a file in it; what is masked is refused, though it opens, as it is empty. Of a \
                 system call it is said what the filter does: the kernel may refuse it nonetheless. For a name nobody is asked, and nothing is sent: whether \
                 somebody answers there is not known.",
            ),
        )
        .subcommand(task(
            "doctor",
            "Try what this host can do, each thing for real in a throwaway process",
            DoctorFlags::augment_args,
        ))
        .subcommand(task(
            "gc",
            "Remove what seclude has left where it was killed; each run looks for that itself",
            GcFlags::augment_args,
        ))
        .subcommand(task("completions", "Print the completions for a shell", CompletionsFlags::augment_args))
        .subcommand(Command::new("man").about("Print the manual page (for man -l -)"))
}

fn task(name: &'static str, about: &'static str, flags: fn(Command) -> Command) -> Command {
    Command::new(name).about(about).defer(flags)
}

/// `explain` prints the request with the same flag, if it names no file.
fn printed(spec: Arg) -> Arg {
    spec.num_args(0..=1).require_equals(true).default_missing_value("").value_name("FILE").help(
        "Print the request that the flags make, as a file for `run --spec`, instead of the plan: in TOML, or with --json in JSON; \
         with --preset also what that brings. With =FILE.toml or =FILE.json: begin from that request",
    )
}

/// The command of `why` is its question.
fn asked(command: Arg) -> Arg {
    command.value_name("read|write|exec PATH, call NAME, or connect HOST:PORT").help("What to ask about")
}

/// With all that a container can have.
pub(crate) fn whole(task: Command) -> Command {
    ContainerFlags::define(task, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{Beside, compose};

    #[test]
    fn flags_of_a_heading_that_is_not_defined_are_as_if_not_given() {
        let lines = [
            "true",
            "-- true --memory 64M",
            "--bare true",
            "--share net --hostname box true",
            "--root / --writable --mount type=proc,dst=/proc --tmpfs /tmp -- true",
            "--uid-map 0:0:1 --ro-bind /usr true",
            "--net veth --publish 8080:80 -- true",
            "-p 8080:80 --net=veth true",
            "--memory=64M --pids 5 --timeout 5s true",
            "--no-new-privs=false --clone copy true",
            "--allow-syscall ptrace --deny-syscall mkdir=EACCES --seccomp=default true",
            "--landlock-exec / --landlock-rw=/tmp --landlock-connect 443 --landlock-bind none --landlock-scope signal --prefer landlock true",
            "--no-namespaces --no-die-with-parent --rw /srv --prefer landlock true",
            "-tv --stats true",
            "--oom-score-adj -5 sh -c true",
            "--verbose --monotonic -1h true",
        ];
        for line in lines {
            let words: Vec<OsString> = ["seclude run", line].join(" ").split(' ').map(OsString::from).collect();
            let plan = |given: ArgMatches| {
                let flags = ContainerFlags::read(&given).unwrap();
                let command = compose(&flags, &given, &Beside::default())
                    .unwrap_or_else(|failure| panic!("{line}: {}", failure.message));
                command.plan().unwrap().to_string()
            };
            let brief = brief_run(&Words::of(&words[2..])).try_get_matches_from(&words[2..]).unwrap();
            let whole = command().try_get_matches_from(&words).unwrap().remove_subcommand().unwrap().1;
            let flags = ContainerFlags::read(&whole).unwrap();
            let asked = compose(&flags, &whole, &Beside::default())
                .unwrap_or_else(|failure| panic!("{line}: {}", failure.message));
            // As a file it is the same.
            let mut described = seclude::Command::from_request(&asked.request().unwrap()).unwrap();
            let by_file =
                described.keep_ignored_signals(crate::compose::ignored_by_the_caller()).plan().unwrap().to_string();
            let by_flags = plan(whole);
            assert_eq!(plan(brief), by_flags, "{line}");
            assert_eq!(by_file, by_flags, "{line}");
        }
    }
}
