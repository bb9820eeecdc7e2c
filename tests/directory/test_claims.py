"""Claims to be the Authorized Official: handed in with a document that is judged by its content, looked at, compared and decided
by the help desk; one official whatever happens at once; and what becomes of the documents."""
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import threading
import time
import zlib

import ldap
import pytest

from api import raw
from gateway import Gateway
from smtp import MailServer
from world import World, stamp

PDF = b"%PDF-1.4\n1 0 obj << >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
GIF = b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(64) + b"\xff\xd9"


def png(size=1):
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])) + \
        chunk(b"IDAT", zlib.compress(os.urandom(size), 0)) + chunk(b"IEND", b"")


count = iter(range(100000))


def register(api, **more):
    body = {"name": "Hillside Dental Group, P.C.", "tin": f"33{next(count):07d}", "tin_kind": "ein", "roles": ["provider"], **more}
    answer = api.post("/v1/organizations", body)
    assert answer.status == 201, answer
    return answer.json


def hand_in(api, provider, document=PDF, kind="cp575", type="application/pdf", **headers):
    return api.post(f"/v1/organizations/{provider}/claims?document_kind={kind}", document,
                    headers={"Content-Type": type, **{k.replace("_", "-"): v for k, v in headers.items()}})


def claim(api, provider, **more):
    answer = hand_in(api, provider, **more)
    assert answer.status == 201, answer
    return answer.json


WHY = {"reason": "CP 575 seen", "ticket": "T-7"}


def decide(api, id, step, body=WHY):
    return api.post(f"/v1/claims/{id}/{step}", body)


def test_a_claim_from_the_document_to_the_official(world, gateway, who):
    o = register(who("outsider"))
    document = png(700_000)
    made = hand_in(who("outsider"), o["id"], document, "147c", "application/octet-stream")
    assert made.status == 201, made
    c = made.json
    assert (c["state"], c["user"], c["provider"], c["document_kind"]) == ("submitted", "outsider", o["id"], "147c")
    assert made.headers["Location"] == f"/v1/claims/{c['id']}" and made.headers["ETag"]
    own = who("outsider").get(made.headers["Location"])
    assert own.status == 200 and "document" not in own.json and "organization" not in own.json
    assert [x["id"] for x in who("outsider").get("/v1/claims").json["claims"]] == [c["id"]]

    seen = who("desk1").get(made.headers["Location"]).json
    assert seen["user_name"] == "Olu Outsider" and seen["organization"]["tin"] == o["tin"]
    assert seen["document"]["media_type"] == "image/png" and seen["document"]["size"] == len(document)
    assert seen["document"]["sha256"] == hashlib.sha256(document).hexdigest()
    got = who("desk1").get(f"/v1/claims/{c['id']}/document")
    assert got.status == 200 and got.body == document
    assert got.headers["Content-Type"] == "image/png" and got.headers["Content-Length"] == str(len(document))
    assert got.headers["Content-Disposition"] == f'attachment; filename="claim-{c["id"]}.png"'
    assert got.headers["X-Content-Type-Options"] == "nosniff" and "sandbox" in got.headers["Content-Security-Policy"]
    head = who("desk1").request("HEAD", f"/v1/claims/{c['id']}/document")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Length"] == str(len(document))
    assert c["id"] in [x["id"] for x in who("desk2").get(f"/v1/claims?state=submitted&provider={o['id']}").json["claims"]]

    done = decide(who("desk1"), c["id"], "approve")
    assert done.status == 200 and done.json["state"] == "approved" and done.json["decided_by"] == "desk1", done
    now = who("outsider").get(f"/v1/organizations/{o['id']}").json
    assert (now["official"], now["state"]) == ("outsider", "active") and now["official_since"]
    late = decide(who("desk2"), c["id"], "reject")
    assert late.status == 409 and late.reason == "already_decided"
    assert who("outsider").post(f"/v1/claims/{c['id']}/withdraw").reason == "already_decided"
    changes = [line for line in gateway.audit_lines() if c["id"] in (line.get("resource"), line.get("detail", ""))
               or o["id"] == line.get("resource")]
    assert any(line.get("event") == "claim.approve" and "T-7" in line.get("detail", "") for line in changes)
    assert any(line.get("event") == "claim.document" and line["actor"] == "desk1" for line in changes)


def test_nobody_else_learns_of_a_claim_or_its_document(who):
    o = register(who("outsider"))
    c = claim(who("outsider"), o["id"])
    for uid in ("chen", "rivera", "proc1"):
        for path in ("", "/document"):
            hidden, unknown = (who(uid).get(f"/v1/claims/{id}{path}") for id in (c["id"], "x" * 25))
            assert hidden.status == unknown.status == 404
            assert {**hidden.json, "request_id": 0} == {**unknown.json, "request_id": 0}
        for step in ("approve", "replace", "reject", "withdraw", "compare"):
            body = {"name": "x", "tin": "330000000"} if step == "compare" else None if step == "withdraw" else WHY
            hidden, unknown = (who(uid).post(f"/v1/claims/{id}/{step}", body) for id in (c["id"], "x" * 25))
            assert hidden.status == unknown.status == 404, (uid, step, hidden)
        assert who(uid).get("/v1/claims").json["claims"] == []
        assert who(uid).get(f"/v1/claims?provider={o['id']}").json["claims"] == []
    # His own document he has; it is not given out again.
    assert who("outsider").get(f"/v1/claims/{c['id']}/document").status == 404
    assert who("audit1").get(f"/v1/claims/{c['id']}").status == 200
    assert who("audit1").get(f"/v1/claims/{c['id']}/document").status == 404
    assert who("outsider").post(f"/v1/claims/{c['id']}/approve", WHY).status in (403, 404)


@pytest.mark.parametrize("document, status", [
    (b"", 422), (b"\0" * 100, 415), (b"MZ" + bytes(200), 415), (b"<html><script>alert(1)</script>", 415),
    (b"PK\3\4" + bytes(100), 415), (b"\n" + PDF, 415), (PDF[:40], 422), (png()[:-4], 422), (png()[:30], 422),
    (b"\x89PNG\r\n\x1a\n", 415), (JPEG[:-2], 422), (GIF[:-1], 422), (b"%PDF-9.9\n%%EOF", 415), (b"GIF", 415),
])
def test_documents_are_judged_by_what_is_in_them(who, document, status):
    o = register(who("outsider"))
    answer = hand_in(who("outsider"), o["id"], document)
    assert answer.status == status, answer
    if status == 422:
        assert answer.json["errors"][0]["rule"]


@pytest.mark.parametrize("document", [PDF, GIF, JPEG, png(), PDF + b"\r\n\0\0", JPEG + b"\n", b"%PDF-2.0\n%%EOF",
                                      GIF.replace(b"89a", b"87a")])
def test_four_kinds_of_documents_are_taken_whatever_they_are_called(who, document):
    o = register(who("ito"))
    c = claim(who("ito"), o["id"], document=document, type="image/gif")
    assert who("desk1").get(f"/v1/claims/{c['id']}/document").body == document
    assert who("ito").post(f"/v1/claims/{c['id']}/withdraw").json["state"] == "withdrawn"


def test_what_is_said_of_a_claim_must_be_right(who):
    o = register(who("outsider"))
    where = f"/v1/organizations/{o['id']}/claims"
    pdf = {"Content-Type": "application/pdf"}
    assert who("outsider").post(where, PDF, headers=pdf).status == 400
    assert who("outsider").post(where + "?document_kind=passport", PDF, headers=pdf).json["errors"][0]["pointer"] == "/document_kind"
    assert who("outsider").post(where + "?document_kind=other&name=x", PDF, headers=pdf).status == 400
    assert who("outsider").post(where + "?document_kind=other&document_kind=other", PDF, headers=pdf).status == 400
    for type in ("text/html", "application/json", "application/pdf; charset=x", "multipart/form-data", None):
        refused = who("outsider").post(where + "?document_kind=other", PDF, headers={"Content-Type": type} if type else {})
        assert refused.status == 415, refused
    assert hand_in(who("outsider"), "no-such-organization").status == 404
    assert hand_in(who("outsider"), "meridian").status == 404, "an employer has no official"
    assert hand_in(who("rivera"), "lakeside").reason == "ao_already_exists"
    assert who("outsider").post(where + "?document_kind=other&note=" + "x" * 255, PDF, headers=pdf).status == 201


def test_a_document_that_is_too_large_is_refused_early(world):
    with Gateway(world, {"documents.most_bytes": 300000}) as g:
        api = g.signed_in("outsider")
        o = register(api)
        head = (f"POST /v1/organizations/{o['id']}/claims?document_kind=other HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {api.token}\r\nContent-Type: application/pdf\r\nContent-Length: 400000\r\n\r\n")
        assert raw(g.port, g.ca, head.encode()).startswith(b"HTTP/1.1 413 "), "by what it says, before it comes"
        # In chunks its size is known only when it has come.
        sent = http.client.HTTPSConnection("127.0.0.1", g.port, context=api.context, timeout=10)
        pieces = (b"%PDF-1.4\n" + bytes(50000) for _ in range(8))
        sent.request("POST", f"/v1/organizations/{o['id']}/claims?document_kind=other", pieces, encode_chunked=True,
                     headers={"Authorization": "Bearer " + api.token, "Content-Type": "application/pdf",
                              "Transfer-Encoding": "chunked"})
        assert sent.getresponse().status == 413
        whole = http.client.HTTPSConnection("127.0.0.1", g.port, context=api.context, timeout=10)
        pieces = (PDF[i:i + 7] for i in range(0, len(PDF), 7))
        whole.request("POST", f"/v1/organizations/{o['id']}/claims?document_kind=other", pieces, encode_chunked=True,
                      headers={"Authorization": "Bearer " + api.token, "Content-Type": "application/pdf",
                               "Transfer-Encoding": "chunked"})
        assert whole.getresponse().status == 201
        assert g.api().post(f"/v1/organizations/{o['id']}/claims?document_kind=other", PDF,
                            headers={"Content-Type": "application/pdf"}).status == 401


def begin_upload(g, token, provider, size=100000):
    plain = socket.create_connection(("127.0.0.1", g.port), timeout=10)
    tls = ssl.create_default_context(cafile=g.ca).wrap_socket(plain, server_hostname="127.0.0.1")
    tls.sendall(f"POST /v1/organizations/{provider}/claims?document_kind=other HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: application/pdf\r\nContent-Length: {size}\r\n\r\n%PDF-".encode())
    return tls


def test_a_document_of_ten_megabytes_comes_and_goes_whole(who):
    o = register(who("outsider"))
    most = 10 * 1024 * 1024
    document = b"%PDF-1.7\n" + os.urandom(most - 15) + b"%%EOF\n"
    assert len(document) == most
    c = claim(who("outsider"), o["id"], document=document)
    got = who("desk1").get(f"/v1/claims/{c['id']}/document")
    assert got.status == 200 and got.body == document
    assert who("outsider").post(f"/v1/claims/{c['id']}/withdraw").status == 200


def files(g):
    """How many documents the daemon is taking: files that have no name."""
    found, folder = 0, f"/proc/{g.process.pid}/fd"
    for fd in os.listdir(folder):
        try:
            found += os.readlink(f"{folder}/{fd}").startswith("/var/tmp")
        except FileNotFoundError:
            pass
    return found


def wait_until(holds):
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_few_documents_come_at_a_time_and_fewer_of_one_person(world):
    with Gateway(world, {"documents.uploads": 3}) as g:
        outsider, ito = g.signed_in("outsider"), g.signed_in("ito")
        mine, his = register(outsider)["id"], register(ito)["id"]
        held = [begin_upload(g, outsider.token, mine) for _ in range(2)]
        wait_until(lambda: files(g) == 2)
        third = hand_in(outsider, mine)
        assert third.status == 503 and third.reason == "overloaded" and third.headers["Retry-After"]
        held.append(begin_upload(g, ito.token, his))
        wait_until(lambda: files(g) == 3)
        assert hand_in(g.signed_in("chen"), his).status == 503
        for tls in held:
            tls.close()
        wait_until(lambda: files(g) == 0)
        assert hand_in(ito, his).status == 201
        wait_until(lambda: files(g) == 0)


def test_one_open_claim_of_a_person_for_an_organization(who):
    o = register(who("outsider"))
    first = claim(who("outsider"), o["id"])
    again = hand_in(who("outsider"), o["id"])
    assert again.status == 409 and again.reason == "already_decided"
    other = claim(who("ito"), o["id"])
    assert who("outsider").post(f"/v1/claims/{first['id']}/withdraw").json["state"] == "withdrawn"
    assert claim(who("outsider"), o["id"])["id"] != first["id"]
    assert who("outsider").post(f"/v1/claims/{other['id']}/withdraw").status == 404
    assert who("desk1").post(f"/v1/claims/{other['id']}/withdraw").reason == "own_request"


def test_the_same_key_meets_the_same_claim(who):
    o = register(who("ito"))
    first = hand_in(who("ito"), o["id"], Idempotency_Key="claim-1")
    again = hand_in(who("ito"), o["id"], Idempotency_Key="claim-1")
    assert (first.status, again.status) == (201, 200) and first.json == again.json
    other = hand_in(who("ito"), o["id"], GIF, Idempotency_Key="claim-1")
    assert other.status == 400 and "Idempotency-Key" in other.json["detail"]
    assert hand_in(who("ito"), o["id"], Idempotency_Key="claim-2").status == 409
    assert who("ito").post(f"/v1/claims/{first.json['id']}/withdraw").status == 200


def test_the_help_desk_compares_and_a_mismatch_decides_nothing(who):
    o = register(who("outsider"), name="Women’s Health & Imaging, L.L.C.")
    c = claim(who("outsider"), o["id"])
    where = f"/v1/claims/{c['id']}/compare"
    for name, tin, said in (("WOMEN'S HEALTH AND IMAGING LLC", o["tin"], (True, True)),
                            ("Women's Health and Imaging Limited Liability Company", o["tin"][:2] + "-" + o["tin"][2:], (True, True)),
                            ("Womens Health Imaging, Inc.", o["tin"], (False, True)), ("Another", "330999999", (False, False))):
        answer = who("desk1").post(where, {"name": name, "tin": tin})
        assert answer.status == 200 and (answer.json["name_matches"], answer.json["tin_matches"]) == said, (name, answer)
    assert who("desk1").post(where, {"name": "x"}).status == 400
    assert who("desk1").post(where, {"name": "x", "tin": "12"}).status == 400
    assert who("outsider").get(f"/v1/claims/{c['id']}").json["state"] == "submitted"


def test_what_the_help_desk_looks_at_is_not_changed_behind_its_back(who):
    """Else the number that is approved is not the one that was compared."""
    o = register(who("outsider"))
    where, c = f"/v1/organizations/{o['id']}", claim(who("ito"), o["id"])
    change = {"tin": f"33{next(count):07d}", "tin_kind": "ein"}

    def patch(body):
        tag = who("outsider").get(where).headers["ETag"]
        return who("outsider").request("PATCH", where, body, headers={"If-Match": tag})
    for body, pointer in ((change, "/tin"), ({"name": "Another Name"}, "/name")):
        refused = patch(body)
        assert refused.status == 422 and refused.json["errors"][0]["pointer"] == pointer, refused
    assert patch({"address": ["12 Hill Road"]}).status == 200
    assert who("outsider").get(where).json["tin"] == o["tin"]
    assert who("ito").post(f"/v1/claims/{c['id']}/withdraw").status == 200
    assert patch(change).status == 200 and patch({"name": "Another Name"}).status == 200


def test_of_a_claim_that_has_changed_nothing_is_decided(who):
    o = register(who("outsider"))
    c = claim(who("outsider"), o["id"])
    old = {"If-Match": '"20200101000000.000000Z#000000#000#000000"'}
    for uid, step in (("desk1", "approve"), ("desk1", "reject"), ("outsider", "withdraw")):
        late = who(uid).post(f"/v1/claims/{c['id']}/{step}", None if step == "withdraw" else WHY, headers=old)
        assert late.status == 412, (step, late)
    tag = {"If-Match": who("desk1").get(f"/v1/claims/{c['id']}").headers["ETag"]}
    assert who("desk1").post(f"/v1/claims/{c['id']}/approve", WHY, headers=tag).status == 200
    replaced = claim(who("ito"), o["id"])
    assert who("desk1").post(f"/v1/claims/{replaced['id']}/replace", WHY, headers=old).status == 412
    assert who("desk1").get(f"/v1/organizations/{o['id']}").json["official"] == "outsider"


def test_a_claim_on_an_organization_that_was_closed_can_still_be_put_away(who):
    o = register(who("outsider"))
    own, other = claim(who("outsider"), o["id"]), claim(who("ito"), o["id"])
    assert who("desk1").post(f"/v1/organizations/{o['id']}/close", WHY).status == 200
    assert decide(who("desk1"), own["id"], "approve").reason == "organization_not_active"
    assert hand_in(who("chen"), o["id"]).reason == "organization_not_active"
    assert who("outsider").post(f"/v1/claims/{own['id']}/withdraw").json["state"] == "withdrawn"
    assert decide(who("desk1"), other["id"], "reject").json["state"] == "rejected"


def test_decisions_need_grounds_and_nobody_decides_on_his_own(who):
    o = register(who("desk1"))
    c = claim(who("desk1"), o["id"])
    for step in ("approve", "reject"):
        refused = decide(who("desk1"), c["id"], step)
        assert refused.status == 403 and refused.reason == "conflict_of_interest"
    assert decide(who("desk2"), c["id"], "approve", {}).status == 400
    assert decide(who("desk2"), c["id"], "reject", {"ticket": "T-1"}).status == 400, "why, is told to the claimant"
    rejected = decide(who("desk2"), c["id"], "reject", {"reason": "not a letter of the IRS"})
    assert rejected.status == 200 and rejected.json["state"] == "rejected"
    assert who("desk1").get(f"/v1/claims/{c['id']}").json["reason"] == "not a letter of the IRS"
    assert decide(who("desk2"), "unknown", "approve").status == 404


def test_an_agent_who_wants_the_seat_himself_decides_on_no_other_claim_to_it(who):
    o = register(who("outsider"))
    other, own = claim(who("outsider"), o["id"]), claim(who("desk1"), o["id"])
    for step in ("reject", "approve", "replace"):
        refused = decide(who("desk1"), other["id"], step)
        assert (refused.status, refused.reason) == (403, "conflict_of_interest"), step
    assert who("desk1").post(f"/v1/organizations/{o['id']}/close", WHY).reason == "conflict_of_interest"
    assert who("desk1").post(f"/v1/claims/{own['id']}/withdraw").status == 200
    assert decide(who("desk1"), other["id"], "reject").status == 200


def test_a_second_approval_does_not_replace_and_replacing_is_one_step(who):
    o = register(who("outsider"))
    first, second = claim(who("outsider"), o["id"]), claim(who("ito"), o["id"])
    assert decide(who("desk1"), first["id"], "replace").reason == "already_decided", "there is nobody to replace"
    assert decide(who("desk1"), first["id"], "approve").status == 200
    refused = decide(who("desk1"), second["id"], "approve")
    assert refused.status == 409 and refused.reason == "ao_already_exists"
    assert who("ito").get(f"/v1/claims/{second['id']}").json["state"] == "submitted"
    done = decide(who("desk2"), second["id"], "replace")
    assert done.status == 200 and done.json["state"] == "approved"
    now = who("ito").get(f"/v1/organizations/{o['id']}").json
    assert now["official"] == "ito" and now["state"] == "active"
    assert who("outsider").get(f"/v1/organizations/{o['id']}").status == 404


def test_under_one_taxpayer_number_one_official_is_installed(who):
    one, two = register(who("outsider"), tin="341111111"), register(who("ito"), tin="341111111")
    a, b = claim(who("outsider"), one["id"]), claim(who("ito"), two["id"])
    answers = []
    threads = [threading.Thread(target=lambda d=d, c=c: answers.append(decide(who(d), c["id"], "approve")))
               for d, c in (("desk1", a), ("desk2", b))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(x.status for x in answers) == [200, 409]
    lost = next(x for x in answers if x.status == 409)
    assert lost.reason == "tin_in_use"
    states = sorted(who("desk1").get(f"/v1/claims/{c['id']}").json["state"] for c in (a, b))
    assert states == ["approved", "submitted"]


def test_two_approvals_and_a_withdrawal_at_once_leave_one_truth(gateway):
    outsider, ito = gateway.signed_in("outsider"), gateway.signed_in("ito")
    desks = [gateway.signed_in("desk1"), gateway.signed_in("desk2")]
    for _ in range(15):
        o = register(outsider)
        a, b = claim(outsider, o["id"]), claim(ito, o["id"])
        answers = {}

        def run(name, call):
            answers[name] = call()

        threads = [threading.Thread(target=run, args=pair) for pair in (
            ("a", lambda: decide(desks[0], a["id"], "approve")), ("b", lambda: decide(desks[1], b["id"], "approve")),
            ("w", lambda: outsider.post(f"/v1/claims/{a['id']}/withdraw")))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        state = {x: desks[0].get(f"/v1/claims/{c['id']}").json["state"] for x, c in (("a", a), ("b", b))}
        official = desks[0].get(f"/v1/organizations/{o['id']}").json.get("official")
        assert all(x.status in (200, 409) for x in answers.values()), answers
        assert (state["a"] == "approved") == (answers["a"].status == 200) == (official == "outsider")
        assert (state["b"] == "approved") == (answers["b"].status == 200) == (official == "ito")
        assert (state["a"] == "withdrawn") == (answers["w"].status == 200)
        for c in (a, b):
            assert decide(desks[0], c["id"], "reject").status in (200, 409)


def test_nobody_has_more_than_ten_open_claims(gateway, who):
    silva = gateway.signed_in("silva")
    mine = [claim(silva, register(silva)["id"])["id"] for _ in range(10)]
    refused = hand_in(silva, register(silva)["id"])
    assert refused.status == 422 and "ten" in refused.json["errors"][0]["rule"]
    assert silva.post(f"/v1/claims/{mine[0]}/withdraw").status == 200
    claim(silva, register(silva)["id"])


def test_people_are_told_by_mail_what_was_decided(world):
    with MailServer(world) as mail, Gateway(world, {"http.public_url": "https://scf.example"}, mail=mail) as g:
        outsider, ito, desk1 = g.signed_in("outsider"), g.signed_in("ito"), g.signed_in("desk1")
        o = register(outsider, name="Told Clinic")
        first, second = claim(outsider, o["id"]), claim(ito, o["id"])
        assert decide(desk1, first["id"], "approve").status == 200
        assert mail.wait("outsider@elsewhere.example", 1, says="Told Clinic")
        assert decide(desk1, second["id"], "replace").status == 200
        assert mail.wait("outsider@elsewhere.example", 2, says="You are no longer the Authorized Official of Told Clinic")
        assert mail.wait("ito@meridian.example", 1, says="You are the Authorized Official of Told Clinic")
        third = claim(outsider, o["id"])
        assert decide(desk1, third["id"], "reject", {"reason": "the name is another", "ticket": "T-99"}).status == 200
        assert mail.wait("outsider@elsewhere.example", 3, says="the name is another")
        stranger = claim(g.signed_in("chen"), o["id"])
        assert decide(desk1, stranger["id"], "reject").status == 200
        letter = mail.wait("chen@lakeside.example", 1, says=o["id"])
        assert "Told Clinic" not in letter.text, "who is turned away learns no name by it"
        for letter in mail.letters:
            assert o["tin"] not in letter.data.decode() and "T-99" not in letter.data.decode()


CLAIM = """dn: {dn}
changetype: modify
add: scfDecidedBy
scfDecidedBy: uid=desk1,ou=people,@SUFFIX@
-
add: scfDecidedAt
scfDecidedAt: {at}
"""


@pytest.mark.parametrize("installed", [False, True])
def test_an_approval_that_was_cut_off_is_finished_or_undone(installed):
    """The claim was marked, and the official installed or not, and then the gateway died."""
    with World(nppes=False) as w:
        dn = f"scfClaimId=k-quinn-northgate,ou=claims,{w.organization('northgate')}"
        w.modify_ldif(CLAIM.format(dn=dn, at=stamp(time.time() - 120)))
        if installed:
            w.modify_ldif(f"dn: {w.organization('northgate')}\nchangetype: modify\nreplace: scfState\nscfState: active\n-\n"
                          f"add: scfAuthorizedOfficial\nscfAuthorizedOfficial: {w.person('quinn')}\n-\n"
                          f"add: scfOfficialSince\nscfOfficialSince: {stamp(time.time() - 119)}\n")
        with Gateway(w) as g:
            desk1 = g.signed_in("desk1")
            assert desk1.get("/v1/claims/k-quinn-northgate").json["state"] == ("approved" if installed else "submitted")
            if not installed:
                assert decide(desk1, "k-quinn-northgate", "approve").status == 200
            assert g.signed_in("quinn").get("/v1/organizations/northgate").json["official"] == "quinn"


def test_an_approval_that_was_cut_off_is_undone_by_the_next_who_decides():
    with World(nppes=False) as w, Gateway(w) as g:
        desk1, dn = g.signed_in("desk1"), f"scfClaimId=k-quinn-northgate,ou=claims,{w.organization('northgate')}"
        w.modify_ldif(CLAIM.format(dn=dn, at=stamp(time.time())))
        assert decide(desk1, "k-quinn-northgate", "approve").reason == "already_decided", "somebody may be at it"
        w.set_values(dn, "scfDecidedAt", stamp(time.time() - 61))
        assert decide(desk1, "k-quinn-northgate", "approve").status == 200


def test_a_gateway_that_is_killed_at_any_moment_of_an_approval_leaves_one_truth():
    with World(nppes=False) as w:
        with Gateway(w) as g:
            outsider = g.signed_in("outsider")
            made = [(o["id"], claim(outsider, o["id"])["id"]) for o in (register(outsider) for _ in range(8))]
        for number, (o, c) in enumerate(made):
            g = Gateway(w)
            desk1 = g.signed_in("desk1")
            thread = threading.Thread(target=quietly, args=(lambda: decide(desk1, c, "approve"),))
            thread.start()
            time.sleep(0.0015 * number)
            g.kill9()
            thread.join()
            time.sleep(0.1)  # what was on its way to the directory has arrived
            # As if a minute had passed.
            dn = f"scfClaimId={c},ou=claims,{w.organization(o)}"
            entry = w.admin().search_s(dn, ldap.SCOPE_BASE)[0][1]
            if entry["scfState"] == [b"submitted"] and "scfDecidedAt" in entry:
                aged = stamp(time.time() - 120).encode()
                w.admin().modify_s(dn, [(ldap.MOD_REPLACE, "scfDecidedAt", aged)])
            with Gateway(w, folder=g.folder) as g:
                desk1 = g.signed_in("desk1")
                state = desk1.get(f"/v1/claims/{c}").json["state"]
                now = desk1.get(f"/v1/organizations/{o}").json
                assert (state, now["state"], now.get("official")) in (
                    ("approved", "active", "outsider"), ("submitted", "registered", None)), (number, state, now)
                assert decide(desk1, c, "approve").status == (409 if state == "approved" else 200)
            shutil.rmtree(g.folder)


def quietly(call):
    try:
        call()
    except (OSError, http.client.HTTPException):  # nobody answers any more
        pass


def heads(w):
    return {entry["scfAttachmentId"][0].decode() for _, entry in
            w.admin().search_s(f"ou=attachments,{w.suffix}", ldap.SCOPE_ONELEVEL)}


DIGEST = "0123456789abcdef01234567"
DOCUMENT = """dn: scfAttachmentId={name},ou=attachments,@SUFFIX@
objectClass: scfAttachmentHead
scfAttachmentId: {name}
scfUser: uid=quinn,ou=people,@SUFFIX@
scfRequestedAt: {at}

dn: scfPart=1,scfAttachmentId={name},ou=attachments,@SUFFIX@
objectClass: scfAttachmentPart
scfPart: 1
scfContent: %PDF-
"""
DECIDED = """dn: scfClaimId={name},ou=claims,scfOrgId=northgate,ou=organizations,@SUFFIX@
objectClass: scfClaim
scfClaimId: {name}
scfUser: uid=ito,ou=people,@SUFFIX@
scfProvider: scfOrgId=northgate,ou=organizations,@SUFFIX@
scfState: {state}
scfAttachment: {name}-{digest}
entryCSN: {csn}.000000Z#000000#000#000000
"""


def test_documents_that_nothing_needs_are_removed():
    now, long_ago = time.time(), time.time() - 91 * 86400
    names = {"never-claimed": now - 7200, "coming-now": now, "old-rejected": long_ago, "old-approved": long_ago,
             "new-rejected": long_ago, "old-open": long_ago, "c-lakeside-lakeside": long_ago}
    extra = [DOCUMENT.format(name=f"{name}-{DIGEST}", at=stamp(at)) for name, at in names.items()]
    for name, state, at in (("old-rejected", "rejected", long_ago), ("old-approved", "approved", long_ago),
                            ("new-rejected", "rejected", now), ("old-open", "submitted", long_ago)):
        extra.append(DECIDED.format(name=name, state=state, digest=DIGEST, csn=stamp(at)[:-1]))
    with World(nppes=False, extra="\n".join(extra)) as w, Gateway(w) as g:
        left = {name.rpartition("-")[0] for name in heads(w)}
        assert left == {"coming-now", "new-rejected", "old-open", "c-lakeside-lakeside", "k-quinn-northgate"}
        removed = [line["resource"] for line in g.audit_lines() if line.get("event") == "document.remove"]
        assert len(removed) == 3
        desk1 = g.signed_in("desk1")
        assert desk1.get("/v1/claims/old-rejected").status == 200
        assert desk1.get("/v1/claims/old-rejected/document").status == 404
        assert desk1.get("/v1/claims/k-quinn-northgate/document").body.startswith(b"%PDF-1.4")
