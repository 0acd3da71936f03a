//! `seclude why`: whether something would be allowed, and by which part of the plan.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use seclude::{Field, Question, Remedy, Verdict};
use serde_json::{Value, json};

use crate::args::{ContainerFlags, RunFlags, WhyFlags};
use crate::compose::{Beside, compose};
use crate::{Failure, misread, run, words};

/// What is asked about where nobody names a command: it decides about nothing.
const ANY_COMMAND: &str = "/bin/true";

pub(crate) fn why(flags: &WhyFlags, mut container: ContainerFlags, order: &ArgMatches) -> Result<ExitCode, Failure> {
    let asked = std::mem::take(&mut container.base.command);
    let question = question(&asked)?;
    container.base.check()?;
    let run = RunFlags::from_arg_matches(order).map_err(misread)?;
    run::check(&run, &container)?;
    let mut command = compose(&container, order, &Beside { stand_in: Some(ANY_COMMAND), ..run.beside() })?;
    run::detach(&mut command, &run, &container)?;
    let answer = command.why()?.answer(&question)?;
    let (kind, about) = (asked[0].to_string_lossy(), asked[1].to_string_lossy());
    let text = if flags.json {
        let remedies: Vec<Value> = answer.remedies.iter().map(|remedy| remedy.to_json(&Field::to_string)).collect();
        let whole = json!({
            "question": { "kind": kind, "about": about },
            "verdict": answer.verdict.name(),
            "by": answer.by,
            "field": answer.field.as_ref().map(Field::to_string),
            "remedies": remedies,
            "message": answer.message_with(say),
        });
        format!("{whole:#}\n")
    } else {
        one_line(&format!("{kind} {about}: {}", answer.message_with(say))) + "\n"
    };
    crate::print(text.as_bytes())?;
    Ok(ExitCode::from(match answer.verdict {
        Verdict::Allowed => 0,
        Verdict::Refused => 1,
        _ => 2,
    }))
}

/// Whatever names there are in it.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn question(asked: &[OsString]) -> Result<Question, Failure> {
    let [kind, about] = asked else {
        return Err(Failure::new(
            "a question is two words: read, write or exec and a path, call and a name, or connect and HOST:PORT",
        ));
    };
    Ok(match kind.to_str() {
        Some("read" | "write" | "exec" | "call") if about.is_empty() => {
            return Err(Failure::new(format!("{}: of what? the word after it is empty", kind.display())));
        }
        Some("read") => Question::Read(PathBuf::from(about)),
        Some("write") => Question::Write(PathBuf::from(about)),
        Some("exec") => Question::Exec(PathBuf::from(about)),
        Some("call") => Question::Call(about.to_string_lossy().into_owned()),
        Some("connect") => {
            let about = about.to_string_lossy();
            let parts = about.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
            // An address of IPv6 without brackets: which of its colons is the last, nobody knows.
            let is_clear =
                |(host, _): &(&str, u16)| !host.contains(':') || host.starts_with('[') && host.ends_with(']');
            let Some((host, port)) = parts.filter(is_clear) else {
                return Err(Failure::new(format!("{about:?} is not HOST:PORT, such as github.com:443 or [::1]:80")));
            };
            Question::Connect(host.to_owned(), port)
        }
        _ => {
            let kind = kind.to_string_lossy();
            return Err(Failure::new(format!(
                "{kind:?} is no question: read, write or exec and a path, call and a name, or connect and HOST:PORT"
            )));
        }
    })
}

/// As everywhere, and where the caller is as it would say that.
fn say(remedy: &Remedy) -> Option<String> {
    if let Remedy::Set(field, Some(value)) = remedy
        && let Some(flag) = words::flag(field)
        && (*field == Field::of("ro") || *field == Field::of("rw"))
        && value.get(0).and_then(Value::as_str).is_some_and(is_here)
    {
        return Some(format!("{flag} ."));
    }
    words::say(remedy)
}

fn is_here(path: &str) -> bool {
    std::env::current_dir().is_ok_and(|here| here == Path::new(path))
}
