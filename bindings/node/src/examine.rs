//! `doctor()` and `explain()`.

use seclude::Command;
use seclude::doctor::examine;
use serde_json::{Value as Json, json};

use crate::report;

/// As `seclude doctor --json`.
pub(crate) fn doctor() -> Json {
    let examination = examine();
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
