//! Where targets are made, and where they cannot lead.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use seclude::{Code, Dns, Mount, Namespace, Overlay, Root, Side};
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
        assert!(!root.join(format!("not{index}")).exists(), "{mount:?}");
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
fn a_symlink_in_a_target_never_leads_out_of_the_root() {
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
    // Where they lead there is nothing inside.
    for place in ["/absolute", "/relative", "/chain"] {
        for target in [place.to_owned(), format!("{place}/new"), format!("{place}/new/er")] {
            for mount in one_of_each(&target) {
                // A symlink is made at the link's own place: there it is in the way.
                let error = add(&mut in_root(&root, "true"), mount.clone()).spawn().unwrap_err();
                assert_eq!(
                    (error.code(), error.step(), error.side()),
                    (Code::Refused, "mount", Side::Child),
                    "{error}"
                );
                assert!(matches!(error.errno_name(), Some("EEXIST" | "ELOOP" | "ENOENT")), "{mount:?}: {error}");
            }
        }
    }
    // Above the root there is the root.
    for mount in one_of_each("/mnt/up/tmp") {
        let spawned = add(&mut in_root(&root, "true"), mount).spawn();
        let _ = spawned.map(|mut child| child.wait());
    }
    assert_eq!(sentinel.listing(), std::slice::from_ref(&kept));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "as it was");
}

#[test]
fn a_symlink_in_a_target_leads_where_it_leads_a_process_inside() {
    let root = busybox_root("inside");
    root.directory("var/tmp");
    root.directory("etc/deep");
    // As where /tmp is another directory's, on NixOS and Arch, and with `..` through the root.
    for (to, link) in
        [("/var/tmp", "place"), ("..", "etc/up"), ("/etc/up/var", "twice"), ("../../../..", "etc/deep/far")]
    {
        symlink(to, root.join(link)).unwrap();
    }
    for (target, seen_at) in [
        ("/place/x", "/var/tmp/x"),
        ("/etc/up/mnt/x", "/mnt/x"),
        ("/twice/tmp/x", "/var/tmp/x"),
        ("/etc/deep/far/opt/x", "/opt/x"),
    ] {
        // A file lies in the scratch tmpfs first: that must not be where the path passes.
        for mount in [Mount::file(target, "made"), Mount::tmpfs(target)] {
            let mut command = in_root(&root, &format!("grep -c ' {seen_at} ' /proc/self/mounts"));
            command.mount(Mount::file("/f", "another")).mount(mount.clone());
            assert_eq!(said(&command.output().unwrap()), "1", "{mount:?}");
            let path = root.join(seen_at.trim_start_matches('/'));
            let _ = std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path));
        }
    }
}

#[test]
fn name_servers_are_given_where_a_distribution_has_a_symlink_to_what_its_boot_makes() {
    for to in ["../run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/stub-resolv.conf", "/etc/other"] {
        let root = busybox_root("resolv");
        root.directory("run");
        let _ = std::fs::remove_file(root.join("etc/resolv.conf"));
        symlink(to, root.join("etc/resolv.conf")).unwrap();
        let mut command = in_root(&root, "cat /etc/resolv.conf");
        command
            .unshare(Namespace::Net)
            .mount(Mount::tmpfs("/run"))
            .dns(Dns::Servers(vec!["192.0.2.1".parse().unwrap()]));
        assert_eq!(said(&command.output().unwrap()), "nameserver 192.0.2.1", "{to}");
    }
}

#[test]
fn a_mount_that_another_one_hides_by_way_of_a_symlink_is_an_error() {
    let root = busybox_root("hidden");
    symlink("/mnt", root.join("data")).unwrap();
    symlink("..", root.join("etc/up")).unwrap();
    let both = |first: Mount, second: Mount| in_root(&root, "cat /mnt/x").mount(first).mount(second).output();
    for second in [Mount::tmpfs("/data"), Mount::tmpfs("/etc/up/mnt"), Mount::file("/data/x", "another")] {
        let error = both(Mount::file("/mnt/x", "lost"), second).unwrap_err();
        assert_eq!((error.step(), error.errno_name()), ("mount", Some("EXDEV")), "{error}");
        assert!(error.to_string().contains("look at /mnt/x"), "{error}");
    }
    // In so many words it is what was asked for.
    assert_eq!(said(&both(Mount::file("/mnt/x", "lost"), Mount::file("/mnt/x", "found")).unwrap()), "found");
    assert_eq!(said(&both(Mount::tmpfs("/data"), Mount::file("/mnt/x", "found")).unwrap()), "found");
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
