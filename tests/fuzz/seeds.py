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


def edhoc(seeds):
    # What the first byte is: fuzz_edhoc.c, 9 ways and 4 methods; fuzz_cose.c.
    ways = {"message_1": 0, "message_2": 1, "PLAINTEXT_2": 2, "message_3": 3,
            "PLAINTEXT_3": 4, "message_4": 5, "PLAINTEXT_4": 6, "error": 8}
    for trace in load("edhoc")["traces"]:
        for value in trace["values"]:
            data = bytes.fromhex(value["hex"])
            if value["label"] in ways:
                seeds.add("edhoc", bytes([ways[value["label"]] + 9 * trace["method"]]) + data)
            if value["label"].startswith("message_3"):
                seeds.add("edhoc", b"\x07\x05" + data)
            if value["label"].startswith("ID_CRED"):
                seeds.add("cose", b"\x00" + data)
            if value["label"].startswith("CRED_") and value.get("form") == "CBOR Data Item":
                seeds.add("cose", b"\x02" + data)
                if data[0] == 0xA2:
                    seeds.add("cose", b"\x01" + data[data.index(b"\xa1\x01\xa5") + 2:])
                    seeds.add("cose", b"\x00\xa1\x0e" + data)
                else:
                    seeds.add("cose", b"\x00\xa1\x18\x21" + data)
    for value in load("edhoc")["invalid"]["values"]:
        way = ways[value["label"].split()[-1]]
        seeds.add("edhoc", bytes([way + 27]) + bytes.fromhex(value["hex"]))


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
    for make in (datagrams, oscore, edhoc, uris, links, items, names):
        make(seeds)


main()
