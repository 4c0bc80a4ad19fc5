"""bench_server.py PORT: small answers, for any number of requests. NOTIFY_CON=1
in the environment makes notifications confirmable."""

import os
import sys

import copal

KILOBYTE = bytes(1024)
version = 0
coap = copal.BlockingEndpoint()


def put_obs(req: copal.Message) -> copal.Code:
    global version
    version += 1
    coap.notify("/obs")
    return copal.CHANGED


def get_obs(req: copal.Message) -> copal.Response:
    return copal.Response(f"value {version % 1000000:06}", non=not os.environ.get("NOTIFY_CON"))


coap.serve("/hello", lambda req: b"hello, world")
coap.serve("/big", lambda req: KILOBYTE)
coap.serve("/sink", put=lambda req: copal.CHANGED)
coap.serve("/obs", get=get_obs, put=put_obs, observable=True)


@coap.serve("/async")
async def get_async(req: copal.Message) -> bytes:
    return b"hello, world"


coap.listen(f"coap://*:{sys.argv[1] if len(sys.argv) > 1 else 5683}")
try:
    coap.forever()
except KeyboardInterrupt:
    coap.close(0)
