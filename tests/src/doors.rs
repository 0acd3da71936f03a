//! The table of cases that every door runs, tests/doors; its README says what they say.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use seclude::request::{Format, Request};
use seclude::{Command, Error, Field};
use serde_json::{Map, Value as Json, json};

use crate::{is_root, seclude_bin};

/// One thing that every door does alike.
pub struct Case(Json);

/// What came of it.
pub enum Outcome {
    /// What the command wrote, and the report of its end.
    Ran {
        /// All of it.
        stdout: String,
        /// As docs/report.schema.json has it, or at least `code`, `signal` and `cause`.
        report: Json,
    },
    /// The error, with `code`, `kind`, `field`, `step` and `message`.
    Refused(Json),
}

/// The files, by their names. They are in the program: it may run where the checkout is not.
const FILES: [(&str, &str); 9] = [
    ("errors.json", include_str!("../doors/errors.json")),
    ("landlock.json", include_str!("../doors/landlock.json")),
    ("limits.json", include_str!("../doors/limits.json")),
    ("mounts.json", include_str!("../doors/mounts.json")),
    ("namespaces.json", include_str!("../doors/namespaces.json")),
    ("nouns.json", include_str!("../doors/nouns.json")),
    ("process.json", include_str!("../doors/process.json")),
    ("seccomp.json", include_str!("../doors/seccomp.json")),
    ("user.json", include_str!("../doors/user.json")),
];

/// The files' names.
pub fn door_files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Every case there is.
pub fn cases() -> Vec<Case> {
    let all = FILES.iter().flat_map(|(name, text)| {
        serde_json::from_str::<Vec<Json>>(text).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    all.map(Case).collect()
}

impl Case {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0["name"].as_str().expect("a case has a name")
    }

    /// The request as a document.
    pub fn request(&self) -> String {
        match self.0["text"].as_str() {
            Some(text) => text.to_owned(),
            None => self.0["request"].to_string(),
        }
    }

    /// What the command reads.
    pub fn stdin(&self) -> &str {
        self.0["stdin"].as_str().unwrap_or_default()
    }

    fn needs(&self, what: &str) -> bool {
        self.0["needs"].as_array().is_some_and(|needs| needs.iter().any(|need| need == what))
    }

    /// Why it means nothing here, if it does not.
    pub fn skipped(&self) -> Option<&'static str> {
        match (is_root(), self.needs("root"), self.needs("user")) {
            (false, true, _) => Some("needs root"),
            (true, _, true) => Some("needs an ordinary user"),
            _ => None,
        }
    }

    /// That it says what it is to say, and nothing that nobody looks at.
    pub fn check(&self) {
        let known = |object: &Json, known: &[&str]| {
            let keys = object.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
            keys.filter(|key| !known.contains(key)).map(str::to_owned).collect::<Vec<_>>()
        };
        let nothing: [String; 0] = [];
        let name = self.name();
        assert_eq!(
            known(&self.0, &["name", "request", "text", "stdin", "needs", "expect", "expect_error"]),
            nothing,
            "{name}"
        );
        assert_eq!(known(&self.0["expect"], &["stdout", "code", "signal", "cause"]), nothing, "{name}");
        assert_eq!(
            known(&self.0["expect_error"], &["code", "kind", "field", "step", "contains", "remedy"]),
            nothing,
            "{name}"
        );
        assert_ne!(self.0["expect"].is_object(), self.0["expect_error"].is_object(), "{name}");
        assert_ne!(self.0["request"].is_object(), self.0["text"].is_string(), "{name}");
        for need in self.0["needs"].as_array().into_iter().flatten() {
            assert!(["root", "user", "cgroup", "landlock"].iter().any(|known| need == known), "{name}: {need}");
        }
    }

    /// What is wrong with an outcome: nothing, if it is what the case expects.
    pub fn wrong_with(&self, outcome: &Outcome) -> Vec<String> {
        let (expected, error) = (&self.0["expect"], &self.0["expect_error"]);
        match outcome {
            Outcome::Refused(error)
                if ["cgroup", "landlock"].iter().any(|need| self.needs(need) && error["step"] == *need) =>
            {
                eprintln!("skipped: {}: {}", self.name(), error["message"]);
                Vec::new()
            }
            Outcome::Ran { stdout, report } => {
                let Some(expected) = expected.as_object() else { return vec![format!("it ran: {stdout:?}, {report}")] };
                let mut found = report.clone();
                found["stdout"] = json!(stdout);
                let mut expected = expected.clone();
                if !["code", "signal", "cause"].iter().any(|key| expected.contains_key(*key)) {
                    expected.insert("code".into(), json!(0));
                }
                different(&expected, &found)
            }
            Outcome::Refused(found) => {
                let Some(expected) = error.as_object() else { return vec![format!("it is refused: {found}")] };
                let mut expected = expected.clone();
                expected.entry("code").or_insert_with(|| json!("invalid"));
                let remedy = expected.remove("remedy");
                let part = expected.remove("contains");
                let part = part.as_ref().and_then(Json::as_str).unwrap_or_default();
                let mut wrong = different(&expected, found);
                let remedies = found["remedies"].as_array().map_or(&[][..], Vec::as_slice);
                // With a value that the case does not name.
                let is = |found: &&Json, remedy: &Json| {
                    remedy
                        .as_object()
                        .is_some_and(|remedy| remedy.iter().all(|(key, value)| found[key.as_str()] == *value))
                };
                if remedy.as_ref().is_some_and(|remedy| !remedies.iter().any(|found| is(&found, remedy))) {
                    wrong.push(format!("of the remedies {remedies:?} none is {remedy:?}"));
                }
                if remedy.is_none() && !remedies.is_empty() {
                    wrong.push(format!("nothing is said of the remedies {remedies:?}"));
                }
                if !found["message"].as_str().is_some_and(|message| message.contains(part)) {
                    wrong.push(format!("the message {} does not contain {part:?}", found["message"]));
                }
                wrong
            }
        }
    }
}

fn different(expected: &Map<String, Json>, found: &Json) -> Vec<String> {
    let different = expected.iter().filter(|(key, value)| found[key.as_str()] != **value);
    different.map(|(key, value)| format!("{key} is {}, not {value}", found[key.as_str()])).collect()
}

/// Through the library.
pub fn by_library(case: &Case) -> Outcome {
    let refused = |error: &Error| {
        let field = error.field().map(ToString::to_string);
        let remedies: Vec<Json> = error.remedies().iter().map(|remedy| remedy.to_json(&Field::to_string)).collect();
        Outcome::Refused(json!({
            "code": error.code().name(), "kind": null, "field": field, "step": error.step(), "message": error.to_string(),
            "remedies": remedies,
        }))
    };
    let request = Request::parse(case.request().as_bytes(), Format::Json);
    let mut command = match request.and_then(|request| Command::from_request(&request)) {
        Ok(command) => command,
        Err(wrong) => {
            let field = if wrong.field.is_whole() { Json::Null } else { json!(wrong.field.to_string()) };
            return Outcome::Refused(json!({
                "code": "invalid", "kind": wrong.why.name(), "field": field, "step": "request", "message": wrong.to_string(),
            }));
        }
    };
    command.stdin(seclude::Stdio::piped()).stdout(seclude::Stdio::piped());
    let ran = command.spawn().and_then(|mut child| {
        let mut stdin = child.stdin.take().expect("a pipe");
        // Less than a pipe holds. One that does not read it is no failure.
        let _ = stdin.write_all(case.stdin().as_bytes());
        drop(stdin);
        child.wait_with_output()
    });
    match ran {
        Err(error) => refused(&error),
        Ok(output) => {
            let exit = output.exit;
            let report = json!({ "code": exit.code(), "signal": exit.signal(), "cause": exit.cause().name() });
            Outcome::Ran { stdout: String::from_utf8(output.stdout).expect("UTF-8"), report }
        }
    }
}

/// Through the command, its report told in a file of `place`. It reads the request from stdin where the command reads nothing there.
pub fn by_command(case: &Case, place: &Path) -> Outcome {
    let (spec, report) = (place.join("spec.json"), place.join("report.json"));
    let _ = std::fs::remove_file(&report);
    let by_stdin = case.0["text"].is_null() && case.stdin().is_empty();
    let file = if by_stdin { Path::new("-") } else { &spec };
    std::fs::write(&spec, case.request()).expect("the spec is written");
    let mut command = std::process::Command::new(seclude_bin());
    command.args(["run", "--spec"]).arg(file).arg("--report").arg(&report);
    let mut command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command starts");
    let mut stdin = command.stdin.take().expect("a pipe");
    let request = case.request();
    // One that does not read it is no failure.
    let _ = stdin.write_all(if by_stdin { request.as_bytes() } else { case.stdin().as_bytes() });
    drop(stdin);
    let output = command.wait_with_output().expect("the command ends");
    let report = std::fs::read(&report).unwrap_or_else(|error| panic!("{}: no report: {error}", case.name()));
    let mut report: Json = serde_json::from_slice(&report).expect("a report in JSON");
    let Json::Object(error) = report["error"].take() else {
        let mut stdout = String::from_utf8(output.stdout).expect("UTF-8");
        if case.0["request"]["terminal"].is_object() {
            // It is what its own output leads to, and ends lines as terminals do.
            stdout = stdout.replace("\r\n", "\n");
        }
        return Outcome::Ran { stdout, report };
    };
    let mut error = Json::Object(error);
    if error["step"].is_null() {
        // What cannot be meant is told in one line that begins with its place.
        let (expected, message) = (&case.0["expect_error"], error["message"].as_str().unwrap_or_default());
        let line = message.strip_prefix(&format!("--spec {}: ", file.display())).unwrap_or_default();
        let is_told = |field: &&str| {
            let rest = line.strip_prefix(field);
            rest.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" is "))
        };
        let field = expected["field"].as_str().filter(is_told);
        error = json!({
            "code": "invalid", "kind": expected["kind"], "field": field, "step": "request", "message": message,
        });
    } else {
        error["kind"] = Json::Null;
    }
    assert!(output.status.code().is_some_and(|code| (125..128).contains(&code)), "{}", case.name());
    Outcome::Refused(error)
}

/// Through a program that is a door.
pub fn by_program(program: &Path, case: &Case) -> Outcome {
    let mut door = std::process::Command::new(program);
    door.arg(case.stdin()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut door = door.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = door.stdin.take().expect("a pipe");
    stdin.write_all(case.request().as_bytes()).expect("the door reads");
    drop(stdin);
    let output = door.wait_with_output().expect("the door ends");
    assert!(output.status.success(), "{}: {}", case.name(), output.status);
    let mut said: Json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {}", case.name(), String::from_utf8_lossy(&output.stdout)));
    match said["error"].take() {
        Json::Null => {
            let stdout = said["stdout"].as_str().expect("what it wrote").to_owned();
            Outcome::Ran { stdout, report: said["report"].take() }
        }
        error => Outcome::Refused(error),
    }
}
