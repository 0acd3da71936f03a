//! Between a function of C's and what it does: failures become numbers and errors, panics too.

use std::any::Any;
use std::ffi::c_int;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use seclude::request::Wrong;

use crate::error::Error;

/// Why a function did not do it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A pointer is NULL that has to lead somewhere.
    Null(&'static str),
    /// It is no request.
    Wrong(Wrong),
    /// What the library says.
    Library(Box<seclude::Error>),
    /// What the system says of something that is the binding's own.
    System { step: &'static str, action: String, error: io::Error },
    /// What the library should never have come to.
    Panic(String),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Failure {
        Failure::Wrong(wrong)
    }
}

impl From<seclude::Error> for Failure {
    fn from(error: seclude::Error) -> Failure {
        Failure::Library(Box::new(error))
    }
}

impl Failure {
    pub(crate) fn system(step: &'static str, action: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let action = action.into();
        move |error| match error.downcast::<seclude::Error>() {
            Ok(error) => error.into(),
            Err(error) => Failure::System { step, action, error },
        }
    }
}

/// Does `work`; whatever it comes to is told by the number, and in full to `error`, if that is anywhere.
///
/// # Safety
/// `error` is NULL, or where a pointer can be written.
pub(crate) unsafe fn guarded(error: *mut *mut Error, work: impl FnOnce() -> Result<c_int, Failure>) -> c_int {
    let (number, told) = match caught(work) {
        Ok(number) => (number, std::ptr::null_mut()),
        Err(failure) => {
            let made = Error::new(&failure);
            let number = -made.errno();
            (number, if error.is_null() { std::ptr::null_mut() } else { Box::into_raw(Box::new(made)) })
        }
    };
    if !error.is_null() {
        // SAFETY: the caller's contract.
        unsafe { error.write(told) };
    }
    number
}

/// The same for functions that tell no more than a number.
pub(crate) fn numbered(work: impl FnOnce() -> Result<c_int, Errno>) -> c_int {
    let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Errno::NOTRECOVERABLE));
    answer.unwrap_or_else(|errno| -errno.raw_os_error())
}

/// For what is freed: there is nobody to tell.
pub(crate) fn quiet(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failure::Panic(said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;

    use super::*;
    use crate::error::seclude_error_free;

    #[test]
    fn a_panic_becomes_an_error() {
        let mut error = null_mut();
        // SAFETY: there is room for a pointer; what comes is freed once.
        let number = unsafe { guarded(&mut error, || panic!("it is {}", "broken")) };
        assert_eq!(number, -Errno::NOTRECOVERABLE.raw_os_error());
        // SAFETY: it was just made, and lives until it is freed.
        let json = unsafe { error.as_ref() }.map(Error::text).unwrap_or_default();
        assert!(json.contains("\"code\":\"panic\"") && json.contains("it is broken"), "{json}");
        // SAFETY: as above.
        unsafe { seclude_error_free(error) };
        assert_eq!(numbered(|| panic!("again")), -Errno::NOTRECOVERABLE.raw_os_error());
        quiet(|| panic!("and again"));
    }

    #[test]
    fn who_wants_no_error_gets_the_number() {
        // SAFETY: NULL is nowhere.
        let number = unsafe { guarded(null_mut(), || Err(Failure::Null("child"))) };
        assert_eq!(number, -Errno::FAULT.raw_os_error());
    }
}
