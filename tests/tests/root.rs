//! What the command sees as its root, and that nothing of the host's tree is left in it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use seclude::{Code, Command, Extent, IdMap, Mount, Namespace, Overlay, Root, RootMade, Side, Stdio, UserMap};
use seclude_tests::{
    Host, PATIENCE, Scratch, busybox_root, ends_within, has_overlays, helper, helper_inside, is_root, pidfd, role,
    run_again_without_mount_setattr, said, shell, tell, told, told_inside,
};

#[test]
fn helper_process() {
    let Some(role) = role() else { return };
    if role == "shared" {
        // This process's whole tree is shared: what is mounted in a copy of it comes here, unless made private.
        let scratch = Scratch::new("propagation");
        let (through_us, around_us) = (scratch.directory("seclude"), scratch.directory("contrast"));
        let mount = |target: &Path| format!("mount -t tmpfs none {} && echo mounted", target.display());
        let mut contained = shell(&mount(&through_us));
        let output = contained.unshare(Namespace::Mount).output().unwrap();
        tell(said(&output));
        let plain = ["--mount", "--propagation", "unchanged", "sh", "-c", &mount(&around_us)];
        assert!(std::process::Command::new("unshare").args(plain).status().unwrap().success());
        let ours = fs::read_to_string("/proc/self/mountinfo").unwrap();
        tell(ours.contains(through_us.to_str().unwrap()));
        tell(ours.contains(around_us.to_str().unwrap()));
        rustix::mount::unmount(&around_us, rustix::mount::UnmountFlags::DETACH).unwrap();
    } else if let Some((who, place)) = role.strip_prefix("layered as ").and_then(|role| role.split_once(' ')) {
        // In a mount namespace of this test's own, and with that in a user namespace, unless root made it.
        layered_while_it_changes(who == "root", Path::new(place));
    } else {
        // Inside a container, with a directory of an overlay: an overlay that writes there.
        let overlaid = Path::new(&role);
        for name in ["upper", "work"] {
            fs::create_dir(overlaid.join(name)).unwrap();
        }
        let overlay = Overlay::new(["/usr/share"]).upper(overlaid.join("upper"), overlaid.join("work"));
        let mut command = Command::new("/bin/true");
        command.unshare(Namespace::User).unshare(Namespace::Mount).mount(Mount::overlay(overlay, "/usr/share"));
        let error = command.spawn().unwrap_err();
        tell(error.code().name());
        tell(&error);
    }
}

/// A command in a mount and user namespace, and a pid namespace for its /proc.
fn contained(script: &str) -> Command {
    let mut command = shell(script);
    command.unshare(Namespace::User).unshare(Namespace::Mount).unshare(Namespace::Pid);
    command
}

/// The host's tree in layers, with a mount next to what others make and remove all the time, and an overlay over two.
fn layered_while_it_changes(as_root: bool, place: &Path) {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mount = |directory: &str, kind: &str, options: &str| {
        let target = place.join(directory);
        fs::create_dir_all(&target).unwrap();
        let mut mount = std::process::Command::new("mount");
        assert!(mount.args(["-t", kind, "-o", options, "none"]).arg(&target).status().unwrap().success(), "{target:?}");
        target
    };
    mount("next", "tmpfs", "size=1m");
    let memory = mount("memory", "tmpfs", "size=1m");
    for name in ["low", "up", "work", "up2", "work2"] {
        fs::create_dir(memory.join(name)).unwrap();
    }
    let layers = |low: &Path, number: &str| {
        let (low, memory) = (low.display(), memory.display());
        format!("lowerdir={low},upperdir={memory}/up{number},workdir={memory}/work{number},userxattr")
    };
    let once = mount("once", "overlay", &layers(&memory.join("low"), ""));
    let twice = mount("twice", "overlay", &layers(&once, "2"));
    fs::write(twice.join("file"), "there").unwrap();

    let done = AtomicBool::new(false);
    let change = || {
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            // Another of the same name comes now and then.
            number = (number + 1) % 5;
            let names = ["a", "b", "c"].map(|name| place.join(format!("{name}{number}")));
            let directory = fs::create_dir(&names[0]).and_then(|()| fs::create_dir(&names[1]));
            directory.and_then(|()| fs::write(&names[2], "")).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
            let removed = fs::remove_dir(&names[0]).and_then(|()| fs::remove_dir(&names[1]));
            removed.and_then(|()| fs::remove_file(&names[2])).unwrap();
        }
    };
    let start = || {
        let (here, twice) = (place.display(), twice.display());
        let script =
            format!("cat {twice}/file; echo > {twice}/new || echo read-only; echo > {here}/once/new && echo written");
        for _ in 0..20 {
            let mut command = contained(&script);
            command.root(Root::overlay(Overlay::new(["/"]).ephemeral())).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            assert_eq!(child.report().read_only, [place.join("twice")]);
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            assert_eq!(said, "thereread-only\nwritten\n");
            assert!(child.wait().unwrap().success());
        }
        if as_root {
            // Where the parent makes the copies.
            let ids = IdMap::new(vec![Extent { inside: 0, outside: 500_000, count: 1000 }]).unwrap();
            for _ in 0..20 {
                let mut command = contained("true");
                command.user_map(UserMap::Extents { uids: ids.clone(), gids: ids.clone() });
                command.root(Root::overlay(Overlay::new(["/"]).ephemeral()));
                assert!(command.status().unwrap().success());
            }
        }
    };
    let all_well = std::thread::scope(|scope| {
        scope.spawn(change);
        let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(start));
        done.store(true, Ordering::Relaxed);
        started.is_ok()
    });
    assert!(all_well);
    assert!(fs::read_dir(&once).unwrap().next().is_none());
    tell("well");
}

fn fails_with(command: &mut Command, words: &str) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.exit.success(), "it succeeded, but {words:?} was expected");
    assert!(stderr.contains(words), "{stderr}");
}

const READ_ONLY: &str = "Read-only file system";

#[test]
fn without_a_root_or_with_the_hosts_the_tree_is_the_hosts_and_can_be_written() {
    let scratch = Scratch::new("host-tree");
    for root in [None, Some(Root::host())] {
        let mut command = contained(&format!("stat -c %d:%i /; echo written > {}", scratch.join("file").display()));
        if let Some(root) = root {
            command.root(root);
        }
        let host = fs::metadata("/").unwrap();
        assert_eq!(said(&command.output().unwrap()), format!("{}:{}", host.dev(), host.ino()));
        assert_eq!(fs::read_to_string(scratch.join("file")).unwrap(), "written\n");
        fs::remove_file(scratch.join("file")).unwrap();
    }
}

#[test]
fn the_hosts_tree_read_only_refuses_writes_with_erofs_also_in_what_is_mounted_below() {
    let scratch = Scratch::new("read-only-host");
    let below = Path::new("/dev/shm").join(scratch.path().file_name().unwrap());
    for file in [scratch.join("file"), below] {
        let script = format!("touch {}", file.display());
        assert!(contained(&script).root(Root::host()).status().unwrap().success());
        fs::remove_file(&file).unwrap();
        fails_with(contained(&script).root(Root::host().read_only()), READ_ONLY);
        assert!(!file.exists());
    }
}

#[test]
fn a_directory_is_all_that_there_is() {
    let root = busybox_root("directory");
    root.file("only-here", "");
    let names = said(&contained("cd /; echo *").root(Root::directory(root.path())).output().unwrap());
    let mut expected: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    expected.sort();
    assert_eq!(names.split(' ').collect::<Vec<_>>(), expected);
    let inode = said(&contained("stat -c %i /").root(Root::directory(root.path())).output().unwrap());
    assert_eq!(inode, fs::metadata(root.path()).unwrap().ino().to_string());
}

#[test]
fn a_directory_can_be_written_and_read_only_it_answers_erofs() {
    let root = busybox_root("writable");
    let directory = Root::directory(root.path());
    assert!(contained("echo new > /tmp/file").root(directory.clone()).status().unwrap().success());
    assert_eq!(fs::read_to_string(root.join("tmp/file")).unwrap(), "new\n");
    let before = root.listing();
    for script in ["touch /tmp/another", "rm /tmp/file", "mkdir /new", "echo x >> /tmp/file", "chmod 600 /tmp/file"] {
        fails_with(contained(script).root(directory.clone().read_only()), READ_ONLY);
    }
    assert_eq!(root.listing(), before);
    assert_eq!(fs::read_to_string(root.join("tmp/file")).unwrap(), "new\n");
}

#[test]
fn the_old_root_is_not_reachable_from_the_new_one() {
    if !has_overlays() {
        return;
    }
    let sentinel = Scratch::new("sentinel");
    let file = sentinel.file("of-the-host", "");
    let root = busybox_root("pivoted");
    let script = format!(
        "for way in '' /.. /../../.. /proc/1/root /proc/self/root /proc/1/cwd /proc/self/cwd/..; do
            test -e $way{file} && echo reached by $way; done
         cd /; cd ..; cd ../..; pwd; readlink /proc/1/root; grep -cv ' /proc/' /proc/self/mountinfo",
        file = file.display()
    );
    let mut command = contained(&script);
    assert!(said(&command.output().unwrap()).starts_with("reached by"), "in the host's tree the file is there");
    command.root(Root::directory(root.path()));
    assert_eq!(said(&command.output().unwrap()), "/\n/\n2", "the root and its /proc are the only mounts");
    let overlay = Overlay::new([root.path()]).ephemeral();
    command.root(Root::overlay(overlay));
    assert_eq!(said(&command.output().unwrap()), "/\n/\n2", "and none of those that made the overlay");
}

#[test]
fn nothing_of_set_up_is_mounted_in_the_hosts_tree_that_the_container_sees() {
    // A copy of the host's tree: as many mounts as the host has, and the new /proc with what masks it.
    let host = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let host = host.lines().filter(|line| !line.contains(" /proc/")).count();
    let mut command = contained("grep -cv ' /proc/' /proc/self/mountinfo");
    let inside: usize = said(&command.root(Root::host()).output().unwrap()).parse().unwrap();
    assert!(inside <= host + 1, "{inside} inside, {host} outside");
    let with_scratch: usize =
        said(&command.mount(Mount::file("/etc/hostname", "x")).output().unwrap()).parse().unwrap();
    assert_eq!(with_scratch, inside + 1, "the file alone");
}

#[test]
fn a_target_that_leads_back_to_the_root_by_a_symlink_hides_nothing_from_who_looks_beside_it() {
    let scratch = Scratch::new("leads-back");
    let up = "../".repeat(scratch.path().components().count() - 1);
    std::os::unix::fs::symlink(up.trim_end_matches('/'), scratch.join("up")).unwrap();
    let target = scratch.join("up");
    for mount in [Mount::read_only_path(&target), Mount::tmpfs(&target), Mount::mask(&target)] {
        let mut command = contained("cat /../etc/hostname; touch /../tmp/x");
        command.mount(mount).mount(Mount::mask("/etc/hostname"));
        let error = command.spawn().unwrap_err();
        assert_eq!((error.errno_name(), error.step()), (Some("EXDEV"), "root"), "{error}");
        assert!(error.to_string().contains("symlink"), "{error}");
    }
    let mut command = contained("cat /../etc/hostname");
    assert_eq!(said(&command.mount(Mount::mask("/etc/hostname")).output().unwrap()), "");
}

#[test]
fn what_the_hosts_tree_lies_on_cannot_be_uncovered() {
    // With all capabilities over its namespaces it can undo its own mounts, and no more.
    let script = "for m in / /sys; do umount -l $m && echo uncovered $m; done; umount -l /proc && echo its own";
    for root in [None, Some(Root::host().read_only()), Some(Root::host())] {
        let mut command = contained(script);
        if let Some(root) = root {
            command.root(root);
        }
        assert_eq!(said(&command.output().unwrap()), "its own");
    }
}

#[test]
fn a_root_that_is_all_that_is_needed_is_made_without_the_rest_where_the_kernel_can() {
    let root = busybox_root("entered");
    let other = Scratch::new("entered-other");
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let newest = release.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 7);
    // In a user namespace the kernel mounts no /proc where none is, so that is made in the copy.
    let user = || {
        let mut command = shell("echo /*; ls /.. | wc -l; touch /file");
        command.unshare(Namespace::User).unshare(Namespace::Mount);
        command
    };
    let privileged = || {
        let mut command = shell("echo /*; ls /.. | wc -l; touch /file; wc -l < /proc/self/mountinfo");
        // The one that a pid namespace brings has masks, which take from the host.
        command.unshare(Namespace::Mount).unshare(Namespace::Pid).mount(Mount::proc("/proc"));
        command
    };
    let all: [(&dyn Fn() -> Command, &str); 2] = [(&user, ""), (&privileged, "\n4")];
    let before = Host::look().mounts;
    let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for (command, mounts) in all.iter().take(if is_root() { 2 } else { 1 }) {
        let made = |change: &dyn Fn(&mut Command)| {
            let mut command = command();
            command
                .root(Root::directory(root.path()).read_only())
                .mount(Mount::tmpfs("/tmp"))
                .mount(Mount::tmpfs("/mnt"));
            change(&mut command);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn().unwrap();
            let made = child.report().root;
            let output = child.wait_with_output().unwrap();
            assert!(String::from_utf8_lossy(&output.stderr).contains(READ_ONLY));
            (made, String::from_utf8(output.stdout).unwrap().trim().to_owned())
        };
        let (alone, seen) = made(&|_| {});
        assert_eq!(alone, Some(if newest && !mounts.is_empty() { RootMade::Entered } else { RootMade::Pivoted }));
        let mut there: Vec<_> = names.iter().map(|name| format!("/{}", name.display())).collect();
        there.sort();
        assert_eq!(seen, format!("{}\n{}{mounts}", there.join(" "), there.len()));
        // The same with the copy, where a bind is asked for.
        let (copied, seen_there) = made(&|command| {
            command.mount(Mount::bind(other.path(), "/mnt"));
        });
        assert_eq!(copied, Some(RootMade::Pivoted));
        assert_eq!(seen_there.lines().next(), seen.lines().next());
    }
    assert_eq!(Host::look().mounts, before);
    let mut kept = contained("true");
    assert_eq!(kept.spawn().unwrap().report().root, Some(RootMade::Kept));
    assert_eq!(shell("true").spawn().unwrap().report().root, None);
}

#[test]
fn the_hosts_mounts_are_the_same_before_meanwhile_and_after() {
    if !has_overlays() {
        return;
    }
    let before = Host::look().mounts;
    let root = busybox_root("unchanged");
    let mut command = contained("mount -t tmpfs none /tmp && echo mounted && read line");
    command.root(Root::overlay(Overlay::new([root.path()]).ephemeral())).mount(Mount::dev("/dev"));
    command.mount(Mount::tmpfs("/mnt")).stdin(seclude::Stdio::piped()).stdout(seclude::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "mounted\n");
    assert_eq!(Host::look().mounts, before);
    let inside = fs::read_to_string(format!("/proc/{}/mountinfo", child.id())).unwrap();
    assert_ne!(inside.lines().collect::<Vec<_>>(), before);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Host::look().mounts, before);
}

#[test]
fn a_mount_inside_does_not_reach_a_caller_whose_tree_is_shared() {
    let mut spawner = std::process::Command::new("unshare");
    let namespaces: &[_] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let inner = helper("shared");
    spawner.args(namespaces).args(["--propagation", "shared"]).arg(inner.get_program()).args(inner.get_args());
    spawner.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    assert_eq!(told(&spawner.output().unwrap()), ["mounted", "false", "true"]);
}

#[test]
fn the_first_lower_directory_wins_over_the_next() {
    if !has_overlays() {
        return;
    }
    let (top, middle, bottom) = (Scratch::new("top"), Scratch::new("middle"), busybox_root("bottom"));
    top.file("etc/name", "top");
    middle.file("etc/name", "middle");
    middle.file("etc/second", "middle");
    bottom.file("etc/name", "bottom");
    bottom.file("etc/second", "bottom");
    bottom.file("etc/third", "bottom");
    let lowers = [top.path(), middle.path(), bottom.path()];
    let mut command = contained("for name in name second third; do cat /etc/$name; echo; done");
    command.root(Root::overlay(Overlay::new(lowers).ephemeral()));
    assert_eq!(said(&command.output().unwrap()), "top\nmiddle\nbottom");
    command.root(Root::overlay(Overlay::new([middle.path(), top.path(), bottom.path()])));
    assert_eq!(said(&command.output().unwrap()), "middle\nmiddle\nbottom", "the order is the caller's");
}

#[test]
fn a_hundred_lower_directories_can_be_had() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("hundred");
    let lowers = Scratch::new("lowers");
    let mut all: Vec<_> = (0..99).map(|number| lowers.directory(format!("{number}"))).collect();
    for (number, lower) in all.iter().enumerate() {
        fs::write(lower.join("number"), format!("{number}")).unwrap();
        fs::write(lower.join(format!("file{number}")), "").unwrap();
    }
    all.push(root.path().to_owned());
    let mut command = contained("cat /number; echo; ls -d /file* | wc -l");
    command.root(Root::overlay(Overlay::new(all)));
    assert_eq!(said(&command.output().unwrap()), "0\n99");
}

#[test]
fn without_an_upper_an_overlay_answers_erofs() {
    if !has_overlays() {
        return;
    }
    let (top, bottom) = (Scratch::new("no-upper"), busybox_root("no-upper-bottom"));
    fails_with(contained("touch /tmp/x").root(Root::overlay(Overlay::new([top.path(), bottom.path()]))), READ_ONLY);
    let overlay = Overlay::new([top.path(), bottom.path()]).ephemeral();
    assert!(contained("touch /tmp/x").root(Root::overlay(overlay)).status().unwrap().success());
}

#[test]
fn ephemeral_writes_are_gone_at_the_end_and_the_lower_is_as_it_was() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("ephemeral");
    root.file("etc/kept", "kept");
    let before = root.listing();
    let overlay = Root::overlay(Overlay::new([root.path()]).ephemeral());
    let script = "test ! -e /tmp/new && cat /etc/kept && echo changed > /etc/kept && echo > /tmp/new && rm /bin/vi &&
        cat /etc/kept && test -e /tmp/new && test ! -e /bin/vi && chmod 700 /usr && rm -r /var";
    for _ in 0..2 {
        assert_eq!(said(&contained(script).root(overlay.clone()).output().unwrap()), "keptchanged");
    }
    let again = contained("rm -r /var && mkdir /var").root(overlay).output().unwrap();
    let examination = seclude::doctor::examine();
    let row = examination.findings.iter().find(|finding| finding.feature == "overlay, writes in memory").unwrap();
    // What the doctor says of kernels before 6.6 is so, and elsewhere it does not say it.
    assert_eq!(again.exit.success(), row.verdict == seclude::doctor::Verdict::Works, "{}", row.evidence);
    assert_eq!(root.listing(), before);
    assert_eq!(fs::read_to_string(root.join("etc/kept")).unwrap(), "kept");
    assert_eq!(fs::metadata(root.join("usr")).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn ephemeral_writes_over_the_hosts_whole_tree_are_gone_at_the_end() {
    if !has_overlays() {
        return;
    }
    let scratch = Scratch::new("layered");
    let file = scratch.file("file", "before");
    let script = format!("cd {} && cat file && echo after > file && cat file && touch new", scratch.path().display());
    let overlay = Root::overlay(Overlay::new(["/"]).ephemeral());
    let before = Host::look().mounts;
    for _ in 0..2 {
        assert_eq!(said(&contained(&script).root(overlay.clone()).output().unwrap()), "beforeafter");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    assert_eq!(scratch.listing(), [file]);
    assert_eq!(Host::look().mounts, before);
    let error = contained("true").root(overlay.read_only()).spawn().unwrap_err();
    assert_eq!((error.code(), error.step()), (Code::Invalid, "root"), "{error}");
}

#[test]
fn what_vanishes_of_the_hosts_tree_or_can_be_no_layer_fails_no_start() {
    if !has_overlays() {
        return;
    }
    let scratch = Scratch::new("changing");
    let mut own = std::process::Command::new("unshare");
    let namespaces: &[_] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let who = if is_root() { "root" } else { "another" };
    let inner = helper(&format!("layered as {who} {}", scratch.path().display()));
    own.args(namespaces).arg(inner.get_program()).args(inner.get_args());
    own.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    assert_eq!(told(&own.output().unwrap()), ["well"]);
}

#[test]
fn an_overlays_root_has_the_permissions_of_its_topmost_lower() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("permissions");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o751)).unwrap();
    let overlay = Root::overlay(Overlay::new([root.path()]).ephemeral());
    assert_eq!(said(&contained("stat -c %a /").root(overlay).output().unwrap()), "751");
}

#[test]
fn a_given_upper_keeps_what_is_written_and_remembers_what_is_deleted() {
    if !has_overlays() {
        return;
    }
    let (root, disk) = (busybox_root("given-upper"), Scratch::new("disk"));
    root.file("etc/deleted", "");
    let (upper, work) = (disk.directory("upper"), disk.directory("work"));
    let overlay = Root::overlay(Overlay::new([root.path()]).upper(&upper, &work));
    let first = contained("echo kept > /etc/new && rm /etc/deleted").root(overlay.clone()).status().unwrap();
    assert!(first.success());
    assert_eq!(fs::read_to_string(upper.join("etc/new")).unwrap(), "kept\n");
    assert!(root.join("etc/deleted").exists(), "the lower is untouched");
    assert!(!root.join("etc/new").exists());
    let second = contained("test ! -e /etc/deleted && cat /etc/new").root(overlay).output().unwrap();
    assert_eq!(said(&second), "kept");
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0, "and nothing of the kernel's own is left behind");
}

#[test]
fn a_given_upper_goes_on_taking_writes_when_the_handle_was_let_go() {
    if !has_overlays() {
        return;
    }
    let (root, disk) = (busybox_root("let-go"), Scratch::new("let-go-disk"));
    root.file("etc/kept", "lower");
    let (upper, work) = (disk.directory("upper"), disk.directory("work"));
    let mut command = contained("read go && echo upper > /etc/kept && rm /bin/vi && cat /etc/kept");
    command.root(Root::overlay(Overlay::new([root.path()]).upper(&upper, &work))).kill_on_drop(false);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (pid, end) = (rustix::process::Pid::from_raw(child.id() as i32).unwrap(), pidfd(child.id()));
    drop(child);
    stdin.write_all(b"go\n").unwrap();
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert!(ends_within(&end, PATIENCE));
    let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap().unwrap().1;
    assert_eq!((&*said, status.exit_status()), ("upper\n", Some(0)));
    assert_eq!(fs::read_to_string(upper.join("etc/kept")).unwrap(), "upper\n");
}

#[test]
fn the_work_directory_is_empty_again_also_after_a_failed_start() {
    if !has_overlays() {
        return;
    }
    let (root, disk) = (busybox_root("failed-start"), Scratch::new("failed-disk"));
    let (upper, work) = (disk.directory("upper"), disk.directory("work"));
    let mut command = Command::new("/no/such/command");
    command.unshare(Namespace::User).unshare(Namespace::Mount);
    command.root(Root::overlay(Overlay::new([root.path()]).upper(&upper, &work)));
    let error = command.spawn().unwrap_err();
    assert_eq!((error.code(), error.left_behind()), (Code::NotFound, &[][..]), "{error}");
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&upper).unwrap().count(), 0);
}

#[test]
fn a_read_only_overlay_takes_the_targets_of_mounts_and_no_write_of_the_command() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("read-only-overlay");
    let before = root.listing();
    let mut command = contained("cat /made/for/this; touch /tmp/x");
    command.root(Root::overlay(Overlay::new([root.path()]).ephemeral()).read_only());
    command.mount(Mount::file("/made/for/this", "content\n"));
    let output = command.output().unwrap();
    assert_eq!(output.stdout, b"content\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains(READ_ONLY), "{output:?}");
    assert_eq!(root.listing(), before);
}

#[test]
fn overlay_paths_may_have_the_characters_that_the_kernel_reads_as_its_own() {
    if !has_overlays() {
        return;
    }
    for name in ["a:b", "a,b", "a\\b", "a b", "a\nb", "a=b,c:d\\:e\\,", "ä\"'$", "-x"] {
        let place = Scratch::new("characters");
        let root = busybox_root("characters-root");
        let lower = place.directory(format!("lower {name}"));
        fs::write(lower.join("found"), name).unwrap();
        let (upper, work) = (place.directory(format!("upper {name}")), place.directory(format!("work {name}")));
        let mut command = contained("cat /found && echo written > /tmp/file");
        command.root(Root::overlay(Overlay::new([lower.as_path(), root.path()]).upper(&upper, &work)));
        assert_eq!(command.output().unwrap().stdout, name.as_bytes(), "{name:?}");
        assert_eq!(fs::read_to_string(upper.join("tmp/file")).unwrap(), "written\n", "{name:?}");

        let other = place.directory(format!("other {name}"));
        let elsewhere = Mount::overlay(Overlay::new([&lower, &other]), "/mnt");
        let mut command = contained("cat /mnt/found");
        command.root(Root::directory(root.path())).mount(elsewhere);
        assert_eq!(command.output().unwrap().stdout, name.as_bytes(), "{name:?}");
    }
}

#[test]
fn an_upper_directory_on_an_overlay_says_what_is_wrong() {
    if !has_overlays() {
        return;
    }
    let place = Scratch::new("nested");
    let lower = place.directory("lower");
    let target = place.directory("target");
    let mut outer = helper_inside(target.to_str().unwrap());
    outer.unshare(Namespace::User).unshare(Namespace::Mount);
    outer.mount(Mount::overlay(Overlay::new([lower]).ephemeral(), &target));
    let told = told_inside(&outer.output().unwrap());
    assert_eq!(told[0], "refused");
    assert!(told[1].contains("mount overlay of /usr/share"), "{}", told[1]);
    // Before Linux 6.5 overlayfs says which it is to the kernel's log alone.
    let which = ["is itself on overlayfs", "an upper directory that is on an overlay itself"];
    assert!(which.iter().any(|which| told[1].contains(which)), "{}", told[1]);
}

#[test]
fn an_upper_and_a_work_directory_of_two_file_systems_say_what_is_wrong() {
    let (root, disk) = (busybox_root("two-disks"), Scratch::new("two-disks"));
    let work = Path::new("/dev/shm").join(disk.path().file_name().unwrap());
    fs::create_dir(&work).unwrap();
    let overlay = Overlay::new([root.path()]).upper(disk.path(), &work);
    let error = contained("true").root(Root::overlay(overlay)).spawn().unwrap_err();
    let empty = fs::remove_dir(&work);
    assert_eq!(error.step(), "root", "{error}");
    assert!(error.to_string().contains("same file system"), "{error}");
    empty.unwrap();
}

#[test]
fn overlays_that_cannot_be_meant_are_refused_before_anything_is_made() {
    let is_invalid = |overlay: Overlay, words: &str| {
        let error = contained("true").root(Root::overlay(overlay.clone())).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "root", Side::Plan), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let error = contained("true").mount(Mount::overlay(overlay, "/mnt")).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "mount", Side::Plan), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    is_invalid(Overlay::new::<&str>([]), "no lower directory");
    is_invalid(Overlay::new::<&str>([]).ephemeral(), "no lower directory");
    is_invalid(Overlay::new(["/usr"]), "read-only bind");
    is_invalid(Overlay::new(["/"]).upper("/tmp/u", "/tmp/w"), "overlay of /");
    is_invalid(Overlay::new(["/usr", "/"]).ephemeral(), "overlay of /");
    is_invalid(Overlay::new(["usr"]).ephemeral(), "not an absolute path");
    is_invalid(Overlay::new(["/usr"]).upper("upper", "/work"), "not an absolute path");
    is_invalid(Overlay::new(["/usr"]).upper("/tmp/x", "/tmp/x"), "upper and work");
    is_invalid(Overlay::new(["/usr"]).upper("/tmp/x/y", "/tmp/x"), "upper and work");
    is_invalid(Overlay::new(["/usr", "/srv", "/usr"]).ephemeral(), "/usr is a lower directory twice");
    // 100 where the kernel does not take them by descriptor, Linux 6.15.
    let many = (0..501).map(|number| format!("/lower/{number}")).collect::<Vec<_>>();
    is_invalid(Overlay::new(many).ephemeral(), "501 lower directories; at most");
}

#[test]
fn roots_that_are_missing_or_no_directory_name_the_step_and_the_path() {
    let scratch = Scratch::new("bad-roots");
    let file = scratch.file("file", "");
    let relative = contained("true").root(Root::directory("some/where")).spawn().unwrap_err();
    assert_eq!((relative.code(), relative.step(), relative.side()), (Code::Invalid, "root", Side::Plan), "{relative}");

    let missing = scratch.join("missing");
    for (root, errno, path) in [
        (Root::directory(&missing), "ENOENT", &missing),
        (Root::directory(&file), "ENOTDIR", &file),
        (Root::overlay(Overlay::new([&missing]).ephemeral()), "ENOENT", &missing),
        (Root::overlay(Overlay::new([&file]).ephemeral()), "ENOTDIR", &file),
        (Root::overlay(Overlay::new(["/usr/share"]).upper(&missing, "/usr")), "ENOENT", &missing),
    ] {
        let error = contained("true").root(root).spawn().unwrap_err();
        assert_eq!((error.step(), error.side(), error.errno_name()), ("root", Side::Parent, Some(errno)), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    assert_eq!(scratch.listing(), [file]);
}

#[test]
fn a_root_without_a_mount_namespace_is_refused_and_never_ignored() {
    for root in [Root::host(), Root::host().read_only(), Root::directory("/usr")] {
        let error = Command::new("/bin/true").unshare(Namespace::User).root(root).spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "root", Side::Plan), "{error}");
        assert!(error.to_string().contains("new mount namespace"), "{error}");
    }
}

#[test]
fn a_root_works_under_subordinate_ids() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("subid-root");
    for tree in [
        Root::directory(root.path()).read_only(),
        Root::overlay(Overlay::new([root.path()]).ephemeral()),
        Root::host().read_only(),
    ] {
        let mut command = contained("id -u; touch /root/x 2>&1 || true");
        command.user_map(UserMap::SubIds).root(tree);
        assert_eq!(said(&command.output().unwrap()).lines().next(), Some("0"));
    }
}

#[test]
fn all_of_this_holds_without_mount_setattr() {
    // The filter comes with no_new_privs, under which newuidmap has no privileges to use.
    run_again_without_mount_setattr(&["all_of_this", "subordinate_ids", "a_root_that_is_all"]);
}
