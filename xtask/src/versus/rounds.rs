//! The rounds: everybody in turns.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::contestants::Contestant;
use super::ours::{FLOOR, UNTIL_CLONE};
use super::statistics::Statistics;
use crate::progress::Progress;

const WARM_UP: u32 = 5;

/// A contestant's line; without times it was not measured, and the note says why.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) time: Option<Statistics>,
    /// Its p50 over the floor's, if it is a whole spawn.
    pub(super) ratio_to_floor: Option<f64>,
    pub(super) note: String,
}

pub(super) fn absent(name: &'static str, why: impl Into<String>) -> Row {
    Row { name, time: None, ratio_to_floor: None, note: why.into() }
}

/// Measures each so often, after a warm-up. Each round has an order of its own, so that nobody always comes after the
/// same other one, whose namespaces the kernel is still taking apart.
pub(super) fn measure(mut contestants: Vec<Contestant>, runs: u32, progress: &mut Progress) -> Result<Vec<Row>> {
    let mut times: Vec<Vec<Duration>> = contestants.iter().map(|_| Vec::new()).collect();
    let mut failures: Vec<Option<String>> = contestants.iter().map(|_| None).collect();
    let mut order: Vec<usize> = (0..contestants.len()).collect();
    let mut random = Random(0x5EC1_0DE5);
    for round in 1..=WARM_UP + runs {
        random.shuffle(&mut order);
        for &index in order.iter() {
            let contestant = &mut contestants[index];
            if failures[index].is_some() {
                continue;
            }
            progress.update(&format!("round {round} of {}: {}", WARM_UP + runs, contestant.name));
            match (contestant.measure)() {
                Ok(_) if round <= WARM_UP => {}
                Ok(time) => times[index].push(time),
                Err(error) if contestant.rival => failures[index] = Some(format!("{error:#}")),
                Err(error) => return Err(error.context(contestant.name)),
            }
        }
    }
    let measured = contestants.iter().zip(&times).zip(failures);
    Ok(measured
        .map(|((contestant, times), failure)| match failure {
            Some(why) => absent(contestant.name, format!("does not run here: {why}")),
            None => Row {
                name: contestant.name,
                time: Statistics::of(times),
                ratio_to_floor: None,
                note: contestant.note.clone(),
            },
        })
        .collect())
}

pub(super) fn compare_with_floor(rows: &mut [Row]) {
    let Some(floor) = rows.iter().find(|row| row.name == FLOOR).and_then(|row| row.time) else { return };
    for row in rows.iter_mut().filter(|row| row.name != UNTIL_CLONE) {
        row.ratio_to_floor = row.time.map(|time| time.p50 / floor.p50);
    }
}

/// Xorshift: an order that is arbitrary, and the same in each run.
struct Random(u64);

impl Random {
    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            items.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_everybody_and_its_own_order() {
        let mut random = Random(0x5EC1_0DE5);
        let mut order: Vec<usize> = (0..12).collect();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            random.shuffle(&mut order);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..12).collect::<Vec<_>>());
            seen.insert(order.clone());
        }
        assert_eq!(seen.len(), 100);
    }
}
