"""Types, stubs, documentation."""

import importlib.util
import os
import sys

import pytest
from conftest import EXAMPLES, ROOT, run

import copal

PACKAGE = os.path.dirname(copal.__file__)

needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


@needs_mypy
def test_package_and_examples_pass_mypy_strict(tmp_path):
    source = os.path.join(ROOT, "bindings", "python")
    examples = [os.path.join(EXAMPLES, f) for f in sorted(os.listdir(EXAMPLES)) if f.endswith(".py")]
    examples = [f for f in examples if not f.endswith("tour.py")]  # which is a test, and looks where nothing may be
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import copal\nc = copal.Code([])\ncopal.get(7)\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--scripts-are-modules", "--cache-dir", str(tmp_path)]
    done = run(*command, os.path.join(source, "copal"), *examples, str(wrong), env=dict(os.environ, MYPYPATH=source))
    assert done.stdout.count("error:") == 2 == done.stdout.count("wrong.py:"), done.stdout + done.stderr


@needs_mypy
def test_the_types_say_what_the_package_has(tmp_path):
    env = dict(os.environ, MYPYPATH=os.path.dirname(PACKAGE))
    allowed = os.path.join(ROOT, "tests", "python", "stubtest.txt")
    command = [sys.executable, "-m", "mypy.stubtest", "copal", "--concise", "--allowlist", allowed]
    done = run(*command, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_public_has_a_docstring():
    bare = []
    for name in copal.__all__:
        thing = getattr(copal, name)
        if isinstance(thing, type) or callable(thing):
            if not thing.__doc__:
                bare.append(name)
            for key, member in vars(thing).items() if isinstance(thing, type) else ():
                if not key.startswith("_") and (callable(member) or isinstance(member, property)):
                    if not member.__doc__ and thing.__module__.startswith("copal"):
                        bare.append(f"{name}.{key}")
    assert bare == []


def test_the_blocking_face_has_every_method_of_the_other():
    def names(cls):
        return {n for n in dir(cls) if not n.startswith("_")}

    assert names(copal.Endpoint) - names(copal.BlockingEndpoint) == set()
