"""Running it: checks of the configuration, reload, drain, limits, health, and an audit log that cannot be written."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from api import raw
from gateway import Gateway
from world import run

RECORD = "/v1/records/O20240115000001"


def wait_log(gateway, event, count=1, seconds=5):
    deadline = time.monotonic() + seconds
    while gateway.log.read_text(errors="replace").count(f" {event} ") < count:
        assert time.monotonic() < deadline, gateway.log.read_text(errors="replace")[-2000:]
        time.sleep(0.01)


def served_certificate(gateway):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as plain, context.wrap_socket(plain) as tls:
        return tls.getpeercert(True)


def test_n_and_t_say_what_is_wrong(world, gateway, tmp_path):
    fine = gateway.run("-n", "-c", gateway.file)
    assert (fine.returncode, fine.stderr) == (0, ""), fine
    checked = gateway.run("-t", "-c", gateway.file)
    assert checked.returncode == 0, checked
    assert re.match(r"scfgated \d+\.\d+", gateway.run("-V").stdout)
    text, tls = gateway.file.read_text(), world.tls
    run("openssl", "req", "-new", "-key", f"{tls}/server.key", "-subj", "/CN=localhost", "-out", tmp_path / "old.csr")
    run("openssl", "x509", "-req", "-in", tmp_path / "old.csr", "-signkey", f"{tls}/server.key", "-days", "-1", "-out",
        tmp_path / "old.pem")
    for change, says in (
            (("http : {", "http : {\n  prot = 1;"), r"scfgate\.conf:\d+: 'http\.prot' is not a setting"),
            (("heartbeat_ms = 100", "heartbeat_ms = \"often\""), r"scfgate\.conf:\d+: replica\.heartbeat_ms must be a whole number"),
            (("server.pem", "missing.pem"), r"missing\.pem: .*No such file or directory"),
            ((f"{tls}/server.pem", f"{tmp_path}/old.pem"), r"old\.pem: .*expired"),
            (("server.key", "ca.key"), r"(?i)key|certificate"),
            (("conf/forms", "conf/nothing"), r"conf/nothing"),
            (("conf/consent.txt", "conf/nothing.txt"), r"conf/nothing\.txt"),
            (("conf/help.json", "conf/nothing.json"), r"help\.topics: .*conf/nothing\.json"),
    ):
        assert change[0] in text, change
        bad = tmp_path / "scfgate.conf"
        bad.write_text(text.replace(*change))
        done = gateway.run("-n", "-c", bad)
        assert done.returncode == 1 and re.search(says, done.stderr), done
    bad.write_text(text.replace(world.gateway_dn, f"cn=decoy,ou=services,{world.suffix}"))
    assert gateway.run("-t", "-c", bad).returncode in (1, 2)
    bad.write_text(text.replace("gateway.password", "missing.password"))
    done = gateway.run("-t", "-c", bad)
    assert done.returncode == 2 and re.search(r'missing\.password error="No such file', done.stderr), done
    bad.write_text(text.replace(world.ldapi, "ldapi://%2Fnonexistent%2Fldapi"))
    assert gateway.run("-t", "-c", bad).returncode == 2
    absent = gateway.run("-c", "/nonexistent/scfgate.conf", "-n")
    assert absent.returncode == 1 and "/nonexistent/scfgate.conf: No such file or directory" in absent.stderr, absent
    folder = gateway.run("-c", tmp_path, "-n")
    assert folder.returncode == 1 and f"{tmp_path}: Is a directory" in folder.stderr, folder
    assert gateway.run("--no-such-option").returncode == 1
    assert gateway.run("--help").stdout.startswith("usage: ") and gateway.run("-h").returncode == 0


def test_hup_takes_a_good_file_whole_and_a_bad_one_not_at_all(world, tmp_path):
    with Gateway(world) as g:
        chen = g.signed_in("chen")
        before = served_certificate(g)
        # Good: another certificate of the same CA, and fewer bytes of body.
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9", "-subj", "/CN=localhost",
            "-CA", f"{world.tls}/ca.pem", "-CAkey", f"{world.tls}/ca.key", "-keyout", tmp_path / "new.key", "-out", tmp_path / "new.pem",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
        g.write(http__certificate=tmp_path / "new.pem", http__key=tmp_path / "new.key", http__body_bytes=2048)
        g.hup()
        wait_log(g, "reload.done")
        after = served_certificate(g)
        assert after != before
        assert chen.get(RECORD).status == 200  # open connections go on
        assert g.api().post("/v1/login", {"username": "chen", "password": "x" * 3000}, token=None).status == 413
        # Bad in each way: nothing of it is taken, and it goes on.
        for number, change in enumerate(({"http__certificate": tmp_path / "gone.pem", "http__body_bytes": 9999},
                                         {"http__certificate": tmp_path / "new.pem", "session__idle_seconds": -1},
                                         {"session__idle_seconds": 900, "replica__max_staleness_ms": 3000},
                                         {"replica__max_staleness_ms": 2000, "http__peers": ["127.0.0.0/99"]})):
            g.write(**change)
            g.hup()
            wait_log(g, "reload.refused", number + 1)
            assert served_certificate(g) == after
            assert g.api().post("/v1/login", {"username": "chen", "password": "x" * 3000}, token=None).status == 413
        assert chen.get(RECORD).status == 200
        g.write(http__peers=["127.0.0.1/32"], http__body_bytes=65536)
        g.hup()
        wait_log(g, "reload.done", 2)
        assert g.api().post("/v1/login", {"username": "chen", "password": "x" * 3000}, token=None).status == 401


def test_many_reloads_under_load_disturb_nobody(world):
    with Gateway(world) as g:
        chen = g.signed_in("chen")
        stop, statuses = threading.Event(), []

        def ask():
            api = g.api()
            while not stop.is_set():
                statuses.append(api.get("/auth/nginx", token=chen.token,
                                        headers={"X-Original-Method": "GET", "X-Original-URI": "/enrollments/O20240115000001"}).status)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for t in threads:
            t.start()
        for number in range(20):
            g.write(http__body_bytes=4096 + number)
            g.hup()
            wait_log(g, "reload.done", number + 1)
        stop.set()
        for t in threads:
            t.join(20)
        assert set(statuses) == {200} and len(statuses) > 20


def test_term_answers_what_is_under_way_and_takes_nothing_new(world):
    with Gateway(world, {"sign_in.refusal_ms": 1000, "http.drain_seconds": 10}) as g:
        results = []
        under_way = threading.Thread(target=lambda: results.append(g.api().login("chen", "wrong wrong wrong").status))
        under_way.start()
        time.sleep(0.3)
        g.process.terminate()
        time.sleep(0.2)
        with pytest.raises(OSError):
            g.api(timeout=2).get("/v1/me")
        under_way.join(20)
        assert results == [401]
        assert g.process.wait(20) == 0


def test_one_address_is_held_to_its_rate(world):
    with Gateway(world, {"http.requests_per_second": 20}) as g:
        api = g.api(source="127.0.0.77")
        answers = [api.get("/v1/me") for _ in range(100)]
        statuses = {a.status for a in answers}
        assert statuses == {401, 429}
        assert any(int(a.headers["Retry-After"]) >= 1 for a in answers if a.status == 429)
        assert g.api(source="127.0.0.78").get("/v1/me").status == 401


def test_limits_of_head_body_and_type(gateway):
    api = gateway.api()
    head = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (2 << 20)
    assert raw(gateway.port, gateway.ca, head + b"x" * 1000).startswith(b"HTTP/1.1 413")
    assert api.post("/v1/login", "a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}).status == 415
    big = raw(gateway.port, gateway.ca, b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 800) for n in range(30)) + b"\r\n")
    assert big.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")), big[:100]
    answer = api.post("/v1/me", {})
    assert answer.status == 405 and "GET" in answer.headers["Allow"]
    assert api.get("/v1/nothing").status == 404


@pytest.mark.parametrize("body, names", [
    ({"username": "chen"}, None), ({"password": "x"}, "username"), ({"username": 7, "password": "x"}, "username"),
    ({"username": "chen", "password": ["x"]}, "password"), ({"username": "chen", "password": "x", "remember": True}, "remember"),
    ({"username": "chen", "password": "x", "cookie": "yes"}, "cookie"),
])
def test_a_wrong_field_is_named(gateway, body, names):
    answer = gateway.api(source="127.0.0.83").post("/v1/login", body, token=None)
    if names:
        assert answer.status == 400 and names in answer.json["detail"]
    else:
        assert answer.status in (400, 401)


def test_records_are_saved_only_whole_valid_and_unchanged(gateway):
    chen = gateway.signed_in("chen")
    got = chen.get(RECORD)
    etag, document = got.headers["ETag"], got.json["document"]
    assert chen.put(RECORD, document).status == 428
    for wrong in ("x", '"x"', f"W/{etag}", f'{etag}, "b"', "*"):
        assert chen.put(RECORD, document, headers={"If-Match": wrong}).status in (400, 412), wrong
    spoiled = {**document, "npi": "1234567890", "surprise": 1, "practice_locations": [{**document["practice_locations"][0], "zip": "x"}]}
    refused = chen.put(RECORD, spoiled, headers={"If-Match": etag})
    assert refused.status == 422
    pointers = {e["pointer"] for e in refused.json["errors"]}
    assert {"/npi", "/surprise", "/practice_locations/0/zip"} <= pointers
    assert all(e["rule"] for e in refused.json["errors"])
    for body in ("{", "[]", '{"a":1,"a":2}', ""):
        assert chen.put(RECORD, body, headers={"If-Match": etag, "Content-Type": "application/json"}).status in (400, 422), body
    assert chen.get(RECORD).headers["ETag"] == etag, "something was written"
    assert chen.post("/v1/organizations/lakeside/submissions", {"form": "999", "document": {}}).status in (400, 422)
    assert chen.post("/v1/organizations/lakeside/submissions", {"document": {}}).status == 400
    assert chen.post("/v1/organizations/lakeside/submissions", {"form": "855B", "document": {}, "extra": 1}).status == 400
    assert chen.get("/v1/records").status == 400


def test_an_audit_log_that_cannot_be_written_stops_everything_and_recovers(world):
    """No record, no act (docs/rules.md, edge case 17): the file's size is limited, then the limit is lifted."""
    with Gateway(world) as g:
        chen = g.signed_in("chen")
        got = chen.get(RECORD)
        assert got.status == 200
        pid = g.process.pid
        subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={g.audit.stat().st_size + 100}:unlimited"], check=True)
        for answer in (chen.get(RECORD), g.api().login("okafor"),
                       chen.put(RECORD, got.json["document"], headers={"If-Match": got.headers["ETag"]}),
                       chen.get("/auth/nginx", headers={"X-Original-Method": "GET", "X-Original-URI": "/enrollments/O20240115000001"})):
            assert answer.status == 503 and b"legal_business_name" not in answer.body, answer
        assert g.operations("/health/ready")[0] == 503
        assert "audit" in g.operations("/health/ready")[1]
        assert all(json.loads(line) for line in g.audit.read_text().splitlines())
        subprocess.run(["prlimit", f"--pid={pid}", "--fsize=unlimited:unlimited"], check=True)
        deadline = time.monotonic() + 5
        while chen.get(RECORD).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        g.wait_ready()
        after = chen.get(RECORD)
        assert after.headers["ETag"] == got.headers["ETag"], "a write happened without its record"


FORWARD = {"X-Original-Method": "GET", "X-Original-URI": "/enrollments/O20240115000001"}


def test_no_answer_leaves_before_its_record_is_written(world):
    """Decisions of one turn are recorded together, and the answers wait. If they cannot be recorded, none is given."""
    with Gateway(world) as g:
        chen = g.signed_in("chen")
        assert chen.get("/auth/nginx", headers=FORWARD).status == 200
        subprocess.run(["prlimit", f"--pid={g.process.pid}", f"--fsize={g.audit.stat().st_size + 10}:unlimited"], check=True)
        lines = "".join(f"{name}: {value}\r\n" for name, value in FORWARD.items())
        asked = f"GET /auth/nginx HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {chen.token}\r\n{lines}\r\n"
        assert raw(g.port, g.ca, asked.encode()) == b""
        assert chen.get("/auth/nginx", headers=FORWARD).status == 503
        subprocess.run(["prlimit", f"--pid={g.process.pid}", "--fsize=unlimited:unlimited"], check=True)


def test_a_decision_is_answered_at_once_whatever_was_said_on_the_connection_before(world):
    """An answer with a body leaves the socket corked; one that was held back must be pushed out of it."""
    with Gateway(world) as g:
        chen, fresh = g.signed_in("chen"), g.api()
        fresh.token = chen.token
        times = {}
        for name, api in (("after a sign-in", chen), ("fresh", fresh)):
            begun = time.monotonic()
            for _ in range(30):
                assert api.get("/auth/nginx", headers=FORWARD).status == 200
            times[name] = time.monotonic() - begun
        assert times["after a sign-in"] < 10 * times["fresh"] + 0.5, times


def test_a_killed_gateway_has_recorded_every_decision_that_it_answered(world):
    with Gateway(world) as g:
        answered, token = [], g.signed_in("chen").token

        def ask(number):
            api = g.api()
            api.token = token
            for i in range(100000):
                name = f"ask-{number}-{i}"
                try:
                    if api.get("/auth/nginx", headers={**FORWARD, "X-Request-ID": name}).status != 200:
                        return
                except (OSError, http.client.HTTPException):
                    return
                answered.append(name)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for t in threads:
            t.start()
        time.sleep(1.5)
        g.kill9()
        for t in threads:
            t.join()
        recorded = {json.loads(line).get("request_id") for line in g.audit.read_bytes().splitlines() if line.endswith(b"}")}
        assert len(answered) > 100
        assert not set(answered) - recorded


def test_health_and_metrics_say_what_goes_on(gateway):
    gateway.signed_in("chen").get(RECORD)
    status, body = gateway.operations("/health/ready")
    assert status == 200 and json.loads(body)["checks"]["replica_fresh"]["status"] == "pass"
    status, text = gateway.operations("/metrics")
    assert status == 200
    for line in text.splitlines():
        assert re.match(r"#|[a-z_]+(\{.*\})? -?[0-9.e+]+$", line), line
    assert re.search(r'scfgate_decisions_total\{action="record.view",reason="ok"\} [1-9]', text)
    assert re.search(r'scfgate_sign_ins_total\{outcome="ok"\} [1-9]', text)
    # Operators' calls are not on the door for callers, nor the other way round.
    assert gateway.api().get("/metrics").status == 404
    assert gateway.operations("/v1/me")[0] == 404


def test_it_goes_into_the_background_and_says_when_it_is_there(world, tmp_path):
    g = Gateway(world, folder=tmp_path / "gw", start=False)
    with open(tmp_path / "err", "w") as err:
        # Whoever reads its standard output does not wait for the end of the daemon.
        done = subprocess.run([g.program, "-c", g.file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, timeout=30)
    text = (tmp_path / "err").read_text()
    assert done.returncode == 0, text
    pid = int(re.search(r"pid=(\d+)", text).group(1))
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while " stop.begun " not in (tmp_path / "err").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("options", [(), ("-d",)], ids=["background", "foreground"])
def test_a_failed_start_tells_what_is_wrong_from_what_is_not_there_now(world, tmp_path, options):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for settings, result, says in (({"http.certificate": "/nonexistent.pem"}, 1, "/nonexistent.pem"),
                                       ({"http.port": taken.getsockname()[1]}, 2, "http.port")):
            g = Gateway(world, settings, folder=tmp_path / f"gw{result}", start=False)
            failed = g.run(*options, "-c", g.file)
            assert (failed.returncode, says in failed.stderr) == (result, True), failed
