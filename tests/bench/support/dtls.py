"""See dtls.sh."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(os.environ["COPAL_ROOT"]).resolve()
BUILD = pathlib.Path(os.environ["COPAL_BUILD"]).resolve()
COPAL = str(BUILD / "copal")
ASK = str(ROOT / "tests/bench/support/dtls_ask.lua")
SECURE = str(BUILD / "tests/bench/secure")
KEY = "0123456789abcdef"
KINDS = ("psk", "rpk", "x509")
QUICK = "--quick" in sys.argv
HANDSHAKES = 60 if QUICK else 400
REQUESTS = 2000 if QUICK else 20000
ROUNDS = 2 if QUICK else 5
IDLE = 60 if QUICK else 600
CROWD = 1000 if QUICK else 10000
AT_A_TIME = 1000  # of the crowd, in a process of theirs
ASKED, ANSWERED = 19, 25  # bytes of GET /hello and of its answer as records carry them

work = pathlib.Path(tempfile.mkdtemp(prefix="copal-dtls-"))
started = []


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_keys():
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", work / "rpk.key")
    run("openssl", "ec", "-in", work / "rpk.key", "-pubout", "-out", work / "rpk.pem")
    (work / "rpk_both.pem").write_text((work / "rpk.key").read_text() + (work / "rpk.pem").read_text())
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        work / "own.key", "-out", work / "own.pem", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
        "subjectAltName=IP:127.0.0.1")
    for key in work.glob("*.key"):
        key.chmod(0o600)
    kinds = {
        "psk": ({"psk-id": "me", "psk": KEY}, {"psk-id": "me", "psk": KEY}),
        "rpk": ({"rpk": "rpk.pem", "key": "rpk.key", "ca": "rpk.pem"},
                {"rpk": "rpk.pem", "key": "rpk.key", "ca": "rpk.pem"}),
        "x509": ({"cert": "own.pem", "key": "own.key"}, {"ca": "own.pem"}),
    }
    for kind, (server, client) in kinds.items():
        for name, all in (("server", {"*": server}), ("client", {"coaps://": client})):
            path = work / f"{name}.{kind}.json"
            path.write_text(json.dumps(all))
            path.chmod(0o600)


def free_port():
    """libcoap takes it and the next."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM) as b:
            a.bind(("127.0.0.1", 0))
            try:
                b.bind(("127.0.0.1", a.getsockname()[1] + 1))
            except OSError:
                continue
            return a.getsockname()[1]


class Server:
    def __init__(self, words, plain, secure, speaks=False):
        pipe = subprocess.PIPE if speaks else subprocess.DEVNULL
        self.process = subprocess.Popen([str(w) for w in words], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        started.append(self.process)
        self.plain, self.secure = plain, secure
        time.sleep(1)
        if self.process.poll() is not None:
            raise RuntimeError(f"{words[0]} ended")

    def cpu(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def copal_server(kind):
    port = free_port()
    script = work / "serve.lua"
    script.write_text('(...):serve("/", function() return "hello" end)\n')
    base = f"127.0.0.1:{port}"
    secure = f"coaps://127.0.0.1:{port + 1}"
    return Server([COPAL, "serve", script, "--creds", work / f"server.{kind}.json", "--listen", "coap://" + base,
                   "--listen", secure], f"coap://{base}/", secure + "/")


def libcoap_server(kind):
    program = shutil.which("coap-server-gnutls") or shutil.which("coap-server")
    if program is None:
        return None
    port = free_port()
    words = {
        "psk": ["-k", KEY, "-h", "hint"],
        "rpk": ["-M", work / "rpk_both.pem"],
        "x509": ["-c", work / "own.pem", "-j", work / "own.key", "-n"],
    }[kind]
    return Server([program, "-A", "127.0.0.1", "-p", port, "-v", "0", *words], f"coap://127.0.0.1:{port}/",
                  f"coaps://127.0.0.1:{port + 1}/")


def ask(kind, what, uri, n):
    begun = time.monotonic()
    done = subprocess.run([COPAL, "run", ASK, str(work / f"client.{kind}.json"), what, uri, str(n)],
                          capture_output=True, text=True, timeout=600)
    if "done" not in done.stdout:
        raise RuntimeError((done.stderr.strip() or "no answer").splitlines()[0])
    return time.monotonic() - begun


def cost(server, kind, what, uri, n):
    """CPU seconds of the server for each."""
    ask(kind, what, uri, max(1, n // 20))
    before = server.cpu()
    took = ask(kind, what, uri, n)
    return (server.cpu() - before) / n, n / took


def idle(server, kind):
    ask(kind, "requests", server.secure, 1)
    before, clients = server.resident(), []
    for _ in range(IDLE // 60):
        c = subprocess.Popen([COPAL, "run", ASK, str(work / f"client.{kind}.json"), "idle", server.secure, "60"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(c)
        clients.append(c)
        c.stdout.readline()
    grown = (server.resident() - before) / IDLE
    for c in clients:
        c.kill()
        c.wait()
    return grown


class Crowd:
    """The clients of support/secure.c, which have shaken hands."""

    def __init__(self, uri, count, endpoints, window):
        self.process = subprocess.Popen(
            [SECURE, "ask", work / "client.psk.json", uri, str(count), str(endpoints), str(window)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(self.process)
        self.hear("ready")

    def hear(self, word):
        if self.process.stdout.readline().strip() != word:
            raise RuntimeError("clients of secure ended")

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.hear("done")


class OfC(Server):
    """That of support/secure.c, in C."""

    def __init__(self):
        port = free_port()
        super().__init__([SECURE, "serve", work / "server.psk.json", port], f"coap://127.0.0.1:{port}/hello",
                         f"coaps://127.0.0.1:{port + 1}/hello", speaks=True)

    def counted(self):
        """Bytes that the endpoint says are allocated."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def aead():
    return float(subprocess.run([SECURE, "aead", "CHACHA20-POLY1305", str(ASKED), str(ANSWERED), str(REQUESTS)],
                                check=True, capture_output=True, text=True).stdout)


def what_security_adds(endpoints, window):
    """Plain, by coaps, the cipher alone: the best of some rounds, each of all three."""
    server, best = OfC(), [float("inf")] * 3
    for _ in range(ROUNDS):
        for i, uri in enumerate((server.plain, server.secure)):
            crowd = Crowd(uri, REQUESTS, endpoints, window)
            before = server.cpu()
            crowd.go()
            best[i] = min(best[i], (server.cpu() - before) / REQUESTS * 1e6)
        best[2] = min(best[2], aead())
    server.stop()
    plain, secure, cipher = best
    most = 1.5 * plain + cipher
    print(f"{endpoints:>4} clients, {window:>2} at a time: plain {plain:5.2f} us, coaps {secure:5.2f}, of that the "
          f"cipher {cipher:4.2f}; 1.5 x plain + cipher {most:5.2f}: {'within' if secure <= most else 'OVER'}", flush=True)


def crowd_at_rest():
    """Memory of each of many who asked once, as the endpoint counts it and resident."""
    server = OfC()
    first = Crowd(server.secure, 1, 20, 1)
    counted, resident = server.counted(), server.resident()
    others = [Crowd(server.secure, 1, AT_A_TIME, 1) for _ in range(CROWD // AT_A_TIME)]
    counted, resident = server.counted() - counted, server.resident() - resident
    for one in [first, *others]:
        one.process.kill()
        one.process.wait()
    server.stop()
    print(f"{CROWD} peers at rest: {counted / CROWD:.0f} bytes each counted, {resident / CROWD:.0f} resident; "
          f"10,000 make {counted / CROWD * 1e4 / 2**20:.1f} and {resident / CROWD * 1e4 / 2**20:.1f} MiB", flush=True)


def handshake(server, kind):
    each, _ = cost(server, kind, "handshakes", server.secure, HANDSHAKES)
    return f"{each * 1e6:.0f} us, {1 / each:.0f}/s"


def request(server, kind, uri):
    each, _ = cost(server, kind, "requests", uri, REQUESTS)
    return f"{each * 1e6:.1f} us"


ROWS = [
    *((f"handshake, {kind}", kind, handshake) for kind in KINDS),
    ("request, plain", "psk", lambda server, kind: request(server, kind, server.plain)),
    ("request, coaps", "psk", lambda server, kind: request(server, kind, server.secure)),
    *((f"idle peer, {kind}", kind, lambda server, kind: f"{idle(server, kind):.0f} bytes") for kind in KINDS),
]


def measured(maker, kind, measure):
    """What measure says of a new server, or why there is nothing."""
    try:
        server = maker(kind)
        if server is None:
            return "not there"
        found = measure(server, kind)
        server.stop()
        return found
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        return str(e)[:60]


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    make_keys()
    print("CPU of the server, and how many that makes a second; its resident memory")
    print(f"{'':20}{'copal':>20}{'libcoap':>20}")
    for name, kind, measure in ROWS:
        row = [measured(maker, kind, measure) for maker in (copal_server, libcoap_server)]
        print(f"{name:20}{row[0]:>20}{row[1]:>20}", flush=True)
    if not os.access(SECURE, os.X_OK):
        return
    for endpoints, window in ((1, 1), (1, 16), (256, 16)):
        what_security_adds(endpoints, window)
    crowd_at_rest()


try:
    main()
finally:
    for process in started:
        if process.poll() is None:
            process.kill()
    shutil.rmtree(work, ignore_errors=True)
