"""download.py URI FILE: writes a body of any size to a file as it comes, and
says how far it is."""

import sys

import copal


def say(done: int, total: int) -> None:
    print(f"{done} of {total or '?'} bytes", end="\r", file=sys.stderr)


if len(sys.argv) != 3:
    sys.exit("usage: download.py URI FILE")
try:
    with open(sys.argv[2], "wb") as file:
        copal.get(sys.argv[1], sink=file, progress=say).check()
except copal.Error as e:
    sys.exit(str(e))
print(file=sys.stderr)
