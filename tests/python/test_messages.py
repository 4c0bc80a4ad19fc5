"""Messages, codes, formats, errors: without a network."""

import pickle

import pytest

import copal


def test_each_message_has_its_own_path_whatever_was_read_before():
    paths = [("a",), ("a", "b"), ("a",), (), ("",), ("b",), ("ab",), ("\u00fc",), ("\u00fc",), ("a", "c"), ("a", "b", "")]
    messages = [copal.Message("GET", "coap://host") for _ in paths]
    for m, path in zip(messages, paths, strict=True):
        m.path = path
    for _ in range(2):
        assert [m.path for m in messages] == paths
    messages[0].path = "/other"
    assert messages[0].path == ("other",) and messages[2].path == ("a",)


def test_a_message_prints_as_one_documented_line():
    m = copal.Message("GET", "coap://localhost/other/separate")
    assert str(m) == "GET coap://localhost/other/separate"
    assert repr(m) == "<copal.Message GET coap://localhost/other/separate>"


def test_options_print_a_line_each():
    m = copal.Message("GET", "coap://localhost/other/separate", accept="text")
    assert "Uri-Path: other / separate\n" in str(m.options)
    assert "Accept: 0 text/plain;charset=utf-8" in str(m.options)
    assert m.options[-1] == (17, "Accept", b"")


def test_options_of_signals_have_names_of_their_own():
    m = copal.Message(225, "coap://localhost/", options={2: b"\1", 4: b""})
    names = {o.number: o.name for o in m.options}
    assert (names[2], names[4]) == ("Max-Message-Size", "Block-Wise-Transfer")


def test_an_option_of_a_signal_is_found_by_its_name():
    m = copal.Message(225, "coap://localhost/", options={"Max-Message-Size": 1152, 4: b""})
    assert m.uint("max_message_size") == 1152 and m.option("Block-Wise-Transfer") == b""
    m.remove("max-message-size")
    assert m.option(2) is None
    pong = copal.Message(227, "coap://localhost/", options={"Custody": None})
    assert pong.option("custody") == b""  # as a Ping's
    with pytest.raises(ValueError, match="no option"):
        copal.Message("GET", "coap://localhost/", options={"Max-Message-Size": 1152})
    with pytest.raises(ValueError, match="no option"):
        pong.option("Hold-Off")


def test_the_path_is_a_tuple_that_may_be_assigned():
    m = copal.Message("GET", "coap://localhost/other/separ%61te/")
    assert m.path == ("other", "separate", "")
    m.path = ("a b", "c/d")
    assert m.path == ("a b", "c/d")
    m.path = "/x/y"
    assert m.path == ("x", "y")
    m.path = "/"
    assert m.path == ()
    assert copal.Message("GET", "coap://localhost").path == ()


def test_the_query_is_read_in_order_and_by_name():
    m = copal.Message("GET", "coap://localhost/?rt=x&obs&n=1")
    assert list(m.query) == ["rt=x", "obs", "n=1"]
    assert m.query["rt"] == "x" and m.query["obs"] == "" and "zz" not in m.query
    assert m.query.get("zz") is None and m.query.get("zz", "-") == "-"
    with pytest.raises(KeyError):
        m.query["zz"]
    m.query = {"a": 1, "b": True}
    assert m.query == ["a=1", "b"] and m.query[0] == "a=1"


@pytest.mark.parametrize("text", ["2.05", "2.05 Content", 69, copal.CONTENT])
def test_a_code_is_made_from_number_or_text(text):
    code = copal.Code(text)
    assert code is copal.CONTENT
    assert (str(code), f"{code}", code.number, code.dotted) == ("2.05 Content", "2.05 Content", 69, "2.05")
    assert (code.cls, code.detail, code.is_successful) == (2, 5, True)


def test_unknown_codes_print_too():
    assert str(copal.Code("0.30")) == "0.30" and copal.Code("0.30") == 30
    assert str(copal.Code(255)) == "7.31"
    assert copal.Code("get") is copal.GET and not copal.GET.is_successful
    for wrong in ("8.00", "1.32", "nonsense", 256, -1):
        with pytest.raises(ValueError):
            copal.Code(wrong)


def test_a_format_is_a_number_with_a_name():
    m = copal.Message("PUT", "coap://h/", "x")
    assert m.format == 0 and str(m.format) == "text/plain;charset=utf-8"
    assert copal.Format("cbor") == 60 == copal.Format("application/cbor") == copal.CBOR
    assert str(copal.Format(65000)) == "65000"
    with pytest.raises(ValueError, match="Content-Format"):
        copal.Format("application/nonsense")


@pytest.mark.parametrize(
    "body, format, payload, number",
    [
        (b"\0x", None, b"\0x", None),
        (bytearray(b"a"), 42, b"a", 42),
        (memoryview(b"ab"), None, b"ab", None),
        ("é", None, "é".encode(), 0),
        ({"on": True}, None, b'{"on":true}', 50),
        ([1, 2], "application/senml-etch+json", b"[1,2]", 320),
        (21.5, None, b"21.5", 0),
        (True, None, b"true", 0),
        (True, "json", b"true", 50),
    ],
)
def test_bodies_become_bytes_and_a_format(body, format, payload, number):
    m = copal.Message("PUT", "coap://h/", body, format=format)
    assert m.payload == payload and m.format == number


def test_a_body_that_cannot_be_sent_is_a_type_error():
    with pytest.raises(TypeError, match="object"):
        copal.Message("PUT", "coap://h/", object())
    with pytest.raises(TypeError, match="octet-stream"):
        copal.Message("PUT", "coap://h/", {}, format="octets")


def test_decode_goes_by_the_content_format():
    def decoded(body, format):
        return copal.Message("PUT", "coap://h/", body, format=format).decode()

    assert decoded(b'{"t": 1}', "json") == {"t": 1}
    assert decoded(b"caf\xc3\xa9", "text") == "café"
    assert decoded(b"\xff", "octets") == b"\xff" == decoded(b"\xff", None)
    links = decoded(b'</t>;rt="a b";obs,</x>;ct=40', "links")
    assert [k.href for k in links] == ["/t", "/x"]
    assert links.filter(rt="b")[0]["obs"] is True
    with pytest.raises(ValueError):
        decoded(b"{", "json")
    with pytest.raises(copal.Invalid):
        decoded(b"nonsense", "links")


def test_the_payload_is_seen_without_a_copy_and_kept():
    m = copal.Message("PUT", "coap://h/", b"x" * 100)
    view = memoryview(m)
    del m
    assert view.readonly and view.nbytes == 100 and bytes(view) == b"x" * 100
    with pytest.raises(TypeError):
        view[0] = 1


def test_options_by_name_number_and_keyword():
    m = copal.Message("GET", "coap://h/", etag=b"\1", options={"ETag": b"\2", 65000: 7, "If-Match": [b"a", b"b"]})
    assert m.etag == b"\1" and m.option("etag", 1) == b"\2" and m.option("ETag", 2) is None
    assert m.uint(65000) == 7 and m.option("If-Match", 1) == b"b"
    m.add("Max-Age", 300)
    assert m.max_age == 300
    m.remove("max_age")
    assert m.max_age is None
    with pytest.raises(ValueError, match="no option"):
        m.option("Nonsense")
    with pytest.raises(TypeError, match="nonsense"):
        copal.Message("GET", "coap://h/", nonsense=1)
    with pytest.raises(TypeError):
        copal.Message("GET", "coap://h/", ack_timeout="long")


def test_remote_tells_a_group():
    for host in ("[ff02::fd]", "224.0.1.187"):
        remote = copal.Message("GET", f"coap://{host}/.well-known/core").remote
        assert remote.is_multicast and remote.hostinfo == host and str(remote) == f"coap://{host}"
    other = copal.Message("GET", "coap://[::1]:61616/x").remote
    assert not other.is_multicast and (other.host, other.port, other.scheme) == ("::1", 61616, "coap")
    assert not copal.Message("GET", "coap://224.example/").remote.is_multicast
    assert other == copal.Address("coap://[::1]:61616") and other
    none = copal.Message("GET").remote
    assert not none and str(none) == none.hostinfo == none.scheme == "" and not none.is_multicast


@pytest.mark.parametrize("uri", ["no-scheme", "coap://", "coap://h:99999/", "coap://h/%zz", "coap://h/#f", "http://h/"])
def test_a_bad_uri_is_a_value_error_with_a_sentence(uri):
    with pytest.raises(copal.BadURI) as e:
        copal.Message("GET", uri)
    assert isinstance(e.value, ValueError) and e.value.name == "EURI" and e.value.code == -3
    assert len(str(e.value)) > len("URI not understood") and e.value.hint


def test_errors_have_builtin_bases():
    assert issubclass(copal.Timeout, TimeoutError) and issubclass(copal.Closed, ConnectionError)
    assert issubclass(copal.Refused, ConnectionRefusedError) and issubclass(copal.Reset, ConnectionResetError)
    assert issubclass(copal.Invalid, ValueError) and issubclass(copal.NetworkError, OSError)
    e = copal.Timeout("ETIMEOUT", "no answer; try again")
    assert (e.name, e.code, e.hint, str(e)) == ("ETIMEOUT", -9, "try again", "no answer; try again")
    copied = pickle.loads(pickle.dumps(e))
    assert type(copied) is copal.Timeout and str(copied) == str(e)


def test_text_with_a_zero_and_lone_surrogates_are_refused():
    with pytest.raises(ValueError, match="zero byte"):
        copal.Message("GET", "coap://h/\0")
    with pytest.raises(UnicodeEncodeError):
        copal.Message("GET", "coap://h/\udc00")


def test_a_copy_may_be_changed():
    m = copal.Message("GET", "coap://h/a", etag=b"x")
    c = m.copy()
    c.path = ("b",)
    assert m.path == ("a",) and c.path == ("b",) and c.etag == b"x"


def answered(pair, problem, code=copal.CONFLICT):
    _, server, client = pair
    if problem is not None:
        server.serve("/t", lambda req: copal.Response(code=code, problem=problem))
    return client.get("coap://server/t")


def test_a_problem_says_what_went_wrong(pair):
    made = copal.Problem(
        "taken", "try the 4th", "/log/7", copal.CONFLICT, "coap://h", "en-GB", "ltr", options=[9, 21],
        entries={4711: {0: "x"}, "tag:a": {"b": [1, 2]}, -20: True},
    )  # fmt: skip
    r = answered(pair, made)
    assert r.format == copal.PROBLEM and r.problem == made
    assert str(r.problem) == "taken: try the 4th"
    with pytest.raises(copal.ResponseError, match="4.09 Conflict: coap://server/t: taken: try the 4th"):
        r.check()


def test_a_problem_may_be_a_title_or_a_dict(pair):
    assert answered(pair, "taken").problem == copal.Problem("taken")
    pair[1].unserve("/t")
    made = {"detail": "ש", "detail_lang": "he", "detail_direction": "rtl", "options": [9]}
    assert answered(pair, made).problem == copal.Problem(**made)


@pytest.mark.parametrize(
    "problem, error, what",
    [
        ({}, ValueError, "title"),
        ({"title": 7}, ValueError, "title"),
        ({"titel": "t"}, TypeError, "titel"),
        ({"title": "t", "title_lang": "?"}, ValueError, "languages"),
        ({"title": "t", "base_direction": "up"}, ValueError, "direction"),
        ({"title": "t", "response_code": 132}, ValueError, "response_code"),
        ({"entries": {5: 1}}, ValueError, "dicts"),
        (7, TypeError, "dict"),
    ],
)
def test_what_is_no_problem_is_not_made(pair, problem, error, what):
    m = pair[2].message(copal.BAD_REQUEST)
    m.payload = "as it was"
    with pytest.raises(error, match=what):
        m.problem = problem
    assert m.text == "as it was" and m.format == copal.TEXT and m.problem is None


def test_a_problem_is_returned_as_a_body(pair):
    _, server, client = pair
    made = copal.Problem("too hot", detail="40 at most")
    given = {
        "pair": (copal.BAD_REQUEST, made),
        "triple": (copal.BAD_REQUEST, {"title": "too hot", "detail": "40 at most"}, copal.PROBLEM),
        "response": copal.Response(made, copal.BAD_REQUEST, max_age=5),
        "numbers": (copal.BAD_REQUEST, {-1: "too hot", -2: "40 at most"}, copal.PROBLEM),
    }
    for name, answer in given.items():
        server.serve("/" + name, lambda req, answer=answer: answer)
        r = client.get("coap://server/" + name)
        assert (name, r.code, r.problem) == (name, copal.BAD_REQUEST, made)
    server.serve("/sink", put=lambda req: req.problem.title)
    assert client.put("coap://server/sink", made).text == "too hot"


def test_a_problem_is_no_success(pair):
    sim, server, client = pair
    reported = []
    sim._loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    server.serve("/t", lambda req: copal.Problem("too hot"))
    assert client.get("coap://server/t").code == copal.INTERNAL_ERROR
    assert "needs a code" in str(reported[0])


def test_errors_about_messages_say_what_to_do(pair):
    _, _, client = pair
    with pytest.raises(copal.Invalid, match="^resume: .* multiple of 16$"):
        client.put("coap://server/t", bytes(4000), resume=10)
    with pytest.raises(copal.Invalid, match="^q_block: 7 is out of range, 0 to 1$"):
        client.get("coap://server/t", q_block=7)
    m = client.message("GET", "coap://server/t")
    with pytest.raises(copal.Invalid, match="ETag"):
        m.add("ETag", b"too long for one")


def test_an_interface_is_named_wherever_there_is_one(pair):
    _, _, client = pair
    with pytest.raises(copal.Error, match="nosuch0: this host has no such network interface") as e:
        client.get("coap://server/t", interface="nosuch0")
    assert e.value.name == "ENOENT"
    with pytest.raises(copal.Error, match="nosuch0"):
        client.tune(interface="nosuch0")
    with copal.BlockingEndpoint() as real:
        for name, _ in real.interfaces[-1:]:
            real.message("GET", "coap://localhost/t", interface=name)
            real.tune(interface=name)
            copal.BlockingEndpoint(interface=name).close()


def test_links_are_joined_to_who_told_them(pair):
    _, server, client = pair
    server.serve("/name", lambda req: "x", rt="name")
    (link,) = client.get("coap://server/.well-known/core").links(rt="name")
    assert (link.href, link.uri) == ("/name", "coap://server/name")
    m = client.message("POST", "coap://server/rd", '<t>,<coap://[::1]/x>;rt="a",<//b/c>', format="link")
    assert [k.uri for k in m.links()] == ["coap://server/t", "coap://[::1]/x", "coap://b/c"]
    assert [k.uri for k in server.links(rt="name")] == ["/name"]


def test_a_problem_needs_a_code():
    with pytest.raises(TypeError, match="needs a code"):
        copal.Response(problem="t")


def test_what_is_no_problem_is_not_taken_for_one(pair):
    _, server, client = pair
    server.serve("/t", lambda req: copal.Response(b"\xa0", copal.BAD_REQUEST, format=copal.PROBLEM))
    r = client.get("coap://server/t")
    assert r.problem is None
    with pytest.raises(copal.ResponseError, match="4.00"):
        r.check()


def test_a_datagram_becomes_a_message_as_if_received():
    m = copal.decode(b"\x41\x01\x12\x34\xab\xb1t\xffx")
    assert (m.type, m.code, m.mid, m.token, m.path, m.payload) == ("CON", copal.GET, 0x1234, b"\xab", ("t",), b"x")
    assert not m.remote
    with pytest.raises(copal.Error) as told:
        m.add("ETag", b"x")
    assert told.value.name == "ESTATE"


def test_what_is_malformed_is_told_with_the_byte_where():
    with pytest.raises(copal.Error, match="byte 4: a payload marker") as told:
        copal.decode(b"\x40\x01\x00\x01\xff")
    assert told.value.name == "EFORMAT"
    with pytest.raises(TypeError):
        copal.decode("text")  # type: ignore[arg-type]
