//! At most so many bits a second, and so much later.

use std::time::Duration;

use rustix::io::Errno;

use crate::claims::Claims;
use crate::connect::index_of;
use crate::message::{ACK, Batch, CREATE, EXCLUSIVE, Kind};
use crate::{Error, Veth};

const NEWQDISC: Kind = Kind(36, "RTM_NEWQDISC");
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const ROOT: u32 = u32::MAX;
/// `1:`, the handle of what is at the root, and `1:1`, its only class.
const FIRST: u32 = 1 << 16;

/// What goes to the container is queued on the host's end. What comes from it is dropped there, as there is no queue on
/// that side of a link: by the guard, see `connect.rs`.
pub(crate) fn shape(veth: &Veth, claims: &Claims) -> Result<(), Error> {
    let (rate, latency) = (veth.request.rate, veth.request.latency);
    if rate.is_none() && latency.is_none() {
        return Ok(());
    }
    let index = index_of(veth, claims)?;
    if let Some(latency) = latency {
        let mut batch = Batch::new();
        delay(&mut batch, index, latency, &veth.link);
        claims.host.route.send(&batch).map_err(|error| error.lacking("sch_netem", &[Errno::NOENT]))?;
    }
    if let Some(rate) = rate {
        let bytes = rate / 8;
        let mut batch = Batch::new();
        let parent = if latency.is_some() { FIRST + 1 } else { ROOT };
        bucket(&mut batch, index, parent, bytes, &veth.link);
        claims.host.route.send(&batch).map_err(|error| error.lacking("sch_tbf", &[Errno::NOENT]))?;
    }
    Ok(())
}

/// What may come at once: ten milliseconds' worth, but at least a few segments that are to be split later.
pub(crate) fn burst(bytes_per_second: u64) -> u32 {
    u32::try_from(bytes_per_second / 100).unwrap_or(u32::MAX / 4).clamp(32 << 10, u32::MAX / 4)
}

/// `struct tcmsg`.
fn head(index: u32, handle: u32, parent: u32) -> Vec<u8> {
    [0, index, handle, parent, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect()
}

/// tc-netem(8).
fn delay(batch: &mut Batch, index: u32, latency: Duration, link: &str) {
    const TCA_NETEM_LATENCY64: u16 = 10;
    /// Packets that are under way at once; more are dropped.
    const LIMIT: u32 = 20_000;
    let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX >> 1);
    batch.add(NEWQDISC, ACK | CREATE | EXCLUSIVE, &head(index, FIRST, ROOT), format!("latency of {link}"), |a| {
        a.text(TCA_KIND, "netem");
        // struct tc_netem_qopt: latency in ticks, limit, loss, gap, duplicate, jitter; then attributes.
        let options = [0, LIMIT, 0, 0, 0, 0];
        a.nest(TCA_OPTIONS, |a| {
            a.raw(&options.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect::<Vec<u8>>());
            a.put(TCA_NETEM_LATENCY64, &nanoseconds.to_ne_bytes());
        });
    });
}

/// tc-tbf(8).
fn bucket(batch: &mut Batch, index: u32, parent: u32, bytes_per_second: u64, link: &str) {
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_RATE64: u16 = 4;
    const TCA_TBF_BURST: u16 = 6;
    const TC_LINKLAYER_ETHERNET: u8 = 1;
    let burst = burst(bytes_per_second);
    // Fifty milliseconds' worth may wait.
    let limit = u32::try_from(bytes_per_second / 20).unwrap_or(u32::MAX / 2).max(64 << 10).saturating_add(burst);
    // struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate.
    let mut rate = [0; 12];
    rate[1] = TC_LINKLAYER_ETHERNET;
    rate[8..12].copy_from_slice(&u32::try_from(bytes_per_second).unwrap_or(u32::MAX).to_ne_bytes());
    // struct tc_tbf_qopt: rate, peak rate, limit, buffer in ticks (the burst in bytes is used instead), mtu.
    let mut options = [0; 36];
    options[0..12].copy_from_slice(&rate);
    options[24..28].copy_from_slice(&limit.to_ne_bytes());
    batch.add(NEWQDISC, ACK | CREATE | EXCLUSIVE, &head(index, 0, parent), format!("rate of {link}"), |a| {
        a.text(TCA_KIND, "tbf");
        a.nest(TCA_OPTIONS, |a| {
            a.put(TCA_TBF_PARMS, &options);
            if bytes_per_second > u64::from(u32::MAX) {
                a.put(TCA_TBF_RATE64, &bytes_per_second.to_ne_bytes());
            }
            a.u32(TCA_TBF_BURST, burst);
        });
    });
}
