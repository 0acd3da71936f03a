//! What has to be made on the host for something to be mounted on it goes again, unless it has come into use.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use seclude::{Command, Mount};
use seclude_tests::{Background, Scratch, host, is_root, seclude, seclude_command, stdout_of};
use serde_json::Value;

/// A directory that anybody may write.
fn open_directory(name: &str) -> Scratch {
    let own = Scratch::new(name);
    fs::set_permissions(own.path(), fs::Permissions::from_mode(0o777)).unwrap();
    own
}

fn bound(own: &Scratch) -> String {
    format!("{}:/mnt", own.path().display())
}

/// Runs it, and answers its report.
fn reported(arguments: &[&str]) -> Value {
    let place = Scratch::new("report");
    let file = place.join("report").display().to_string();
    let output = seclude(&[&["run", "--report", &file], arguments].concat());
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_was_made_for_a_mount_goes_at_the_end_and_what_was_there_stays() {
    let own = open_directory("made");
    own.directory("there");
    let bind = bound(&own);
    let flags =
        ["--bind", &bind, "--tmpfs", "/mnt/a/b/c", "--tmpfs", "/mnt/there/new", "--ro-bind", "/etc/hostname:/mnt/f/g"];
    for preset in [&[][..], &["--bare", "--unshare=user,mount"], &["--bare", "--unshare=user,mount,pid", "--init"]] {
        let look = ["sh", "-c", "ls -d /mnt/a/b/c /mnt/there/new /mnt/f/g"];
        let output = seclude(&[&["run"], preset, &flags[..], &look[..]].concat());
        assert_eq!(stdout_of(&output), "/mnt/a/b/c\n/mnt/f/g\n/mnt/there/new");
        assert_eq!(own.listing(), [own.join("there")], "{preset:?}");
        let missing = seclude(&[&["run"], preset, &flags[..], &["/no/such/command"]].concat());
        assert_eq!(missing.status.code(), Some(127));
        assert!(!String::from_utf8_lossy(&missing.stderr).contains("left behind"), "{missing:?}");
        assert_eq!(own.listing(), [own.join("there")], "{preset:?}, and the start failed");
    }
    seclude(&[&["doctor", "--for"], &flags[..], &["true"]].concat());
    assert_eq!(own.listing(), [own.join("there")], "doctor --for");
    let report = reported(&[&flags[..], &["true"]].concat());
    assert_eq!(report["left_behind"], Value::Array(Vec::new()));
}

#[test]
fn of_a_root_that_is_written_too() {
    let root = seclude_tests::busybox_root("made-root");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let before = root.listing();
    let path = root.path().display().to_string();
    let flags = ["--root", &path, "--writable", "--tmpfs", "/new/place", "--file", "/etc/made/file=text"];
    let output = seclude(&[&["run"], &flags[..], &["cat", "/etc/made/file"]].concat());
    assert_eq!(stdout_of(&output), "text");
    assert_eq!(root.listing(), before);
}

#[test]
fn what_has_come_into_use_stays_and_is_told() {
    let own = open_directory("used");
    let bind = bound(&own);
    let write = ["--bind", &bind, "--tmpfs", "/mnt/a/b", "sh", "-c", "echo mine > /mnt/a/c"];
    let report = reported(&write);
    assert_eq!(report["left_behind"], serde_json::json!(["mount point /mnt/a (not empty)"]));
    assert_eq!(own.listing(), [own.join("a"), own.join("a/c")]);
    // An empty file that a mount lay on, and that somebody has written to through the host meanwhile.
    let own = open_directory("filled");
    let bind = bound(&own);
    let mut running = Background::start(&[
        "run",
        "--bind",
        &bind,
        "--ro-bind",
        "/etc/hostname:/mnt/f",
        "sh",
        "-c",
        "echo up; read never",
    ]);
    assert_eq!(running.line(), "up");
    fs::write(own.join("f"), "theirs").unwrap();
    running.signal(Signal::KILL);
    running.wait();
    // (Nobody is there to remove anything once seclude itself was killed.)
    assert_eq!(fs::read_to_string(own.join("f")).unwrap(), "theirs");
    let mut command = Command::new("true");
    command.sandbox().mount(Mount::bind(own.path(), "/mnt")).mount(Mount::bind("/etc/hostname", "/mnt/g"));
    let mut child = command.spawn().unwrap();
    fs::write(own.join("g"), "theirs").unwrap();
    let exit = child.wait().unwrap();
    assert!(exit.left_behind().iter().any(|left| left.contains("g (not empty)")), "{:?}", exit.left_behind());
}

#[test]
fn nothing_is_removed_that_another_container_has_mounts_on() {
    let own = open_directory("shared");
    let bind = bound(&own);
    let with = |script: &str| {
        let mut command = seclude_command(&["run", "--bind", &bind, "--tmpfs", "/mnt/place", "sh", "-c", script]);
        Background::of(&mut command)
    };
    let mut first = with("echo up; read end");
    assert_eq!(first.line(), "up");
    let mut second = with("echo seen > /mnt/place/file; echo up; read end; cat /mnt/place/file");
    assert_eq!(second.line(), "up");
    drop(first.child().stdin.take());
    first.wait();
    assert!(own.join("place").exists(), "the second one's mount lies on it");
    drop(second.child().stdin.take());
    assert_eq!(second.end(), (Some(0), "seen".to_owned()));
    // And by contrast: alone it goes.
    fs::remove_dir(own.join("place")).unwrap();
    assert_eq!(with("true").end().0, Some(0));
    assert!(own.listing().is_empty());
}

#[test]
fn nor_what_has_a_mount_of_one_that_shares_no_lock() {
    let own = open_directory("unshared");
    let inner = own.directory("p");
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).unwrap();
    let bind = format!("{}:/mnt", inner.display());
    let show_all = format!("{}:/mnt", own.path().display());
    let others: [&[&str]; 2] =
        [&["--ro-bind", &bind, "--tmpfs", "/mnt/place"], &["--bind", &show_all, "--tmpfs", "/mnt/p/place"]];
    for other in others {
        let mut first = Background::of(&mut seclude_command(&[
            "run",
            "--bind",
            &bind,
            "--tmpfs",
            "/mnt/place",
            "sh",
            "-c",
            "echo up; read end",
        ]));
        assert_eq!(first.line(), "up");
        let place = other.last().unwrap();
        let script = format!("echo seen > {place}/file; echo up; read end; cat {place}/file");
        let mut second = Background::of(&mut seclude_command(&[&["run"], other, &["sh", "-c", &script]].concat()));
        assert_eq!(second.line(), "up");
        drop(first.child().stdin.take());
        first.wait();
        assert!(inner.join("place").exists(), "{other:?} has a mount on it");
        drop(second.child().stdin.take());
        assert_eq!(second.end(), (Some(0), "seen".to_owned()), "{other:?}");
        // Any next start may have removed it by now, such as another test's.
        let _ = fs::remove_dir(inner.join("place"));
        assert!(!inner.join("place").exists());
    }
}

#[test]
fn whoever_holds_the_lock_keeps_nobody_from_starting() {
    let own = open_directory("locked");
    let bind = bound(&own);
    let held = fs::File::open(own.path()).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let report = reported(&["--bind", &bind, "--tmpfs", "/mnt/place", "true"]);
    assert_eq!(report["code"], 0);
    assert!(report["left_behind"][0].as_str().is_some_and(|left| left.contains("could not be locked")), "{report}");
    assert!(own.join("place").exists());
}

#[test]
fn as_many_as_there_are_at_once_go_too() {
    // More than the socket takes at a time, while as many trees go the other way.
    let own = open_directory("many");
    let bind = bound(&own);
    let targets: Vec<String> = (0..700).map(|number| format!("/etc/hostname:/mnt/{number}/of/many")).collect();
    let binds = targets.iter().flat_map(|target| ["--ro-bind", target.as_str()]);
    let arguments: Vec<&str> = ["run", "--bind", &bind].into_iter().chain(binds).chain(["ls", "/mnt/699/of"]).collect();
    assert_eq!(stdout_of(&seclude(&arguments)), "many");
    // What takes longer than it looks for mounts of others is left to the next to come.
    for _ in 0..10 {
        if own.listing().is_empty() {
            return;
        }
        seclude(&["gc"]);
    }
    panic!("left: {:?}", own.listing());
}

#[test]
fn what_the_command_has_put_in_its_place_is_not_touched() {
    let own = open_directory("replaced");
    let bind = bound(&own);
    let script = "mv /mnt/a /mnt/z; mkdir /mnt/a; echo kept > /mnt/file; ln -s /etc /mnt/link; true";
    let output = seclude(&["run", "--bind", &bind, "--tmpfs", "/mnt/a/b", "sh", "-c", script]);
    assert!(output.status.success(), "{output:?}");
    let left = own.listing();
    assert!(left.contains(&own.join("a")) && left.contains(&own.join("file")), "{left:?}");
    assert!(!own.join("z/b").exists(), "where it went");
    assert!(Path::new("/etc/hostname").exists());
    assert_eq!(
        fs::metadata(own.join("file")).unwrap().uid(),
        if is_root() { 0 } else { rustix::process::geteuid().as_raw() }
    );
}

#[test]
fn many_that_start_at_once_find_or_make_the_same_place() {
    let own = open_directory("at-once");
    let bind = bound(&own);
    let flags = ["run", "--bind", &bind, "--tmpfs", "/mnt/a/b/c", "--ro-bind", "/etc/hostname:/mnt/d/e"];
    for _ in 0..5 {
        std::thread::scope(|scope| {
            let start = || {
                for _ in 0..5 {
                    let output = seclude(&[&flags[..], &["ls", "-d", "/mnt/a/b/c", "/mnt/d/e"]].concat());
                    assert_eq!(stdout_of(&output), "/mnt/a/b/c\n/mnt/d/e");
                }
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
    // Whoever was the last alone has removed what it had made itself; what others were in the way of stays, empty.
    let files: Vec<_> = own.listing().into_iter().filter(|path| path.is_file()).collect();
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() == 0), "{files:?}");
}

/// `seclude`, as whoever has a runtime directory; root's records are below /run.
fn with_runtime(runtime: &Scratch, arguments: &[&str]) -> std::process::Command {
    let mut command = seclude_command(arguments);
    command.env("XDG_RUNTIME_DIR", runtime.path());
    command
}

/// Until nothing of the directory is left, or the time is up: a killed container ends a moment later.
fn swept(own: &Scratch, sweep: impl Fn()) -> bool {
    (0..100).any(|_| {
        sweep();
        own.listing().is_empty() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }
    })
}

fn runtime_directory() -> Scratch {
    let runtime = Scratch::new("runtime");
    fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o700)).unwrap();
    runtime
}

const MADE: [&str; 6] = ["--tmpfs", "/mnt/a/b", "--dir", "/mnt/d", "--ro-bind", "/etc/hostname:/mnt/f"];

#[test]
fn what_a_killed_spawner_has_made_goes_with_gc_and_with_the_next_start() {
    let (own, runtime) = (open_directory("killed"), runtime_directory());
    let bind = bound(&own);
    for sweep in [&["gc"][..], &["run", "true"]] {
        let waits = ["sh", "-c", "echo up; read never"];
        let arguments = [&["run", "--bind", &bind], &MADE[..], &waits].concat();
        let mut running = Background::of(&mut with_runtime(&runtime, &arguments));
        assert_eq!(running.line(), "up");
        assert!(with_runtime(&runtime, &["gc"]).status().unwrap().success());
        assert_eq!(own.listing().len(), 4, "it is in use");
        running.signal(Signal::KILL);
        running.wait();
        assert!(
            swept(&own, || drop(with_runtime(&runtime, sweep).output().unwrap())),
            "{sweep:?}: {:?}",
            own.listing()
        );
        assert!(runtime.listing().is_empty(), "{:?}", runtime.listing());
    }
}

#[test]
fn a_start_that_makes_none_writes_nothing_down_and_makes_no_place_for_it() {
    let bare = "run --bare --init --unshare user,pid,mount --tmpfs /tmp";
    let changed = |flags: &str| {
        let runtime = runtime_directory();
        // Of root it is /run itself, which is the test's own here.
        let own = if is_root() { "mount -t tmpfs none /run; cd /run" } else { "cd \"$XDG_RUNTIME_DIR\"" };
        let script = format!("{own}; touch -d @1 .; \"$1\" {flags} -- true; stat -c %Y .");
        let mut command = std::process::Command::new(if is_root() { "unshare" } else { "env" });
        command.args(is_root().then_some("-m")).args(["sh", "-c", &script, "sh"]).arg(seclude_tests::seclude_bin());
        stdout_of(&command.env("XDG_RUNTIME_DIR", runtime.path()).output().unwrap()) != "1"
    };
    assert!(!changed(bare));
    let own = open_directory("made");
    assert!(changed(&format!("{bare} --bind {} --tmpfs /mnt/made", bound(&own))), "something was made");
}

#[test]
fn what_was_made_for_one_that_was_left_running_goes_once_that_has_ended() {
    let (own, runtime) = (open_directory("left"), runtime_directory());
    let bind = bound(&own);
    // Its input is a named pipe: it ends when the test says so.
    let wait = "until [ -e /mnt/end ]; do sleep 0.02; done; rm /mnt/end";
    let arguments = [&["run", "--detach", "--bind", &bind], &MADE[..], &["sh", "-c", wait]].concat();
    let started = with_runtime(&runtime, &arguments).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    for _ in 0..3 {
        assert!(with_runtime(&runtime, &["gc"]).status().unwrap().success());
        assert_eq!(own.listing().len(), 4, "it is in use");
    }
    fs::write(own.join("end"), "").unwrap();
    assert!(swept(&own, || drop(with_runtime(&runtime, &["gc"]).output().unwrap())), "{:?}", own.listing());
    assert!(runtime.listing().is_empty(), "{:?}", runtime.listing());
}

#[test]
fn what_is_another_by_then_is_not_removed() {
    let (own, runtime) = (open_directory("another"), runtime_directory());
    let elsewhere = open_directory("elsewhere");
    elsewhere.directory("b");
    let bind = bound(&own);
    let arguments = [
        &["run", "--bind", &bind, "--tmpfs", "/mnt/used", "--tmpfs", "/mnt/same", "--tmpfs", "/mnt/swapped/b"][..],
        &["--tmpfs", "/mnt/goes", "--ro-bind", "/etc/hostname:/mnt/file"],
        &["sh", "-c", "echo up; read never"],
    ];
    let mut running = Background::of(&mut with_runtime(&runtime, &arguments.concat()));
    assert_eq!(running.line(), "up");
    // The last of them is made anew until it has the number of the one that was there, as some file systems give it again.
    let number = fs::metadata(own.join("same")).unwrap().ino();
    fs::remove_dir(own.join("same")).unwrap();
    for _ in 0..100 {
        fs::create_dir(own.join("same")).unwrap();
        if fs::metadata(own.join("same")).unwrap().ino() == number {
            break;
        }
        fs::remove_dir(own.join("same")).unwrap();
    }
    let _ = fs::create_dir(own.join("same"));
    fs::rename(own.join("swapped"), own.join("moved")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), own.join("swapped")).unwrap();
    fs::write(own.join("file"), "theirs").unwrap();
    running.signal(Signal::KILL);
    running.wait();
    fs::write(own.join("used/file"), "theirs").unwrap();
    let gone = || {
        let _ = with_runtime(&runtime, &["gc"]).output().unwrap();
        !own.join("goes").exists()
    };
    assert!((0..100).any(|_| gone() || {
        std::thread::sleep(Duration::from_millis(20));
        false
    }));
    for stays in ["used/file", "same", "swapped", "moved/b", "file"] {
        assert!(own.join(stays).symlink_metadata().is_ok(), "{stays}: {:?}", own.listing());
    }
    assert!(elsewhere.join("b").exists());
    assert!(runtime.listing().is_empty(), "{:?}", runtime.listing());
}

#[test]
fn a_record_of_somebody_elses_is_not_believed() {
    let (own, runtime) = (open_directory("forged"), runtime_directory());
    own.directory("there");
    let (place, there) = (fs::metadata(own.path()).unwrap(), fs::metadata(own.join("there")).unwrap());
    let path = own.path().display();
    let head = format!("shared {} {} {path}\0", place.dev(), place.ino());
    let of = |name: &str| {
        let made = format!("made {} {} {} {} 0 0 {path}/{name}\0", place.dev(), place.ino(), there.dev(), there.ino());
        format!("{head}{made}")
    };
    // What everybody may write to is no place for records.
    let records = runtime.directory("seclude/mount-points");
    fs::write(records.join("0000000000000000"), of("there")).unwrap();
    if !is_root() {
        fs::set_permissions(runtime.join("seclude"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(with_runtime(&runtime, &["gc"]).status().unwrap().success());
        assert!(own.join("there").exists());
        // And by contrast.
        fs::set_permissions(runtime.join("seclude"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&records, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(with_runtime(&runtime, &["gc"]).status().unwrap().success());
        assert!(!own.join("there").exists());
        // Nonsense is passed over.
        let records = runtime.directory("seclude/mount-points");
        fs::write(records.join("x"), b"made 1 2\0\0\xff").unwrap();
        assert!(with_runtime(&runtime, &["run", "true"]).status().unwrap().success());
    } else {
        assert!(with_runtime(&runtime, &["gc"]).status().unwrap().success());
        assert!(own.join("there").exists(), "root's are below /run alone");
    }
}

#[test]
fn directories_and_symlinks_that_were_asked_for_go_as_well() {
    let own = open_directory("asked");
    let bind = bound(&own);
    let flags = ["--bind", &bind, "--dir", "/mnt/x/y", "--dir", "/mnt/full", "--symlink", "there:/mnt/l/link"];
    let look = ["sh", "-c", "ls -d /mnt/x/y; readlink /mnt/l/link; echo > /mnt/full/file"];
    let report = reported(&[&flags[..], &look].concat());
    assert_eq!(report["code"], 0);
    assert_eq!(own.listing(), [own.join("full"), own.join("full/file")]);
    assert_eq!(report["left_behind"], serde_json::json!(["mount point /mnt/full (not empty)"]));
    // One of the command's own in its place stays, and so does one that was there.
    fs::remove_dir_all(own.join("full")).unwrap();
    std::os::unix::fs::symlink("before", own.join("before")).unwrap();
    // (Later than the kernel's clock for files can tell.)
    let replace = ["sh", "-c", "sleep 0.05; rm /mnt/l/link; ln -s mine /mnt/l/link"];
    let report = reported(&[&flags[..], &replace].concat());
    assert_eq!(report["code"], 0);
    assert_eq!(own.listing(), [own.join("before"), own.join("l"), own.join("l/link")]);
}

/// As root of a mount namespace of its own: what lies at the place is shown a second time behind a file system that never answers.
const BEHIND_NOBODY: &str = r#"
cd "$D" && mkdir a b m b/place && mount -t tmpfs none b/place && mkdir m/sub && mount --bind . m/sub
python3 - <<'END' && echo passed
import ctypes, os, subprocess
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
assert libc.mount(b'nobody', b'm', b'fuse', 0, options) == 0, os.strerror(ctypes.get_errno())
command = [os.environ['S'], 'run', '--report', f'{os.getcwd()}/report', '--bind', f'{os.getcwd()}/a:/mnt', '--tmpfs', '/mnt/place', 'true']
assert subprocess.run(command, cwd='/usr', timeout=20).returncode == 0
assert subprocess.run([os.environ['S'], 'run', 'test', '-d', 'a'], cwd='.', timeout=20).returncode == 0
END
"#;

#[test]
fn no_server_that_never_answers_is_waited_for() {
    if !is_root() || fs::File::open("/dev/fuse").is_err() {
        println!("skipped: mounting FUSE takes root and /dev/fuse");
        return;
    }
    let own = open_directory("behind");
    let script = format!("export S D='{}'\n{BEHIND_NOBODY}", own.path().display());
    assert_eq!(host(&script), "passed");
    // Perhaps it is mounted on, so it stays.
    let report: Value = serde_json::from_str(&fs::read_to_string(own.join("report")).unwrap()).unwrap();
    assert!(report["left_behind"][0].as_str().unwrap().contains("something is mounted on it"), "{report}");
}
