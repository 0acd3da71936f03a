//! What is held back of a directory that the command may write to, and the directories on the way there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use seclude_tests::{Host, Scratch, busybox_root, has_overlays, refused, seclude, to_write};

/// `run` of what is written to.
fn run() -> Vec<&'static str> {
    [&["run"], to_write()].concat()
}

/// A project of three directories, each with something in it that is not to be changed.
fn project(scratch: &Scratch) -> std::path::PathBuf {
    let project = scratch.directory("project");
    for directory in [".git/hooks", "conf/secret", ".settings"] {
        fs::create_dir_all(project.join(directory)).unwrap();
    }
    fs::write(project.join("conf/secret/key"), "key\n").unwrap();
    open(scratch.path());
    project
}

/// To whom root's containers are.
fn open(directory: &Path) {
    fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        open(&entry.path());
    }
}

const ASIDE: &str = "for it in .git conf .settings; do mv $it $it.aside; done; mkdir -p .git/hooks conf/secret .settings; \
    for it in .git/hooks/pre-commit conf/secret/key .settings/json; do echo evil > $it; done; echo made > .git/new; true";

#[test]
fn what_is_held_back_is_not_put_aside_with_the_directory_that_it_lies_in() {
    let host = Host::look();
    let scratch = Scratch::new("ways");
    let project = project(&scratch);
    let at = |inside: &str| {
        let path = |name: &str| format!("{inside}/{name}");
        vec![
            "--ro-path".to_owned(),
            path(".git/hooks"),
            "--mask".to_owned(),
            path("conf/secret/key"),
            "--file".to_owned(),
            path(".settings/json=own"),
        ]
    };
    let own = project.to_str().unwrap();
    let hooks = format!("{own}/.git/hooks");
    let by_path = [vec!["--rw".to_owned(), own.to_owned(), "--ro".to_owned(), hooks], at(own)[2..].to_vec()].concat();
    let bound = [vec!["--bind".to_owned(), format!("{own}:/mnt/p")], at("/mnt/p")].concat();
    for (flags, inside) in [(by_path, own), (bound, "/mnt/p")] {
        let script = format!("cd {inside} && {ASIDE}");
        let words: Vec<&str> = run().into_iter().chain(flags.iter().map(String::as_str)).collect();
        let output = seclude(&[&words[..], &["sh", "-c", &script]].concat());
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for name in [".git", "conf", ".settings"] {
            assert!(said.contains(&format!("cannot move '{name}'")), "{flags:?}: {said}");
            assert!(!project.join(format!("{name}.aside")).exists(), "{name}");
        }
        assert!(!project.join(".git/hooks/pre-commit").exists());
        assert_eq!(fs::read_to_string(project.join("conf/secret/key")).unwrap(), "key\n");
        assert!(!project.join(".settings/json").exists(), "the place that was made for it has gone");
        assert_eq!(fs::read_to_string(project.join(".git/new")).unwrap(), "made\n", "what lies beside it is written");
    }
    // The contrast: without a word about them they are the command's.
    let output = seclude(&[&run()[..], &["--rw", own, "sh", "-c", &format!("cd {own} && {ASIDE}")]].concat());
    assert!(output.status.success(), "{output:?}");
    assert!(project.join(".git.aside").exists() && project.join(".git/hooks/pre-commit").exists());
    host.assert_back("a command that puts aside what it may not write");
}

#[test]
fn in_a_root_and_in_a_layer_that_stay_it_is_not_put_aside_either() {
    let root = busybox_root("ways");
    for directory in ["srv/deep/held", "proc", "dev", "tmp", "sys", "run", "etc"] {
        root.directory(directory);
    }
    open(&root.join("srv"));
    fs::set_permissions(root.path(), Permissions::from_mode(0o777)).unwrap();
    let script =
        "mv /srv/deep /srv/aside; mv /srv /aside; mkdir -p /srv/deep/held; echo evil > /srv/deep/held/file; true";
    let own = root.path().to_str().unwrap();
    let layers = Scratch::new("ways-layers");
    let (upper, work) = (layers.directory("upper"), layers.directory("work"));
    let upper = ["--upper", upper.to_str().unwrap(), "--work", work.to_str().unwrap()];
    for (flags, written) in [(&["--writable"][..], root.path()), (&upper, &layers.join("upper"))] {
        if flags.len() > 1 && !has_overlays() {
            println!("skipped: no overlays here");
            continue;
        }
        let flags = [&run()[..], &["--root", own], flags, &["--ro-path", "/srv/deep/held"]].concat();
        let output = seclude(&[&flags[..], &["/bin/sh", "-c", script]].concat());
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("can't rename '/srv'"), "{output:?}");
        for left in ["aside", "srv/aside", "srv/deep/held/file"] {
            assert!(!written.join(left).exists(), "{flags:?}: {left}");
        }
    }
}

#[test]
fn a_symlink_on_the_way_is_not_followed_in_what_the_command_may_write_to() {
    let scratch = Scratch::new("ways-link");
    let project = project(&scratch);
    symlink("conf", project.join("link")).unwrap();
    let own = project.to_str().unwrap();
    for flag in ["--mask", "--ro-path"] {
        let line =
            refused(125, &[&run()[..], &["--rw", own, flag, &format!("{own}/link/secret/key"), "true"]].concat());
        assert!(line.contains(&format!("{flag}: ")) && line.contains("name where it leads"), "{line}");
    }
    let optional = format!("type=mask,dst={own}/none/key,optional");
    assert!(seclude(&[&run()[..], &["--rw", own, "--mount", &optional, "true"]].concat()).status.success());
    assert!(!project.join("none").exists(), "of what may be missing nothing is made");
}

#[test]
fn the_spec_and_the_report_are_kept_in_a_root_that_is_written_to_and_in_no_layer() {
    let root = busybox_root("ways-spec");
    for directory in ["conf", "proc", "dev", "tmp", "sys", "run", "etc"] {
        root.directory(directory);
    }
    open(root.path());
    let (spec, report) = (root.join("conf/spec.json"), root.join("conf/report.json"));
    fs::write(&spec, "{}").unwrap();
    fs::set_permissions(&spec, Permissions::from_mode(0o666)).unwrap();
    let own = root.path().to_str().unwrap();
    let (spec_path, report_path) = (spec.to_str().unwrap(), report.to_str().unwrap());
    let script = "for it in spec report; do echo evil > /conf/$it.json; done; mv /conf /aside; mkdir -p /conf; \
        echo evil > /conf/spec.json; echo '{\"code\": 0}' > /conf/report.json; exit 7";
    let flags = ["--spec", spec_path, "--report", report_path, "--root", own, "--writable"];
    let output = seclude(&[&run()[..], &flags[..], &["/bin/sh", "-c", script]].concat());
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(fs::read_to_string(&spec).unwrap(), "{}");
    assert!(fs::read_to_string(&report).unwrap().contains("\"code\": 7"));
    let layers = Scratch::new("ways-spec-layers");
    let (upper, work) = (layers.directory("upper"), layers.directory("work"));
    let inside = upper.join("spec.json");
    fs::write(&inside, "{}").unwrap();
    let layer = ["--upper", upper.to_str().unwrap(), "--work", work.to_str().unwrap()];
    let line =
        refused(125, &[&["run", "--spec", inside.to_str().unwrap(), "--root", own], &layer[..], &["true"]].concat());
    assert!(line.contains("a layer that the command writes to: keep it elsewhere"), "{line}");
}

#[test]
fn what_lies_in_a_mount_within_another_is_not_put_aside_with_that() {
    let scratch = Scratch::new("ways-within");
    let project = scratch.directory("project");
    fs::create_dir_all(project.join("a/b")).unwrap();
    open(scratch.path());
    let own = project.to_str().unwrap();
    let (inner, file) = (format!("{own}/a/b"), format!("{own}/a/b/file"));
    let (to, within) = (format!("{own}:/mnt/p"), format!("{inner}:/mnt/p/a/b"));
    let bound = ["--bind", &to, "--bind", &within, "--ro-path", "/mnt/p/a/b/file"];
    for (flags, inside) in [
        (&["--rw", own, "--rw", &inner, "--ro", &file][..], own),
        (&["--rw", own, "--tmpfs", &inner, "--ro", &file], own),
        (&bound, "/mnt/p"),
    ] {
        fs::write(&file, "own").unwrap();
        let script = format!("cd {inside} && mv a aside; mkdir -p a/b; echo evil > a/b/file; true");
        let output = seclude(&[&run()[..], flags, &["sh", "-c", &script]].concat());
        assert!(String::from_utf8_lossy(&output.stderr).contains("cannot move 'a'"), "{flags:?}: {output:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "own", "{flags:?}");
    }
    // The spec that says so is kept likewise.
    let spec = project.join("a/b/box.toml");
    fs::write(&spec, "rw = [\"../..\", \".\"]\n").unwrap();
    let script = format!("cd {own} && mv a aside; mkdir -p a/b; echo 'preset = \"bare\"' > a/b/box.toml; true");
    let output = seclude(&[&run()[..], &["--spec", spec.to_str().unwrap(), "sh", "-c", &script]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(&spec).unwrap(), "rw = [\"../..\", \".\"]\n");
}

#[test]
fn however_much_is_held_back_no_descriptors_are_kept_for_it() {
    let scratch = Scratch::new("ways-many");
    let many = scratch.directory("many");
    let mut flags: Vec<String> = run().into_iter().map(str::to_owned).collect();
    flags.extend(["--rw".into(), many.to_str().unwrap().into()]);
    for number in 0..300 {
        let file = many.join(number.to_string());
        fs::write(&file, "").unwrap();
        flags.extend(["--ro-path".into(), file.to_str().unwrap().into()]);
    }
    open(scratch.path());
    let mut command = std::process::Command::new("prlimit");
    command.arg("--nofile=128").arg("--").arg(seclude_tests::seclude_bin()).args(flags).arg("true");
    let output = command.current_dir("/usr").output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn secrets_of_the_hosts_may_lie_behind_symlinks_in_what_is_written() {
    seclude_tests::root_only!();
    // In a mount namespace of the test's own, of an /etc that is nobody's.
    let script = "mount -t tmpfs none /mnt && mkdir /mnt/etc && cp -a /etc/passwd /etc/group /mnt/etc/ && mkdir /mnt/etc/static && \
        echo secret > /mnt/etc/static/sudoers && ln -s static/sudoers /mnt/etc/sudoers && ln -s nowhere /mnt/etc/wireguard && \
        mount --bind /mnt/etc /etc && cd /usr && exec \"$@\" --rw /etc -- true";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(seclude_tests::seclude_bin()).args(run());
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn without_a_preset_the_way_to_what_confines_is_held_and_no_other_is() {
    let scratch = Scratch::new("ways-bare");
    let project = project(&scratch);
    symlink("conf", project.join("link")).unwrap();
    let own = project.to_str().unwrap();
    let (inside, beside) = (project.join("conf/secret/box.toml"), scratch.file("box.toml", "preset = \"bare\"\n"));
    fs::write(&inside, "preset = \"bare\"\n").unwrap();
    let bind = format!("{own}:/mnt");
    let flags = ["--unshare", "user,mount,pid", "--bind", &bind];
    let begun = |spec: &Path, more: &[&str], script: &str| {
        let spec = ["run", "--spec", spec.to_str().unwrap()];
        seclude(&[&spec[..], &flags, more, &["--", "/bin/sh", "-c", script]].concat())
    };
    let aside = "mv /mnt/conf /mnt/aside";
    let output = begun(&inside, &[], aside);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot move"), "{output:?}");
    // A symlink is followed there as it is anywhere, and what lies beside is not held.
    let output = begun(&beside, &["--ro-path", "/mnt/link/secret"], aside);
    assert!(output.status.success() && project.join("aside").exists(), "{output:?}");
}
