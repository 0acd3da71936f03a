//! What the tables of others do with what is forwarded. They are looked at, never touched: a packet that one of them
//! drops is gone, whatever ours has said.

use super::transaction::{GETCHAIN, NFPROTO_INET, head};
use crate::Error;
use crate::message::{Batch, DUMP, attributes, text, u32_at};
use crate::socket::Socket;

const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_IPV4: u8 = 2;
const HOOK_FORWARD: u32 = 2;
const DROP: u32 = 0;

/// A chain that drops what is forwarded unless a rule of it says otherwise.
pub(crate) fn dropping(socket: &Socket) -> Result<Option<String>, Error> {
    let mut batch = Batch::new();
    batch.add(GETCHAIN, DUMP, &head(NFPROTO_UNSPEC, 0), "chains of all tables".to_owned(), |_| {});
    let found = socket.dump(&batch, |message| {
        let family = match *message.body.first()? {
            NFPROTO_INET => "inet",
            NFPROTO_IPV4 => "ip",
            _ => return None,
        };
        let find = |wanted| message.attributes(4).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let hook = attributes(find(4)?).find(|(kind, _)| *kind == 1).and_then(|(_, value)| be32(value))?;
        let drops = hook == HOOK_FORWARD && be32(find(5)?)? == DROP;
        drops.then(|| Some(format!("chain {} of table {family} {}", text(find(3)?), text(find(1)?))))?
    })?;
    Ok(found.into_iter().next())
}

fn be32(value: &[u8]) -> Option<u32> {
    u32_at(value, 0).map(u32::from_be)
}
