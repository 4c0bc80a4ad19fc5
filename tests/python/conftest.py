"""What the tests share. They run with the interpreter the package was built
for, which CMake chose, and on the simulator wherever that will do."""

import asyncio
import gc
import os
import subprocess
import sys

import pytest

import copal
from copal import _copal
from copal.pytest import copal_sim as copal_sim  # also when its entry point is not installed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "examples", "python")

# AddressSanitizer keeps what was freed for a while: there a process grows.
IS_QUARANTINED = "asan" in os.environ.get("LD_PRELOAD", "")


def resident():
    """Memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def pair(copal_sim):
    """(sim, server, client) in virtual time."""
    return copal_sim, copal_sim.endpoint("server"), copal_sim.endpoint("client")


@pytest.fixture
def nothing_left():
    """Afterwards no handle and no callback is left that was not there before."""
    gc.collect()
    before = _copal.live()
    yield
    gc.collect()
    assert _copal.live() == before


def script(text, *args, timeout=20, stdin=None):
    """Runs text as a program; gives its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", text, *args], capture_output=True, text=True, timeout=timeout, env=dict(os.environ)
    )
    return done.returncode, done.stdout, done.stderr


def within(coroutine, seconds=20):
    """asyncio.run() that does not hang."""

    async def limited():
        return await asyncio.wait_for(coroutine, seconds)

    return asyncio.run(limited())


async def real_server(coap=None):
    """An endpoint that listens on loopback, and its base URI."""
    coap = coap or copal.Endpoint()
    coap.listen("coap://127.0.0.1:0")
    return coap, coap.addresses[0]


def run(*command, timeout=120, **kwargs):
    """Runs a command; what it printed is in stdout and stderr."""
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **kwargs)
