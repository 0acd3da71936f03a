use std::process::Stdio;
use std::time::Duration;

use seclude_tests::Bundle;
use serde_json::json;

/// Kills a command of the runtime after so many microseconds.
fn killed(bundle: &Bundle, arguments: &[&str], after: u64) {
    let mut command = bundle.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_micros(after));
    let _ = child.kill();
    child.wait().unwrap();
}

/// Who runs with this word among its arguments.
fn processes_with(word: &str) -> Vec<String> {
    let listed = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = listed.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let texts = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    texts.filter(|line| line.contains(word)).collect()
}

#[test]
fn whenever_a_command_is_killed_delete_removes_all_of_it() {
    let mut bundle = Bundle::new("crash");
    let word = format!("crash-{}", std::process::id());
    bundle.script(&format!(": {word}; while :; do sleep 0.1; done")).write();
    for step in 0..60 {
        killed(&bundle, &["create", "one"], step * 400);
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
    let hook = json!([{ "path": "/bin/true" }]);
    bundle.set("/hooks", json!({ "createRuntime": hook, "createContainer": hook, "poststop": hook })).write();
    for step in 0..20 {
        killed(&bundle, &["create", "one"], step * 1500);
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
    bundle.set("/hooks", json!({})).write();
    for step in 0..20 {
        bundle.must(&["create", "one"]);
        killed(&bundle, &["start", "one"], step * 250);
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
    for step in 0..20 {
        bundle.must(&["run", "--detach", "one"]);
        killed(&bundle, &["exec", "one", "sh", "-c", &format!(": {word}; sleep 1000")], step * 400);
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
    for step in 0..20 {
        bundle.must(&["run", "--detach", "one"]);
        killed(&bundle, &["delete", "--force", "one"], step * 400);
        bundle.must(&["delete", "--force", "one"]);
        bundle.nothing_is_left();
    }
    let began = std::time::Instant::now();
    while !processes_with(&word).is_empty() {
        assert!(began.elapsed() < seclude_tests::PATIENCE, "{:?}", processes_with(&word));
        std::thread::sleep(Duration::from_millis(10));
    }
}
