//! Sets of capabilities, capabilities(7).

use seclude_sys::{Errno, credentials};

use crate::run::{Done, Failure, Named};
use crate::wire::Call;

/// An exec by whoever is not uid 0 keeps only what is ambient, capabilities(7).
pub(crate) fn carry_capabilities() -> Done {
    let sets = credentials::capabilities().named(Call::Capset)?;
    let all = credentials::CapabilitySets { inheritable: sets.permitted, ..sets };
    credentials::set_capabilities(all).named(Call::Capset)?;
    set_ambient(sets.permitted)
}

pub(crate) fn limit_bounding_set(keep: u64) -> Done {
    for capability in 0..64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match credentials::drop_bounding(capability) {
            Ok(()) => {}
            // Past the last capability that this kernel has.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(Failure(Call::Prctl, errno)),
        }
    }
    Ok(())
}

pub(crate) fn set_ambient(raise: u64) -> Done {
    credentials::clear_ambient().named(Call::Prctl)?;
    for capability in 0..64 {
        if raise & (1 << capability) != 0 {
            credentials::raise_ambient(capability).named(Call::Prctl)?;
        }
    }
    Ok(())
}
