//! What dead processes have left. Links go by themselves, with the network namespace that they lead into.

use std::collections::HashSet;

use crate::bridge::{Bridge, place_of, subnet_of};
use crate::claims::{leave_table, remove_bridge, remove_elements};
use crate::host::Host;
use crate::lease::{address_of, link_name};
use crate::lock::{self, Place};
use crate::nft::{self, Element, Transaction};
use crate::route::{link, links};
use crate::{Error, hosts};

/// Removes from the calling thread's network namespace what no living container and no living process has: elements
/// of our table, hosts files, bridges, the table itself, and forwarding that was switched on. Answers what was removed.
///
/// # Errors
/// [`Error::NotPermitted`] and [`Error::Call`]; what comes after is then not tried.
pub fn sweep() -> Result<Vec<String>, Error> {
    let was_used = is_needed();
    let host = match Host::open() {
        // Whoever could not have made anything has nothing to remove where nobody has made anything.
        Err(Error::NotPermitted { .. }) if !was_used => return Ok(Vec::new()),
        other => other?,
    };
    let mut removed = Vec::new();
    let all = links(&host.route, None)?;
    let living: HashSet<&str> = all.iter().map(|link| link.name.as_str()).collect();
    let is_dead = |name: &str| is_dead(&host, &living, name);

    for (name, elements) in dead_elements(&host, &is_dead)? {
        remove_elements(&host, &elements)?;
        removed.push(format!("rules of {name}"));
    }
    for name in nft::guarded(&host.filter)? {
        if is_dead(&name)? {
            let mut transaction = Transaction::new();
            transaction.unguard(&name);
            transaction.commit(&host.filter)?;
        }
    }
    removed.extend(hosts::sweep(&host, is_dead)?);
    for link in &all {
        let Some(subnet) = subnet_of(link) else { continue };
        let (name, place) = (link.name.clone(), place_of(link, subnet));
        let bridge = Bridge { name, index: link.index, is_own: true, place };
        if host.locks.try_write(place)? {
            let gone = remove_bridge(&host, &bridge);
            host.locks.release(place)?;
            if gone? {
                removed.push(format!("bridge {}", bridge.name));
            }
        }
    }
    if nft::table_exists(&host.filter)? {
        sweep_given(&host, &all, &mut removed)?;
        if leave_table(&host)? {
            removed.push("table inet seclude".to_owned());
        }
    }
    if !living.iter().any(|name| address_of(name).is_some()) {
        host.locks.forget_left();
    }
    Ok(removed)
}

/// The same where a look at one file tells that there may be something, for whoever has no business with networks.
pub fn sweep_if_left() {
    if lock::is_left_alone() {
        let _ = sweep();
    }
}

/// Whether nobody has the address after which the link is named: the link is gone, and the lock is free. It is then
/// held until the end, so that nobody gets the address while what was left of it is removed.
fn is_dead(host: &Host, living: &HashSet<&str>, name: &str) -> Result<bool, Error> {
    let Some(address) = address_of(name).filter(|_| !living.contains(name)) else { return Ok(false) };
    if !host.locks.try_write(Place::Address(address))? {
        return Ok(false);
    }
    // It may have been made since the links were looked at.
    let made = link(&host.route, name).map(|link| link.is_some());
    if !matches!(made, Ok(false)) {
        host.locks.release(Place::Address(address))?;
    }
    Ok(!made?)
}

/// The elements of the dead, by link.
fn dead_elements(
    host: &Host,
    is_dead: &impl Fn(&str) -> Result<bool, Error>,
) -> Result<Vec<(String, Vec<Element>)>, Error> {
    let mut dead: Vec<(String, Vec<Element>)> = Vec::new();
    for set in nft::CONTAINERS {
        for element in nft::elements_of(&host.filter, set)? {
            let Some(name) = owner(&element) else { continue };
            match dead.iter_mut().find(|(other, _)| *other == name) {
                Some((_, elements)) => elements.push(element),
                None if is_dead(&name)? => dead.push((name, vec![element])),
                None => {}
            }
        }
    }
    Ok(dead)
}

/// The link of the container that an element is of: by the address it ends with or leads to, or by name. Those of
/// IPv6 have no such address, and go with the table; the same container's others tell of them.
fn owner(element: &Element) -> Option<String> {
    let address = |bytes: &[u8]| Some(link_name(<[u8; 4]>::try_from(bytes).ok()?.into()));
    match (element.set, &element.data) {
        (_, Some(data)) => address(data.get(..4)?),
        ("inside" | "localnet", None) => {
            let name = crate::message::text(&element.key);
            address_of(&name).map(|_| name)
        }
        (_, None) => address(element.key.get(element.key.len().checked_sub(4)?..)?),
    }
}

/// Given bridges that nobody uses any more.
fn sweep_given(host: &Host, all: &[crate::route::Link], removed: &mut Vec<String>) -> Result<(), Error> {
    for element in nft::elements_of(&host.filter, "given")? {
        let name = crate::message::text(&element.key);
        let Some(link) = all.iter().find(|link| link.name == name) else { continue };
        let place = Place::Given(link.index);
        let bridge = Bridge { name, index: link.index, is_own: false, place };
        if host.locks.try_write(place)? {
            let gone = remove_bridge(host, &bridge);
            host.locks.release(place)?;
            if gone? {
                removed.push(format!("rules of bridge {}", bridge.name));
            }
        }
    }
    Ok(())
}

/// Whether there can be anything to sweep: a process leaves nothing without the file of locks.
pub(crate) fn is_needed() -> bool {
    rustix::fs::access(lock::DIRECTORY, rustix::fs::Access::EXISTS).is_ok()
}
