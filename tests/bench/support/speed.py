"""Measures copal against the least that can be: speed.sh says how it is run.

Each row is measured in rounds, copal and the base after one another, every other
round backwards; a round's value is a ratio within that round, and what counts is
the median. Server and generator have a core each. Where requests are asked, a round
goes back and forth between copal and the base several times, and adds up: a machine
that is fast at one moment and slow at the next is so for both.

Beside copal others are measured in every third round: libcoap, if its headers were
there when this was built, aiocoap, node-coap, go-coap and Californium, if the tests
of interop fetched them, and coap-rs, if what they fetched was built with --release.
With peers in --peers FILE, a line "NAME | COMMAND", {port} in it, those are measured,
too, in the rows whose paths they serve: /hello at least.
"""

import argparse
import json
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import time

import speed_report

ROOT = os.environ["COPAL_ROOT"]
BUILD = os.environ["COPAL_BUILD"]
SUPPORT = f"{ROOT}/tests/bench/support"
LOAD = f"{BUILD}/tests/bench/load"
BASE = f"{BUILD}/tests/bench/base {{port}}"
PEER = f"{BUILD}/tests/bench/peer"
COPAL = f"{BUILD}/copal"
PYTHON = sys.executable

C = f"{BUILD}/examples/bench-server {{port}}"
LUA = f"{COPAL} run {SUPPORT}/peer.lua"
PY = f"{PYTHON} {SUPPORT}/peer.py"

SLICES = 4  # of a round

READ = "ask --method PUT --payload 12"
ONCE = "ask --clients {0} --count {0}"
OBSERVE = "observe --path obs --window 64 --clients"


class Row:
    """What is measured: a server under a load and the base under one, or who asks
    and the generator itself. The value is a ratio; without a base, the memory that
    each client took."""

    def __init__(self, name, title, server, load, base=None, base_load=None, *, mark=None, stretch=None, peer="",
                 seconds=None, asks=None, heavy=False, others=()):
        self.name, self.title, self.server, self.load = name, title, server, load
        self.base, self.base_load = base, base_load or load
        self.mark, self.stretch, self.peer = mark, stretch, peer
        self.seconds, self.asks, self.heavy = seconds, asks, heavy
        self.others = others  # who is measured, too
        self.is_sliced = base is not None and not asks and not heavy and load.startswith("ask")


def rows():
    small, large = f"{BASE} 12", f"{BASE} 1024"
    known = "libcoap 2.9 to 3.7"
    lib, slow = ("libcoap",), ("node-coap", "aiocoap")
    c = [
        Row("w1", "C handler, window 1, 256 clients", C, "ask --window 1", small, others=lib),
        Row("w16", "C handler, window 16, 256 clients", C, "ask", small, mark=1.25, stretch=1.12, peer=known,
            others=lib + slow + ("go-coap", "Californium", "coap-rs")),
        Row("w256", "C handler, window 256, 256 clients", C, "ask --window 256", small, mark=1.25, stretch=1.12,
            peer=known, others=lib),
        Row("big", "C handler, answer of 1 KiB, 256 clients", C, "ask --path big", large, mark=1.25, stretch=1.12,
            peer=known, others=lib),
        Row("put", "C handler, PUT of 1 KiB, 256 clients", C, "ask --path sink --method PUT --payload 1024", small,
            mark=1.25, stretch=1.12, peer=known, others=lib),
        Row("non", "C handler, NON, 256 clients", C, "ask --non", small, mark=1.25, stretch=1.12, others=lib),
        Row("10k", "C handler, 10,000 clients", C, "ask --clients 10000", small, mark=1.35, stretch=1.2,
            peer="libcoap 40 to 45", others=lib + slow),
        Row("100k", "C handler, 100,000 clients", C, "ask --clients 100000", small, mark=1.5, stretch=1.3,
            peer="node-coap 20, aiocoap 52", heavy=True),
    ]
    weighed = [
        Row("idle-10k", "memory by the idle client, 10,000", C, ONCE.format(10000), mark=160, stretch=96,
            peer="libcoap 551 to 792 B", others=lib),
        Row("idle-100k", "memory by the idle client, 100,000", C, ONCE.format(100000), mark=160, stretch=96,
            heavy=True),
    ]
    scripts = [
        Row("lua", "Lua handler reading path and payload", f"{LUA} serve read {{port}}", READ, small, mark=1.4,
            stretch=1.25, others=slow),
        Row("python", "Python handler, plain function", f"{PY} serve read {{port}}", READ, small, mark=1.6,
            stretch=1.35, peer="node-coap 19 to 28", others=slow),
        Row("async", "Python handler, async def", f"{PY} serve read-async {{port}}", READ, small, mark=2.0,
            stretch=1.6, peer="aiocoap 46 to 57", others=slow),
    ]
    asks = [
        Row("client", "C client, 16 outstanding", small, "ask --clients 1", mark=1.4, stretch=1.2,
            peer="libcoap 2.4", asks=f"{PEER} ask {{uri}} {{count}}", others=lib),
        Row("lua-client", "Lua client with callbacks", small, "ask --clients 1", mark=1.7, stretch=1.4,
            asks=f"{LUA} ask {{uri}} {{count}} callback"),
        Row("python-client", "Python client with callbacks", small, "ask --clients 1", mark=2.0, stretch=1.6,
            peer="node-coap 30", asks=f"{PY} ask {{uri}} {{count}} callback"),
        Row("await", "Python client with await", small, "ask --clients 1", mark=6.0, stretch=4.0,
            peer="aiocoap 104", asks=f"{PY} ask {{uri}} {{count}} await"),
    ]
    told = []
    for count, title in ((200, "200"), (10000, "10k"), (100000, "100k")):
        for kind, peer in (("non", "libcoap 1.5 at 200"), ("con", "libcoap 2.8 at 200")):
            told.append(Row(
                f"{kind}-{title}", f"one {kind.upper()} notification, {count:,} observers",
                C if kind == "non" else f"env NOTIFY_CON=1 {C}", f"{OBSERVE} {count}",
                f"{BASE} 12 observe{'' if kind == 'non' else '-con'}", mark=1.3, stretch=1.15, peer=peer,
                seconds=6 if kind == "non" else 2, heavy=count > 200, others=lib if count <= 10000 else ()))
    body = [
        Row("body", "1 MiB by Block2, a round trip's CPU time", f"{PEER} serve {{port}}", "body --path body", large,
            "ask --path big --window 1 --clients 1", mark=1.3, stretch=1.1, others=("aiocoap",)),
    ]
    return c + scripts + asks + told + weighed + body


# ---- Others ------------------------------------------------------------------

AIOCOAP = f"{BUILD}/interop-venv/bin/python"
NODE_MODULES = f"{BUILD}/interop-peers/node-coap/node_modules"


def others():
    """Those that are there: (server, who asks or None) of each."""
    found = {}
    if os.access(f"{BUILD}/tests/bench/libcoap", os.X_OK):
        program = f"{BUILD}/tests/bench/libcoap"
        found["libcoap"] = (f"{program} serve {{port}}", f"{program} ask {{uri}} {{count}}")
    if os.access(AIOCOAP, os.X_OK):
        found["aiocoap"] = (f"{AIOCOAP} {SUPPORT}/aiocoap_server.py {{port}}", None)
    if os.path.isdir(f"{NODE_MODULES}/coap") and shutil.which("node"):
        found["node-coap"] = (f"env NODE_PATH={NODE_MODULES} node {SUPPORT}/node_server.js {{port}}", None)
    # The servers of the tests of interop have no /hello, but /etag, which is as
    # short; what is compiled while it runs needs a while for that.
    made = f"{BUILD}/interop-peers"
    for name, program, command in (
            ("go-coap", f"{made}/go-coap/peer", f"{made}/go-coap/peer"),
            ("Californium", f"{made}/californium/Peer.class",
             f"java -cp {made}/californium:{made}/californium/lib/* Peer"),
            ("coap-rs", f"{made}/coap-rs/target/release/peer", f"{made}/coap-rs/target/release/peer")):
        if os.path.exists(program) and shutil.which(command.split()[0]):
            found[name] = (f"{command} serve {__file__}", None)
    return found


def as_other(row, server, asks):
    """The same row, of somebody else."""
    con = "env NOTIFY_CON=1 " if "NOTIFY_CON" in row.server else ""
    load = row.load if "{port}" in server else f"{row.load} --path etag --warm-up 3"
    return Row(row.name, row.title, row.server if row.asks else con + server, load, row.base, row.base_load,
               asks=asks if row.asks else None, seconds=row.seconds)


# ---- Processes ---------------------------------------------------------------


def cores():
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


SERVER_CORE, LOAD_CORE = cores()


def pinned(core):
    return (lambda: os.sched_setaffinity(0, {core})) if core is not None else None


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    """Does anybody? An empty CON is answered by a Reset, or a request by anything."""
    ping = b"\x40\x01" + os.urandom(2) + b"\xb5hello"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.1)
        s.connect(("127.0.0.1", port))
        try:
            s.send(ping)
            return len(s.recv(2048)) >= 4
        except OSError:
            time.sleep(0.05)
            return False


class Server:
    """Its command takes {port}, or says which it took: listening on coap://127.0.0.1:PORT"""

    def __init__(self, command):
        says = "{port}" not in command
        self.port = free_port()
        argv = shlex.split(command.format(port=self.port))
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE if says else subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=pinned(SERVER_CORE))
        if says:
            self.port = int(self.process.stdout.readline().rsplit(b":", 1)[-1] or 0)
        end = time.monotonic() + 20
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"{command}: does not answer")

    def close(self):
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run(command):
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=120,
                          preexec_fn=pinned(LOAD_CORE))
    if not done.stdout:
        raise RuntimeError(f"{command}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def load_on(server, load, seconds):
    return json.loads(run(f"{LOAD} {server.port} {load} --seconds {seconds} --server {server.process.pid}"))


def under_load(command, load, seconds):
    with Server(command) as s:
        has_own = load.startswith(("observe", "body")) or "--count" in load or "--warm-up" in load
        warm_up = "" if has_own else " --warm-up 0.2"
        return load_on(s, f"{load}{warm_up}", seconds)


def asking(command, base, seconds):
    """About as many requests as take that long, if each takes 10 us."""
    with Server(base) as s:
        uri = f"coap://127.0.0.1:{s.port}/hello"
        count = max(1600, int(seconds * 100000) // 16 * 16)
        us = float(run(command.format(uri=uri, count=count)))
        return {"server_us": us, "done": count, "lost": 0}


# ---- Rounds --------------------------------------------------------------------


def measure(row, seconds):
    """(what was measured, what it was measured against)"""
    seconds = row.seconds or seconds

    def target():
        if row.asks:
            return asking(row.asks, row.server, seconds)
        return under_load(row.server, row.load, seconds)

    def base():
        result = under_load(row.base or row.server, row.base_load, min(seconds, 2))
        if row.asks:
            result["server_us"] = result["own_us"]
        return result

    return target, base


def added(parts):
    """Of several measurements one; what is counted by the request weighs by them."""
    done = sum(p["done"] for p in parts)
    whole = {**parts[0], "done": done, "lost": sum(p["lost"] for p in parts)}
    for name in ("server_us", "own_us"):
        if name in whole:
            whole[name] = sum(p[name] * p["done"] for p in parts) / max(done, 1)
    return whole


def in_slices(row, seconds, backwards):
    """Both servers run, the one that is not asked costs nothing."""
    with Server(row.server) as target, Server(row.base) as base:
        asked = [(target, row.load, []), (base, row.base_load, [])]
        for _ in range(SLICES):
            for server, load, parts in asked[::-1] if backwards else asked:
                parts.append(load_on(server, f"{load} --warm-up 0.05", seconds / SLICES))
        return added(asked[0][2]), added(asked[1][2])


def measure_round(row, seconds, backwards):
    target, base = measure(row, seconds)
    if row.base is None and not row.asks:
        return target(), None
    if row.is_sliced:
        return in_slices(row, row.seconds or seconds, backwards)
    if backwards:
        b = base()
        return target(), b
    t = target()
    return t, base()


def measure_others(row, found, base, seconds):
    """name: (what was measured, base) of those whose part it is."""
    measured = {}
    for name in row.others:
        if name not in found:
            continue
        try:
            measured[name] = (measure(as_other(row, *found[name]), seconds)[0](), base)
        except (RuntimeError, subprocess.TimeoutExpired, ValueError) as e:
            print(f"{name}, {row.name}: {e}", file=sys.stderr)
    return measured


def is_there(row):
    program = shlex.split((row.asks or row.server).replace("env NOTIFY_CON=1 ", ""))[0]
    if not shutil.which(program):
        return False
    if program != PYTHON:
        return True
    return subprocess.run([PYTHON, "-c", "import copal"], capture_output=True).returncode == 0


def has_tls():
    libraries = subprocess.run(["ldd", C.split()[0]], capture_output=True, text=True).stdout
    return "gnutls" in libraries


def with_peers(all_rows, path):
    if not path:
        return all_rows
    for line in open(path):
        name, _, command = (x.strip() for x in line.partition("|"))
        if not command or name.startswith("#"):
            continue
        for like in ("w16", "10k"):
            row = next(r for r in all_rows if r.name == like)
            all_rows.append(Row(f"{name}-{like}", f"{name}, as {like}", command, row.load, row.base))
    return all_rows


def main():
    ap = argparse.ArgumentParser(description="Measures copal's speed and memory.")
    ap.add_argument("--rounds", type=int, default=5, help="of each row, but a third of 10,000 and more (5)")
    ap.add_argument("--seconds", type=float, default=0.6, help="of a measurement (0.6)")
    ap.add_argument("--only", help="rows, by their names, separated by commas")
    ap.add_argument("--peers", help='a file of lines "NAME | COMMAND", {port} in it')
    ap.add_argument("--out", default=f"{BUILD}/bench", help="where the table and the chart go")
    ap.add_argument("--alone", action="store_true", help="without libcoap, aiocoap and node-coap")
    ap.add_argument("--list", action="store_true", help="says what rows there are")
    args = ap.parse_args()
    wanted = with_peers(rows(), args.peers)
    if args.list:
        for r in wanted:
            print(f"{r.name:14} {r.title}")
        return
    if args.only:
        names = args.only.split(",")
        unknown = set(names) - {r.name for r in wanted}
        if unknown:
            sys.exit(f"no such row: {', '.join(sorted(unknown))}")
        wanted = [r for r in wanted if r.name in names]
    os.environ["PYTHONPATH"] = f"{BUILD}/python"
    wanted = [r for r in wanted if is_there(r)]
    weather = speed_report.Weather(SERVER_CORE, LOAD_CORE)
    results = {r.name: [] for r in wanted}
    besides = {r.name: {} for r in wanted}
    found = {} if args.alone else others()
    for i in range(args.rounds):
        for row in wanted if i % 2 == 0 else wanted[::-1]:
            if row.heavy and i % 3 != 0:
                continue
            try:
                results[row.name].append(measure_round(row, args.seconds, i % 2 == 1))
            except (RuntimeError, subprocess.TimeoutExpired, ValueError) as e:
                print(f"{row.name}: {e}", file=sys.stderr)
                continue
            if i % 3 == 0:
                base = results[row.name][-1][1]
                for name, pair in measure_others(row, found, base, args.seconds).items():
                    besides[row.name].setdefault(name, []).append(pair)
    lines = speed_report.lines(wanted, results, besides, has_tls())
    speed_report.write(lines, weather.said(), args.out)
    if not any(results.values()):
        sys.exit("nothing was measured")


main()
