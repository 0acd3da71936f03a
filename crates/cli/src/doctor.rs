//! `seclude doctor`: the library's findings as a table, or one plan rehearsed.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};
use seclude::doctor::{Finding, Verdict, examine};
use seclude::{Code, Remedy};
use serde_json::json;

use crate::args::{ContainerFlags, DoctorFlags, RunFlags};
use crate::compose::compose;
use crate::tasks::whole;
use crate::words::say;
use crate::{Failure, one_line, report, run};

/// An ordinary user that every host has.
const NOBODY: u32 = 65534;

/// Exit status 0: the sandbox (or the plan) works here; 1: it does not.
pub(crate) fn doctor(flags: &DoctorFlags) -> Result<ExitCode, Failure> {
    if !flags.plan.is_empty() {
        return rehearse(&flags.plan, flags.json);
    }
    let mut examination = examine();
    for finding in &mut examination.findings {
        finding.remedy = finding.remedy.as_ref().map(|hint| Remedy::behind(hint, &finding.remedies, say));
    }
    let works = examination.sandbox_works();
    let other = if examination.root { as_ordinary_user() } else { "as root: not tried, run it as root".to_owned() };
    let text = if flags.json {
        let whole = json!({
            "sandbox_works": works, "findings": examination.findings, "summary": examination.summary(),
            "other_summary": other,
        });
        format!("{whole:#}\n")
    } else {
        let rows: String = examination.findings.iter().map(row).collect();
        format!("{rows}\n{}\n{other}\n", examination.summary())
    };
    crate::print(text.as_bytes())?;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn row(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Works => "works",
        Verdict::WorksWith => "works with",
        Verdict::DoesNot => "does not",
        _ => "?",
    };
    let mut text = format!("{:<28} {mark:<11} {}\n", finding.feature, finding.evidence);
    if let Some(remedy) = &finding.remedy {
        text += &format!("{:<28} {:<11} -> {remedy}\n", "", "");
    }
    text
}

const ORDINARY: &str = "as an ordinary user: ";

/// The summary of the same examination by a process without privileges: what root can do says nothing about it.
fn as_ordinary_user() -> String {
    // By its name: in a process that is about to become it /proc/self/exe is another program.
    let Ok(own) = std::env::current_exe() else {
        return format!("{ORDINARY}not tried: /proc has to be mounted");
    };
    let mut command = seclude::Command::new(own);
    command.arg("doctor").uid(NOBODY).gid(NOBODY).current_dir("/");
    let why = match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            match said.lines().find(|line| line.starts_with(ORDINARY)) {
                Some(summary) => return summary.to_owned(),
                None if output.stderr.trim_ascii().is_empty() => output.exit.to_string(),
                None => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }
        }
        Err(error) => error.to_string(),
    };
    format!("{ORDINARY}not tried as uid {NOBODY}: {why}")
}

fn rehearse(plan: &[OsString], as_json: bool) -> Result<ExitCode, Failure> {
    let said = |error: clap::Error| Failure::new(format!("--for: {}", one_line(&error.render().to_string())));
    let parse = |words: &[OsString]| {
        let own = std::iter::once(OsString::from("seclude")).chain(words.iter().cloned());
        let mut parser = whole(RunFlags::augment_args(Command::new("seclude").disable_help_flag(true)));
        parser.try_get_matches_from_mut(own)
    };
    let (named, given) = match parse(plan) {
        Err(error) if error.kind() == clap::error::ErrorKind::MissingRequiredArgument => {
            let completed = [plan, &["--".into(), "/".into()]].concat();
            (false, parse(&completed).map_err(|_| said(error))?)
        }
        other => (true, other.map_err(said)?),
    };
    let flags = ContainerFlags::read(&given).map_err(said)?;
    flags.base.check()?;
    let run = RunFlags::from_arg_matches(&given).map_err(said)?;
    run::check(&run, &flags)?;
    let mut command = compose(&flags, &given, &run.beside())?;
    run::detach(&mut command, &run, &flags)?;
    // What contradicts itself fails on every host.
    command.plan()?;
    let failed = command.rehearse().err();
    // Whatever is there instead of a command that was not given: up to the exec all has worked.
    let failed = failed.filter(|error| named || !matches!(error.code(), Code::NotFound | Code::NotExecutable));
    let works = failed.is_none();
    let text = match failed {
        failed if as_json => {
            format!("{:#}\n", json!({ "works": works, "error": failed.as_ref().map(report::describe) }))
        }
        None if named => {
            "it works: every step up to the exec was made and undone, and the command is there\n".to_owned()
        }
        None => "it works: every step up to the exec was made and undone\n".to_owned(),
        // As `run` says it, with the flag.
        Some(error) => format!("it does not work: {}\n", Failure::from(error).message),
    };
    crate::print(text.as_bytes())?;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
