//! Where roots and mounts of a configuration come from and go to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use seclude_tests::{Bundle, Scratch, root_only};
use serde_json::json;

fn bind(source: &std::path::Path, destination: &str) -> serde_json::Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind"] })
}

#[test]
fn a_target_behind_links_to_what_is_not_there_is_made_in_the_root() {
    let shown = Scratch::new("oci-behind");
    fs::write(shown.join("file"), "shown").unwrap();
    for (link, to, real) in
        [("data", "/real/data", "real/data"), ("up", "../../../outside/up", "outside/up"), ("a/b", "../c", "c")]
    {
        let mut bundle = Bundle::new("behind");
        let at = bundle.rootfs.join(link);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(to, at).unwrap();
        bundle.mount(bind(shown.path(), &format!("/{link}/below")));
        assert_eq!(bundle.says(&format!("cat /{link}/below/file")), "shown");
        assert!(bundle.rootfs.join(real).join("below").is_dir(), "{link}");
        bundle.nothing_is_left();
    }
    // One that leads in a circle leads nowhere.
    let mut bundle = Bundle::new("circle");
    symlink("circle", bundle.rootfs.join("circle")).unwrap();
    bundle.mount(bind(shown.path(), "/circle")).write();
    assert!(bundle.refused(&["create", "one"]).contains("mounts[3]"));
    bundle.nothing_is_left();
}

#[test]
fn links_of_the_image_are_followed_in_what_the_mounts_before_have_left() {
    let shown = Scratch::new("oci-hidden");
    fs::write(shown.join("file"), "shown").unwrap();
    let tmpfs = |destination: &str| json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs" });
    // The link is hidden by the time something is mounted below it.
    let mut bundle = Bundle::new("hidden");
    fs::create_dir_all(bundle.rootfs.join("opt/real")).unwrap();
    fs::create_dir(bundle.rootfs.join("data")).unwrap();
    symlink("/opt/real", bundle.rootfs.join("data/l")).unwrap();
    bundle.mount(tmpfs("/data")).mount(bind(shown.path(), "/data/l/q"));
    assert_eq!(bundle.says("ls -l /data | grep -c '^d.* l$'; cat /data/l/q/file; ls /opt/real"), "1\nshown");
    bundle.nothing_is_left();
    // What it leads to is hidden, as of each image that has a resolver of systemd's.
    let mut bundle = Bundle::new("stub");
    fs::create_dir_all(bundle.rootfs.join("run/systemd/resolve")).unwrap();
    fs::create_dir_all(bundle.rootfs.join("etc")).unwrap();
    fs::write(bundle.rootfs.join("run/systemd/resolve/stub-resolv.conf"), "of the image").unwrap();
    symlink("../run/systemd/resolve/stub-resolv.conf", bundle.rootfs.join("etc/resolv.conf")).unwrap();
    bundle.mount(tmpfs("/run")).mount(bind(&shown.join("file"), "/etc/resolv.conf"));
    assert_eq!(bundle.says("cat /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf"), "shownshown");
    let image = fs::read_to_string(bundle.rootfs.join("run/systemd/resolve/stub-resolv.conf")).unwrap();
    assert_eq!(image, "of the image");
    bundle.nothing_is_left();
    // And its mode, and what is to be copied.
    for (over, mode) in [(tmpfs("/a"), "1777"), (bind(shown.path(), "/a"), "750")] {
        let mut bundle = Bundle::new("hiddenmode");
        for (directory, mode) in [(bundle.rootfs.join("a/b"), 0o711), (shown.join("b"), 0o750)] {
            fs::create_dir_all(&directory).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(bundle.rootfs.join("a/b/file"), "of the image").unwrap();
        let below = json!({ "destination": "/a/b", "type": "tmpfs", "source": "tmpfs" });
        bundle.mount(over.clone()).mount(below);
        assert_eq!(bundle.says("stat -c %a /a/b"), mode);
        bundle.set("/mounts/4/options", json!(["tmpcopyup"]));
        assert_eq!(bundle.says("ls /a/b"), "");
        bundle.nothing_is_left();
    }
    // A working directory behind a link to what is missing.
    let mut bundle = Bundle::new("cwdlink");
    symlink("/made/here", bundle.rootfs.join("work")).unwrap();
    bundle.set("/process/cwd", json!("/work/below"));
    assert_eq!(bundle.says("/bin/pwd"), "/made/here/below");
    bundle.nothing_is_left();
}

#[test]
fn what_is_mounted_in_a_read_only_tmpfs_is_made_before_it_is_closed() {
    let shown = Scratch::new("oci-closedtmpfs");
    fs::write(shown.join("file"), "shown").unwrap();
    let mut bundle = Bundle::new("closedtmpfs");
    bundle.mount(json!({ "destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["ro"] }));
    bundle.mount(bind(shown.path(), "/t/below")).set("/process/cwd", json!("/t/cwd"));
    let script = "cat /t/below/file; echo; ls -d /t/cwd; touch /t/made 2>&1; touch /t/below/made && echo written";
    let said = bundle.says(script);
    assert_eq!(said, "shown\n/t/cwd\ntouch: /t/made: Read-only file system\nwritten");
    bundle.nothing_is_left();
}

#[test]
fn a_read_only_path_leaves_what_is_mounted_below_it_as_it_was_asked_for() {
    let volume = Scratch::new("oci-volume");
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut bundle = Bundle::new("rovolume");
    fs::create_dir_all(bundle.rootfs.join("opt/volume")).unwrap();
    bundle.mount(bind(volume.path(), "/opt/volume")).set("/linux/readonlyPaths", json!(["/opt"]));
    let said = bundle.says("touch /opt/made 2>&1; touch /opt/volume/made && echo written");
    assert_eq!(said, "touch: /opt/made: Read-only file system\nwritten");
    bundle.nothing_is_left();
}

#[test]
fn a_source_below_an_earlier_mount_is_what_that_has_brought() {
    let shown = Scratch::new("oci-brought");
    fs::create_dir(shown.join("dir")).unwrap();
    fs::write(shown.join("dir/file"), "brought").unwrap();
    let mut bundle = Bundle::new("brought");
    let below = bundle.rootfs.join("first/dir");
    bundle.mount(bind(shown.path(), "/first")).mount(bind(&below, "/second"));
    assert_eq!(bundle.says("cat /second/file"), "brought");
    // Of a file system that is new there is nothing on the host.
    let below = bundle.rootfs.join("tmpfs/dir");
    bundle.mount(json!({ "destination": "/tmpfs", "type": "tmpfs", "source": "tmpfs" })).mount(bind(&below, "/third"));
    bundle.write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.starts_with("seclude-oci: error: mounts[6].source: ") && said.contains("/tmpfs"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn a_root_below_a_directory_that_its_ids_may_not_search_is_its_root() {
    root_only!();
    let closed = Scratch::new("oci-closed");
    let mut bundle = Bundle::new("closed");
    let inside = closed.join("rootfs");
    assert!(
        std::process::Command::new("cp").arg("-a").arg(bundle.rootfs.path()).arg(&inside).status().unwrap().success()
    );
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 2000 }]);
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.set("/root/path", json!(inside));
    assert_eq!(
        bundle.says("cat /proc/self/uid_map; ls /bin/sh").split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "2000", "/bin/sh"]
    );
    bundle.nothing_is_left();
}

#[test]
fn a_device_that_the_host_does_not_have_is_an_error_in_a_user_namespace() {
    let mut bundle = Bundle::new("no-device");
    if seclude_tests::is_root() {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 2000 }]);
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
        bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    }
    bundle.set("/linux/devices", json!([{ "path": "/dev/not-there", "type": "c", "major": 10, "minor": 2 }])).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.starts_with("seclude-oci: error: linux.devices[0]: ") && said.contains("mknod"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn what_lies_below_a_slave_sends_nothing_to_the_host() {
    root_only!();
    let mut bundle = Bundle::new("below-slave");
    let script = r#"
        set -e
        mkdir -p shared && mount -t tmpfs none shared && mount --make-shared shared && mkdir shared/sub
        mount -t tmpfs none shared/sub && mkdir shared/sub/in
        "$OCI" --root run run one
        grep -c from-container /proc/self/mounts || true
    "#;
    let caps = ["CAP_SYS_ADMIN"];
    bundle.set("/process/capabilities", json!({ "bounding": caps, "effective": caps, "permitted": caps }));
    bundle.mount(json!({ "destination": "/mnt", "type": "bind", "source": "shared", "options": ["rbind", "slave"] }));
    bundle.script("mount -t tmpfs from-container /mnt/sub/in && grep -c from-container /proc/self/mounts").write();
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).current_dir(bundle.path());
    let output = command.env("OCI", seclude_tests::oci_bin()).output().unwrap();
    assert_eq!(seclude_tests::stdout_of(&output), "1\n0");
    bundle.nothing_is_left();
}
