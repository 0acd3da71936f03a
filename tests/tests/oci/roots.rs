//! Roots that are in no mount namespace of the container's own, or left by chroot(2).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use seclude_tests::{Bundle, root_only, stdout_of};
use serde_json::{Value, json};

/// How many mounts of the host lie at or below the rootfs.
fn mounts_at(bundle: &Bundle) -> usize {
    let place = bundle.rootfs.path().canonicalize().unwrap();
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| std::path::Path::new(point).starts_with(&place)).count()
}

fn namespaces(bundle: &mut Bundle, change: impl Fn(&mut Vec<Value>)) {
    change(bundle.config["linux"]["namespaces"].as_array_mut().unwrap());
}

fn without_mount(bundle: &mut Bundle) {
    namespaces(bundle, |list| list.retain(|one| one["type"] != "mount"));
}

#[test]
fn without_a_mount_namespace_its_tree_is_mounted_on_its_root_and_goes_with_it() {
    root_only!();
    let mut bundle = Bundle::new("in-place");
    without_mount(&mut bundle);
    assert_eq!(mounts_at(&bundle), 0);
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    fs::write(bundle.rootfs.join("mine"), "mine").unwrap();
    let said = bundle.says("cat /mine; echo; readlink /proc/self/ns/mnt; echo $$; ls -di /");
    let inode = bundle.rootfs.path().metadata().unwrap().ino();
    let expected = format!("mine\n{}\n1\n{inode} /", own.display());
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(mounts_at(&bundle), 0);

    bundle.script("sleep 1000").write();
    bundle.must(&["run", "-d", "two"]);
    assert_eq!(
        bundle.must(&["exec", "two", "cat", "/mine", "/../../../mine"]),
        "minemine",
        "whoever comes to it is in its root"
    );
    assert!(mounts_at(&bundle) > 1);
    bundle.must(&["delete", "--force", "two"]);
    assert_eq!(mounts_at(&bundle), 0);
    bundle.nothing_is_left();
}

/// All paths below it.
fn all_below(directory: &std::path::Path) -> std::collections::BTreeSet<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let deeper = if path.is_symlink() || !path.is_dir() { Default::default() } else { all_below(&path) };
            std::iter::once(path).chain(deeper)
        })
        .collect()
}

#[test]
fn a_creation_that_fails_leaves_the_image_as_it_was_read_only_or_not() {
    for closed in [false, true] {
        let mut bundle = Bundle::new("as-it-was");
        bundle.set("/root/readonly", json!(closed)).set("/process/cwd", json!("/made/for/it"));
        bundle.mount(json!({ "destination": "/data/deep", "type": "tmpfs", "source": "tmpfs", }));
        bundle.mount(
            json!({ "destination": "/data/file", "type": "bind", "source": "/etc/passwd", "options": ["bind"] }),
        );
        let before = all_below(bundle.rootfs.path());
        bundle.set("/process/args", json!(["nonexistent"])).write();
        bundle.refused(&["run", "one"]);
        assert_eq!(all_below(bundle.rootfs.path()), before, "read-only: {closed}");
        bundle.nothing_is_left();
    }
}

#[test]
fn what_fails_without_a_mount_namespace_leaves_no_mount_of_the_hosts() {
    root_only!();
    let mut bundle = Bundle::new("in-place-fails");
    without_mount(&mut bundle);
    bundle.set("/hooks", json!({ "createRuntime": [{ "path": "/bin/false" }] })).write();
    let told = bundle.refused(&["create", "one"]);
    assert!(told.contains("hooks.createRuntime[0]: error running createRuntime hook #0"), "{told}");
    bundle.config.as_object_mut().unwrap().remove("hooks");
    bundle
        .script("true")
        .mount(json!({ "destination": "/a", "type": "none", "source": "/dev/null", "options": ["bind"] }))
        .write();
    fs::create_dir(bundle.rootfs.join("a")).unwrap();
    bundle.refused(&["run", "one"]);
    assert_eq!(mounts_at(&bundle), 0);
    bundle.nothing_is_left();
}

/// Something that stays in new namespaces.
struct Unshared(Child);

impl Unshared {
    fn new(arguments: &[&str], kind: &str) -> Unshared {
        let child =
            Command::new("unshare").args(arguments).args(["sleep", "1000"]).stdin(Stdio::null()).spawn().unwrap();
        let unshared = Unshared(child);
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let began = std::time::Instant::now();
        let is_there = || fs::read(format!("/proc/{}/comm", unshared.0.id())).is_ok_and(|name| name == b"sleep\n");
        while unshared.namespace(kind) == own.to_string_lossy() || !is_there() {
            assert!(began.elapsed() < seclude_tests::PATIENCE);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        unshared
    }

    fn path(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.0.id())
    }

    fn namespace(&self, kind: &str) -> String {
        fs::read_link(self.path(kind)).unwrap().to_string_lossy().into_owned()
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_mount_namespace_that_is_there_gets_its_root() {
    root_only!();
    let mut bundle = Bundle::new("joined-mounts");
    let other = Unshared::new(&["--mount"], "mnt");
    let path = other.path("mnt");
    namespaces(&mut bundle, |list| {
        list.retain(|one| one["type"] != "mount");
        list.push(json!({ "type": "mount", "path": path }));
    });
    fs::write(bundle.rootfs.join("mine"), "mine").unwrap();
    bundle.script("readlink /proc/self/ns/mnt; cat /mine; sleep 1000").write();
    bundle.must(&["create", "one"]);
    assert_eq!(mounts_at(&bundle), 0, "none of the host's");
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap().to_string_lossy().into_owned();
    assert_eq!(of(&bundle.state("one")["pid"].to_string()), other.namespace("mnt"));
    bundle.must(&["start", "one"]);
    assert_eq!(
        bundle.must(&["exec", "one", "sh", "-c", "readlink /proc/1/ns/mnt; cat /mine"]),
        format!("{}\nmine", other.namespace("mnt"))
    );
    bundle.must(&["delete", "--force", "one"]);
    bundle.nothing_is_left();
}

#[test]
fn mounts_are_made_in_a_user_namespace_that_is_there() {
    root_only!();
    let mut bundle = Bundle::new("joined-user");
    let other = Unshared::new(&["--user"], "user");
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", other.0.id()), "0 0 65536\n").unwrap();
    }
    let path = other.path("user");
    namespaces(&mut bundle, |list| list.push(json!({ "type": "user", "path": path })));
    let said = bundle.says(
        "readlink /proc/self/ns/user; id -u; echo $$; test -c /dev/null && echo there; mount | grep -c ' /proc '",
    );
    assert_eq!(said, format!("{}\n0\n1\nthere\n1", other.namespace("user")));
    bundle.nothing_is_left();
}

#[test]
fn without_a_pivot_it_is_in_its_root_and_so_is_whoever_comes_to_it() {
    root_only!();
    let mut bundle = Bundle::new("no-pivot");
    fs::write(bundle.rootfs.join("mine"), "mine").unwrap();
    for hooks in [json!({}), json!({ "createContainer": [{ "path": "/bin/true" }] })] {
        bundle.set("/hooks", hooks);
        bundle.script("cat /mine /../mine; sleep 1000").write();
        bundle.must(&["run", "--no-pivot", "-d", "one"]);
        assert_eq!(bundle.must(&["exec", "one", "cat", "/mine", "/../mine"]), "minemine");
        // Of the host's own views none is left that the kernel would make another of.
        let mounts = bundle.must(&["exec", "one", "cat", "/proc/self/mountinfo"]);
        assert!(!mounts.contains(" /sys "), "{mounts}");
        bundle.must(&["delete", "--force", "one"]);
    }
    bundle.script("cat /mine").write();
    assert_eq!(stdout_of(&bundle.oci(&["run", "--no-pivot", "two"])), "mine");
    bundle.nothing_is_left();
}

#[test]
fn what_its_ids_cannot_come_to_is_shown_all_the_same() {
    root_only!();
    let mut bundle = Bundle::new("closed-source");
    let closed = bundle.join("closed");
    fs::create_dir_all(closed.join("volume")).unwrap();
    fs::write(closed.join("volume/file"), "there").unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 1000 }]);
    namespaces(&mut bundle, |list| list.push(json!({ "type": "user" })));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let source = closed.join("volume");
    bundle.mount(json!({ "destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", "ro"] }));
    assert_eq!(
        bundle.says("cat /mnt/file; touch /mnt/more 2>&1; true"),
        "theretouch: /mnt/more: Read-only file system"
    );
    bundle.nothing_is_left();
}
