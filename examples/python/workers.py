"""workers.py [N [URI]]: a note served by N processes at one port. Who changes it
rings a bell in each, which tells its own observers. One that dies is restarted."""

import asyncio
import contextlib
import multiprocessing.connection
import os
import signal
import socket
import sys
from typing import Any

import copal

system: Any = os  # some type checkers do not know its eventfd()
note: Any = multiprocessing.Array("c", b"nothing yet" + bytes(1000))  # shared by all


async def work(place: socket.socket, bells: list[int], own: int) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGINT, int)  # nothing: its parent heeds it
    async with copal.Endpoint() as coap:

        @coap.serve("/note", method="PUT")
        def put_note(req: copal.Message) -> copal.Code:
            note.value = req.payload[:1000]
            for bell in bells:
                system.eventfd_write(bell, 1)
            return copal.CHANGED

        coap.serve("/note", lambda req: note.value.decode(), observable=True)
        loop.add_reader(bells[own], lambda: (system.eventfd_read(bells[own]), coap.notify("/note")))
        coap.take_over(place)
        await over.wait()


def main(n: str = "2", where: str = "coap://0.0.0.0:5683") -> None:
    address, port = where.removeprefix("coap://").split(":")
    bells = [system.eventfd(0, system.EFD_NONBLOCK) for _ in range(int(n))]
    places = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in bells]
    for place in places:  # open to the end: clients stay with theirs, and wait for it
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind((address, int(port)))
        address, port = place.getsockname()

    def start(i: int) -> multiprocessing.Process:
        worker = multiprocessing.Process(target=lambda: asyncio.run(work(places[i], bells, i)), daemon=True)
        worker.start()
        return worker

    workers = [start(i) for i in range(len(bells))]
    print(f"listening on coap://{address}:{port}", file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):  # daemons are told to end, and waited for
        while multiprocessing.connection.wait([w.sentinel for w in workers]):
            workers = [w if w.is_alive() else start(i) for i, w in enumerate(workers)]


main(*sys.argv[1:3])
