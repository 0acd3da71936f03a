//! nf_tables: a table of ours, `inet seclude`, in which each container is a few elements of sets; beside it one for what stays
//! within a bridge and one for what each link may send.
//!
//! Nothing else of the host's rules is touched, and no rule is made for a container: the rules are a fixed number and
//! look into hash tables, so the thousandth container costs a packet what the first did.

mod element;
mod expression;
mod guard;
mod neighbours;
mod others;
mod rules;
mod transaction;

pub(crate) use element::{Element, sets};
pub(crate) use expression::Rule;
pub(crate) use guard::Guard;
pub(crate) use neighbours::{ALONE, WITH_PEERS};
pub(crate) use others::dropping;
pub(crate) use rules::{CONTAINERS, Chain, Hook, INET_HOOK_OUTPUT, METADATA, METADATA6};
pub(crate) use transaction::{
    Transaction, chain_exists, elements_of, ensure, erase_note, guarded, note, probe, remove_tables, table_exists,
    table_of,
};
