"""Attack classes 26–35: sizes, spoofed headers, addresses, agents, paths, smuggling, log injection. The number in a test's
name is the class's."""
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from api import PASSWORD, raw
from gateway import Gateway

RECORD = "/v1/records/O20240115000001"
FORWARD = {"X-Original-Method": "GET", "X-Original-URI": "/enrollments/O20240115000001"}


def status_of(data):
    """The status of the first answer in raw bytes; 0 if there is none. The second value: how many answers there are."""
    found = re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)
    return (int(found[0]) if found else 0), len(found)


@pytest.fixture(scope="module")
def chen(gateway):
    return gateway.signed_in("chen")


def test_25_deep_json_is_refused(gateway):
    body = '{"username":' * 50000
    answer = gateway.api().post("/v1/login", body, headers={"Content-Type": "application/json"}, token=None)
    assert answer.status == 400
    answer = gateway.api().post("/v1/login", '{"a":' + "[" * 100000 + "]" * 100000 + "}", headers={"Content-Type": "application/json"})
    assert answer.status == 400


def test_26_long_bodies_and_passwords_are_refused_unread(gateway):
    huge = json.dumps({"username": "chen", "password": "x" * (10 << 20)})
    head = ("POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(huge)).encode()
    got = raw(gateway.port, gateway.ca, head + huge[:65536].encode())
    assert status_of(got) == (413, 1)
    chunked = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert status_of(raw(gateway.port, gateway.ca, chunked + piece * 40))[0] in (413, 0)
    assert gateway.api().login("chen", "x" * 4000).status in (400, 401)
    got = raw(gateway.port, gateway.ca, b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"y" * 60000 + b"\r\n\r\n")
    assert status_of(got)[0] in (431, 413, 400)
    assert gateway.api().login("chen").status == 200


def test_27_identity_headers_of_a_client_mean_nothing(gateway, chen):
    spoof = {"Remote-User": "rivera", "Scfgate-Provider": "patel-md", "Scfgate-Employer": "meridian", "Scfgate-Path": "x", "Scfgate-Revision": "y"}
    assert gateway.api().get(RECORD, headers=spoof).status == 401
    answer = chen.get("/auth/nginx", headers={**FORWARD, **spoof})
    if answer.status == 200:
        assert answer.headers["Remote-User"] == "chen" and answer.headers["Scfgate-Provider"] == "lakeside"
    else:
        assert answer.status in (400, 403)
    assert chen.get("/v1/me", headers=spoof).status in (200, 400)


def test_27_every_permit_sets_every_identity_header(chen):
    answer = chen.get("/auth/nginx", headers=FORWARD)
    assert answer.status == 200
    for name in ("Remote-User", "Scfgate-Provider", "Scfgate-Employer", "Scfgate-Path", "Scfgate-Revision"):
        assert len(answer.headers.get_all(name)) == 1, name


@pytest.mark.parametrize("lines", [
    b"X_Original_URI: /enrollments/O20240115000001\r\nX-Original-URI: /enrollments/O20240115000002\r\nX-Original-Method: GET\r\n",
    b"X-Original-URI: /enrollments/O20240115000001\r\nX-Original-URI: /enrollments/O20240115000002\r\nX-Original-Method: GET\r\n",
    b"X-Original-URI: /enrollments/O20240115000001\r\nX-Original-Method: GET\r\nx-original-method: PUT\r\n",
    b"X-Original-URI: /enrollments/O20240115000001\r\nX-Original_Method: GET\r\n",
    b"X-Original-URI: /enrollments/O20240115000001, /x\r\nX-Original-Method: GET\r\n",
    b"X-Original-URI: /enrollments/O20240115000001\r\nX-Original-Method: GET\r\nAuthorization: Bearer x\r\n",
    b"X-Original-URI: /enrollments/O20240115000001\r\nX-Original-Method: GET\r\nRemote_User: rivera\r\n",
    b"X-Original-URI: /enrollments/O20240115000001\r\n",
    b"X-Original-Method: GET\r\n",
])
def test_28_doubled_missing_and_underscored_headers_deny(gateway, chen, lines):
    got = raw(gateway.port, gateway.ca, b"GET /auth/nginx HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "
              + chen.token.encode() + b"\r\n" + lines + b"\r\n")
    assert status_of(got)[0] in (400, 401, 403)


def test_29_forward_authorization_only_answers_its_peers(world):
    with Gateway(world, {"http.peers": ["127.0.0.9/32"]}) as g:
        chen = g.signed_in("chen")
        assert chen.get("/auth/nginx", headers=FORWARD).status == 403
        peer = g.api(source="127.0.0.9")
        assert peer.get("/auth/nginx", headers=FORWARD, token=chen.token).status == 200
        for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Method", "X-HTTP-Method-Override"):
            answer = peer.get("/auth/nginx", headers={"X-Original-Method": "DELETE", "X-Original-URI": "/secret", name: "/enrollments/O20240115000001"},
                              token=chen.token)
            assert answer.status == 403, name


def test_30_an_address_in_a_header_is_not_the_clients_address(world):
    with Gateway(world, {"sign_in.guesses_per_address": 5, "http.peers": ["10.0.0.1/32"]}) as g:
        for n in range(12):
            api = g.api(source="127.0.0.60")
            answer = api.post("/v1/login", {"username": f"name{n}", "password": "wrong wrong wrong"}, token=None,
                              headers={"X-Forwarded-For": f"10.0.0.{n}", "X-Real-IP": f"10.0.0.{n}", "Forwarded": f"for=10.0.0.{n}"})
        assert answer.status == 429
        token = g.signed_in("chen").token
        assert g.api().get("/auth/nginx", token=token, headers={**FORWARD, "X-Forwarded-For": "10.0.0.1"}).status == 403


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "DELETE", "PATCH"])
def test_31_no_method_agent_or_override_opens_a_door(gateway, method):
    got = raw(gateway.port, gateway.ca, f"{method} {RECORD} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: GoogleHC/1.0\r\n"
              "X-HTTP-Method-Override: GET\r\n\r\n".encode())
    assert status_of(got)[0] in (400, 401, 404, 405, 501, 0), got[:200]
    for path in ("/ping/../v1/me", "/health/../v1/me", "/robots.txt", "/v1/me?x=/ping", "/auth/nginx/ping"):
        assert gateway.api().get(path, headers={"User-Agent": "GoogleHC/1.0"}).status in (400, 401, 403, 404), path


HOSTILE = ["/x/../enrollments/O20240115000001", "/%2e%2e/enrollments/O20240115000001", "/enrollments/%2e%2e%2fO20240115000001",
           "//enrollments/O20240115000001", "/enrollments//O20240115000001", "/enrollments/O20240115000001;a",
           "/enrollments\\O20240115000001", "/enrollments/O20240115000001%00", "/enrollments/O20240115000001%2f",
           "/enrollments/O20240115000001#f", "/enrollments/O20240115000001/.", "/enrollments/O20240115000001.",
           "/enrollments/O20240115000001/", "/ENROLLMENTS/O20240115000001", "/enrollments/%c0%afO20240115000001",
           "/enrollments/%252e%252e/O20240115000001", "/enrollments/o20240115000001", "enrollments/O20240115000001",
           "http://localhost/enrollments/O20240115000001", "*", "/enrollments/O20240115000001%", "/enrollments/O20240115000001%4",
           "/enrollments/O20240115000001%zz", "/enrollments/O20240115000001%0d%0aX: y", "/enrollments/O2024011500000%31%00"]


@pytest.mark.parametrize("target", HOSTILE)
def test_32_paths_that_are_not_canonical_are_refused(gateway, chen, target):
    headers = {"X-Original-Method": "GET", "X-Original-URI": target}
    assert chen.get("/auth/nginx", headers=headers).status in (400, 403)
    own = target.replace("/enrollments/", "/v1/records/").replace("\\", "\\")
    got = raw(gateway.port, gateway.ca, f"GET {own} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {chen.token}\r\n\r\n".encode())
    assert status_of(got)[0] in (400, 404, 0), (own, got[:200])
    assert b"legal_business_name" not in got


@pytest.mark.parametrize("target", [b"/enrollments/O20240115000001\x80", b"/enrollments/\xff\xfe", b"/enrollments/O20240115000001 x",
                                    b"/enrollments/O2024\t0115000001", b"\xe2\x82/enrollments/O20240115000001", b"/enrollments/\x01"])
def test_33_bytes_that_are_no_uri_never_pass(gateway, chen, target):
    got = raw(gateway.port, gateway.ca, b"GET /auth/nginx HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "
              + chen.token.encode() + b"\r\nX-Original-Method: GET\r\nX-Original-URI: " + target + b"\r\n\r\n")
    assert status_of(got)[0] in (400, 403), got[:200]


SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("request_", [
    HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(SMUGGLED)) + SMUGGLED,
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    HEAD + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    HEAD + b"Content-Length: 0, 0\r\n\r\n" + SMUGGLED,
    HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
    b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n" + SMUGGLED,
    b"GET /v1/me HTTP/1.1\r\n\r\n" + SMUGGLED,
    b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n" + SMUGGLED,
    b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n" + SMUGGLED,
    b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\0b\r\n\r\n" + SMUGGLED,
], ids=range(14))
def test_34_a_request_in_a_request_is_never_answered(gateway, request_):
    """One error, and the connection ends: what stands behind it is never read as a request of its own. (The library sends
    the head of its own error pages twice over TLS; it is the same error, and the end of the connection.)"""
    got = raw(gateway.port, gateway.ca, request_, timeout=1.5)
    statuses = set(re.findall(rb"HTTP/1\.[01] (\d{3}) ", got))
    assert len(statuses) <= 1 and got.count(b"application/problem+json") <= 1, got
    assert not statuses or 400 <= int(statuses.pop()) < 600
    assert b"smuggled" not in got


def test_34_bare_line_feeds_and_folding_do_not_confuse_identity(gateway, chen):
    token = chen.token.encode()
    for data in (b"GET /v1/me HTTP/1.1\nHost: localhost\nConnection: close\nAuthorization: Bearer " + token + b"\n\n",
                 b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-A: b\r\n Authorization: Bearer " + token + b"\r\n\r\n"):
        assert status_of(raw(gateway.port, gateway.ca, data, timeout=1.5))[0] in (0, 200, 400, 401)


def test_35_what_a_stranger_says_stays_one_line(gateway):
    name = 'a\r\nEvent: login ok\n{"class":"sign_in","actor":"rivera","outcome":"ok"}\u2028\x1b[31m"}'
    gateway.api(source="127.0.0.70").login(name)
    gateway.api().get("/v1/me", headers={"X-Request-ID": "a%0d%0ab", "User-Agent": "x\"}y"})
    lines = gateway.audit.read_text().split("\n")
    assert lines[-1] == ""
    parsed = [json.loads(line) for line in lines[:-1]]
    assert [p["seq"] for p in parsed] == list(range(parsed[0]["seq"], parsed[0]["seq"] + len(parsed)))
    mine = [p for p in parsed if p.get("address") == "127.0.0.70"]
    assert len(mine) == 1 and mine[0]["class"] == "sign_in" and mine[0]["outcome"] != "ok" and "actor" not in mine[0]
    assert "\x1b" not in gateway.log.read_text(errors="replace")


def test_no_secret_is_ever_written_down(gateway, chen):
    gateway.api(source="127.0.0.71").login("chen", "a wrong passphrase to look for")
    gateway.api(source="127.0.0.71").login("A passphrase in the wrong field", "x")
    everything = gateway.audit.read_text() + gateway.log.read_text(errors="replace") + gateway.operations("/metrics")[1]
    for secret in (PASSWORD, "a wrong passphrase to look for", "passphrase in the wrong field", chen.token, gateway.world.password("gateway")):
        assert secret not in everything


def test_slow_and_idle_connections_do_not_starve_others(world):
    with Gateway(world, {"http.idle_seconds": 5}) as g:
        idle = []
        for n in range(300):
            s = socket.create_connection(("127.0.0.1", g.port))
            s.sendall(b"\x16\x03\x01")  # the beginning of a handshake that never goes on
            idle.append(s)
        begun = time.monotonic()
        assert g.signed_in("chen").get(RECORD).status == 200
        assert time.monotonic() - begun < 5
        for s in idle:
            s.close()


def cpu_seconds(process):
    fields = open(f"/proc/{process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_flight(gateway):
    """What a client says first in TLS."""
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=gateway.ca)
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(heard, said, server_hostname="localhost").do_handshake()
    return said.read()


@pytest.mark.parametrize("part", ["header", "half", "whole"])
def test_who_stops_in_his_handshake_keeps_no_processor_busy(gateway, part):
    """libmicrohttpd alone spins there: one connection of a stranger costs a processor."""
    flight = first_flight(gateway)
    with socket.create_connection(("127.0.0.1", gateway.port)) as s:
        s.sendall(flight[:{"header": 3, "half": len(flight) // 2, "whole": len(flight)}[part]])
        time.sleep(0.1)
        busy, begun = cpu_seconds(gateway.process), time.monotonic()
        time.sleep(0.8)
        assert cpu_seconds(gateway.process) - busy < (time.monotonic() - begun) / 5


def spoken(gateway):
    """A connection whose TLS records are made by hand: its socket, and its session with what is said and heard."""
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=gateway.ca).wrap_bio(heard, said, server_hostname="localhost")
    s = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    while True:
        try:
            tls.do_handshake()
            s.sendall(said.read())
            return s, tls, said, heard
        except ssl.SSLWantReadError:
            s.sendall(said.read())
            heard.write(s.recv(65536))


def hear(s, tls, heard):
    """What is answered next."""
    while True:
        try:
            return tls.read(65536)
        except ssl.SSLWantReadError:
            heard.write(s.recv(65536))


def test_a_head_in_tiny_records_is_read_at_once(gateway):
    """Many records come with one read of the socket; the turns that follow find them without it."""
    s, tls, said, heard = spoken(gateway)
    for byte in b"GET /v1/help HTTP/1.1\r\nHost: localhost\r\n\r\n":
        tls.write(bytes([byte]))
    begun = time.monotonic()
    s.sendall(said.read())
    assert status_of(hear(s, tls, heard))[0] == 200
    assert time.monotonic() - begun < 0.5
    s.close()


def test_what_follows_a_request_does_not_take_its_answer(gateway, chen):
    """The connection is closed in the turn that the decision was made in."""
    asked = "".join(f"{name}: {value}\r\n" for name, value in FORWARD.items())
    request_ = f"GET /auth/nginx HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {chen.token}\r\n{asked}\r\n"
    assert status_of(raw(gateway.port, gateway.ca, request_.encode() + b"NONSENSE\r\n\r\n")) == (200, 1)


@pytest.mark.parametrize("notice", [False, True])
def test_who_has_said_all_gets_his_answer(gateway, notice):
    """He closes his half behind the request, with or without a word of TLS, and the answer takes its time."""
    s, tls, said, heard = spoken(gateway)
    body = b'{"username":"nobody.of.that.name","password":"a wrong passphrase"}'
    tls.write(b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              b"Content-Length: %d\r\n\r\n" % len(body) + body)
    if notice:
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
    s.sendall(said.read())
    s.shutdown(socket.SHUT_WR)
    got = b""
    while piece := s.recv(65536):
        heard.write(piece)
    with contextlib.suppress(ssl.SSLError):
        while piece := tls.read(65536):
            got += piece
    assert status_of(got) == (401, 1)
    s.close()


def test_a_handshake_waits_for_no_acknowledgement(gateway):
    """A flight is several small writes: with Nagle's algorithm the client's delayed acknowledgement costs 40 ms."""
    def one():
        begun = time.monotonic()
        spoken(gateway)[0].close()
        return time.monotonic() - begun
    assert min(one() for _ in range(10)) < 0.02


def test_a_handshake_takes_one_round_trip(gateway):
    """OpenSSL, and with it nginx, guesses X25519; a server that prefers another group makes it say hello again."""
    said = subprocess.run(["openssl", "s_client", "-msg", "-connect", f"127.0.0.1:{gateway.port}", "-CAfile", gateway.ca],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stdout
    assert said.count("ClientHello") == 1 and said.count("ServerHello") == 1


def test_what_has_come_before_the_end_is_answered(world):
    """The gateway is told to end while requests lie unread in its sockets."""
    with Gateway(world) as g:
        clients = [g.signed_in("chen") for _ in range(12)]
        g.process.send_signal(signal.SIGSTOP)
        for api in clients:
            api.connection.request("GET", RECORD, headers={"Authorization": "Bearer " + api.token})
        g.process.send_signal(signal.SIGTERM)
        g.process.send_signal(signal.SIGCONT)
        for api in clients:
            assert api.connection.getresponse().status == 200


def test_a_request_without_host_is_answered_once(gateway):
    """libmicrohttpd's own refusal has its head twice."""
    got = raw(gateway.port, gateway.ca, b"GET /v1/help HTTP/1.1\r\n\r\n")
    assert status_of(got) == (400, 1) and json.loads(got.partition(b"\r\n\r\n")[2])["reason"] == "malformed_request"
