//! Which subnet: one that no route and no address of the host's is in.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use crate::Error;
use crate::lease::address_of;
use crate::route::{link_by_index, routes};
use crate::socket::Socket;
use crate::subnet::Subnet;

/// Private networks that neither Docker, Podman nor libvirt take first, nor a router at home has.
const CANDIDATES: [([u8; 4], u8); 9] = [
    ([10, 83, 0, 0], 16),
    ([10, 119, 0, 0], 16),
    ([10, 167, 0, 0], 16),
    ([10, 211, 0, 0], 16),
    ([172, 27, 0, 0], 16),
    ([172, 29, 0, 0], 16),
    ([172, 31, 0, 0], 16),
    ([192, 168, 160, 0], 20),
    ([192, 168, 208, 0], 20),
];

/// The one that is asked for, or the first candidate, if it is free.
pub(crate) fn subnet(socket: &Socket, wanted: Option<Subnet>) -> Result<Subnet, Error> {
    select(socket, wanted, &[])
}

/// The same for point-to-point links, of which each has a route into the subnet. It is looked for once in a process:
/// that costs as much as there are routes, and the kernel prefers the longer routes of these links to any other.
pub(crate) fn subnet_of_links(socket: &Socket, namespace: u64, wanted: Option<Subnet>) -> Result<Subnet, Error> {
    /// By namespace and by what was asked for.
    type Chosen = HashMap<(u64, Option<Subnet>), Subnet>;
    static CHOSEN: Mutex<Option<Chosen>> = Mutex::new(None);
    // Whoever has it just now may be a thread of the process that this one was forked from: it is looked for anew then.
    let mut chosen = CHOSEN.try_lock().ok();
    let known = chosen.as_deref().and_then(|chosen| chosen.as_ref()?.get(&(namespace, wanted)));
    if let Some(subnet) = known {
        return Ok(*subnet);
    }
    let ours: Vec<u32> = crate::route::links(socket, None)?
        .into_iter()
        .filter(|link| address_of(&link.name).is_some())
        .map(|link| link.index)
        .collect();
    let subnet = select(socket, wanted, &ours)?;
    if let Some(chosen) = chosen.as_deref_mut() {
        chosen.get_or_insert_default().insert((namespace, wanted), subnet);
    }
    Ok(subnet)
}

fn select(socket: &Socket, wanted: Option<Subnet>, ours: &[u32]) -> Result<Subnet, Error> {
    let is_others = |link: Option<u32>| link.is_none_or(|link| !ours.contains(&link));
    let routes: Vec<(Subnet, Option<u32>)> = routes(socket)?.into_iter().filter(|(_, link)| is_others(*link)).collect();
    let in_the_way = |subnet: Subnet| routes.iter().find(|(route, _)| route.overlaps(&subnet));
    if let Some(subnet) = wanted {
        return match in_the_way(subnet) {
            None => Ok(subnet),
            Some((route, link)) => {
                let over = link.map(|link| link_by_index(socket, link)).transpose()?.flatten();
                let over = over.map(|link| format!(" over {}", link.name)).unwrap_or_default();
                Err(Error::Collides { subnet, with: format!("the route {route}{over}") })
            }
        };
    }
    let candidates = CANDIDATES.map(|(network, prefix)| Subnet::around(Ipv4Addr::from(network), prefix));
    let free = candidates.into_iter().find(|subnet| in_the_way(*subnet).is_none());
    free.ok_or(Error::NoSubnet { first: candidates[0], last: candidates[CANDIDATES.len() - 1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_subnets_apart_from_what_others_take() {
        let others =
            ["172.17.0.0/16", "192.168.122.0/24", "10.0.0.0/24", "192.168.0.0/24", "192.168.1.0/24", "10.88.0.0/16"];
        let subnets: Vec<Subnet> = CANDIDATES.iter().map(|(n, p)| Subnet::new((*n).into(), *p).unwrap()).collect();
        for (index, subnet) in subnets.iter().enumerate() {
            assert!(subnets.iter().take(index).all(|other| !subnet.overlaps(other)));
            assert!(others.iter().all(|other| !subnet.overlaps(&other.parse().unwrap())), "{subnet}");
        }
    }
}
