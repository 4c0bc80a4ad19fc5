"""stream.py FILE [URI]: GET /file sends FILE however large it is, PUT /count
takes any body and counts it; neither is ever whole in memory."""

import sys

import copal

if len(sys.argv) < 2:
    sys.exit("usage: stream.py FILE [URI]")
path, where = sys.argv[1], (sys.argv[2:] or ["coap://*"])[0]


def get_file(req: copal.Message) -> object:
    return open(path, "rb")  # read as the asker takes it


async def put_count(req: copal.Message) -> tuple[copal.Code, str]:
    size = 0
    async for piece in req.chunks():  # raises copal.Error if the sender breaks off
        size += len(piece)
    return copal.CHANGED, f"{size} bytes"


with copal.BlockingEndpoint(listen=where) as coap:
    coap.serve("/file", get_file)
    coap.serve("/count", put=put_count, streamed=True)
    print("listening on", *coap.addresses, file=sys.stderr)
    try:
        coap.forever()
    except KeyboardInterrupt:
        pass
