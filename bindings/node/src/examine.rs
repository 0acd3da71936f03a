//! `doctor()` and `explain()`.

use seclude::Remedy;
use seclude::doctor::examine;
use serde_json::{Value as Json, json};

use crate::launch::Composed;
use crate::options::Names;
use crate::report;

/// What comes before what the parent does first.
const PREPARE: &str = "parent, before the clone\n";

/// As `seclude doctor --json`, with keys where that has flags.
pub(crate) fn doctor() -> Json {
    let mut examination = examine();
    let say = |remedy: &Remedy| Names::default().say(remedy);
    for finding in &mut examination.findings {
        finding.remedy = finding.remedy.as_ref().map(|hint| Remedy::behind(hint, &finding.remedies, say));
    }
    json!({ "sandbox_works": examination.sandbox_works(), "findings": examination.findings })
}

/// As `seclude explain --json`, with the text that it prints without; or what is wrong with the request.
pub(crate) fn explain(composed: &Composed) -> Json {
    let plan = match composed.command.plan() {
        Ok(plan) => plan,
        Err(error) => return json!({ "failure": report::failure(&error, &composed.names) }),
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
