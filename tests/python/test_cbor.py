"""CBOR and SenML: what becomes what, and what is refused."""

import gc
import json
import math
import os
import tracemalloc

import pytest
from conftest import ROOT

import copal
from copal import cbor, senml

with open(os.path.join(ROOT, "tests", "vectors", "cbor.json"), encoding="utf-8") as file:
    VECTORS = json.load(file)


@pytest.mark.parametrize("row", VECTORS["items"], ids=lambda row: row["hex"])
def test_every_item_is_read_and_printed(row):
    data = bytes.fromhex(row["hex"])
    assert cbor.diagnostic(data) == row.get("printed", row["diagnostic"])
    again = cbor.dumps(cbor.loads(data))
    assert (again == data) == row["roundtrip"]


@pytest.mark.parametrize("row", VECTORS["malformed"], ids=lambda row: row["hex"])
def test_what_is_not_well_formed_is_invalid(row):
    data = bytes.fromhex(row["hex"])
    with pytest.raises(copal.Invalid, match="^CBOR: .* at byte") as e:
        cbor.loads(data)
    assert e.value.name == "EFORMAT"
    with pytest.raises(copal.Invalid):
        cbor.diagnostic(data)


def test_values_are_python_s_own():
    assert cbor.loads(bytes.fromhex("1bffffffffffffffff")) == 2**64 - 1
    assert cbor.loads(bytes.fromhex("c349010000000000000000")) == -(2**64) - 1
    assert type(cbor.loads(b"\xf9\x40\x00")) is float
    assert cbor.loads(b"\x42ab") == b"ab" and cbor.loads(b"\x62ab") == "ab"
    assert cbor.loads(bytes.fromhex("7f657374726561646d696e67ff")) == "streaming"
    assert cbor.loads(bytes.fromhex("5f42010243030405ff")) == b"\1\2\3\4\5"
    assert cbor.loads(b"\xf6") is None and cbor.loads(b"\xf4") is False
    assert cbor.loads(b"\xf7") == cbor.undefined
    tag = cbor.loads(bytes.fromhex("c11a514b67b0"))
    assert isinstance(tag, cbor.Tag) and tag.tag == 1 and tag.value == 1363896240
    assert cbor.loads(bytes.fromhex("a1820102f5")) == {(1, 2): True}


def test_what_is_written_is_deterministic():
    assert cbor.dumps({"b": 1, "a": 2, 10: 3, -1: 4, True: 5}).hex() == "a50a032004616102616201f505"
    assert cbor.dumps([1.5, 1.1, math.nan, (), bytearray(b"x"), memoryview(b"y")]).hex() == (
        "86f93e00fb3ff199999999999af97e008041784179"
    )
    for n in (2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, -(2**64), 10**50, -(10**50)):
        assert cbor.loads(cbor.dumps(n)) == n
    assert cbor.dumps(cbor.Tag((24, b"a"))).hex() == "d8184161"
    assert cbor.dumps(cbor.Simple((255,))).hex() == "f8ff"


def test_what_cbor_cannot_say_raises():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested"):
        cbor.dumps(loop)
    with pytest.raises(TypeError, match="CBOR has no object"):
        cbor.dumps({"a": [object()]})
    with pytest.raises(ValueError, match="simple"):
        cbor.dumps(cbor.Simple((24,)))
    with pytest.raises(TypeError):
        cbor.dumps(cbor.Tag(("x", 1)))
    with pytest.raises(OverflowError):
        cbor.dumps(cbor.Tag((-1, 1)))
    with pytest.raises(UnicodeEncodeError):
        cbor.dumps("\ud800")
    with pytest.raises(ValueError, match="twice"):
        cbor.dumps({1: 1, Odd(1): 2})


class Odd(int):
    """Equal to nothing, written as what it is."""

    __hash__ = int.__hash__

    def __eq__(self, other):
        return self is other


def test_maps_that_readers_would_not_agree_on_are_invalid():
    with pytest.raises(copal.Invalid, match="twice"):
        cbor.loads(bytes.fromhex("a201020103"))
    with pytest.raises(copal.Invalid, match="map as a key"):
        cbor.loads(bytes.fromhex("a1a00102"))
    with pytest.raises(copal.Invalid, match="nested"):
        cbor.loads(b"\x81" * 65 + b"\0")
    assert cbor.loads(b"\x81" * 64 + b"\0")


def test_errors_leak_nothing():
    rows = [bytes.fromhex(row["hex"]) for row in VECTORS["malformed"]] + [bytes.fromhex("a2820102f5820102f5")]

    def fail():
        for data in rows:
            with pytest.raises(copal.Invalid):
                cbor.loads(data)
        with pytest.raises(TypeError):
            cbor.dumps([{"a": [1.5, "x", object()]}])

    fail()
    gc.collect()
    tracemalloc.start()
    fail()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        fail()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20000


def test_a_sequence_is_a_list():
    assert cbor.loads_sequence(b"\x01\x82\x02\x03") == [1, [2, 3]]
    assert cbor.loads_sequence(b"") == []
    with pytest.raises(copal.Invalid):
        cbor.loads_sequence(b"\x01\x82")
    assert cbor.diagnostic(b"\x01\x02", sequence=True) == "1\n2"
    assert cbor.diagnostic(b"\x81\x02", indent=True) == "[\n  2\n]"


def test_bodies_are_written_and_read_by_their_format():
    def message(body, format):
        return copal.Message("PUT", "coap://h/", body, format=format)

    m = message({"on": True}, "cbor")
    assert m.payload.hex() == "a1626f6ef5" and m.decode() == {"on": True} == m.cbor()
    assert message(42, "cbor").decode() == 42
    assert message(None, "cbor").payload == b""
    assert message(b"\1\2", "application/cbor-seq").decode() == [1, 2]
    for format in ("senml+json", "senml+cbor"):
        m = message([{"bn": "dev:", "n": "t", "u": "Cel", "v": 21.5}], format)
        assert m.decode() == [senml.Record("dev:t", 21.5, "Cel")] == m.senml()
        assert message(m.decode(), format).decode() == m.decode()
    with pytest.raises(copal.Invalid):
        message(b"\x82", "cbor").decode()


def test_senml_s_base_fields_are_applied():
    pack = bytes.fromhex(
        "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b0010622361412005"
        "0067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a30067"
        "63757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666a30067637572"
        "72656e74062102f93e00a3006763757272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3f"
        "fb333333333333"
    )
    records = senml.loads(pack, "cbor")
    assert len(records) == 7
    assert records[0] == senml.Record("urn:dev:ow:10e2073a0108006:voltage", 120.1, "V", 1276020076.001)
    assert records[1] == senml.Record("urn:dev:ow:10e2073a0108006:current", 1.2, "A", 1276020071.001)
    assert senml.loads(cbor.dumps([{0: "a", 2: cbor.Tag((4, [-2, 27315]))}]), "cbor")[0].value == 273.15
    assert senml.loads(b'[{"n":"a","vd":"_w"},{"n":"b","vb":true,"ut":5}]') == [
        senml.Record("a", b"\xff"),
        senml.Record("b", True, update_time=5),
    ]


@pytest.mark.parametrize(
    "text, what",
    [
        ("{}", "not an array"), ("[1]", "not a map"), ("[{}]", "no name"), ('[{"v":1}]', "no name"),
        ('[{"n":"a"}]', "no value"), ('[{"n":"a","v":1,"vs":"x"}]', "more than one"),
        ('[{"n":"a","v":"1"}]', "v is not"), ('[{"n":"a","v":true}]', "v is not"),
        ('[{"n":"a","v":1,"x_":2}]', "understood"), ('[{"bver":11,"n":"a","v":1}]', "version"),
        ('[{"n":"a","vd":"?"}]', "vd is not"), ("[", "not SenML"),
    ],
)  # fmt: skip
def test_senml_that_is_not_as_rfc_8428_wants_it_is_invalid(text, what):
    with pytest.raises(copal.Invalid, match=what):
        senml.loads(text.encode())
