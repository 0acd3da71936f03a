//! `seclude run`: the flags about the root and what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use seclude_tests::{
    Scratch, busybox_root, has_overlays, inside, is_root, outside, refused, seclude_command, stdout_of, try_inside,
};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII letters")
}

/// That the script fails because of a read-only file system, not for want of rights.
fn refuses_as_read_only(flags: &[&str], script: &str) {
    let output = try_inside(flags, script);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("Read-only file system"), "{script}: {said}");
}

/// That what a script says depends on the flags: with them `with`, without them `without`.
fn contrast(flags: &[&str], script: &str, with: &str, without: &str) {
    assert_eq!(inside(flags, script), with, "{flags:?}: {script}");
    assert_eq!(inside(&[], script), without, "without flags: {script}");
}

/// Two directories, of which both have the files `both` and one of their own.
fn layers(scratch: &Scratch) -> [PathBuf; 2] {
    ["a", "b"].map(|name| {
        scratch.file(format!("{name}/only-{name}"), name);
        scratch.file(format!("{name}/both"), name);
        scratch.join(name)
    })
}

#[test]
fn a_directory_becomes_the_root_and_is_read_only() {
    let root = busybox_root("root");
    root.file("etc/marker", "of the root");
    let before = root.listing();
    let marker = "cat /etc/marker 2>/dev/null || echo none";
    contrast(&["--root", text(root.path())], marker, "of the root", "none");
    refuses_as_read_only(&["--root", text(root.path())], "> /etc/x");
    refuses_as_read_only(&["--root", text(root.path()), "--read-only"], "> /etc/x");
    assert_eq!(root.listing(), before);
    inside(&["--root", text(root.path()), "--writable"], "echo from inside > /etc/x");
    assert_eq!(fs::read_to_string(root.join("etc/x")).unwrap(), "from inside\n");
}

#[test]
fn a_layer_in_memory_takes_the_writes_and_is_gone_at_the_end() {
    if !has_overlays() {
        return;
    }
    let root = busybox_root("overlay");
    root.file("etc/kept", "old");
    let before = root.listing();
    let change = "echo new > /etc/kept; > /etc/made; rm -r /var; cat /etc/kept; ls -d /var 2>/dev/null || echo gone";
    assert_eq!(inside(&["--root", text(root.path()), "--overlay"], change), "new\ngone");
    assert_eq!(root.listing(), before);
    assert_eq!(fs::read_to_string(root.join("etc/kept")).unwrap(), "old");
    assert_eq!(inside(&["--root", text(root.path()), "--overlay"], "cat /etc/kept"), "old", "the next run starts anew");
    refuses_as_read_only(&["--root", text(root.path()), "--overlay", "--read-only"], "> /etc/x");
    inside(&["--root", text(root.path()), "--writable"], "echo new > /etc/kept");
    assert_eq!(
        fs::read_to_string(root.join("etc/kept")).unwrap(),
        "new\n",
        "without the layer the root itself is written"
    );
}

#[test]
fn what_is_written_to_a_layer_in_memory_is_told_when_it_goes() {
    let own = Scratch::new("discarded");
    let report = own.join("report");
    let said = |flags: &[&str], script: &str| -> (serde_json::Value, String) {
        let head = ["run", "-v", "--report", text(&report)];
        let output =
            seclude_tests::seclude_command(&[&head[..], flags, &["--", "sh", "-c", script]].concat()).output().unwrap();
        let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
        (json["discarded"].clone(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let write =
        "mkdir -p /opt/a/b; for i in 1 2 3; do echo $i > /opt/a/b/$i; done; ln -s x /opt/a/link; touch /tmp/elsewhere";
    let (found, line) = said(&["--overlay"], write);
    assert_eq!(found, serde_json::json!({ "files": 4, "more": false }), "{line}");
    assert!(
        line.contains("4 files were written to a layer in memory and are discarded (--upper DIR keeps them)"),
        "{line}"
    );
    // Beside the layers, in a directory that has mounts below it: the root is one.
    let (found, line) = said(&["--overlay"], "echo > /file && mkdir /made && echo > /made/file; ln -s x /dev/link");
    assert_eq!(found, serde_json::json!({ "files": 2, "more": false }), "{line}");
    // What set-up makes to mount on is nothing that was written; nor is what stays.
    let (found, line) = said(&["--overlay", "--file", "/etc/own=x", "--hostname", "h"], "true");
    assert_eq!((&found["files"], line.contains("discarded")), (&0.into(), false), "{line}");
    assert_eq!(said(&[], write).0, serde_json::Value::Null);
    let [upper, work] = layers(&own);
    assert_eq!(said(&["--upper", text(&upper), "--work", text(&work)], write).0, serde_json::Value::Null);
}

#[test]
fn a_layer_in_a_directory_keeps_the_writes_and_the_root_stays() {
    if !has_overlays() {
        return;
    }
    let (root, layer) = (busybox_root("upper"), Scratch::new("layer"));
    let (upper, work) = (layer.directory("upper"), layer.directory("work"));
    let before = root.listing();
    let flags = ["--root", text(root.path()), "--upper", text(&upper), "--work", text(&work)];
    inside(&flags, "echo written > /etc/made");
    assert_eq!(root.listing(), before);
    assert_eq!(fs::read_to_string(upper.join("etc/made")).unwrap(), "written\n");
    assert_eq!(inside(&flags, "cat /etc/made"), "written", "it is there for the next run");
    refuses_as_read_only(&[&flags[..], &["--read-only"]].concat(), "> /etc/x");
    assert_eq!(inside(&["--root", text(root.path())], "ls /etc/made 2>/dev/null || echo none"), "none");
}

#[test]
fn a_bind_shows_the_hosts_file_and_only_the_plain_one_can_be_written() {
    let host = Scratch::new("bind");
    let file = host.file("dir/file", "of the host");
    let plain = format!("{}:/mnt", text(host.path()));
    contrast(&["--bind", &plain], "cat /mnt/dir/file 2>/dev/null || echo none", "of the host", "none");
    inside(&["--bind", &plain], "echo changed > /mnt/dir/file");
    assert_eq!(fs::read_to_string(&file).unwrap(), "changed\n");
    refuses_as_read_only(&["--ro-bind", &plain], "echo again > /mnt/dir/file");
    refuses_as_read_only(&["--ro-bind", &plain], "> /mnt/dir/made");
    assert_eq!(fs::read_to_string(&file).unwrap(), "changed\n");
    // One path for both sides, and a single file.
    assert_eq!(inside(&["--ro-bind", text(host.path())], &format!("cat {}", text(&file))), "changed");
    assert_eq!(inside(&["--bind", &format!("{}:/tmp/x/y", text(&file))], "cat /tmp/x/y"), "changed");
}

#[test]
fn a_source_may_be_relative_to_the_caller_and_have_colons() {
    let host = Scratch::new("colons");
    host.file("a:b,c\\d e", "odd");
    let escaped = r"a\:b,c\\d e:/tmp/odd name";
    let mut command =
        seclude_tests::seclude_command(&["run", "--workdir", "/", "--bind", escaped, "cat", "/tmp/odd name"]);
    assert_eq!(stdout_of(&command.current_dir(host.path()).output().unwrap()), "odd");
    refused(125, &["run", "--bind", "/etc:/mnt:/mnt", "true"]);
    let root = busybox_root("relative");
    root.file("etc/marker", "of the root");
    for (directory, name) in
        [(root.path(), "."), (root.path().parent().unwrap(), text(root.path().file_name().unwrap().as_ref()))]
    {
        let mut command = seclude_tests::seclude_command(&["run", "--root", name, "cat", "/etc/marker"]);
        assert_eq!(stdout_of(&command.current_dir(directory).output().unwrap()), "of the root");
    }
}

#[test]
fn a_tmpfs_has_the_size_and_mode_it_was_given() {
    let look = "stat -c %a /mnt; stat -f -c %T /mnt; df -k /mnt | tail -1 | tr -s ' ' | cut -d' ' -f2";
    assert_eq!(inside(&["--tmpfs", "/mnt:size=64K,mode=700"], look), "700\ntmpfs\n64");
    let fill = "head -c 100000 /dev/zero > /mnt/x 2>/tmp/error && echo fits || cat /tmp/error";
    assert!(inside(&["--tmpfs", "/mnt:size=64K"], fill).contains("No space left on device"));
    assert_eq!(inside(&["--tmpfs", "/mnt"], fill), "fits");
    assert_eq!(inside(&["--tmpfs", "/mnt"], "stat -c %a /mnt"), "1777");
    refuses_as_read_only(&["--tmpfs", "/mnt:ro"], "> /mnt/x");
    let run = "cp /bin/true /mnt/program && /mnt/program && echo ran || echo refused";
    assert_eq!(inside(&["--tmpfs", "/mnt:noexec"], run), "refused");
    assert_eq!(inside(&["--tmpfs", "/mnt"], run), "ran");
    let before = outside("ls -A /mnt");
    inside(&["--tmpfs", "/mnt"], "> /mnt/only-inside");
    assert_eq!(outside("ls -A /mnt"), before);
}

#[test]
fn several_directories_are_one_and_the_first_wins() {
    if !has_overlays() {
        return;
    }
    let scratch = Scratch::new("layers");
    let [a, b] = layers(&scratch);
    let (a, b) = (text(&a), text(&b));
    let look = "cat /mnt/both; ls /mnt";
    let merged = |first, second| format!("lower={first},lower={second},to=/mnt");
    assert_eq!(inside(&["--overlay-mount", &merged(a, b)], look), "aboth\nonly-a\nonly-b");
    assert_eq!(inside(&["--overlay-mount", &merged(b, a)], look), "bboth\nonly-a\nonly-b");
    refuses_as_read_only(&["--overlay-mount", &merged(a, b)], "> /mnt/x");

    let before = scratch.listing();
    let ephemeral = format!("lower={a},lower={b},ephemeral,to=/mnt");
    assert_eq!(inside(&["--overlay-mount", &ephemeral], "rm /mnt/both; > /mnt/new; ls /mnt"), "new\nonly-a\nonly-b");
    assert_eq!(scratch.listing(), before);

    let (upper, work) = (scratch.directory("upper"), scratch.directory("work"));
    let kept = format!("lower={a},upper={},work={},to=/mnt", text(&upper), text(&work));
    inside(&["--overlay-mount", &kept], "echo changed > /mnt/both");
    assert_eq!(fs::read_to_string(upper.join("both")).unwrap(), "changed\n");
    assert_eq!(fs::read_to_string(scratch.join("a/both")).unwrap(), "a");
    refuses_as_read_only(&["--overlay-mount", &format!("{kept},ro")], "> /mnt/x");
}

#[test]
fn the_layers_of_an_overlay_may_have_any_name() {
    if !has_overlays() {
        return;
    }
    let scratch = Scratch::new("names");
    for (name, own) in [("a:b, c", "1"), ("d\\e", "2")] {
        scratch.file(format!("{name}/own-{own}"), "");
    }
    let base = text(scratch.path());
    let flag = format!(r"lower={base}/a:b\, c,lower={base}/d\\e,to=/mnt");
    assert_eq!(inside(&["--overlay-mount", &flag], "ls /mnt"), "own-1\nown-2");
}

#[test]
fn every_type_of_mount_can_be_asked_for() {
    let scratch = Scratch::new("types");
    let [a, b] = layers(&scratch);
    let (a, b) = (text(&a), text(&b));
    let kind = "stat -f -c %T";
    contrast(
        &["--mount", &format!("type=bind,src={a},dst=/mnt")],
        "cat /mnt/both 2>/dev/null || echo none",
        "a",
        "none",
    );
    refuses_as_read_only(&["--mount", &format!("type=bind,src={a},dst=/mnt,ro")], "> /mnt/x");
    let run = "/mnt/true && echo ran || echo refused";
    fs::copy("/bin/true", scratch.join("a/true")).unwrap();
    assert_eq!(inside(&["--mount", &format!("type=bind,src={a},dst=/mnt,noexec")], run), "refused");
    assert_eq!(inside(&["--mount", &format!("type=bind,src={a},dst=/mnt,nosuid,nodev")], run), "ran");
    let tmpfs = "type=tmpfs,dst=/mnt,size=1M,mode=711";
    assert_eq!(inside(&["--mount", tmpfs], &format!("{kind} /mnt; stat -c %a /mnt")), "tmpfs\n711");
    if has_overlays() {
        let overlay = format!("type=overlay,lower={a},lower={b},ephemeral,dst=/mnt");
        assert_eq!(inside(&["--mount", &overlay], &format!("{kind} /mnt; cat /mnt/both")), "overlayfs\na");
    }
    let proc = ["--mount", "type=proc,dst=/mnt"];
    assert_eq!(inside(&proc, "cut -d' ' -f1 /mnt/self/stat; cat /mnt/1/comm"), "3\nseclude-init");
    assert_eq!(inside(&["--mount", "type=sysfs,dst=/mnt,ro"], "ls /mnt/class/net"), "lo");
    let shared = ["--share", "net"];
    assert_ne!(inside(&shared, "ls /sys/class/net"), "lo", "the host's /sys shows the host's interfaces");
    assert_eq!(inside(&["--mount", "type=mqueue,dst=/mnt"], &format!("{kind} /mnt")), "mqueue");
    assert_eq!(inside(&["--mount", "type=devpts,dst=/mnt"], &format!("{kind} /mnt; ls /mnt")), "devpts\nptmx");
    assert_eq!(inside(&["--mount", "type=dev,dst=/mnt"], "stat -c %t:%T /mnt/null; ls -A /mnt/pts"), "1:3\nptmx");
    assert_eq!(
        inside(&["--mount", "type=file,dst=/tmp/f,content=text\\, more,mode=640"], "cat /tmp/f; stat -c %a /tmp/f"),
        "text, more640"
    );
    refuses_as_read_only(&["--mount", "type=file,dst=/tmp/f,content=text,ro"], "> /tmp/f");
    let from = format!("type=file,dst=/tmp/f,src={b}/both");
    assert_eq!(inside(&["--mount", &from], "cat /tmp/f"), "b");
    assert_eq!(inside(&["--mount", "type=dir,dst=/tmp/d/e,mode=750"], "stat -c '%F %a' /tmp/d/e"), "directory 750");
    assert_eq!(inside(&["--mount", "type=symlink,src=/some/where,dst=/tmp/l"], "readlink /tmp/l"), "/some/where");
    contrast(&["--mount", "type=mask,dst=/usr/share"], "ls /usr/share | head -c 1 | wc -c", "0", "1");
    assert_eq!(inside(&["--mount", "type=mask,dst=/no/such/place,optional"], "echo ran"), "ran");
    refused(125, &["run", "--mount", "type=mask,dst=/no/such/place", "true"]);
    refuses_as_read_only(&["--mount", "type=ro,dst=/dev/shm"], "> /dev/shm/x");
    assert_eq!(inside(&[], "> /dev/shm/x && echo written"), "written");
}

#[test]
fn a_file_can_be_made_of_text_or_of_a_file_of_the_host() {
    let host = Scratch::new("content");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(host.join("bytes"), &bytes).unwrap();
    let flag = format!("/tmp/deep/down/bytes=@{}", text(&host.join("bytes")));
    let sum = outside(&format!("md5sum < {}", text(&host.join("bytes"))));
    assert_eq!(inside(&["--file", &flag], "md5sum < /tmp/deep/down/bytes"), sum, "NUL and all");
    assert_eq!(inside(&["--file", "/tmp/f=a=b @c"], "cat /tmp/f; stat -c ' %a' /tmp/f"), "a=b @c 644");
    inside(&["--file", &flag], "echo changed > /tmp/deep/down/bytes");
    assert_eq!(fs::read(host.join("bytes")).unwrap(), bytes, "it is a copy");
    // Over a file of the read-only root.
    contrast(&["--file", "/etc/hostname=masked"], "cat /etc/hostname", "masked", &outside("cat /etc/hostname"));
}

#[test]
fn directories_and_symlinks_are_made() {
    let flags =
        ["--dir", "/tmp/one/two", "--symlink", "/etc/hostname:/tmp/one/link", "--symlink", r"a\:b:/tmp/one/odd"];
    let look = "stat -c '%F %a' /tmp/one/two; readlink /tmp/one/link /tmp/one/odd";
    assert_eq!(inside(&flags, look), "directory 755\n/etc/hostname\na:b");
    assert_eq!(inside(&["--dir", "/etc"], "ls /etc/hostname"), "/etc/hostname", "one that exists stays as it is");
    assert!(refused(125, &["run", "--symlink", "a:/etc/hostname", "true"]).contains("/etc/hostname"));
}

#[test]
fn a_masked_file_is_empty_and_a_masked_directory_too() {
    let host = Scratch::new("mask");
    host.file("secret", "text");
    host.file("dir/secret", "text");
    let bind = format!("{}:/mnt", text(host.path()));
    let look = "cat /mnt/secret; echo .; ls /mnt/dir";
    assert_eq!(inside(&["--bind", &bind], look), "text.\nsecret");
    let masked = ["--bind", &bind, "--mask", "/mnt/secret", "--mask", "/mnt/dir"];
    assert_eq!(inside(&masked, look), ".");
    assert_eq!(inside(&masked, "stat -c %t:%T /mnt/secret"), "1:3", "the null device");
    refuses_as_read_only(&masked, "> /mnt/dir/x");
    inside(&masked, "echo lost > /mnt/secret");
    assert_eq!(fs::read_to_string(host.join("secret")).unwrap(), "text");
}

#[test]
fn a_path_can_be_made_read_only_with_all_below_it() {
    let host = Scratch::new("ro");
    host.file("dir/file", "text");
    let bind = format!("{}:/mnt", text(host.path()));
    let below = "/mnt/dir/below";
    host.directory("dir/below");
    let flags = ["--bind", &bind, "--tmpfs", below, "--ro-path", "/mnt/dir"];
    for place in ["/mnt/dir/x", "/mnt/dir/file", "/mnt/dir/below/x"] {
        refuses_as_read_only(&flags, &format!("> {place}"));
        inside(&flags[..4], &format!("> {place}"));
    }
    inside(&flags, "> /mnt/beside");
    assert!(refused(125, &["run", "--ro-path", "/no/such/place", "true"]).contains("/no/such/place"));
}

#[test]
fn mounts_are_made_in_the_order_of_the_command_line_across_all_flags() {
    let host = Scratch::new("order");
    host.file("sub/file", "bound");
    let bind = format!("--bind={}:/tmp/a", text(host.path()));
    let (bind, tmpfs) = (bind.as_str(), "--tmpfs=/tmp/a/sub");
    let file = "cat /tmp/a/sub/file 2>/dev/null || echo none";
    assert_eq!(inside(&[bind, tmpfs], file), "none");
    assert_eq!(inside(&[tmpfs, bind], file), "bound");
    assert_eq!(inside(&[bind, tmpfs, "--file=/tmp/a/sub/file=made"], file), "made");
    assert_eq!(inside(&[bind, "--file=/tmp/a/sub/file=made", tmpfs], file), "none");
    assert_eq!(
        inside(&[bind, "--file=/tmp/a/sub/file=made", tmpfs, "--symlink=/proc/1/comm:/tmp/a/sub/file"], file),
        "seclude-init"
    );
    assert_eq!(inside(&[bind, "--mask=/tmp/a/sub"], file), "none");
    let masked = [bind, "--mask=/tmp/a/sub", bind];
    assert_eq!(inside(&masked, file), "bound", "a later bind lies over the mask");
    let shown = ["--dir=/tmp/d", "--mount=type=tmpfs,dst=/tmp/d", "--ro-path=/tmp/d"];
    refuses_as_read_only(&shown, "> /tmp/d/x");
    inside(&["--dir=/tmp/d", "--ro-path=/tmp/d", "--mount=type=tmpfs,dst=/tmp/d"], "> /tmp/d/x");
    // The preset's own come first: a bind over /tmp hides its tmpfs.
    let name = host.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(inside(&["--bind=/tmp"], &format!("ls -d /tmp/{name}")), format!("/tmp/{name}"));
}

/// What a script says in a container that is made from a directory of the host.
fn from(directory: &Path, flags: &[&str], script: &str) -> std::process::Output {
    let arguments = [&["run"], flags, &["--", "/bin/sh", "-c", script]].concat();
    seclude_command(&arguments).current_dir(directory).output().unwrap()
}

#[test]
fn a_relative_target_begins_where_the_caller_is() {
    let own = Scratch::new("relative");
    own.file(".env", "secret");
    own.file("in", "text");
    let below = own.directory("below");
    assert_eq!(stdout_of(&from(own.path(), &[], "cat .env")), "secret");
    assert_eq!(stdout_of(&from(own.path(), &["--mask", ".env"], "cat .env; echo end")), "end");
    assert_eq!(stdout_of(&from(&below, &["--mask", "../.env", "--ro", ".."], "cat ../.env; echo end")), "end");
    let write = "echo x > in && echo yes || echo no";
    assert_eq!(stdout_of(&from(own.path(), &["--rw", "."], write)), "yes");
    assert_eq!(stdout_of(&from(own.path(), &["--rw", ".", "--ro-path", "in"], write)), "no");
    let made = ["--rw", ".", "--tmpfs", "below", "--mount", "type=dir,dst=below/dir", "--file", "below/file=text"];
    assert_eq!(stdout_of(&from(own.path(), &made, "ls below; cat below/file")), "dir\nfile\ntext");
    assert_eq!(fs::read_dir(&below).unwrap().count(), 0, "that was in memory");
    assert!(refused(125, &["run", "--mask", "/a/../b", "true"]).contains("--mask: mount: target"));
    assert!(refused(125, &["run", "--ro-path", "/", "true"]).contains("--ro-path: mount: target / is the root"));
}

#[test]
fn the_callers_directory_is_shown_also_where_a_mount_of_its_own_lies_over_it() {
    let own = Scratch::new("covered");
    own.file("here", "");
    let above = text(own.path().parent().unwrap());
    let look = "pwd; ls";
    let there = format!("{}\nhere", own.path().display());
    let bound = format!("{above}:{above}");
    for flags in [
        &[][..],
        &["--tmpfs", above],
        &["--bind", &bound],
        &["--preset", "host"],
        &["--preset", "host", "--read-only"],
        &["--preset", "host", "--tmpfs", above],
    ] {
        assert_eq!(stdout_of(&from(own.path(), flags, look)), there, "{flags:?}");
    }
    let other = format!("/etc:{above}");
    for flags in [&["--mask", above][..], &["--ro-bind", &other]] {
        let output = from(own.path(), flags, "ls -A | wc -l");
        assert_eq!(stdout_of(&output), "0", "{flags:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("is not shown: the command begins in a new, empty home"), "{flags:?}: {said}");
        let hosts = from(own.path(), &[&["--preset", "host"], flags].concat(), "pwd");
        assert_eq!(stdout_of(&hosts), "/", "{flags:?}");
        let said = String::from_utf8_lossy(&hosts.stderr);
        assert!(said.contains("is not shown: the command begins in / (--workdir DIR otherwise)"), "{flags:?}: {said}");
    }
    // Over the directory itself it is what is meant to be there.
    for preset in ["sandbox", "host"] {
        let output = from(own.path(), &["--preset", preset, "--mask", text(own.path())], "pwd; ls -A | wc -l");
        assert_eq!(stdout_of(&output), format!("{}\n0", text(own.path())), "{preset}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{preset}");
    }
    let views = from(own.path(), &["--mount", &format!("type=proc,dst={above}")], "pwd");
    assert!(views.status.success(), "{views:?}");
    // One that was named is an error.
    let named = ["--preset", "host", "--mask", above, "--workdir", text(own.path())];
    assert_eq!(from(own.path(), &named, "pwd").status.code(), Some(125));
}

#[test]
fn among_programs_a_mount_over_the_callers_directory_moves_the_command_too() {
    if !is_root() {
        println!("skipped: only root makes a directory in /usr/local");
        return;
    }
    let own = Path::new("/usr/local").join(format!("seclude-test-{}", std::process::id()));
    fs::create_dir_all(own.join("below")).unwrap();
    let mask = text(&own).to_owned();
    let masked = from(&own.join("below"), &["--mask", &mask], "pwd; ls -A | wc -l");
    let hosts = from(&own.join("below"), &["--preset", "host", "--mask", &mask], "pwd");
    let empty = from(&own.join("below"), &["--tmpfs", &mask], "pwd");
    fs::remove_dir_all(&own).unwrap();
    assert_eq!(stdout_of(&masked), "/root\n0");
    assert_eq!(stdout_of(&hosts), "/");
    assert_eq!(stdout_of(&empty), text(&own.join("below")));
}

#[test]
fn where_what_the_command_sees_is_a_new_and_empty_directory_that_is_said() {
    let own = Scratch::new("not-empty");
    // (The home of whoever runs the tests may be below /tmp.)
    let said = |flags: &[&str]| String::from_utf8_lossy(&from(Path::new("/var/tmp"), flags, "pwd").stderr).into_owned();
    assert!(said(&[]).contains("/var/tmp is not shown: the command begins in a new, empty one"), "{}", said(&[]));
    assert_eq!(said(&["--workdir", "/var/tmp"]), "");
    assert_eq!(said(&["--ro", "/var/tmp"]), "");
    assert_eq!(String::from_utf8_lossy(&from(own.path(), &[], "pwd").stderr), "");
}

#[test]
fn a_report_to_a_descriptor_of_ones_own_comes_where_that_stands() {
    let own = Scratch::new("descriptors");
    let program = text(seclude_tests::seclude_bin().as_path()).to_owned();
    for (path, redirected) in
        [("/dev/stdout", ""), ("-", ""), ("/proc/self/fd/5", "5>&1"), ("/dev/fd/5", "5>&1"), ("/dev/stderr", "2>&1")]
    {
        let file = own.join("out");
        let script = format!(
            "exec > '{}'; echo before; '{program}' run --report {path} echo inside {redirected}; echo after",
            file.display()
        );
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let found = fs::read_to_string(&file).unwrap();
        let report = found.strip_prefix("before\ninside\n").and_then(|rest| rest.strip_suffix("after\n"));
        let report: serde_json::Value = serde_json::from_str(report.expect(&found)).expect(path);
        assert_eq!(report["cause"], "exited", "{path}");
    }
    // What is opened by its name is another matter.
    let file = own.file("named", "long text that is there before");
    assert!(seclude_command(&["run", "--report", text(&file), "true"]).status().unwrap().success());
    assert!(fs::read_to_string(&file).unwrap().starts_with('{'));
    assert!(
        refused(125, &["run", "--report", "/dev/fd/77", "true"])
            .contains("--report /dev/fd/77: this descriptor is not open")
    );
}

#[test]
fn what_is_hidden_or_read_only_lies_over_what_is_shown_at_the_same_path() {
    let scratch = Scratch::new("same-place");
    let file = scratch.file("file", "secret");
    let directory = scratch.directory("directory");
    scratch.file("directory/key", "key");
    let (file, directory) = (text(&file).to_owned(), text(&directory).to_owned());
    let look = format!(
        "cat {file}; ls {directory}; touch {directory}/new 2>/dev/null && rm {directory}/new && echo written; :"
    );
    let shown = ["--ro", &file, "--rw", &directory];
    assert_eq!(inside(&shown, &look), "secretkey\nwritten");
    assert_eq!(inside(&[&shown[..], &["--mask", &file, "--mask", &directory]].concat(), &look), "");
    assert_eq!(inside(&[&["--mask", &file, "--mask", &directory], &shown[..]].concat(), &look), "", "in either order");
    assert_eq!(inside(&[&shown[..], &["--ro-path", &directory]].concat(), &look), "secretkey");
    // Of two that give something one would be lost.
    let given = format!("{file}=other");
    let bound = format!("{directory}:{directory}");
    let overlaid = format!("lower={directory},to={directory}");
    let twice = format!("{directory}/.");
    for (flags, flag, list) in [
        (["--file", &given], "--file", "ro"),
        (["--tmpfs", &directory], "--tmpfs", "rw"),
        (["--bind", &bound], "--bind", "rw"),
        (["--overlay-mount", &overlaid], "--overlay-mount", "rw"),
        (["--ro", &twice], "--ro", "rw"),
    ] {
        let line = refused(125, &[&["run"], &shown[..], &flags[..], &["true"]].concat());
        assert!(line.contains(flag) && line.contains(&format!("is in {list} as well")), "{flags:?}: {line}");
    }
    inside(&["--ro", &file, "--ro", &file], "true");
    // Also where something above it was asked for in between.
    let (above, key) = (text(scratch.path()).to_owned(), format!("{directory}/key"));
    let covered = ["--mask", &key, "--tmpfs", &above, "--ro", &directory];
    assert_eq!(inside(&covered, &format!("cat {key}; ls {directory}")), "key");
    assert_eq!(inside(&covered[2..], &format!("cat {key}; ls {directory}")), "keykey", "the contrast");
}

#[test]
fn the_callers_own_hosts_and_name_servers_stay() {
    let (hosts, servers) = ("/etc/hosts=own", "/etc/resolv.conf=own");
    let read = "cat /etc/hosts; echo; hostname";
    assert_eq!(inside(&["--file", hosts, "--hostname", "foo"], read), "own\nfoo");
    assert!(inside(&["--hostname", "foo"], read).contains("127.0.0.1"), "the contrast");
    assert_eq!(inside(&["--ro", "/etc/hosts", "--hostname", "foo"], "cat /etc/hosts"), outside("cat /etc/hosts"));
    assert_eq!(inside(&["--mask", "/etc/hosts", "--hostname", "foo"], "cat /etc/hosts"), "");
    let read_only = ["--ro-path", "/etc/hosts", "--add-host", "a:192.0.2.1"];
    assert!(inside(&read_only, "cat /etc/hosts").contains("192.0.2.1"), "which gives nothing of its own");
    assert_eq!(inside(&["--file", servers, "--allow", "example.org"], "cat /etc/resolv.conf"), "own");
    for (flags, flag) in [
        (["--file", hosts, "--add-host", "a:192.0.2.1"], "--add-host"),
        (["--file", servers, "--dns", "192.0.2.1"], "--dns"),
    ] {
        let line = refused(125, &[&["run"], &flags[..], &["true"]].concat());
        assert!(line.contains(flag) && line.contains("whose content stays"), "{line}");
    }
}
