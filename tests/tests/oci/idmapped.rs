use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use seclude_tests::{Bundle, oci_bin, root_only, stdout_of};
use serde_json::{Value, json};

fn map(from: u32, to: u32, size: u32) -> Value {
    json!([{ "containerID": from, "hostID": to, "size": size }])
}

/// A directory with a file of each of these users.
fn files(bundle: &Bundle, owners: &[u32]) -> Value {
    let data = bundle.join("data");
    fs::create_dir(&data).unwrap();
    for owner in owners {
        let file = data.join(owner.to_string());
        fs::write(&file, "").unwrap();
        chown(&file, Some(*owner), Some(*owner)).unwrap();
    }
    json!(data)
}

#[test]
fn each_mount_can_have_a_map_of_its_own_without_a_user_namespace() {
    root_only!();
    if !seclude_tests::kernel_is_at_least((5, 12)) {
        println!("skipped: id-mapped mounts take Linux 5.12");
        return;
    }
    let mut bundle = Bundle::new("ownmaps");
    let data = files(&bundle, &[0, 7, 20_000]);
    chown(bundle.join("data"), Some(7), Some(7)).unwrap();
    let bind = |name: &str, more: Value| {
        let mut mount =
            json!({ "destination": format!("/mnt/{name}"), "type": "bind", "source": data, "options": ["rbind"] });
        mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mount
    };
    bundle.mount(bind("plain", json!({})));
    let one = json!({ "uidMappings": map(0, 500_000, 10_000), "gidMappings": map(0, 600_000, 10_000) });
    bundle.mount(bind("one", one.clone())).mount(bind("same", one));
    bundle.mount(bind(
        "two",
        json!({ "options": ["bind", "idmap"], "uidMappings": map(7, 0, 1), "gidMappings": [map(7, 3, 1)[0], map(0, 0, 1)[0]] }),
    ));
    let said = bundle
        .says("cd /mnt; for at in plain one same two; do stat -c '%u:%g' $at/0 $at/7 $at/20000 | tr '\\n' ' '; done");
    let mapped = "500000:600000 500007:600007 65534:65534";
    let expected = format!("0:0 7:7 20000:20000 {mapped} {mapped} 65534:0 0:3 65534:65534");
    assert_eq!(said.trim(), expected);
    // What is made there is its owner's in the file system again.
    bundle.says("touch /mnt/two/made");
    let made = fs::metadata(bundle.join("data/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (7, 0));
    bundle.nothing_is_left();
}

#[test]
fn what_lies_below_is_mapped_where_it_is_asked_for_alone() {
    root_only!();
    if !seclude_tests::kernel_is_at_least((6, 3)) {
        println!("skipped: id-mapped mounts of a tmpfs take Linux 6.3");
        return;
    }
    let mut bundle = Bundle::new("mapsbelow");
    let data = files(&bundle, &[1]);
    fs::create_dir(bundle.join("data/below")).unwrap();
    let script = format!(
        "mount -t tmpfs none {0}/below && touch {0}/below/file && exec \"$OCI\" --root run run one",
        data.as_str().unwrap()
    );
    let run = |bundle: &Bundle| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).current_dir(bundle.path());
        stdout_of(&command.env("OCI", oci_bin()).output().unwrap())
    };
    bundle.script("stat -c %u /mnt/1 /mnt/below/file");
    let maps = json!({ "uidMappings": map(0, 1000, 10), "gidMappings": map(0, 1000, 10) });
    for (words, expected) in [(json!(["rbind", "idmap"]), "1001\n0"), (json!(["rbind", "ridmap"]), "1001\n1000")] {
        bundle.config["mounts"].as_array_mut().unwrap().truncate(3);
        let mut mount = json!({ "destination": "/mnt", "type": "bind", "source": data, "options": words });
        mount.as_object_mut().unwrap().extend(maps.as_object().unwrap().clone());
        bundle.mount(mount).write();
        assert_eq!(run(&bundle), expected);
    }
    bundle.nothing_is_left();
}

#[test]
fn maps_that_cannot_be_had_are_errors_with_their_names() {
    let mut bundle = Bundle::new("nomaps");
    let (uids, gids) = (map(0, 1000, 10), map(0, 1000, 10));
    for (mount, field) in [
        (json!({ "uidMappings": uids }), "mounts[3].gidMappings: "),
        (json!({ "gidMappings": gids }), "mounts[3].uidMappings: "),
        (json!({ "uidMappings": map(0, 1000, 0), "gidMappings": gids }), "mounts[3].uidMappings: "),
        // The kernel shows none of its own views under other ids, and nothing of root's for a user.
        (
            json!({ "source": "/proc", "uidMappings": uids, "gidMappings": gids }),
            if seclude_tests::is_root() { "mounts[3]: " } else { "" },
        ),
        (json!({ "type": "tmpfs", "options": ["idmap"] }), "mounts[3].options: "),
    ] {
        let mut own = json!({ "destination": "/mnt", "type": "bind", "source": ".", "options": ["rbind"] });
        own.as_object_mut().unwrap().extend(mount.as_object().unwrap().clone());
        bundle.config["mounts"].as_array_mut().unwrap().truncate(3);
        bundle.mount(own).write();
        let said = bundle.refused(&["create", "one"]);
        assert!(said.starts_with(&format!("seclude-oci: error: {field}")), "{said}");
        bundle.nothing_is_left();
    }
    if seclude_tests::is_root() {
        bundle.config["mounts"].as_array_mut().unwrap().truncate(3);
        bundle.mount(json!({ "destination": "/mnt", "source": ".", "options": ["rbind", "idmap"] })).write();
        assert!(bundle.refused(&["create", "one"]).contains("mounts[3].uidMappings: neither"));
    }
    bundle.nothing_is_left();
}
