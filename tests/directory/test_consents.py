"""Security Consent Forms through the door: prepared, read, signed, received on paper, decided, revoked and printed; by whom, from
which state, and what everybody else is told."""
import base64
import hashlib
import html
import re
import subprocess
import time

import ldap
import pytest
from ldap.controls import RequestControl

from gateway import Gateway
from race import until
from smtp import MailServer
from world import World, stamp

NOW = time.time()
PAST = stamp(NOW - 3600)
RECORD = "/v1/records/O20240115000001"


def consent(name, state, employer="harbor", provider="lakeside", **more):
    lines = [f"dn: scfConsentId={name},ou=consents,scfOrgId={provider},ou=organizations,@SUFFIX@",
             "objectClass: scfConsent", f"scfConsentId: {name}",
             f"scfEmployer: scfOrgId={employer},ou=organizations,@SUFFIX@",
             f"scfProvider: scfOrgId={provider},ou=organizations,@SUFFIX@", f"scfState: {state}",
             "scfRequestedBy: uid=rivera,ou=people,@SUFFIX@", f"scfRequestedAt: {stamp(NOW - 7200)}"]
    lines += [f"{key}: {value}" for key, value in more.items() if value]
    return "\n".join(lines) + "\n\n"


ACTIONS = ("sign", "receive", "withdraw", "approve", "reject", "revoke", "confirm")
# overdue: its end passed before it was signed; late: before it was decided; over: after it was approved.
STATES = {"prepared": "prepared", "overdue": "prepared", "signed": "signed", "late": "signed", "approved": "approved",
          "over": "approved", "rejected": "rejected", "withdrawn": "withdrawn", "revoked": "revoked", "expired": "expired"}
ROLES = {"official": "rivera", "desk": "desk1", "associate": "chen", "stranger": "quinn", "auditor": "audit1",
         "processor": "proc1"}


def cell(action, role, state):
    return f"t-{action}-{role}-{state}"


def table():
    # Of the suspended employer, so that what the table approves opens nothing.
    return "".join(consent(cell(action, role, state), word, "dormant", scfNotAfter=PAST if state in ("overdue", "late", "over") else None)
                   for action in ACTIONS for role in ROLES for state, word in STATES.items())


@pytest.fixture(scope="module")
def world():
    with World(extra=table()) as w:
        yield w


@pytest.fixture(scope="module")
def mails(world):
    with MailServer(world) as m:
        yield m


@pytest.fixture(scope="module")
def gateway(world, mails):
    with Gateway(world, mail=mails) as g:
        yield g


def prepare(api, provider="lakeside", employer="harbor", headers=None, **more):
    return api.post("/v1/consents", {"provider": provider, "employer": employer, **more}, headers=headers)


def act(api, what, name, body=None, **more):
    return api.post(f"/v1/consents/{name}/{what}", body or {}, **more)


def form(api, name, accept=None):
    return api.get(f"/v1/consents/{name}/form", headers={"Accept": accept} if accept else {})


def sign(api, told, **more):
    return act(api, "sign", told["id"], {"text_sha256": told["text_sha256"]}, **more)


def in_directory(world, name, provider="lakeside"):
    handle = world.admin()
    try:
        return handle.search_s(world.consent(name, provider), 0)[0][1]
    finally:
        handle.unbind_s()


def without_request_id(answer):
    return answer.status, {k: v for k, v in answer.json.items() if k != "request_id"}


# ---- the table: every action × every role × every state ----

def expected(action, role, state):
    """What docs/rules.md §2 and §3 say."""
    if role in ("stranger", "auditor", "processor"):
        return {(404, "not_found")}
    official = action in ("sign", "withdraw", "confirm")
    if role != ("official" if official else "desk"):
        return {(403, "not_authorized_official" if official else "not_help_desk")}
    decided, over = {(409, "already_decided")}, {(403, "consent_expired"), (409, "already_decided")}
    fine = {(200, "ok")}
    word = STATES[state]
    if action in ("sign", "receive"):
        return over if state == "overdue" else fine if state == "prepared" else decided
    if action == "approve":
        return over if state == "late" else fine if state == "signed" else decided
    starts = {"withdraw": ("prepared", "signed"), "reject": ("signed",), "revoke": ("approved",), "confirm": ("approved",)}
    if state in ("overdue", "late", "over") and word in starts[action]:
        # Taking away is never late; but whoever was marked meanwhile is expired. To confirm what is over is of no use.
        return fine | over
    return fine if word in starts[action] else decided


@pytest.mark.parametrize("action", ACTIONS)
def test_every_role_may_in_every_state_what_the_rule_says_and_nothing_else(world, as_, action):
    becomes = {"sign": "signed", "receive": "signed", "withdraw": "withdrawn", "approve": "approved", "reject": "rejected",
               "revoke": "revoked", "confirm": "approved"}
    for role, uid in ROLES.items():
        for state, was in STATES.items():
            name, body = cell(action, role, state), {"reason": "as the table says"}
            if action == "sign":
                body = {"text_sha256": as_["rivera"].get(f"/v1/consents/{name}").json["text_sha256"]}
            answer = act(as_[uid], action, name, body)
            told = (answer.status, "ok" if answer.status == 200 else answer.reason)
            assert told in expected(action, role, state), (action, role, state, answer)
            now = in_directory(world, name)["scfState"][0].decode()
            if answer.status == 200:
                assert now in (becomes[action], "expired"), (action, role, state, now)
                assert answer.headers["ETag"] == f'"{answer.json["revision"]}"'
            else:
                assert now in (was, "expired" if state in ("over", "late", "overdue") else was), (action, role, state, now)


# ---- the whole way ----

def test_from_the_prepared_form_to_a_record_seen_and_no_more(world, gateway, mails, as_):
    rivera, desk, novak = as_["rivera"], as_["desk1"], as_["novak"]
    assert (novak.get(RECORD).status, novak.get(RECORD).reason) == (403, "no_consent")
    made = prepare(rivera)
    assert made.status == 201, made
    told = made.json
    assert made.headers["Location"] == f"/v1/consents/{told['id']}"
    assert told["state"] == "prepared" and not told["in_effect"] and told["employer_name"].startswith("Harbor")
    assert re.fullmatch(r"SCF(-[0-9A-HJKMNP-TV-Z]{4}){3}", told["tracking_id"])
    # The official is shown to whom he would open the records.
    assert [(p["user"], p["active"], p["authorized_official"]) for p in told["opens_to"]] == [("novak", True, False)]
    assert told["opens_to"][0]["association"] == "a-novak-harbor" and told["opens_to_count"] == 1
    assert told["opens_to"][0]["name"].endswith("Novak")

    text = form(rivera, told["id"], "text/plain")
    assert text.status == 200 and hashlib.sha256(text.body).hexdigest() == told["text_sha256"]
    for part in (told["tracking_id"], "Lakeside Family Clinic, LLC (lakeside)", "(harbor)", "from its approval on"):
        assert part in text.body.decode(), part

    assert novak.get(RECORD).reason == "consent_pending"
    signed = sign(rivera, told)
    assert signed.status == 200, signed
    assert (signed.json["state"], signed.json["signed_by"], signed.json["signed_how"]) == ("signed", "rivera", "electronic")
    assert signed.json["signed_sha256"] == told["text_sha256"] == signed.json["text_sha256"]
    assert novak.get(RECORD).reason == "consent_pending"
    assert [c["id"] for c in desk.get("/v1/consents?state=signed&employer=harbor").json["consents"]] == [told["id"]]

    mails.clear()
    approved = act(desk, "approve", told["id"], {"ticket": "T-77", "identified_by": "the signature on file"})
    assert approved.status == 200 and approved.json["state"] == "approved" and approved.json["in_effect"]
    assert approved.json["ticket"] == "T-77"
    assert "ticket" not in rivera.get(f"/v1/consents/{told['id']}").json
    assert novak.get(RECORD).status == 200
    letter = mails.wait("rivera@lakeside.example")
    assert "approved" in letter.text and "Harbor" in letter.text

    mails.clear()
    revoked = act(desk, "revoke", told["id"], {"reason": "the official asked for it", "identified_by": "call back"})
    assert revoked.status == 200 and revoked.json["state"] == "revoked" and not revoked.json["in_effect"]
    assert (novak.get(RECORD).status, novak.get(RECORD).reason) == (403, "consent_revoked")
    assert mails.wait("rivera@lakeside.example", says="revoked")
    assert mails.wait("novak@harbor.example", says="revoked")

    lines = [line for line in gateway.audit_lines() if line.get("resource") == told["id"]]
    assert {line.get("event") for line in lines} >= {"consent.sign", "consent.approve", "consent.revoke"}
    assert any("ticket: T-77" in line.get("detail", "") and "identified by: the signature on file" in line["detail"] for line in lines)
    assert any(told["text_sha256"] in line.get("detail", "") and line["actor"] == "rivera" for line in lines)


def test_a_form_of_a_provider_to_itself_opens_the_records_to_its_official_too(as_):
    told = prepare(as_["rivera"], employer="lakeside").json
    assert ("rivera", True) in [(p["user"], p["authorized_official"]) for p in told["opens_to"]]
    assert ("chen", False) in [(p["user"], p["authorized_official"]) for p in told["opens_to"]]
    assert act(as_["rivera"], "withdraw", told["id"]).json["state"] == "withdrawn"


def test_who_only_asks_or_whose_employer_is_another_is_not_among_those_people(as_):
    told = prepare(as_["rivera"], employer="meridian").json
    users = [p["user"] for p in told["opens_to"]]
    assert "okafor" in users and "ito" not in users and "novak" not in users
    act(as_["rivera"], "withdraw", told["id"])


# ---- preparing ----

@pytest.mark.parametrize("body, word", [
    ({}, "provider"), ({"provider": "lakeside"}, "employer"), ({"provider": "lakeside", "employer": ""}, "employer"),
    ({"provider": 7, "employer": "harbor"}, "provider"), ({"provider": "lakeside", "employer": "harbor", "state": "approved"}, "state"),
    ({"provider": "lakeside", "employer": "harbor", "not_after": "next year"}, "not_after"),
    ({"provider": "lakeside", "employer": "harbor", "not_before": 12}, "not_before"),
])
def test_a_form_that_is_wrong_is_told_in_what(as_, body, word):
    answer = as_["rivera"].post("/v1/consents", body)
    assert answer.status == 400 and f"'{word}'" in answer.json["detail"], answer


def at(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@pytest.mark.parametrize("before, after, pointer", [
    (None, -60, "/not_after"), (86400 * 9, 86400 * 8, "/not_after"), (86400 * 9, 86400 * 9, "/not_after"),
    (-86400 * 2, None, "/not_before"), (-86400 * 2, 86400, "/not_before"),
])
def test_times_that_cannot_be_are_told_by_name(as_, before, after, pointer):
    times = {k: at(time.time() + v) for k, v in (("not_before", before), ("not_after", after)) if v is not None}
    answer = prepare(as_["rivera"], **times)
    assert answer.status == 422 and pointer in [e["pointer"] for e in answer.json["errors"]], answer


def test_the_clock_decides_when_a_form_counts(world, as_):
    rivera, desk, novak = as_["rivera"], as_["desk1"], as_["novak"]
    begin = time.time() + 86400
    told = prepare(rivera, not_before=at(begin), not_after=at(begin + 86400)).json
    assert told["not_before"].startswith(at(begin)[:19]) and "until" in form(rivera, told["id"], "text/plain").body.decode()
    assert sign(rivera, told).status == 200
    assert act(desk, "approve", told["id"], {"ticket": "T-1"}).json["in_effect"] is False
    assert novak.get(RECORD).reason == "consent_not_yet_effective"
    world.set_values(world.consent(told["id"]), "scfNotBefore", PAST)
    until(lambda: novak.get(RECORD).status == 200)
    world.set_values(world.consent(told["id"]), "scfNotAfter", stamp(time.time() + 1))
    until(lambda: novak.get(RECORD).status == 403)
    until(lambda: rivera.get(f"/v1/consents/{told['id']}").json["state"] == "expired")
    assert "Expired on" in form(rivera, told["id"]).body.decode()


@pytest.mark.parametrize("who, provider, employer, status, reason", [
    ("rivera", "nowhere", "harbor", 404, "not_found"), ("rivera", "lakeside", "nowhere", 404, "not_found"),
    ("rivera", "*)(objectClass=*", "harbor", 404, "not_found"), ("rivera", "lakeside", "harbor,ou=x", 404, "not_found"),
    ("chen", "lakeside", "harbor", 403, "not_authorized_official"), ("patel", "patel-md", "nowhere", 404, "not_found"),
    ("desk1", "lakeside", "harbor", 403, "not_authorized_official"), ("rivera", "patel-md", "harbor", 403, "not_authorized_official"),
])
def test_who_cannot_prepare_what(as_, who, provider, employer, status, reason):
    answer = prepare(as_[who], provider, employer)
    assert (answer.status, answer.reason) == (status, reason), answer


def test_for_an_employer_that_is_barred_no_form_is_made(world, as_):
    world.set_values(world.organization("lakeside"), "scfBarredEmployer", world.organization("harbor"))
    try:
        until(lambda: prepare(as_["rivera"]).reason == "employer_barred")
    finally:
        world.set_values(world.organization("lakeside"), "scfBarredEmployer")
    until(lambda: prepare(as_["rivera"]).status == 201)


def test_the_same_request_under_the_same_key_makes_one_form(as_):
    key = {"Idempotency-Key": "form-1"}
    first, again = prepare(as_["rivera"], headers=key), prepare(as_["rivera"], headers=key)
    assert (first.status, again.status) == (201, 200) and first.json["id"] == again.json["id"]
    other = prepare(as_["rivera"], employer="meridian", headers=key)
    assert other.status == 400 and "Idempotency-Key" in other.json["detail"]
    assert prepare(as_["rivera"]).json["id"] != first.json["id"]  # renewal is a new form


# ---- reading ----

def test_what_is_hidden_is_answered_like_what_does_not_exist(as_):
    told = prepare(as_["rivera"]).json
    for who in ("chen", "okafor", "quinn", "outsider", "proc1", "patel"):
        for tail in ("", "/form"):
            hidden, none = (as_[who].get(f"/v1/consents/{name}{tail}") for name in (told["id"], "aaaaaaaaaaaaaaaaaaaaaaaaaa"))
            assert without_request_id(hidden) == without_request_id(none) and hidden.status == 404
            assert set(hidden.headers) == set(none.headers)
        assert as_[who].get("/v1/consents?provider=lakeside").json["consents"] == []
    for what in ("approve", "sign"):
        body = {"text_sha256": told["text_sha256"]} if what == "sign" else {"reason": "x"}
        assert without_request_id(act(as_["quinn"], what, told["id"], body)) == without_request_id(act(as_["quinn"], what, "none", body))
    assert as_["audit1"].get(f"/v1/consents/{told['id']}").json["state"] == "prepared"
    assert as_["desk2"].get(f"/v1/consents/{told['id']}").json["opens_to"]


def test_lists_are_filtered_and_paged(as_):
    made = [prepare(as_["rivera"], employer="meridian").json["id"] for _ in range(3)]
    seen, cursor = [], ""
    while True:
        page = as_["rivera"].get(f"/v1/consents?provider=lakeside&employer=meridian&state=prepared&limit=2{cursor}").json
        assert len(page["consents"]) <= 2 and all("opens_to" not in c and "text_sha256" not in c for c in page["consents"])
        seen += [c["id"] for c in page["consents"]]
        if "next" not in page:
            break
        cursor = "&cursor=" + page["next"]
    assert seen[:3] == made[::-1] and len(seen) == len(set(seen))
    for query, word in (("state=pending", "state"), ("state=", "state"), ("limit=0", "limit"), ("cursor=x", "cursor"), ("user=chen", "user")):
        answer = as_["rivera"].get(f"/v1/consents?{query}")
        assert answer.status == 400 and f"'{word}'" in answer.json["detail"], answer


def test_the_help_desk_finds_a_form_by_what_is_printed_on_it(as_):
    told = prepare(as_["rivera"]).json
    found = as_["desk1"].get(f"/v1/consents?tracking_id={told['tracking_id']}").json["consents"]
    assert [c["id"] for c in found] == [told["id"]]
    assert as_["desk1"].get("/v1/consents?tracking_id=SCF-0000-0000-0000").json["consents"] == []
    assert as_["quinn"].get(f"/v1/consents?tracking_id={told['tracking_id']}").json["consents"] == []


# ---- signing ----

def test_one_signs_what_one_has_read(world, as_):
    rivera = as_["rivera"]
    told = prepare(rivera).json
    for digest in ("0" * 64, told["text_sha256"].upper(), "x"):
        answer = act(rivera, "sign", told["id"], {"text_sha256": digest})
        assert answer.status == 412 and "text_sha256" in answer.json["detail"], answer
    assert act(rivera, "sign", told["id"]).status == 400
    assert in_directory(world, told["id"])["scfState"] == [b"prepared"]
    # The text stays, whatever becomes of names.
    name = in_organization(world, "harbor")["o"][0].decode()
    world.set_values(world.organization("harbor"), "o", "Another Name, Inc.")
    try:
        until(lambda: rivera.get(f"/v1/consents/{told['id']}").json["employer_name"] == "Another Name, Inc.")
        assert rivera.get(f"/v1/consents/{told['id']}").json["text_sha256"] == told["text_sha256"]
        assert sign(rivera, told).status == 200
    finally:
        world.set_values(world.organization("harbor"), "o", name)
    kept = in_directory(world, told["id"])
    assert hashlib.sha256(kept["scfDocument"][0]).hexdigest() == kept["scfSignedDigest"][0].decode() == told["text_sha256"]
    assert name in kept["scfDocument"][0].decode()


def in_organization(world, name):
    handle = world.admin()
    try:
        return handle.search_s(world.organization(name), 0)[0][1]
    finally:
        handle.unbind_s()


def test_a_form_from_an_ldif_gets_its_text_when_it_is_signed(world, as_):
    world.modify_ldif(consent("by-ldif", "prepared").replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1)
                      .replace("@SUFFIX@", world.suffix))
    until(lambda: as_["rivera"].get("/v1/consents/by-ldif").status == 200)
    told = as_["rivera"].get("/v1/consents/by-ldif").json
    assert sign(as_["rivera"], told).status == 200
    kept = in_directory(world, "by-ldif")
    assert hashlib.sha256(kept["scfDocument"][0]).hexdigest() == told["text_sha256"]


def test_a_form_whose_signed_text_is_not_on_file_says_so(as_):
    page = html.unescape(form(as_["rivera"], "c-lakeside-meridian").body.decode())
    assert "The text that was signed is not on file." in page
    told = prepare(as_["rivera"]).json
    sign(as_["rivera"], told)
    assert "not on file." not in form(as_["rivera"], told["id"]).body.decode()


def test_what_was_signed_is_not_changed_in_the_directory_either(world, as_):
    told = prepare(as_["rivera"]).json
    handle = world.gateway()
    try:
        change = [(ldap.MOD_REPLACE, "scfDocument", [b"another text"])]
        for who, signed in (("chen", False), ("rivera", True), ("desk1", True), (None, True)):
            if signed and in_directory(world, told["id"])["scfState"] == [b"prepared"]:
                assert sign(as_["rivera"], told).status == 200
            proxy = [RequestControl("2.16.840.1.113730.3.4.18", True, f"dn:{world.person(who)}".encode())] if who else []
            with pytest.raises((ldap.INSUFFICIENT_ACCESS, ldap.NO_SUCH_OBJECT)):
                handle.modify_ext_s(world.consent(told["id"]), change, serverctrls=proxy)
    finally:
        handle.unbind_s()
    assert hashlib.sha256(in_directory(world, told["id"])["scfDocument"][0]).hexdigest() == told["text_sha256"]


def test_signing_needs_the_password_once_more(world, as_):
    told = prepare(as_["rivera"]).json
    with Gateway(world, {"session.recent_seconds": 4}) as g:
        rivera = g.signed_in("rivera")
        time.sleep(5.1)
        answer = sign(rivera, told)
        assert (answer.status, answer.reason) == (403, "reauthentication_required")
        again = rivera.post("/v1/reauthenticate", {"password": "sample passphrase 2026"})
        assert again.status == 200
        rivera.token = again.json["token"]
        assert sign(rivera, told).status == 200


def test_an_official_who_was_replaced_signs_no_more(world, as_):
    told = prepare(as_["rivera"]).json
    world.set_values(world.organization("lakeside"), "scfAuthorizedOfficial", world.person("chen"))
    try:
        answer = sign(as_["rivera"], told)
        assert answer.status in (403, 404) and in_directory(world, told["id"])["scfState"] == [b"prepared"]
    finally:
        world.set_values(world.organization("lakeside"), "scfAuthorizedOfficial", world.person("rivera"))
    until(lambda: sign(as_["rivera"], told).status == 200)


def test_of_a_form_that_has_changed_nothing_is_done(world, as_):
    told = prepare(as_["rivera"]).json
    tag = as_["rivera"].get(f"/v1/consents/{told['id']}").headers["ETag"]
    world.set_values(world.consent(told["id"]), "scfNotAfter", stamp(NOW + 864000))
    until(lambda: as_["rivera"].get(f"/v1/consents/{told['id']}").headers["ETag"] != tag)
    assert act(as_["rivera"], "withdraw", told["id"], headers={"If-Match": tag}).status == 412
    tag = as_["rivera"].get(f"/v1/consents/{told['id']}").headers["ETag"]
    assert act(as_["rivera"], "withdraw", told["id"], headers={"If-Match": tag}).status == 200


def test_a_form_that_is_past_its_end_is_told_as_that_wherever_it_is_looked_at(world, as_):
    told = prepare(as_["rivera"], not_after="2099-01-01T00:00:00Z").json
    world.set_values(world.consent(told["id"], "lakeside"), "scfNotAfter", stamp(time.time() - 60))
    until(lambda: act(as_["desk1"], "receive", told["id"], {"ticket": "P-9"}).reason == "consent_expired")
    listed = [c["state"] for c in as_["rivera"].get("/v1/consents?provider=lakeside&limit=200").json["consents"] if c["id"] == told["id"]]
    assert listed == ["expired"] and as_["rivera"].get(f"/v1/consents/{told['id']}").json["state"] == "expired"


# ---- on paper ----

def test_where_nobody_is_the_official_nobody_has_signed_a_paper(world, as_):
    told, lakeside = prepare(as_["rivera"]).json, world.organization("lakeside")
    world.set_values(lakeside, "scfAuthorizedOfficial")
    try:
        until(lambda: as_["rivera"].get(f"/v1/consents/{told['id']}").status == 404)
        refused = act(as_["desk1"], "receive", told["id"], {"ticket": "P-9"})
        assert (refused.status, refused.reason) == (403, "not_authorized_official")
    finally:
        world.set_values(lakeside, "scfAuthorizedOfficial", world.person("rivera"))
    until(lambda: as_["rivera"].get(f"/v1/consents/{told['id']}").status == 200)
    assert in_directory(world, told["id"])["scfState"] == [b"prepared"]


def test_a_form_that_comes_on_paper_is_received_then_approved(world, gateway, as_):
    told = prepare(as_["rivera"]).json
    desk = as_["desk1"]
    answer = act(desk, "receive", told["id"])
    assert answer.status == 400 and "'reason' or 'ticket'" in answer.json["detail"]
    got = act(desk, "receive", told["id"], {"ticket": "P-9", "reason": "came by mail"})
    assert got.status == 200, got
    assert (got.json["state"], got.json["signed_how"], got.json["signed_by"]) == ("signed", "paper", "rivera")
    assert got.json["signed_sha256"] == told["text_sha256"] and got.json["decided_by"] == "desk1"
    assert act(desk, "receive", told["id"], {"ticket": "P-9"}).reason == "already_decided"
    assert "Signed on paper" in form(as_["rivera"], told["id"]).body.decode()
    answer = act(desk, "reject", told["id"], {"ticket": "P-9"})
    assert answer.status == 400 and "'reason'" in answer.json["detail"]
    answer = act(desk, "reject", told["id"], {"reason": "no signature on page 2"})
    assert answer.status == 200 and answer.json["state"] == "rejected"
    assert as_["rivera"].get(f"/v1/consents/{told['id']}").json["reason"] == "no signature on page 2"
    lines = [line for line in gateway.audit_lines() if line.get("resource") == told["id"] and line.get("actor") == "desk1"]
    assert any(line.get("event") == "consent.receive" and "paper" in line.get("detail", "") and "P-9" in line["detail"] for line in lines)


PDF = b"%PDF-1.4\n" + b"scan " * 120000 + b"\n%%EOF\n"


def scan(api, name, body=PDF, query="?ticket=P-3", kind="application/pdf"):
    return api.request("POST", f"/v1/consents/{name}/scan{query}", body=body, headers={"Content-Type": kind})


def test_a_scan_of_the_paper_is_kept_for_the_help_desk(gateway, as_):
    told, desk = prepare(as_["rivera"]).json, as_["desk1"]
    assert scan(as_["rivera"], told["id"]).reason == "not_help_desk"
    assert scan(as_["quinn"], told["id"]).status == 404
    assert "'reason' or 'ticket'" in scan(desk, told["id"], query="").json["detail"]
    for query in ("?reason=%20%09", "?ticket=%20", "?reason=" + 513 * "x", "?ticket=" + 65 * "x"):
        refused = scan(desk, told["id"], query=query)
        assert refused.status == 400 and f"'{query[1:7]}'" in refused.json["detail"], refused
    assert scan(desk, told["id"], b"no document at all").status == 415
    assert scan(desk, told["id"], PDF[:-20]).status == 422
    assert desk.get(f"/v1/consents/{told['id']}/scan").status == 404
    kept = scan(desk, told["id"])
    assert kept.status == 200 and kept.json["state"] == "prepared" and kept.json["scan"] is True, kept
    assert act(desk, "receive", told["id"], {"ticket": "P-3"}).json["scan"] is True
    assert scan(desk, told["id"]).reason == "already_decided"
    got = desk.get(f"/v1/consents/{told['id']}/scan")
    assert got.status == 200 and got.body == PDF and got.headers["Content-Type"] == "application/pdf"
    assert got.headers["Content-Disposition"].startswith("attachment") and "sandbox" in got.headers["Content-Security-Policy"]
    for who in ("rivera", "chen", "quinn", "audit1"):
        hidden, none = (as_[who].get(f"/v1/consents/{name}/scan") for name in (told["id"], "aaaaaaaaaaaaaaaaaaaaaaaaaa"))
        assert without_request_id(hidden) == without_request_id(none) and hidden.status == 404, (who, hidden)
    lines = [line for line in gateway.audit_lines() if line.get("resource") == told["id"] and line.get("event") == "consent.scan"]
    assert any("P-3" in line.get("detail", "") for line in lines) and any(line["class"] == "decision" for line in lines)


def test_an_agent_who_works_for_one_of_the_two_decides_nothing(world, as_):
    told = prepare(as_["rivera"]).json
    tie = f"""dn: scfAssociationId=a-desk2,ou=associations,scfOrgId=lakeside,ou=organizations,{world.suffix}
changetype: add
objectClass: scfAssociation
scfAssociationId: a-desk2
scfUser: {world.person("desk2")}
scfEmployer: {world.organization("meridian")}
scfProvider: {world.organization("lakeside")}
scfState: approved
"""
    world.modify_ldif(tie)
    try:
        until(lambda: act(as_["desk2"], "receive", told["id"], {"ticket": "P-1"}).reason == "conflict_of_interest")
    finally:
        world.modify_ldif(f"dn: {world.association('a-desk2')}\nchangetype: delete\n")


def test_a_form_is_printed_as_html_that_runs_and_loads_nothing(world, as_):
    name = in_organization(world, "harbor")["o"][0].decode()
    world.set_values(world.organization("harbor"), "o", "<script>alert('1')</script> & \"Sons\"")
    try:
        until(lambda: "script" in str(as_["desk1"].get("/v1/consents?employer=harbor&limit=1").json))
        told = prepare(as_["rivera"]).json
    finally:
        world.set_values(world.organization("harbor"), "o", name)
    page = form(as_["rivera"], told["id"])
    assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.headers["Cache-Control"] == "no-store"
    text = page.body.decode()
    assert "<script" not in text and "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;Sons&quot;" in text
    style = re.search(r"<style>(.*?)</style>", text, flags=re.S).group(1)
    policy = page.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert "@media print" in style and "url(" not in style
    assert not re.search(r"\s(?:src|href|style|on\w+)\s*=", re.sub(r">[^<]*<", "><", text))
    for part in (told["tracking_id"], told["text_sha256"], "Signature of the Authorized Official", "Novak"):
        assert part in html.unescape(text), part


def test_a_form_is_printed_as_pdf(world, as_, tmp_path):
    name = in_organization(world, "harbor")["o"][0].decode()
    world.set_values(world.organization("harbor"), "o", "Łódź & Søn – Ελληνικά (Billing) \\ Co.")
    try:
        until(lambda: "Søn" in str(as_["desk1"].get("/v1/consents?employer=harbor&limit=1").json))
        told = prepare(as_["rivera"]).json
    finally:
        world.set_values(world.organization("harbor"), "o", name)
    page = form(as_["rivera"], told["id"], "application/pdf")
    assert page.status == 200 and page.headers["Content-Type"] == "application/pdf" and page.body.startswith(b"%PDF-")
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert page.headers["Content-Disposition"] == f'inline; filename="{told["tracking_id"]}.pdf"'
    (tmp_path / "form.pdf").write_bytes(page.body)
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "form.pdf", "-"], check=True, capture_output=True, text=True).stdout
    for part in ("SECURITY CONSENT FORM", told["tracking_id"], "Łódź & Søn – Ελληνικά (Billing) \\ Co.", told["text_sha256"],
                 "Signature of the Authorized Official", "Novak"):
        assert part in text, (part, text)


@pytest.mark.parametrize("accept, kind", [
    (None, "text/html"), ("*/*", "text/html"), ("text/*;q=0.5, application/pdf", "application/pdf"), ("text/plain", "text/plain"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"), ("application/json, text/plain;q=0.1", "text/plain"),
    ("text/html;q=0, text/*", "text/plain"), ("APPLICATION/PDF", "application/pdf"),
    ("application/json", None), ("text/html;q=0", None), ("image/*", None), ("text/html;q=x", None),
])
def test_the_form_comes_as_it_is_asked_for(as_, accept, kind):
    page = form(as_["rivera"], "c-lakeside-meridian", accept)
    if kind is None:
        assert page.status == 406 and page.reason == "not_acceptable"
    else:
        assert page.status == 200 and page.headers["Content-Type"].split(";")[0] == kind and page.headers["Vary"] == "Accept"


# ---- afterwards ----

def test_of_two_forms_of_a_pair_one_is_enough(mails, as_):
    rivera, desk, novak = as_["rivera"], as_["desk1"], as_["novak"]
    names = []
    for _ in range(2):
        told = prepare(rivera).json
        sign(rivera, told)
        assert act(desk, "approve", told["id"], {"ticket": "T-2"}).status == 200
        names.append(told["id"])
    mails.clear()
    assert act(desk, "revoke", names[0], {"reason": "there is a newer one"}).status == 200
    assert novak.get(RECORD).status == 200
    mails.wait("rivera@lakeside.example")
    assert act(desk, "revoke", names[1], {"reason": "and now none"}).status == 200
    assert novak.get(RECORD).status == 403
    mails.wait("novak@harbor.example")
    assert len(mails.to("novak@harbor.example")) == 1


def test_what_a_former_official_has_signed_waits_for_the_present_one_though_approved_after_him(world, as_):
    told = prepare(as_["rivera"]).json
    assert sign(as_["rivera"], told).status == 200
    lakeside, since = world.organization("lakeside"), stamp(time.time() + 1)
    world.set_values(lakeside, "scfAuthorizedOfficial", world.person("quinn"))
    world.set_values(lakeside, "scfOfficialSince", since)
    try:
        until(lambda: stamp(time.time()) > since and as_["quinn"].get(f"/v1/consents/{told['id']}").status == 200)
        approved = act(as_["desk1"], "approve", told["id"], {"ticket": "T-1"})
        assert approved.status == 200 and approved.json["needs_confirmation"]
        assert as_["quinn"].get(f"/v1/consents/{told['id']}").json["needs_confirmation"]
        assert not act(as_["quinn"], "confirm", told["id"]).json["needs_confirmation"]
        assert not as_["quinn"].get(f"/v1/consents/{told['id']}").json["needs_confirmation"]
    finally:
        world.set_values(lakeside, "scfAuthorizedOfficial", world.person("rivera"))
        world.set_values(lakeside, "scfOfficialSince")


def test_a_new_official_confirms_what_his_predecessor_has_signed(world, as_):
    name = "c-lakeside-meridian"
    before = as_["rivera"].get(f"/v1/consents/{name}").json
    world.set_values(world.organization("lakeside"), "scfOfficialSince", stamp(time.time() - 5))
    try:
        until(lambda: as_["rivera"].get(f"/v1/consents/{name}").json["needs_confirmation"])
        assert as_["okafor"].get(RECORD).status == 200  # until he says otherwise it counts
        answer = act(as_["rivera"], "confirm", name)
        assert answer.status == 200 and not answer.json["needs_confirmation"]
        assert answer.json["decided_by"] == "rivera" and answer.json["state"] == "approved"
        assert answer.json.get("reason") == before.get("reason")
    finally:
        world.set_values(world.organization("lakeside"), "scfOfficialSince")
