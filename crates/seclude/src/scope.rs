//! A scope from systemd, org.freedesktop.systemd1(5): the one piece of a cgroup tree that is an ordinary user's, and for who is asked to, what has
//! systemd know of a container.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::geteuid;
use seclude_request::Remedy;
use zbus::blocking::connection::Builder;
use zbus::blocking::{Connection, Proxy};
use zbus::zvariant::{OwnedObjectPath, Value};

use crate::advice::Hint;
use crate::error::{Error, Result};

const NAME: &str = "systemd scope";
const MANAGER: &str = "org.freedesktop.systemd1";
const EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// A property of a unit, by what D-Bus has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    /// `b`
    Flag(bool),
    /// `t`
    Number(u64),
    /// `i`
    Signed(i32),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
    /// `au`
    Pids(Vec<u32>),
}

impl Property {
    fn value(&self) -> Value<'static> {
        match self {
            Property::Flag(on) => (*on).into(),
            Property::Number(number) => (*number).into(),
            Property::Signed(number) => (*number).into(),
            Property::Text(text) => text.clone().into(),
            Property::Texts(texts) => texts.clone().into(),
            Property::Bytes(bytes) => bytes.clone().into(),
            Property::Pairs(pairs) => pairs.clone().into(),
            Property::Pids(pids) => pids.clone().into(),
        }
    }
}

/// A transient scope: processes that are there, in a cgroup of systemd's making. Needs a systemd that is reached over D-Bus.
#[derive(Clone, Debug)]
pub struct Scope {
    unit: String,
    is_user: bool,
    bus_user: Option<u32>,
    properties: Vec<(String, Property)>,
}

impl Scope {
    /// One of this name, which ends in `.scope`. `is_user`: of the user's own systemd, on the session bus; else of the system's.
    pub fn new(unit: impl Into<String>, is_user: bool) -> Scope {
        Scope { unit: unit.into(), is_user, bus_user: None, properties: Vec::new() }
    }

    /// As whom the bus is spoken to, for a caller whose id the bus knows by another number: one in a user namespace. Default: the caller's
    /// effective id.
    #[must_use]
    pub fn bus_user(mut self, uid: u32) -> Scope {
        self.bus_user = Some(uid);
        self
    }

    /// With a property of systemd.scope(5) or systemd.resource-control(5).
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, property: Property) -> Scope {
        self.properties.push((name.into(), property));
        self
    }

    /// Where this systemd's own cgroup is, below which its units are; `/` for the system's.
    ///
    /// # Errors
    /// When it is not to be reached over D-Bus.
    pub fn above(&self) -> Result<PathBuf> {
        let bus = self.bus()?;
        let own: String = manager(&bus)?.get_property("ControlGroup").map_err(failed("look up ControlGroup"))?;
        Ok(PathBuf::from(if own.is_empty() { "/" } else { own.as_str() }))
    }

    /// Has systemd put these processes into it; returns when they are there.
    ///
    /// # Errors
    /// When there is no bus, no systemd on it, or that refuses. One of this name that has failed and is still known is forgotten first;
    /// one that runs is an error.
    pub fn start(&self, pids: &[u32]) -> Result<()> {
        let bus = self.bus()?;
        let manager = manager(&bus)?;
        // Before the job is there that the signal will be about.
        let mut removed = manager.receive_signal("JobRemoved").map_err(failed("listen for the end of the job"))?;
        manager.call::<_, _, ()>("Subscribe", &()).map_err(failed("Subscribe"))?;
        let mut properties = vec![("PIDs", Property::Pids(pids.to_vec()).value())];
        properties.extend(self.properties.iter().map(|(name, property)| (name.as_str(), property.value())));
        let no_other_units: [(&str, Vec<(&str, Value<'_>)>); 0] = [];
        let asked = || {
            let body = (self.unit.as_str(), "fail", &properties[..], &no_other_units[..]);
            manager.call::<_, _, OwnedObjectPath>("StartTransientUnit", &body)
        };
        let job = asked().or_else(|error| match is(&error, EXISTS) {
            true => manager.call::<_, _, ()>("ResetFailedUnit", &(self.unit.as_str(),)).and_then(|()| asked()),
            false => Err(error),
        });
        let job = job.map_err(failed("StartTransientUnit"))?;
        for signal in &mut removed {
            let body = signal.body();
            let (_, ended, _, result): (u32, OwnedObjectPath, String, String) =
                body.deserialize().map_err(failed("JobRemoved"))?;
            if ended != job {
                continue;
            }
            return match result.as_str() {
                "done" => Ok(()),
                other => Err(Error::invalid(NAME, format!("{}: the job ended as {other:?}", self.unit))),
            };
        }
        Err(Error::invalid(NAME, format!("{}: the bus went away", self.unit)))
    }

    /// Has its properties be these from here on, of one that runs: what systemd does not know it sets back when it reloads.
    ///
    /// # Errors
    /// As [`Scope::start`].
    pub fn update(&self) -> Result<()> {
        let properties: Vec<(&str, Value<'_>)> =
            self.properties.iter().map(|(name, property)| (name.as_str(), property.value())).collect();
        let body = (self.unit.as_str(), true, &properties[..]);
        manager(&self.bus()?)?.call::<_, _, ()>("SetUnitProperties", &body).map_err(failed("SetUnitProperties"))
    }

    /// Has systemd forget it, and end what is left in it. One that is not there is no error.
    ///
    /// # Errors
    /// As [`Scope::start`].
    pub fn stop(&self) -> Result<()> {
        let bus = self.bus()?;
        match manager(&bus)?.call::<_, _, OwnedObjectPath>("StopUnit", &(self.unit.as_str(), "replace")) {
            Err(error) if !is(&error, NO_SUCH) => Err(failed("StopUnit")(error)),
            _ => Ok(()),
        }
    }

    fn bus(&self) -> Result<Connection> {
        let builder = if self.is_user { Builder::session() } else { Builder::system() };
        let builder = builder.map(|builder| match self.bus_user {
            Some(uid) => builder.user_id(uid),
            None => builder,
        });
        builder.and_then(Builder::build).map_err(failed("connect to the bus"))
    }
}

fn manager(bus: &Connection) -> Result<Proxy<'static>> {
    let path = "/org/freedesktop/systemd1";
    Proxy::new(bus, MANAGER, path, "org.freedesktop.systemd1.Manager").map_err(failed("find systemd"))
}

fn is(error: &zbus::Error, name: &str) -> bool {
    matches!(error, zbus::Error::MethodError(found, _, _) if found.as_str() == name)
}

fn failed(what: &'static str) -> impl Fn(zbus::Error) -> Error {
    move |error| {
        let error = Error::parent(NAME, what, std::io::Error::other(one_line(&error)));
        error.at("cgroup.scope").hint(
            Hint::from("a systemd that can be reached over D-Bus makes scopes; without one name a parent cgroup")
                .with([Remedy::give("cgroup.parent")]),
        )
    }
}

/// Has systemd put the process into a new scope that is delegated to it; returns when it is there.
pub(crate) fn start(pid: u32) -> Result<()> {
    Scope::new(unit_name(), !geteuid().is_root())
        .property("Description", Property::Text(format!("seclude: container of process {pid}")))
        .property("Delegate", Property::Flag(true))
        // Also a scope whose processes failed goes away.
        .property("CollectMode", Property::Text("inactive-or-failed".to_owned()))
        .start(&[pid])
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
