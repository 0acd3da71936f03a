//! `seclude-oci`, as engines call it: what a container is, from its creation to its end, and what is refused.

mod as_others;
mod bad_input;
mod cgroups;
mod concurrent;
mod configuration;
mod conformance;
mod crash;
mod hooks;
mod idmapped;
mod lifecycle;
mod many;
mod net_devices;
mod notify;
mod places;
mod preserved;
mod recorded;
mod relied_on;
mod roots;
mod systemd;
mod terminal;
