//! nf_tables: one table of ours, `inet seclude`, in which each container is a few elements of sets.
//!
//! Nothing else of the host's rules is touched, and no rule is made for a container: the rules are a fixed number and
//! look into hash tables, so the thousandth container costs a packet what the first did.

mod element;
mod expression;
mod guard;
mod rules;
mod transaction;

pub(crate) use element::{Element, sets};
pub(crate) use guard::Guard;
pub(crate) use rules::CONTAINERS;
pub(crate) use transaction::{
    Transaction, chain_exists, elements_of, ensure, erase_note, guarded, note, probe, remove_tables, table_exists,
};
