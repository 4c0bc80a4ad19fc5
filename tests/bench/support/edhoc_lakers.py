"""Handshakes a second of lakers, both ends in this process: method 3, suite 2,
which is what it has."""

import json
import pathlib
import sys
import time

import lakers


VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors" / "edhoc.json"


def of_the_trace(label):
    values = json.loads(VECTORS.read_text("utf-8"))["traces"][1]["values"]
    return next(bytes.fromhex(v["hex"]) for v in values if v["label"] == label)


def shake(i, cred_i, r, cred_r):
    initiator = lakers.EdhocInitiator()
    responder = lakers.EdhocResponder(r=r, cred_r=cred_r)
    message_1 = initiator.prepare_message_1(b"\x01", [])
    responder.process_message_1(message_1)
    message_2 = responder.prepare_message_2(lakers.CredentialTransfer.ByReference, b"\x02", [])
    initiator.parse_message_2(message_2)
    initiator.verify_message_2(i, cred_i, cred_r)
    message_3, _ = initiator.prepare_message_3(lakers.CredentialTransfer.ByReference, [])
    responder.parse_message_3(message_3)
    responder.verify_message_3(cred_i)
    initiator.completed_without_message_4()
    responder.completed_without_message_4()
    initiator.edhoc_exporter(0, [], 16), initiator.edhoc_exporter(1, [], 8)
    responder.edhoc_exporter(0, [], 16), responder.edhoc_exporter(1, [], 8)


i, cred_i = of_the_trace("SK_I"), of_the_trace("CRED_I")
r, cred_r = of_the_trace("SK_R"), of_the_trace("CRED_R")
seconds = float(sys.argv[1]) / 1000
count, begin = 0, time.process_time()
while time.process_time() - begin < seconds:
    shake(i, cred_i, r, cred_r)
    count += 1
print(f"3 2 {count / (time.process_time() - begin):.0f}")
