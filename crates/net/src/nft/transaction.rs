//! Changes of nf_tables: all of a transaction, or nothing.

use rustix::io::Errno;

use super::element::Element;
use super::expression::Rule;
use super::guard::Guard;
use super::neighbours;
use super::rules::{self, Chain, Hook, Set};
use crate::Error;
use crate::error::About;
use crate::message::{APPEND, Attributes, Batch, CREATE, DUMP, EXCLUSIVE, Kind, attributes, text};
use crate::socket::Socket;

const TABLE: &str = "seclude";
const FAMILIES: &str = "nf_tables for inet, bridge and netdev";
pub(super) const NFPROTO_INET: u8 = 1;
const NFPROTO_NETDEV: u8 = 5;
const NFPROTO_BRIDGE: u8 = 7;

const BATCH_BEGIN: Kind = Kind(16, "NFNL_MSG_BATCH_BEGIN");
const BATCH_END: Kind = Kind(17, "NFNL_MSG_BATCH_END");
const NEWTABLE: Kind = table_kind(0, "NFT_MSG_NEWTABLE");
const GETTABLE: Kind = table_kind(1, "NFT_MSG_GETTABLE");
const DELTABLE: Kind = table_kind(2, "NFT_MSG_DELTABLE");
const NEWCHAIN: Kind = table_kind(3, "NFT_MSG_NEWCHAIN");
pub(super) const GETCHAIN: Kind = table_kind(4, "NFT_MSG_GETCHAIN");
const DELCHAIN: Kind = table_kind(5, "NFT_MSG_DELCHAIN");
const NEWRULE: Kind = table_kind(6, "NFT_MSG_NEWRULE");
const NEWSET: Kind = table_kind(9, "NFT_MSG_NEWSET");
const NEWSETELEM: Kind = table_kind(12, "NFT_MSG_NEWSETELEM");
const GETSETELEM: Kind = table_kind(13, "NFT_MSG_GETSETELEM");
const DELSETELEM: Kind = table_kind(14, "NFT_MSG_DELSETELEM");

const fn table_kind(number: u16, name: &'static str) -> Kind {
    const NFNL_SUBSYS_NFTABLES: u16 = 10;
    Kind(NFNL_SUBSYS_NFTABLES << 8 | number, name)
}

/// `struct nfgenmsg`: family, version, a number in network order.
pub(super) fn head(family: u8, number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [family, 0, high, low]
}

/// Changes that are made together.
pub(crate) struct Transaction {
    batch: Batch,
}

impl Transaction {
    pub(crate) fn new() -> Transaction {
        let mut batch = Batch::new();
        batch.add(BATCH_BEGIN, 0, &head(0, 10), "nf_tables", |_| {});
        Transaction { batch }
    }

    /// An element; that it is there already is no error, unless it is one of a map and leads elsewhere.
    pub(crate) fn add(&mut self, element: &Element) {
        self.change(NEWSETELEM, CREATE, element);
    }

    /// An element that is there.
    pub(crate) fn delete(&mut self, element: &Element) {
        self.change(DELSETELEM, 0, element);
    }

    /// An element that may be there. (`NFT_MSG_DESTROYSETELEM` is of Linux 6.3.)
    pub(crate) fn clear(&mut self, element: &Element) {
        self.add(element);
        self.delete(element);
    }

    fn change(&mut self, kind: Kind, flags: u16, element: &Element) {
        let about = format!("set {} of table inet {TABLE}", element.set);
        self.request(kind, flags, NFPROTO_INET, about, |a| {
            a.text(1, TABLE);
            a.text(2, element.set);
            a.nest(3, |a| element.encode(a));
        });
    }

    /// Looks at what comes in over a link, which has to be there; that it is looked at already is an error.
    pub(crate) fn guard(&mut self, link: &str, guard: &Guard) {
        let about = || format!("chain {link} of table netdev {TABLE}");
        self.request(NEWTABLE, CREATE, NFPROTO_NETDEV, about(), |a| a.text(1, TABLE));
        self.request(NEWCHAIN, CREATE | EXCLUSIVE, NFPROTO_NETDEV, about(), |a| {
            a.text(1, TABLE);
            a.text(3, link);
            a.text(7, "filter");
            a.nest(4, |a| {
                a.be32(1, 0);
                a.be32(2, 0);
                a.text(3, link);
            });
        });
        for rule in guard.rules() {
            self.rule(NFPROTO_NETDEV, TABLE, link, &rule);
        }
    }

    /// Takes that away.
    pub(crate) fn unguard(&mut self, link: &str) {
        let about = format!("chain {link} of table netdev {TABLE}");
        self.request(DELCHAIN, 0, NFPROTO_NETDEV, about, |a| {
            a.text(1, TABLE);
            a.text(3, link);
        });
    }

    fn rule(&mut self, family: u8, table: &str, chain: &str, rule: &Rule) {
        let about = format!("rule of chain {chain} of table {table}");
        self.request(NEWRULE, CREATE | APPEND, family, about, |a| {
            a.text(1, table);
            a.text(2, chain);
            a.nest(4, |a| a.raw(rule.expressions()));
        });
    }

    fn request(
        &mut self,
        kind: Kind,
        flags: u16,
        family: u8,
        about: impl Into<About>,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.batch.add(kind, flags, &head(family, 0), about, attributes);
    }

    /// All of it as one message, which is sent elsewhere, and of which one answer comes.
    fn into_bytes(mut self) -> Vec<u8> {
        self.end();
        self.batch.bytes().to_vec()
    }

    fn end(&mut self) {
        // One acknowledgement for all: a thousand of them would not fit into the socket's buffer. (The kernel acknowledges the end of a
        // batch only since 6.10.)
        self.batch.acknowledge_last();
        self.batch.add(BATCH_END, 0, &head(0, 10), "nf_tables", |_| {});
    }

    /// Makes all of the changes.
    pub(crate) fn commit(mut self, socket: &Socket) -> Result<(), Error> {
        if self.batch.last() == 1 {
            return Ok(());
        }
        let last = self.batch.last();
        self.end();
        let answer = socket.send_until(&self.batch, last);
        answer.map_err(|error| error.lacking(FAMILIES, &[Errno::OPNOTSUPP, Errno::PROTONOSUPPORT]))
    }
}

/// Makes the table with all that is in it, if it is not there.
pub(crate) fn ensure(socket: &Socket) -> Result<(), Error> {
    if table_exists(socket)? {
        return Ok(());
    }
    match lacking(whole_table(EXCLUSIVE, TABLE).commit(socket)) {
        // Of two that try, one makes all.
        Err(error) if error.is(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Whether all of it could be made: under another name, and taken back in the same transaction.
pub(crate) fn probe(socket: &Socket) -> Result<(), Error> {
    let name = format!("seclude-probe-{}", std::process::id());
    let mut transaction = whole_table(EXCLUSIVE, &name);
    for (family, kind) in [(NFPROTO_INET, "inet"), (NFPROTO_BRIDGE, "bridge")] {
        transaction.request(DELTABLE, 0, family, format!("table {kind} {name}"), |a| a.text(1, &name));
    }
    lacking(transaction.commit(socket))
}

/// An expression or a type of chain that the kernel does not know.
fn lacking(answer: Result<(), Error>) -> Result<(), Error> {
    const PARTS: &str = "nf_tables with nft_nat, nft_masq, nft_ct, nft_fib_inet, nft_reject_inet and nft_meta_bridge";
    answer.map_err(|error| error.lacking(PARTS, &[Errno::NOENT]))
}

/// A table of a network namespace in which there is none: chains and their rules.
pub(crate) fn table_of(chains: &[Chain], rules: &[(&str, Rule)]) -> Vec<u8> {
    let mut transaction = Transaction::new();
    transaction.request(NEWTABLE, CREATE | EXCLUSIVE, NFPROTO_INET, format!("table inet {TABLE}"), |a| {
        a.text(1, TABLE);
        a.be32(2, 0);
    });
    new_chains(&mut transaction, TABLE, chains);
    for (chain, rule) in rules {
        transaction.rule(NFPROTO_INET, TABLE, chain, rule);
    }
    transaction.into_bytes()
}

fn new_chains(transaction: &mut Transaction, table: &str, chains: &[Chain]) {
    for Chain(name, hook) in chains {
        transaction.request(NEWCHAIN, CREATE, NFPROTO_INET, format!("chain {name} of table inet {table}"), |a| {
            a.text(1, table);
            a.text(3, name);
            if let Some(Hook(kind, hook, priority)) = hook {
                a.text(7, kind);
                a.nest(4, |a| {
                    a.be32(1, *hook);
                    a.put(2, &priority.to_be_bytes());
                });
            }
        });
    }
}

/// With `EXCLUSIVE`, that the table is there already aborts the transaction.
fn whole_table(flags: u16, table: &str) -> Transaction {
    let mut transaction = Transaction::new();
    transaction.request(NEWTABLE, CREATE | flags, NFPROTO_INET, format!("table inet {table}"), |a| {
        a.text(1, table);
        a.be32(2, 0);
    });
    for (index, set) in rules::SETS.iter().enumerate() {
        new_set(&mut transaction, table, set, index as u32 + 1);
    }
    new_chains(&mut transaction, table, &rules::CHAINS);
    for (chain, rule) in rules::all() {
        transaction.rule(NFPROTO_INET, table, chain, &rule);
    }
    between_neighbours(&mut transaction, flags, table);
    transaction
}

fn between_neighbours(transaction: &mut Transaction, flags: u16, table: &str) {
    const NF_BR_FORWARD: u32 = 2;
    let about = || format!("table bridge {table}");
    transaction.request(NEWTABLE, CREATE | flags, NFPROTO_BRIDGE, about(), |a| a.text(1, table));
    transaction.request(NEWCHAIN, CREATE, NFPROTO_BRIDGE, about(), |a| {
        a.text(1, table);
        a.text(3, neighbours::CHAIN);
        a.text(7, "filter");
        a.nest(4, |a| {
            a.be32(1, NF_BR_FORWARD);
            a.be32(2, neighbours::PRIORITY as u32);
        });
    });
    for rule in neighbours::rules() {
        transaction.rule(NFPROTO_BRIDGE, table, neighbours::CHAIN, &rule);
    }
}

fn new_set(transaction: &mut Transaction, table: &str, Set(name, kinds, is_map): &Set, id: u32) {
    const NFT_SET_MAP: u32 = 8;
    let size = |kinds: &[u32]| kinds.iter().map(|kind| rules::size(*kind)).sum();
    transaction.request(NEWSET, CREATE, NFPROTO_INET, format!("set {name} of table inet {table}"), |a| {
        a.text(1, table);
        a.text(2, name);
        a.be32(3, if *is_map { NFT_SET_MAP } else { 0 });
        a.be32(4, rules::packed(kinds));
        a.be32(5, size(kinds));
        if *is_map {
            a.be32(6, rules::packed(&rules::REDIRECTION));
            a.be32(7, size(&rules::REDIRECTION));
        }
        a.be32(10, id);
    });
}

/// Whether our table is there.
pub(crate) fn table_exists(socket: &Socket) -> Result<bool, Error> {
    exists(socket, NFPROTO_INET)
}

fn exists(socket: &Socket, family: u8) -> Result<bool, Error> {
    let mut batch = Batch::new();
    batch.add(GETTABLE, 0, &head(family, 0), format!("table {TABLE}"), |a| a.text(1, TABLE));
    let answer = socket.ask(&batch, &[Errno::NOENT], &mut |_| {});
    answer.map_err(|error| error.lacking("nf_tables", &[Errno::OPNOTSUPP, Errno::PROTONOSUPPORT, Errno::INVAL]))
}

/// The links that are looked at, also those that are gone: the kernel keeps their chains since 6.16.
pub(crate) fn guarded(socket: &Socket) -> Result<Vec<String>, Error> {
    let mut batch = Batch::new();
    let about = format!("chains of table netdev {TABLE}");
    batch.add(GETCHAIN, DUMP, &head(NFPROTO_NETDEV, 0), about, |a| a.text(1, TABLE));
    let read = socket.dump(&batch, |message| {
        let find = |wanted| message.attributes(4).find(|(kind, _)| *kind == wanted).map(|(_, value)| text(value));
        (find(1)? == TABLE).then(|| find(3)).flatten()
    });
    match read {
        Err(error) if error.is(Errno::NOENT) => Ok(Vec::new()),
        other => other,
    }
}

/// Leaves a note in the table: an empty chain, which lives as long as the table and needs no file.
pub(crate) fn note(socket: &Socket, name: &str) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    transaction.request(NEWCHAIN, CREATE, NFPROTO_INET, format!("chain {name} of table inet {TABLE}"), |a| {
        a.text(1, TABLE);
        a.text(3, name);
    });
    transaction.commit(socket)
}

/// Takes a note away.
pub(crate) fn erase_note(socket: &Socket, name: &str) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    transaction.request(DELCHAIN, 0, NFPROTO_INET, format!("chain {name} of table inet {TABLE}"), |a| {
        a.text(1, TABLE);
        a.text(3, name);
    });
    transaction.commit(socket)
}

/// Whether there is such a note.
pub(crate) fn chain_exists(socket: &Socket, name: &str) -> Result<bool, Error> {
    let mut batch = Batch::new();
    batch.add(GETCHAIN, 0, &head(NFPROTO_INET, 0), format!("chain {name} of table inet {TABLE}"), |a| {
        a.text(1, TABLE);
        a.text(3, name);
    });
    socket.ask(&batch, &[Errno::NOENT], &mut |_| {})
}

/// What is in a set of the table; nothing if there is no table.
pub(crate) fn elements_of(socket: &Socket, set: &'static str) -> Result<Vec<Element>, Error> {
    let mut batch = Batch::new();
    batch.add(GETSETELEM, DUMP, &head(NFPROTO_INET, 0), format!("set {set} of table inet {TABLE}"), |a| {
        a.text(1, TABLE);
        a.text(2, set);
    });
    let read = socket.dump(&batch, |message| {
        let lists = message.attributes(4).filter(|(kind, _)| *kind == 3);
        Some(lists.flat_map(|(_, list)| attributes(list)).filter_map(|(_, e)| read_element(set, e)).collect::<Vec<_>>())
    });
    match read {
        Err(error) if error.is(Errno::NOENT) => Ok(Vec::new()),
        other => Ok(other?.into_iter().flatten().collect()),
    }
}

fn read_element(set: &'static str, element: &[u8]) -> Option<Element> {
    let value = |wanted| {
        let (_, data) = attributes(element).find(|(kind, _)| *kind == wanted)?;
        attributes(data).find(|(kind, _)| *kind == 1).map(|(_, value)| value.to_vec())
    };
    Some(Element { set, key: value(1)?, data: value(2) })
}

/// Removes all that is ours. It is looked for first: a transaction that fails costs the kernel a grace period.
pub(crate) fn remove_tables(socket: &Socket) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    for (family, name) in [(NFPROTO_INET, "inet"), (NFPROTO_NETDEV, "netdev"), (NFPROTO_BRIDGE, "bridge")] {
        if exists(socket, family)? {
            transaction.request(DELTABLE, 0, family, format!("table {name} {TABLE}"), |a| a.text(1, TABLE));
        }
    }
    match transaction.commit(socket) {
        Err(error) if error.is(Errno::NOENT) => Ok(()),
        other => other,
    }
}
