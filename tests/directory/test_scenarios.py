"""The questions of the public help page of PECOS I&A, each carried out by the people it is about, from the beginning: nobody in
here exists before the first test, but for the help desk and a processor. Told in order; each test goes on where the last one
ended."""

import json

import pytest

from gateway import Gateway

PDF = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
PASSPHRASE = "seven grey herons at dusk"
WHY = {"ticket": "EUS-4711", "reason": "papers are in order"}
CALLED = {**WHY, "identified_by": "called back at the number on file"}
RECORD_FORM = "855B"


@pytest.fixture(scope="module")
def gateway(world, mail):
    with Gateway(world, {"sign_in.refusal_ms": 10, "account.mails_per_address": 1000}, mail=mail) as g:
        yield g


@pytest.fixture(scope="module")
def desk(gateway):
    return gateway.signed_in("desk1")


@pytest.fixture(scope="module")
def processor(gateway):
    return gateway.signed_in("proc1")


@pytest.fixture(scope="module")
def story():
    """What has happened so far."""
    return {}


@pytest.fixture(scope="module")
def document(world):
    found = world.admin().search_s(world.record("O20240115000001"), 0, "(objectClass=*)", ["scfDocument"])[0][1]
    return json.loads(found["scfDocument"][0])


def newcomer(gateway, mail, name, address):
    """How do I establish a user ID and password?"""
    nobody = gateway.api()
    assert nobody.post("/v1/accounts", {"name": name, "mail": address}).status == 202
    token = mail.token(address)
    made = nobody.post(f"/v1/accounts/{token}", {"password": PASSPHRASE})
    assert made.status == 201, made
    api = gateway.api()
    assert api.login(made.json["username"], PASSPHRASE).status == 200
    api.uid, api.mail = made.json["username"], address
    return api


def change_profile(api, **members):
    seen = api.get("/v1/me/profile")
    return api.request("PATCH", "/v1/me/profile", body=members, headers={"If-Match": seen.headers["ETag"]})


def test_how_do_i_establish_a_user_id_and_password(gateway, mail, story):
    story["olga"] = newcomer(gateway, mail, "Olga Official", "olga@brook.example")
    story["emil"] = newcomer(gateway, mail, "Emil Employee", "emil@brook.example")
    story["tess"] = newcomer(gateway, mail, "Tess Third", "tess@paper.example")
    # An individual practitioner uses the account of NPPES: the first sign-in makes him known here.
    osei = gateway.api()
    assert osei.login("osei").status == 200
    me = osei.get("/v1/me").json
    assert me["realm"] == "nppes"
    refused = change_profile(osei, phone="+1 312 555 0111")
    assert refused.status == 403 and refused.reason == "managed_elsewhere" and "https://" in refused.json["link"]


def test_how_do_i_update_my_user_account_profile_information(story, mail):
    tess = story["tess"]
    changed = change_profile(tess, name="Tess Thirdman", phone="+1 312 555 0112")
    assert changed.status == 200 and changed.json["name"] == "Tess Thirdman"
    assert change_profile(tess, mail="tess@new.example").status == 200
    assert tess.get("/v1/me/profile").json["mail"] == "tess@paper.example"  # until it is proved
    token = mail.token("tess@new.example")
    assert tess.post(f"/v1/mail-confirmations/{token}").status in (200, 204)
    assert tess.get("/v1/me/profile").json["mail"] == "tess@new.example"
    tess.mail = "tess@new.example"


def test_how_do_i_change_my_password(story, gateway):
    emil = story["emil"]
    other = gateway.api()
    assert other.login(emil.uid, PASSPHRASE).status == 200
    changed = emil.post("/v1/me/password", {"old_password": PASSPHRASE, "new_password": "eight brown otters at noon"})
    assert changed.status in (200, 204), changed
    if changed.status == 200 and changed.json.get("token"):
        emil.token = changed.json["token"]
    assert emil.get("/v1/me").status == 200
    assert other.get("/v1/me").status == 401  # the other sessions are over
    assert gateway.api().login(emil.uid, PASSPHRASE).status == 401
    story["emil_password"] = "eight brown otters at noon"


def test_who_do_i_contact_if_i_am_locked_out(story, gateway, mail, desk):
    emil = story["emil"]
    # By himself: a link that is good once, within half an hour.
    nobody = gateway.api()
    before = len(mail.to(emil.mail))
    assert nobody.post("/v1/password-resets", {"username": emil.uid}).status == 202
    token = mail.token(emil.mail, before)
    new = "nine white egrets in rain"
    assert nobody.post(f"/v1/password-resets/{token}", {"new_password": new}).status in (200, 204)
    assert nobody.post(f"/v1/password-resets/{token}", {"new_password": new}).status == 404
    assert emil.get("/v1/me").status == 401
    assert emil.login(emil.uid, new).status == 200
    # By telephone: the help desk unlocks, and never learns or sets a password.
    guesser = gateway.api(source="127.0.0.9")
    for _ in range(6):
        guesser.login(emil.uid, "a guess of a stranger")
    unlocked = desk.post(f"/v1/helpdesk/accounts/{emil.uid}/unlock", CALLED)
    assert unlocked.status in (200, 204), unlocked
    assert emil.login(emil.uid, new).status == 200
    contact = gateway.api().get("/v1/help").json
    assert "1-866-484-8049" in json.dumps(contact) and "1-866-523-4759" in json.dumps(contact)


def test_who_is_a_pecos_authorized_official(story, desk, mail):
    olga = story["olga"]
    made = olga.post("/v1/organizations", {"name": "Brook Street Clinic, LLC", "tin": "36-9182736", "tin_kind": "ein",
                                           "roles": ["provider", "employer"]})
    assert made.status == 201, made
    story["brook"] = brook = made.json["id"]
    assert made.json["state"] == "registered"
    claim = olga.post(f"/v1/organizations/{brook}/claims?document_kind=cp575", PDF, headers={"Content-Type": "application/pdf"})
    assert claim.status == 201, claim
    queue = desk.get("/v1/helpdesk/queue?kind=claim").json
    assert claim.json["id"] in json.dumps(queue)
    assert desk.get(f"/v1/claims/{claim.json['id']}/document").body == PDF
    seen = desk.post(f"/v1/claims/{claim.json['id']}/compare", {"name": "BROOK STREET CLINIC LLC", "tin": "369182736"}).json
    assert seen["name_matches"] and seen["tin_matches"]
    assert olga.get(f"/v1/claims/{claim.json['id']}/document").status in (403, 404)
    approved = desk.post(f"/v1/claims/{claim.json['id']}/approve", WHY)
    assert approved.status == 200, approved
    assert olga.get(f"/v1/organizations/{brook}").json["state"] == "active"
    assert "approved" in mail.wait(olga.mail, 3).text.lower() or len(mail.to(olga.mail)) >= 3
    # There can be only one at any given time.
    second = story["emil"].post(f"/v1/organizations/{brook}/claims?document_kind=147c", PDF,
                                headers={"Content-Type": "application/pdf"})
    assert second.status == 201, second
    refused = desk.post(f"/v1/claims/{second.json['id']}/approve", WHY)
    assert refused.status == 409 and refused.reason == "ao_already_exists"
    assert desk.post(f"/v1/claims/{second.json['id']}/reject", WHY).status == 200


def test_how_do_i_get_associated_to_a_provider_or_employer_organization(story, desk, mail, document, processor):
    olga, emil, tess, brook = story["olga"], story["emil"], story["tess"], story["brook"]
    # The company that works for the clinic is established too, and verified by the help desk.
    made = tess.post("/v1/organizations", {"name": "Paper Mill Billing, Inc.", "tin": "361234567", "tin_kind": "ein", "roles": ["employer"]})
    assert made.status == 201, made
    story["mill"] = mill = made.json["id"]
    assert desk.post(f"/v1/organizations/{mill}/verify", WHY).status == 200
    # One asks as employed by the provider itself, the other by the company.
    asked = {}
    for api, employer in ((emil, brook), (tess, mill)):
        answer = api.post("/v1/associations", {"provider": brook, "employer": employer})
        assert answer.status == 201, answer
        asked[api] = answer.json["id"]
        early = api.post(f"/v1/organizations/{brook}/submissions", {"form": RECORD_FORM, "document": document})
        assert (early.status, early.reason) == (403, "association_pending")
    waiting = olga.get(f"/v1/associations?provider={brook}&state=pending").json["associations"]
    assert {a["id"] for a in waiting} == set(asked.values())
    for id in asked.values():
        assert olga.post(f"/v1/associations/{id}/approve", {}).status == 200
    # The approval allows him to submit an enrollment application.
    draft = tess.post(f"/v1/organizations/{brook}/submissions", {"form": RECORD_FORM, "document": document})
    assert draft.status == 201, draft
    where = f"/v1/submissions/{draft.json['id']}"
    assert tess.post(where + "/submit").status == 200
    accepted = processor.post(where + "/accept", WHY)
    assert accepted.status == 200, accepted
    story["record"] = record = accepted.json["record"]
    # However, an approved consent form is required before anybody views the existing records, the official included.
    for api in (tess, emil, olga):
        refused = api.get(f"/v1/records/{record}")
        assert (refused.status, refused.reason) == (403, "no_consent")


def give_consent(olga, desk, provider, employer):
    made = olga.post("/v1/consents", {"provider": provider, "employer": employer})
    assert made.status == 201, made
    seen = olga.get(f"/v1/consents/{made.json['id']}")
    signed = olga.post(f"/v1/consents/{made.json['id']}/sign", {"text_sha256": seen.json["text_sha256"]})
    assert signed.status == 200, signed
    return made.json["id"], seen.json


def test_what_opens_the_existing_records(story, desk, gateway):
    olga, emil, tess, brook, mill, record = (story[name] for name in ("olga", "emil", "tess", "brook", "mill", "record"))
    olga.login(olga.uid, PASSPHRASE)  # signing needs a password that was just given
    form, seen = give_consent(olga, desk, brook, mill)
    assert [p["user"] for p in seen["opens_to"]] == [tess.uid]
    assert tess.get(f"/v1/records/{record}").reason == "consent_pending"
    assert desk.post(f"/v1/consents/{form}/approve", WHY).status == 200
    shown = tess.get(f"/v1/records/{record}")
    assert shown.status == 200
    changed = tess.put(f"/v1/records/{record}", shown.json["document"], headers={"If-Match": shown.headers["ETag"]})
    assert changed.status == 200
    assert emil.get(f"/v1/records/{record}").reason == "no_consent"  # another employer
    own, seen = give_consent(olga, desk, brook, brook)
    assert emil.uid in [p["user"] for p in seen["opens_to"]]
    assert desk.post(f"/v1/consents/{own}/approve", WHY).status == 200
    assert emil.get(f"/v1/records/{record}").status == olga.get(f"/v1/records/{record}").status == 200


def test_how_do_i_remove_an_organization_that_has_access_to_my_data(story, desk, mail):
    olga, emil, tess, brook, mill, record = (story[name] for name in ("olga", "emil", "tess", "brook", "mill", "record"))
    before = len(mail.to(tess.mail))
    asked = olga.post(f"/v1/organizations/{brook}/employers/{mill}/revocation-requests", {"reason": "the contract is over"})
    assert asked.status == 201, asked
    assert tess.get(f"/v1/records/{record}").status == 200  # asking alone changes nothing
    assert asked.json["id"] in json.dumps(desk.get("/v1/helpdesk/queue?kind=revocation").json)
    assert desk.post(f"/v1/revocation-requests/{asked.json['id']}/execute", WHY).status == 400  # who called?
    done = desk.post(f"/v1/revocation-requests/{asked.json['id']}/execute", CALLED)
    assert done.status == 200, done
    gone = tess.get(f"/v1/records/{record}")  # on the next request of an open session
    assert gone.status == 404
    assert mail.wait(tess.mail, before + 1)
    assert emil.get(f"/v1/records/{record}").status == 200  # other employers' people stay
    again = tess.post("/v1/associations", {"provider": brook, "employer": mill})
    assert (again.status, again.reason) == (403, "employer_barred")


def test_the_official_changes_and_what_he_approved_waits_for_confirmation(story, desk):
    olga, emil, brook, record = story["olga"], story["emil"], story["brook"], story["record"]
    claim = emil.post(f"/v1/organizations/{brook}/claims?document_kind=other", PDF, headers={"Content-Type": "application/pdf"})
    assert desk.post(f"/v1/claims/{claim.json['id']}/replace", WHY).status == 200
    assert emil.get(f"/v1/records/{record}").status == 200
    assert olga.get(f"/v1/records/{record}").status == 404  # she has no association of her own
    consents = emil.get(f"/v1/consents?provider={brook}&state=approved").json["consents"]
    assert consents and all(c["needs_confirmation"] for c in consents)
    confirmed = emil.post(f"/v1/consents/{consents[0]['id']}/confirm", {})
    assert confirmed.status == 200 and not confirmed.json["needs_confirmation"]


def test_every_step_is_in_the_audit_log_with_its_author(story, gateway):
    lines = gateway.audit_lines()
    done = {(line.get("actor"), line.get("event")) for line in lines if line["class"] == "change"}
    olga, emil, tess = story["olga"].uid, story["emil"].uid, story["tess"].uid
    for step in ((olga, "association.approve"), (olga, "consent.sign"), ("desk1", "consent.approve"), ("desk1", "claim.approve"),
                 (tess, "submission.create"), ("proc1", "submission.accept"), ("desk1", "employer.revocation.execute"),
                 ("desk1", "claim.replace"), (emil, "consent.confirm")):
        assert step in done, (step, sorted(x for x in done if x[0]))
    text = gateway.audit.read_text() + gateway.log.read_text()
    assert PASSPHRASE not in text and "369182736" not in text
