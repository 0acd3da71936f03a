//! Files, directories and symlinks that are made; masks and read-only paths; the order of all.

use std::fs;
use std::io::Write;

use seclude::{Code, Mount, Root, Side};
use seclude_tests::{Scratch, busybox_root, said};

use super::{READ_ONLY, contained, in_root, says, try_to_write};

#[test]
fn a_file_has_the_bytes_and_the_mode_it_was_given() {
    let script = "cat /etc/made; stat -c ' %a %s' /etc/made /bin/made; /bin/made";
    let program = Mount::file("/bin/made", "#!/bin/sh\necho runs\n").mode(0o755);
    assert_eq!(says([Mount::file("/etc/made", "bytes"), program], script), "bytes 644 5\n 755 20\nruns");
    assert_eq!(says([], "test -e /etc/made || echo none"), "none");

    let all: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let root = busybox_root("all-bytes");
    let mut command = in_root(&root, "cat /etc/made");
    assert_eq!(command.mount(Mount::file("/etc/made", all.clone())).output().unwrap().stdout, all);
}

#[test]
fn a_file_comes_from_a_descriptor_or_a_pipe_as_well() {
    let scratch = Scratch::new("from-fd");
    let file = fs::File::open(scratch.file("source", "from a file")).unwrap();
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(b", from a pipe").unwrap();
    drop(write);
    let mounts = [Mount::file_from("/etc/a", file).unwrap(), Mount::file_from("/etc/b", read).unwrap()];
    assert_eq!(says(mounts, "cat /etc/a /etc/b"), "from a file, from a pipe");
}

#[test]
fn a_file_covers_the_roots_own_which_is_not_changed() {
    let root = busybox_root("covers");
    let own = root.file("etc/name", "own");
    let mut command = in_root(&root, "cat /etc/name; echo; echo changed > /etc/name; cat /etc/name");
    command.root(Root::directory(root.path()).read_only()).mount(Mount::file("/etc/name", "made"));
    assert_eq!(said(&command.output().unwrap()), "made\nchanged", "it can be written though the root cannot");
    assert_eq!(fs::read_to_string(own).unwrap(), "own");
    let write = try_to_write("/etc/name");
    let read_only = says([Mount::file("/etc/name", "made").read_only()], &write);
    assert!(read_only.contains(READ_ONLY), "{read_only}");
}

#[test]
fn a_directory_is_made_with_its_parents_and_one_that_exists_stays() {
    let script = "stat -c '%F %a' /a/b/c /a /tmp";
    let said = says([Mount::directory("/a/b/c").mode(0o710), Mount::directory("/tmp").mode(0o700)], script);
    assert_eq!(said, "directory 710\ndirectory 755\ndirectory 755");
}

#[test]
fn a_symlink_leads_where_it_was_said_to_and_does_not_replace_anything() {
    assert_eq!(says([Mount::symlink("/no/where", "/a/link")], "readlink /a/link"), "/no/where");
    let root = busybox_root("symlink");
    let error = in_root(&root, "true").mount(Mount::symlink("x", "/etc")).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("mount", Side::Child, Some("EEXIST")), "{error}");
    assert!(root.join("etc").is_dir());
}

#[test]
fn a_masked_file_is_empty_and_a_masked_directory_too() {
    let root = busybox_root("mask");
    let secret = root.file("etc/secret", "secret");
    let inner = root.file("usr/secrets/one", "secret");
    let script =
        "cat /etc/secret; echo gone > /etc/secret; cat /etc/secret; ls -A /usr/secrets; touch /usr/secrets/x 2>&1";
    let mut command = in_root(&root, &format!("{script} || true"));
    assert_eq!(said(&command.output().unwrap()), "secretgone\none", "without the mask");
    fs::write(&secret, "secret").unwrap();
    fs::remove_file(root.join("usr/secrets/x")).unwrap();
    command.mount(Mount::mask("/etc/secret")).mount(Mount::mask("/usr/secrets"));
    let masked = said(&command.output().unwrap());
    assert_eq!(masked.lines().count(), 1, "{masked}");
    assert!(masked.contains(READ_ONLY), "{masked}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::read_to_string(&inner).unwrap(), "secret");
}

#[test]
fn a_read_only_path_answers_erofs_below_it_and_nowhere_else() {
    let script = [try_to_write("/etc/file"), try_to_write("/etc/new"), try_to_write("/tmp/file")].join(";");
    let root = busybox_root("read-only-path");
    root.file("etc/file", "");
    let mut command = in_root(&root, &script);
    assert_eq!(said(&command.output().unwrap()), "");
    command.mount(Mount::read_only_path("/etc"));
    assert_eq!(said(&command.output().unwrap()).matches(READ_ONLY).count(), 2);
    let mut file_only = in_root(&root, &script);
    file_only.mount(Mount::read_only_path("/etc/file"));
    assert_eq!(said(&file_only.output().unwrap()).matches(READ_ONLY).count(), 1);
}

#[test]
fn a_path_to_hide_that_is_missing_is_an_error_unless_it_may_be() {
    for mount in [Mount::mask("/etc/missing"), Mount::read_only_path("/etc/missing")] {
        let root = busybox_root("hide-missing");
        let before = root.listing();
        let error = in_root(&root, "true").mount(mount.clone()).spawn().unwrap_err();
        assert_eq!((error.step(), error.side(), error.errno_name()), ("mount", Side::Child, Some("ENOENT")), "{error}");
        // What comes after one that is passed over is done.
        let mut command = in_root(&root, "cat /mnt/after; test -e /etc/missing || echo none");
        command.mount(mount.if_present()).mount(Mount::file("/mnt/after", "after "));
        assert_eq!(said(&command.output().unwrap()), "after none");
        assert_eq!(root.listing(), before, "the target of the file has gone again");
    }
}

#[test]
fn mounts_are_made_in_the_order_they_were_given() {
    let file = Mount::file("/mnt/file", "seen");
    let script = "cat /mnt/file 2>&1 || true";
    assert_eq!(says([Mount::tmpfs("/mnt"), file.clone()], script), "seen");
    let hidden = says([file.clone(), Mount::tmpfs("/mnt")], script);
    assert!(hidden.contains("No such file"), "{hidden}");
    let twice = says([file, Mount::file("/mnt/file", "the later one")], script);
    assert_eq!(twice, "the later one");
    let masked = says([Mount::tmpfs("/mnt"), Mount::directory("/mnt/a/b"), Mount::mask("/mnt/a")], "ls /mnt/a");
    assert_eq!(masked, "");
}

#[test]
fn the_root_itself_is_no_target() {
    for mount in [
        Mount::bind("/usr", "/"),
        Mount::tmpfs("/"),
        Mount::file("/", ""),
        Mount::mask("/"),
        Mount::tmpfs("/./"),
        Mount::symlink("x", "/"),
    ] {
        let error = contained("true").mount(mount).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "mount", Side::Plan), "{error}");
    }
}

#[test]
fn what_is_made_leaves_nothing_in_the_host_but_what_the_command_has_put_there() {
    let root = busybox_root("leaves");
    let before = root.listing();
    let mut command = in_root(&root, "test -L /etc/link && echo text > /etc/asked/for/file");
    command.mount(Mount::file("/mnt/new", "content")).mount(Mount::tmpfs("/etc/deep/er")).mount(Mount::dev("/dev"));
    command.mount(Mount::directory("/etc/asked/for")).mount(Mount::directory("/etc/empty"));
    command.mount(Mount::symlink("x", "/etc/link"));
    assert!(command.status().unwrap().success());
    let after: Vec<_> = root.listing().into_iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(after, ["etc/asked", "etc/asked/for", "etc/asked/for/file"].map(|path| root.join(path)));
}
