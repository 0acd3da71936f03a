//! Which library this is.

use std::ffi::{CStr, c_char};

/// What a program was compiled for; it goes up when something that was there changes its meaning or goes away, and with it
/// the library's soname. See seclude_abi_version.
pub const SECLUDE_ABI_VERSION: u32 = 1;

/// The SECLUDE_ABI_VERSION of the library that is loaded: a program that was compiled with another must not go on.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_abi_version() -> u32 {
    SECLUDE_ABI_VERSION
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no NUL"),
};

/// The version of the library, such as "0.1.0". It is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_version() -> *const c_char {
    VERSION.as_ptr()
}
