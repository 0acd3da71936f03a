//! Ports below 1024 that are published: the command may listen there without a capability, in a network namespace in which
//! nobody else listens. ip(7), `ip_unprivileged_port_start`, Linux 4.11.

use seclude_child::Op;
use seclude_request::Field;

use super::Step;
use crate::config::Config;
use crate::config::network::Network;
use crate::program::Program;

const FIRST_UNPRIVILEGED: u16 = 1024;

struct LowPorts;

pub(super) fn compile(command: &Config) -> Option<Box<dyn Step>> {
    let published = match command.network.as_ref()? {
        Network::Veth(veth) => &veth.request.publish,
        Network::Pasta(pasta) => &pasta.publish,
        Network::Names(names) => &names.publish,
    };
    let is_low = published.iter().any(|port| port.port < FIRST_UNPRIVILEGED);
    if is_low { Some(Box::new(LowPorts)) } else { None }
}

impl Step for LowPorts {
    fn name(&self) -> &'static str {
        "low ports"
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("network").key("publish"))
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        program.about("listen on published ports below 1024");
        // The file is that of the writer's network namespace, wherever /proc was mounted.
        program.push(Op::WriteProc { path: c"/proc/sys/net/ipv4/ip_unprivileged_port_start", text: b"0" });
    }
}
