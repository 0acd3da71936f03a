//! The nouns of a request: what a caller says, before it is compiled into a plan.

pub(crate) mod attributes;
pub(crate) mod born;
pub(crate) mod capability;
pub(crate) mod cgroup;
pub(crate) mod clone;
pub(crate) mod feature;
pub(crate) mod ids;
pub(crate) mod landlock;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod network;
pub(crate) mod preset;
pub(crate) mod rlimit;
pub(crate) mod root;
pub(crate) mod scheduling;
pub(crate) mod seccomp;
pub(crate) mod start;
pub(crate) mod stdio;

pub(crate) use start::Config;
