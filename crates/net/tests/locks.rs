//! Files in /run: nobody else sees them, and what somebody holds nevertheless is not waited for without end.

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::*;
use seclude_net::{Error, Request, Veth, sweep};

fn request() -> Request {
    let mut request = Request::default();
    (request.nat, request.peers) = (false, true);
    request
}

/// Somebody who holds something until it is dropped.
struct Holder(Child);

impl Holder {
    fn new(statement: &str) -> Holder {
        let script = format!("import fcntl,os,sys\n{statement}\nprint('held', flush=True)\nsys.stdin.read()");
        let mut child = Command::new("python3");
        child.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n", "{statement}");
        Holder(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn namespace() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

/// All that a start does with those files.
fn start() -> Result<Veth, Error> {
    let veth = Veth::prepare(&request())?;
    veth.hosts(Some("one"), &[])?;
    Ok(veth)
}

#[test]
fn what_somebody_holds_is_waited_for_a_while_and_then_named() {
    root_only!();
    let file = "os.makedirs('/run/seclude',0o700,True); f=os.open('/run/seclude/net.lock',os.O_RDWR|os.O_CREAT,0o600)";
    let whole = "fcntl.flock(f,fcntl.LOCK_EX)";
    let bytes = "fcntl.lockf(f,fcntl.LOCK_EX,1<<62)";
    let lease =
        "fcntl.fcntl(f,fcntl.F_SETLEASE,fcntl.F_WRLCK); import signal; signal.signal(signal.SIGIO,signal.SIG_IGN)";
    let names = "d='/run/seclude/net/%d-seclude0'%os.stat('/proc/self/ns/net').st_ino; os.makedirs(d,0o700,True); \
                 fcntl.flock(os.open(d,os.O_RDONLY),fcntl.LOCK_EX)";
    let waits = [
        (format!("{file}; {whole}"), "/run/seclude/net.lock", "flock"),
        (format!("{file}; {bytes}"), "/run/seclude/net.lock", "fcntl"),
        (format!("{file}; {lease}"), "/run/seclude/net.lock", "openat"),
        (names.to_owned(), "/run/seclude/net/", "flock"),
    ]
    .map(|(statement, path, call)| {
        std::thread::spawn(move || {
            Space::host().run(move || {
                let holder = Holder::new(&statement);
                let begun = Instant::now();
                let error = start().unwrap_err();
                let waited = begun.elapsed();
                assert!(Duration::from_secs(9) < waited && waited < Duration::from_secs(25), "{call}: {waited:?}");
                assert!(matches!(error, Error::Held { .. }), "{error}");
                assert!(error.to_string().starts_with(path) && error.call() == Some(call), "{error}");
                assert_eq!(error.errno(), Some(rustix::io::Errno::TIMEDOUT.raw_os_error()));
                assert!(error.hint().unwrap().contains("lslocks"));
                let begun = Instant::now();
                let _ = sweep();
                assert!(begun.elapsed() < Duration::from_secs(12), "{call}: a sweep took {:?}", begun.elapsed());
                // The same, as soon as it is free.
                drop(holder);
                drop(start().unwrap());
            });
        })
    });
    waits.into_iter().for_each(|wait| wait.join().unwrap());
}

#[test]
fn a_lease_on_its_own_hosts_file_holds_nobody_up() {
    root_only!();
    Space::host().run(|| {
        let (one, space) = (Veth::prepare(&request()).unwrap(), Space::container());
        let file = one.hosts(Some("one"), &[]).unwrap();
        join(&one, &space);
        let holder = Holder::new(&format!(
            "import signal; signal.signal(signal.SIGIO,signal.SIG_IGN); f=os.open('{}',os.O_RDONLY); \
             fcntl.fcntl(f,fcntl.F_SETLEASE,fcntl.F_RDLCK)",
            file.path.display()
        ));
        let begun = Instant::now();
        let (two, other) = (Veth::prepare(&request()).unwrap(), Space::container());
        two.hosts(Some("two"), &[]).unwrap();
        join(&two, &other);
        two.disconnect().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "a lease is broken after 45: {:?}", begun.elapsed());
        drop(holder);
    });
}

fn mode(path: &str) -> u32 {
    std::fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{path}: {error}")).mode() & 0o777
}

#[test]
fn nobody_else_sees_the_files_and_what_an_older_version_left_open_is_closed() {
    root_only!();
    Space::host().run(|| {
        let names = format!("/run/seclude/net/{}-seclude0", namespace());
        let as_somebody = |path: &str| {
            let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
            let mut command = Command::new("setpriv");
            command.args(user).args(["flock", "--shared", "--nonblock", path, "true"]);
            command.stderr(Stdio::null()).status().unwrap().success()
        };
        for was_there in [true, false] {
            if was_there {
                std::fs::create_dir_all(&names).unwrap();
                for directory in ["/run/seclude", "/run/seclude/net", &names] {
                    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
                    assert!(as_somebody(directory), "{directory}");
                }
            }
            let veth = start().unwrap();
            for directory in ["/run/seclude", "/run/seclude/net", &names] {
                assert_eq!(mode(directory), 0o700, "{directory}");
                assert!(!as_somebody(directory), "{directory}");
            }
            assert_eq!(mode("/run/seclude/net.lock"), 0o600);
            let own = format!("{names}/{}", veth.link());
            // The container's users read this one, where it is mounted.
            assert_eq!((mode(&own), mode(&format!("{own}.peer"))), (0o644, 0o600));
            assert!(!as_somebody(&format!("{own}.peer")) && !as_somebody("/run/seclude/net.lock"));
            drop(veth);
            assert_eq!(leftovers(), "");
        }
    });
}

#[test]
fn a_hosts_file_is_given_as_a_descriptor_too() {
    root_only!();
    Space::host().run(|| {
        let veth = Veth::prepare(&request()).unwrap();
        let hosts = veth.hosts(Some("one"), &[]).unwrap();
        let by_path = std::fs::metadata(&hosts.path).unwrap();
        let by_descriptor = rustix::fs::fstat(&hosts.file).unwrap();
        assert_eq!((by_path.dev(), by_path.ino()), (by_descriptor.st_dev, by_descriptor.st_ino));
        assert!(rustix::io::read(&hosts.file, &mut [0; 1]).is_err(), "O_PATH");
    });
}

#[test]
fn what_is_not_roots_is_not_used() {
    root_only!();
    Space::host().run(|| {
        let refused = |told: &str| {
            let error = start().unwrap_err();
            assert!(matches!(error, Error::NotOurs { .. }) && error.hint().is_some(), "{error}");
            assert_eq!(error.to_string(), told);
        };
        std::fs::create_dir("/run/elsewhere").unwrap();
        std::os::unix::fs::symlink("/run/elsewhere", "/run/seclude").unwrap();
        refused("/run/seclude: it is no directory");
        assert_eq!(std::fs::read_dir("/run/elsewhere").unwrap().count(), 0);
        assert_ne!(mode("/run/elsewhere"), 0o700);
        std::fs::remove_file("/run/seclude").unwrap();

        std::fs::write("/run/seclude", "").unwrap();
        refused("/run/seclude: it is no directory");
        std::fs::remove_file("/run/seclude").unwrap();

        std::fs::create_dir("/run/seclude").unwrap();
        std::os::unix::fs::chown("/run/seclude", Some(65534), None).unwrap();
        refused("/run/seclude: it belongs to the user 65534");
        std::os::unix::fs::chown("/run/seclude", Some(0), None).unwrap();

        assert_eq!(look("mkfifo", &["/run/seclude/net.lock"]), "");
        refused("/run/seclude/net.lock: it is no regular file");
        std::fs::remove_file("/run/seclude/net.lock").unwrap();

        std::fs::write("/run/elsewhere/file", "").unwrap();
        std::os::unix::fs::symlink("/run/elsewhere/file", "/run/seclude/net.lock").unwrap();
        let error = start().unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::LOOP.raw_os_error()), "{error}");
        std::fs::remove_file("/run/seclude/net.lock").unwrap();

        std::os::unix::fs::symlink("/run/elsewhere", "/run/seclude/net").unwrap();
        refused("/run/seclude/net: it is no directory");
        std::fs::remove_file("/run/seclude/net").unwrap();
        drop(start().unwrap());
        assert_eq!(leftovers(), "");
    });
}
