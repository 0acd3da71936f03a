//! Random questions about random containers: no answer but that only the run can tell differs from what a probe gets in there.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use seclude::request::{Format, Request};
use seclude::{Answer, Command, Error, Question, Verdict};
use seclude_seccomp::Architecture;
use seclude_tests::{seclude, stdout_of};

use crate::pool::{Files, PATHS, Random, Set, set};

const QUESTIONS: usize = 2000;
const OF_EACH: usize = 50;

fn seed() -> u64 {
    let given = std::env::var("SECLUDE_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64)
}

/// What ends or stops whoever makes it, changes what others see, or lasts.
const NOT_TRIED: [&str; 26] = [
    "exit",
    "exit_group",
    "pause",
    "rt_sigreturn",
    "restart_syscall",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "uretprobe",
    "uprobe",
    "umask",
    "kill",
    "setsid",
    "vhangup",
    "reboot",
    "sync",
    "kexec_load",
    "kexec_file_load",
    "swapon",
    "swapoff",
    "alarm",
    "personality",
    "close_range",
    "mlockall",
    "munlockall",
];

/// Those of this machine, by their numbers.
fn calls() -> Vec<(u32, &'static str)> {
    let named = |number| Some((number, Architecture::NATIVE.name_of(number)?));
    (0..600).filter_map(named).filter(|(_, name)| !NOT_TRIED.contains(name)).collect()
}

/// The kind of a question, what it is about, and what the probe is given for that.
type Asked = (&'static str, String, String);

fn questions(set: &Set, random: &mut Random) -> Vec<Asked> {
    let calls = calls();
    let mut asked: Vec<Asked> = Vec::new();
    while asked.len() < OF_EACH {
        if set.calls && random.next(4) == 0 {
            let (number, name) = random.one(&calls);
            asked.push(("call", (*name).to_owned(), number.to_string()));
            continue;
        }
        let own = !set.paths.is_empty() && random.next(2) == 0;
        let path = if own { random.one(&set.paths).clone() } else { (*random.one(&PATHS)).to_owned() };
        let kind = *random.one(&["read", "write", "exec"]);
        if kind == "write" && set.writes && !own {
            // On the host nothing of others is touched.
            continue;
        }
        asked.push((kind, path.clone(), path));
    }
    asked
}

/// The same container for the library, with the probe as its command.
fn command(flags: &[String], asked: &[Asked]) -> Command {
    let given: Vec<(&str, &str)> = asked.iter().map(|(kind, _, given)| (*kind, given.as_str())).collect();
    let given = serde_json::to_string(&given).expect("strings");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let program = ["--", "/usr/bin/python3", "-I", "-S", "-B", "-c", include_str!("probe.py"), &given];
    let spec = stdout_of(&seclude(&[&["explain", "--spec", "--json"], &flags[..], &program].concat()));
    let request = Request::parse(spec.as_bytes(), Format::Json).expect("a request");
    Command::from_request(&request).expect("it can be meant")
}

/// What a probe says, or why there is none.
fn tried(command: &mut Command) -> Result<Vec<String>, Error> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.exit.success(), "{}: {}", output.exit, String::from_utf8_lossy(&output.stderr));
    Ok(said.lines().map(str::to_owned).collect())
}

fn question((kind, about, _): &Asked) -> Question {
    match *kind {
        "read" => Question::Read(PathBuf::from(about)),
        "write" => Question::Write(PathBuf::from(about)),
        "exec" => Question::Exec(PathBuf::from(about)),
        _ => Question::Call(about.clone()),
    }
}

#[test]
fn no_answer_but_that_it_cannot_be_told_differs_from_what_is_found_inside() {
    let seed = seed();
    println!("SECLUDE_TEST_SEED={seed}");
    let mut random = Random(seed);
    let files = Files::new(&mut random);
    let (mut asked_in_all, mut untold, mut not_started) = (0, 0, 0);
    let mut wrong: Vec<String> = Vec::new();
    while asked_in_all < QUESTIONS {
        let set = set(&files, &mut random);
        let asked = questions(&set, &mut random);
        let mut contained = command(&set.flags, &asked);
        let context = |what: &str| format!("SECLUDE_TEST_SEED={seed}: {}: {what}", set.flags.join(" "));
        let why = match contained.why() {
            Ok(why) => why,
            // What contradicts itself is no container either.
            Err(error) => {
                assert!(tried(&mut contained).is_err(), "{}", context(&error.to_string()));
                not_started += 1;
                continue;
            }
        };
        let answers: Vec<_> = asked.iter().map(|asked| why.answer(&question(asked)).expect("an answer")).collect();
        let found = match tried(&mut contained) {
            Ok(found) => found,
            Err(error) => {
                // What cannot be mounted gives no answers. (Cgroups and ids are not asked about.)
                let is_of_the_tree = ["root", "mount", "landlock"].contains(&error.step());
                let told =
                    |(asked, answer): &(&Asked, &Answer)| asked.0 != "call" && answer.verdict != Verdict::CannotTell;
                if let Some((asked, answer)) = asked.iter().zip(&answers).filter(|_| is_of_the_tree).find(told) {
                    let said = answer.message_with(|_| None);
                    wrong.push(context(&format!("{} {}: {said}; and it does not start: {error}", asked.0, asked.1)));
                }
                not_started += 1;
                continue;
            }
        };
        assert_eq!(found.len(), asked.len(), "{}", context("the probe has ended early"));
        // What the kernel answers by itself.
        let unfiltered = set.calls.then(|| {
            let calls: Vec<Asked> = asked.iter().filter(|(kind, ..)| *kind == "call").cloned().collect();
            tried(&mut command(&[&set.flags[..], &["--seccomp".into(), "none".into()]].concat(), &calls))
                .expect("it has started")
        });
        // In their order: what is asked twice may be answered otherwise the second time (EEXIST).
        let mut unfiltered = unfiltered.into_iter().flatten();
        for ((asked, answer), found) in asked.iter().zip(&answers).zip(&found) {
            let (kind, about, _) = asked;
            let without = if *kind == "call" { unfiltered.next() } else { None };
            let agrees = match (answer.verdict, *kind) {
                (Verdict::CannotTell, _) => {
                    untold += 1;
                    true
                }
                (Verdict::Refused, "call") => ["EPERM", "ENOSYS", "EACCES", "EAFNOSUPPORT"].contains(&found.as_str()),
                (Verdict::Allowed, "call") => without.as_ref() == Some(found),
                (verdict, _) => (verdict == Verdict::Allowed) == (found == "yes"),
            };
            if !agrees {
                let said = answer.message_with(|_| None);
                let without = without.map_or(String::new(), |answer| format!(", without the filter: {answer}"));
                wrong.push(context(&format!("{kind} {about}: {said}; and inside: {found}{without}")));
            }
        }
        asked_in_all += asked.len();
    }
    println!("{asked_in_all} questions, of which {untold} cannot be told; {not_started} containers do not start");
    assert!(wrong.is_empty(), "{} of {asked_in_all}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(not_started < 20, "{not_started} containers do not start (SECLUDE_TEST_SEED={seed})");
    assert!(untold * 3 <= asked_in_all, "{untold} of {asked_in_all} cannot be told (SECLUDE_TEST_SEED={seed})");
}
