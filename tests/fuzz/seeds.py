#!/usr/bin/env python3
"""seeds.py DIR: seeds for the fuzzers out of tests/vectors/, as DIR/NAME/...

NAME is a fuzzer's, fuzz_NAME.c says what its input is. The same input is
written once, whatever vectors it is in."""
import hashlib
import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


class Seeds:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def add(self, names, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        for name in names.split():
            folder = self.directory / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def datagrams(seeds):
    for case in load("codec_udp")["cases"]:
        # Values of up to 65804 bytes, told otherwise, would slow every run.
        if len(case.get("hex", "0" * 9999)) <= 1200:
            seeds.add("datagram message", bytes.fromhex(case["hex"]))
    for value in load("block")["values"]:
        block = bytes.fromhex(value["value"])
        for option in (23, 27):
            head = bytes([0x40, 1, 0, 1, 0xD0 | len(block), option - 13])
            seeds.add("datagram message", head + block)


def oscore(seeds):
    for group in ("messages", "rejections"):
        for case in load("oscore_rfc8613")[group]:
            seeds.add("oscore datagram", bytes.fromhex(case["protected_message"]))
    for case in load("oscore_rfc8613")["messages"]:
        seeds.add("oscore", bytes.fromhex(case["oscore_option"]))


def uris(seeds):
    for case in load("uri")["cases"]:
        seeds.add("uri text", case["uri"])
        path = "/" + case["uri"].split("//", 1)[-1].partition("/")[2]
        seeds.add("pattern", f"{path}\n/{{a}}/b\n/a/*\n*\n{path}")
        host = case.get("destination")
        if host:
            seeds.add("address", b"\x16\x33" + host.encode())


def links(seeds):
    for case in load("linkformat")["parse"]:
        seeds.add("links text", case["input"])
        for link in case.get("links") or ():
            lines = []
            for attribute in link["attributes"]:
                name, value = (attribute + [None])[:2]
                lines.append(name if value is None else f"{name}={value}")
            seeds.add("wellknown", "\n".join(lines))


def items(seeds):
    vectors = load("cbor")
    for item in vectors["items"] + vectors["malformed"]:
        seeds.add("cbor cbor_print problem lua", bytes.fromhex(item["hex"]))
        seeds.add("missing", b"\x0a\x0a" + bytes.fromhex(item["hex"]))


def names(seeds):
    texts = [c["name"] for c in load("codes")["codes"]]
    texts += [c["code"] for c in load("codes")["codes"]]
    texts += [o["name"] for o in load("options_registry")["options"]]
    texts += [f["content_type"] for f in load("content_formats")["formats"]]
    for text in texts:
        if text:
            seeds.add("names", text + "\n\0\0\0\x45\x01E\0\0\0\0\0\0\0\1")


def main():
    seeds = Seeds(sys.argv[1])
    for make in (datagrams, oscore, uris, links, items, names):
        make(seeds)


main()
