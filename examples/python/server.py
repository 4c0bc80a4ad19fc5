"""server.py [URI]: a clock to observe, a greeting by name, a note to keep."""

import asyncio
import sys
import time

import copal


async def main(where: str = "coap://*") -> None:
    note = copal.Response("", format=copal.TEXT)

    async with copal.Endpoint(listen=where) as coap:

        @coap.serve("/time", observable=True, rt="clock")
        def get_time(req: copal.Message) -> str:
            return time.ctime()

        @coap.serve("/hello/{name}")
        def get_hello(req: copal.Message) -> str:
            return f"Hello, {req.params['name']}!"

        @coap.serve("/note")
        def get_note(req: copal.Message) -> copal.Response:
            return note

        @coap.serve("/note", method="PUT")
        def put_note(req: copal.Message) -> copal.Code:
            if len(req.payload) > 4096:
                return copal.TOO_LARGE
            note.payload, note.format = req.payload, req.format
            return copal.CHANGED

        coap.every(1, lambda: coap.notify("/time"))
        print("listening on", *coap.addresses, file=sys.stderr)
        await coap.forever()


try:
    asyncio.run(main(*sys.argv[1:2]))
except copal.Error as e:
    sys.exit(str(e))
except KeyboardInterrupt:
    pass
