//! 1, 2: the kernel walks the command's path, its `#!` line and its loader's, and no descriptor of ours is open then.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use seclude_tests::{
    Background, PATIENCE, Scratch, busybox_root, ends_within, is_root, outside, pidfd, python, seclude,
    seclude_command, stdout_of, try_inside,
};

use super::{opened, text};

/// A program that has nothing but the path of its loader, elf(5).
fn with_loader(loader: &str) -> Vec<u8> {
    let loader = [loader.as_bytes(), b"\0"].concat();
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for value in [0u64, 64, 0] {
        elf.extend(value.to_le_bytes());
    }
    elf.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0");
    // PT_INTERP
    elf.extend(b"\x03\0\0\0\x04\0\0\0");
    for value in [120, 120, 120, loader.len() as u64, loader.len() as u64, 1] {
        elf.extend(value.to_le_bytes());
    }
    [elf, loader].concat()
}

fn executable(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

const NUMBERS: std::ops::RangeInclusive<u32> = 3..=64;

#[test]
fn nothing_of_ours_is_reached_by_the_path_of_a_program_its_interpreter_or_its_loader() {
    let host = Scratch::new("victim");
    host.executable("victim", "#!/bin/sh\necho of the host\n");
    let victim = format!("{}{}", "{FD}", opened(&host).join("victim").display());
    assert_eq!(outside(&victim.replace("{FD}", "")), "of the host");
    let root = busybox_root("image");
    opened(&root);
    let to = |number: u32| victim.replace("{FD}", &format!("/proc/self/fd/{number}"));
    let mut candidates = Vec::new();
    for number in NUMBERS {
        for kind in ["linked", "middle", "script", "loaded"] {
            root.directory(format!("{kind}{number}"));
        }
        // A program that is a link, and a directory on the way that is one: all of them are tried by one search of PATH.
        symlink(to(number), root.join(format!("linked{number}/victim"))).unwrap();
        symlink(to(number).trim_end_matches("/victim"), root.join(format!("middle{number}/below"))).unwrap();
        candidates.extend([format!("/linked{number}"), format!("/middle{number}/below")]);
        executable(&root.join(format!("script{number}/victim")), format!("#!{}\n", to(number)).as_bytes());
        executable(&root.join(format!("loaded{number}/victim")), &with_loader(&to(number)));
    }
    let path = format!("PATH={}", candidates.join(":"));
    let empty = Scratch::new("empty");
    let bind = format!("{}:/mnt", opened(&empty).display());
    let base = ["--root", text(root.path())];
    let mut ways: Vec<Vec<&str>> = vec![
        vec![],
        vec!["--as-pid-1"],
        vec!["--writable"],
        vec!["--overlay"],
        vec!["--bind", &bind],
        vec!["--clone", "copy"],
        vec!["--clone", "legacy", "--as-pid-1"],
        vec!["--bare", "--unshare", "user,mount,pid"],
        vec!["--bare", "--unshare", "user,mount", "--user", "5"],
    ];
    if is_root() {
        ways.extend([vec!["--host-root"], vec!["--bare", "--unshare", "mount"], vec!["--cap-add", "ALL"]]);
    }
    for way in ways {
        let run = |command: &str, path: &str| {
            let flags = [&["run"], &base[..], &way, &["--env", path, "--", command]].concat();
            let output = seclude(&flags);
            assert!(!String::from_utf8_lossy(&output.stdout).contains("of the host"), "{way:?} {command}");
            assert!(matches!(output.status.code(), Some(125..=127)), "{way:?} {command}: {output:?}");
        };
        run("victim", &path);
        // One is enough to show it where each takes a start of its own, for all but the plain ways.
        for number in NUMBERS.filter(|number| way.len() < 2 || *number < 16) {
            run(&format!("/script{number}/victim"), "PATH=/bin");
            run(&format!("/loaded{number}/victim"), "PATH=/bin");
        }
    }
    // What is given on purpose can be reached that way: the attack does what it says.
    let mut command = seclude::Command::new("/linked9/victim");
    command.sandbox().root(seclude::Root::directory(root.path()).read_only());
    let given = std::fs::File::open("/").unwrap();
    assert!(seclude_tests::said(&command.fd(given, 9).output().unwrap()).contains("of the host"));
}

#[test]
fn an_empty_entry_of_path_is_no_directory() {
    let here = Scratch::new("here");
    here.executable("ls", "#!/bin/sh\necho planted\n");
    let bind = format!("{}:/mnt", opened(&here).display());
    for path in ["PATH=:/bin", "PATH=/bin:", "PATH=/no::/bin"] {
        let flags = ["run", "--ro-bind", &bind, "--workdir", "/mnt", "--env", path, "--", "ls"];
        assert_eq!(stdout_of(&seclude(&flags)), "ls", "{path}");
        let shell = ["run", "--ro-bind", &bind, "--workdir", "/mnt", "--env", path, "--", "/bin/sh", "-c", "./ls"];
        assert_eq!(stdout_of(&seclude(&shell)), "planted", "by its path it is there");
    }
}

/// Says that it runs, takes its death signal back, and stays.
const STAYS: &str = "import ctypes, os, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nprint(os.getpid(), flush=True)\n\
    os.close(1); os.close(0)\ntime.sleep(60)";

#[test]
fn nothing_of_a_sandbox_outlives_its_spawner_whatever_it_takes_back() {
    let first = |flags: &[&str]| {
        let mut run = Background::start(&[&["run", "--share", "cgroup"], flags, &["python3", "-c", STAYS]].concat());
        run.line();
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.pid())).unwrap();
        let child = children.split(' ').next().unwrap().parse().unwrap();
        let first = pidfd(child);
        run.signal(Signal::KILL);
        run.wait();
        (first, child)
    };
    let (container, _) = first(&[]);
    assert!(ends_within(&container, PATIENCE), "with the init all of it ends");
    let (container, _) = first(&["--clone", "copy"]);
    assert!(ends_within(&container, PATIENCE));
    // Who asked to be process one can take it back.
    let mut child =
        seclude_command(&["run", "--as-pid-1", "python3", "-c", STAYS]).stdout(Stdio::null()).spawn().unwrap();
    let begun = std::time::Instant::now();
    let pid: u32 = loop {
        let all = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let of_each = all.flatten().map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
        let found: String = of_each.collect::<Vec<_>>().concat();
        let stays =
            |pid: &str| fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|wait| wait.contains("nanosleep"));
        match found.split_whitespace().find(|pid| stays(pid)) {
            Some(pid) => break pid.parse().unwrap(),
            None => assert!(begun.elapsed() < PATIENCE, "it sleeps in the end"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let alone = pidfd(pid);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let outlives = !ends_within(&alone, std::time::Duration::from_millis(300));
    rustix::process::pidfd_send_signal(&alone, Signal::KILL).ok();
    assert!(outlives, "the docs say so");
}

#[test]
fn what_an_image_runs_of_ours_is_no_file_of_the_host() {
    let look = "import os\nprint(os.readlink('/proc/self/exe'))";
    let root = busybox_root("own-exe");
    opened(&root);
    // The image has the launcher executed again: it is a file in memory that nobody can write.
    executable(&root.join("again"), b"#!/proc/self/exe\n");
    for flags in [&["--as-pid-1"][..], &[], &["--clone", "copy"]] {
        let flags = [&["--root", text(root.path())], flags].concat();
        let output = try_inside(&flags, "readlink /proc/1/exe || echo hidden; : >> /proc/1/exe");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // The command's own image where that is PID 1, else nothing that could be named.
        assert!(["/bin/busybox", "/bin/sh", "hidden"].contains(&said.as_str()), "{output:?}");
        assert!(!output.status.success(), "it was opened for writing: {output:?}");
        let again = seclude(&[&["run"], &flags[..], &["--", "/again"]].concat());
        assert_ne!(again.status.code(), Some(0), "{again:?}");
    }
    assert!(python(&[], look).contains("python"));
}
