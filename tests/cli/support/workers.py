"""workers.py URI TEST WORDS...: clients for workers.sh, each with a port of its
own, by the bytes of RFC 7252; what is not as it should be is an AssertionError."""

import os
import select
import signal
import socket
import sys
import time
import urllib.parse

where = urllib.parse.urlsplit(sys.argv[1])
place = (where.hostname, where.port)
GET, POST, PUT = 1, 2, 3
LIMIT = 30  # seconds: for a machine that is busy


class Client:
    """One source port. A request is sent again each second until it is answered."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(place)
        # Ports come again soon; a repeat of another request is not meant.
        self.mid = int.from_bytes(os.urandom(2), "big")

    def send(self, datagram):
        self.socket.send(datagram)

    def receive(self, seconds):
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        return self.socket.recv(2048)

    def request(self, code, path, payload=b"", options=(), token=b"t"):
        self.mid = (self.mid + 1) & 0xFFFF
        all_options = sorted([*options, *((11, part.encode()) for part in path.split("/")[1:])],
                             key=lambda o: o[0])
        out, last = bytearray([0x40 | len(token), code, self.mid >> 8, self.mid & 255]) + token, 0
        for number, value in all_options:
            delta = number - last
            assert delta < 269 and len(value) < 13
            out += bytes([min(delta, 13) << 4 | len(value), delta - 13][: 1 + (delta > 12)]) + value
            last = number
        return bytes(out) + (b"\xff" + payload if payload else b"")

    def ask(self, *request, sends=LIMIT, **options):
        datagram = self.request(*request, **options)
        for _ in range(sends):
            self.send(datagram)
            end = time.monotonic() + LIMIT / sends
            while (left := end - time.monotonic()) > 0:
                got = self.receive(left)
                if got and got[1] != 0 and got[2:4] == datagram[2:4]:
                    return got[1], payload_of(got)
        raise AssertionError(f"no answer to {request}")

    def observe(self, path):
        code, text = self.ask(GET, path, options=[(6, b"")], token=b"o")
        assert code == 69, code
        return text

    def notification(self):
        """The next one: code, payload. Acknowledged, if it wants to be."""
        end = time.monotonic() + LIMIT
        while (left := end - time.monotonic()) > 0:
            got = self.receive(left)
            if got and got[1] != 0 and got[4:5] == b"o":
                if got[0] >> 4 == 4:
                    self.send(b"\x60\0" + got[2:4])
                return got[1], payload_of(got)
        raise AssertionError("no notification")


def payload_of(datagram):
    i, n = 4 + (datagram[0] & 15), len(datagram)
    while i < n and datagram[i] != 0xFF:
        delta, length = datagram[i] >> 4, datagram[i] & 15
        i += 1
        i += {13: 1, 14: 2}.get(delta, 0)
        if length == 13:
            length, i = datagram[i] + 13, i + 1
        i += length
    return datagram[i + 1 :].decode()


def clients_of_all(count=3):
    """A client of each worker, by its number."""
    found = {}
    for _ in range(200):
        client = Client()
        found.setdefault(client.ask(GET, "/who")[1], client)
        if len(found) == count:
            return found
    raise AssertionError(f"200 clients see only {found.keys()}")


def spread(count):
    """Of 200 source ports each worker has some."""
    answers = [Client().ask(GET, "/who")[1] for _ in range(200)]
    shares = {who: answers.count(who) for who in answers}
    assert len(shares) == int(count), shares
    # Were they drawn at random, one in 10^12 runs would have one with less.
    assert min(shares.values()) > 200 / int(count) / 3, shares


def repeats():
    """A worker knows what it answered: sent again, it gives the same answer."""
    for i in range(20):
        client, name = Client(), f"{os.getpid()}.{i}".encode()
        datagram = client.request(POST, "/seen", name)
        answers = set()
        for _ in range(5):
            client.send(datagram)
            answers.add(client.receive(LIMIT))
        assert len(answers) == 1, answers
        answer = answers.pop()
        assert payload_of(answer) == "1", answer


def blocks():
    """All blocks of a body go to one worker, from whatever port."""
    for _ in range(20):
        client = Client()
        for num in range(8):
            last = num == 7
            code, text = client.ask(PUT, "/size", b"x" * 16,
                                    options=[(27, bytes([num << 4 | (0 if last else 8)]))])
            assert code == (68 if last else 95), (num, code)
        assert text == "128", text


def observers(count, value):
    """What is changed by a client of one worker, those of all hear of."""
    watching = list(clients_of_all().values()) + [Client() for _ in range(int(count))]
    for client in watching:
        client.observe("/v")
    assert Client().ask(PUT, "/v", value.encode())[0] == 68
    for client in watching:
        while (got := client.notification()) != (69, value):
            assert got[0] == 69, got


def death():
    """One worker ends: its clients wait for a moment, the others do not."""
    clients = clients_of_all()
    victim = clients.pop("2")
    victim.send(victim.request(POST, "/die"))
    for _ in range(100):
        for who, client in clients.items():
            assert client.ask(GET, "/who", sends=1)[1] == who
        time.sleep(0.005)
    assert victim.ask(GET, "/who")[1] == "2"


def standstill(pid):
    """One process stands still: the others, and whoever notifies, do not."""
    os.kill(int(pid), signal.SIGSTOP)
    try:
        going, still = {}, []
        for client in [Client() for _ in range(40)]:
            client.send(client.request(GET, "/who"))
            got = client.receive(0.5 if len(going) < 2 or not still else 0.05)
            if got:
                going[payload_of(got)] = client
            else:
                still.append(client)
        assert len(going) == 2 and still, going
        for client in going.values():
            client.observe("/v")
        first = next(iter(going.values()))
        assert first.ask(POST, "/burst") == (68, "done")
        assert first.ask(PUT, "/v", b"fourth")[0] == 68
        for client in going.values():
            while client.notification() != (69, "fourth"):
                pass
    finally:
        os.kill(int(pid), signal.SIGCONT)
    watching = still[0]
    watching.ask(GET, "/who")
    watching.observe("/v")
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:  # it has thousands of notifications to work off
        assert first.ask(PUT, "/v", b"fifth")[0] == 68
        if watching.notification() == (69, "fifth"):
            return
    raise AssertionError("it hears nothing any more")


def note():
    """Of the examples: who changes the note tells the observers of all."""
    watching = [Client() for _ in range(20)]
    for client in watching:
        assert client.observe("/note") == "nothing yet"
    assert Client().ask(PUT, "/note", b"milk")[0] == 68
    for client in watching:
        assert client.notification() == (69, "milk")


def renewal(pid):
    """While each is started anew, requests are neither refused nor lost: none
    has to be sent again within the 10 s that a slow machine may take."""
    clients = clients_of_all()
    owed = clients["2"]
    owed_request = owed.request(GET, "/slow", token=b"s")
    watching = {who: Client() for who in clients}
    watching = {c.ask(GET, "/who")[1]: c for c in watching.values()}
    for client in watching.values():
        client.observe("/v")
    os.kill(int(pid), signal.SIGHUP)
    owed.send(owed_request)
    end, seen = time.monotonic() + LIMIT, dict.fromkeys(clients, "1")
    asked = 0
    while set(seen.values()) != {"2"}:
        assert time.monotonic() < end, seen
        for who, client in clients.items():
            if client is owed:
                continue  # it waits for its slow answer
            datagram = client.request(GET, "/generation")
            client.send(datagram)
            got = client.receive(10)
            assert got is not None, "a request was lost"
            assert got[1] == 69, f"{got[1] >> 5}.{got[1] & 31:02}"
            seen[who], asked = payload_of(got), asked + 1
        if owed and (got := owed.receive(0)) and got[1] != 0:
            assert (got[1], payload_of(got)) == (69, "worth the wait"), got
            if got[0] >> 4 == 4:
                owed.send(b"\x60\0" + got[2:4])
            owed = None
    assert asked > 10
    for client in watching.values():
        assert client.notification() == (163, ""), "observers are told 5.03"


def generation(number):
    for client in clients_of_all().values():
        assert client.ask(GET, "/generation")[1] == number


def farewell(pid):
    watching = clients_of_all()
    for client in watching.values():
        client.observe("/v")
    owed = Client()
    owed.send(owed.request(GET, "/slow", token=b"s"))
    time.sleep(0.1)
    os.kill(int(pid), signal.SIGTERM)
    for client in watching.values():
        assert client.notification() == (163, "")
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        got = owed.receive(1)
        if got and got[1] != 0:
            assert got[1] in (69, 163), got
            return
    raise AssertionError("what is owed is not answered")


globals()[sys.argv[2]](*sys.argv[3:])
