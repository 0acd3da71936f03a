//! Text for C.

use std::ffi::{CString, c_char};

use crate::guard::Failure;

/// Text with its NUL; one inside, which none of ours has, would end it for C.
pub(crate) fn c_string(text: impl Into<String>) -> CString {
    let text: String = text.into();
    CString::new(text).unwrap_or_else(|error| {
        let bytes = error.into_vec().into_iter().map(|byte| if byte == 0 { b' ' } else { byte });
        CString::new(bytes.collect::<Vec<u8>>()).unwrap_or_default()
    })
}

/// Puts text where the caller wants it, which has to be somewhere.
///
/// # Safety
/// `place` is NULL, or where a pointer can be written.
pub(crate) unsafe fn hand_over(place: *mut *mut c_char, text: String) {
    if !place.is_null() {
        // SAFETY: the caller's contract.
        unsafe { place.write(c_string(text).into_raw()) };
    }
}

/// The bytes of a request.
///
/// # Safety
/// `text` is NULL, or `length` bytes can be read there for as long as `'a` lasts.
pub(crate) unsafe fn request_bytes<'a>(text: *const c_char, length: usize) -> Result<&'a [u8], Failure> {
    if text.is_null() {
        return Err(Failure::Null("request"));
    }
    // One more byte than a request can have is enough to be refused; no slice may have more than isize::MAX.
    let length = length.min(seclude::request::MOST_BYTES + 1);
    // SAFETY: the caller's contract; it is not NULL, and the length is small.
    Ok(unsafe { std::slice::from_raw_parts(text.cast(), length) })
}

/// Frees a string that a function gave as `char *`. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: the caller hands back what `hand_over` gave, once.
        drop(unsafe { CString::from_raw(string) });
    }
}
