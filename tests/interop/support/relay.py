"""relay.py HOST:PORT: a way to there whose end towards it moves, as that of a NAT
that forgot: prints "port N", which is where to send. At each SIGUSR1 it sends
from another port from then on, and "moved" is printed; what still comes to the
port before the last one is thrown away."""

import select
import signal
import socket
import sys

host, port = sys.argv[1].rsplit(":", 1)
front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
front.bind(("127.0.0.1", 0))
backs = []
client = None
wanted = 1  # so many times has it been asked to be somewhere


def ask(*_):
    global wanted
    wanted += 1


def move():
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    back.connect((host, int(port)))
    backs.append(back)
    if len(backs) > 1:
        print("moved", flush=True)
    if len(backs) > 2:
        backs.pop(0).close()


move()
signal.signal(signal.SIGUSR1, ask)
print("port", front.getsockname()[1], flush=True)
moves = 1
while True:
    while moves < wanted:
        moves += 1
        move()
    for s in select.select([front, *backs], [], [], 0.05)[0]:
        try:
            if s is front:
                data, client = front.recvfrom(65536)
                backs[-1].send(data)
            elif s in backs:
                front.sendto(s.recv(65536), client)
        except ConnectionRefusedError:
            pass
