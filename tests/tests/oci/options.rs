//! Options of mounts, and what is mounted where the runtime has something of its own.

use std::fs;

use seclude_tests::{Bundle, Scratch, root_only, stdout_of};
use serde_json::{Value, json};

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn options_that_the_specification_has_for_every_mount_are_errors_of_none() {
    const WORDS: [&str; 13] = [
        "sync",
        "async",
        "dirsync",
        "mand",
        "nomand",
        "silent",
        "loud",
        "iversion",
        "noiversion",
        "lazytime",
        "nolazytime",
        "acl",
        "noacl",
    ];
    let shown = Scratch::new("oci-words");
    fs::write(shown.join("file"), "shown").unwrap();
    let mut bundle = Bundle::new("words");
    for (index, word) in WORDS.iter().enumerate() {
        let bound = json!({ "destination": format!("/b{index}"), "source": shown.path(), "options": ["rbind", word] });
        let made = json!({ "destination": format!("/t{index}"), "type": "tmpfs", "source": "t", "options": [word] });
        bundle.mount(bound).mount(made);
    }
    let script = "cat /b?/file /b??/file | wc -c; grep -c ' /t[0-9]* tmpfs' /proc/mounts";
    assert_eq!(bundle.says(script), "65\n13");
    // What a bind has none of is told, as are others' words.
    let log = bundle.join("log");
    bundle.must(&["--log", log.to_str().unwrap(), "run", "one"]);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("mounts[3].options: ") && log.contains("sync"), "{log}");
    let features: Value = serde_json::from_str(&bundle.must(&["features"])).unwrap();
    let listed = features["mountOptions"].as_array().unwrap();
    assert!(WORDS.iter().all(|word| listed.contains(&json!(word))), "{listed:?}");
    bundle.nothing_is_left();
}

#[test]
fn several_options_in_one_string_are_each_what_they_say() {
    let mut bundle = Bundle::new("string");
    let options = json!(["nosuid,noexec", "size=64k,mode=700"]);
    bundle.mount(json!({ "destination": "/t", "type": "tmpfs", "source": "t", "options": options }));
    let said = bundle.says("stat -c %a /t; grep ' /t ' /proc/mounts");
    assert!(said.starts_with("700\n"), "{said}");
    assert!(["nosuid", "noexec", "size=64k"].iter().all(|word| said.contains(word)), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn layers_of_an_overlay_may_be_longer_together_than_the_kernel_takes_at_once() {
    root_only!();
    if !seclude_tests::kernel_is_at_least((6, 8)) {
        println!("skipped: layers one by one (lowerdir+) take Linux 6.8");
        return;
    }
    let place = Scratch::new("oci-layers");
    let layers = [("a", 140), ("b:", 70), ("c", 140)].map(|(name, times)| place.join(name.repeat(times)));
    for (layer, file) in layers.iter().zip(["first", "second", "third"]) {
        fs::create_dir(layer).unwrap();
        fs::write(layer.join(file), file).unwrap();
    }
    let escaped: Vec<_> = layers.iter().map(|layer| layer.to_str().unwrap().replace(':', "\\:")).collect();
    let lowers = |list: &[String]| json!([format!("lowerdir={}", list.join(":"))]);
    let mut bundle = Bundle::new("layers");
    let mount = json!({ "destination": "/o", "type": "overlay", "source": "overlay", "options": lowers(&escaped) });
    bundle.mount(mount);
    assert_eq!(bundle.says("cd /o; cat first second third"), "firstsecondthird");
    // What cannot be had says why.
    bundle.set("/mounts/3/options", json!([format!("workdir=/{}", "x".repeat(300))])).write();
    let said = bundle.refused(&["create", "one"]);
    assert!(said.contains("mounts[3]") && said.contains("workdir has 301 bytes, and the kernel takes 255"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn what_is_mounted_where_a_usual_device_would_be_takes_its_place() {
    let shown = Scratch::new("oci-device");
    fs::write(shown.join("null"), "no device").unwrap();
    let mut bundle = Bundle::new("mounteddevice");
    bundle.mount(json!({ "destination": "/dev/null", "source": shown.join("null"), "options": ["bind"] }));
    bundle.mount(json!({ "destination": "/dev/zero", "source": "/dev/zero", "options": ["bind"] }));
    assert_eq!(
        bundle.says("cat /dev/null; echo; head -c 3 /dev/zero | wc -c; test -c /dev/full && echo there"),
        "no device\n3\nthere"
    );
    bundle.nothing_is_left();
}

#[test]
fn home_is_that_of_the_users_that_are_mounted() {
    let shown = Scratch::new("oci-users");
    let line = |home: &str| format!("root:x:0:0:root:{home}:/bin/sh\n");
    fs::write(shown.join("passwd"), line("/mounted")).unwrap();
    let home = |mounts: &[Value]| {
        let mut bundle = Bundle::new("users");
        fs::create_dir_all(bundle.rootfs.join("etc")).unwrap();
        fs::write(bundle.rootfs.join("etc/passwd"), line("/image")).unwrap();
        for mount in mounts {
            bundle.mount(mount.clone());
        }
        let said = bundle.says("echo $HOME");
        bundle.nothing_is_left();
        said
    };
    let bind = |source, destination: &str| json!({ "destination": destination, "source": source, "options": ["bind"] });
    assert_eq!(home(&[]), "/image");
    assert_eq!(home(&[bind(shown.join("passwd"), "/etc/passwd")]), "/mounted");
    assert_eq!(home(&[bind(shown.path().to_owned(), "/etc")]), "/mounted");
    let tmpfs = |options: Value| json!({ "destination": "/etc", "type": "tmpfs", "source": "t", "options": options });
    assert_eq!(home(&[tmpfs(json!([]))]), "/");
    assert_eq!(home(&[tmpfs(json!(["tmpcopyup"]))]), "/image");
}

#[test]
fn capabilities_have_the_specifications_spelling_and_no_other() {
    let mut bundle = Bundle::new("spelling");
    let names = json!(["CAP_KILL", "CHOWN", "cap_fowner", "Cap_Setuid"]);
    bundle.set("/process/capabilities", json!({ "bounding": names, "effective": names, "permitted": names }));
    bundle.script("grep -E 'Cap(Bnd|Eff)' /proc/self/status");
    let output = bundle.run("one");
    assert_eq!(stdout_of(&output), "CapEff:\t0000000000000020\nCapBnd:\t0000000000000020");
    let said = told(&output);
    assert!(said.contains("ignoring unknown or unavailable capabilities: [CHOWN Cap_Setuid cap_fowner]"), "{said}");
    bundle.nothing_is_left();
}

#[test]
fn without_any_rule_of_devices_the_usual_ones_are_open_and_those_that_are_named() {
    root_only!();
    let mut bundle = Bundle::new("norules");
    bundle.set(
        "/process/capabilities",
        json!({ "bounding": ["CAP_MKNOD"], "effective": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"] }),
    );
    // 10:237 is loop-control; where the kernel has none it says so to whoever may open it.
    let script = "mknod /tmp/node c 10 237 && (true < /tmp/node) 2>&1; echo x > /dev/null && echo open";
    let said = bundle.says(script);
    assert!(said.contains("Operation not permitted") && said.ends_with("open"), "{said}");
    let named = json!([{ "path": "/dev/named", "type": "c", "major": 10, "minor": 237 }]);
    let said = bundle.says_with("/linux/devices", named, "(true < /dev/named) 2>&1; true");
    assert!(!said.contains("Operation not permitted"), "{said}");
    bundle.nothing_is_left();
}
