//! What a command that mounts by itself, nested or with capabilities, does to what it is shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use seclude_tests::{Scratch, is_root, refusal, root_only, seclude_command, stdout_of};

use super::opened;

/// The last of a process's descendants.
fn youngest(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_ascii_whitespace().next_back().map_or(pid, |child| youngest(child.parse().unwrap()))
}

/// By its own rule the kernel lets nothing be renamed or removed that something is mounted on, but for mounts of one's own namespace alone.
const REPLACE: &str = "import os, ctypes, sys\nlibc = ctypes.CDLL(None)\nproject = os.open('.', 0)\n\
    assert libc.mount(b't', b'/mnt', b'tmpfs', 0, None) == 0\nos.mkdir('/mnt/old')\n\
    assert libc.syscall(PIVOT, b'/mnt', b'/mnt/old') == 0\nos.chdir('/')\nassert libc.umount2(b'/old', 2) == 0\n\
    os.rename('kept', 'gone', src_dir_fd=project, dst_dir_fd=project)\nos.mkdir('kept', dir_fd=project)";

#[test]
fn what_is_held_back_is_not_replaced_by_who_makes_mount_namespaces() {
    let own = Scratch::new("replaced");
    opened(&own);
    let project = own.directory("project");
    fs::create_dir(project.join("kept")).unwrap();
    fs::set_permissions(&project, PermissionsExt::from_mode(0o777)).unwrap();
    // Others do not come to it, or root's would be refused for that.
    fs::set_permissions(own.path(), PermissionsExt::from_mode(if is_root() { 0o700 } else { 0o755 })).unwrap();
    fs::write(project.join("kept/file"), "kept").unwrap();
    let replace = REPLACE.replace("PIVOT", if cfg!(target_arch = "x86_64") { "155" } else { "41" });
    let run = |flags: &[&str]| {
        let command = ["unshare", "-Urm", "/usr/bin/python3", "-c", &replace];
        let arguments = [&["run", "--rw", "."], flags, &["--"], &command].concat();
        seclude_command(&arguments).current_dir(&project).output().unwrap()
    };
    for flags in [["--ro", "kept"], ["--mask", "kept"], ["--ro-bind", "kept:kept"]] {
        let absolute = project.join("kept").display().to_string();
        let value = flags[1].replace("kept", &absolute);
        let said = refusal(125, &run(&["--nested", flags[0], &value]));
        assert!(said.contains(flags[0]) && said.contains("put something else in its place"), "{said}");
        let said = refusal(125, &run(&["--cap-add", "SYS_ADMIN", flags[0], &value]));
        assert!(said.contains("put something else in its place"), "{said}");
        let output = run(&[flags[0], &value]);
        assert!(
            !output.status.success() && project.join("kept/file").exists(),
            "without it there are none: {output:?}"
        );
    }
    let spec = project.join("box.toml");
    fs::write(&spec, "rw = [\".\"]\nnested = true\ncommand = [\"true\"]\n").unwrap();
    let said = refusal(125, &seclude_command(&["run", "--spec", spec.to_str().unwrap()]).output().unwrap());
    assert!(said.contains("put another in its place"), "{said}");
    // What nothing is held back of is the command's.
    let output = run(&["--nested"]);
    assert!(output.status.success() && project.join("gone/file").exists(), "{output:?}");
}

#[test]
fn no_program_with_set_id_bits_is_copied_by_an_overlay_of_the_commands_where_others_come_to_it() {
    root_only!();
    let own = Scratch::new("copied-up");
    opened(&own);
    let shown = own.directory("shown");
    let script = "mkdir -p upper work && mount -t overlay o -o userxattr,lowerdir=/usr/bin,upperdir=upper,workdir=work /mnt && \
        /usr/bin/python3 -c 'import os, mmap; it = mmap.mmap(os.open(\"/mnt/su\", os.O_RDWR), 4); it[:4] = b\"evil\"'";
    let run = |flags: &[&str]| {
        let arguments = [&["run"], flags, &["--rw", ".", "--", "unshare", "-Urm", "sh", "-c", script]].concat();
        seclude_command(&arguments).current_dir(&shown).output().unwrap()
    };
    for flags in [&["--nested"][..], &["--cap-add", "SYS_ADMIN"]] {
        let said = refusal(125, &run(flags));
        assert!(said.contains("others come to") && said.contains("chmod go-x"), "{said}");
        assert!(!shown.join("upper").exists());
    }
    let root = ["run", "--nested", "--root", shown.to_str().unwrap(), "--writable", "true"];
    assert!(refusal(125, &seclude_command(&root).output().unwrap()).contains("others come to"));
    // Where nobody comes to it, it is nobody's to start.
    fs::set_permissions(own.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let output = run(&["--nested"]);
    if output.status.success() {
        let copied = fs::metadata(shown.join("upper/su")).unwrap();
        assert_eq!(copied.permissions().mode() & 0o4000, 0o4000, "what would have been a hole");
    }
}

#[test]
fn whoever_joins_a_user_namespace_has_no_capability_that_undoes_what_is_mounted() {
    let own = Scratch::new("joined-user");
    opened(&own);
    let mut first = seclude_tests::Background::start(&["run", "--", "sh", "-c", "echo up; sleep 1000"]);
    assert_eq!(first.line(), "up");
    let inside = youngest(first.pid());
    let user = format!("user=/proc/{inside}/ns/user");
    let run = |flags: &[&str], script: &str| {
        let arguments = [&["run", "--join", &user], flags, &["--", "sh", "-c", script]].concat();
        seclude_command(&arguments).current_dir(own.path()).output().unwrap()
    };
    for capability in ["SYS_ADMIN", "SYS_PTRACE", "ALL"] {
        let said = refusal(125, &run(&["--cap-add", capability], "true"));
        assert!(said.contains("--cap-add") && said.contains("user namespace that is joined"), "{said}");
    }
    assert!(run(&["--cap-add", "NET_ADMIN"], "true").status.success());
    // Of a pid namespace that is joined its own processes are seen, and none of the host's.
    let pid = format!("pid=/proc/{inside}/ns/pid");
    let seen =
        stdout_of(&run(&["--join", &pid], "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; readlink /proc/self/ns/pid"));
    let theirs = fs::read_link(format!("/proc/{inside}/ns/pid")).unwrap().display().to_string();
    assert!(seen.contains("sleep 1000") && seen.contains(&theirs), "{seen}");
    assert!(!seen.contains("seclude run"), "{seen}");
}
