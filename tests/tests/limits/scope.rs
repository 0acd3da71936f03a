//! A delegated scope from systemd, or here from something that answers as systemd does.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use seclude_tests::{Bus, helper, root_only, shell, tell, told};
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

/// Starts a container in a scope, and tells how that went.
pub(crate) fn spawn_in_scope() {
    let mut command = shell("grep ^0:: /proc/self/cgroup");
    let user = seclude::Namespace::User;
    command.unshare(user).cgroup(seclude::Cgroup::new().scope(true));
    match command.output() {
        Ok(output) => {
            tell(format!("inside {}", String::from_utf8_lossy(&output.stdout).trim()));
            tell(format!("tree {:?}", output.exit.tree()));
        }
        Err(error) => tell(format!("error {error}")),
    }
}

fn ask_for_a_scope(bus: &Bus) -> Vec<String> {
    let mut spawner = helper("in-scope");
    spawner.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address).env("DBUS_SESSION_BUS_ADDRESS", &bus.address);
    told(&spawner.output().unwrap())
}

/// As much of systemd as makes scopes.
struct Manager {
    scopes: PathBuf,
    made: &'static Mutex<Vec<String>>,
    refuses: bool,
}

type Properties = Vec<(String, OwnedValue)>;

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    async fn start_transient_unit(
        &self,
        name: String,
        _mode: String,
        properties: Properties,
        _others: Vec<(String, Properties)>,
        #[zbus(signal_emitter)] signals: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        if self.refuses {
            return Err(zbus::fdo::Error::AccessDenied("interactive authentication required".into()));
        }
        let property = |wanted: &str| properties.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        assert!(matches!(property("Delegate").map(|value| &**value), Some(Value::Bool(true))));
        let pids: Vec<u32> = property("PIDs").unwrap().try_clone().unwrap().try_into().unwrap();
        let scope = self.scopes.join(&name);
        std::fs::create_dir_all(&scope).unwrap();
        std::fs::write(scope.join("cgroup.procs"), pids[0].to_string()).unwrap();
        self.made.lock().unwrap().push(name.clone());
        let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/7").unwrap();
        Manager::job_removed(&signals, 7, job.clone(), name, "done".into()).await?;
        Ok(job)
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

fn serve(bus: &Bus, manager: Manager) -> zbus::blocking::Connection {
    let builder = zbus::blocking::connection::Builder::address(bus.address.as_str()).unwrap();
    let builder = builder.name("org.freedesktop.systemd1").unwrap();
    builder.serve_at("/org/freedesktop/systemd1", manager).unwrap().build().unwrap()
}

fn v2() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

#[test]
fn a_scope_holds_the_container_in_a_cgroup_of_its_own() {
    root_only!();
    let (Some(bus), Some(v2)) = (Bus::start(), v2()) else { return };
    static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let scopes = v2.join(format!("seclude-test/scopes-{}", std::process::id()));
    let served = serve(&bus, Manager { scopes: scopes.clone(), made: &MADE, refuses: false });
    let said = ask_for_a_scope(&bus);
    let made = MADE.lock().unwrap().clone();
    assert_eq!(made.len(), 1, "{said:?}");
    let scope = scopes.join(&made[0]);
    // In a cgroup below the scope, whose own processes would keep it from handing anything down.
    let prefix = format!("inside 0::/{}/", scope.strip_prefix(&v2).unwrap().display());
    assert!(said[0].starts_with(&prefix) && said[0].ends_with("/inside"), "{said:?}");
    assert_eq!(said[1], "tree CgroupRemoved");
    drop(served);
    // Nothing is left in the scope: systemd would remove it now.
    std::fs::remove_dir(&scope).unwrap();
    std::fs::remove_dir(&scopes).unwrap();
    let _ = std::fs::remove_dir(v2.join("seclude-test"));
}

#[test]
fn a_scope_that_is_refused_is_an_error_with_its_reason() {
    let Some(bus) = Bus::start() else { return };
    static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let served = serve(&bus, Manager { scopes: Path::new("/").into(), made: &MADE, refuses: true });
    let said = ask_for_a_scope(&bus);
    assert!(said[0].starts_with("error systemd scope StartTransientUnit: "), "{said:?}");
    assert!(said[0].contains("interactive authentication required"), "{said:?}");
    drop(served);
}

#[test]
fn without_systemd_a_scope_is_an_error_that_says_what_to_do() {
    let Some(mut bus) = Bus::start() else { return };
    let said = ask_for_a_scope(&bus);
    assert!(said[0].starts_with("error systemd scope ") && said[0].contains("name a parent cgroup"), "{said:?}");
    bus.address = "unix:path=/no/such/bus".into();
    let said = ask_for_a_scope(&bus);
    assert!(said[0].starts_with("error systemd scope connect to the bus: "), "{said:?}");
}
