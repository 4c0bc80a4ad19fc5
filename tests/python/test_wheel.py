"""Installation from the tree, without downloads."""

import importlib.util
import os
import sys
import sysconfig

import pytest
from conftest import ROOT, run

import copal


def test_it_installs_from_the_tree_without_downloads(tmp_path):
    if importlib.util.find_spec("pip") is None or importlib.util.find_spec("venv") is None:
        pytest.skip("pip or venv is not there: apt-get install python3-pip python3-venv")
    made = run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    assert made.returncode == 0, made.stdout + made.stderr
    python = str(tmp_path / "venv" / "bin" / "python")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-build-isolation", "--no-index"]
    quick = "cmake=-DCMAKE_C_FLAGS_RELEASE=-O0 -DCOPAL_LTO=OFF"
    source = os.path.join(ROOT, "bindings", "python")
    done = run(*install, "--no-cache-dir", "--config-settings", quick, source, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = "import copal; print(copal.__file__); print(copal.Code(69)); copal.Sim().endpoint('a')"
    done = run(python, "-W", "error", "-c", text, env=env, cwd=tmp_path)
    assert done.returncode == 0 and str(tmp_path) in done.stdout and "2.05 Content" in done.stdout, done.stderr
    (info,) = (tmp_path / "venv").rglob("copal-*.dist-info")
    record = (info / "RECORD").read_text()
    assert "copal/py.typed" in record and "copal/_copal.pyi" in record
    assert "copal = copal.pytest" in (info / "entry_points.txt").read_text()


def test_the_source_archive_has_what_the_build_needs(tmp_path):
    import tarfile

    text = "import backend, sys; print(backend.build_sdist(sys.argv[1]))"
    done = run(sys.executable, "-B", "-c", text, str(tmp_path), cwd=os.path.join(ROOT, "bindings", "python"))
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.strip()) as archive:
        names = set(archive.getnames())
    for wanted in ("pyproject.toml", "PKG-INFO", "CMakeLists.txt", "core/include/copal.h", "bindings/python.i"):
        assert f"copal-{copal.__version__}/{wanted}" in names


def test_the_interpreter_is_the_one_the_module_was_built_for():
    from copal import _copal

    assert sysconfig.get_config_var("EXT_SUFFIX") in _copal.__file__
