//! A network of names: what is allowed is reached by its name, by whatever program, and nothing else is, whatever it does.
//!
//! The servers, the name server and the addresses are the tests' own, in network namespaces of their own.

mod bad_input;
mod beside;
mod datagrams;
mod elsewhere;
mod hello;
mod holes;
mod moving;
mod names;
mod placed;
mod published;
mod refused;
mod wildcards;
mod world;
