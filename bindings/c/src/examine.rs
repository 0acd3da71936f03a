//! What would happen, and what can: without starting anything that stays.

use std::ffi::{c_char, c_int};

use seclude::Command;
use seclude::request::{Format, Request};
use serde_json::json;

use crate::error::Error;
use crate::guard::{Failure, guarded};
use crate::strings::{hand_over, request_bytes};

/// What would be done for a request, step by step, as text for people; nothing is started. `length` is the bytes of `request`.
///
/// *plan is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_explain(
    request: *const c_char,
    length: usize,
    plan: *mut *mut c_char,
    error: *mut *mut Error,
) -> c_int {
    let work = || {
        if plan.is_null() {
            return Err(Failure::Null("plan"));
        }
        // SAFETY: NULL, or `length` bytes that stay until this returns.
        let request = Request::parse(unsafe { request_bytes(request, length) }?, Format::Json)?;
        let text = Command::from_request(&request)?.plan()?.to_string();
        // SAFETY: it is not NULL, so a pointer can be written there.
        unsafe { hand_over(plan, text) };
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}

/// What this host can do, found by doing it, as JSON: { "sandbox_works", "root", "summary", "findings": [{ "feature",
/// "verdict", "evidence", "remedy" }] }. It starts and ends some dozens of processes, and takes a fraction of a second or more.
///
/// *examination is the caller's afterwards (seclude_string_free); it is not touched if something is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_doctor_json(examination: *mut *mut c_char, error: *mut *mut Error) -> c_int {
    let work = || {
        if examination.is_null() {
            return Err(Failure::Null("examination"));
        }
        let found = seclude::doctor::examine();
        let json = json!({
            "sandbox_works": found.sandbox_works(), "root": found.root, "summary": found.summary(), "findings": found.findings,
        });
        // SAFETY: it is not NULL, so a pointer can be written there.
        unsafe { hand_over(examination, json.to_string()) };
        Ok(0)
    };
    // SAFETY: NULL, or where a pointer can be written.
    unsafe { guarded(error, work) }
}
