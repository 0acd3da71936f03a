//! Published attacks on runtimes, each shown to lead nowhere here, and somewhere where the protection is not.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, Signal, kill_process};
use seclude_tests::{
    Scratch, busybox_root, inside, is_root, outside, python, refusal, refused, root_only, seclude, seclude_bin,
    seclude_command, stdout_of, try_inside, try_outside,
};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII letters")
}

fn executable(path: &Path) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A program of x86-64 for the place of the ELF loader: opens /proc/self/exe as descriptor 3, and executes /payload.
#[cfg(target_arch = "x86_64")]
fn hostile_loader() -> Vec<u8> {
    #[rustfmt::skip]
    let code: &[u8] = &[
        0x6a, 0x02, 0x58,                               // push 2 (open); pop rax
        0x48, 0x8d, 0x3d, 0x20, 0x00, 0x00, 0x00,       // lea rdi, [rip + exe]
        0x31, 0xf6, 0x0f, 0x05,                         // xor esi, esi; syscall
        0x48, 0x8d, 0x3d, 0x24, 0x00, 0x00, 0x00,       // lea rdi, [rip + payload]
        0x6a, 0x00, 0x57, 0x48, 0x89, 0xe6, 0x31, 0xd2, // push 0; push rdi; mov rsi, rsp; xor edx, edx
        0x6a, 0x3b, 0x58, 0x0f, 0x05,                   // push 59 (execve); pop rax; syscall
        0x6a, 0x3c, 0x58, 0x6a, 0x09, 0x5f, 0x0f, 0x05, // exit(9)
    ];
    let code = [code, b"/proc/self/exe\0/payload\0"].concat();
    let size = (120 + code.len()) as u64;
    // ELF64 header: a position-independent x86-64 program with one program header, entered behind both.
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for value in [120u64, 64, 0] {
        elf.extend(value.to_le_bytes());
    }
    elf.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0");
    // PT_LOAD, readable and executable: the whole file.
    elf.extend(b"\x01\0\0\0\x05\0\0\0");
    for value in [0u64, 0, 0, size, size, 4096] {
        elf.extend(value.to_le_bytes());
    }
    [elf, code].concat()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_runtime_cannot_be_overwritten_through_proc_self_exe() {
    // CVE-2019-5736: an image has the runtime execute itself, with the image's loader in it, which keeps a descriptor
    // of the runtime's file and writes to it when nobody runs that any more.
    let root = busybox_root("self-exe");
    root.directory("lib64");
    fs::write(root.join("lib64/ld-linux-x86-64.so.2"), hostile_loader()).unwrap();
    root.file("script", "#!/proc/self/exe\n");
    let write = "#!/bin/sh\ni=0\nwhile [ $i -lt 500 ]; do\n\
        if ( echo overwritten >> /proc/$$/fd/3 ) 2> /dev/null; then echo written; exit; fi\n\
        i=$((i+1)); usleep 1000\ndone\n";
    root.file("payload", write);
    for name in ["lib64/ld-linux-x86-64.so.2", "script", "payload"] {
        executable(&root.join(name));
    }
    let own = Scratch::new("victim");
    let victim = own.join("seclude");
    for command in ["/proc/self/exe", "/script", "/proc/thread-self/exe"] {
        for more in [&[][..], &["--init"], &["--clone=copy"], &["--clone=legacy"]] {
            // By a process of its own: see busybox_root.
            assert!(Command::new("cp").args([&seclude_bin(), &victim]).status().unwrap().success());
            let before = fs::read(&victim).unwrap();
            let flags = [&["run", "--root", text(root.path()), "--detach"], more, &[command]].concat();
            // Its output ends when the payload does.
            let output = Command::new(&victim).args(flags).stdin(Stdio::null()).output().unwrap();
            assert!(fs::read(&victim).unwrap() == before, "{command} {more:?}: {output:?}");
        }
    }
    // The payload does what it says with a descriptor that it gets.
    let unprotected = own.file("unprotected", "as it was\n");
    outside(&format!("'{}' sh {} 3< {}", "/bin/busybox", root.join("payload").display(), unprotected.display()));
    assert_eq!(fs::read_to_string(&unprotected).unwrap(), "as it was\noverwritten\n");
}

#[test]
fn the_init_cannot_be_written_read_or_traced_from_inside() {
    let look = "for f in exe mem environ fd/0 cwd; do ( : < /proc/1/$f ) 2>/dev/null && echo $f; done; \
        ( : >> /proc/1/exe ) 2>&1 | grep -c -E 'Permission denied|Text file busy|Read-only'";
    assert_eq!(inside(&["--init"], look), "1");
    assert_eq!(inside(&["--init", "--cap-add", "ALL", "--cap-drop", "SYS_PTRACE"], look), "1");
    // The same of a process that is not the init.
    let contrast = "sleep 1000 & p=$!; ( : < /proc/$p/environ ) && echo readable; kill -9 $p";
    assert_eq!(inside(&["--init"], contrast), "readable");
}

#[test]
fn an_image_whose_proc_sys_or_dev_is_a_symlink_is_refused() {
    // CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867, CVE-2026-41579
    let host = Scratch::new("sentinel");
    host.directory("self/fd");
    let before = host.listing();
    for name in ["proc", "dev", "sys"] {
        for to in [text(host.path()), "/", "tmp", "../../../../../../../tmp", "/no/such/place"] {
            let root = busybox_root("links");
            fs::remove_dir(root.join(name)).unwrap();
            symlink(to, root.join(name)).unwrap();
            let inner = root.listing();
            for writable in ["--writable", "--read-only"] {
                let flags = ["run", "--root", text(root.path()), writable, "--mount", "type=sysfs,dst=/sys", "true"];
                let line = refused(125, &flags);
                assert!(line.contains("symlink") && line.contains(name), "{line}");
            }
            assert_eq!((host.listing(), root.listing()), (before.clone(), inner), "/{name} to {to}");
        }
    }
    let root = busybox_root("no-links");
    stdout_of(&seclude(&["run", "--root", text(root.path()), "--mount", "type=sysfs,dst=/sys", "true"]));
}

#[test]
fn no_capability_is_inheritable() {
    // CVE-2022-29162, CVE-2022-27650, CVE-2025-27612
    let look = "grep -E 'Cap(Inh|Amb)' /proc/self/status | cut -f2 | sort -u";
    for flags in [&["--cap-add", "ALL"][..], &["--cap-add", "ALL", "--init"], &["--cap-add", "NET_RAW"], &[]] {
        assert_eq!(inside(flags, look), "0000000000000000", "{flags:?}");
    }
    assert_ne!(inside(&["--cap-add", "ALL"], "grep CapEff /proc/self/status | cut -f2"), "0000000000000000");
    if is_root() {
        let caller = format!("setpriv --inh-caps +chown,+net_raw '{}' run", seclude_bin().display());
        for flags in ["", "--cap-add ALL", "--share user"] {
            assert_eq!(outside(&format!("{caller} {flags} sh -c \"{look}\"")), "0000000000000000", "{flags}");
        }
        assert!(outside(&format!("setpriv --inh-caps +chown,+net_raw sh -c \"{look}\"")).contains("2001"));
    }
}

#[test]
fn no_descriptor_of_the_host_is_a_way_out() {
    // CVE-2024-21626: a leaked directory, entered as /proc/self/fd/N.
    let bin = seclude_bin();
    let open = "5< / 6< /etc 7< /etc/hostname";
    for number in 0..20 {
        for process in ["self", "1", "thread-self"] {
            let path = format!("/proc/{process}/fd/{number}");
            for more in ["", "--init", "--share pid,mount"] {
                let output = try_outside(&format!("'{}' run {more} --workdir {path} pwd {open}", bin.display()));
                let line = refusal(125, &output);
                assert!(line.contains("workdir"), "{line}");
            }
        }
    }
    for path in ["/proc/self/cwd", "/proc/self/root", "/proc/1/root/etc"] {
        refused(125, &["run", "--workdir", path, "pwd"]);
    }
    let list = "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)))";
    for more in ["", "--init", "--clone copy", "--clone legacy"] {
        let run = format!("'{}' run {more} /usr/bin/python3 -c \"{list}\" {open}", bin.display());
        assert_eq!(outside(&run), "[0, 1, 2]", "{more}");
    }
    let inherited = outside(&format!("/usr/bin/python3 -c \"{list}\" {open}"));
    assert!(inherited.starts_with("[0, 1, 2, 5, 6, 7"), "without seclude: {inherited}");
}

#[test]
fn a_target_swapped_for_a_symlink_while_it_is_mounted_on_leads_nowhere() {
    // CVE-2021-30465, CVE-2024-45310, CVE-2024-42472: RENAME_EXCHANGE between a directory and a link to the host.
    let (root, host, source) = (busybox_root("race"), Scratch::new("sentinel"), Scratch::new("source"));
    root.directory("a");
    source.file("file", "text");
    host.directory("in");
    symlink(host.path(), root.join("b")).unwrap();
    fs::create_dir_all(root.join("b/naive")).unwrap();
    assert!(host.join("naive").exists(), "who walks the path ends up outside");
    fs::remove_dir(host.join("naive")).unwrap();
    let before = host.listing();

    let (stop, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let (mut ran, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (root.join("a"), root.join("b"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..100 {
            let flags = [
                format!("--root={}", root.path().display()),
                "--writable".into(),
                format!("--dir=/a/made{round}/deep"),
                format!("--bind={}:/a/in/file{round}", source.join("file").display()),
                format!("--file=/a/text{round}=text"),
                format!("--tmpfs=/a/fresh{round}"),
                format!("--symlink=target:/a/link{round}"),
            ];
            let mut arguments = vec!["run"];
            arguments.extend(flags.iter().map(String::as_str));
            arguments.extend(["sh", "-c", "echo inside > /a/in/by-the-command 2>/dev/null; exit 0"]);
            match seclude(&arguments).status.code() {
                Some(0) => ran += 1,
                Some(125) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(host.listing(), before, "{ran} ran, {refused} refused, {swaps:?} swaps");
    assert!(swaps.load(Ordering::Relaxed) > 100 && refused > 0, "{ran} ran, {refused} refused, {swaps:?} swaps");
}

#[test]
fn no_file_of_the_host_is_made_through_a_link_of_the_image() {
    // CVE-2024-45310, crun 2026-88264 and 2026-88265
    let (root, host) = (busybox_root("links"), Scratch::new("sentinel"));
    let missing = host.join("made");
    let climbing = format!("../../../../../../../..{}", missing.display());
    for (name, to) in [("absolute", text(&missing)), ("climbing", &climbing)] {
        symlink(to, root.join("mnt").join(name)).unwrap();
        symlink(to, root.join("dev").join(if name == "absolute" { "console" } else { "null" })).unwrap();
        let target = format!("/mnt/{name}");
        let flags = [
            format!("--bind=/etc/hostname:{target}"),
            format!("--file={target}=text"),
            format!("--tmpfs={target}"),
            format!("--dir={target}"),
            format!("--bind=/etc:{target}"),
            format!("--symlink=x:{target}"),
            format!("--tmpfs={target}/below"),
            format!("--overlay-mount=lower=/etc,ephemeral,to={target}"),
        ];
        for flag in flags {
            refused(125, &["run", "--root", text(root.path()), "--writable", &flag, "true"]);
            assert!(host.listing().is_empty(), "{flag}");
        }
    }
    let run =
        ["run", "--root", text(root.path()), "--writable", "sh", "-c", "echo x > /dev/null; echo y > /dev/stderr"];
    stdout_of(&seclude(&run));
    assert!(host.listing().is_empty());
    fs::create_dir(&missing).unwrap();
    assert!(root.join("mnt/absolute").is_dir(), "the links do lead there");
}

#[test]
fn what_is_masked_shows_the_null_device_whatever_the_image_has_for_one() {
    // CVE-2025-31133, CVE-2025-62161
    let host = Scratch::new("sentinel");
    let precious = host.file("precious", "of the host");
    for fake in ["file", "link", "directory"] {
        let root = busybox_root("fake-null");
        root.file("etc/secret", "secret");
        match fake {
            "file" => drop(root.file("dev/null", "fake")),
            "link" => symlink(&precious, root.join("dev/null")).unwrap(),
            _ => drop(root.directory("dev/null")),
        }
        let flags = ["--root", text(root.path()), "--mask", "/etc/secret"];
        let look = "stat -c %t:%T /etc/secret; cat /etc/secret; echo lost > /etc/secret; cat /proc/timer_list; stat -c %t:%T /proc/timer_list";
        assert_eq!(inside(&flags, look), "1:3\n1:3", "{fake}");
        assert_eq!(inside(&flags[..2], "cat /etc/secret"), "secret", "without the mask");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "of the host");
    }
    let raw = inside(
        &["--bare", "--unshare=user,mount,pid", "--mount", "type=proc,dst=/mnt"],
        "stat -c %t:%T /mnt/timer_list",
    );
    assert_eq!(raw, "0:0", "a /proc that nobody masked has the file itself");
}

#[test]
fn the_root_is_read_only_whatever_the_image_has_in_proc() {
    // crun 2026-115521: the image's own /proc/self/fd redirects the remount.
    let (root, host) = (busybox_root("fake-proc"), Scratch::new("sentinel"));
    for number in 0..40 {
        root.directory("proc/self/fd");
        symlink(host.path(), root.join(format!("proc/self/fd/{number}"))).unwrap();
    }
    for place in ["/", "/etc/", "/usr/", "/proc/", "/bin/"] {
        let output = try_inside(&["--root", text(root.path())], &format!("> {place}x"));
        let said = String::from_utf8_lossy(&output.stderr);
        let word = if place == "/proc/" { "nonexistent directory" } else { "Read-only file system" };
        assert!(said.contains(word) || said.contains("No such file"), "{place}: {said}");
        assert!(place == "/proc/" || said.contains(word), "{place}: {said}");
    }
    inside(&["--root", text(root.path()), "--writable"], "> /etc/x");
    assert!(root.join("etc/x").exists() && host.listing().is_empty());
}

/// How each file answers an open for writing; nothing is written.
fn opens(flags: &[&str], paths: &[&str]) -> Vec<String> {
    let program = format!(
        "import os, errno\nfor path in {paths:?}:\n    try:\n        os.close(os.open(path, os.O_WRONLY)); print('opened')\n    \
         except OSError as error:\n        print(errno.errorcode[error.errno])"
    );
    python(flags, &program).lines().map(str::to_owned).collect()
}

#[test]
fn the_hosts_knobs_cannot_be_turned_from_inside() {
    // CVE-2025-52881, CVE-2025-62596: /proc/sysrq-trigger and core_pattern are ways to take the host.
    let all = [
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/swappiness",
        "/proc/irq/default_smp_affinity",
    ];
    let knobs: Vec<&str> = all.into_iter().filter(|knob| Path::new(knob).exists()).collect();
    assert!(knobs.len() >= 2, "this kernel has {knobs:?}");
    for flags in [&[][..], &["--cap-add", "ALL"], &["--as-pid-1"], &["--share", "net"], &["--nested"]] {
        for (knob, answer) in knobs.iter().zip(opens(flags, &knobs)) {
            // Who is not root of the host is refused before the file system is asked.
            assert_eq!(answer, "EACCES", "{knob} {flags:?}");
            if is_root() && flags != ["--nested"] {
                let flags = [flags, &["--host-root"]].concat();
                assert_eq!(opens(&flags, &[knob]), ["EROFS"], "{knob} {flags:?}");
            }
        }
    }
    if is_root() {
        let raw: Vec<String> = knobs.iter().map(|knob| knob.replace("/proc/", "/mnt/")).collect();
        let raw: Vec<&str> = raw.iter().map(String::as_str).collect();
        let answers = opens(&["--mount", "type=proc,dst=/mnt"], &raw);
        assert_eq!(answers, vec!["EACCES"; knobs.len()], "a range of ids has nobody who owns the host's");
        let masked = opens(&["--host-root", "--mount", "type=proc,dst=/mnt"], &raw);
        assert_eq!(masked, vec!["EROFS"; knobs.len()], "one of its own has the preset's masks");
        let answers = opens(&["--bare", "--unshare", "mount,pid", "--mount", "type=proc,dst=/mnt"], &raw);
        assert_eq!(
            answers,
            vec!["opened"; knobs.len()],
            "who is root needs no capability for a /proc without the preset"
        );
    }
}

#[test]
fn the_hosts_sys_and_cgroups_cannot_be_written_from_inside() {
    // CVE-2023-25809. Neither has files to create: read-only is said first, something else where it is not.
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut places = vec!["/sys".to_owned(), "/sys/kernel".to_owned()];
    let cgroups =
        mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|words| words[2].starts_with("cgroup"));
    places.extend(cgroups.map(|words| words[1].to_owned()).filter(|place| place.starts_with("/sys/")));
    let program = format!(
        "import os, errno\nfor place in {places:?}:\n    try:\n        \
         os.open(place + '/no.such_file', os.O_WRONLY | os.O_CREAT | os.O_EXCL)\n    \
         except OSError as error:\n        print(errno.errorcode[error.errno])"
    );
    let answers = |flags: &[&str]| -> Vec<String> { python(flags, &program).lines().map(str::to_owned).collect() };
    let refused = answers(&[]);
    // A /sys of its own has no cgroups in it.
    assert!(refused.iter().all(|answer| ["EROFS", "ENOENT"].contains(&answer.as_str())), "{refused:?}");
    assert_eq!(refused[..2], ["EROFS"; 2]);
    assert_eq!(answers(&["--share", "cgroup"]), vec!["EROFS"; places.len()]);
    let writable = answers(&["--preset", "host", "--writable", "--share", "net"]);
    assert!(
        writable.len() == places.len() && !writable.contains(&"EROFS".to_owned()),
        "with a writable root: {writable:?}"
    );
}

#[test]
fn an_abstract_socket_of_the_host_cannot_be_reached() {
    // CVE-2020-15257
    let name = format!("seclude-test-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let connect = format!(
        "import socket, errno\ntry:\n    socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('connected')\n\
         except OSError as error:\n    print(errno.errorcode[error.errno])"
    );
    assert_eq!(python(&[], &connect), "ECONNREFUSED");
    assert_eq!(python(&["--preset", "host", "--share", "net"], &connect), "connected");
    // By landlock, where the network is shared.
    let is_held = seclude::Host::current().with_landlock().landlock >= 6;
    assert_eq!(python(&["--share", "net"], &connect), if is_held { "EPERM" } else { "connected" });
    drop(listener);
}

#[test]
fn a_setuid_program_gains_nothing() {
    if !is_root() && !seclude(&["run", "--map-subids", "true"]).status.success() {
        eprintln!("skipped: this user has no subordinate ids");
        return;
    }
    let own = Scratch::new("setuid");
    let program = own.join("id");
    fs::copy("/usr/bin/id", &program).unwrap();
    fs::set_permissions(own.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).unwrap();
    let bind = format!("--ro-bind={}:/mnt", own.path().display());
    let mut flags = vec!["--user=1000", bind.as_str()];
    if !is_root() {
        flags.push("--map-subids");
    }
    assert_eq!(inside(&flags, "/mnt/id -u"), "1000");
    flags.push("--no-new-privs=false");
    assert_eq!(inside(&flags, "/mnt/id -u"), "0", "the program is what it was made for");
    assert_eq!(inside(&flags, "/mnt/id -u; grep CapBnd /proc/self/status | cut -f2"), "0\n0000000000000000");
}

#[test]
fn a_seclude_that_is_setuid_refuses_to_run() {
    // CVE-2020-5291, CVE-2026-41163: what was written for its caller's rights must not run with another's.
    root_only!();
    let own = Scratch::new("setuid-runtime");
    let program = own.join("seclude");
    fs::copy(seclude_bin(), &program).unwrap();
    fs::set_permissions(own.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let run = |flags: &str| {
        try_outside(&format!(
            "cd /; setpriv --reuid 65534 --regid 65534 --clear-groups '{}' run {flags} id -u",
            program.display()
        ))
    };
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(stdout_of(&run("")), "0", "without the bit it runs");
    for mode in [0o4755, 0o2755, 0o6755] {
        fs::set_permissions(&program, PermissionsExt::from_mode(mode)).unwrap();
        for flags in ["", "--share user"] {
            let line = refusal(125, &run(flags));
            assert!(line.contains("setuid"), "{mode:o} {flags}: {line}");
        }
    }
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    outside(&format!("setcap cap_sys_admin+i '{}'", program.display()));
    assert_eq!(stdout_of(&run("")), "0", "a capability that nobody gets by it");
    outside(&format!("setcap cap_sys_admin+ep '{}'", program.display()));
    assert!(refusal(125, &run("")).contains("file capabilities"));
}

#[test]
fn a_command_cannot_bring_options_along() {
    // CVE-2024-32462
    refused(127, &["run", "--", "--bind=/etc:/mnt"]);
    refused(127, &["run", "--", "--writable", "--share", "net"]);
    let look = "readlink /proc/self/ns/net";
    let own = outside(look);
    assert_ne!(stdout_of(&seclude(&["run", "sh", "-c", look, "--share", "net"])), own);
    assert_eq!(stdout_of(&seclude(&["run", "--share", "net", "sh", "-c", look])), own);
}

#[test]
fn a_protected_file_that_is_absent_cannot_be_made() {
    // CVE-2026-25725: settings that are to be read-only, but do not exist yet.
    let project = Scratch::new("project");
    project.directory(".settings");
    let bind = format!("--bind={}:/mnt", project.path().display());
    let make = "mkdir -p /mnt/.settings && echo hook > /mnt/.settings/hooks";
    refused(125, &["run", &bind, "--ro-path=/mnt/.settings/hooks", "sh", "-c", make]);
    refused(125, &["run", &bind, "--mask=/mnt/.settings/hooks", "sh", "-c", make]);
    assert!(project.join(".settings").read_dir().unwrap().next().is_none(), "it did not run unprotected");
    let output = try_inside(&[&bind, "--ro-path=/mnt/.settings"], make);
    assert!(String::from_utf8_lossy(&output.stderr).contains("Read-only file system"));
    let moved = try_inside(&[&bind, "--ro-path=/mnt/.settings"], "mv /mnt/.settings /mnt/old");
    assert!(String::from_utf8_lossy(&moved.stderr).contains("busy"), "nor can the directory be put aside");
    inside(&[&bind], make);
    assert!(project.join(".settings/hooks").exists());
}

/// A root with the host's programs in it and nothing else of the host.
fn root_with_programs() -> (Scratch, [String; 4]) {
    let root = Scratch::new("programs");
    for directory in ["usr", "proc", "dev", "tmp", "etc", "mnt"] {
        root.directory(directory);
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    let flags = ["--root".into(), text(root.path()).into(), "--ro-bind".into(), "/usr:/usr".into()];
    (root, flags)
}

#[test]
fn the_hosts_tree_is_out_of_reach() {
    let (_root, flags) = root_with_programs();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    // The classic way out of a chroot, as root with the capability for it.
    let escape = "import os\n\
        os.mkdir('/tmp/jail'); top = os.open('/', os.O_RDONLY)\n\
        os.chroot('/tmp/jail'); print('jailed', not os.path.exists('/usr'))\n\
        os.fchdir(top)\n\
        for _ in range(100): os.chdir('..')\n\
        os.chroot('.')\n\
        print('escaped', os.path.exists('/usr'), 'host', os.path.exists('/etc/hostname'))";
    let with_chroot = [&flags[..], &["--cap-add", "SYS_CHROOT"]].concat();
    assert_eq!(python(&with_chroot, escape), "jailed True\nescaped True host False");
    assert_eq!(
        python(&["--cap-add", "SYS_CHROOT"], escape),
        "jailed True\nescaped True host True",
        "the host's tree has it"
    );
    let look = "ls -A /etc /proc/1/root/etc | grep hostname; ls /.. | tr '\\n' ' '; \
        grep -c ' / / ' /proc/self/mountinfo; umount -l / 2>/dev/null; ls -d /proc/1/cwd/etc/hostname 2>/dev/null; true";
    assert_eq!(
        inside(&[&flags[..], &["--cap-add", "ALL"]].concat(), look),
        "bin dev etc lib lib64 mnt proc sbin tmp usr 0"
    );
}

#[test]
fn a_user_namespace_made_inside_wins_no_writes_back() {
    // By the filter, and by the one that is there without it as well.
    for (flags, words) in [(&[][..], "Operation not permitted"), (&["--seccomp", "none"], "Operation not permitted")] {
        let refused = try_inside(&[flags, &["--user", "1000"]].concat(), "unshare --map-root-user true");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(words), "{refused:?}");
    }
    let nested = "unshare --map-root-user --mount --pid --fork --net sh -c '\
        mount -t tmpfs none /mnt && echo own > /mnt/x && cat /mnt/x; \
        for m in / /proc/sys /proc/sysrq-trigger /sys /usr; do mount -o remount,bind,rw $m 2>/dev/null && echo remounted $m; done; \
        for m in /proc/sys /proc/sysrq-trigger /proc/timer_list /tmp; do umount $m 2>/dev/null && echo uncovered $m; done; \
        mount -t proc none /mnt 2>/dev/null && echo fresh proc; \
        mount -t sysfs none /mnt 2>/dev/null && : > /mnt/kernel/uevent_seqnum 2>/dev/null && echo fresh sysfs; \
        mount --rbind / /mnt && ls -d /mnt/etc && : > /mnt/etc/x && echo written; true' 2>&1 | grep -v 'Read-only file system'; true";
    // With --nested there are no masks to be uncovered, and a fresh /proc and /sys are the nested ones' own.
    let said = inside(&["--nested", "--user", "1000"], nested);
    assert_eq!(said, "own\nfresh proc\n/mnt/etc");
}

#[test]
fn processes_of_the_host_cannot_be_seen_or_signalled() {
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    let look = format!("[ -e /proc/{0} ] && echo seen; kill -0 {0} 2>/dev/null && echo reached; true", sleeper.id());
    let alone = inside(&[], &format!("{look}; set -- /proc/[0-9]*; echo $#"));
    let shared = inside(&["--share", "pid,mount"], &look);
    let as_root = is_root().then(|| inside(&["--share", "pid,mount", "--host-root"], &look));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    // The init, and the shell itself.
    assert_eq!(alone, "2");
    // Where /proc is mounted with hidepid, only the group of root sees what is not its own to trace.
    let hides = std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains("hidepid=");
    match as_root {
        None => assert_eq!(shared, if hides { "reached" } else { "seen\nreached" }),
        Some(as_root) => {
            // A container's root has nobody's uid of the host.
            assert_eq!(shared, "seen");
            assert_eq!(as_root, "seen\nreached");
        }
    }
}

#[test]
fn a_command_that_joins_a_container_has_its_root() {
    // CVE-2026-109569
    let root = busybox_root("joined-root");
    root.file("marker", "of the container");
    let mut command = seclude_command(&[
        "run",
        "--detach",
        "--root",
        text(root.path()),
        "sh",
        "-c",
        "exec >/dev/null 2>&1 sleep 1000",
    ]);
    let pid: i32 = stdout_of(&command.output().unwrap()).parse().unwrap();
    let kinds = ["user=user", "mount=mnt", "pid=pid", "net=net", "uts=uts", "ipc=ipc", "cgroup=cgroup"];
    let join: Vec<String> = kinds.iter().map(|kind| kind.replace('=', &format!("=/proc/{pid}/ns/"))).collect();
    let flags: Vec<&str> = join.iter().flat_map(|join| ["--join", join.as_str()]).collect();
    let output =
        try_inside(&flags, "cat /marker; stat -L -c %i / /proc/self/root /proc/1/root | uniq | wc -l; pwd; echo /*");
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let said = stdout_of(&output);
    assert!(said.starts_with("of the container1\n/\n/bin /dev"), "{said}");
    assert!(!said.contains("/boot") && !said.contains("/lib64"), "{said}");
}
