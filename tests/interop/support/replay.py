"""replay.py HOST:PORT: a way to there for one who keeps what goes by: prints
"port N", which is where to send. At SIGUSR1 the last datagram that went there
goes once more, from another port and under another message ID, so that it is no
duplicate; what comes of it is printed as "again 4.01 the payload", or "again
nothing"."""

import select
import signal
import socket
import sys

WAIT = 3  # seconds an answer may take

host, port = sys.argv[1].rsplit(":", 1)


def to_there():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((host, int(port)))
    return s


def told(answer):
    code = f"{answer[1] >> 5}.{answer[1] & 31:02}"
    _, marker, payload = answer[4 + (answer[0] & 15) :].partition(b"\xff")
    return code + (" " + payload.decode("utf-8", "replace") if marker else "")


def again(datagram):
    with to_there() as s:
        s.settimeout(WAIT)
        changed = bytes([datagram[2] ^ 0x80])
        s.send(datagram[:2] + changed + datagram[3:])
        try:
            print("again", told(s.recv(65536)), flush=True)
        except TimeoutError:
            print("again nothing", flush=True)


front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
front.bind(("127.0.0.1", 0))
back = to_there()
client, last, asked = None, None, 0


def ask(*_):
    global asked
    asked += 1


signal.signal(signal.SIGUSR1, ask)
print("port", front.getsockname()[1], flush=True)
while True:
    while asked > 0:
        asked -= 1
        again(last)
    for s in select.select([front, back], [], [], 0.05)[0]:
        if s is front:
            last, client = front.recvfrom(65536)
            back.send(last)
        else:
            front.sendto(back.recv(65536), client)
