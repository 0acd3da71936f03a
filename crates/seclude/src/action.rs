//! The lines of a plan, as they are shown.

use serde::Serialize;

/// When and where an action of the plan happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Moment {
    /// In the parent, before the clone.
    Prepare,
    /// The clone itself.
    Clone,
    /// In the parent, while the child waits at its barrier.
    Attend,
    /// In the child, between clone and exec.
    Child,
}

/// One line of the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Action {
    /// When and where.
    pub moment: Moment,
    /// The step that it belongs to.
    pub step: &'static str,
    /// What is done.
    pub action: String,
    /// In the child: what the action is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// Collects what the parent does.
#[derive(Default)]
pub(crate) struct Describe {
    pub(crate) prepare: Vec<Action>,
    pub(crate) attend: Vec<Action>,
}

impl Describe {
    pub(crate) fn prepare(&mut self, step: &'static str, action: String) {
        self.prepare.push(Action { moment: Moment::Prepare, step, action, about: String::new() });
    }

    pub(crate) fn attend(&mut self, step: &'static str, action: String) {
        self.attend.push(Action { moment: Moment::Attend, step, action, about: String::new() });
    }
}
