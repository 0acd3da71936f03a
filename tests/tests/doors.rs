//! Every door does the same with the same request: the cases of tests/doors, here through the library, and through the programs
//! that are doors of other languages, where they are built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use seclude_tests::{Case, Outcome, Scratch, by_command, by_library, by_program, cases, door_files};

fn run_all(door: &str, run: &dyn Fn(&Case) -> Outcome) {
    let mut failed = Vec::new();
    for case in cases() {
        if let Some(why) = case.skipped() {
            eprintln!("skipped: {}: {why}", case.name());
            continue;
        }
        let wrong = case.wrong_with(&run(&case));
        failed.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", case.name())));
    }
    assert!(failed.is_empty(), "through {door}:\n{}", failed.join("\n"));
}

#[test]
fn the_library_does_what_the_table_says() {
    run_all("the library", &by_library);
}

#[test]
fn the_command_does_what_the_table_says() {
    let place = Scratch::new("doors");
    run_all("the command", &|case| by_command(case, place.path()));
}

#[test]
fn the_c_door_does_what_the_table_says() {
    let Some(program) = std::env::var_os("SECLUDE_C_DOOR").map(PathBuf::from) else {
        eprintln!("the C door: not run: cargo xtask c builds it");
        return;
    };
    run_all("C", &|case| by_program(&program, case));
}

#[test]
fn each_case_has_a_name_of_its_own_and_one_expectation() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name().to_owned()), "{} is there twice", case.name());
        case.check();
    }
    assert!(names.len() >= 25, "{} cases", names.len());
}

#[test]
fn no_file_is_forgotten() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("doors");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("skipped: the checkout is not here");
        return;
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let there: BTreeSet<String> = names.filter(|name| name.ends_with(".json")).collect();
    assert_eq!(there, door_files().map(str::to_owned).collect());
}
