//! `seclude run`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::ArgMatches;
use seclude::{Cause, Child, Code, Exit, Field, Stdio};

use crate::args::{ContainerFlags, RunFlags, Streams};
use crate::compose::compose;
use crate::denials::{self, Follower};
use crate::lent::Lent;
use crate::not_given::NotGiven;
use crate::report::{self, Ending};
use crate::signals::Forwarder;
use crate::stats::Ticker;
use crate::terminal;
use crate::told::{Running, say};
use crate::watch::Watch;
use crate::{Failure, jobs, named_files, open_files, signals, words};

pub(crate) fn run(flags: &RunFlags, container: &ContainerFlags, order: &ArgMatches) -> Result<ExitCode, Failure> {
    container.base.check()?;
    check(flags, container)?;
    let not_given = NotGiven::note(container);
    // Opened first: a report that could not be written is an error before anything runs.
    let report = match &flags.report {
        Some(path) => {
            let failed = |error| Failure::new(format!("--report {}: {error}", path.display()));
            Some((named_files::to_write(path).map_err(failed)?, path))
        }
        None => None,
    };
    let started = Instant::now();
    let ended = start_and_wait(flags, container, order, report.is_some());
    if let Some((file, path)) = report {
        let ending = match &ended {
            Ok(
                Ended::Exit(exit, made)
                | Ended::Unread(exit, made)
                | Ended::Typed(exit, made, _)
                | Ended::Cut(exit, made, _),
            ) => Ending::Exit { exit, made, wall: started.elapsed() },
            Ok(Ended::Detached) => return Ok(ExitCode::SUCCESS),
            Err(error) => Ending::NotStarted(error),
        };
        report::write(file, &ending).map_err(|error| {
            // What the report was to tell is told here, as the exit status is no longer the command's.
            let otherwise = match &ending {
                Ending::Exit { exit, .. } => format!("the command ended: {exit}"),
                Ending::NotStarted(Stop::Library(error)) => error.to_string(),
                Ending::NotStarted(Stop::Flags(failure)) => failure.message.clone(),
            };
            Failure::new(format!("--report {}: {error}; {otherwise}", path.display()))
        })?;
    }
    match ended.map_err(Stop::into_failure)? {
        Ended::Detached => Ok(ExitCode::SUCCESS),
        Ended::Unread(..) => Ok(ExitCode::from(128 + 13)),
        Ended::Cut(_, _, failure) => Err(failure),
        Ended::Typed(exit, _, signal) => {
            if flags.verbose {
                say(&exit);
            }
            if flags.denials {
                denials::unreached(&exit, usize::MAX);
            }
            signals::end_by(signal);
            Ok(ExitCode::from(128 + signal as u8))
        }
        Ended::Exit(exit, _) => {
            match exit.cause() {
                Cause::Deadline => {
                    let said = words::said(&Field::of("deadline"), Some("--timeout"));
                    say(format_args!("killed: {} has passed", said.as_deref().unwrap_or("the deadline")));
                }
                // Who sees 137 alone looks for the reason in the wrong place.
                Cause::OutOfMemory | Cause::PidsLimit => say(&exit),
                _ if flags.verbose => say(&exit),
                _ => {}
            }
            if flags.verbose
                && let Some(discarded) = exit.discarded().filter(|discarded| discarded.files > 0)
            {
                let more = if discarded.more { "at least " } else { "" };
                let files = discarded.files;
                say(format_args!(
                    "{more}{files} files were written to a layer in memory and are discarded (--upper DIR keeps them)"
                ));
            }
            if flags.denials {
                denials::unreached(&exit, usize::MAX);
            } else if !exit.success() {
                denials::sum_up(&exit);
            }
            if !exit.success() {
                not_given.say();
            }
            Ok(ExitCode::from(exit.shell_code()))
        }
    }
}

/// What cannot be asked for together, whichever task is asked for it.
pub(crate) fn check(flags: &RunFlags, container: &ContainerFlags) -> Result<(), Failure> {
    if flags.detach {
        let given = [
            ("--tty", container.process.tty),
            ("--timeout", container.process.timeout.is_some()),
            ("--stdio pipe", container.process.stdio == Some(Streams::Pipe)),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
            return Err(Failure::new(format!("the argument '--detach' cannot be used with '{flag}'")));
        }
    }
    let outliving = [("--detach", flags.detach), ("--no-die-with-parent", container.process.no_die_with_parent)];
    if let Some((flag, _)) = outliving.iter().find(|(_, given)| *given)
        && let Some(names) = container.network.allows()
    {
        return Err(Failure::new(format!(
            "the argument '{flag}' cannot be used with '{names}': names are relayed by this process, and what outlives it would lose \
             them; leave {flag} out, and let seclude itself run in the background"
        )));
    }
    if flags.denials && container.rights.no_denials {
        return Err(Failure::new("the argument '--denials' cannot be used with '--no-denials'"));
    }
    Ok(())
}

/// What --detach makes of a command.
///
/// # Errors
/// If the file with the request asks for what takes somebody who stays.
pub(crate) fn detach(
    command: &mut seclude::Command,
    flags: &RunFlags,
    container: &ContainerFlags,
) -> Result<(), Failure> {
    if !flags.detach {
        return Ok(());
    }
    let request = command.request().map_err(|wrong| Failure::new(wrong.to_string()))?;
    let kept = [("deadline", request.deadline.is_some()), ("terminal", request.terminal.is_some())];
    if let Some((key, _)) = kept.into_iter().find(|(_, given)| *given) {
        let setter = words::said(&Field::of(key), None).unwrap_or_else(|| key.to_owned());
        return Err(Failure::new(format!(
            "the argument '--detach' cannot be used with {setter}: nobody stays to keep it"
        )));
    }
    words::given_by(Field::of("die_with_parent"), "--detach");
    command.die_with_parent(false).kill_on_drop(false).stdin(Stdio::null());
    if container.process.stdio != Some(Streams::Pass) {
        // Whoever reads the pid from a pipe would wait for the end of the command, which has the pipe open too.
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    Ok(())
}

enum Ended {
    Detached,
    /// Nobody reads what its terminal shows.
    Unread(Exit, Box<seclude::Report>),
    Exit(Exit, Box<seclude::Report>),
    /// By the keyboard's signal, which ends this process as well.
    Typed(Exit, Box<seclude::Report>, i32),
    /// It has ended, and what this says has become of what it wrote.
    Cut(Exit, Box<seclude::Report>, Failure),
}

/// Why there is no exit.
pub(crate) enum Stop {
    Flags(Failure),
    Library(seclude::Error),
}

impl Stop {
    fn into_failure(self) -> Failure {
        match self {
            Stop::Flags(failure) => failure,
            Stop::Library(error) => error.into(),
        }
    }
}

impl From<seclude::Error> for Stop {
    fn from(error: seclude::Error) -> Stop {
        Stop::Library(error)
    }
}

fn start_and_wait(
    flags: &RunFlags,
    container: &ContainerFlags,
    order: &ArgMatches,
    timed: bool,
) -> Result<Ended, Stop> {
    let mut command = compose(container, order, &flags.beside()).map_err(Stop::Flags)?;
    command.timed(timed);
    if !flags.detach && terminal::are_anothers().contains(&true) {
        in_background(&mut command, container).map_err(Stop::Flags)?;
    }
    if flags.detach {
        detach(&mut command, flags, container).map_err(Stop::Flags)?;
        let mut child = command.spawn()?;
        say_where(&child);
        return match writeln!(std::io::stdout(), "{}", child.id()) {
            Ok(()) => Ok(Ended::Detached),
            Err(error) => {
                // Nobody could ever end what nobody knows.
                let _ = child.kill();
                let _ = child.wait();
                Err(Stop::Flags(Failure::new(format!("--detach: the pid could not be told: {error}"))))
            }
        };
    }
    open_files::make_room(&mut command);
    let failed = |what: &str, error: std::io::Error| Stop::Flags(Failure::new(format!("{what}: {error}")));
    // Before the command can be there: a signal that comes meanwhile is handed on, too.
    let signals = Forwarder::new().map_err(|error| failed("signals", error))?;
    command.cancelled_by(&signals.canceller().map_err(|error| failed("signals", error))?);
    command.when_stuck(|| {
        say("the start is given up: a process of it is in a system call that nothing interrupts; see `seclude gc`");
        std::process::exit(125)
    });
    let is_bare = container.base.preset() == Some(seclude::request::Preset::Bare);
    let lent = (!is_bare).then(Lent::note);
    let running = Running::begin();
    let mut child = command.spawn().map_err(|error| match (error.code(), signals.ended_start()) {
        (Code::Cancelled, Some(signal)) => {
            let left: Vec<_> = error.left_behind().iter().map(|left| format!("; left behind: {left}")).collect();
            let message = format!("ended by signal {signal} before the command ran{}", left.concat());
            Stop::Flags(Failure { message, code: 128 + signal as u8 })
        }
        _ => Stop::Library(error),
    })?;
    say_where(&child);
    let stats = child.meter().filter(|_| flags.stats).map(|meter| Ticker::new(meter, child.reach()));
    let mut watch = Watch { signals, stats };
    let follower = flags.denials.then(|| Follower::new(child.denials())).transpose();
    let follower = follower.map_err(|error| failed("--denials", error))?;
    if let Some(deaf) = child.report().deaf.as_ref().filter(|_| flags.denials) {
        say(format_args!("--denials: system calls that are refused cannot be listed: {deaf}"));
    }
    if flags.verbose {
        say_how(&child);
    }
    let made = Box::new(child.report().clone());
    let mut cut = None;
    if let Some(master) = child.take_terminal() {
        let relayed = terminal::relay(&mut child, master, &mut watch);
        watch.signals.had_terminal();
        match relayed {
            // As the command would end that had written there itself, signal(7): without a word.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                let _ = child.kill();
                return Ok(Ended::Unread(child.wait()?, made));
            }
            Ok(false) => {
                let what = "terminal: nobody has read all that the command wrote before its deadline";
                cut = Some(Failure::new(what));
            }
            relayed => {
                relayed.map_err(|error| failed("terminal", error))?;
            }
        }
    }
    let exit = watch.wait(&mut child);
    // Before the first line: the command may have had the terminal take none.
    drop(lent);
    drop(running);
    if let Some(follower) = follower {
        follower.finish();
    }
    let ended_by = |signal| Failure { message: format!("ended by signal {signal}"), code: 128 + signal as u8 };
    if let (Ok(exit), None) = (&exit, &cut)
        && let Some(signal) = watch.signals.ends_by(exit)
    {
        return Ok(Ended::Typed(exit.clone(), made, signal));
    }
    if let (Ok(exit), Some(signal)) = (&exit, watch.signals.cut_by(&child)) {
        return Ok(Ended::Cut(exit.clone(), made, ended_by(signal)));
    }
    match (exit, watch.signals.ended_by()) {
        (Ok(exit), Some(signal)) if exit.signal() == Some(9) => Err(Stop::Flags(ended_by(signal))),
        (Ok(exit), _) => Ok(match cut {
            Some(failure) => Ended::Cut(exit, made, failure),
            None => Ended::Exit(exit, made),
        }),
        // How it ended is known all the same, where something else was lost.
        (Err(error), _) => match child.try_wait() {
            Ok(Some(exit)) => Ok(Ended::Cut(exit, made, error.into())),
            _ => Err(error.into()),
        },
    }
}

/// What becomes of a terminal that another job has. In a session of its own nothing would stop the command: it would read what is typed
/// for others, passwords too, by whichever of its streams, and change how they see it.
fn in_background(command: &mut seclude::Command, container: &ContainerFlags) -> Result<(), Failure> {
    let request = command.request().map_err(|wrong| Failure::new(wrong.to_string()))?;
    let has_session = request.new_session.unwrap_or(request.preset != Some(seclude::request::Preset::Bare));
    let [stdin, stdout, stderr] = terminal::are_anothers();
    if request.terminal.is_some() {
        jobs::wait_for_terminal();
    } else if container.process.stdio.is_none() && has_session {
        if stdin {
            say(
                "another job has the terminal that is stdin: the command reads nothing (-t waits for it, < /dev/null says nothing)",
            );
            command.stdin(Stdio::null());
        }
        if stdout {
            command.stdout(Stdio::relay());
        }
        if stderr {
            command.stderr(Stdio::relay());
        }
        // Whatever relays writes in the background, which a terminal can be told to have stopped: stty tostop.
        let _ = signals::hold_output();
    }
    Ok(())
}

/// That it is not where it was called, which would surprise.
fn say_where(child: &Child) {
    if let Some(directory) = &child.report().moved_from {
        let shown = directory.display();
        let empty = child.report().moved_to.as_ref() == Some(directory);
        let in_root = child.report().moved_to.as_deref() == Some(std::path::Path::new("/"));
        let begins = match (in_root, empty) {
            (true, _) => "/ (--workdir DIR otherwise)",
            (false, true) => "a new, empty one (--workdir DIR, --ro DIR or --rw DIR otherwise)",
            (false, false) => "a new, empty home (--workdir DIR, --ro DIR or --rw DIR otherwise)",
        };
        say(format_args!("{shown} is not shown: the command begins in {begins}"));
    }
}

fn say_how(child: &Child) {
    let report = child.report();
    say(format_args!(
        "pid {}, clone {} ({}); prepare {} us, clone {} us, attend {} us, set-up {} us",
        child.id(),
        report.clone,
        report.clone_reason,
        report.prepared.as_micros(),
        report.cloned.as_micros(),
        report.attended.as_micros(),
        report.set_up.as_micros(),
    ));
    if !report.not_isolated.is_empty() {
        let gaps: Vec<&str> = report.not_isolated.iter().map(|gap| gap.name()).collect();
        say(format_args!("without namespaces these are not isolated: {} (see `explain`)", gaps.join(", ")));
    }
    if !report.read_only.is_empty() {
        let parts: Vec<String> = report.read_only.iter().map(|part| part.display().to_string()).collect();
        say(format_args!("no layer can lie over {}: read-only", parts.join(", ")));
    }
    if !report.left_out.is_empty() {
        let parts: Vec<String> = report.left_out.iter().map(|part| part.display().to_string()).collect();
        say(format_args!("{} went while it was copied, and is left out", parts.join(", ")));
    }
    if let Some(network) = &report.network {
        let list = |addresses: &[std::net::IpAddr]| {
            let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            all.join(", ")
        };
        let address = network.address.map_or_else(String::new, |address| format!(", address {address}"));
        let link = network.link.as_deref().map_or_else(String::new, |link| format!(", link {link}"));
        say(format_args!("network by {}{address}{link}; name servers: {}", network.by, list(&network.name_servers)));
        if !network.name_servers_left_out.is_empty() {
            let left_out = list(&network.name_servers_left_out);
            say(format_args!("name servers of the host that are on its loopback were left out: {left_out}"));
        }
    }
}
