//! Hosts and containers that are threads: each in a network namespace of its own, a host with a `/run` of its own too.
#![allow(dead_code, unreachable_pub)]

pub mod world;

use std::any::Any;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};
use rustix::thread::UnshareFlags;
use seclude_net::Veth;

/// Returns from a test that means nothing without root, saying so.
#[macro_export]
macro_rules! root_only {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
    };
}

type Answer = Box<dyn Any + Send>;
type Job = Box<dyn FnOnce() -> Answer + Send>;
type Order = (Job, Sender<Answer>);

/// A thread in a network namespace of its own that does what it is told, there.
pub struct Space {
    jobs: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    tid: u32,
}

impl Space {
    /// A container: nothing but `lo`.
    pub fn container() -> Space {
        Space::new(UnshareFlags::NEWNET)
    }

    /// A host: with a `/run` of its own, and `lo` up.
    pub fn host() -> Space {
        let space = Space::new(UnshareFlags::NEWNET | UnshareFlags::NEWNS);
        space.run(|| {
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            mount("none", "/run", "tmpfs", MountFlags::empty(), None).unwrap();
            loopback_up();
            // A new namespace has the setting of the first one, which whatever runs on this machine may have switched on.
            let _ = std::fs::write("/proc/sys/net/ipv4/ip_forward", "0");
        });
        space
    }

    fn new(flags: UnshareFlags) -> Space {
        let (jobs, orders) = channel::<Order>();
        let (tell, tid) = channel();
        let thread = std::thread::spawn(move || {
            // Its descriptors stay shared; only the namespaces are its own.
            #[allow(deprecated)]
            rustix::thread::unshare(flags).unwrap();
            tell.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
            for (job, answer) in orders {
                let _ = answer.send(job());
            }
        });
        Space { jobs: Some(jobs), thread: Some(thread), tid: tid.recv().unwrap() }
    }

    /// What stands for a process's id.
    pub fn pid(&self) -> u32 {
        self.tid
    }

    /// Does it in that namespace. A panic there is one here.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = channel();
        let job: Job = Box::new(move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            Box::new(done)
        });
        self.jobs.as_ref().unwrap().send((job, answer)).unwrap();
        let done = answered.recv().unwrap().downcast::<std::thread::Result<T>>().unwrap();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Ends it, and with it its namespace.
    pub fn end(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Connects a container and has it do what is to be done inside.
pub fn join(veth: &Veth, container: &Space) {
    veth.connect(container.pid()).unwrap();
    inside(veth, container);
}

/// What the container's first process does.
pub fn inside(veth: &Veth, container: &Space) {
    let requests = veth.inside().to_vec();
    container.run(move || {
        loopback_up();
        for inside in requests {
            assert_eq!(send(&inside.request), 0, "{}", inside.about);
        }
    });
}

fn loopback_up() {
    assert_eq!(send(&message(16, 1 | 4, &[[0u32, 1, 1, 1]].concat(), &[])), 0);
}

/// Sends one request and answers the errno of its acknowledgement.
pub fn send(request: &[u8]) -> i32 {
    let socket: OwnedFd = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
    rustix::net::send(&socket, request, SendFlags::empty()).unwrap();
    let mut answer = [0u8; 4096];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty()).unwrap();
    assert!(length >= 20 && answer[4] == 2, "no acknowledgement");
    -i32::from_ne_bytes(answer[16..20].try_into().unwrap())
}

/// A netlink message: words of the structure that it begins with, and attributes.
pub fn message(kind: u16, flags: u16, head: &[u32], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [0, u32::from(kind) | u32::from(flags) << 16, 1, 0].iter().flat_map(|w: &u32| w.to_ne_bytes()).collect();
    bytes.extend(head.iter().flat_map(|word| word.to_ne_bytes()));
    for (kind, value) in attributes {
        bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// Makes a link of that kind, up; answers its index.
pub fn make_link(name: &str, kind: &str) -> u32 {
    let mut info = (kind.len() as u16 + 4).to_ne_bytes().to_vec();
    info.extend(1u16.to_ne_bytes());
    info.extend(kind.bytes());
    // NLM_F_REQUEST | ACK | EXCL | CREATE
    assert_eq!(send(&message(16, 0x605, &[0, 0, 1, 1], &[(3, name.as_bytes()), (18, &info)])), 0);
    let text = std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/".to_owned() + name);
    match text {
        Ok(text) => text.split_whitespace().nth(1).unwrap().parse().unwrap(),
        Err(_) => look("ip", &["-o", "link", "show", name]).split(':').next().unwrap().parse().unwrap(),
    }
}

/// Gives a link an IPv4 address.
pub fn give_address(index: u32, address: [u8; 4], prefix: u8) {
    let head = [u32::from_ne_bytes([2, prefix, 0, 0]), index];
    assert_eq!(send(&message(20, 0x405, &head, &[(2, &address), (1, &address)])), 0);
}

/// Runs a program that only looks, in the thread's namespaces.
pub fn look(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Everything that could be left on a host: links but `lo`, rules, addresses of others, files.
pub fn leftovers() -> String {
    let links: String = look("ip", &["-o", "link"]).lines().filter(|line| !line.contains(": lo:")).collect();
    let files = if Path::new("/run/seclude").exists() { look("find", &["/run/seclude"]) } else { String::new() };
    format!("{links}{}{files}{}", look("nft", &["list", "ruleset"]), look("ip", &["route"]))
}

/// The forwarding switch of the thread's namespace.
pub fn ip_forward() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim().to_owned()
}

/// Gives the link of that name one more address, of either family.
pub fn also_has(link: &str, address: &str) {
    let only_ipv6 = if address.contains(':') { &["nodad"][..] } else { &[] };
    assert_eq!(look("ip", &[&["address", "add", address, "dev", link], only_ipv6].concat()), "");
}

/// Sets it.
pub fn set_ip_forward(value: &str) {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", value).unwrap();
}

/// Whether a packet to an address comes back, within a second: UDP to a port where nobody is answers with an error.
pub fn reaches(address: std::net::Ipv4Addr) -> bool {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_millis(700))).unwrap();
    if socket.connect((address, 9)).is_err() || socket.send(b"?").is_err() {
        return false;
    }
    let answer = socket.recv(&mut [0; 8]);
    matches!(answer, Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Whether it comes true within some seconds.
pub fn eventually(is_so: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        let so = is_so();
        if !so {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        so
    })
}

/// The switch of a link.
pub fn route_localnet(link: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{link}/route_localnet")).unwrap().trim().to_owned()
}

/// A route to one address by way of another.
pub fn add_route(to: std::net::Ipv4Addr, via: std::net::Ipv4Addr) {
    let head = [u32::from_ne_bytes([2, 32, 0, 0]), u32::from_ne_bytes([254, 3, 0, 1]), 0];
    // NLM_F_REQUEST | ACK | CREATE
    let request = message(24, 0x405, &head, &[(1, &to.octets()), (5, &via.octets())]);
    assert_eq!(send(&request), 0, "route to {to} via {via}");
}

/// Has the namespace not take an address for its own any more.
pub fn forget_local_route(network: [u8; 4], prefix: u8) {
    // RTM_DELROUTE of a local route (RTN_LOCAL 2, RT_SCOPE_HOST 254) of table local, 255.
    let head = [u32::from_ne_bytes([2, prefix, 0, 0]), u32::from_ne_bytes([255, 0, 254, 2]), 0];
    assert_eq!(send(&message(25, 5, &head, &[(1, &network)])), 0);
}
