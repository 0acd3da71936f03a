//! The places of a spawn at which a test has it fail, by number.

use seclude::fault::Place;
use seclude::{Command, Side};

/// What a helper exits with that was to be killed at a place which there is not.
pub const PASSED_BY: i32 = 77;

/// The place of this number: those of the parent, and then the child's ops, of which there is one more than the last.
pub fn place(command: &Command, number: usize) -> (Place, Side) {
    let places = command.plan().unwrap().places();
    let parents = places.iter().filter(|(place, _)| !matches!(place, Place::Op(_))).count();
    match places.get(number) {
        Some((place, _)) if number < parents => (*place, Side::Parent),
        _ => (Place::Op(number - parents), Side::Child),
    }
}
