//! What the filter says of a system call, whatever its arguments are.

use seclude_request::Field;
use seclude_seccomp::{Action, Architecture, Comparison, Condition, Profile, Program, Rule};
use seclude_sys::Errno;

use super::{Answer, Verdict};
use crate::config::Config;
use crate::denials::Judge;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::step::{Asked, asked};

const NAME: &str = "why";

pub(super) fn answer(config: &Config, host: &Host, name: &str) -> Result<Answer> {
    // A name, and no group: its calls have answers of their own.
    Profile::unlimited().rule(name, Action::Allow, &[]).map_err(|error| Error::invalid(NAME, error.to_string()))?;
    let Some(asked) = asked(config, host)? else {
        return Ok(Answer::new(
            Verdict::Allowed,
            "there is no filter of system calls; the kernel may refuse it nonetheless",
        ));
    };
    let field = Some(Field::of("seccomp"));
    let kind = Architecture::NATIVE;
    let Some(number) = kind.number_of(name) else { return Ok(of_another_kind(&asked, name).at(field)) };
    let mut all = asked.judges.iter().map(|judge| by_profile(judge, &asked.what, kind, number, name));
    let Some(first) = all.next() else { return Ok(Answer::new(Verdict::Allowed, asked.what.clone())) };
    if all.any(|other| other.verdict != first.verdict) {
        let why = "it depends on what the command is handed: an open file or directory of the host refuses more";
        return Ok(Answer::new(Verdict::CannotTell, why).at(field));
    }
    Ok(match &asked.finished {
        Some(program) if first.verdict != Verdict::Refused => by_program(program, kind, number, &first),
        _ => first,
    }
    .at(field))
}

/// What programs of another kind alone can make, such as i386's socketcall.
fn of_another_kind(asked: &Asked, name: &str) -> Answer {
    let others = || Architecture::OF_THIS_MACHINE.iter().filter(|kind| kind.number_of(name).is_some());
    let names: Vec<&str> = others().map(|kind| kind.name()).collect();
    let native = Architecture::NATIVE.name();
    if names.is_empty() {
        return Answer::new(Verdict::Refused, format!("no program of this machine has it ({native})"));
    }
    let refused = |judge: &Judge| others().all(|kind| !judge.profile.architectures.contains(kind));
    let kinds = names.join(", ");
    if !asked.judges.is_empty() && asked.judges.iter().all(refused) {
        return Answer::new(
            Verdict::Refused,
            format!("ENOSYS: {native} has no such call, and those of {kinds} are not there"),
        );
    }
    Answer::new(Verdict::CannotTell, format!("{native} has no such call; programs of {kinds} can make it"))
}

fn by_profile(judge: &Judge, what: &str, kind: Architecture, number: u32, name: &str) -> Answer {
    let (tried, last) = judge.profile.tried(kind, number);
    let mut actions = tried.iter().map(|rule| rule.action).chain([last]);
    let asks = |action: Action| matches!(action, Action::Trace(_) | Action::Notify);
    if actions.clone().any(asks) {
        return Answer::new(Verdict::CannotTell, format!("{what}: whoever is asked about it decides"));
    }
    if actions.clone().all(Action::allows) {
        return Answer::new(Verdict::Allowed, format!("{what} lets it through; the kernel may refuse it nonetheless"));
    }
    if actions.any(Action::allows) {
        let rules: Vec<String> = tried.iter().map(|rule| of_rule(rule)).collect();
        let rules = format!("{}; else {}", rules.join("; "), of_action(last));
        return Answer::new(Verdict::CannotTell, format!("it depends on its arguments, counted from 0: {rules}"));
    }
    let always = judge.refused.profile();
    let (conditional, kept) = always.tried(kind, number);
    let is_kept = !kept.allows() && conditional.iter().all(|rule| !rule.action.allows());
    let is_named = judge.profile.rules().any(|(ruled, _)| ruled == name);
    let by = match (is_kept, is_named) {
        (true, _) => "no profile can allow it here".to_owned(),
        (false, true) => format!("{what} refuses it"),
        (false, false) => format!("it is not in {what}"),
    };
    let answers = tried.first().map_or(last, |rule| rule.action);
    let remedies = judge.remedies(name, is_kept, &[0; 6]);
    Answer::new(Verdict::Refused, format!("{}: {by}", of_action(answers))).with(remedies)
}

/// A finished program is asked where it looks at nothing but the number.
fn by_program(program: &Program, kind: Architecture, number: u32, before: &Answer) -> Answer {
    /// `BPF_LD | BPF_W | BPF_ABS`, and where the kind and the number end in `struct seccomp_data`.
    const LOAD: u64 = 0x20;
    const BEHIND_THE_NUMBER: u64 = 8;
    let looks = |step: &u64| step & 0xffff == LOAD && step >> 32 >= BEHIND_THE_NUMBER;
    if program.instructions().iter().any(looks) {
        return Answer::new(Verdict::CannotTell, "it depends on its arguments: a finished program looks at them");
    }
    let answer = program.run(kind, number, &[0; 6]).map(|(answer, _)| answer);
    let is = |action: Action| answer == Some(action.number());
    match answer {
        Some(_) if is(Action::Allow) || is(Action::Log) => match before.verdict {
            Verdict::Allowed => Answer::new(
                Verdict::Allowed,
                "a finished program lets it through; the kernel may refuse it nonetheless",
            ),
            _ => before.clone(),
        },
        Some(answer) if matches!(answer & 0xffff_0000, 0x7ff0_0000 | 0x7fc0_0000) => {
            Answer::new(Verdict::CannotTell, "whoever is asked about it decides")
        }
        Some(_) => Answer::new(Verdict::Refused, "a finished program refuses it"),
        None => Answer::new(Verdict::CannotTell, "what the finished program answers cannot be told"),
    }
}

fn of_action(action: Action) -> String {
    match action {
        Action::Allow | Action::Log => "allowed".to_owned(),
        Action::Errno(errno) => Errno(errno).name().map_or_else(|| format!("error {errno}"), str::to_owned),
        Action::Trap => "SIGSYS".to_owned(),
        Action::KillThread | Action::KillProcess => "it is killed".to_owned(),
        Action::Trace(_) | Action::Notify => "somebody is asked".to_owned(),
    }
}

fn of_rule(rule: &Rule) -> String {
    let conditions: Vec<String> = rule.conditions.iter().map(of_condition).collect();
    format!("{} if {}", of_action(rule.action), conditions.join(" and "))
}

fn of_condition(condition: &Condition) -> String {
    let Condition { argument, mask, comparison, value } = *condition;
    let masked = if mask == u64::MAX || mask == u64::from(u32::MAX) { String::new() } else { format!(" & {mask:#x}") };
    let sign = match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "≠",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "≤",
        Comparison::GreaterOrEqual => "≥",
        Comparison::Greater => ">",
    };
    format!("argument {argument}{masked} {sign} {value:#x}")
}
