//! The network of one container: claimed before its process exists, connected while that waits, given back at its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::claims::Claims;
use crate::host::Host;
use crate::inside::{self, Inside};
use crate::lock::Place;
use crate::network::Network;
use crate::request::{Attach, Request};
use crate::route::{AF_INET, AF_INET6, addresses};
use crate::subnet::{Subnet, Subnet6};
use crate::{Error, Mac, connect, forward, hosts, lease, nft, ports, sweep};

/// A veth pair with all that goes with it. It is used in this order: [`Veth::prepare`]; [`Veth::hosts`] where a hosts
/// file is wanted; [`Veth::connect`] once the process exists, but waits; what [`Veth::inside`] says, by the process
/// itself; [`Veth::disconnect`] after its end.
///
/// It acts in the network namespace of the thread that prepared it, whichever thread calls. Dropping it disconnects.
/// From [`Veth::connect`] on it holds the container's network namespace by a descriptor, so the pair is there until then.
pub struct Veth {
    pub(crate) request: Request,
    pub(crate) network: Network,
    pub(crate) address: Ipv4Addr,
    pub(crate) address6: Option<Ipv6Addr>,
    pub(crate) link: String,
    pub(crate) mac: Mac,
    inside: Vec<Inside>,
    /// `None` once it is disconnected.
    claims: Mutex<Option<Claims>>,
}

/// A container's hosts file on the host.
#[derive(Debug)]
#[non_exhaustive]
pub struct HostsFile {
    /// Where it is.
    pub path: PathBuf,
    /// The file itself, opened with `O_PATH`: it can be mounted, and opened by way of /proc/self/fd.
    pub file: OwnedFd,
}

impl std::fmt::Debug for Veth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Veth").field("link", &self.link).field("network", &self.network).finish_non_exhaustive()
    }
}

impl Veth {
    /// Takes an address, makes or finds the bridge, sees to the rules and holds the ports. A failure leaves nothing.
    ///
    /// The first call of a process removes what dead ones have left in the namespace, as [`sweep`](crate::sweep) does.
    ///
    /// # Errors
    /// Those of [`Request::validate`]; [`Error::NotPermitted`] without CAP_NET_ADMIN or write access to /run;
    /// [`Error::NoModule`]; [`Error::NoBridge`], [`Error::Foreign`], [`Error::Collides`], [`Error::NoSubnet`];
    /// [`Error::Exhausted`], [`Error::Outside`], [`Error::Reserved`], [`Error::AddressInUse`]; [`Error::PortTaken`],
    /// [`Error::NoForwarding`]; [`Error::Call`] for any other answer of the kernel.
    pub fn prepare(request: &Request) -> Result<Veth, Error> {
        // (No `Once`: a thread of the process that this one was forked from may have been in it.)
        static SWEPT: AtomicBool = AtomicBool::new(false);
        request.validate()?;
        // What cannot be swept is no reason not to start.
        if !SWEPT.swap(true, Ordering::Relaxed) && sweep::is_needed() {
            let _ = sweep::sweep();
        }
        // Dropped on every way out of here before it becomes the Veth's, it gives all back.
        let mut claims = Claims::new(Host::open()?);
        let bridge = &mut claims.bridge;
        let network = Network::of(&claims.host, request, |made| *bridge = Some(made.clone()))?;
        let address = lease::take(&claims.host, &network, request.address)?;
        claims.address = Some(address);
        for publish in &request.publish {
            claims.ports.push(ports::hold(publish)?);
        }
        claims.host.locks.read(Place::Table)?;
        claims.table = true;
        nft::ensure(&claims.host.filter)?;
        if request.needs_forwarding() {
            forward::ensure(&claims.host, request.ipv6.is_some() && request.nat, request.ip_forward)?;
        }
        let address6 = network.subnet6.and_then(|subnet6| subnet6.host(network.subnet.host_part(address)));
        // Of a bridge that is somebody else's nothing is known.
        let with_others = request.peers || matches!(request.attach, Attach::Bridge(_));
        let inside = inside::requests(&request.name, &network, with_others, address, address6);
        Ok(Veth {
            request: request.clone(),
            network,
            address,
            address6,
            link: lease::link_name(address),
            mac: request.mac.unwrap_or(Mac::of(address)),
            inside,
            claims: Mutex::new(Some(claims)),
        })
    }

    /// The container's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its IPv6 address, if one was asked for.
    pub fn address6(&self) -> Option<Ipv6Addr> {
        self.address6
    }

    /// Where it sends what is not of its subnet; `None` at a given bridge without an address of that subnet.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.network.gateway
    }

    /// The same for IPv6.
    pub fn gateway6(&self) -> Option<Ipv6Addr> {
        self.network.gateway6
    }

    /// The subnet that the address is of.
    pub fn subnet(&self) -> Subnet {
        self.network.subnet
    }

    /// The same for IPv6.
    pub fn subnet6(&self) -> Option<Subnet6> {
        self.network.subnet6
    }

    /// The bridge that the host's end is a port of; `None` for a point-to-point link.
    pub fn bridge(&self) -> Option<&str> {
        self.network.bridge.as_ref().map(|bridge| bridge.name.as_str())
    }

    /// The host's addresses, if its own services are closed to the container ([`Request::host_access`]): whatever listens
    /// there, such as a name server, refuses it.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn closed_addresses(&self) -> Result<Vec<IpAddr>, Error> {
        let claims = self.claims();
        let Some(claimed) = claims.as_ref().filter(|_| !self.request.reaches_host()) else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for family in [AF_INET, AF_INET6] {
            all.extend(addresses(&claimed.host.route, family)?.into_iter().map(|own| own.address));
        }
        Ok(all)
    }

    /// The name of the host's end.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The name of the container's end.
    pub fn name(&self) -> &str {
        &self.request.name
    }

    /// The hardware address of the container's end.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The netlink requests that the process sends in its own network namespace, in this order, after
    /// [`Veth::connect`] has returned.
    pub fn inside(&self) -> &[Inside] {
        &self.inside
    }

    /// Makes the pair, with one end in the network namespace of the process `pid`, and what lets packets through.
    ///
    /// After a failure everything is given back, as by [`Veth::disconnect`].
    ///
    /// # Errors
    /// [`Error::NotPermitted`] without CAP_NET_ADMIN over both namespaces; [`Error::NoModule`] (`veth`, `sch_tbf`,
    /// `sch_netem`); [`Error::PortTaken`] if a container that outlived its maker has the port; [`Error::Call`].
    pub fn connect(&self, pid: u32) -> Result<(), Error> {
        let mut claims = self.claims();
        let Some(claimed) = claims.as_mut() else {
            return Err(Error::invalid(None, format!("link {}", self.link), "it is disconnected"));
        };
        connect::connect(self, claimed, pid).inspect_err(|_| *claims = None)
    }

    /// Gives everything back: rules, the pair, the hosts file, ports, the address; the bridge and the table with their
    /// last user. All of it is tried. Once is enough, more is no error.
    ///
    /// # Errors
    /// The first that anything answered.
    pub fn disconnect(&self) -> Result<(), Error> {
        match self.claims().take() {
            Some(mut claims) => claims.give_back(),
            None => Ok(()),
        }
    }

    /// Lets go of it: what was made goes with the container's network namespace, and the rest by a later
    /// [`sweep`](crate::sweep). The ports are no longer held, though they still lead to the container.
    pub fn leave(&self) {
        if let Some(claims) = self.claims().take() {
            claims.leave();
        }
    }

    /// Writes the container's hosts file, hosts(5), to be mounted at its `/etc/hosts`: `localhost`, its own address
    /// under `host_name`, the lines of `extra`, and with `peers` a line for each living peer that has a name. It is
    /// kept up to date as peers come and go, and removed by [`Veth::disconnect`].
    ///
    /// The directories on the way to it are the caller's user's alone, but for passing through.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that hosts(5) could not hold; [`Error::NotPermitted`], [`Error::Call`].
    pub fn hosts(&self, host_name: Option<&str>, extra: &[(IpAddr, String)]) -> Result<HostsFile, Error> {
        let mut claims = self.claims();
        let Some(claimed) = claims.as_mut() else {
            return Err(Error::invalid(None, format!("link {}", self.link), "it is disconnected"));
        };
        let file = hosts::File::write(self, &claimed.host, host_name, extra)?;
        let path = file.path();
        // If it cannot be opened, it is removed with the rest.
        let opened = file.open();
        claimed.hosts = Some(file);
        Ok(HostsFile { path, file: opened? })
    }

    fn claims(&self) -> MutexGuard<'_, Option<Claims>> {
        self.claims.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
