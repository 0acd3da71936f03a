//! A delegated scope from systemd, org.freedesktop.systemd1(5): the one piece of a cgroup tree that is an ordinary user's.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::geteuid;
use seclude_request::Remedy;
use zbus::blocking::{Connection, Proxy};
use zbus::zvariant::{OwnedObjectPath, Value};

use crate::advice::Hint;
use crate::error::{Error, Result};

const NAME: &str = "systemd scope";
const MANAGER: &str = "org.freedesktop.systemd1";

/// Has systemd put the process into a new scope; returns when it is there.
pub(crate) fn start(pid: u32) -> Result<()> {
    let failed = |what: &'static str| {
        move |error: zbus::Error| {
            let error = Error::parent(NAME, what, std::io::Error::other(one_line(&error)));
            error.at("cgroup.scope").hint(
                Hint::from("a systemd that can be reached over D-Bus makes scopes; without one name a parent cgroup")
                    .with([Remedy::give("cgroup.parent")]),
            )
        }
    };
    let bus = if geteuid().is_root() { Connection::system() } else { Connection::session() };
    let bus = bus.map_err(failed("connect to the bus"))?;
    let path = "/org/freedesktop/systemd1";
    let manager =
        Proxy::new(&bus, MANAGER, path, "org.freedesktop.systemd1.Manager").map_err(failed("find systemd"))?;
    // Before the job is there that the signal will be about.
    let mut removed = manager.receive_signal("JobRemoved").map_err(failed("listen for the end of the job"))?;
    manager.call::<_, _, ()>("Subscribe", &()).map_err(failed("Subscribe"))?;
    let unit = unit_name();
    let properties: [(&str, Value<'_>); 4] = [
        ("Description", format!("seclude: container of process {pid}").into()),
        ("PIDs", vec![pid].into()),
        ("Delegate", true.into()),
        // Also a scope whose processes failed goes away.
        ("CollectMode", "inactive-or-failed".into()),
    ];
    let no_other_units: [(&str, Vec<(&str, Value<'_>)>); 0] = [];
    let job: OwnedObjectPath = manager
        .call("StartTransientUnit", &(unit.as_str(), "fail", &properties[..], &no_other_units[..]))
        .map_err(failed("StartTransientUnit"))?;
    for signal in &mut removed {
        let body = signal.body();
        let (_, ended, _, result): (u32, OwnedObjectPath, String, String) =
            body.deserialize().map_err(failed("JobRemoved"))?;
        if ended != job {
            continue;
        }
        return match result.as_str() {
            "done" => Ok(()),
            other => Err(Error::invalid(NAME, format!("{unit}: the job ended as {other:?}"))),
        };
    }
    Err(Error::invalid(NAME, format!("{unit}: the bus went away")))
}

/// No other unit has it: one of this process, which is the only one with its pid.
fn unit_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = seclude_sys::process::monotonic_ns();
    format!("seclude-{}-{now}-{}.scope", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn one_line(error: &zbus::Error) -> String {
    error.to_string().replace('\n', " ")
}
