//! `doctor()` and `explain()`.

use seclude::doctor::examine;
use serde_json::{Value as Json, json};

use crate::launch::Composed;
use crate::report;
use crate::words::with_keys;

/// What comes before what the parent does first.
const PREPARE: &str = "parent, before the clone\n";

/// As `seclude doctor --json`, with keys where that has flags.
pub(crate) fn doctor() -> Json {
    let mut examination = examine();
    for remedy in examination.findings.iter_mut().filter_map(|finding| finding.remedy.as_mut()) {
        *remedy = with_keys(remedy);
    }
    json!({ "sandbox_works": examination.sandbox_works(), "findings": examination.findings })
}

/// As `seclude explain --json`, with the text that it prints without; or what is wrong with the request.
pub(crate) fn explain(composed: &Composed) -> Json {
    let plan = match composed.command.plan() {
        Ok(plan) => plan,
        Err(error) => return json!({ "failure": report::failure(&error) }),
    };
    let (way, reason) = plan.clone_way();
    let (mut actions, mut text) = (json!(plan.actions()), plan.to_string());
    for (number, what) in composed.opened() {
        // The library knows /dev/null in its place, or nothing.
        let (known, opened) =
            (format!("open /dev/null for descriptor {number}"), format!("open {what} for descriptor {number}"));
        let lines = actions.as_array_mut().into_iter().flatten();
        match lines.map(|line| &mut line["action"]).find(|action| **action == known) {
            Some(action) => {
                *action = opened.clone().into();
                text = text.replacen(&known, &opened, 1);
            }
            None => {
                let action = json!({ "moment": "prepare", "step": "descriptors", "action": opened });
                actions.as_array_mut().into_iter().for_each(|actions| actions.insert(0, action.clone()));
                let rest = text.strip_prefix(PREPARE).unwrap_or(&text);
                text = format!("{PREPARE}  {:<18} {opened}\n{rest}", "descriptors");
            }
        }
    }
    json!({ "plan": { "clone": way.name(), "reason": reason, "actions": actions }, "text": text })
}
