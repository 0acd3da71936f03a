//! Files and directories of the host inside.

use std::fs;
use std::path::Path;

use seclude::{Code, Command, Mount, Namespace, Side};
use seclude_tests::{Scratch, busybox, helper_inside, root_only, said, tell, told_inside};

use super::{READ_ONLY, contained, in_root, says, try_to_write};

/// Below /dev, where tests may write, is a mount: /dev/shm.
fn below_dev(name: &str) -> (Scratch, String) {
    let scratch = Scratch::new(name);
    let name = scratch.path().file_name().unwrap().to_str().unwrap().to_owned();
    (scratch, name)
}

#[test]
fn a_directory_and_a_file_of_the_host_are_there_under_their_new_names() {
    let scratch = Scratch::new("bind");
    let file = scratch.file("directory/file", "of the host");
    let script = "cat /mnt/file; cat /etc/single; ls /mnt";
    let mounts = [Mount::bind(scratch.join("directory"), "/mnt"), Mount::bind(&file, "/etc/single")];
    assert_eq!(says(mounts, script), "of the hostof the hostfile");
    assert_eq!(says([], "ls /mnt; test -e /etc/single || echo none"), "none");
}

#[test]
fn what_is_written_to_a_bind_is_written_to_the_host_unless_it_is_read_only() {
    let scratch = Scratch::new("bind-write");
    let file = scratch.file("file", "");
    let script = [try_to_write("/mnt/file"), try_to_write("/mnt/new"), try_to_write("/etc/single")].join(";");
    let said =
        says([Mount::bind(scratch.path(), "/mnt").read_only(), Mount::bind(&file, "/etc/single").read_only()], &script);
    assert_eq!(said.matches(READ_ONLY).count(), 3, "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");

    assert_eq!(says([Mount::bind(scratch.path(), "/mnt"), Mount::bind(&file, "/etc/single")], &script), "");
    assert_eq!(fs::read_to_string(&file).unwrap(), "x\nx\n");
    assert_eq!(scratch.listing().len(), 2);
}

#[test]
fn a_bind_has_what_is_mounted_below_its_source_and_read_only_goes_down_to_it() {
    let (_scratch, name) = below_dev("below");
    let script = format!("mkdir /mnt/shm/{name} 2>&1; stat -c %d /mnt /mnt/shm");
    let writable = says([Mount::bind("/dev", "/mnt")], &script);
    fs::remove_dir(format!("/dev/shm/{name}")).unwrap();
    let devices: Vec<_> = writable.lines().collect();
    assert_ne!(devices[0], devices[1], "/dev/shm is a mount of its own: {writable}");
    let read_only = says([Mount::bind("/dev", "/mnt").read_only()], &script);
    assert!(read_only.contains(READ_ONLY), "{read_only}");
    assert!(!Path::new("/dev/shm").join(&name).exists());
}

#[test]
fn a_bind_can_be_had_without_the_mounts_below_but_not_in_a_user_namespace_where_they_hide_something() {
    let (_scratch, name) = below_dev("not-recursive");
    let mut in_user_namespace = contained("true");
    let error = in_user_namespace.mount(Mount::bind("/dev", "/mnt").not_recursive()).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("mount", Side::Child, Some("EINVAL")), "{error}");
    assert!(error.advice().unwrap().contains("without the mounts below"), "{error}");

    root_only!();
    let file = Path::new("/dev/shm").join(name);
    fs::write(&file, "").unwrap();
    let has = |mount: Mount| {
        let mut command = Command::new("/bin/test");
        command.arg("-e").arg(Path::new("/mnt/shm").join(file.file_name().unwrap()));
        command.unshare(Namespace::Mount).mount(mount).status().unwrap().success()
    };
    let (with, without) = (has(Mount::bind("/dev", "/mnt")), has(Mount::bind("/dev", "/mnt").not_recursive()));
    fs::remove_file(&file).unwrap();
    assert!(with && !without);
}

#[test]
fn the_flags_of_a_bind_are_enforced() {
    let scratch = Scratch::new("bind-flags");
    let copied = std::process::Command::new("/bin/cp").arg(busybox()).arg(scratch.join("busybox")).status().unwrap();
    assert!(copied.success());
    let script = "/mnt/busybox echo runs 2>&1; grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f6";
    let plain = says([Mount::bind(scratch.path(), "/mnt")], script);
    assert!(plain.starts_with("runs\n"), "{plain}");
    assert!(!plain.contains("nosuid") && !plain.contains("nodev"), "{plain}");
    let strict = says([Mount::bind(scratch.path(), "/mnt").noexec().nosuid().nodev()], script);
    assert!(strict.contains("Permission denied"), "{strict}");
    assert!(strict.contains("nosuid") && strict.contains("nodev") && strict.contains("noexec"), "{strict}");
}

/// The role of a container that has a strict mount: a bind of it, in a user namespace below.
pub(crate) fn bind_what_is_locked(strict: &Path) {
    let script = "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f6";
    for read_only in [false, true] {
        let mount = Mount::bind(strict, "/mnt");
        let mut command = contained(script);
        command.mount(if read_only { mount.read_only() } else { mount });
        tell(said(&command.output().unwrap()));
    }
}

#[test]
fn a_read_only_bind_keeps_the_locked_flags_of_its_source() {
    let scratch = Scratch::new("locked");
    let mut outer = helper_inside(scratch.path().to_str().unwrap());
    outer.unshare(Namespace::User).unshare(Namespace::Mount).mount(Mount::tmpfs(scratch.path()).noexec());
    let told = told_inside(&outer.output().unwrap());
    for (options, access) in told.iter().zip(["rw", "ro"]) {
        let options: Vec<_> = options.split(',').collect();
        for option in [access, "nosuid", "nodev", "noexec"] {
            assert!(options.contains(&option), "{option} in {options:?}");
        }
    }
    assert_eq!(told.len(), 2);
}

#[test]
fn a_source_is_the_hosts_also_where_something_was_mounted_over_it_inside() {
    let scratch = Scratch::new("source");
    scratch.file("file", "of the host");
    let mut command = contained(&format!("ls {}; cat /mnt/file", scratch.path().display()));
    command.mount(Mount::tmpfs(scratch.path())).mount(Mount::bind(scratch.path(), "/mnt"));
    assert_eq!(said(&command.output().unwrap()), "of the host");
}

#[test]
fn a_bind_of_the_hosts_root_shows_the_host_and_not_the_containers_own_tree() {
    let scratch = Scratch::new("of-root");
    let file = scratch.file("file", "");
    let inside = Path::new("/mnt").join(file.strip_prefix("/").unwrap());
    let write = try_to_write(inside.to_str().unwrap());
    for source in ["/", "/proc/self/root"] {
        let said = says([Mount::bind(source, "/mnt").read_only(), Mount::file("/scratch", "")], &write);
        assert!(said.contains(READ_ONLY), "{source}: {said}");
        assert_eq!(says([Mount::bind(source, "/mnt"), Mount::file("/scratch", "")], &write), "");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "x\nx\n");
}

#[test]
fn a_missing_source_is_an_error_of_the_parent_that_names_it() {
    let root = seclude_tests::busybox_root("missing-source");
    let before = root.listing();
    let mut command = in_root(&root, "true");
    let error = command.mount(Mount::bind("/no/such/source", "/new/target")).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("mount", Side::Parent, Some("ENOENT")), "{error}");
    assert!(error.to_string().contains("/no/such/source"), "{error}");
    assert_eq!(root.listing(), before);
}

#[test]
fn a_directory_is_not_bound_on_a_file_nor_a_file_on_a_directory() {
    let scratch = Scratch::new("mixed");
    let file = scratch.file("file", "");
    let root = seclude_tests::busybox_root("mixed-root");
    root.file("etc/file", "");
    for mount in [Mount::bind(scratch.path(), "/etc/file"), Mount::bind(&file, "/etc")] {
        let error = in_root(&root, "true").mount(mount).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Refused, "mount", Side::Child), "{error}");
        assert!(error.advice().is_some_and(|advice| advice.contains("directory")), "{error}");
    }
}
