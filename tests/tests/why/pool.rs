//! What is asked about, and of which containers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use seclude_tests::{Scratch, is_root};

/// Any sequence does; the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.next(of.len())]
    }
}

/// Files of the test's own, of all kinds of modes and owners.
pub(crate) struct Files {
    own: Scratch,
    root: Scratch,
}

const MODES: [u32; 12] = [0o000, 0o400, 0o440, 0o444, 0o604, 0o644, 0o666, 0o700, 0o711, 0o755, 0o070, 0o007];

fn give_away(path: &Path, random: &mut Random) {
    // Nobody else may.
    if is_root() && random.next(2) == 0 {
        let ids = [0, 1000, 65534, 65536, 100_000];
        chown(path, Some(*random.one(&ids)), Some(*random.one(&ids))).expect("root may");
    }
}

impl Files {
    pub(crate) fn new(random: &mut Random) -> Files {
        let files = Files { own: Scratch::new("why"), root: Scratch::new("why-root") };
        for scratch in [&files.own, &files.root] {
            // Root's containers that mount by themselves may write only to what others do not come to.
            let mode = if is_root() { 0o700 } else { 0o755 };
            fs::set_permissions(scratch.path(), Permissions::from_mode(mode)).expect("it is ours");
        }
        for mode in MODES {
            let own = &files.own;
            own.file(format!("d{mode:03o}/in"), "#!/bin/sh\n");
            own.file(format!("f{mode:03o}"), "#!/bin/sh\n");
            fs::set_permissions(own.join(format!("d{mode:03o}/in")), Permissions::from_mode(0o755))
                .expect("it is ours");
            for kind in ["f", "d"] {
                let path = own.join(format!("{kind}{mode:03o}"));
                give_away(&path, random);
                fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            }
        }
        for (to, name) in [
            ("f644", "relative"),
            ("d755", "directory"),
            ("../../../../../etc/passwd", "up"),
            ("/etc/shadow", "absolute"),
            ("/tmp", "memory"),
            ("missing", "dangling"),
            ("loop", "loop"),
        ] {
            symlink(to, files.own.join(name)).expect("a symlink");
        }
        // In its group alone, and of ids that no container has.
        for (kind, uid, gid) in [("g", 1000, 0), ("b", 100_000, 100_000)] {
            for mode in MODES {
                let path = files.own.file(format!("{kind}{mode:03o}"), "#!/bin/sh\n");
                if is_root() {
                    chown(&path, Some(uid), Some(gid)).expect("root may");
                }
                fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            }
        }
        let sticky = files.own.directory("sticky");
        symlink("../f644", sticky.join("link")).expect("a symlink");
        if is_root() {
            std::os::unix::fs::lchown(sticky.join("link"), Some(1000), Some(1000)).expect("root may");
        }
        fs::set_permissions(&sticky, Permissions::from_mode(0o1777)).expect("it is ours");
        // With the host's programs in it, for the probe.
        for directory in ["usr", "proc", "dev", "sys", "tmp", "etc", "root", "mnt", "var/lib"] {
            files.root.directory(directory);
        }
        for name in ["bin", "lib", "lib64"] {
            if let Ok(to) = fs::read_link(Path::new("/").join(name)) {
                symlink(to, files.root.join(name)).expect("a symlink");
            }
        }
        for name in ["etc/passwd", "etc/shadow", "var/lib/of-the-root"] {
            files.root.file(name, "of the root");
        }
        fs::set_permissions(files.root.join("etc/shadow"), Permissions::from_mode(0o600)).expect("it is ours");
        files
    }
}

/// A container: its flags, what to ask about besides, and what of it a probe may try.
pub(crate) struct Set {
    pub(crate) flags: Vec<String>,
    pub(crate) paths: Vec<String>,
    /// Whether it has a filter of its own and no capabilities, and so can be handed any call.
    pub(crate) calls: bool,
    /// Whether what it writes may be the host's.
    pub(crate) writes: bool,
}

/// Of the host: all that is asked about in any case.
pub(crate) const PATHS: [&str; 66] = [
    "/",
    "/etc",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssl/private",
    "/etc/ssl/private/key",
    "/etc/ssl/private/../certs",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/nonexistent",
    "/etc/passwd/x",
    "/etc/passwd/",
    "/etc/alternatives/awk",
    "/etc/./passwd",
    "/usr",
    "/usr/bin",
    "/usr/bin/tac",
    "/usr/bin/../bin/tac",
    "/usr/bin/passwd",
    "/usr/bin/x",
    "/usr/share/doc",
    "/usr/local",
    "/usr/local/bin",
    "/bin",
    "/bin/tac",
    "/bin/sh",
    "/lib",
    seclude_sys::arch::ELF_LOADER,
    "/opt",
    "/root",
    "/root/.bashrc",
    "/root/x",
    "/home",
    "/home/nobody-at-all/x",
    "/var",
    "/var/lib",
    "/var/lib/dpkg/status",
    "/var/tmp",
    "/var/tmp/x",
    "/var/run",
    "/var/run/x",
    "/run/x",
    "/tmp",
    "/tmp/x",
    "/tmp/../tmp/x",
    "/dev",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/shm",
    "/dev/shm/x",
    "/dev/x",
    "/proc/cpuinfo",
    "/proc/kcore",
    "/proc/sys/kernel/hostname",
    "/proc/self/status",
    "/sys/kernel",
    "/sys/firmware",
    "/srv",
    "/srv/x",
    "/mnt/x",
    "/nonexistent/x",
];

fn below(place: &str) -> Vec<String> {
    let kinds = ["f", "g", "b", "d"];
    let names = MODES
        .iter()
        .flat_map(|mode| kinds.map(|kind| format!("{kind}{mode:03o}")).into_iter().chain([format!("d{mode:03o}/in")]));
    let others = [
        "",
        "relative",
        "directory/in",
        "up",
        "absolute",
        "memory",
        "dangling",
        "loop",
        "sticky/link",
        "sticky/new",
        "new",
        "d755/new",
        "d007/new",
        "f644/x",
    ];
    let names = names.chain(others.iter().map(|name| (*name).to_owned()));
    names.map(|name| format!("{place}/{name}")).collect()
}

pub(crate) fn set(files: &Files, random: &mut Random) -> Set {
    let own = files.own.path().to_str().expect("a path of ASCII letters").to_owned();
    let root = files.root.path().to_str().expect("a path of ASCII letters").to_owned();
    let mut set = Set { flags: Vec::new(), paths: Vec::new(), calls: false, writes: false };
    let flags = |set: &mut Set, flags: &[&str]| set.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let base = random.next(10);
    match base {
        0..=3 => set.calls = true,
        4 => flags(&mut set, &["--preset", "host"]),
        5 => {
            flags(&mut set, &["--bare"]);
            (set.writes, set.paths) = (true, below(&own));
            // Without a mount namespace there is nothing to mount in.
            return set;
        }
        6 => {
            flags(&mut set, &["--bare", "--unshare", "user,mount,pid"]);
            (set.writes, set.paths) = (true, below(&own));
        }
        7 => {
            flags(&mut set, &["--root", &root, "--ro-bind", "/usr"]);
            set.paths.extend(["/etc/shadow", "/var/lib/of-the-root", "/var/lib/new"].map(String::from));
        }
        8 if has_landlock() => {
            flags(&mut set, &["--no-namespaces"]);
            set.paths = below(&own);
            for _ in 0..random.next(3) {
                let (flag, name) = (*random.one(&["--ro", "--rw"]), *random.one(&["d755", "f644", "d711", "f666"]));
                let path = format!("{own}/{name}");
                if !set.flags.contains(&path) {
                    flags(&mut set, &[flag, &path]);
                }
            }
            set.writes = true;
            return set;
        }
        _ => flags(&mut set, &["--host-root"]),
    }
    if base == 9 && !is_root() {
        set.flags.clear();
    }
    for _ in 0..random.next(4) {
        add(&mut set, base, &own, random);
    }
    for _ in 0..random.next(3) {
        let more: &[&[&str]] = &[
            &["--overlay"],
            &["--cap-add", "DAC_OVERRIDE"],
            &["--cap-add", "DAC_READ_SEARCH"],
            &["--nested"],
            &["--map-subids"],
            &["--deny-syscall", "mkdir=EACCES", "--allow-syscall", "ptrace"],
            &["--ro", "/etc/shadow"],
            &["--ro-path", "/usr/share"],
            &["--share", "user"],
            &["--share", "pid"],
            &["--share", "net"],
            &["--hostname", "box"],
        ];
        let more = *random.one(more);
        if base < 4 && !set.flags.iter().any(|flag| more.contains(&flag.as_str())) {
            flags(&mut set, more);
        }
    }
    // Those of an ordinary user are itself alone.
    if is_root() && base < 4 && random.next(3) == 0 {
        flags(&mut set, &["--user", "1000:1000"]);
    }
    if has_landlock() && base < 4 && random.next(4) == 0 {
        flags(&mut set, &["--landlock-exec", "/usr", "--landlock-ro", "/etc/passwd", "--landlock-rw", "/dev/null"]);
        let (flag, place) = (
            *random.one(&["--landlock-ro", "--landlock-rw", "--landlock-exec"]),
            *random.one(&["/tmp", "/etc", "/var"]),
        );
        flags(&mut set, &[flag, place]);
        // What a rule refuses besides the filter is no call's affair, but what it tries is.
        set.calls = false;
    }
    set
}

/// One thing more that lies in the tree.
fn add(set: &mut Set, base: usize, own: &str, random: &mut Random) {
    // What is not memory has places for nothing but what is there.
    let (inside, is_memory) = if base < 4 || base == 9 { ("/mnt/shown", true) } else { ("/mnt", false) };
    let kind = random.next(9);
    let has = |flag: &str| set.flags.iter().any(|own| own == flag);
    // Two ways to say one thing, and what is shown below what is closed: neither starts.
    if (kind < 2 && (has(own) || has("--ro-path"))) || (kind == 7 && has(own)) || (kind == 5 && has("--dir")) {
        return;
    }
    let mut flags = |flags: &[&str]| set.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    match kind {
        0 if base != 7 => {
            flags(&["--ro", own]);
            set.paths.extend(below(own));
        }
        // Files of ids that the container has not cannot be given to it.
        1 if base != 7 => {
            flags(&["--rw", own]);
            set.paths.extend(below(own));
        }
        2 => {
            flags(&["--bind", &format!("{own}:{inside}")]);
            set.paths.extend(below(inside));
        }
        3 => {
            flags(&["--mount", &format!("type=bind,src={own},dst={inside},ro,noexec")]);
            set.paths.extend(below(inside));
        }
        4 => {
            let mode = *random.one(&["1777", "755", "700", "555"]);
            flags(&["--tmpfs", &format!("{inside}:size=1M,mode={mode}"), "--file", &format!("{inside}/f=text")]);
            set.paths.extend(["", "/f", "/new"].map(|name| format!("{inside}{name}")));
        }
        5 if is_memory => {
            flags(&["--dir", "/media/made", "--symlink", "/etc/passwd:/media/link", "--file", "/media/made/f=text"]);
            set.paths
                .extend(["/media/made", "/media/made/f", "/media/made/new", "/media/link", "/media"].map(String::from));
        }
        6 if random.next(2) == 0 && set.paths.iter().any(|path| path.starts_with(inside)) && base != 6 => {
            let name = *random.one(&["f644", "d755", "directory", "d777"]);
            flags(&["--mask", &format!("{inside}/{name}")]);
        }
        6 => {
            flags(&["--mask", *random.one(&["/etc/passwd", "/usr/share"])]);
            set.paths.extend(["/usr/share/doc", "/usr/share", "/etc/passwd"].map(String::from));
        }
        7 if base != 6 => {
            // (An empty one would look as if it were masked.)
            flags(&["--file", "/tmp/kept=text", "--ro-path", "/tmp"]);
            set.paths.extend(["/tmp/new", "/tmp"].map(String::from));
        }
        8 if is_memory => {
            flags(&["--mount", &format!("type=tmpfs,dst={inside},noexec"), "--file", &format!("{inside}/f=text")]);
            set.paths.extend(["", "/f", "/new"].map(|name| format!("{inside}{name}")));
        }
        _ => {}
    }
}

fn has_landlock() -> bool {
    seclude::Host::current().with_landlock().landlock >= 6
}
