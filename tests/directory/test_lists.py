"""Lists through the door: pages that join, what is left out, and what a change does to them; and facts that the gateway learns
from the stream: who is leaving, who has registered."""
import time

import ldap
import pytest

from api import SECRET
from world import World, stamp

MANY = 130
NOW = time.time()


def association(n):
    state = "pending" if n % 3 else "approved"
    end = stamp(NOW - 60) if n % 10 == 1 else stamp(NOW + 86400)
    return f"""dn: scfAssociationId=l-{n:03},ou=associations,scfOrgId=lakeside,ou=organizations,@SUFFIX@
objectClass: scfAssociation
scfAssociationId: l-{n:03}
scfUser: uid={'quinn' if n % 2 else 'outsider'},ou=people,@SUFFIX@
scfEmployer: scfOrgId=harbor,ou=organizations,@SUFFIX@
scfProvider: scfOrgId=lakeside,ou=organizations,@SUFFIX@
scfState: {state}
scfExpires: {end}

"""


@pytest.fixture(scope="module")
def world():
    with World(extra="".join(association(n) for n in range(MANY))) as w:
        yield w


def pages(api, query, limit):
    """Each page's associations, in the order told."""
    told, cursor = [], None
    while True:
        answer = api.get(f"/v1/associations?{query}&limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200, answer
        told.append(answer.json["associations"])
        cursor = answer.json.get("next")
        if not cursor:
            return told


def stored(world):
    found = world.admin().search_s(f"ou=associations,{world.organization('lakeside')}", ldap.SCOPE_ONELEVEL,
                                   attrlist=["scfAssociationId", "entryCSN", "scfUser", "scfState"])
    return {entry["scfAssociationId"][0].decode(): entry for _, entry in found}


@pytest.mark.parametrize("limit", (7, 50, 200))
def test_pages_join_without_gap_or_double_newest_change_first(world, who, limit):
    for _ in range(10):  # the gateway marks what has run out: not in the middle of this
        entries = stored(world)
        told = pages(who("rivera"), "provider=lakeside", limit)
        if stored(world) == entries:
            break
    assert all(len(page) == limit for page in told[:-1]) and 0 < len(told[-1]) <= limit
    ids = [one["id"] for page in told for one in page]
    assert len(ids) == len(set(ids)) and set(ids) == set(entries)
    changed = [entries[i]["entryCSN"][0] for i in ids]
    assert changed == sorted(changed, reverse=True)


def test_each_sees_what_the_directory_shows_him(who):
    for uid, prefix in (("quinn", 1), ("outsider", 0)):
        ids = {one["id"] for page in pages(who(uid), "provider=lakeside", 40) for one in page}
        assert ids == {f"l-{n:03}" for n in range(MANY) if n % 2 == prefix}
    assert [one["id"] for page in pages(who("chen"), "provider=lakeside", 40) for one in page] == ["a-chen-lakeside"]
    assert pages(who("desk1"), "provider=nowhere", 40) == [[]]


def test_what_has_run_out_is_told_as_expired_whether_or_not_it_is_marked(who):
    overdue = {f"l-{n:03}" for n in range(MANY) if n % 10 == 1 and n % 3}
    expired = [one for page in pages(who("rivera"), "provider=lakeside&state=expired", 50) for one in page]
    assert overdue <= {one["id"] for one in expired} and {one["state"] for one in expired} == {"expired"}
    waiting = {one["id"] for page in pages(who("rivera"), "provider=lakeside&state=pending", 50) for one in page}
    assert waiting and not waiting & overdue


def test_a_change_between_two_pages_loses_nothing_else(world, who):
    api = who("rivera")
    first = api.get("/v1/associations?provider=lakeside&limit=100").json
    newest = stored(world)[first["associations"][0]["id"]]["entryCSN"][0]
    last = pages(api, "provider=lakeside", 50)[-1][-1]["id"]
    world.set_values(world.association(last), "scfReason", "looked at")
    world.set_values(world.association(first["associations"][0]["id"]), "scfReason", "looked at")
    deadline = time.time() + 5
    changed = {last, first["associations"][0]["id"]}
    while time.time() < deadline and not changed <= {one["id"] for one in pages(api, "provider=lakeside", 200)[0][:40]}:
        pass
    rest = api.get(f"/v1/associations?provider=lakeside&limit=100&cursor={first['next']}").json["associations"]
    ids = [one["id"] for one in first["associations"] + rest]
    assert len(ids) == len(set(ids))
    missing = {name: entry["entryCSN"][0] for name, entry in stored(world).items() if name not in ids}
    assert last in missing and all(csn > newest for csn in missing.values())  # they are on the first page now


@pytest.mark.parametrize("path", ["associations?provider=lakeside", "consents?provider=lakeside", "submissions", "organizations",
                                  "claims", "revocation-requests?provider=lakeside", "records?provider=lakeside"])
def test_a_list_tells_a_revision_that_can_be_asked_for(world, who, path):
    api = who("rivera")
    world.set_values(world.association("l-000"), "scfReason", "looked at again")
    written = world.admin().search_s(world.suffix, ldap.SCOPE_BASE, attrlist=["contextCSN"])[0][1]["contextCSN"][0].decode()
    answer = api.get(f"/v1/{path}", headers={"Scfgate-At-Least": written})
    assert answer.status == 200 and answer.revision >= written, answer
    assert api.get(f"/v1/{path}", headers={"Scfgate-At-Least": answer.revision}).status == 200


@pytest.mark.parametrize("query, word", [
    ("cursor=x", "cursor"), ("cursor=1.2.3.4.A", "cursor"), ("cursor=1.2.3.4", "cursor"), ("cursor=..", "cursor"),
    ("cursor=1.0.0.0.a%00b", None), ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
    ("limit=-1", "limit"), ("limit=99999999999999999999", "limit")])
def test_what_is_no_page_is_refused_by_name(who, query, word):
    answer = who("rivera").get(f"/v1/associations?provider=lakeside&{query}")
    assert answer.status == 400, answer
    if word:
        assert word in answer.json["detail"]


@pytest.fixture(scope="module")
def portal(gateway):
    api = gateway.api()
    api.token = SECRET
    return api


def decide(portal, uid, action, kind, name, wanted):
    """The decision, as soon as it is the wanted one; at the latest after five seconds."""
    deadline = time.time() + 5
    while True:
        answer = portal.post("/access/v1/evaluation", {
            "subject": {"type": "user", "id": uid}, "action": {"name": action}, "resource": {"type": kind, "id": name},
            "context": {"explain": True}})
        assert answer.status == 200, answer
        found = answer.json["decision"], answer.json["context"]["reason"]
        if found == wanted or time.time() > deadline:
            return found


def test_who_is_leaving_an_employer_has_nothing_through_it_at_once(world, portal, who):
    record = "O20240115000001"
    assert who("okafor").get(f"/v1/records/{record}").status == 200
    world.set_values(world.person("okafor"), "scfLeavingEmployer", world.organization("meridian"))
    assert decide(portal, "okafor", "record.view", "record", record, (False, "association_ended")) == (False, "association_ended")
    assert who("okafor").get(f"/v1/records/{record}").status == 404
    world.set_values(world.person("okafor"), "scfLeavingEmployer")
    assert decide(portal, "okafor", "record.view", "record", record, (True, "ok")) == (True, "ok")


def test_who_has_registered_an_organization_describes_it_until_there_is_an_official(world, portal):
    northgate = world.organization("northgate")
    refused = (False, "not_authorized_official")
    assert decide(portal, "okafor", "org.update", "provider", "northgate", refused) == refused
    world.set_values(northgate, "scfRequestedBy", world.person("okafor"))
    assert decide(portal, "okafor", "org.update", "provider", "northgate", (True, "ok")) == (True, "ok")
    world.set_values(northgate, "scfAuthorizedOfficial", world.person("quinn"))
    assert decide(portal, "okafor", "org.update", "provider", "northgate", refused) == refused
