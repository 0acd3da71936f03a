//! `--systemd-cgroup`, with something on a bus of the test's own that answers as systemd does.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use seclude_tests::{Bundle, Bus, cgroup_mounts, root_only};
use serde_json::json;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

type Properties = Vec<(String, OwnedValue)>;

/// What it was asked for, in order, and the properties of the last.
#[derive(Default)]
struct Asked {
    calls: Vec<String>,
    properties: BTreeMap<String, String>,
}

/// As much of systemd as makes scopes.
struct Manager {
    /// Below the mount of v2.
    own: PathBuf,
    v2: PathBuf,
    asked: Arc<Mutex<Asked>>,
    refuses: bool,
}

impl Manager {
    fn note(&self, call: &str, properties: &Properties) {
        let mut asked = self.asked.lock().unwrap();
        asked.calls.push(call.to_owned());
        asked.properties = properties.iter().map(|(name, value)| (name.clone(), format!("{:?}", **value))).collect();
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(property)]
    fn control_group(&self) -> String {
        format!("/{}", self.own.display())
    }

    fn subscribe(&self) {}

    async fn start_transient_unit(
        &self,
        name: String,
        _mode: String,
        properties: Properties,
        _others: Vec<(String, Properties)>,
        #[zbus(signal_emitter)] signals: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        self.note(&format!("start {name}"), &properties);
        if self.refuses {
            return Err(zbus::fdo::Error::AccessDenied("interactive authentication required".into()));
        }
        let value = |wanted: &str| properties.iter().find(|(name, _)| name == wanted).map(|(_, value)| value).unwrap();
        let pids: Vec<u32> = value("PIDs").try_clone().unwrap().try_into().unwrap();
        let slice: String = value("Slice").try_clone().unwrap().try_into().unwrap();
        let scope = self.v2.join(&self.own).join(slice).join(&name);
        fs::create_dir_all(&scope).unwrap();
        // As it hands down what a unit is limited by; where v1 has the controllers there are none to hand down.
        let mut above: Vec<_> = scope.ancestors().skip(1).take_while(|above| above.starts_with(&self.v2)).collect();
        while let Some(one) = above.pop() {
            let _ = fs::write(one.join("cgroup.subtree_control"), "+cpu +pids");
        }
        fs::write(scope.join("cgroup.procs"), pids[0].to_string()).unwrap();
        let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/7").unwrap();
        Manager::job_removed(&signals, 7, job.clone(), name, "done".into()).await?;
        Ok(job)
    }

    fn set_unit_properties(&self, name: String, _runtime: bool, properties: Properties) {
        self.note(&format!("set {name}"), &properties);
    }

    fn stop_unit(&self, name: String, _mode: String) -> OwnedObjectPath {
        self.note(&format!("stop {name}"), &Vec::new());
        OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/8").unwrap()
    }

    #[zbus(signal)]
    async fn job_removed(
        signals: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}

/// A bus with that on it.
struct Systemd {
    bus: Bus,
    asked: Arc<Mutex<Asked>>,
    own: PathBuf,
    v2: PathBuf,
    _served: zbus::blocking::Connection,
}

impl Systemd {
    fn start(name: &str, refuses: bool) -> Option<Systemd> {
        let bus = Bus::start()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let v2 = PathBuf::from(mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?);
        let own = PathBuf::from(format!("seclude-test/systemd-{name}-{}", std::process::id()));
        let asked: Arc<Mutex<Asked>> = Arc::default();
        let manager = Manager { own: own.clone(), v2: v2.clone(), asked: asked.clone(), refuses };
        let builder = zbus::blocking::connection::Builder::address(bus.address.as_str()).unwrap();
        let builder = builder.name("org.freedesktop.systemd1").unwrap();
        let served = builder.serve_at("/org/freedesktop/systemd1", manager).unwrap().build().unwrap();
        Some(Systemd { bus, asked, own, v2, _served: served })
    }

    fn oci(&self, bundle: &Bundle, arguments: &[&str]) -> (bool, String) {
        let mut command = bundle.command(&[&["--systemd-cgroup"], arguments].concat());
        let err = fs::File::create(bundle.join("err")).unwrap();
        let status = command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus.address).stderr(err).status().unwrap();
        (status.success(), fs::read_to_string(bundle.join("err")).unwrap())
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap().calls)
    }

    fn property(&self, name: &str) -> Option<String> {
        self.asked.lock().unwrap().properties.get(name).cloned()
    }

    /// Directories of what is below its cgroup, in any hierarchy.
    fn left(&self) -> Vec<PathBuf> {
        let scopes = cgroup_mounts().into_iter().map(|mount| mount.join(&self.own).join("test.slice"));
        scopes
            .flat_map(|slice| fs::read_dir(slice).into_iter().flatten().flatten())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.path())
            .collect()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // Its own slices, as it makes them.
        let own = self.v2.join(&self.own);
        let _ = fs::remove_dir(own.join("test.slice"));
        let _ = fs::remove_dir(&own);
        let _ = fs::remove_dir(self.v2.join("seclude-test"));
    }
}

#[test]
fn a_container_is_in_a_scope_that_systemd_knows_the_limits_of() {
    root_only!();
    let Some(systemd) = Systemd::start("scope", false) else { return };
    let mut bundle = Bundle::new("systemd");
    bundle.set("/linux/cgroupsPath", json!("test.slice:pre:one"));
    bundle.set("/linux/resources", json!({ "pids": { "limit": 20 }, "cpu": { "quota": 25000, "period": 50000 },
        "devices": [{ "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" }] }));
    bundle.set("/annotations", json!({ "org.systemd.property.TimeoutStopSec": "3", "other": "what" }));
    bundle.script("sleep 1000").write();
    assert_eq!(systemd.oci(&bundle, &["create", "one"]), (true, String::new()));
    assert_eq!(systemd.calls(), ["start pre-one.scope"]);
    for (name, value) in [
        ("Delegate", "Bool(true)"),
        ("Slice", "test.slice"),
        ("TasksMax", "U64(20)"),
        ("CPUQuotaPerSecUSec", "U64(500000)"),
        ("CPUQuotaPeriodUSec", "U64(50000)"),
        ("TimeoutStopUSec", "U64(3000000)"),
        ("CPUAccounting", "Bool(true)"),
    ] {
        let found = systemd.property(name).unwrap_or_default();
        assert!(found.contains(value), "{name}: {found}");
    }
    assert!(systemd.property("DevicePolicy").unwrap().contains("strict"));
    let allowed = systemd.property("DeviceAllow").unwrap();
    assert!(allowed.contains("/dev/char/10:229") && allowed.contains("/dev/char/1:3"), "{allowed}");
    assert_eq!(systemd.property("other"), None);
    // Alone in it: what systemd made it around has ended.
    let pid = bundle.state("one")["pid"].to_string();
    let scope = systemd.v2.join(&systemd.own).join("test.slice/pre-one.scope");
    assert_eq!(fs::read_to_string(scope.join("cgroup.procs")).unwrap().trim(), pid);
    assert_eq!(systemd.oci(&bundle, &["start", "one"]), (true, String::new()));
    // What systemd does not know it would set back.
    assert_eq!(systemd.oci(&bundle, &["update", "--pids-limit", "10", "one"]), (true, String::new()));
    assert_eq!(
        (systemd.calls(), systemd.property("TasksMax")),
        (vec!["set pre-one.scope".to_owned()], Some("U64(10)".to_owned()))
    );
    let limit = cgroup_mounts()
        .into_iter()
        .find_map(|mount| fs::read_to_string(mount.join(&systemd.own).join("test.slice/pre-one.scope/pids.max")).ok());
    assert_eq!(limit.unwrap().trim(), "10");
    assert_eq!(systemd.oci(&bundle, &["delete", "--force", "one"]), (true, String::new()));
    assert_eq!(systemd.calls(), ["stop pre-one.scope"]);
    assert_eq!(systemd.left(), Vec::<PathBuf>::new());
    bundle.nothing_is_left();
}

#[test]
fn a_scope_that_cannot_be_had_is_an_error_and_leaves_nothing() {
    root_only!();
    let mut bundle = Bundle::new("no-systemd");
    bundle.set("/linux/cgroupsPath", json!("test.slice:pre:one")).write();
    // Without the flag it is no path of a cgroup.
    assert!(bundle.refused(&["create", "one"]).contains("linux.cgroupsPath: "));
    let Some(systemd) = Systemd::start("refuses", true) else { return };
    let (done, said) = systemd.oci(&bundle, &["create", "one"]);
    let begins = "seclude-oci: error: linux.cgroupsPath: ";
    assert!(!done && said.starts_with(begins) && said.contains("interactive authentication required"), "{said}");
    // What fails later has it stopped.
    bundle.set("/process/args", json!(["not-there"])).write();
    drop(systemd);
    let Some(systemd) = Systemd::start("later", false) else { return };
    let (done, said) = systemd.oci(&bundle, &["create", "one"]);
    assert!(!done && said.contains("not found"), "{said}");
    assert_eq!(systemd.calls(), ["start pre-one.scope", "stop pre-one.scope"]);
    assert_eq!(systemd.left(), Vec::<PathBuf>::new());
    for path in ["/a/path", "no-slice:a:b", "test.slice:a:../b", "a..slice:b:c/d"] {
        bundle.set("/linux/cgroupsPath", json!(path)).write();
        let (done, said) = systemd.oci(&bundle, &["create", "one"]);
        assert!(!done && said.starts_with(begins), "{path}: {said}");
    }
    bundle.set("/linux/cgroupsPath", json!("test.slice:pre:one")).write();
    let mut command = bundle.command(&["--systemd-cgroup", "create", "one"]);
    let output = command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/no/such/bus").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.starts_with(begins) && said.contains("connect to the bus"), "{said}");
    assert_eq!(said.lines().count(), 1);
    bundle.nothing_is_left();
}
