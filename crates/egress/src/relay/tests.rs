//! The relay with sockets of this namespace, where a name leads to a server of the test's on the loopback.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SendFlags, SocketType, bind, getsockname, send};
use seclude_sys::Fd;
use seclude_sys::socket::{option, set_option};

use super::*;
use crate::{Count, Name, Why};

const NAME: &str = "server.example";
/// Of tests with datagrams: what the host says of a name is said to all who wait for it, and each test has a host of its own.
const TIME: &str = "time.example";

fn here(_: &str) -> io::Result<Vec<IpAddr>> {
    // Nobody listens at the first.
    Ok(vec![Ipv4Addr::new(127, 0, 0, 9).into(), Ipv4Addr::LOCALHOST.into()])
}

struct Net {
    seat: Seat,
    slot: SocketAddr,
    datagrams: SocketAddr,
    questions: SocketAddr,
}

fn net(server: &TcpListener, lookup: Lookup, judge: Judge) -> Net {
    let port = server.local_addr().unwrap().port();
    let mut allow = Allow::nothing();
    allow.add(&format!("{NAME}:{port}").parse().unwrap()).unwrap();
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (datagrams, questions, slot) = (UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap(), listen(), listen());
    let (level, packet_info) = option::PACKET_INFO;
    set_option(Fd(datagrams.as_raw_fd()), level, packet_info, 1).unwrap();
    let mut net = Net {
        seat: Seat::take().unwrap(),
        slot: slot.local_addr().unwrap(),
        datagrams: datagrams.local_addr().unwrap(),
        questions: questions.local_addr().unwrap(),
    };
    let name: Name = NAME.parse().unwrap();
    let sockets: Vec<(Kind, OwnedFd)> = vec![
        (Kind::Datagrams, datagrams.into()),
        (Kind::Questions, questions.into()),
        (Kind::Name(name, port), slot.into()),
    ];
    net.seat.begin_with(allow, false, sockets, lookup, judge);
    net
}

fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// The count of what went through, once it is this: what arrives is seen at once, and counted by another thread.
fn comes_to<T: PartialEq + std::fmt::Debug>(net: &Net, wanted: T, of: fn(Count) -> T) {
    let started = Instant::now();
    loop {
        let now = of(net.seat.tally().counts().first().map(|(_, count)| *count).unwrap_or_default());
        if now == wanted {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{now:?} and not {wanted:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn connected(server: &TcpListener, net: &Net) -> (TcpStream, TcpStream) {
    let inner = TcpStream::connect(net.slot).unwrap();
    let outer = server.accept().unwrap().0;
    for stream in [&inner, &outer] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    (inner, outer)
}

fn is_reset(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read(&mut [0; 8]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn bytes_go_both_ways_and_each_end_is_told_on_its_own() {
    let server = listen();
    let net = net(&server, here, |_, _| None);
    let (mut inner, mut outer) = connected(&server, &net);
    inner.write_all(b"a question").unwrap();
    inner.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    outer.read_to_string(&mut said).unwrap();
    assert_eq!(said, "a question");
    // Half of it is closed, the other half goes on.
    outer.write_all(b"an answer").unwrap();
    let mut first = [0; 9];
    inner.read_exact(&mut first).unwrap();
    outer.write_all(b" and its end").unwrap();
    drop(outer);
    let mut said = String::new();
    inner.read_to_string(&mut said).unwrap();
    assert_eq!((&first, said.as_str()), (b"an answer", " and its end"));
    comes_to(&net, (1, 0, 10, 21), |count| (count.connections, count.failed, count.sent, count.received));
}

#[test]
fn a_slow_reader_gets_all_of_it_and_holds_nobody_else_up() {
    const LENGTH: usize = 32 << 20;
    let server = listen();
    let net = net(&server, here, |_, _| None);
    let (mut slow, outer) = connected(&server, &net);
    let writer = thread::spawn(move || {
        let piece: Vec<u8> = (0..1 << 20).map(|number: u32| (number % 251) as u8).collect();
        let mut outer = outer;
        (0..LENGTH / piece.len()).for_each(|_| outer.write_all(&piece).unwrap());
    });
    let (mut other, mut theirs) = connected(&server, &net);
    for _ in 0..100 {
        other.write_all(b"ping").unwrap();
        let mut ping = [0; 4];
        theirs.read_exact(&mut ping).unwrap();
    }
    thread::sleep(Duration::from_millis(300));
    assert!(!writer.is_finished(), "somebody has taken what nobody read");
    let mut all = Vec::new();
    slow.read_to_end(&mut all).unwrap();
    writer.join().unwrap();
    assert_eq!(all.len(), LENGTH);
    assert!(
        all.chunks(1 << 20).all(|piece| piece.iter().enumerate().all(|(place, byte)| *byte == (place % 251) as u8))
    );
}

#[test]
fn an_urgent_byte_goes_over_where_it_stands_and_all_that_is_behind_it() {
    const BEHIND: usize = 300_000;
    let server = listen();
    let net = net(&server, here, |_, _| None);
    let (inner, outer) = connected(&server, &net);
    for (mut from, mut to) in [(&inner, &outer), (&outer, &inner)] {
        let mut all = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                for word in ["one", "two", "three"] {
                    from.write_all(word.as_bytes()).unwrap();
                    send(from, b"!", SendFlags::OOB).unwrap();
                    // One at a time: the kernel knows a single mark.
                    thread::sleep(Duration::from_millis(50));
                }
                from.write_all(&[b'.'; BEHIND]).unwrap();
                send(from, b"!", SendFlags::OOB).unwrap();
                // The end comes while the mark is still to be passed.
                from.shutdown(Shutdown::Write).unwrap();
            });
            to.read_to_end(&mut all).unwrap();
        });
        let (words, behind) = all.split_at(14);
        assert_eq!(words, b"one!two!three!");
        assert_eq!((behind.len(), behind.last()), (BEHIND + 1, Some(&b'!')));
    }
    comes_to(&net, (BEHIND as u64 + 15, BEHIND as u64 + 15), |count| (count.sent, count.received));
}

#[test]
fn a_reset_is_a_reset_on_the_other_side() {
    let server = listen();
    let net = net(&server, here, |_, _| None);
    for inner_breaks in [true, false] {
        let (mut inner, mut outer) = connected(&server, &net);
        // That both are moving.
        inner.write_all(b"x").unwrap();
        outer.read_exact(&mut [0]).unwrap();
        let (broken, left) = if inner_breaks { (inner, outer) } else { (outer, inner) };
        set_socket_linger(&broken, Some(Duration::ZERO)).unwrap();
        drop(broken);
        assert!(is_reset(left), "inner breaks: {inner_breaks}");
    }
}

#[test]
fn what_came_before_a_reset_still_arrives() {
    const LENGTH: usize = 20_000;
    let server = listen();
    let net = net(&server, here, |_, _| None);
    for round in 0..50 {
        let (mut inner, mut outer) = connected(&server, &net);
        inner.write_all(b"x").unwrap();
        outer.read_exact(&mut [0]).unwrap();
        let (mut broken, mut left) = if round % 2 == 0 { (inner, outer) } else { (outer, inner) };
        broken.write_all(&[7; LENGTH]).unwrap();
        set_socket_linger(&broken, Some(Duration::ZERO)).unwrap();
        drop(broken);
        left.read_exact(&mut [0; LENGTH]).unwrap();
        assert!(is_reset(left), "round {round}");
    }
}

#[test]
fn a_name_that_leads_nowhere_or_where_it_may_not_is_reset_and_noted() {
    let server = listen();
    let refused = net(&server, here, |_, _| Some(Special::Loopback));
    assert!(is_reset(TcpStream::connect(refused.slot).unwrap()));
    let refusals = refused.seat.tally().refusals();
    assert_eq!(refusals.len(), 2, "each address by itself: {refusals:?}");
    assert!(refusals.iter().all(|it| it.why == Why::Address && it.name == NAME));
    let unknown = net(&server, |_| Err(ErrorKind::NotFound.into()), |_, _| None);
    assert!(is_reset(TcpStream::connect(unknown.slot).unwrap()));
    assert_eq!(unknown.seat.tally().refusals()[0].why, Why::Unresolved);
    let nobody = net(&server, |_| Ok(vec![Ipv4Addr::new(127, 0, 0, 9).into()]), |_, _| None);
    assert!(is_reset(TcpStream::connect(nobody.slot).unwrap()));
    comes_to(&nobody, 1, |count| count.failed);
    let refusals = nobody.seat.tally().refusals();
    assert_eq!(refusals.iter().map(|it| (it.name.as_str(), it.why)).collect::<Vec<_>>(), [(NAME, Why::Unreachable)]);
}

#[test]
fn what_was_sent_before_the_end_still_arrives() {
    const LENGTH: usize = 1 << 20;
    let server = listen();
    let net = net(&server, here, |_, _| None);
    let (mut inner, mut outer) = connected(&server, &net);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        outer.read_to_end(&mut all).map(|_| all.len())
    });
    inner.write_all(&vec![7; LENGTH]).unwrap();
    drop(inner);
    net.seat.leave();
    assert_eq!(reader.join().unwrap().unwrap(), LENGTH);
}

#[test]
fn nothing_of_it_is_open_when_it_is_left() {
    let server = listen();
    let net = net(&server, here, |_, _| None);
    let (mut inner, outer) = connected(&server, &net);
    let (slot, questions) = (net.slot, net.questions);
    let begun = Instant::now();
    net.seat.leave();
    assert!(begun.elapsed() < DRAIN * 2, "{:?}", begun.elapsed());
    assert!(inner.read(&mut [0]).map_or(true, |length| length == 0));
    drop(outer);
    for closed in [slot, questions] {
        assert_eq!(TcpStream::connect(closed).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

#[test]
fn names_are_answered_by_udp_and_tcp_from_the_address_that_was_asked() {
    let server = listen();
    let net = net(&server, here, |_, _| None);
    for (name, code) in [(NAME, 0), ("SERVER.example", 0), ("other.example", 3)] {
        let mut udp = [0; 512];
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Connected, so an answer from elsewhere would not be taken.
        socket.connect((Ipv4Addr::new(127, 7, 7, 7), net.datagrams.port())).unwrap();
        socket.send(&question(name)).unwrap();
        let length = socket.recv(&mut udp).unwrap();
        let mut stream = TcpStream::connect(net.questions).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let question = question(name);
        let framed = [&(question.len() as u16).to_be_bytes()[..], &question].concat();
        // Two at once, in pieces.
        let both = [framed.clone(), framed].concat();
        both.chunks(7).for_each(|piece| stream.write_all(piece).unwrap());
        for _ in 0..2 {
            let mut head = [0; 2];
            stream.read_exact(&mut head).unwrap();
            let mut tcp = vec![0; usize::from(u16::from_be_bytes(head))];
            stream.read_exact(&mut tcp).unwrap();
            assert_eq!(tcp, udp[..length]);
            assert_eq!(tcp[3] & 15, code, "{name}");
        }
    }
    let refusals = net.seat.tally().refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!((refusals[0].name.as_str(), refusals[0].why, refusals[0].times), ("other.example", Why::NotAllowed, 3));
}

#[test]
fn a_question_for_the_root_is_told_by_a_name_that_can_be_read() {
    let net = net(&listen(), here, |_, _| None);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
        .send_to(&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1], (Ipv4Addr::LOCALHOST, net.datagrams.port()))
        .unwrap();
    socket.recv(&mut [0; 512]).unwrap();
    assert_eq!(net.seat.tally().refusals()[0].name, ".");
}

#[test]
fn refused_ports_of_one_address_are_told_together() {
    let server = listen();
    let refused = net(&server, |_| Ok(vec![Ipv4Addr::LOCALHOST.into()]), |_, _| Some(Special::Private));
    assert!(is_reset(TcpStream::connect(refused.slot).unwrap()));
    let port = server.local_addr().unwrap().port();
    assert_eq!(refused.seat.tally().refusals()[0].ports, crate::Ports::one(port));
}

/// A listener outside whose connections go to this port of the loopback, by these sockets.
fn published(port: u16, inward: Vec<OwnedFd>) -> (Seat, SocketAddr) {
    let mut allow = Allow::nothing();
    allow.enter(true);
    let listener = listen();
    let place = listener.local_addr().unwrap();
    let inward = inward.into_iter().map(|socket| (Kind::Inward, socket));
    let sockets = inward.chain([(Kind::Published(port), listener.into())]).collect();
    let mut seat = Seat::take().unwrap();
    seat.begin_with(allow, false, sockets, here, |_, _| None);
    (seat, place)
}

fn unbound() -> OwnedFd {
    rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()
}

#[test]
fn whoever_finds_all_sockets_taken_waits_until_one_is_free() {
    let server = listen();
    let (seat, place) = published(server.local_addr().unwrap().port(), vec![unbound(), unbound()]);
    let connect = || {
        let client = TcpStream::connect(place).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    };
    let [first, _second] = [(); 2].map(|()| (connect(), server.accept().unwrap().0));
    let mut third = connect();
    third.write_all(b"x").unwrap();
    server.set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "there are two");
    drop(first);
    let started = Instant::now();
    let mut came = loop {
        match server.accept() {
            Ok((came, _)) => break came,
            Err(_) => assert!(started.elapsed() < Duration::from_secs(20)),
        }
        thread::sleep(Duration::from_millis(5));
    };
    came.set_nonblocking(false).unwrap();
    came.write_all(b"y").unwrap();
    let mut both = [[0], [0]];
    came.read_exact(&mut both[0]).unwrap();
    third.read_exact(&mut both[1]).unwrap();
    assert_eq!(both, [*b"x", *b"y"]);
    assert_eq!(seat.tally().refusals(), [], "nobody was refused");
}

#[test]
fn a_socket_that_is_its_own_peer_is_nobody_that_was_reached() {
    let own = unbound();
    bind(&own, &SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
    let port = SocketAddr::try_from(getsockname(&own).unwrap()).unwrap().port();
    let (_seat, place) = published(port, vec![own]);
    let mut client = TcpStream::connect(place).unwrap();
    // It may be reset already, which is told once.
    assert!(client.write_all(b"does it come back?").is_err() || is_reset(client));
}

/// How many descriptors this process has of a socket.
fn descriptors_of(socket: &impl AsRawFd) -> usize {
    let link = |fd: String| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let this = link(socket.as_raw_fd().to_string()).unwrap();
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter(|entry| link(entry.file_name().into_string().unwrap()).as_ref() == Some(&this)).count()
}

#[test]
fn a_listener_that_somebody_has_ended_is_closed_and_not_looked_at_over_and_over() {
    let (allow, slot) = (Allow::nothing(), listen());
    let kept = slot.try_clone().unwrap();
    let mut seat = Seat::take().unwrap();
    let kind = Kind::Name(NAME.parse().unwrap(), 443);
    seat.begin_with(allow, false, vec![(kind, slot.into())], here, |_, _| None);
    assert_eq!(descriptors_of(&kept), 2);
    // As by SOCK_DESTROY of sock_diag(7): epoll says that it hung up, for ever, and accept(2) that it does not listen.
    rustix::net::shutdown(&kept, rustix::net::Shutdown::Both).unwrap();
    let started = Instant::now();
    while descriptors_of(&kept) > 1 {
        assert!(started.elapsed() < Duration::from_secs(10), "it is still open");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn many_at_once_are_carried_by_one_thread() {
    let server = listen();
    let net = net(&server, here, |_, _| None);
    let pairs: Vec<_> = (0..100).map(|_| connected(&server, &net)).collect();
    let before = std::fs::read_dir("/proc/self/task").unwrap().count();
    for (number, (inner, _)) in pairs.iter().enumerate() {
        let mut inner = inner;
        inner.write_all(&[number as u8]).unwrap();
    }
    let mut seen: Vec<u8> = pairs
        .iter()
        .map(|(_, outer)| {
            let mut outer = outer;
            let mut byte = [0];
            outer.read_exact(&mut byte).unwrap();
            byte[0]
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<u8>>());
    assert!(std::fs::read_dir("/proc/self/task").unwrap().count() <= before + 16);
    comes_to(&net, 100, |count| count.connections);
}

/// A slot for datagrams, that leads to this server by its name.
fn slot_for(server: &UdpSocket, lookup: Lookup, judge: Judge) -> (Seat, UdpSocket) {
    let port = server.local_addr().unwrap().port();
    let (mut allow, name) = (Allow::nothing(), TIME.parse().unwrap());
    allow.add(&format!("{TIME}:udp/{port}").parse().unwrap()).unwrap();
    let slot = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (level, packet_info) = option::PACKET_INFO;
    set_option(Fd(slot.as_raw_fd()), level, packet_info, 1).unwrap();
    let (mut seat, kept) = (Seat::take().unwrap(), slot.try_clone().unwrap());
    seat.begin_with(allow, false, vec![(Kind::Flows(name, port), slot.into())], lookup, judge);
    (seat, kept)
}

fn datagrams() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn localhost(_: &str) -> io::Result<Vec<IpAddr>> {
    Ok(vec![Ipv4Addr::LOCALHOST.into()])
}

#[test]
fn datagrams_go_to_the_name_and_answers_of_it_alone_come_back() {
    let server = datagrams();
    let (seat, slot) = slot_for(&server, localhost, |_, _| None);
    let slot = slot.local_addr().unwrap();
    let (one, other) = (datagrams(), datagrams());
    let mut buffer = [0; 70_000];
    let mut outside = Vec::new();
    let long = vec![7; 40_000];
    for (inside, bytes) in [(&one, &b"first"[..]), (&other, &long[..]), (&one, b"second"), (&one, b"")] {
        inside.send_to(bytes, slot).unwrap();
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], bytes);
        // Somebody else's answer does not come in, and the server's own does, from the slot.
        datagrams().send_to(b"forged", from).unwrap();
        server.send_to(bytes, from).unwrap();
        let (length, by) = inside.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], by), (bytes, slot));
        outside.push(from);
    }
    assert_eq!((outside[0], outside[0]), (outside[2], outside[3]), "one socket outside for one inside");
    assert_ne!(outside[0], outside[1]);
    let counts = seat.tally().counts();
    let (connections, sent) = (counts[0].1.connections, counts[0].1.sent);
    assert_eq!((connections, counts[0].1.failed, sent), (2, 0, 40_011));
}

#[test]
fn datagrams_to_a_name_at_an_address_that_is_not_public_go_nowhere() {
    let server = datagrams();
    let (seat, slot) = slot_for(&server, localhost, dial::judge);
    datagrams().send_to(b"lost", slot.local_addr().unwrap()).unwrap();
    let started = Instant::now();
    while seat.tally().refusals().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(5));
    }
    let refusals = seat.tally().refusals();
    assert_eq!((refusals[0].name.as_str(), refusals[0].why), (TIME, Why::Address));
    server.set_nonblocking(true).unwrap();
    assert_eq!(server.recv_from(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn what_was_sent_last_goes_out_after_the_namespaces_end() {
    let server = datagrams();
    let slow: Lookup = |_| {
        thread::sleep(Duration::from_millis(200));
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    };
    let (seat, slot) = slot_for(&server, slow, |_, _| None);
    datagrams().send_to(b"farewell", slot.local_addr().unwrap()).unwrap();
    thread::sleep(Duration::from_millis(50));
    seat.leave();
    let mut buffer = [0; 64];
    let (length, _) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"farewell");
}

#[test]
fn whoever_sends_from_ever_new_sockets_takes_no_more_than_its_share() {
    let server = datagrams();
    let (seat, slot) = slot_for(&server, localhost, |_, _| None);
    let slot = slot.local_addr().unwrap();
    let mut buffer = [0; 64];
    for number in 0_u32..1200 {
        datagrams().send_to(&number.to_ne_bytes(), slot).unwrap();
        let (length, _) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[..length], number.to_ne_bytes());
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 1200, "{open}");
    // A source that comes again is the same one.
    let connections = seat.tally().counts()[0].1.connections;
    assert!((1025..=1200).contains(&connections), "{connections}");
}

/// A server that nobody has a thread for, with one slot whose name is never found.
fn at_rest() -> (serve::Server, u64, UdpSocket) {
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let shared = Arc::new(Shared { epoll, bell, orders: Mutex::default() });
    let mut server = serve::Server::new(shared, Resolver::new().unwrap()).unwrap();
    let slow: Lookup = |_| {
        thread::sleep(Duration::from_secs(2));
        Ok(Vec::new())
    };
    let (mut allow, name) = (Allow::nothing(), NAME.parse().unwrap());
    allow.add(&format!("{NAME}:udp/123").parse().unwrap()).unwrap();
    let slot = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (level, packet_info) = option::PACKET_INFO;
    set_option(Fd(slot.as_raw_fd()), level, packet_info, 1).unwrap();
    let kept = slot.try_clone().unwrap();
    let sockets = vec![(Kind::Flows(name, 123), slot.into())];
    let opened = Opened { allow, ipv6: false, sockets, tally: Arc::default(), lookup: slow, judge: |_, _| None };
    server.begin(1, opened);
    let key = *server.sockets.keys().next().unwrap();
    (server, key, kept)
}

#[test]
fn ever_new_senders_of_datagrams_leave_nothing_behind_with_the_relay() {
    let (mut server, key, slot) = at_rest();
    let mut senders = VecDeque::new();
    for number in 0_usize..3000 {
        let sender = datagrams();
        // One is heard of all along.
        let first: &UdpSocket = senders.front().unwrap_or(&sender);
        first.send_to(b"again", slot.local_addr().unwrap()).unwrap();
        sender.send_to(&vec![0; 60_000], slot.local_addr().unwrap()).unwrap();
        server.take_datagrams(key);
        senders.push_back(sender);
        if senders.len() > 100 {
            senders.remove(1 + number % 50);
        }
    }
    assert_eq!((server.flows.len(), server.timers.len()), (1024, 1024));
    let waiting = server.tenants[&1].waiting;
    assert!(waiting <= 4 << 20, "{waiting}");
    server.close_flows(1, true);
    assert_eq!((server.flows.len(), server.timers.len(), server.tenants[&1].waiting), (0, 0, 0));
    assert!(server.tenants[&1].flows.is_empty());
}

#[test]
fn without_a_socket_that_sees_what_is_refused_it_is_said_that_nothing_is_told_of_that() {
    let began = |sockets| {
        let mut seat = Seat::take().unwrap();
        seat.begin_with(Allow::nothing(), false, sockets, here, |_, _| None);
        let tally = seat.tally();
        seat.leave();
        tally.is_deaf()
    };
    let in_its_place = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(began(vec![(Kind::Refused { ipv6: false }, in_its_place.into())]));
    assert!(!began(Vec::new()));
}
