//! seclude for Node.js and Bun: what the JavaScript of `lib/` calls, over the library's public interface.
//!
//! Nothing here waits on a thread of JavaScript's but `spawnSync`. A start runs on a thread of its own ([`setup`]), what
//! comes after it on another ([`reactor`]); both answer through [`hub::Hub`], which each JavaScript environment (the main
//! thread, each worker) has one of. Only Node-API is called: Bun has no libuv.
// What is exported is not, where the target is a test.
#![cfg_attr(test, allow(dead_code))]

mod descriptor;
mod examine;
mod fate;
mod hub;
mod launch;
mod opening;
mod options;
mod pipe;
mod process;
mod reactor;
mod report;
mod setup;
mod sync;
mod terminal;
mod tree;
mod value;
