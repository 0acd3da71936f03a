//! The tables of docs/oci.md and docs/cluster.md.

use std::fs;

use anyhow::{Context, Result};

use super::Went;
use crate::workspace::root;

const END: &str = "<!-- end -->\n";

/// The table that this command makes.
pub(super) fn write(page: &str, command: &str, all: &[Went]) -> Result<()> {
    let path = root().join(page);
    let begin = format!("<!-- {command} -->\n");
    let text = fs::read_to_string(&path).context(page.to_owned())?;
    let (before, rest) = text.split_once(&begin).with_context(|| format!("{page} has no {begin:?}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{page} has no end of the table"))?;
    fs::write(&path, format!("{before}{begin}{}{END}{after}", table(all)))?;
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
            match went.map(|went| (&went.wrong, &went.figure)) {
                None => "–",
                Some((None, None)) => "yes",
                Some((None, Some(figure))) => figure,
                Some((Some(_), _)) => "**no**",
            }
        };
        let cells: Vec<&str> = engines.iter().map(cell).collect();
        table.push_str(&format!("| {case} | {} |\n", cells.join(" | ")));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_what_was_measured_if_it_went_well() {
        let went = |engine: &str, case, wrong: Option<&str>, figure: Option<&str>| Went {
            engine: engine.to_owned(),
            case,
            wrong: wrong.map(str::to_owned),
            figure: figure.map(str::to_owned),
        };
        let all = [
            went("one", "start", None, Some("3 ms")),
            went("two", "start", Some("late"), Some("9 ms")),
            went("two", "stop", None, None),
        ];
        assert_eq!(table(&all), "| | one | two |\n|---|---|---|\n| start | 3 ms | **no** |\n| stop | – | yes |\n");
    }
}
