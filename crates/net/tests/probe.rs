//! Probes leave nothing, and what they say agrees with what can be made.

mod common;

use common::*;
use seclude_net::probe;

#[test]
fn what_can_be_made_is_made_and_undone() {
    root_only!();
    Space::host().run(|| {
        probe::veth().unwrap();
        probe::bridge().unwrap();
        probe::nf_tables().unwrap();
        assert!(probe::ip_forward().unwrap_err().to_string().contains("ip_forward is 0"));
        set_ip_forward("1");
        probe::ip_forward().unwrap();
        assert_eq!(probe::tun().is_ok(), std::path::Path::new("/dev/net/tun").exists());
        assert_eq!(leftovers(), "");
    });
}

#[test]
fn without_the_capability_it_says_what_to_do() {
    root_only!();
    Space::host().run(|| {
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(rustix::thread::CapabilitySet::NET_ADMIN);
        rustix::thread::set_capabilities(None, sets).unwrap();
        for error in [probe::veth().unwrap_err(), probe::bridge().unwrap_err(), probe::nf_tables().unwrap_err()] {
            assert_eq!(error.errno(), Some(rustix::io::Errno::PERM.raw_os_error()), "{error}");
            assert!(error.hint().unwrap().contains("CAP_NET_ADMIN"), "{error}");
        }
    });
}
