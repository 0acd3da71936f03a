//! What a container has of the host, and giving it back.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::bridge::Bridge;
use crate::forward;
use crate::host::Host;
use crate::lease::address_of;
use crate::lock::Place;
use crate::nft::{self, Element, Transaction};
use crate::route::{delete_link, links};
use crate::{Error, hosts};

pub(crate) struct Claims {
    pub(crate) host: Host,
    /// Whether the lock of the table is held.
    pub(crate) table: bool,
    pub(crate) bridge: Option<Bridge>,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) ports: Vec<OwnedFd>,
    /// Its own elements in the table.
    pub(crate) elements: Vec<Element>,
    /// The host's end, once it is made.
    pub(crate) link: Option<String>,
    /// The container's network namespace, as long as its link is: if the kernel takes both away at once, it can call
    /// those who listen for devices through a socket that the namespace has lost already (a NULL dereference in
    /// netdev_genl_dev_notify(), seen on 6.18).
    pub(crate) namespace: Option<OwnedFd>,
    /// The same, once it is looked at what comes from there.
    pub(crate) guarded: Option<String>,
    pub(crate) hosts: Option<hosts::File>,
}

impl Claims {
    pub(crate) fn new(host: Host) -> Claims {
        Claims {
            host,
            table: false,
            bridge: None,
            address: None,
            ports: Vec::new(),
            elements: Vec::new(),
            link: None,
            namespace: None,
            guarded: None,
            hosts: None,
        }
    }

    /// Gives everything back, rules first, so that nothing leads to an address that is free. All is tried; the first
    /// error is answered. What was given back is not tried again.
    pub(crate) fn give_back(&mut self) -> Result<(), Error> {
        let mut first = self.remove_rules();
        let mut note = |result: Result<(), Error>| first = std::mem::replace(&mut first, Ok(())).and(result);
        if let Some(link) = self.link.take() {
            note(delete_link(&self.host.route, &link).map(drop));
        }
        self.namespace = None;
        if let Some(file) = self.hosts.take() {
            note(file.remove());
        }
        self.ports.clear();
        if let Some(address) = self.address.take() {
            note(self.host.locks.release(Place::Address(address)));
        }
        if let Some(bridge) = self.bridge.take() {
            note(leave_bridge(&self.host, &bridge));
        }
        if std::mem::take(&mut self.table) {
            note(self.host.locks.release(Place::Table).and_then(|()| leave_table(&self.host).map(drop)));
        }
        first
    }

    /// Gives nothing back but the locks and the descriptors.
    pub(crate) fn leave(mut self) {
        self.host.locks.note_left();
        (self.table, self.bridge, self.address) = (false, None, None);
        (self.link, self.guarded, self.hosts) = (None, None, None);
        self.elements.clear();
    }

    fn remove_rules(&mut self) -> Result<(), Error> {
        let mut first = Ok(());
        if let Some(link) = self.guarded.take() {
            let mut transaction = Transaction::new();
            transaction.unguard(&link);
            first = forgiving(transaction.commit(&self.host.filter));
        }
        let elements = std::mem::take(&mut self.elements);
        first.and(remove_elements(&self.host, &elements))
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        let _ = self.give_back();
    }
}

/// That something is not there, such as after `nft flush ruleset`, is no error where it is to be removed.
fn forgiving(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Removes elements, whether they are there or not: a transaction that fails costs the kernel a grace period.
pub(crate) fn remove_elements(host: &Host, elements: &[Element]) -> Result<(), Error> {
    let clear = |elements: &[Element]| {
        let mut transaction = Transaction::new();
        elements.iter().for_each(|element| transaction.clear(element));
        // No table, no elements.
        forgiving(transaction.commit(&host.filter))
    };
    match clear(elements) {
        // One of a map leads elsewhere by now, so it is somebody else's.
        Err(error) if error.is(Errno::EXIST) => {
            let mut first = Ok(());
            for element in elements {
                match clear(std::slice::from_ref(element)) {
                    Err(error) if error.is(Errno::EXIST) => {}
                    other => first = first.and(other),
                }
            }
            first
        }
        other => other,
    }
}

/// Removes the bridge, or what it is in the table, with its last user. The lock is given up here.
///
/// It is given up before it is asked for again, alone: of several that leave at once, one gets it.
pub(crate) fn leave_bridge(host: &Host, bridge: &Bridge) -> Result<(), Error> {
    host.locks.release(bridge.place)?;
    if !host.locks.try_write(bridge.place)? {
        return Ok(());
    }
    let left = remove_bridge(host, bridge).map(drop);
    left.and(host.locks.release(bridge.place))
}

/// Removes it if no container is at it; its lock is held alone. A container may live on without whoever made it.
pub(crate) fn remove_bridge(host: &Host, bridge: &Bridge) -> Result<bool, Error> {
    let remaining = links(&host.route, Some(bridge.index))?;
    let is_used = remaining.iter().any(|link| bridge.is_own || address_of(&link.name).is_some());
    if is_used {
        return Ok(false);
    }
    bridge.shut_localnet(host)?;
    let rules = remove_elements(host, &bridge.elements(true));
    if bridge.is_own {
        delete_link(&host.route, &bridge.name)?;
    }
    rules.map(|()| true)
}

/// Removes our tables, and puts forwarding back, if nobody has a lock on them and no container is left.
pub(crate) fn leave_table(host: &Host) -> Result<bool, Error> {
    if !host.locks.try_write(Place::Table)? {
        return Ok(false);
    }
    let remove = || {
        if links(&host.route, None)?.iter().any(|link| link.kind == "veth" && address_of(&link.name).is_some()) {
            return Ok(false);
        }
        let existed = nft::table_exists(&host.filter)?;
        forward::restore(host)?;
        nft::remove_tables(&host.filter)?;
        Ok(existed)
    };
    let removed = remove();
    host.locks.release(Place::Table)?;
    removed
}
