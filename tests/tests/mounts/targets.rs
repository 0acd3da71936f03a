//! Where targets are made, and where they cannot lead.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use seclude::{Code, Mount, Overlay, Root, Side};
use seclude_tests::{Scratch, busybox_root, has_overlays, said};

use super::{add, contained, in_root};

const KINDS: usize = 14;
/// Of the race: each tries every kind of mount at two depths.
const ROUNDS: usize = 8;

/// One of every kind that has a target.
fn one_of_each(target: &str) -> [Mount; KINDS] {
    [
        Mount::bind("/usr/share", target),
        Mount::bind("/etc/passwd", target),
        Mount::tmpfs(target),
        Mount::overlay(Overlay::new(["/usr/share", "/usr/lib"]), target),
        Mount::proc(target),
        Mount::sysfs(target),
        Mount::mqueue(target),
        Mount::devpts(target),
        Mount::dev(target),
        Mount::file(target, "content"),
        Mount::directory(target),
        Mount::symlink("/somewhere", target),
        Mount::mask(target),
        Mount::read_only_path(target),
    ]
}

#[test]
fn a_missing_target_is_made_in_a_writable_root_and_in_an_overlay() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("made");
    // The last two hide what is there, and make nothing.
    for index in 0..KINDS - 2 {
        let target = format!("/not{index}/there/yet");
        let mount = one_of_each(&target)[index].clone();
        let before = root.listing();
        let overlay = Root::overlay(Overlay::new([root.path()]).ephemeral());
        let mut command = in_root(&root, &format!("test -e {target} || test -L {target} && echo there"));
        add(&mut command, mount.clone()).root(overlay);
        assert_eq!(said(&command.output().unwrap()), "there", "{mount:?}");
        assert_eq!(root.listing(), before, "the overlay took it: {mount:?}");
        command.root(Root::directory(root.path()));
        assert_eq!(said(&command.output().unwrap()), "there", "{mount:?}");
        assert!(root.join(format!("not{index}/there")).is_dir(), "{mount:?}");
    }
}

#[test]
fn a_missing_target_in_a_read_only_root_is_an_error_and_nothing_is_made() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("read-only-target");
    let before = root.listing();
    for target in ["/not/there/yet", "/mnt/new"] {
        for mount in one_of_each(target) {
            let mut command = in_root(&root, "true");
            let error = add(command.root(Root::directory(root.path()).read_only()), mount).spawn().unwrap_err();
            assert_eq!((error.code(), error.step(), error.side()), (Code::Refused, "mount", Side::Child), "{error}");
            assert!(matches!(error.errno_name(), Some("EROFS" | "ENOENT")), "{error}");
            assert!(error.to_string().contains(target) || error.to_string().contains("/not/there"), "{error}");
            assert_eq!(root.listing(), before);
        }
    }
}

#[test]
fn a_target_with_two_dots_or_without_a_slash_is_refused() {
    for target in ["/mnt/../../etc", "/..", "/mnt/..", "mnt", "", "./mnt"] {
        for mount in one_of_each(target) {
            let error = add(&mut contained("true"), mount).spawn().unwrap_err();
            assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "mount", Side::Plan), "{error}");
        }
    }
}

#[test]
fn a_target_through_a_symlink_that_leaves_the_root_is_refused() {
    if !has_overlays() {
        return;
    }
    let sentinel = Scratch::new("sentinel");
    let kept = sentinel.file("kept", "as it was");
    let root = busybox_root("escape");
    symlink(sentinel.path(), root.join("absolute")).unwrap();
    let climbing = format!("../../../../../../../..{}", sentinel.path().display());
    symlink(&climbing, root.join("relative")).unwrap();
    symlink("../..", root.join("mnt/up")).unwrap();
    symlink("absolute", root.join("chain")).unwrap();
    for place in ["/absolute", "/relative", "/mnt/up", "/chain", "/mnt/up/tmp"] {
        for target in [place.to_owned(), format!("{place}/new"), format!("{place}/new/er")] {
            for mount in one_of_each(&target) {
                // A symlink is made at the link's own place: there it is in the way.
                let error = add(&mut in_root(&root, "true"), mount.clone()).spawn().unwrap_err();
                assert_eq!(
                    (error.code(), error.step(), error.side()),
                    (Code::Refused, "mount", Side::Child),
                    "{error}"
                );
                let expected = ["EXDEV", "ELOOP", "EEXIST"];
                assert!(error.errno_name().is_some_and(|name| expected.contains(&name)), "{mount:?}: {error}");
            }
        }
    }
    assert_eq!(sentinel.listing(), std::slice::from_ref(&kept));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "as it was");
}

#[test]
fn a_symlink_that_stays_in_the_root_is_followed() {
    let root = busybox_root("stays");
    symlink("mnt", root.join("link")).unwrap();
    let mut command = in_root(&root, "cat /mnt/new/file");
    command.mount(Mount::file("/link/new/file", "through the link"));
    assert_eq!(said(&command.output().unwrap()), "through the link");
}

#[test]
fn a_target_swapped_for_a_symlink_meanwhile_never_leads_out() {
    if !has_overlays() {
        return;
    }
    let sentinel = Scratch::new("race-sentinel");
    sentinel.directory("deep");
    let before = sentinel.listing();
    let root = busybox_root("race");
    let (real, link) = (root.directory("place"), root.join("swapped"));
    root.directory("place/deep");
    symlink(sentinel.path(), &link).unwrap();
    let (stop, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let expected = ["EXDEV", "ELOOP", "ENOENT", "ENOTDIR", "EAGAIN", "EEXIST"];
    let (mut done, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..ROUNDS {
            for index in 0..KINDS * 2 {
                let directory = if index < KINDS { "/place" } else { "/place/deep" };
                // A target of its own: what one has made is of no use to another kind.
                let mount = one_of_each(&format!("{directory}/new{round}-{index}"))[index % KINDS].clone();
                let mut command = in_root(&root, "true");
                match add(&mut command, mount.clone()).spawn() {
                    Ok(mut child) => {
                        child.wait().unwrap();
                        done += 1;
                    }
                    Err(error) => {
                        let known = error.errno_name().is_some_and(|name| expected.contains(&name));
                        if !known {
                            stop.store(true, Ordering::Relaxed);
                            panic!("{round}: {mount:?}: {error}");
                        }
                        refused += 1;
                    }
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(sentinel.listing(), before);
    assert!(swaps.into_inner() > 100, "the racer ran");
    assert!(done > 0 && refused > 0, "{done} done, {refused} refused: both sides of the race were seen");
}
