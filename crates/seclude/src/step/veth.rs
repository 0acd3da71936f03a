//! A veth pair: claimed before the clone, made at the barrier, configured by the child in its own namespace.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use seclude_child::Op;
use seclude_net::{Attach, Part, Request, Veth};
use seclude_request::{Field, Remedy};

use super::{Born, Preparation, Step};
use crate::action::Describe;
use crate::advice::Hint;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::localhost::Ports;
use crate::program::Program;
use crate::report::Connection;

const NAME: &str = "veth";

/// The pair once it is claimed: the names step needs its address.
pub(super) type Claimed = Arc<OnceLock<Arc<Veth>>>;

struct Pair {
    request: Request,
    claimed: Claimed,
    /// On `[::1]`, until they are carried.
    ports: Mutex<Ports>,
}

pub(super) fn compile(request: &Request, claimed: Claimed) -> Result<Box<dyn Step>> {
    request.validate().map_err(|error| from_net(NAME, error))?;
    Ok(Box::new(Pair { request: request.clone(), claimed, ports: Mutex::default() }))
}

impl Step for Pair {
    fn name(&self) -> &'static str {
        NAME
    }

    fn field(&self) -> Option<Field> {
        Some(Field::of("network"))
    }

    fn prepare(&mut self, preparation: &mut Preparation<'_>) -> Result<()> {
        let veth = Arc::new(Veth::prepare(&self.request).map_err(|error| from_net(NAME, error))?);
        let (undone, left) = (veth.clone(), veth.clone());
        preparation.ledger.push_leaving(
            format!("link {}", veth.link()),
            move || undone.disconnect().map_err(std::io::Error::other),
            move || left.leave(),
        );
        preparation.report.network = Some(Connection::of_veth(&veth));
        let _ = self.claimed.set(veth);
        self.ports = Mutex::new(Ports::hold(&self.request.publish).map_err(|(port, error)| {
            Error::parent(NAME, format!("port {port} of [::1]"), error)
                .call("bind")
                .hint("somebody listens there: publish another")
        })?);
        Ok(())
    }

    fn ops<'a>(&'a self, program: &mut Program<'a>) {
        match self.claimed.get() {
            Some(veth) => {
                for inside in veth.inside() {
                    program.about(&inside.about);
                    program.push(Op::Route { request: &inside.request });
                }
            }
            // The address is chosen when the plan runs.
            None => {
                for about in ["an address", "up", "the default route"] {
                    program.about_owned(format!("{about} on {}", self.request.name));
                    program.push(Op::Route { request: &[] });
                }
            }
        }
    }

    fn attend(&self, child: &Born, ledger: &mut Ledger) -> Result<()> {
        let Some(veth) = self.claimed.get() else { return Ok(()) };
        veth.connect(child.pid.unsigned_abs()).map_err(|error| from_net(NAME, error))?;
        let ports = std::mem::take(&mut *self.ports.lock().unwrap_or_else(PoisonError::into_inner));
        if !ports.is_empty() {
            let carrier =
                ports.carry().map_err(|error| Error::parent(NAME, "a thread for the ports of [::1]", error))?;
            ledger.push("ports of [::1]", move || {
                carrier.stop();
                Ok(())
            });
        }
        Ok(())
    }

    fn describe(&self, to: &mut Describe) {
        let request = &self.request;
        let bridge = match &request.attach {
            Attach::Bridge(name) => format!("find bridge {name}"),
            Attach::PointToPoint => "no bridge".to_owned(),
            _ => "find or make the bridge".to_owned(),
        };
        let address = request.address.map_or_else(|| "a free address".to_owned(), |address| address.to_string());
        let ports = request.publish.iter().map(|port| format!(", hold port {port}")).collect::<String>();
        to.prepare(NAME, format!("{bridge}, take {address}{ports}, see to the rules of table inet seclude"));
        let rules = match (request.nat, request.publish.is_empty()) {
            (true, true) => ", masquerade",
            (true, false) => ", masquerade, publish",
            (false, true) => "",
            (false, false) => ", publish",
        };
        let host = if request.host_access || !request.nat { "open" } else { "closed" };
        let what = format!("make the pair, {} in the child's network namespace{rules}", request.name);
        to.attend(NAME, format!("{what}, the host's own services {host}"));
        if self.request.publish.iter().any(|publish| publish.host.is_none()) {
            to.attend(NAME, "carry what comes to those ports of [::1] to 127.0.0.1".to_owned());
        }
    }
}

/// The error of the leaf crate as one of ours.
pub(crate) fn from_net(step: &'static str, error: seclude_net::Error) -> Error {
    let (hint, error_part) = (error.hint(), error.part());
    let contradicts = matches!(error, seclude_net::Error::Clash { .. });
    let needs_forwarding = matches!(error, seclude_net::Error::NoForwarding { .. });
    let made = match (error.errno(), error.call()) {
        (Some(errno), Some(call)) => {
            let action = match &error {
                seclude_net::Error::NotPermitted { about, .. } => about.clone(),
                seclude_net::Error::NoModule { about, module, .. } => format!("{about}, which needs {module}"),
                seclude_net::Error::Call { about, detail, .. } if detail.is_empty() => about.clone(),
                seclude_net::Error::Call { about, detail, .. } => format!("{about} ({detail})"),
                other => other.to_string(),
            };
            Error::parent(step, action, rustix::io::Errno::from_raw_os_error(errno)).call(call)
        }
        _ => Error::invalid(step, error.to_string()),
    };
    let made = match error_part {
        Some(part) => made.at_field(field_of(part)),
        None => made,
    };
    let made = if contradicts { made.contradicting() } else { made };
    let switched_on = needs_forwarding.then(|| Remedy::set("network.ip_forward", true));
    made.hint_if(hint.map(|hint| Hint::from(hint).with(switched_on)))
}

fn field_of(part: Part) -> Field {
    let key = |key: &str| Field::of("network").key(key);
    match part {
        Part::Interface => key("interface"),
        Part::Bridge => key("bridge"),
        Part::Subnet => key("subnet"),
        Part::Address => key("address"),
        Part::Ipv6 => key("ipv6"),
        Part::Mtu => key("mtu"),
        Part::Rate => key("rate"),
        Part::Latency => key("latency"),
        Part::Peers => key("peers"),
        Part::Publish(None) => key("publish"),
        Part::Publish(Some(number)) => key("publish").index(number),
        Part::IpForward => key("ip_forward"),
        _ => Field::of("network"),
    }
}
