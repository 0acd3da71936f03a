//! From the options to a request. What they have under other names than a request, or in another form, is moved there
//! ([`draft`]); all else goes through as it is, so that what `crates/request` knows is known here.

mod container;
mod devices;
mod draft;
mod fs;
mod names;
mod tables;
mod tree;

use std::fmt::Display;
use std::os::fd::OwnedFd;

use seclude::request::{Field, Request, Spelling, Value, Why};
use seclude::{First, Limit, Limits, Plan};
use serde_json::Value as Json;

use draft::Draft;
pub(crate) use names::Names;

/// Why options cannot be meant.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// An unknown key, a value of the wrong type or a contradiction: a TypeError.
    Type(Told),
    /// A value out of range: a RangeError.
    Range(Told),
    /// One of these, and what can be done, as data.
    Remedied(Box<Wrong>, Json),
}

/// What is said of an option, and which it is, as data.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Wrong {
    pub(crate) fn type_of(field: &impl Display, message: String) -> Wrong {
        Wrong::Type(Told { field: field.to_string(), message })
    }

    pub(crate) fn range_of(field: &impl Display, message: String) -> Wrong {
        Wrong::Range(Told { field: field.to_string(), message })
    }
}

pub(crate) type Read<T> = Result<T, Wrong>;

/// What is read of the options.
pub(crate) struct Options {
    pub(crate) request: Request,
    pub(crate) names: Names,
    /// The cgroup to start in, where that was given as a descriptor.
    pub(crate) joined: Option<OwnedFd>,
}

/// What the handle has to know of a container.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    /// It runs on when this process, or its worker thread, ends.
    pub(crate) outlives: bool,
    /// The command is PID 1: the kernel drops signals that it has no handler for, but SIGKILL and SIGSTOP.
    pub(crate) first: bool,
    /// An init is.
    pub(crate) init: bool,
}

/// How often `false` is found where nothing else is to be true or false.
const MOST_OFF: usize = 256;

/// Reads `{ container }`.
pub(crate) fn read(given: Value) -> Read<Options> {
    let names = Names::new(&given);
    let container = match tables::without(given, "container").0 {
        None => Value::Object(vec![("preset".into(), tables::text("bare"))]),
        Some((_, Value::Bool(_))) => Value::Object(Vec::new()),
        Some((_, container)) => container,
    };
    let mut draft = Draft {
        request: Value::Object(Vec::new()),
        names,
        sandbox: tree::at(&container, &Field::of("preset")) != Some(&tables::text("bare")),
        pid: None,
        as_pid_1: None,
        cgroup: None,
        connected: None,
        somebody: None,
        joined: None,
    };
    draft.container(container)?;
    draft.finish()?;
    let Draft { request: mut value, mut names, joined, .. } = draft;
    let mut read = Request::from_value(&value, Spelling::Camel);
    // `false` where nothing is to be true or false is off, as if it was left out; nobody means that by a preset.
    for _ in 0..MOST_OFF {
        match &read {
            Err(wrong)
                if matches!(wrong.why, Why::Type { .. })
                    && wrong.field != Field::of("preset")
                    && tree::leave(&mut value, &wrong.field) => {}
            _ => break,
        }
        read = Request::from_value(&value, Spelling::Camel);
    }
    let request = read.map_err(|wrong| refused(&names, &wrong))?;
    names.publish(request.network.as_ref().map_or(&[], |network| &network.publish));
    online(&request, &names)?;
    Ok(Options { request, names, joined })
}

/// What a request is refused with.
pub(crate) fn refused(names: &Names, wrong: &seclude::request::Wrong) -> Wrong {
    let place = names.place(&wrong.field);
    let message = wrong.camel_of(&place.to_string());
    if wrong.is_type() { Wrong::type_of(&place, message) } else { Wrong::range_of(&place, message) }
}

impl Facts {
    /// The plan knows what a request comes to.
    pub(crate) fn of(plan: &Plan, outlives: bool) -> Facts {
        let first = plan.first();
        Facts { outlives, first: first == Some(First::Command), init: first == Some(First::Init) }
    }
}

/// What of the limits this machine has.
fn online(request: &Request, names: &Names) -> Read<()> {
    let asked = &request.limits;
    let mut limits = Limits::new();
    limits.cpu_max = asked.cpu_max;
    // What is no list is an error of the library's.
    limits.cpuset_cpus = asked.cpuset_cpus.as_ref().and_then(|list| list.parse().ok());
    limits.cpuset_mems = asked.cpuset_mems.as_ref().and_then(|list| list.parse().ok());
    limits.validate_online().map_err(|error| {
        let key = match error.limit {
            Limit::CpuMax => "cpu_max",
            Limit::CpusetMems => "cpuset_mems",
            _ => "cpuset_cpus",
        };
        let place = names.place(&Field::of("limits").key(key));
        // The library counts CPUs, this key percent.
        let each = if place.last() == Some("cpu") { ", each of which is 100" } else { "" };
        Wrong::range_of(&place, format!("{place} is {}; it can be {}{each}", error.value, error.expected))
    })
}
