"""Builds wheel and source archive (PEP 517) with what is here: CMake, SWIG, a C
compiler, libuv's headers and the standard library."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOP = ("CMakeLists.txt", "LICENSE", "README.md", "CHANGELOG.md", "core", "bindings", "lua", "examples", "tests")

with open(os.path.join(HERE, "pyproject.toml"), "rb") as file:
    PROJECT = tomllib.load(file)["project"]
NAME, VERSION = PROJECT["name"], PROJECT["version"]
INFO = f"{NAME}-{VERSION}.dist-info"


def _tag() -> str:
    python = "cp{}{}".format(*sys.version_info[:2])
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{python}-{platform}"


def _metadata() -> str:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {NAME}",
        f"Version: {VERSION}",
        f"Summary: {PROJECT['description']}",
        f"License: {PROJECT['license']['text']}",
        f"Requires-Python: {PROJECT['requires-python']}",
        *(f"Classifier: {c}" for c in PROJECT["classifiers"]),
    ]
    return "\n".join(lines) + "\n"


def _entry_points() -> str:
    lines = []
    for group, entries in PROJECT["entry-points"].items():
        lines += [f"[{group}]", *(f"{k} = {v}" for k, v in entries.items()), ""]
    return "\n".join(lines)


def _info_files() -> dict[str, bytes]:
    wheel = f"Wheel-Version: 1.0\nGenerator: copal backend\nRoot-Is-Purelib: false\nTag: {_tag()}\n"
    with open(os.path.join(ROOT, "LICENSE"), "rb") as license_file:
        license_text = license_file.read()
    return {
        "METADATA": _metadata().encode(),
        "WHEEL": wheel.encode(),
        "entry_points.txt": _entry_points().encode(),
        "LICENSE": license_text,
    }


def _files(folder: str) -> Iterator[tuple[str, bytes]]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(where, name)
            with open(path, "rb") as one:
                yield os.path.relpath(path, folder), one.read()


def _build(build: str, into: str, options: list[str]) -> None:
    jobs = str(os.cpu_count() or 1)
    for command in (
        ["cmake", "-S", ROOT, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DCOPAL_PYTHON=ON", "-DCOPAL_LUA=OFF",
         "-DCOPAL_TESTS=OFF", "-DCOPAL_EXAMPLES=OFF", f"-DPython3_EXECUTABLE={sys.executable}", *options],
        ["cmake", "--build", build, "--target", "copal_python", "-j", jobs],
        ["cmake", "--install", build, "--prefix", into, "--component", "python", "--strip"],
    ):  # fmt: skip
        subprocess.run(command, check=True)


def build_wheel(
    wheel_directory: str, config_settings: dict[str, str] | None = None, metadata_directory: str | None = None
) -> str:
    """config_settings: "cmake" has options for CMake, with spaces between."""
    options = (config_settings or {}).get("cmake", "").split()
    name = f"{NAME}-{VERSION}-{_tag()}.whl"
    records: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        installed = os.path.join(temporary, "installed")
        _build(os.path.join(temporary, "build"), installed, options)
        with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:

            def put(path: str, data: bytes) -> None:
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                records.append(f"{path},sha256={digest},{len(data)}")
                wheel.writestr(path, data)

            for path, data in _files(installed):
                put(path, data)
            for path, data in _info_files().items():
                put(f"{INFO}/{path}", data)
            wheel.writestr(f"{INFO}/RECORD", "\n".join([*records, f"{INFO}/RECORD,,", ""]))
    return name


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
    folder = os.path.join(metadata_directory, INFO)
    os.mkdir(folder)
    for name, data in _info_files().items():
        with open(os.path.join(folder, name), "wb") as one:
            one.write(data)
    return INFO


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    return []


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """The whole tree: the package is built from it."""
    base = f"{NAME}-{VERSION}"

    def wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if os.path.basename(info.name) in ("__pycache__", "build") else info

    with tarfile.open(os.path.join(sdist_directory, base + ".tar.gz"), "w:gz") as archive:
        for name in TOP:
            if os.path.exists(os.path.join(ROOT, name)):
                archive.add(os.path.join(ROOT, name), f"{base}/{name}", filter=wanted)
        with open(os.path.join(HERE, "pyproject.toml")) as project:
            text = project.read().replace('backend-path = ["."]', 'backend-path = ["bindings/python"]')
        for name, data in (("pyproject.toml", text.encode()), ("PKG-INFO", _metadata().encode())):
            info = tarfile.TarInfo(f"{base}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return base + ".tar.gz"
