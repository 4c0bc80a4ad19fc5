"""A client in Python with the program's manners: client.py VERB URI
[BODY|COUNT], BODY a text or @FILE. 0: success; 4: a 4.xx, which standard error
names."""

import asyncio
import sys

import copal

verb, uri = sys.argv[1:3]
what = sys.argv[3] if len(sys.argv) > 3 else ""


def body():
    if not what.startswith("@"):
        return what
    with open(what[1:], "rb") as file:
        return file.read()


def show(r):
    sys.stdout.buffer.write(r.payload)
    if r.code.is_successful:
        return 0
    print(f"copal: {r.code}", file=sys.stderr)
    return 4


async def observe(c):
    left = int(what)
    async for note in c.observe(uri):
        print(note.text, flush=True)
        left -= 1
        if left == 0:
            break


async def many(c):
    all = await asyncio.gather(*(c.get(uri) for _ in range(int(what))))
    print(sum(1 for r in all if r.payload))


async def main():
    async with copal.Endpoint() as c:
        if verb in ("put", "post"):
            given = body()
            format = "text" if isinstance(given, str) else "octets"
            return show(await getattr(c, verb)(uri, given, format=format))
        elif verb == "ls":
            for link in (await c.get(uri + "/.well-known/core")).links():
                print(link.href)
        elif verb == "observe":
            await observe(c)
        elif verb == "ping":
            if await c.ping(uri):
                print("answered")
        elif verb == "many":
            await many(c)
        else:
            return show(await getattr(c, verb)(uri))
    return 0


sys.exit(asyncio.run(main()))
