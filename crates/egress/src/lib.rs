//! A network in which there are names, and no addresses: a network namespace reaches the names that it was allowed, and nothing else.
//!
//! Inside, all addresses are the namespace's own (`local` routes), so whoever has no listener there answers with a reset at once. Each
//! allowed name has an address of its own, its slot ([`slots`]), and there, once it is asked for, a listener for each port
//! ([`Allow::sockets`]): whoever makes the namespace opens sockets in it that are bound nowhere yet, and hands them to the [`relay`], a thread of
//! this process outside. It answers the questions for names
//! ([`dns`]), and for each connection to a slot it looks up the *name*, here, refuses what is no public address ([`addresses`]), connects,
//! and moves bytes. Nothing that a program inside sends is an address that is ever connected to.
//!
//! It knows nothing of processes. When its thread ends, all it had is closed: there is less to reach then, never more.
#![forbid(unsafe_code)]

pub mod addresses;
mod allow;
mod budget;
mod connection;
pub mod dns;
mod hello;
mod name;
mod name_server;
mod own_address;
mod ports;
pub mod relay;
mod resets;
mod resolver;
mod rule;
pub mod slots;
mod sockets;
mod tally;

pub use allow::{Allow, AllowError, HOST, STOCK};
pub use name::{Name, NameError};
pub use ports::{PortError, Ports};
pub use relay::Seat;
pub use rule::{Pattern, Rule, RuleError};
pub use sockets::{Kind, Wanted};
pub use tally::{Count, Refusal, Tally, Why};
