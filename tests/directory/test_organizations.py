"""Organizations: registered, described, looked at, verified, suspended and closed, by the people who may and no others; fraud;
individual practices; and that a taxpayer number is told to nobody."""
import threading

import ldap
import pytest

from gateway import Gateway
from world import World

TIN = "12-3456789"


count = iter(range(100000))


def tin():
    """A new EIN each time."""
    return f"22{next(count):07d}"


def wish(**more):
    return {"name": "Hillside Dental Group, P.C.", "tin": tin(), "tin_kind": "ein", "roles": ["provider"],
            "npis": ["1245319599"], "address": ["12 Hill Road", "Suite $5 \\ B", "Boise, ID 83702"], **more}


def register(api, **more):
    answer = api.post("/v1/organizations", wish(**more))
    assert answer.status == 201, answer
    return answer


def lines(gateway, event, resource):
    return [line for line in gateway.audit_lines() if line.get("event") == event and line.get("resource") == resource]


def test_an_organization_is_registered_by_anybody_and_shown_to_nobody_else(world, gateway, who):
    made = register(who("outsider"), tin=TIN)
    o = made.json
    assert made.headers["Location"] == f"/v1/organizations/{o['id']}"
    assert (o["state"], o["tin"], o["roles"], o["provider_kind"]) == ("registered", "123456789", ["provider"], "organization")
    assert o["address"] == ["12 Hill Road", "Suite $5 \\ B", "Boise, ID 83702"]
    assert o["registered_by"] == "outsider" and "official" not in o
    seen = who("outsider").get(made.headers["Location"])
    assert seen.status == 200 and seen.json == o and seen.headers["ETag"] == made.headers["ETag"]
    assert who("desk1").get(made.headers["Location"]).json["tin"] == "123456789"
    audited = who("audit1").get(made.headers["Location"])
    assert audited.status == 200 and "tin" not in audited.json
    for uid in ("chen", "rivera", "proc1"):
        hidden, unknown = who(uid).get(made.headers["Location"]), who(uid).get("/v1/organizations/" + "x" * 26)
        assert hidden.status == unknown.status == 404
        assert {**hidden.json, "request_id": 0} == {**unknown.json, "request_id": 0}
    assert len(lines(gateway, "organization.register", o["id"])) == 1
    assert lines(gateway, "organization.view", o["id"])
    assert "123456789" not in gateway.audit.read_text()
    entry = world.admin().search_s(world.organization(o["id"]), ldap.SCOPE_SUBTREE, attrlist=["objectClass"])
    assert len(entry) > 5, "the folders and groups are there"


def test_associates_see_the_name_and_no_taxpayer_number(who):
    got = who("chen").get("/v1/organizations/lakeside")
    assert got.status == 200 and got.json["name"] == "Lakeside Family Clinic, LLC" and "tin" not in got.json
    official = who("rivera").get("/v1/organizations/lakeside").json
    assert official["tin"] == "361827459" and official["official"] == "rivera"


@pytest.mark.parametrize("change, pointer", [
    ({"name": None}, "/name"), ({"name": " Blank first"}, "/name"), ({"name": "x" * 101}, "/name"),
    ({"name": "a\nb"}, "/name"), ({"name": "a\u0085b"}, "/name"), ({"name": "\u202eCLL ,cinilC"}, "/name"),
    ({"tin": None}, "/tin"), ({"tin": "12345678"}, "/tin"), ({"tin": "1234567890"}, "/tin"), ({"tin": "12345678a"}, "/tin"),
    ({"tin": "00-1234567"}, "/tin"), ({"tin": "07-1234567"}, "/tin"), ({"tin": "89-1234567"}, "/tin"),
    ({"tin_kind": "ssn", "tin": "000-12-3456"}, "/tin"), ({"tin_kind": "ssn", "tin": "666-12-3456"}, "/tin"),
    ({"tin_kind": "ssn", "tin": "900-12-3456"}, "/tin"), ({"tin_kind": "ssn", "tin": "123-00-3456"}, "/tin"),
    ({"tin_kind": "ssn", "tin": "123-45-0000"}, "/tin"), ({"tin_kind": "EIN"}, "/tin_kind"), ({"tin_kind": None}, "/tin_kind"),
    ({"npis": ["1234567890"]}, "/npis/0"), ({"npis": ["1245319599", "1245319599"]}, "/npis/1"),
    ({"roles": ["employer"]}, "/npis"), ({"roles": []}, "/roles"), ({"roles": None}, "/roles"),
    ({"address": ["x"] * 7}, "/address/6"), ({"address": ["a", "b\u0000"]}, None), ({"address": ["a", "b "]}, "/address/1"),
    ({"provider_kind": "individual"}, "/provider_kind"), ({"provider_kind": "clinic"}, None), ({"roles": ["owner"]}, None),
    ({"colour": "green"}, None), ({"npis": "1245319599"}, None),
])
def test_what_is_not_well_formed_is_refused_by_field_and_rule(who, change, pointer):
    body = {name: value for name, value in wish(**change).items() if value is not None}
    answer = who("outsider").post("/v1/organizations", body)
    assert answer.status == (422 if pointer else 400), answer
    if pointer:
        assert pointer in [e["pointer"] for e in answer.json["errors"]] and answer.json["errors"][0]["rule"]


def test_the_same_key_meets_the_same_organization(who):
    body, key = wish(), {"Idempotency-Key": "order-17"}
    first = who("outsider").post("/v1/organizations", body, headers=key)
    again = who("outsider").post("/v1/organizations", body, headers=key)
    assert (first.status, again.status) == (201, 200) and first.json == again.json
    for change in ({"name": "Another"}, {"roles": ["employer"], "npis": []}, {"roles": ["provider", "employer"]}):
        other = who("outsider").post("/v1/organizations", {**body, **change}, headers=key)
        assert other.status == 400 and "Idempotency-Key" in other.json["detail"], change
    assert who("chen").post("/v1/organizations", wish(), headers=key).json["id"] != first.json["id"]
    assert who("outsider").post("/v1/organizations", body, headers={"Idempotency-Key": "a b"}).status == 400


def test_the_same_person_registers_a_taxpayer_number_once_and_others_learn_nothing(gateway, who):
    number = tin()
    first = register(who("outsider"), tin=number)
    again = who("outsider").post("/v1/organizations", wish(tin=number))
    assert again.status == 409 and first.json["id"] in again.json["detail"]
    # To somebody else it is as if nobody had it, and so is one that has been established for years.
    for taken in (number, "361827459", "453092817"):
        stranger, fresh = (who("chen").post("/v1/organizations", wish(tin=n)) for n in (taken, tin()))
        assert stranger.status == fresh.status == 201 and set(stranger.json) == set(fresh.json)


def test_two_equal_registrations_of_one_person_at_once_make_one(gateway):
    apis = [gateway.signed_in("outsider") for _ in range(4)]
    for _ in range(20):
        body, statuses = wish(), []
        threads = [threading.Thread(target=lambda a=a: statuses.append(a.post("/v1/organizations", body).status)) for a in apis]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(statuses) == [201, 409, 409, 409]


def test_lists_are_ones_own_or_all_for_the_help_desk_and_mask_the_number(who):
    made = register(who("ito"), name="Ito Billing", roles=["employer", "provider"]).json
    own = who("ito").get("/v1/organizations").json["organizations"]
    assert [o["id"] for o in own] == [made["id"]]
    assert own[0]["tin"] == "***-**-" + made["tin"][5:]
    assert "lakeside" in [o["id"] for o in who("chen").get("/v1/organizations").json["organizations"]]
    assert [o["id"] for o in who("rivera").get("/v1/organizations").json["organizations"]] == ["lakeside"]
    everything, cursor = [], ""
    while True:
        page = who("desk1").get("/v1/organizations?limit=3" + cursor).json
        everything += page["organizations"]
        if "next" not in page:
            break
        cursor = "&cursor=" + page["next"]
    ids = [o["id"] for o in everything]
    assert len(ids) == len(set(ids)) and {"lakeside", "northgate", "meridian", made["id"]} <= set(ids)
    assert all(o.get("tin", "***-**-")[:7] == "***-**-" for o in everything)
    registered = who("desk1").get("/v1/organizations?state=registered&limit=200").json["organizations"]
    assert {o["state"] for o in registered} == {"registered"}
    for query in ("state=approved", "limit=0", "limit=201", "cursor=%20", "colour=red", "limit=1&limit=2"):
        assert who("desk1").get("/v1/organizations?" + query).status == 400, query


def test_the_registrant_describes_it_until_it_is_established_and_its_official_then(who):
    made = register(who("outsider"))
    where, tag = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    assert who("outsider").request("PATCH", where, {"name": "New Name LLC"}).status == 428
    changed = who("outsider").request("PATCH", where, {"name": "New Name LLC", "npis": [], "address": ["1 Main"]}, headers=tag)
    assert changed.status == 200, changed
    assert (changed.json["name"], changed.json["address"]) == ("New Name LLC", ["1 Main"])
    assert changed.json.get("npis", []) == []
    assert who("outsider").request("PATCH", where, {"name": "Late"}, headers=tag).status == 412
    tag = {"If-Match": changed.headers["ETag"]}
    fresh = tin()
    moved = who("outsider").request("PATCH", where, {"tin": fresh, "tin_kind": "ein"}, headers=tag)
    assert moved.status == 200 and moved.json["tin"] == fresh
    assert who("outsider").post("/v1/organizations", wish(tin=made.json["tin"])).status == 201, "the old one is free again"
    assert who("outsider").post("/v1/organizations", wish(tin=fresh)).status == 409
    tag = {"If-Match": moved.headers["ETag"]}
    for body in ({"tin": "123456789"}, {"npis": ["1"]}, {}, {"name": ""}, {"roles": ["employer"]}, {"tin_kind": "ein"}):
        assert who("outsider").request("PATCH", where, body, headers=tag).status in (400, 422), body
    assert who("chen").request("PATCH", where, {"name": "Mine"}, headers=tag).status == 404
    desk = who("desk1").request("PATCH", where, {"name": "Mine"}, headers=tag)
    assert desk.status == 403 and desk.reason == "not_authorized_official"

    lakeside = who("rivera").get("/v1/organizations/lakeside")
    tag = {"If-Match": lakeside.headers["ETag"]}
    fixed = who("rivera").request("PATCH", "/v1/organizations/lakeside", {"name": "Bayside"}, headers=tag)
    assert fixed.status == 422 and fixed.json["errors"][0]["pointer"] == "/name"
    address = who("rivera").request("PATCH", "/v1/organizations/lakeside", {"address": ["1200 Harbor Drive"]}, headers=tag)
    assert address.status == 200 and address.json["address"] == ["1200 Harbor Drive"]
    tag = {"If-Match": address.headers["ETag"]}
    associate = who("chen").request("PATCH", "/v1/organizations/lakeside", {"address": ["x"]}, headers=tag)
    assert associate.status == 403 and associate.reason == "not_authorized_official"


def desk(api, where, step, **grounds):
    return api.post(f"{where}/{step}", grounds or {"reason": "letter seen", "ticket": "T-1"})


def test_an_employer_is_verified_suspended_reinstated_and_closed_by_the_help_desk(gateway, who):
    made = register(who("outsider"), roles=["employer"], npis=[], name="Anchor Billing Inc")
    where, id = made.headers["Location"], made.json["id"]
    for step in ("verify", "suspend", "reinstate", "close"):
        assert desk(who("outsider"), where, step).status == 403
        assert who("desk1").post(f"{where}/{step}", {}).status == 400
        assert desk(who("desk1"), "/v1/organizations/unknown", step).status == 404
    assert desk(who("desk1"), where, "reinstate").reason == "already_decided"
    verified = desk(who("desk1"), where, "verify")
    assert verified.status == 200, verified
    assert (verified.json["state"], verified.json["decided_by"], verified.json["ticket"]) == ("active", "desk1", "T-1")
    assert "ticket" not in who("outsider").get(where).json
    assert desk(who("desk2"), where, "verify").reason == "already_decided"
    assert desk(who("desk2"), where, "suspend").json["state"] == "suspended"
    assert desk(who("desk2"), where, "suspend").reason in ("already_decided", "organization_not_active")
    assert desk(who("desk2"), where, "verify").reason == "already_decided"
    assert desk(who("desk2"), where, "reinstate").json["state"] == "active"
    assert desk(who("desk2"), where, "close", reason="merged").json["state"] == "closed"
    assert desk(who("desk2"), where, "close").reason == "already_decided"
    told = [line for line in gateway.audit_lines() if line.get("resource") == id and line.get("event", "").startswith("org.")]
    assert {"org.verify", "org.suspend", "org.reinstate", "org.close"} <= {line["event"] for line in told}
    assert any("T-1" in line.get("detail", "") for line in told)


def test_of_an_organization_that_has_changed_nothing_is_decided(who):
    made = register(who("outsider"), roles=["employer"], npis=[])
    where, seen = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    changed = who("outsider").request("PATCH", where, {"tin": tin(), "tin_kind": "ein"}, headers=seen)
    assert changed.status == 200
    grounds = {"reason": "letter seen", "ticket": "T-1"}
    late = who("desk1").post(where + "/verify", grounds, headers=seen)
    assert late.status == 412 and who("desk1").get(where).json["state"] == "registered"
    for step in ("verify", "suspend", "reinstate", "close"):
        tag = {"If-Match": who("desk1").get(where).headers["ETag"]}
        assert who("desk1").post(f"{where}/{step}", grounds, headers={"If-Match": "*"}).status == 400
        assert who("desk1").post(f"{where}/{step}", grounds, headers=seen).status == 412
        assert who("desk1").post(f"{where}/{step}", grounds, headers=tag).status == 200, step


def test_under_one_taxpayer_number_one_organization_is_established(gateway, who):
    number = tin()
    one = register(who("outsider"), roles=["employer"], npis=[], tin=number)
    two = register(who("chen"), roles=["employer"], npis=[], tin=number)
    assert desk(who("desk1"), one.headers["Location"], "verify").status == 200
    refused = desk(who("desk1"), two.headers["Location"], "verify")
    assert refused.status == 409 and refused.reason == "tin_in_use" and one.json["id"] in refused.json["detail"]
    assert who("desk1").get(two.headers["Location"]).json["tin_held_by"] == one.json["id"]
    assert "tin_held_by" not in who("chen").get(two.headers["Location"]).json
    assert desk(who("desk1"), one.headers["Location"], "close").status == 200
    assert desk(who("desk1"), two.headers["Location"], "verify").status == 200


def test_nobody_decides_on_an_organization_that_he_has_part_in(who):
    made = register(who("desk1"), roles=["employer"], npis=[])
    refused = desk(who("desk1"), made.headers["Location"], "verify")
    assert refused.status == 403 and refused.reason == "conflict_of_interest"
    assert desk(who("desk2"), made.headers["Location"], "verify").status == 200


def test_a_provider_without_an_official_is_not_verified(who):
    made = register(who("outsider"))
    refused = desk(who("desk1"), made.headers["Location"], "verify")
    assert refused.status in (403, 409) and refused.reason == "not_authorized_official", refused


def test_a_practitioner_has_one_practice_of_his_own_npi(world, gateway):
    osei = gateway.signed_in("osei")
    body = {"name": "Kofi Osei, M.D.", "provider_kind": "individual"}
    for more in ({"tin": TIN, "tin_kind": "ein"}, {"npis": ["1245319599"]}):
        assert osei.post("/v1/organizations", {**body, **more}).status == 422
    made = osei.post("/v1/organizations", body)
    assert made.status == 201, made
    assert (made.json["state"], made.json["official"], made.json["provider_kind"]) == ("active", "osei", "individual")
    npi = world.admin().search_s(world.person("osei"), ldap.SCOPE_BASE)[0][1]["scfNpi"][0].decode()
    assert made.json["npis"] == [npi]
    again = osei.post("/v1/organizations", {**body, "name": "Second"})
    assert again.status == 409 and made.json["id"] in again.json["detail"]
    patel = gateway.signed_in("patel").post("/v1/organizations", body)
    assert patel.status == 409
    draft = osei.post(f"/v1/organizations/{made.json['id']}/submissions", {"form": "855I", "document": {}})
    assert draft.status == 201, draft


def test_fraud_disables_the_official_and_suspends_all_that_is_his(gateway, world):
    with World() as w, Gateway(w) as g:
        desk1, chen = g.signed_in("desk1"), g.signed_in("chen")
        rivera = g.signed_in("rivera")
        where = "/v1/helpdesk/accounts/rivera/fraud"
        assert chen.post(where, {"reason": "x"}).status == 403
        assert desk1.post(where, {}).status == 400
        assert desk1.post("/v1/helpdesk/accounts/nobody-here/fraud", {"reason": "x"}).status == 404
        assert desk1.post("/v1/helpdesk/accounts/desk1/fraud", {"reason": "x"}).reason == "conflict_of_interest"
        assert chen.get("/v1/records/O20240115000001").status == 200
        done = desk1.post(where, {"reason": "forged CP 575", "ticket": "F-9"})
        assert done.status == 200 and done.json == {"username": "rivera", "state": "disabled", "suspended": ["lakeside"]}
        assert rivera.get("/v1/me").status == 401
        assert chen.get("/v1/records/O20240115000001").status in (403, 404)
        lakeside = desk1.get("/v1/organizations/lakeside").json
        assert lakeside["state"] == "suspended" and lakeside["reason"] == "forged CP 575"
        reopened = desk(desk1, "/v1/organizations/lakeside", "reinstate")
        assert reopened.status == 403 and reopened.reason == "account_not_active"
        events = [(line.get("event"), line.get("outcome")) for line in g.audit_lines()]
        assert ("account.fraud", "permit") in events and ("org.suspend", "ok") in events


def test_what_a_gateway_left_of_it_is_finished_by_the_next(gateway):
    """The first write of a fraud was made, and then the gateway died."""
    with World() as w:
        w.modify_ldif("dn: uid=rivera,ou=people,@SUFFIX@\nchangetype: modify\nreplace: scfState\nscfState: disabled\n-\n"
                      "add: scfFraudAt\nscfFraudAt: 20261124000000Z\n")
        with Gateway(w) as g:
            assert g.signed_in("desk1").get("/v1/organizations/lakeside").json["state"] == "suspended"


def test_an_organization_that_was_registered_halfway_is_registered_when_asked_again(world, gateway, who):
    """The number was noted as registered by him, and then the gateway died before the organization was made."""
    import hashlib
    number = tin()
    name = hashlib.sha256(f"registration:outsider:ein:{number}".encode()).hexdigest()
    world.admin().add_s(f"scfReservationId={name},ou=reservations,{world.suffix}", [
        ("objectClass", b"scfReservation"), ("scfPurpose", b"registration"), ("scfOwner", b"never-made")])
    assert who("outsider").post("/v1/organizations", wish(tin=number)).status == 201
    assert who("outsider").post("/v1/organizations", wish(tin=number)).status == 409
