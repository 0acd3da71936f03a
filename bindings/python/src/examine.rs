//! What would be done, and what this host can do.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use seclude::Remedy;

use crate::compose::{Composed, Keyword, Names, compose};
use crate::failure;

/// The plan as JSON, and as the text that people read.
#[pyfunction]
pub(crate) fn explain(
    py: Python<'_>,
    command: Vec<Bound<'_, PyAny>>,
    container: Option<Bound<'_, PyAny>>,
    keywords: Vec<Keyword<'_>>,
) -> PyResult<(String, String)> {
    let Composed { command, names, .. } = compose(&command, container.as_ref(), &keywords)?;
    let plan = py.detach(|| command.plan().map(|plan| (serde_json::to_string(&plan.actions()), plan.to_string())));
    let (actions, text) = plan.map_err(|error| failure::raise(py, &error, &names))?;
    Ok((actions.map_err(|error| PyValueError::new_err(error.to_string()))?, text))
}

/// The examination as JSON, whether the sandbox works, and a summary.
#[pyfunction]
pub(crate) fn doctor(py: Python<'_>) -> PyResult<(String, bool, String)> {
    let mut examination = py.detach(seclude::doctor::examine);
    for finding in &mut examination.findings {
        let say = |remedy: &Remedy| failure::say(remedy, &Names::default());
        finding.remedy = finding.remedy.as_ref().map(|hint| Remedy::behind(hint, &finding.remedies, say));
    }
    let text = serde_json::to_string(&examination).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok((text, examination.sandbox_works(), examination.summary()))
}
