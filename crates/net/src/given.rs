//! Devices of this network namespace that another is given.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::lock::own_namespace;
use crate::message::{ACK, Batch};
use crate::route::{
    AF_INET, AF_INET6, Address, IFLA_IFNAME, IFLA_NET_NS_FD, IFLA_NET_NS_PID, IFLA_NEW_IFINDEX, SETLINK,
    add_address_as_it_was, addresses, link, link_by_index, link_head, set_up,
};
use crate::socket::Socket;
use crate::{Error, Inside};

/// One device, with the addresses that it has here: those that are permanent and not of the link alone.
#[derive(Debug)]
pub struct Given {
    index: u32,
    name: String,
    to: String,
    was_up: bool,
    addresses: Vec<(IpAddr, u8)>,
}

impl Given {
    /// Looks for it; `to` is its name there.
    ///
    /// # Errors
    /// ENODEV if there is none; what the kernel says.
    pub fn find(name: &str, to: &str) -> Result<Given, Error> {
        let socket = Socket::route()?;
        let missing = || Error::from_call(format!("link {name}"), "RTM_GETLINK", Errno::NODEV);
        let found = link(&socket, name)?.ok_or_else(missing)?;
        let mut kept = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let stays = |one: &Address| one.index == found.index && one.is_permanent && one.is_global;
            kept.extend(addresses(&socket, family)?.into_iter().filter(stays).map(|one| (one.address, one.prefix)));
        }
        Ok(Given { index: found.index, name: name.to_owned(), to: to.to_owned(), was_up: found.is_up, addresses: kept })
    }

    /// Moves it into the network namespace of a process; there it is down, and keeps its index.
    ///
    /// # Errors
    /// EEXIST if there is one of its new name, EBUSY if its index is taken; EPERM without CAP_NET_ADMIN over both; EINVAL for what cannot be moved.
    pub fn move_to(&self, pid: u32) -> Result<(), Error> {
        let mut batch = Batch::new();
        let about = format!("move {} as {}", self.name, self.to);
        batch.add(SETLINK, ACK, &link_head(self.index, 0), about, |a| {
            a.u32(IFLA_NET_NS_PID, pid);
            a.text(IFLA_IFNAME, &self.to);
            // Or the kernel takes another number where this one is taken, and nobody knows which.
            a.u32(IFLA_NEW_IFINDEX, self.index);
        });
        Socket::route()?.send(&batch)
    }

    /// Its name here.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Moves it back out of the network namespace behind `there`, with the name that it had, its addresses, and up if it was. One that is not there
    /// any more is no error. Whoever has run code in there may have made another of its number.
    ///
    /// # Errors
    /// EEXIST if there is one of its name by now; what the kernel says.
    pub fn take_back(&self, there: &OwnedFd) -> Result<(), Error> {
        let (here, _) = own_namespace()?;
        let enter = |namespace: &OwnedFd| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|errno| Error::from_call("network namespace", "setns", errno))
        };
        let back = || {
            enter(there)?;
            let socket = Socket::route()?;
            if link_by_index(&socket, self.index)?.is_none() {
                return Ok(());
            }
            let mut batch = Batch::new();
            batch.add(SETLINK, ACK, &link_head(self.index, 0), format!("move {} back", self.name), |a| {
                a.u32(IFLA_NET_NS_FD, here.as_raw_fd() as u32);
                a.text(IFLA_IFNAME, &self.name);
                a.u32(IFLA_NEW_IFINDEX, self.index);
            });
            socket.send(&batch)?;
            enter(&here)?;
            let mut batch = Batch::new();
            for (address, prefix) in &self.addresses {
                let about = format!("address {address}/{prefix} on {}", self.name);
                add_address_as_it_was(&mut batch, self.index, *address, *prefix, about);
            }
            if self.was_up {
                set_up(&mut batch, self.index, format!("{} up", self.name));
            }
            Socket::route()?.send(&batch)
        };
        // A thread of its own, as only threads can be in another namespace.
        std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, back) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => Err(Error::from_call("network namespace", "clone", Errno::AGAIN)),
        })
    }

    /// What is to be asked for there.
    pub fn inside(&self) -> Vec<Inside> {
        let mut requests = Vec::new();
        let mut add = |about: String, make: &dyn Fn(&mut Batch, String)| {
            let mut batch = Batch::new();
            make(&mut batch, about.clone());
            requests.push(Inside { about, request: batch.bytes().to_vec() });
        };
        for (address, prefix) in &self.addresses {
            add(format!("address {address}/{prefix} on {}", self.to), &|batch, about| {
                add_address_as_it_was(batch, self.index, *address, *prefix, about);
            });
        }
        add(format!("{} up", self.to), &|batch, about| set_up(batch, self.index, about));
        requests
    }
}
