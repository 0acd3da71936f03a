//! `doctor()` and `explain()`.

use seclude::Command;
use seclude::doctor::examine;
use serde_json::{Value as Json, json};

use crate::report;
use crate::words::with_keys;

/// As `seclude doctor --json`, with keys where that has flags.
pub(crate) fn doctor() -> Json {
    let mut examination = examine();
    for remedy in examination.findings.iter_mut().filter_map(|finding| finding.remedy.as_mut()) {
        *remedy = with_keys(remedy);
    }
    json!({ "sandbox_works": examination.sandbox_works(), "findings": examination.findings })
}

/// As `seclude explain --json`, with the text that it prints without; or what is wrong with the request.
pub(crate) fn explain(command: &Command) -> Json {
    match command.plan() {
        Ok(plan) => {
            let (way, reason) = plan.clone_way();
            let text = plan.to_string();
            json!({ "plan": { "clone": way.name(), "reason": reason, "actions": plan.actions() }, "text": text })
        }
        Err(error) => json!({ "failure": report::failure(&error) }),
    }
}
