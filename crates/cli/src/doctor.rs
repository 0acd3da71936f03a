//! `seclude doctor`: the library's findings as a table.

use std::process::ExitCode;

use seclude::doctor::{Finding, Verdict, examine};

use crate::Failure;
use crate::args::DoctorFlags;

/// Exit status 0: the sandbox works here; 1: it does not.
pub(crate) fn doctor(flags: &DoctorFlags) -> Result<ExitCode, Failure> {
    let examination = examine();
    let works = examination.sandbox_works();
    let text = if flags.json {
        let whole = serde_json::json!({ "sandbox_works": works, "findings": examination.findings });
        format!("{whole:#}\n")
    } else {
        let rows: String = examination.findings.iter().map(row).collect();
        format!("{rows}\n{}\n", examination.summary())
    };
    crate::print(text.as_bytes())?;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn row(finding: &Finding) -> String {
    let mark = match finding.verdict {
        Verdict::Works => "works",
        Verdict::DoesNot => "does not",
        _ => "?",
    };
    let mut text = format!("{:<28} {mark:<9} {}\n", finding.feature, finding.evidence);
    if let Some(remedy) = &finding.remedy {
        text += &format!("{:<28} {:<9} -> {remedy}\n", "", "");
    }
    text
}
