//! What may pass from one container to another within a bridge: `bridge seclude`.
//!
//! IP rules see that only where br_netfilter is loaded. The kernel's own isolation of bridge ports is between two isolated
//! ones; one that is isolated still reaches those that are not, which a container with peers is. What else is at a given
//! bridge, such as the way to the outside, is nobody's business here, so it is told by the links' groups.

use super::expression::Rule;

/// The group of the link of a container without peers. Any number does that nobody else has.
pub(crate) const ALONE: u32 = 0x5ec1_0de1;
/// Of one with peers.
pub(crate) const WITH_PEERS: u32 = 0x5ec1_0de2;

/// What `inet seclude` lets through from one container to another, or to itself, over a published port. With br_netfilter such
/// a packet is not routed but bridged, so that it comes by here. No container can mark one: marks end where a packet leaves
/// its network namespace.
pub(super) const PUBLISHED: u32 = 0x5ec1_0de3;

/// The chain, at NF_BR_FORWARD, after br_netfilter, which has the packet go through `inet seclude` there.
pub(super) const CHAIN: &str = "neighbours";
pub(super) const PRIORITY: i32 = 10;

pub(super) fn rules() -> [Rule; 4] {
    let between = |from, to| Rule::new().iifgroup(from).oifgroup(to).drop();
    [
        Rule::new().marked(PUBLISHED).leave(),
        between(ALONE, ALONE),
        between(ALONE, WITH_PEERS),
        between(WITH_PEERS, ALONE),
    ]
}
