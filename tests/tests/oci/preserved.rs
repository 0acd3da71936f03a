use std::fs;
use std::process::{Command, Output, Stdio};

use seclude_tests::{Bundle, stdout_of};

/// Runs it with descriptor 3 as a shell makes it.
fn with(bundle: &Bundle, redirection: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {redirection}; exec \"$0\" \"$@\"")).arg(seclude_tests::oci_bin());
    command.arg("--root").arg(bundle.root()).args(arguments).current_dir(bundle.path());
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn descriptors_of_the_caller_are_handed_on_and_none_of_the_runtimes_own() {
    let mut bundle = Bundle::new("preserve");
    fs::write(bundle.join("given"), "given").unwrap();
    bundle.script("cat <&3; ls /proc/self/fd").write();
    let said = stdout_of(&with(&bundle, "3<given", &["run", "--preserve-fds", "1", "one"]));
    assert_eq!(said, "given0\n1\n2\n3\n4", "and the one that ls has open");
    // As many as there are.
    assert_eq!(stdout_of(&with(&bundle, "3<given 4>&- 5>&-", &["run", "--preserve-fds", "3", "one"])), said);
    let log = bundle.join("log");
    let log = log.to_str().unwrap();
    for (redirection, count, why) in [
        ("3</", "1", "descriptor 3: it is a directory"),
        ("3>&-", "2147483647", "--preserve-fds"),
        ("3>&-", "-1", "--preserve-fds"),
    ] {
        for command in [&["create", "one"][..], &["exec", "one", "true"]] {
            let (name, rest) = command.split_first().unwrap();
            let count = format!("--preserve-fds={count}");
            let mut arguments = vec!["--log", log, *name, &count];
            arguments.extend(rest);
            let output = with(&bundle, redirection, &arguments);
            let mut told = String::from_utf8_lossy(&output.stderr).into_owned();
            told.push_str(&fs::read_to_string(log).unwrap_or_default());
            assert!(!output.status.success() && told.contains(why), "{redirection}: {told}");
            let _ = fs::remove_file(log);
        }
    }
    bundle.nothing_is_left();
}
