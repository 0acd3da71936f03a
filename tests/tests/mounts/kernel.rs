//! File systems of the kernel: tmpfs, proc, sysfs, mqueue.

use seclude::{Code, Command, Mount, Namespace, Side};
use seclude_tests::{Scratch, said};

use super::{READ_ONLY, contained, says, try_to_write};

#[test]
fn a_tmpfs_takes_its_size_and_then_there_is_no_space() {
    let script = "dd if=/dev/zero of=/mnt/file bs=64k count=32 2>&1; stat -c %s /mnt/file";
    let dev = Mount::dev("/dev");
    let small = says([dev.clone(), Mount::tmpfs("/mnt").size(1 << 20)], script);
    assert!(small.contains("No space left on device"), "{small}");
    assert!(small.ends_with(&(1 << 20).to_string()), "{small}");
    let large = says([dev, Mount::tmpfs("/mnt").size(4 << 20)], script);
    assert!(large.ends_with(&(2 << 20).to_string()), "{large}");
}

#[test]
fn a_tmpfs_is_empty_and_has_its_mode_and_flags() {
    let scratch = Scratch::new("covered");
    scratch.file("covered", "");
    let options = "ls -A /mnt; stat -c %a /mnt; grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f6 | tail -n1";
    let over = |tmpfs: Mount| says([Mount::bind(scratch.path(), "/mnt"), tmpfs], options);
    assert_eq!(over(Mount::tmpfs("/mnt")), "1777\nrw,nosuid,nodev,relatime");
    assert_eq!(over(Mount::tmpfs("/mnt").mode(0o750)), "750\nrw,nosuid,nodev,relatime");
    assert_eq!(over(Mount::tmpfs("/mnt").noexec()), "1777\nrw,nosuid,nodev,noexec,relatime");
    let read_only = says([Mount::tmpfs("/mnt").read_only()], &try_to_write("/mnt/file"));
    assert!(read_only.contains(READ_ONLY), "{read_only}");
    assert_eq!(says([Mount::tmpfs("/mnt")], &try_to_write("/mnt/file")), "");
}

#[test]
fn a_tmpfs_is_gone_with_its_container() {
    let script = "test ! -e /mnt/file && touch /mnt/file && test -e /mnt/file && echo made";
    for _ in 0..2 {
        assert_eq!(says([Mount::tmpfs("/mnt")], script), "made");
    }
}

#[test]
fn sizes_and_modes_that_cannot_be_are_refused() {
    for mount in [Mount::tmpfs("/mnt").size(0), Mount::tmpfs("/mnt").mode(0o10000)] {
        let error = contained("true").mount(mount).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "mount", Side::Plan), "{error}");
    }
}

#[test]
fn proc_is_that_of_the_pid_namespace_and_its_flags_are_strict() {
    let script = "cat /proc/1/comm; grep ' /proc ' /proc/self/mountinfo | cut -d' ' -f6";
    assert_eq!(says([Mount::proc("/proc")], script), "sh\nrw,nosuid,nodev,noexec,relatime");
    assert_eq!(says([], script), "sh\nrw,nosuid,nodev,noexec,relatime", "and it is added where it was not named");
    let write = try_to_write("/proc/self/comm");
    assert_eq!(says([Mount::proc("/proc")], &write), "");
    let read_only = says([Mount::proc("/proc").read_only()], &write);
    assert!(read_only.contains(READ_ONLY), "{read_only}");
}

#[test]
fn sysfs_shows_the_new_network_and_its_flags_are_strict() {
    let script = "test -e /sys/class/net/lo && ls -d /sys/class/net/e* 2>/dev/null;
        tail -n 1 /proc/self/mountinfo | cut -d' ' -f5- | grep '^/sys ' | cut -d' ' -f2,4";
    assert_eq!(says([Mount::sysfs("/sys").writable()], script), "rw,nosuid,nodev,noexec,relatime sysfs");
    assert_eq!(says([Mount::sysfs("/sys")], script), "ro,nosuid,nodev,noexec,relatime sysfs");
    let write = try_to_write("/sys/new");
    let writable = says([Mount::sysfs("/sys").writable()], &write);
    assert!(!writable.contains(READ_ONLY), "{writable}");
    for read_only in [Mount::sysfs("/sys"), Mount::sysfs("/sys").read_only()] {
        let read_only = says([read_only], &write);
        assert!(read_only.contains(READ_ONLY), "{read_only}");
    }
}

#[test]
fn mqueue_has_the_queues_of_the_new_ipc_namespace_only() {
    let script = "ls /mnt; : > /mnt/queue && cat /mnt/queue | cut -d' ' -f1";
    for _ in 0..2 {
        assert_eq!(says([Mount::mqueue("/mnt")], script), "QSIZE:0", "no queue is there before");
    }
}

#[test]
fn a_view_without_the_namespace_that_it_shows_is_refused() {
    let needs = |mount: Mount, kind: Namespace| {
        let mut command = Command::new("/bin/true");
        let error = command.unshare(Namespace::User).unshare(Namespace::Mount).mount(mount).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "mount", Side::Plan), "{error}");
        assert!(error.to_string().contains(&format!("a new {kind} namespace")), "{error}");
    };
    needs(Mount::proc("/proc"), Namespace::Pid);
    needs(Mount::sysfs("/sys"), Namespace::Net);
    needs(Mount::mqueue("/mnt"), Namespace::Ipc);
}

#[test]
fn the_preset_hides_what_of_proc_root_could_use_against_the_host() {
    let probe = "test $(wc -c < /proc/interrupts) -gt 0 && echo shown;
        for file in /proc/sys/kernel/hostname /proc/sys/vm/overcommit_memory; do (echo x > $file) 2>&1; done; true";
    let mut command = seclude_tests::shell(probe);
    for kind in [Namespace::User, Namespace::Mount, Namespace::Pid, Namespace::Uts] {
        command.unshare(kind);
    }
    // Not the writes themselves: without the preset they would reach the host, if root makes them.
    let mut plain = seclude_tests::shell("test $(wc -c < /proc/interrupts) -gt 0 && echo shown");
    assert_eq!(said(&plain.unshare(Namespace::User).output().unwrap()), "shown");
    let inside = said(&command.sandbox().current_dir("/").output().unwrap());
    assert!(!inside.contains("shown"), "{inside}");
    assert_eq!(inside.matches(READ_ONLY).count(), 2, "{inside}");
}
