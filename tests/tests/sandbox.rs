//! What the sandbox shows of the host and hands on of the caller, by contrast with the preset that shows all, and with the host.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use seclude_tests::{
    Scratch, has_overlays, inside, is_root, outside, refusal, seclude_command, stdout_of, to_write, try_inside,
};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII letters")
}

/// `seclude run` of a script by somebody with this home, who stands in this directory.
fn run_in(directory: &Path, home: &Path, flags: &[&str], script: &str) -> Output {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", script]].concat();
    seclude_command(&arguments).current_dir(directory).env("HOME", home).output().expect("the seclude command starts")
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_sandbox_has_the_hosts_programs_and_nothing_else_of_its_files() {
    let look = "ls -d /usr/bin/env /etc/passwd /var/lib /proc/self 2> /dev/null; true";
    assert_eq!(inside(&[], look), "/etc/passwd\n/proc/self\n/usr/bin/env");
    assert_eq!(inside(&["--preset", "host"], look), "/etc/passwd\n/proc/self\n/usr/bin/env\n/var/lib");
    let empty = "ls -A /home /media /mnt /root /run /srv /tmp /var/tmp | grep -v ':$' | grep .; true";
    assert_eq!(inside(&["--workdir", "/"], empty), "");
    let top = inside(&["--workdir", "/"], "ls /");
    let known = "bin dev etc home lib lib32 lib64 libx32 media mnt nix gnu opt proc root run sbin srv sys tmp usr var";
    assert!(top.lines().all(|entry| known.split(' ').any(|known| known == entry)), "{top}");
    assert!(outside("ls -A /var/lib | grep -c .") != "0", "the contrast");
}

#[test]
fn its_tree_is_closed_and_its_own_directories_are_open() {
    let write =
        "for d in / /usr /etc /var /mnt /tmp /var/tmp /run /home ~; do (: > $d/x) 2> /dev/null && echo $d; done; true";
    assert_eq!(inside(&[], write), "/tmp\n/var/tmp\n/run\n/home\n/root");
    let flags = "grep -c -E ' /(tmp|var/tmp|run|home|root) rw,nosuid,nodev' /proc/self/mountinfo";
    assert_eq!(inside(&[], flags), "5");
}

#[test]
fn its_own_directories_hold_no_more_than_is_said_all_together() {
    let fill = "for d in /tmp /var/tmp ~; do head -c 800000 /dev/zero > $d/x; done 2> /dev/null; \
        cat /tmp/x /var/tmp/x ~/x | wc -c";
    assert_eq!(inside(&[], fill), "2400000");
    let held: u64 = inside(&["--max-tmp", "1M"], fill).parse().unwrap();
    assert!((800_000..=1 << 20).contains(&held), "{held}");
    let elsewhere = "for f in /dev/x /dev/shm/x; do head -c 3000000 /dev/zero > $f; done 2> /dev/null; cat /dev/x /dev/shm/x | wc -c";
    let held: u64 = inside(&["--max-tmp", "2M"], elsewhere).parse().unwrap();
    assert!(held <= 3 << 20, "{held}");
    if seclude_tests::has_overlays() {
        let held: u64 = inside(&["--overlay", "--max-tmp", "1M"], fill).parse().unwrap();
        assert!(held <= 1 << 20, "{held}");
    }
}

#[test]
fn of_the_environment_it_has_what_tells_of_no_secret_unless_that_is_named() {
    let environment = |flags: &[&str]| {
        let mut command = seclude_command(&[&["run"], flags, &["--", "/usr/bin/env"]].concat());
        command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("HOME", "/home/of/the/caller"), ("LC_ALL", "C")]);
        command.envs([("TZ", "UTC"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("SSH_AUTH_SOCK", "/run/agent")]);
        let output = stdout_of(&command.output().unwrap());
        let mut lines: Vec<String> = output.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines.join(" ")
    };
    assert_eq!(environment(&[]), "HOME=/root LC_ALL=C PATH=/usr/bin:/bin TZ=UTC");
    let with_agent = environment(&["--env", "SSH_AUTH_SOCK", "--env", "OWN=1", "--env", "NOT_THERE"]);
    assert_eq!(with_agent, "HOME=/root LC_ALL=C OWN=1 PATH=/usr/bin:/bin SSH_AUTH_SOCK=/run/agent TZ=UTC");
    let all = "AWS_SECRET_ACCESS_KEY=secret HOME=/root LC_ALL=C PATH=/usr/bin:/bin SSH_AUTH_SOCK=/run/agent TZ=UTC";
    assert_eq!(environment(&["--env-all"]), all);
    assert_eq!(environment(&["--env-all", "--env", "HOME"]), all.replace("/root", "/home/of/the/caller"));
    assert_eq!(environment(&["--preset", "host"]), all.replace("/root", "/home/of/the/caller"));
    assert_eq!(environment(&["--clear-env", "--env", "TZ"]), "TZ=UTC");
}

#[test]
fn the_callers_directory_is_shown_where_it_is_and_closed_until_it_is_said_to_be_written() {
    let scratch = Scratch::new("project");
    scratch.file("work/data", "of the host");
    scratch.file("beside", "not shown");
    let (work, home) = (scratch.join("work"), scratch.join("home"));
    let look = "pwd; cat data; ls ..; (: > made) 2> /dev/null || echo closed";
    let shown = stdout_of(&run_in(&work, &home, &[], look));
    assert_eq!(shown, format!("{}\nof the hostwork\nclosed", text(&work)));
    assert!(!work.join("made").exists());
    let written =
        stdout_of(&run_in(&work, &home, &[&["--rw", "."], to_write()].concat(), "echo new > made; cat data; ls .."));
    assert_eq!(written, "of the hostwork");
    assert_eq!(fs::read_to_string(work.join("made")).unwrap(), "new\n");
    let mode = fs::metadata(work.join("made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&mode), rustix::process::geteuid().as_raw(), "it is the caller's");
}

#[test]
fn who_stands_in_a_home_or_above_one_begins_in_a_new_one_and_is_told() {
    let scratch = Scratch::new("home");
    scratch.file("home/.ssh/id_ed25519", "key");
    scratch.file("home/project/main.c", "int main;");
    let home = scratch.join("home");
    let look = "pwd; ls -A";
    for hidden in [home.clone(), home.join(".ssh"), scratch.path().to_owned(), PathBuf::from("/"), "/proc".into()] {
        let output = run_in(&hidden, &home, &[], look);
        assert_eq!(stdout_of(&output).lines().next(), Some("/root"), "{hidden:?}");
        assert_eq!(complaint(&output).lines().count(), 1, "{output:?}");
        assert!(complaint(&output).contains(text(&hidden)), "{output:?}");
    }
    let told = String::from_utf8(run_in(&home, &home, &[], look).stdout).unwrap();
    assert_eq!(told, "/root\n");
    // By another way to it.
    symlink(&home, scratch.join("link")).unwrap();
    assert_eq!(stdout_of(&run_in(&scratch.join("link"), &scratch.join("link"), &[], look)), "/root");
    let project = run_in(&home.join("project"), &home, &[], "pwd; ls -A . ..");
    assert_eq!(stdout_of(&project), format!("{}/project\n.:\nmain.c\n\n..:\nproject", text(&home)));
    assert_eq!(complaint(&project), "");
    assert_eq!(complaint(&run_in(&home, &home, &["--workdir", "/tmp"], "true")), "", "who says where is not told");
}

#[test]
fn a_home_that_is_mounted_elsewhere_is_one_there() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("elsewhere");
    scratch.file("home/.netrc", "password");
    let (home, other) = (scratch.join("home"), scratch.directory("other"));
    let script = format!(
        "mount --bind {0} {1} && cd {1} && HOME={0} exec {2} run sh -c 'pwd; ls -A'",
        text(&home),
        text(&other),
        text(&seclude_tests::seclude_bin())
    );
    let mut command = std::process::Command::new("unshare");
    let output = command.args(["--mount", "sh", "-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/root\n", "{output:?}");
}

#[test]
fn a_disk_that_has_homes_is_one_of_homes_wherever_they_are_bound() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("disk");
    let (disk, home) = (scratch.directory("disk"), scratch.directory("me"));
    // One mount that is no text hides none of the others.
    let script = format!(
        "mount -t tmpfs disk {disk} && mkdir -p {disk}/homes/me/project {disk}/else && echo key > {disk}/homes/me/.netrc && \
         mount --bind {disk}/homes/me {home} && export HOME={home}; \
         odd=$(printf '{disk}/caf\\351') && mkdir \"$odd\" && mount -t tmpfs odd \"$odd\"; run() {{ {program} run \"$@\" 2>&1; }}; \
         run --ro {disk} true; run --rw {disk}/homes true; run --ro {above} true; cd {disk} && run sh -c 'pwd; ls -A'; \
         cd {disk}/homes/me/project && run pwd; cd /usr; run --ro {disk}/else ls {disk}; run --whole-home --ro {disk} cat {disk}/homes/me/.netrc",
        disk = text(&disk),
        home = text(&home),
        above = text(scratch.path()),
        program = text(&seclude_tests::seclude_bin())
    );
    let output = std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    for line in &lines[..3] {
        assert!(line.contains("would show a home"), "{said}");
    }
    // The line on stderr comes as it comes.
    let is_told = |line: &&str| line.contains("is not shown: the command begins in a new, empty home");
    assert!(lines[3..5].contains(&"/root") && lines[3..5].iter().any(is_told), "{said}");
    assert_eq!(
        lines[5..],
        [&format!("{}/homes/me/project", text(&disk)), "else", "key"],
        "what is no home is shown: {said}"
    );
}

#[test]
fn what_is_the_administrators_stays_so_by_another_mount_of_it() {
    if !is_root() || !Path::new("/etc/shadow").is_file() {
        return;
    }
    let scratch = Scratch::new("administrator");
    let above = scratch.directory("above");
    scratch.directory("above/config");
    scratch.directory("above/local");
    scratch.file("above/jail/key", "");
    // Closed by its mode alone, as no list names it.
    let script = format!(
        "mount --bind /etc {above}/config && mount -t tmpfs local /usr/local && mkdir /usr/local/etc && \
         echo key > /usr/local/etc/key && chmod 600 /usr/local/etc/key && mount --bind /usr/local {above}/local; \
         run() {{ {program} run \"$@\" 2> /dev/null; }}; \
         look='for file in config/shadow config/passwd local/etc/key; do \
         test -s $file && cat $file > /dev/null 2>&1 && printf \"$file \"; done; echo .'; \
         cd {above} && sh -c \"$look\"; \
         for flags in '' '--ro .' '--ro-bind {above}:/x --workdir /x' '--rw .' '--bind {above}:/x --workdir /x' '--no-namespaces'; do \
         run $flags sh -c \"$look\"; done; \
         cd {above}/config && run sh -c 'pwd; wc -c < shadow; ls passwd'; run --ro {above}/config/shadow cmp -n 1 shadow /dev/zero | wc -l; \
         cd {above}/local/etc && run cat key; cd /usr && run --ro {above}/local cat {above}/local/etc/key; \
         cd {above}/config && run --no-namespaces sh -c 'test -e shadow || echo elsewhere'; \
         cd /usr && mount --bind /etc/shadow {above}/jail/key && test -s {above}/jail/key && run --ro {above}/jail wc -c {above}/jail/key | cut -d' ' -f1",
        above = text(&above),
        program = text(&seclude_tests::seclude_bin())
    );
    let output = std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = format!("{}/config", text(&above));
    let expected = [
        "config/shadow config/passwd local/etc/key .",
        "config/passwd .",
        "config/passwd .",
        "config/passwd .",
        // What is given to be written has its owners, but for what the list names.
        "config/passwd local/etc/key .",
        "config/passwd local/etc/key .",
        ".",
        &at,
        "0",
        "passwd",
        // Who names the file itself means it.
        "1",
        "elsewhere",
        // A secret that is mounted below what is named.
        "0",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{output:?}");
}

#[test]
fn what_is_the_administrators_stays_so_where_the_root_is_the_hosts_by_whatever_name() {
    if !is_root() || !Path::new("/etc/shadow").is_file() {
        return;
    }
    let scratch = Scratch::new("administrator-root");
    let script = format!(
        "mount --rbind / {other}; run() {{ {program} run \"$@\"; }}; cd /usr; \
         for flags in '--root /' '--root / --overlay' '--root {other}' '--preset host'; do \
         run $flags sh -c 'wc -c < /etc/shadow; wc -c < /etc/passwd' | tr '\\n' ' '; done; echo; \
         cd {other} && run --root / sh -c 'pwd; wc -c < etc/shadow; wc -c < etc/passwd' | tr '\\n' ' '; echo; cd /usr; run --root / --ro /etc/shadow wc -c /etc/shadow",
        other = text(&scratch.directory("other")),
        program = text(&seclude_tests::seclude_bin()),
    );
    let output = std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let sizes = ["/etc/shadow", "/etc/passwd"].map(|path| fs::metadata(path).unwrap().len());
    let [secret, passwd] = sizes;
    let other = scratch.join("other").display().to_string();
    let expected =
        format!("0 {passwd} 0 {passwd} 0 {passwd} {secret} {passwd} \n{other} 0 {passwd} \n{secret} /etc/shadow\n");
    assert_eq!(said, expected, "the preset of all that the host has is the contrast: {output:?}");
}

#[test]
fn a_directory_of_secrets_that_is_closed_stops_no_start() {
    if !is_root() || !Path::new("/etc/ssl").is_dir() {
        return;
    }
    let script = format!(
        "mount -t tmpfs closed /etc/ssl && mkdir /etc/ssl/private && echo key > /etc/ssl/private/key && chmod 700 /etc/ssl && cat /etc/ssl/private/key; \
         cd / && {} run --workdir / sh -c 'cat /etc/ssl/private/key || echo started'",
        text(&seclude_tests::seclude_bin())
    );
    let output = std::process::Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "key\nstarted\n", "{output:?}");
}

#[test]
fn what_others_have_started_keeps_nobody_from_clearing_up() {
    if !is_root() {
        return;
    }
    // It has what is root's alone in /run/seclude.
    let mut running = seclude_tests::Background::start(&["run", "--", "sh", "-c", "echo up; sleep 1000"]);
    assert_eq!(running.line(), "up");
    let mut gc = std::process::Command::new("setpriv");
    gc.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(seclude_tests::seclude_bin()).arg("gc");
    let output = gc.current_dir("/").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_home_among_the_programs_is_not_shown_with_them() {
    if !is_root() || !Path::new("/opt").is_dir() {
        return;
    }
    let home = PathBuf::from(format!("/opt/seclude-test-home-{}", std::process::id()));
    fs::create_dir_all(home.join("project")).unwrap();
    fs::write(home.join("key"), "secret").unwrap();
    let look = format!("cat {}/key 2> /dev/null || echo closed", text(&home));
    let as_somebody_else = stdout_of(&run_in(Path::new("/usr"), Path::new("/root"), &[], &look));
    let as_itself = stdout_of(&run_in(Path::new("/usr"), &home, &[], &look));
    let project = stdout_of(&run_in(&home.join("project"), &home, &[], &format!("pwd; {look}")));
    fs::remove_dir_all(&home).unwrap();
    assert_eq!((as_somebody_else.as_str(), as_itself.as_str()), ("secret", "closed"));
    assert_eq!(project, format!("{}/project\nclosed", text(&home)));
}

#[test]
fn a_root_of_its_own_has_a_home_of_its_own_too() {
    let home = "echo ${HOME-none}";
    assert_eq!(inside(&["--root", "/"], home), "/root");
    assert_eq!(inside(&["--root", "/", "--user", "1234"], home), "/");
    assert_eq!(inside(&["--root", "/", "--env", "HOME=/mine"], home), "/mine");
}

#[test]
fn what_is_named_is_not_what_a_symlink_there_leads_to() {
    // The project's own code has made them, in a run before.
    let scratch = Scratch::new("links");
    scratch.file("home/.ssh/id", "key");
    scratch.file("project/real/file", "own");
    let (home, project) = (scratch.join("home"), scratch.join("project"));
    for (link, to) in [("run", "/run"), ("etc", "/etc"), ("ssh", "../home/.ssh"), ("inner", "real")] {
        symlink(to, project.join(link)).unwrap();
    }
    for link in ["run", "etc", "ssh", "inner", "inner/file", "ssh/id"] {
        for flag in ["--ro", "--rw"] {
            let said = refusal(125, &run_in(&project, &home, &[flag, link], "true"));
            assert!(said.contains(flag) && said.contains("symlink"), "{said}");
        }
    }
    assert_eq!(stdout_of(&run_in(&project, &home, &["--ro", "real"], "cat real/file")), "own");
    // The same of what is shown by another path, of roots and of layers.
    let whole = |link: &str| text(&project.join(link)).to_owned();
    let lower = |link: &str| format!("lower={},ephemeral,to=/mnt", whole(link));
    for link in ["etc", "ssh", "inner"] {
        for flags in [
            ["--bind", &format!("{}:/mnt", whole(link))],
            ["--ro-bind", &format!("{}:/mnt", whole(link))],
            ["--mount", &format!("type=bind,src={},dst=/mnt", whole(link))],
            ["--root", &whole(link)],
            ["--overlay-mount", &lower(link)],
        ] {
            let said = refusal(125, &run_in(&project, &home, &flags, "true"));
            assert!(said.contains("symlink"), "{flags:?}: {said}");
        }
    }
    for flags in [["--ro-bind", &format!("{}:/mnt", whole("real"))], ["--overlay-mount", &lower("real")]] {
        if flags[0] != "--overlay-mount" || has_overlays() {
            assert_eq!(stdout_of(&run_in(&project, &home, &flags, "cat /mnt/file")), "own", "{flags:?}");
        }
    }
    // Those of the system nobody has left there, and without the sandbox one is followed as everywhere.
    if Path::new("/var/run").is_symlink() {
        assert!(run_in(&project, &home, &["--ro-bind", "/var/run:/mnt"], "true").status.success());
    }
    let bare = ["--bare", "--unshare", "user,mount", "--ro-bind", &format!("{}:/mnt", whole("inner"))];
    assert_eq!(stdout_of(&run_in(&project, &home, &bare, "cat /mnt/file")), "own");
    // A directory that a language says that it is in is taken by its real name.
    let stands = |directory: &Path| {
        let mut command = seclude_tests::shell("pwd; ls -A | wc -l; head -c 4 shadow id 2> /dev/null; true");
        let output = command.sandbox().caller_dir(directory).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(stands(&project.join("inner")).unwrap(), format!("{}\n1\n", text(&project.join("real"))));
    assert_eq!(stands(&project.join("run")).unwrap(), "/run\n0\n", "the container's own");
    assert!(stands(&project.join("etc")).unwrap().starts_with("/etc\n"));
    assert!(!stands(&project.join("etc")).unwrap().contains("root"), "and what is masked there is");
}

#[test]
fn a_symlink_is_not_the_systems_for_where_it_lies() {
    let scratch = Scratch::new("others-links");
    let home = scratch.directory("home");
    // Behind a link that was left there are directories of root's.
    let app = scratch.directory("app");
    symlink("/var", app.join("var")).unwrap();
    let ours = [(app.clone(), vec!["--ro", "var/run"]), (app, vec!["--rw", "var/run"])];
    let mut roots = Vec::new();
    let mut tried = ours.to_vec();
    if is_root() {
        // Projects of root's among what is the system's.
        for place in ["/usr/src", "/usr/lib", "/run", "/dev/shm", "/etc"] {
            let own = Path::new(place).join(format!("seclude-test-{}", std::process::id()));
            if fs::create_dir_all(&own).is_err() {
                continue;
            }
            symlink("/etc", own.join("dist")).unwrap();
            symlink("/etc/shadow", own.join("file")).unwrap();
            symlink("/root", own.join("spec")).unwrap();
            for flags in [["--ro", "./dist"], ["--rw", "./dist"], ["--seccomp", "file"], ["--report", "file"]] {
                tried.push((own.clone(), flags.to_vec()));
            }
            tried.push((own.clone(), vec!["--file", "/tmp/x=@file"]));
            tried.push((own.clone(), vec!["--spec", "spec/box.toml"]));
            roots.push(own);
        }
    }
    let shadow = fs::read("/etc/shadow").ok();
    let said: Vec<_> = tried.iter().map(|(place, flags)| (flags, run_in(place, &home, flags, "true"))).collect();
    roots.iter().for_each(|own| fs::remove_dir_all(own).unwrap());
    assert_eq!(fs::read("/etc/shadow").ok(), shadow);
    for (flags, output) in said {
        assert!(refusal(125, &output).contains("symlink"), "{flags:?}");
    }
    // Those that come with the system are followed.
    let link =
        Path::new("/usr/bin").read_dir().unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_symlink());
    let link = link.filter(|link| link.canonicalize().is_ok_and(|real| real.starts_with("/usr")));
    for named in [link.as_deref(), Some(Path::new("/bin"))].into_iter().flatten() {
        let bind = format!("{}:/mnt/x", text(named));
        assert!(run_in(&home, &home, &["--ro-bind", &bind], "true").status.success(), "{bind}");
    }
}

#[test]
fn naming_what_is_shown_already_shows_no_secret_in_it() {
    let secret = "cat /etc/shadow 2> /dev/null | wc -c";
    assert_eq!(inside(&["--ro", "/etc"], secret), "0");
    if is_root() {
        assert_ne!(outside(secret), "0");
        for (directory, named) in
            [("/etc", "/etc"), ("/usr/local", "/usr/local"), ("/usr/local", "/usr"), ("/usr/src", "/usr")]
        {
            let planted = Planted::file(directory, 0o600);
            let read = format!("cat {} 2> /dev/null || echo closed", text(&planted.0));
            assert_eq!(inside(&["--ro", named], &read), "closed", "{named}");
        }
        assert_ne!(inside(&["--ro", "/etc/shadow"], secret), "0", "who names it, means it");
    }
}

#[test]
fn a_mount_of_what_has_secrets_in_it_shows_none_of_them() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("secrets");
    let planted = Planted::file("/etc", 0o600);
    let name = text(planted.0.file_name().unwrap().as_ref()).to_owned();
    let count = |flags: &[&str], path: &str| inside(flags, &format!("cat {path} 2> /dev/null | wc -c"));
    let shadow = outside("cat /etc/shadow | wc -c");
    assert_ne!(shadow, "0");
    let layers = format!("lower=/etc,lower={},to=/mnt", text(&scratch.directory("lower")));
    for (flags, etc) in [
        (["--ro-bind", "/etc"], "/etc"),
        (["--ro-bind", "/etc:/mnt"], "/mnt"),
        (["--ro-bind", "/:/mnt"], "/mnt/etc"),
        (["--bind", "/etc:/mnt"], "/mnt"),
        (["--overlay-mount", &layers], "/mnt"),
    ] {
        // What kernels have only later: files under other ids to be written, and overlays for users.
        if (flags[0] == "--bind" && !to_write().is_empty()) || (flags[0] == "--overlay-mount" && !has_overlays()) {
            continue;
        }
        assert_eq!(count(&flags, &format!("{etc}/shadow")), "0", "{flags:?}");
        assert_ne!(count(&flags, &format!("{etc}/passwd")), "0", "{flags:?}");
        if flags[0] == "--ro-bind" {
            assert_eq!(count(&flags, &format!("{etc}/{name}")), "0", "closed by its mode: {flags:?}");
        }
    }
    // Whatever the root is.
    let root = seclude_tests::busybox_root("secrets-root");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for named in [["--ro-bind", "/etc:/mnt"], ["--ro-bind", "/:/mnt"]] {
        let etc = if named[1].starts_with("/etc") { "/mnt" } else { "/mnt/etc" };
        let flags = [&["--root", text(root.path()), "--workdir", "/"], &named[..]].concat();
        let of = |name: &str| inside(&flags, &format!("cat {etc}/{name} 2> /dev/null | wc -c"));
        assert_eq!(of("shadow"), "0", "{named:?}");
        assert_ne!(of("passwd"), "0", "{named:?}");
    }
    assert_eq!(count(&["--ro-bind", "/etc/shadow:/mnt/file"], "/mnt/file"), shadow, "who names it, means it");
    let closed = PlantedDirectory::made(0o700);
    fs::write(closed.0.join("file"), "own").unwrap();
    assert_eq!(count(&["--ro-bind", &format!("{}:/mnt", text(&closed.0))], "/mnt/file"), "3", "as is all of it");
    assert_eq!(count(&["--ro-bind", "/etc:/mnt", "--ro-bind", "/etc/shadow:/mnt/shadow"], "/mnt/shadow"), shadow);
}

#[test]
fn a_device_that_lies_in_what_is_shown_is_none() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("nodes");
    let node = scratch.join("zero");
    let made = std::process::Command::new("mknod").arg("-m666").arg(&node).args(["c", "1", "5"]).status().unwrap();
    assert!(made.success());
    let read = format!("head -c 3 {} 2> /dev/null | wc -c", text(&node));
    assert_eq!(outside(&read), "3");
    for flags in [&[][..], &["--ro", text(scratch.path())], &["--rw", text(scratch.path())]] {
        let flags = if flags.len() > 1 && flags[0] == "--rw" { [flags, to_write()].concat() } else { flags.to_vec() };
        let said = stdout_of(&run_in(scratch.path(), Path::new("/root"), &flags, &read));
        assert_eq!(said, "0", "{flags:?}");
    }
    assert_eq!(inside(&["--ro", text(&node)], &read), "3", "one that is named is one");
}

#[test]
fn what_contradicts_is_told() {
    let refused =
        |flags: &[&str]| refusal(125, &seclude_command(&[&["run"], flags, &["true"]].concat()).output().unwrap());
    assert!(refused(&["--ro", "/srv", "--rw", "/srv"]).contains("--rw"));
    assert!(refused(&["--root", "/", "--max-tmp", "1M"]).contains("--max-tmp"));
    assert!(refused(&["--preset", "host", "--max-tmp", "1M"]).contains("--max-tmp"));
    assert!(refused(&["--share", "mount,pid", "--ro", "/srv"]).contains("--ro"));
}

#[test]
fn the_homes_of_others_are_homes() {
    if !is_root() {
        return;
    }
    // As a user of a directory service has one, whom no file lists.
    let home = PathBuf::from(format!("/home/seclude-test-{}", std::process::id()));
    fs::create_dir_all(home.join("project")).unwrap();
    let begins = |directory: &Path| run_in(directory, Path::new("/root"), &[], "pwd");
    let (in_home, in_project) = (begins(&home), begins(&home.join("project")));
    let named = run_in(Path::new("/usr"), Path::new("/root"), &["--ro", text(&home)], "true");
    let all = run_in(Path::new("/usr"), Path::new("/root"), &["--ro", "/home"], "true");
    fs::remove_dir_all(&home).unwrap();
    assert_eq!(String::from_utf8_lossy(&in_home.stdout), "/root\n");
    assert_eq!(stdout_of(&in_project), text(&home.join("project")));
    assert!(refusal(125, &named).contains("--whole-home") && refusal(125, &all).contains("--whole-home"));
}

#[test]
fn what_is_named_is_shown_by_its_own_path_also_where_something_hides_it() {
    let scratch = Scratch::new("named");
    scratch.file("tools/bin/hello", "#!/bin/sh\necho hello");
    scratch.file("tools/.env", "key");
    let tools = scratch.join("tools");
    let path = text(&tools);
    let cat = format!("cat {path}/bin/hello 2> /dev/null | wc -l; (: > {path}/x) 2> /dev/null && echo written; true");
    assert_eq!(inside(&[], &cat), "0");
    assert_eq!(inside(&["--ro", path], &cat), "1");
    assert_eq!(inside(&["--ro", path, "--tmpfs", "/tmp"], &cat), "1", "whatever the order");
    assert!(!tools.join("x").exists());
    assert_eq!(inside(&[&["--rw", path], to_write()].concat(), &cat), "1\nwritten");
    // What is asked for below it stays.
    let masked = format!("cat {path}/.env");
    assert_eq!(inside(&["--mask", &format!("{path}/.env"), "--ro", path], &masked), "");
    assert_eq!(inside(&["--ro", path], &masked), "key");
    // Both in one: the inner one is written.
    let both = format!("(: > {path}/y) 2> /dev/null && echo outer; : > {path}/bin/y && echo inner");
    assert_eq!(inside(&[&["--rw", &format!("{path}/bin"), "--ro", path], to_write()].concat(), &both), "inner");
}

#[test]
fn a_home_is_not_shown_by_whatever_name_unless_all_of_it_is_meant() {
    let scratch = Scratch::new("whole");
    scratch.file("home/.netrc", "password");
    let home = scratch.join("home");
    symlink(&home, scratch.join("link")).unwrap();
    scratch.directory("elsewhere");
    let through = scratch.join("elsewhere/../link/.");
    for named in [&home, &scratch.join("link"), &through, scratch.path()] {
        for flag in ["--ro", "--rw"] {
            let said = refusal(125, &run_in(Path::new("/usr"), &home, &[flag, text(named)], "true"));
            assert!(said.contains(flag) && said.contains("--whole-home"), "{said}");
        }
    }
    let whole = run_in(
        Path::new("/usr"),
        &home,
        &["--ro", text(&home), "--whole-home"],
        &format!("cat {}/.netrc", text(&home)),
    );
    assert_eq!(stdout_of(&whole), "password");
    let missing = refusal(125, &run_in(Path::new("/usr"), &home, &["--ro", "/no/such/place"], "true"));
    assert!(missing.contains("/no/such/place") && missing.contains("does not exist"), "{missing}");
}

#[test]
fn a_command_that_the_host_has_where_the_sandbox_has_nothing_is_told_with_the_way_to_it() {
    let scratch = Scratch::new("hidden");
    let tool = scratch.executable("tool/bin/seclude-test-tool", "#!/bin/sh\necho found");
    let path = format!("{}:/usr/bin:/bin", text(tool.parent().unwrap()));
    let run = |flags: &[&str]| {
        seclude_command(&[&["run"], flags, &["--", "seclude-test-tool"]].concat()).env("PATH", &path).output().unwrap()
    };
    let way = format!("--ro {}", text(&scratch.join("tool")));
    let said = refusal(127, &run(&[]));
    assert!(said.contains(&way), "{said}");
    assert_eq!(stdout_of(&run(&way.split(' ').collect::<Vec<_>>())), "found");
    let nowhere = refusal(127, &seclude_command(&["run", "seclude-test-tool"]).output().unwrap());
    assert!(!nowhere.contains("--ro"), "{nowhere}");
}

#[test]
fn whoever_the_command_runs_as_has_a_name_and_a_home_of_its_own() {
    let look = "id -un; (: > ~/x) && echo written; [ $(getent passwd $(id -u) | cut -d: -f6) = $HOME ] && echo named; \
        [ $(stat -c %a:%u ~) = 700:$(id -u) ] && echo own";
    assert_eq!(inside(&[], look), "root\nwritten\nnamed\nown");
    assert_eq!(inside(&["--user", "54321"], look), "seclude\nwritten\nnamed\nown");
    if !is_root() {
        assert_eq!(inside(&["--map-subids", "--user", "1234"], look), "seclude\nwritten\nnamed\nown");
    }
    assert_eq!(outside("getent passwd 54321 || echo nobody"), "nobody");
}

#[test]
fn the_preset_host_begins_where_the_caller_stands_also_below_its_own_tmp() {
    let own = Scratch::new("stands here");
    own.file("file", "text");
    let run = |flags: &[&str], script: &str| {
        let flags = [&["run", "--preset", "host"], flags, &["--", "sh", "-c", script]].concat();
        stdout_of(&seclude_command(&flags).current_dir(own.path()).output().unwrap())
    };
    let here = own.path().display();
    assert_eq!(
        run(&[], "pwd; cat file; (: > made) 2> /dev/null || echo; echo closed"),
        format!("{here}\ntext\nclosed")
    );
    assert_eq!(run(&[], "ls -A /tmp | wc -l; : > /tmp/made && echo open"), "1\nopen");
    assert_eq!(run(&["--rw", "."], "echo new > file; cat file"), "new");
}

#[test]
fn root_of_the_preset_host_is_the_hosts_root_and_nobody_of_it_in_the_sandbox() {
    let map = "tr -s ' ' < /proc/self/uid_map";
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(inside(&["--preset", "host"], map).trim(), format!("0 {uid} 1"));
    if is_root() {
        assert_ne!(inside(&[], map).trim(), "0 0 1");
    }
}

/// Something below a directory of the host's own, removed at the end.
struct Planted(PathBuf);

impl Planted {
    fn file(directory: &str, mode: u32) -> Planted {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(directory).join(format!("seclude-test-{}-{number}", std::process::id()));
        let planted = Planted(path);
        fs::write(&planted.0, "secret").unwrap();
        fs::set_permissions(&planted.0, fs::Permissions::from_mode(mode)).unwrap();
        planted
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Below /etc.
struct PlantedDirectory(PathBuf);

impl PlantedDirectory {
    fn made(mode: u32) -> PlantedDirectory {
        let path = PathBuf::from(format!("/etc/seclude-test-{}", std::process::id()));
        let planted = PlantedDirectory(path);
        fs::create_dir(&planted.0).unwrap();
        fs::set_permissions(&planted.0, fs::Permissions::from_mode(mode)).unwrap();
        planted
    }
}

impl Drop for PlantedDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_root_keeps_to_itself_in_the_administrators_places_is_closed_to_the_sandboxs_root() {
    if !is_root() {
        return;
    }
    for directory in ["/etc", "/opt", "/usr/local", "/usr/src"] {
        if !Path::new(directory).is_dir() {
            continue;
        }
        for (mode, readable) in [(0o600, false), (0o640, false), (0o644, true)] {
            let planted = Planted::file(directory, mode);
            let read = format!("cat {} 2> /dev/null || echo closed", text(&planted.0));
            assert_eq!(outside(&read), "secret");
            assert_eq!(inside(&["--preset", "host"], &read), "secret");
            assert_eq!(inside(&[], &read), if readable { "secret" } else { "closed" }, "{directory} {mode:o}");
            if has_overlays() {
                let layered = inside(&["--overlay"], &read);
                assert_eq!(layered, if readable { "secret" } else { "closed" }, "in layers: {directory} {mode:o}");
            }
            let able = inside(&["--cap-add", "DAC_OVERRIDE", "--cap-add", "DAC_READ_SEARCH"], &read);
            assert_eq!(able, if readable { "secret" } else { "closed" }, "with capabilities: {directory} {mode:o}");
        }
    }
}

#[test]
fn what_takes_the_place_of_a_secret_while_the_sandbox_runs_is_closed_as_well() {
    if !is_root() {
        return;
    }
    // As passwd(1) does to /etc/shadow: a mask lies on the file that was there.
    let planted = Planted::file("/etc", 0o600);
    let path = text(&planted.0).to_owned();
    let wait = format!("echo up; read go; cat {path} 2> /dev/null || echo closed");
    let mut command = seclude_command(&["run", "/bin/sh", "-c", &wait]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    let newer = Planted::file("/etc", 0o400);
    fs::rename(&newer.0, &planted.0).unwrap();
    drop(child.stdin.take());
    std::io::Read::read_to_string(&mut told, &mut line).unwrap();
    assert_eq!(line, "up\nclosed\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn secrets_below_etc_are_hidden_by_name() {
    let look = "cat /etc/shadow /etc/gshadow 2> /dev/null | wc -c; ls -A /etc/ssl/private /etc/sudoers.d 2> /dev/null | grep -v : | grep -c .; true";
    assert_eq!(inside(&[], look), "0\n0");
    if is_root() {
        assert_ne!(outside("wc -c < /etc/shadow"), "0");
        assert_eq!(inside(&["--host-root"], "wc -c < /etc/shadow"), "0", "also for the host's own root");
        assert_ne!(inside(&["--preset", "host"], "wc -c < /etc/shadow"), "0", "which in the other preset may read it");
    }
}

#[test]
fn with_a_layer_for_its_writes_the_sandbox_shows_no_more() {
    if !seclude_tests::has_overlays() {
        return;
    }
    let look = "ls -d /var/lib /usr/bin/env 2> /dev/null; cat /etc/shadow 2> /dev/null | wc -c; \
        : > /x && : > /mnt/y && echo written";
    assert_eq!(stdout_of(&try_inside(&["--overlay"], look)), "/usr/bin/env\n0\nwritten");
    if is_root() {
        inside(&["--overlay"], ": > /usr/seclude-test-x");
        assert!(!Path::new("/usr/seclude-test-x").exists());
        for directory in ["/etc", "/usr/local"] {
            let planted = Planted::file(directory, 0o600);
            let read = format!("cat {} 2> /dev/null || echo closed", text(&planted.0));
            assert_eq!(inside(&["--overlay"], &read), "closed");
            assert_eq!(inside(&["--preset", "host", "--overlay"], &read), "secret");
        }
    }
    let kept = refusal(125, &try_inside(&["--upper", "/tmp/a", "--work", "/tmp/b"], "true"));
    assert!(kept.contains("root"), "{kept}");
}
