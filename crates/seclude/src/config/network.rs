//! The network of a container that is to reach more than itself.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use seclude_egress::Rule;
use seclude_net::{Attach, Ipv6, Mac, Publish, Request, Subnet};

/// How a container is connected; without one it has what its network namespace says: a new one has `lo`, and that is up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(crate) enum Network {
    Veth(Veth),
    Pasta(Pasta),
    Names(Names),
}

/// A veth pair, veth(4): one end in the container, the other at a bridge of the host, or nowhere else.
///
/// It is asked for by [`crate::Command::veth`], and needs CAP_NET_ADMIN in the caller's network namespace, which is "the
/// host" here, and a writable `/run`. An ordinary user has neither; see [`Pasta`].
///
/// By default the container is a port of the bridge `seclude0`, has an address of a subnet that no route of the host leads
/// to, and reaches what the host reaches, under the host's address, but neither the host itself nor its cloud's metadata
/// ([`Veth::host_access`]); nobody reaches it but the host.
///
/// The pair is there until the container's end is waited for, or its handle dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Veth {
    pub(crate) request: Request,
}

impl Veth {
    /// The default.
    pub fn new() -> Veth {
        Veth::default()
    }

    fn with(mut self, change: impl FnOnce(&mut Request)) -> Veth {
        change(&mut self.request);
        self
    }

    /// Attaches it to a bridge that somebody else made. It is neither given addresses nor removed.
    #[must_use]
    pub fn bridge(self, name: impl Into<String>) -> Veth {
        self.with(|request| request.attach = Attach::Bridge(name.into()))
    }

    /// No bridge: a link between host and container alone.
    #[must_use]
    pub fn point_to_point(self) -> Veth {
        self.with(|request| request.attach = Attach::PointToPoint)
    }

    /// The subnet that its address is of. Each has a bridge of its own; one that a route of the host leads to is an error.
    #[must_use]
    pub fn subnet(self, subnet: Subnet) -> Veth {
        self.with(|request| request.subnet = Some(subnet))
    }

    /// Its address. One that another container has, or that is outside the subnet, is an error.
    #[must_use]
    pub fn address(self, address: Ipv4Addr) -> Veth {
        self.with(|request| request.address = Some(address))
    }

    /// An IPv6 address as well.
    #[must_use]
    pub fn ipv6(self, ipv6: Ipv6) -> Veth {
        self.with(|request| request.ipv6 = Some(ipv6))
    }

    /// The hardware address of its end.
    #[must_use]
    pub fn mac(self, mac: Mac) -> Veth {
        self.with(|request| request.mac = Some(mac))
    }

    /// The MTU of both ends, in bytes: 68 to 65535, with IPv6 at least 1280. Default: 1500.
    #[must_use]
    pub fn mtu(self, bytes: u32) -> Veth {
        self.with(|request| request.mtu = Some(bytes))
    }

    /// The name of its end inside. Default: `eth0`.
    #[must_use]
    pub fn interface(self, name: impl Into<String>) -> Veth {
        self.with(|request| request.name = name.into())
    }

    /// Whether it reaches what the host reaches (masquerading). Without it a rule keeps it from everything but the host,
    /// whose own services it reaches then. Default: yes.
    #[must_use]
    pub fn nat(self, on: bool) -> Veth {
        self.with(|request| request.nat = on)
    }

    /// Whether it reaches the host's own services, on whichever of its addresses, and with NAT link-local addresses and those
    /// of a cloud's metadata (169.254.169.254 and the like), of which it reaches name servers alone otherwise. What is
    /// refused, is refused at once. Default: no.
    #[must_use]
    pub fn host_access(self, on: bool) -> Veth {
        self.with(|request| request.host_access = on)
    }

    /// Lets `net.ipv4.ip_forward` be switched on if it is off and NAT or published ports need it; it is switched off again
    /// with the last container. Default: no, then it is an error.
    #[must_use]
    pub fn ip_forward(self, allowed: bool) -> Veth {
        self.with(|request| request.ip_forward = allowed)
    }

    /// Whether it and the other containers of its bridge that have this reach one another, also by their host names
    /// ([`crate::Command::hostname`]). Default: no.
    #[must_use]
    pub fn peers(self, on: bool) -> Veth {
        self.with(|request| request.peers = on)
    }

    /// A port of the host that leads to the container, also from the host's own loopback (127.0.0.1). One that is taken is
    /// an error. Below 1024 the container may listen on it without a capability. May be said again, up to 1024 ports.
    #[must_use]
    pub fn publish(self, port: Publish) -> Veth {
        self.with(|request| request.publish.push(port))
    }

    /// At most so many bits a second, in each direction; 8000 or more. What is above waits on the way in, and is dropped
    /// on the way out.
    #[must_use]
    pub fn rate(self, bits_per_second: u64) -> Veth {
        self.with(|request| request.rate = Some(bits_per_second))
    }

    /// Added to every packet to the container, up to a minute. Needs the kernel's `sch_netem`.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Veth {
        self.with(|request| request.latency = Some(latency))
    }
}

/// Access to the host's network without privileges, through the program `pasta`, pasta(1), of the package passt.
///
/// It is asked for by [`crate::Command::pasta`], and never taken for want of something else. `pasta` runs as long as the
/// container, as its caller, and opens the container's connections for it. A container that may outlive its caller
/// ([`crate::Command::die_with_parent`]) cannot have it: that is an error.
///
/// The addresses that the host has when it starts, link-local ones, those of a cloud's metadata (but for name servers there) and whatever
/// many hear at once refuse it, by rules of nf_tables in its network namespace ([`Pasta::host_access`]). Who has CAP_NET_ADMIN or CAP_NET_RAW
/// inside could go past them: that is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pasta {
    pub(crate) publish: Vec<Publish>,
    pub(crate) host_access: bool,
}

impl Pasta {
    /// No port of the host leads to the container.
    pub fn new() -> Pasta {
        Pasta::default()
    }

    /// Whether it reaches the host's own services by the host's addresses, and link-local addresses and those of a cloud's metadata.
    /// Default: no.
    #[must_use]
    pub fn host_access(mut self, on: bool) -> Pasta {
        self.host_access = on;
        self
    }

    /// A port of the host, 1024 or above for an ordinary user, that leads to the container. May be said again.
    #[must_use]
    pub fn publish(mut self, port: Publish) -> Pasta {
        self.publish.push(port);
        self
    }
}

/// A network in which there are names, and no addresses: what is allowed is reached by its name, and nothing else is, whatever the
/// program does. Without privileges.
///
/// It is asked for by [`crate::Command::names`]. All addresses are the container's own there, and refuse at once; a name that is
/// allowed has one that leads to a thread of this process, which looks the name up on the host at the moment of connecting, and connects
/// for it. Addresses that are not public (loopback, private, link-local, a cloud's metadata, the host's own) are not connected to,
/// whatever the name server says, but private ones where that was allowed ([`Names::allow_private`]). Names that are not allowed do not exist, and are asked of nobody.
///
/// The thread ends with this process, and with it all that can be reached: a container that may outlive its caller
/// ([`crate::Command::die_with_parent`]) cannot have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub(crate) rules: Vec<Rule>,
    pub(crate) private: Vec<Rule>,
    pub(crate) loopback: Vec<u16>,
    pub(crate) requires_sni: bool,
    pub(crate) refusal: Option<String>,
    pub(crate) publish: Vec<Publish>,
}

impl Names {
    /// No name at all.
    pub fn new() -> Names {
        Names::default()
    }

    /// This as well, such as `"github.com:22,443".parse()?` or `"*.example.org".parse()?`, which is all names below example.org and not itself.
    /// May be said again, also of the same name: it has the ports of all that is said of it. `udp/` before a port is UDP, which a name below a `*` does not
    /// have, nor one beside [`Names::require_sni`]: `"ntp.example.org:udp/123".parse()?`.
    ///
    /// A name below a `*` takes a socket for each port once it is asked for, out of 128: further names are refused, and told so. It has an address of
    /// IPv4 alone.
    #[must_use]
    pub fn allow(mut self, rule: Rule) -> Names {
        self.rules.push(rule);
        self
    }

    /// The same, and the name may lead to private addresses (RFC 1918, 100.64.0.0/10, fc00::/7) on these ports. Loopback, link-local and metadata
    /// addresses, and the host's own, are refused all the same.
    #[must_use]
    pub fn allow_private(mut self, rule: Rule) -> Names {
        self.private.push(rule);
        self
    }

    /// This port of the host's own 127.0.0.1, by TCP, as `host.internal` with the same port inside. The host is where this process is.
    #[must_use]
    pub fn allow_loopback(mut self, port: u16) -> Names {
        self.loopback.push(port);
        self
    }

    /// Whether each connection has to begin with TLS that asks for the name which it is to (SNI); what does not is reset, and told. What
    /// [`Names::allow_loopback`] opens is not looked at. Default: no.
    #[must_use]
    pub fn require_sni(mut self, on: bool) -> Names {
        self.requires_sni = on;
        self
    }

    /// A port of the host, TCP, that leads to one of the container's own 127.0.0.1, 128 connections at once: others wait until one ends. Whoever listens inside sees 127.0.0.1
    /// as the other end. One that is taken, or that the caller may not listen on, is an error. May be said again.
    #[must_use]
    pub fn publish(mut self, port: Publish) -> Names {
        self.publish.push(port);
        self
    }

    /// What whoever reads of something that was refused is told besides, such as whom to ask: one line of at most 200 characters.
    #[must_use]
    pub fn refusal(mut self, text: impl Into<String>) -> Names {
        self.refusal = Some(text.into());
        self
    }
}

/// The name servers of a container, in its `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dns {
    /// The host's. One on the host's loopback would be nobody inside, and one that is the host itself refuses a container
    /// without [`Veth::host_access`] or [`Pasta::host_access`]: they are left out, and systemd-resolved's own servers take their place; the report says
    /// so. If none remains, it is an error.
    #[default]
    Host,
    /// These, as they are: the host itself may well lead to another container that has its port 53 published.
    Servers(Vec<IpAddr>),
    /// The root's file is left as it is.
    Unchanged,
}
