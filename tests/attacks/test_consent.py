"""Attack class 46: getting at records past the Security Consent Form: with none, or one in any state but approved and in its time,
with another pair's, by every door, and in the moment in which it is revoked."""
import threading
import time

import pytest

from api import SECRET
from race import until
from world import World, stamp

RECORD = "O20240115000001"
NOW = time.time()
PAST, FUTURE = stamp(NOW - 3600), stamp(NOW + 86400)


def consent(name, provider, employer, state, **more):
    lines = [f"dn: scfConsentId={name},ou=consents,scfOrgId={provider},ou=organizations,@SUFFIX@", "objectClass: scfConsent",
             f"scfConsentId: {name}", f"scfProvider: scfOrgId={provider},ou=organizations,@SUFFIX@",
             f"scfEmployer: scfOrgId={employer},ou=organizations,@SUFFIX@", f"scfState: {state}",
             *(f"{key}: {value}" for key, value in more.items())]
    return "\n".join(lines) + "\n\n"


@pytest.fixture(scope="module")
def world():
    # Of novak's employer: consents of another provider, and to another employer, that must not count.
    with World(extra=consent("c46-other", "patel-md", "harbor", "approved")) as w:
        yield w


def put(world, state, **more):
    world.modify_ldif(consent("c46", "lakeside", "harbor", state, **more).replace("@SUFFIX@", world.suffix)
                      .replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1))


def take(world):
    world.modify_ldif(f"dn: {world.consent('c46')}\nchangetype: delete\n")


def doors(gateway, novak):
    """Every way to the record, and what each answers."""
    portal, proxy = gateway.api(), gateway.api()
    evaluated = portal.post("/access/v1/evaluation", {
        "subject": {"type": "user", "id": "novak"}, "action": {"name": "record.view"},
        "resource": {"type": "record", "id": RECORD}, "context": {"explain": True}}, token=SECRET)
    etag = {"If-Match": '"20250101000000.000000Z#000000#000#000000"'}
    return {
        "view": novak.get(f"/v1/records/{RECORD}"),
        "head": novak.request("HEAD", f"/v1/records/{RECORD}"),
        "range": novak.get(f"/v1/records/{RECORD}", headers={"Range": "bytes=0-99"}),
        "through his employer": novak.get(f"/v1/records/{RECORD}?acting_for=harbor"),
        "through another": novak.get(f"/v1/records/{RECORD}?acting_for=meridian"),
        "list": novak.get("/v1/records?provider=lakeside"),
        "update": novak.put(f"/v1/records/{RECORD}", {}, headers=etag),
        "web server": proxy.get("/auth/nginx", token=novak.token, headers={
            "X-Original-Method": "GET", "X-Original-URI": f"/enrollments/{RECORD}"}),
        "application": evaluated,
    }


@pytest.mark.parametrize("state, more, reason", [
    (None, {}, "no_consent"), ("prepared", {}, "consent_pending"), ("signed", {}, "consent_pending"),
    ("rejected", {}, "no_consent"), ("withdrawn", {}, "no_consent"), ("revoked", {}, "consent_revoked"),
    ("expired", {}, "consent_expired"), ("approved", {"scfNotAfter": PAST}, "consent_expired"),
    ("approved", {"scfNotBefore": FUTURE}, "consent_not_yet_effective"),
])
def test_46_without_a_consent_that_holds_no_door_opens(world, gateway, state, more, reason):
    novak = gateway.signed_in("novak")
    if state:
        put(world, state, **more)
    try:
        until(lambda: novak.get(f"/v1/records/{RECORD}").reason == reason)
        for door, answer in doors(gateway, novak).items():
            if door == "application":
                assert answer.status == 200 and answer.json["decision"] is False and answer.json["context"]["reason"] == reason
            elif door == "through another":
                assert answer.status in (403, 404), (door, answer)
            else:
                assert answer.status == 403, (door, answer)
                assert door in ("head", "web server") or answer.reason == reason, (door, answer)
            assert b"legal_business_name" not in answer.body, door
        denied = [line for line in gateway.audit_lines() if line.get("actor") == "novak" and line.get("resource") == RECORD]
        assert denied and denied[-1]["outcome"] == "deny" and denied[-1]["reason"] in (reason, "no_association")
    finally:
        if state:
            take(world)


def test_46_one_record_that_is_not_consented_to_opens_none_of_its_neighbours(world, gateway):
    novak = gateway.signed_in("novak")
    assert novak.get("/v1/records/I20230302000007").status == 404  # patel-md consents to harbor; he has no association there
    put(world, "approved")
    try:
        until(lambda: novak.get(f"/v1/records/{RECORD}").status == 200)
        assert novak.get("/v1/records/I20230302000007").status == 404
        assert gateway.signed_in("silva").get(f"/v1/records/{RECORD}").reason == "employer_not_active"
    finally:
        take(world)
    until(lambda: novak.get(f"/v1/records/{RECORD}").status == 403)


def test_46_from_the_acknowledged_revocation_on_nobody_who_is_reading_reads_on(world, gateway):
    desk, readers = gateway.signed_in("desk1"), [gateway.signed_in("novak") for _ in range(4)]
    for _ in range(25):
        put(world, "approved")
        until(lambda: all(r.get(f"/v1/records/{RECORD}").status == 200 for r in readers))
        revoked, late, stop = [], [], threading.Event()

        def read(api):
            while not stop.is_set():
                begun = time.perf_counter()
                if api.get(f"/v1/records/{RECORD}").status == 200 and revoked and begun > revoked[0]:
                    late.append(begun - revoked[0])

        threads = [threading.Thread(target=read, args=(api,)) for api in readers]
        for thread in threads:
            thread.start()
        answer = desk.post("/v1/consents/c46/revoke", {"reason": "it is to end now"})
        revoked.append(time.perf_counter())
        time.sleep(0.02)
        stop.set()
        for thread in threads:
            thread.join()
        assert answer.status == 200 and not late, (answer, late)
        take(world)
