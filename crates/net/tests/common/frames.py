"""Raw frames, honest and not: `frames.py send NAME… -- MAC IP IP6 OTHER-MAC OTHER-IP OTHER-IP6 GATEWAY GATEWAY6` sends them over
eth0, `frames.py pieces …` each as two fragments, of every split that there is, `frames.py hear LINK` says the names of those that come in over a link until its input ends."""
import ipaddress, select, socket, struct, sys

def mac(text): return bytes.fromhex(text.replace(":", ""))
def ip(text): return ipaddress.ip_address(text).packed
def local(mac): return b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data)) if len(data) % 2 == 0 else None
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

ALL, ROUTERS = b"\xff\x02" + bytes(13) + b"\x01", b"\xff\x02" + bytes(13) + b"\x02"
EVERYBODY, EVERYBODY6 = b"\xff" * 6, b"\x33\x33\0\0\0\x01"

def frame(source, kind, payload, to=EVERYBODY): return to + source + struct.pack("!H", kind) + payload
def v4(source, to, protocol, data):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 7, 0, 64, protocol, 0, source, to)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data
def v6(source, to, protocol, data, hops=255):
    return struct.pack("!IHBB16s16s", 6 << 28, len(data), protocol, hops, source, to) + data
def udp(source, to): return struct.pack("!HHHH", source, to, 12, 0) + b"data"
def icmp6(source, to, kind, body, number=0):
    data = struct.pack("!BBH", kind, number, 0) + body
    pseudo = source + to + struct.pack("!II", len(data), 58)
    return data[:2] + struct.pack("!H", checksum(pseudo + data)) + data[4:]
def pieces(whole):
    """Where it is cut, the first and the rest."""
    kind, packet = struct.unpack("!H", whole[12:14])[0], whole[14:]
    if kind == 0x0800:
        def piece(data, field):
            head = packet[:2] + struct.pack("!HHHBBH", 20 + len(data), 7, field, 64, packet[9], 0) + packet[12:20]
            return whole[:14] + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data
        for cut in range(8, len(packet) - 20, 8):
            yield cut, piece(packet[20:20 + cut], 0x2000), piece(packet[20 + cut:], cut // 8)
    elif kind == 0x86dd and packet[6] != 44:
        def piece(data, field):
            head = packet[:4] + struct.pack("!HBB", 8 + len(data), 44, packet[7]) + packet[8:40]
            return whole[:14] + head + struct.pack("!BBHI", packet[6], 0, field, 7) + data
        for cut in range(8, len(packet) - 40, 8):
            yield cut, piece(packet[40:40 + cut], 1), piece(packet[40 + cut:], cut)
def arp(operation, source_mac, source, to_mac, to, head=b"\0\x01\x08\0\x06\x04"):
    return head + struct.pack("!H", operation) + source_mac + source + to_mac + to

def frames(m, a, a6, om, oa, oa6, gw, gw6):
    nobody = bytes(6)
    link, other_link = local(m), local(om)
    def discover(source, to, kind, body): return frame(m, 0x86dd, v6(source, to, 58, icmp6(source, to, kind, body)), EVERYBODY6)
    def told(target, option): return b"\x20\0\0\0" + target + option
    own, others = b"\x02\x01" + m, b"\x02\x01" + om
    asked, asked_others = b"\x01\x01" + m, b"\x01\x01" + om
    router = struct.pack("!BBHII", 64, 0, 1800, 0, 0)
    prefix = b"\x03\x04\x40\xc0" + struct.pack("!III", 1800, 1800, 0) + b"\x20\x01\x0d\xb8" + bytes(12)
    redirect = icmp6(link, ALL, 137, bytes(4) + oa6 + a6)
    hops = b"\x3a\0\x05\x02\0\0\x01\0"
    report = b"\0\0\0\x01" + b"\x04\0\0\0" + ALL[:15] + b"\x42"
    def error(kind, about): return frame(m, 0x0800, v4(a, oa, 1, struct.pack("!BBHI", kind, 3, 0, 0) + v4(gw, about, 17, udp(9, 9))))
    def error6(kind, about): return frame(m, 0x86dd, v6(a6, ALL, 58, icmp6(a6, ALL, kind, bytes(4) + v6(gw6, about, 17, udp(9, 9)))), EVERYBODY6)
    others_errors = {f"error {kind} about another's": error(kind, oa) for kind in (3, 4, 11, 12)}
    others_errors |= {f"error6 {kind} about another's": error6(kind, oa6) for kind in (1, 2, 3, 4)}
    return others_errors | {
        # honest
        "udp": frame(m, 0x0800, v4(a, b"\xff" * 4, 17, udp(9, 9))),
        "arp request": frame(m, 0x0806, arp(1, m, a, nobody, oa)),
        "arp reply": frame(m, 0x0806, arp(2, m, a, om, oa)),
        "error about its own": error(3, a),
        "error6 about its own": error6(1, a6),
        "later fragment": frame(m, 0x86dd, v6(a6, ALL, 44, b"\x11\0\0\x08\0\0\0\x07" + bytes(8)), EVERYBODY6),
        "udp6": frame(m, 0x86dd, v6(a6, ALL, 17, udp(9, 9)), EVERYBODY6),
        "solicitation": discover(a6, ALL, 135, bytes(4) + oa6 + asked),
        "solicitation of the link": discover(link, ALL, 135, bytes(4) + oa6 + asked),
        "advertisement": discover(a6, ALL, 136, told(a6, own)),
        "bare advertisement": discover(a6, ALL, 136, told(a6, b"")),
        "advertisement of the link": discover(link, ALL, 136, told(link, own)),
        "listener report": frame(m, 0x86dd, v6(link, ALL, 0, hops + icmp6(link, ALL, 143, report)), EVERYBODY6),
        # not
        "udp, other mac": frame(om, 0x0800, v4(a, b"\xff" * 4, 17, udp(9, 9))),
        "udp, other address": frame(m, 0x0800, v4(oa, b"\xff" * 4, 17, udp(9, 9))),
        "udp, no address": frame(m, 0x0800, v4(bytes(4), b"\xff" * 4, 17, udp(9, 9))),
        "arp, other frame": frame(om, 0x0806, arp(2, m, a, om, oa)),
        "arp, other mac": frame(m, 0x0806, arp(2, om, a, om, oa)),
        "arp, other address": frame(m, 0x0806, arp(2, m, oa, om, oa)),
        "arp, gateway": frame(m, 0x0806, arp(1, m, gw, nobody, oa)),
        "arp, odd": frame(m, 0x0806, arp(2, m, oa, om, oa, b"\0\x06\x08\0\x06\x04")),
        "icmp redirect": frame(m, 0x0800, v4(a, oa, 1, struct.pack("!BBH4s", 5, 1, 0, a) + v4(oa, gw, 17, udp(9, 9)))),
        "dhcp": frame(m, 0x0800, v4(a, b"\xff" * 4, 17, udp(67, 68))),
        "dhcp6": frame(m, 0x86dd, v6(a6, ALL, 17, udp(547, 546)), EVERYBODY6),
        "udp6, other mac": frame(om, 0x86dd, v6(a6, ALL, 17, udp(9, 9)), EVERYBODY6),
        "udp6, other address": frame(m, 0x86dd, v6(oa6, ALL, 17, udp(9, 9)), EVERYBODY6),
        "udp6, no address": frame(m, 0x86dd, v6(bytes(16), ALL, 17, udp(9, 9)), EVERYBODY6),
        "udp6 of the link": frame(m, 0x86dd, v6(link, ALL, 17, udp(9, 9)), EVERYBODY6),
        "udp6 to a link-local address": frame(m, 0x86dd, v6(a6, other_link, 17, udp(9, 9)), EVERYBODY6),
        "router solicitation": discover(link, ROUTERS, 133, bytes(4) + asked),
        "router advertisement": discover(link, ALL, 134, router + prefix),
        "router advertisement, other address": discover(other_link, ALL, 134, router + prefix),
        "router advertisement, global address": discover(a6, ALL, 134, router + prefix),
        "router advertisement behind options": frame(m, 0x86dd,
            v6(link, ALL, 60, b"\x3a\0\x01\x04\0\0\0\0" + icmp6(link, ALL, 134, router + prefix)), EVERYBODY6),
        "redirect": frame(m, 0x86dd, v6(link, ALL, 58, redirect), EVERYBODY6),
        "advertisement, other target": discover(a6, ALL, 136, told(oa6, own)),
        "advertisement, gateway": discover(a6, ALL, 136, told(gw6, own)),
        "advertisement, other target, bare": discover(a6, ALL, 136, told(oa6, b"")),
        "advertisement, other mac": discover(a6, ALL, 136, told(a6, others)),
        "advertisement, two options": discover(a6, ALL, 136, told(a6, own + others)),
        "advertisement behind options": frame(m, 0x86dd,
            v6(a6, ALL, 60, b"\x3a\0\x01\x04\0\0\0\0" + icmp6(a6, ALL, 136, told(oa6, own))), EVERYBODY6),
        "solicitation, other mac": discover(a6, ALL, 135, bytes(4) + oa6 + asked_others),
        "solicitation, other address": discover(oa6, ALL, 135, bytes(4) + gw6 + asked),
        "fragment without its protocol": frame(m, 0x86dd,
            v6(a6, ALL, 44, b"\x3c\0\0\x01\0\0\0\x07" + b"\x3a\x02\x01\x04\0\0\0\0"), EVERYBODY6),
        "options": frame(m, 0x86dd, v6(a6, ALL, 60, b"\x11\0\x01\x04\0\0\0\0" + udp(9, 9)), EVERYBODY6),
        "vlan": frame(m, 0x8100, struct.pack("!HH", 5, 0x0800) + v4(a, b"\xff" * 4, 17, udp(9, 9))),
        "vlan, priority": frame(m, 0x8100, struct.pack("!HH", 0, 0x0800) + v4(a, b"\xff" * 4, 17, udp(9, 9))),
        "vlan, service": frame(m, 0x88a8, struct.pack("!HH", 5, 0x0800) + v4(a, b"\xff" * 4, 17, udp(9, 9))),
        "vlan, twice": frame(m, 0x8100, struct.pack("!HHHH", 0, 0x8100, 0, 0x0800) + v4(a, b"\xff" * 4, 17, udp(9, 9))),
        "rarp": frame(m, 0x8035, arp(4, m, a, m, oa)),
        "lldp": frame(m, 0x88cc, bytes(46)),
        "802.3": frame(m, 40, b"\x42\x42\x03" + bytes(37)),
        "to a bridge's own address": frame(m, 0x0800, v4(a, gw, 17, udp(9, 5000)), b"\x01\x80\xc2\0\0\x05"),
    }

if sys.argv[1] in ("send", "pieces"):
    cut = sys.argv.index("--")
    m, a, a6, om, oa, oa6, gw, gw6 = sys.argv[cut + 1:]
    known = frames(mac(m), ip(a), ip(a6), mac(om), ip(oa), ip(oa6), ip(gw), ip(gw6))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("eth0", 0))
    # An honest one that says that there are no more.
    last = {"last": known["arp request"]}
    if sys.argv[1] == "pieces":
        # What a rule would like to find further on is there as well, behind the end of the packet.
        for name, at, *both in [(name, *parts) for name in sys.argv[2:cut] for parts in pieces(known[name])]:
            own = ip(a6) if both[0][12:14] == b"\x86\xdd" else ip(a)
            for data, which in zip(both, ("first", "rest")):
                wire.send(data + own * 8 + f"<<{name} /{at} {which}>>".encode())
            print(f"{name} /{at}")
        sys.exit()
    for name in sys.argv[2:cut] or known:
        # Behind the end of the packet: as padding it is of no protocol's interest.
        wire.send((known | last)[name] + b"<<" + name.encode() + b">>")
        if not sys.argv[2:cut]: print(name)
else:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    wire.bind((sys.argv[2], 3))
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([wire, sys.stdin], [], [])
        if wire in ready:
            data = wire.recv(4096)
            # The last: an address that ends in 0x3c is one more "<" before it.
            if b"<<" in data: print(data.rsplit(b"<<", 1)[1].split(b">>")[0].decode(), flush=True)
        elif sys.stdin in ready:
            break
