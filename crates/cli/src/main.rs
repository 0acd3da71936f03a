//! `seclude`: the library from the command line. It uses nothing but the library's public API.
#![forbid(unsafe_code)]

mod args;
mod compose;
mod denials;
mod doctor;
mod explain;
mod files;
mod gc;
mod jobs;
mod kept;
mod landlock;
mod lent;
mod limits;
mod mounts;
mod named_files;
mod network;
mod not_given;
mod open_files;
mod report;
mod rights;
mod rivals;
mod run;
mod signals;
mod spec;
mod stats;
mod tasks;
mod terminal;
mod told;
mod values;
mod watch;
mod why;
mod words;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use rustix::thread::capabilities;
use seclude::Field;

use args::{CompletionsFlags, ContainerFlags};
use told::say;

/// musl's own took a tenth of a short command's time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    if gains_privileges() {
        say("it must not be setuid, setgid or have file capabilities: its caller decides what it does");
        return ExitCode::from(125);
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    if let [_, task, left] = &words[..]
        && task == jobs::KEEP_DEADLINE
    {
        let done = jobs::run_keeper(&left.to_string_lossy());
        return done.unwrap_or(ExitCode::FAILURE);
    }
    let (task, given) = match tasks::parse(&words) {
        Ok((task, given)) => (task, ManuallyDrop::new(given)),
        // More than a line, as it is no answer to what was said: nothing was.
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(125);
        }
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => {
            say(not_utf8(&words));
            return ExitCode::from(125);
        }
        Err(error) if error.use_stderr() => {
            let better = rivals::hint(&error).or_else(|| empty_value(&error));
            say(better.unwrap_or_else(|| one_line(&error.render().to_string())));
            return ExitCode::from(125);
        }
        // Help and version are answers.
        Err(answer) => {
            let _ = answer.print();
            return ExitCode::SUCCESS;
        }
    };
    let given: &ArgMatches = &given;
    let done = match task.as_str() {
        "run" => flags(given).and_then(|flags| run::run(&flags, &container(given)?, given)),
        "explain" => flags(given).and_then(|flags| explain::explain(&flags, &container(given)?, given)),
        "why" => flags(given).and_then(|flags| why::why(&flags, container(given)?, given)),
        "doctor" => flags(given).and_then(|flags| doctor::doctor(&flags)),
        "gc" => flags(given).and_then(|flags| gc::gc(&flags)),
        "completions" => flags(given).and_then(|flags| completions(&flags)),
        "man" => man(),
        _ => Err(Failure::new("no such task; see --help")),
    };
    done.unwrap_or_else(|failure| {
        say(failure.message);
        ExitCode::from(failure.code)
    })
}

/// Which flag has a value that is no text.
fn not_utf8(words: &[OsString]) -> String {
    let place = words.iter().position(|word| word.to_str().is_none()).unwrap_or_default();
    let word = words.get(place).map(|word| word.to_string_lossy()).unwrap_or_default();
    match word.split_once('=').filter(|(flag, _)| flag.starts_with("--")) {
        Some((flag, value)) => format!("{flag}: {value:?} is not UTF-8"),
        None => {
            let before = place.checked_sub(1).and_then(|before| words.get(before)).and_then(|word| word.to_str());
            let flag = before.filter(|word| word.starts_with('-')).map(|flag| format!("{flag}: ")).unwrap_or_default();
            format!("{flag}{word:?} is not UTF-8")
        }
    }
}

fn flags<Flags: clap::Args>(given: &ArgMatches) -> Result<Flags, Failure> {
    Flags::from_arg_matches(given).map_err(misread)
}

fn container(given: &ArgMatches) -> Result<ContainerFlags, Failure> {
    ContainerFlags::read(given).map_err(misread)
}

fn misread(error: clap::Error) -> Failure {
    Failure::new(one_line(&error.render().to_string()))
}

fn completions(flags: &CompletionsFlags) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut tasks::command(), "seclude", &mut script);
    print(&script)
}

/// Whether the program runs with more rights than its caller has. A namespace tool with such rights has been a way to root
/// again and again (CVE-2020-5291).
fn gains_privileges() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    if getuid() != geteuid() || getgid() != getegid() {
        return true;
    }
    // What is left are capabilities of the file. To the kernel root gains nothing by them, and who has none has none of those.
    let has_none = || capabilities(None).is_ok_and(|sets| sets.permitted.is_empty());
    !geteuid().is_root() && !has_none() && is_secure_execution()
}

/// AT_SECURE of getauxval(3).
fn is_secure_execution() -> bool {
    const AT_SECURE: u64 = 23;
    let mut auxv = [0; 4096];
    // The kernel hands all of it over in one read.
    let length = std::fs::File::open("/proc/self/auxv").and_then(|mut file| file.read(&mut auxv)).unwrap_or_default();
    let (words, _) = auxv[..length].as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().any(|[kind, value]| u64::from_ne_bytes(*kind) == AT_SECURE && *value != [0; 8])
}

/// The parser says that a value is missing which is there and empty, as of a variable that is not set.
fn empty_value(error: &clap::Error) -> Option<String> {
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    };
    let is_empty =
        error.kind() == ErrorKind::InvalidValue && of(ContextKind::InvalidValue).is_some_and(String::is_empty);
    // (Left out it is no word at all.)
    let is_there = std::env::args_os().any(|word| word.is_empty());
    let argument = of(ContextKind::InvalidArg).filter(|_| is_empty && is_there)?;
    Some(format!("{argument}: its value is empty"))
}

/// The parser's complaint without its usage text: what is wrong, and its tip.
fn one_line(rendered: &str) -> String {
    // That what was meant as a flag could be a command's name helps nobody.
    let is_of_use = |line: &&str| !line.trim_start().starts_with("tip: to pass");
    let paragraphs: Vec<String> = rendered
        .split("\n\n")
        .map(|paragraph| {
            let words = paragraph.lines().filter(is_of_use).flat_map(str::split_whitespace);
            words.collect::<Vec<_>>().join(" ")
        })
        .filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with("Usage:"))
        .map(|paragraph| paragraph.trim_start_matches("error: ").to_owned())
        .collect();
    let whole = paragraphs.join("; ");
    whole.replace("For more information, try '--help'.", "see --help")
}

/// What ends the program: one line, and the exit status.
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), code: 125 }
    }
}

impl From<seclude::Error> for Failure {
    fn from(error: seclude::Error) -> Failure {
        let set_by =
            error.limit().map(limits::flag).or_else(|| error.field().and_then(words::setter).map(Cow::into_owned));
        let said = error.field().and_then(|field| words::said(field, set_by.as_deref()));
        // Nothing has been done yet where it is about what was said, by whatever flag.
        let is_said = |field: &Field| error.code() == seclude::Code::Invalid || field.first() == Some("seccomp");
        let otherwise = || set_by.filter(|_| error.limit().is_some() || error.field().is_some_and(is_said));
        let place = said.or_else(otherwise).map_or_else(String::new, |place| format!("{place}: "));
        Failure { code: error.exit_code(), message: format!("{place}{}", error.message_with(words::say)) }
    }
}

/// The man page, from the same definitions as the parser: the program and each of its tasks.
fn man() -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    let failed = |error: std::io::Error| Failure::new(format!("man page: {error}"));
    let mut command = tasks::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for task in command.get_subcommands().filter(|task| task.get_name() != "help") {
        clap_mangen::Man::new(task.clone()).render(&mut page).map_err(failed)?;
    }
    print(&page)
}

/// Writes to stdout; a reader that has seen enough (`| head`) is no error.
fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(format!("stdout: {error}"))),
        _ => Ok(ExitCode::SUCCESS),
    }
}
