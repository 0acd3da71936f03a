//! The minimal /dev and devpts.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use seclude::{Mount, Side};
use seclude_tests::{Scratch, busybox_root, helper_inside, tell, told_inside};

use super::{add, in_root, says};

#[test]
fn a_minimal_dev_has_these_entries_and_no_other() {
    let script = "cd /dev; echo *; for link in ptmx fd stdin stdout stderr; do readlink $link; done; ls pts; ls -A shm";
    assert_eq!(
        says([Mount::dev("/dev")], script),
        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero\n\
         pts/ptmx\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\nptmx"
    );
    assert_eq!(says([], "cd /dev; echo *"), "*", "the root's own is empty");
}

#[test]
fn the_nodes_have_the_numbers_of_their_names() {
    let script = "cd /dev; stat -c '%F %t:%T' null zero full random urandom tty | sed 's/character special file //'";
    assert_eq!(says([Mount::dev("/dev")], script), "1:3\n1:5\n1:7\n1:8\n1:9\n5:0");
}

#[test]
fn every_node_works() {
    let script = "echo swallowed > /dev/null; wc -c < /dev/null
        head -c 3 /dev/zero | hexdump -v -e '/1 \"%02x\"'; echo
        (echo x > /dev/full) 2>&1
        head -c 8 /dev/random | wc -c
        head -c 8 /dev/urandom | wc -c
        (: < /dev/tty) 2>&1
        echo x > /dev/shm/file && cat /dev/shm/file
        echo through > /dev/stdout
        echo in | cat /dev/stdin
        ls /dev/fd/ | head -n 3";
    let root = busybox_root("nodes");
    let mut command = in_root(&root, script);
    let output = command.mount(Mount::dev("/dev")).new_session(true).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "0", "{output:?}");
    assert_eq!(lines[1], "000000");
    assert!(lines[2].ends_with("No space left on device"), "{said}");
    assert_eq!(lines[3..5], ["8", "8"]);
    assert!(lines[5].ends_with("No such device or address"), "a session of its own has no terminal: {said}");
    assert_eq!(lines[6..9], ["x", "through", "in"]);
    assert_eq!(lines[9..], ["0", "1", "2"]);
}

/// The role of a process with a minimal /dev.
pub(crate) fn open_a_pseudoterminal() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let mut slave = std::fs::File::options().read(true).write(true).open(&name).unwrap();
    slave.write_all(b"through\n").unwrap();
    let mut read = [0; 8];
    std::fs::File::from(master).read_exact(&mut read).unwrap();
    assert_eq!(&read, b"through\r");
    tell(name);
}

#[test]
fn ptmx_opens_pseudoterminals_of_the_container_alone() {
    let mut command = helper_inside("pty");
    for kind in [seclude::Namespace::User, seclude::Namespace::Mount] {
        command.unshare(kind);
    }
    command.mount(Mount::dev("/dev"));
    // A terminal of the host's is open meanwhile: a devpts that is not its own would not begin at 0 again.
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    for _ in 0..2 {
        assert_eq!(told_inside(&command.output().unwrap()), ["/dev/pts/0"]);
    }
    drop(master);
}

#[test]
fn devpts_alone_is_empty_but_for_a_ptmx_that_anybody_may_open() {
    assert_eq!(says([Mount::devpts("/mnt")], "ls /mnt; stat -c %a /mnt/ptmx"), "ptmx\n666");
    assert_eq!(says([], "ls /mnt"), "");
}

#[test]
fn dev_can_be_had_elsewhere() {
    assert_eq!(says([Mount::dev("/mnt/dev")], "stat -c %t:%T /mnt/dev/null"), "1:3");
}

#[test]
fn a_dev_or_proc_that_is_a_symlink_is_refused_and_nothing_is_made_where_it_leads() {
    let sentinel = Scratch::new("dev-sentinel");
    let root = busybox_root("dev-link");
    for mount in [Mount::dev("/dev"), Mount::devpts("/dev"), Mount::proc("/proc"), Mount::sysfs("/sys")] {
        let link = root.join(mount.target().strip_prefix("/").unwrap());
        if link.exists() {
            std::fs::remove_dir(&link).unwrap();
        }
        for target in ["/tmp".to_owned(), "tmp".to_owned(), sentinel.path().display().to_string()] {
            symlink(&target, &link).unwrap();
            let mut command = in_root(&root, "true");
            let error = add(command.mount(Mount::proc("/mnt")), mount.clone()).spawn().unwrap_err();
            assert_eq!(
                (error.step(), error.side(), error.errno_name()),
                ("mount", Side::Child, Some("ELOOP")),
                "{error}"
            );
            assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
            assert!(sentinel.listing().is_empty());
            std::fs::remove_file(&link).unwrap();
        }
    }
}
