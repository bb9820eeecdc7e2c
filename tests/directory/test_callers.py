"""Who may ask for decisions: applications by secret and by client certificate, auditors by session; and AuthZEN's words."""
import hashlib
import ssl

import pytest

from api import SECRET
from world import make_certificates, run

RECORD = {"type": "record", "id": "O20240115000001"}
QUESTION = {"subject": {"type": "user", "id": "chen"}, "action": {"name": "record.view"}, "resource": RECORD}
EVALUATION = "/access/v1/evaluation"


@pytest.fixture(scope="module")
def portal(gateway):
    api = gateway.api()
    api.token = SECRET
    return api


def client_certificate(world, folder, name):
    """(certificate, key) signed by the world's CA."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-CA", f"{world.tls}/ca.pem", "-CAkey", f"{world.tls}/ca.key", "-keyout", key, "-out", certificate,
        "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth")
    return str(certificate), str(key)


def digest_of(certificate):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(certificate).read())).hexdigest()


def test_an_application_asks_with_its_secret(portal):
    answer = portal.post(EVALUATION, QUESTION)
    assert answer.status == 200 and answer.json == {"decision": True}
    assert answer.headers["Content-Type"] == "application/json"


def test_nobody_else_does(gateway):
    for token in (None, "portal secret 2025", "x", gateway.signed_in("chen").token):
        answer = gateway.api().post(EVALUATION, QUESTION, token=token)
        assert answer.status == 401 and "WWW-Authenticate" in answer.headers, token


def test_a_disabled_application_or_one_without_permission_does_not(world, gateway, portal):
    for attribute, value, back in (("scfState", "disabled", "active"), ("scfPermission", "sing", "decide")):
        world.set_values(world.application("portal"), attribute, value)
        try:
            for _ in range(200):
                answer = portal.post(EVALUATION, QUESTION)
                if answer.status != 200:
                    break
            assert answer.status == 401
        finally:
            world.set_values(world.application("portal"), attribute, back)
    for _ in range(200):
        if portal.post(EVALUATION, QUESTION).status == 200:
            return
    raise AssertionError("it does not come back")


def test_a_client_certificate_that_an_entry_names_is_an_application(world, gateway, tmp_path):
    pair = client_certificate(world, tmp_path, "portal-client")
    assert gateway.api(cert=pair).post(EVALUATION, QUESTION).status == 401  # signed by the CA, named by nobody
    world.set_values(world.application("portal"), "scfCertificateDigest", digest_of(pair[0]))
    try:
        for _ in range(200):
            answer = gateway.api(cert=pair).post(EVALUATION, QUESTION)
            if answer.status == 200:
                break
        assert answer.status == 200 and answer.json["decision"] is True
    finally:
        world.set_values(world.application("portal"), "scfCertificateDigest")


def test_a_certificate_of_another_ca_is_nobody(world, gateway, tmp_path):
    other = make_certificates(tmp_path / "other")
    world.set_values(world.application("portal"), "scfCertificateDigest", digest_of(other / "server.pem"))
    try:
        with pytest.raises((ssl.SSLError, OSError, AssertionError)):
            answer = gateway.api(cert=(str(other / "server.pem"), str(other / "server.key"))).post(EVALUATION, QUESTION)
            assert answer.status == 200, "refused, as it must be"
    finally:
        world.set_values(world.application("portal"), "scfCertificateDigest")


@pytest.mark.parametrize("change, status", [
    ({"subject": None}, 400), ({"action": None}, 400), ({"resource": None}, 400),
    ({"subject": {"type": "user"}}, 400), ({"subject": {"id": "chen"}}, 400), ({"subject": "chen"}, 400),
    ({"action": {}}, 400), ({"action": {"name": 1}}, 400), ({"resource": {"type": "record"}}, 400),
    ({"subject": {"type": "user", "id": 7}}, 400), ({"context": "x"}, 400),
    ({"unknown": {"deep": [1, 2]}}, 200), ({"context": {"time": "now"}}, 200),
    ({"subject": {"type": "user", "id": "chen", "properties": {"department": "x"}}}, 200),
])
def test_authzen_takes_what_it_must_and_ignores_what_it_may(portal, change, status):
    question = {k: v for k, v in {**QUESTION, **change}.items() if v is not None}
    assert portal.post(EVALUATION, question).status == status


@pytest.mark.parametrize("question", [
    {**QUESTION, "subject": {"type": "user", "id": "nobody-such"}},
    {**QUESTION, "subject": {"type": "robot", "id": "chen"}},
    {**QUESTION, "resource": {"type": "record", "id": "O20990101000001"}},
    {**QUESTION, "resource": {"type": "spaceship", "id": "O20240115000001"}},
    {**QUESTION, "action": {"name": "record.burn"}},
    {**QUESTION, "resource": {"type": "record", "id": "*)(objectClass=*"}},
])
def test_what_is_unknown_is_a_deny_and_no_error(portal, question):
    answer = portal.post(EVALUATION, question)
    assert answer.status == 200 and answer.json["decision"] is False


@pytest.mark.parametrize("body, headers, status", [
    ("[]", {"Content-Type": "application/json"}, 400), ("", {"Content-Type": "application/json"}, 400),
    ('{"subject":{},"subject":{}}', {"Content-Type": "application/json"}, 400), ("{}", {"Content-Type": "text/plain"}, 400),
    ('{"subject":{"type":"user","id":"\\ud800"}}', {"Content-Type": "application/json"}, 400),
    (b'{"subject":"\xff"}', {"Content-Type": "application/json"}, 400),
])
def test_json_that_is_none_is_400(portal, body, headers, status):
    assert portal.post(EVALUATION, body, headers=headers).status == status


def test_request_ids_are_echoed_or_made(portal):
    assert portal.post(EVALUATION, QUESTION, headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    made = portal.post(EVALUATION, QUESTION, headers={"X-Request-ID": "a b\u00e9"}).headers["X-Request-ID"]
    assert made and made != "a b\u00e9"


def test_explanations_are_for_applications_and_auditors(gateway, portal):
    body = {"subject": "okafor", "action": "record.view", "resource": RECORD}
    assert portal.post("/v1/explain", body).json["decision"] is True
    said = gateway.signed_in("audit1").post("/v1/explain", body)
    assert said.status == 200 and any(path["open"] for path in said.json["paths"])
    for user in ("chen", "rivera", "desk1", "outsider"):
        answer = gateway.signed_in(user).post("/v1/explain", body)
        assert answer.status == 403 and answer.reason == "not_auditor"
    assert gateway.api().post("/v1/explain", body).status == 401
    assert portal.post("/v1/explain", {**body, "verbose": True}).status == 400
    assert portal.post("/v1/explain", {"subject": "okafor", "action": "record.burn", "resource": RECORD}).status == 400


def test_every_decision_is_audited_with_what_it_rests_on(gateway, portal):
    portal.post(EVALUATION, {**QUESTION, "subject": {"type": "user", "id": "okafor"}}, headers={"X-Request-ID": "audited-1"})
    portal.post(EVALUATION, {**QUESTION, "subject": {"type": "user", "id": "novak"}}, headers={"X-Request-ID": "audited-2"})
    lines = {line["request_id"]: line for line in gateway.audit_lines() if "request_id" in line}
    permit, deny = lines["audited-1"], lines["audited-2"]
    assert (permit["outcome"], permit["reason"], permit["actor"], permit["application"]) == ("permit", "ok", "okafor", "portal")
    assert (permit["association"], permit["consent"], permit["employer"], permit["provider"]) == \
        ("a-okafor-meridian", "c-lakeside-meridian", "meridian", "lakeside")
    assert (deny["outcome"], deny["reason"], deny["association"]) == ("deny", "no_consent", "a-novak-harbor")
    assert permit["revision"] and permit["time"].endswith("Z")
