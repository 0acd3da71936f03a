//! Resource limits and who is killed first when memory runs out.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use seclude::{Code, Command, Resource, Side, UNLIMITED};
use seclude_tests::{Scratch, helper_inside, ordinary_user_only, said, tell, told_inside};

/// The role of a process that opens files until it may not.
pub(crate) fn open_files() {
    let mut open: Vec<OwnedFd> = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) => open.push(file.into()),
            Err(error) => break error,
        }
        if open.len() == 200 {
            return tell("200 files");
        }
    };
    tell(format_args!("{} files, errno {}", open.len(), error.raw_os_error().unwrap()));
}

#[test]
fn the_limit_of_open_files_is_enforced() {
    let mut command = helper_inside("open-files");
    assert_eq!(told_inside(&command.output().unwrap()), ["200 files"]);
    // 0, 1, 2 and 17 more; EMFILE.
    command.rlimit(Resource::NOFILE, 20, 20);
    assert_eq!(told_inside(&command.output().unwrap()), ["17 files, errno 24"]);
}

#[test]
fn the_limit_of_a_files_size_is_enforced() {
    let scratch = Scratch::new("fsize");
    for (limit, size, signal) in [(None, 4096, None), (Some(1024), 1024, Some(25))] {
        let mut command = Command::new("/usr/bin/head");
        command.args(["-c", "4096", "/dev/zero"]).stdout(File::create(scratch.join("file")).unwrap());
        if let Some(limit) = limit {
            command.rlimit(Resource::FSIZE, limit, UNLIMITED).rlimit(Resource::CORE, 0, 0);
        }
        let exit = command.status().unwrap();
        assert_eq!((fs::metadata(scratch.join("file")).unwrap().len(), exit.signal()), (size, signal), "{exit}");
    }
}

#[test]
fn limits_are_set_soft_and_hard_by_name() {
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/limits");
    for (name, soft, hard) in [("NPROC", 1000, 2000), ("RLIMIT_AS", 1 << 32, 1 << 33), ("core", 0, 0)] {
        command.rlimit(name.parse().unwrap(), soft, hard);
    }
    let limits = said(&command.output().unwrap());
    let row = |name: &str| -> Vec<String> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(row("Max processes"), ["1000", "2000"]);
    assert_eq!(row("Max address space"), ["4294967296", "8589934592"]);
    assert_eq!(row("Max core file size"), ["0", "0"]);
}

#[test]
fn a_soft_limit_above_its_hard_one_is_refused() {
    let error = Command::new("/bin/true").rlimit(Resource::NOFILE, 20, 10).spawn().unwrap_err();
    assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "rlimit", Side::Plan), "{error}");
}

#[test]
fn a_hard_limit_that_may_not_be_raised_is_an_error_and_not_forgotten() {
    ordinary_user_only!();
    let error = Command::new("/bin/true").rlimit(Resource::NOFILE, 20, UNLIMITED).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("rlimit", Side::Child, Some("EPERM")), "{error}");
    assert!(error.to_string().contains("NOFILE"), "{error}");
}

#[test]
fn limits_do_not_bind_set_up() {
    let mut command = super::contained("ulimit -n");
    command.mount(seclude::Mount::dev("/dev")).mount(seclude::Mount::file("/etc/hostname", vec![0; 1 << 20]));
    command.rlimit(Resource::NOFILE, 6, 6).rlimit(Resource::FSIZE, 0, 0);
    assert_eq!(said(&command.output().unwrap()), "6");
}

#[test]
fn the_oom_score_is_adjusted_for_the_command_alone() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let mut command = Command::new("/bin/cat");
    command.arg("/proc/self/oom_score_adj");
    assert_eq!(said(&command.output().unwrap()), own.trim());
    assert_eq!(said(&command.oom_score_adj(777).output().unwrap()), "777");
    assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").unwrap(), own);
    let error = command.oom_score_adj(1001).spawn().unwrap_err();
    assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "oom score", Side::Plan), "{error}");
}

#[test]
fn an_oom_score_that_may_not_be_lowered_is_an_error_and_not_forgotten() {
    ordinary_user_only!();
    let error = Command::new("/bin/true").oom_score_adj(-1000).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("oom score", Side::Child, Some("EACCES")), "{error}");
}
