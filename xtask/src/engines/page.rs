//! The table of docs/oci.md.

use std::fs;

use anyhow::{Context, Result};

use super::Went;
use crate::workspace::root;

const BEGIN: &str = "<!-- cargo xtask engines --all -->\n";
const END: &str = "<!-- end -->\n";

pub(super) fn write(all: &[Went]) -> Result<()> {
    let path = root().join("docs/oci.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("docs/oci.md has no place for the table")?;
    let (_, after) = rest.split_once(END).context("docs/oci.md has no end of the table")?;
    fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table(all)))?;
    Ok(())
}

fn table(all: &[Went]) -> String {
    let mut engines: Vec<&str> = Vec::new();
    let mut cases: Vec<&str> = Vec::new();
    for went in all {
        if !engines.contains(&went.engine.as_str()) {
            engines.push(&went.engine);
        }
        if !cases.contains(&went.case) {
            cases.push(went.case);
        }
    }
    let mut table = format!("| | {} |\n|---|{}\n", engines.join(" | "), "---|".repeat(engines.len()));
    for case in cases {
        let cell = |engine: &&str| {
            let went = all.iter().find(|went| went.engine == *engine && went.case == case);
            match went.map(|went| &went.wrong) {
                None => "–",
                Some(None) => "yes",
                Some(Some(_)) => "**no**",
            }
        };
        let cells: Vec<&str> = engines.iter().map(cell).collect();
        table.push_str(&format!("| {case} | {} |\n", cells.join(" | ")));
    }
    table
}
