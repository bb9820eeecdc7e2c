"""Associations through the door: asked for, decided, ended, left; by whom, from which state, what others are told."""
import time

import pytest

from world import World, stamp
from gateway import Gateway
from race import broken, until

NOW = time.time()
PAST, SOON = stamp(NOW - 3600), stamp(NOW + 86400)


def association(name, user, employer, provider="lakeside", state="approved", **more):
    lines = [f"dn: scfAssociationId={name},ou=associations,scfOrgId={provider},ou=organizations,@SUFFIX@",
             "objectClass: scfAssociation", f"scfAssociationId: {name}", f"scfUser: uid={user},ou=people,@SUFFIX@",
             f"scfEmployer: scfOrgId={employer},ou=organizations,@SUFFIX@",
             f"scfProvider: scfOrgId={provider},ou=organizations,@SUFFIX@", f"scfState: {state}",
             f"scfRequestedBy: uid={user},ou=people,@SUFFIX@", f"scfRequestedAt: {stamp(NOW - 7200)}"]
    lines += [f"{key}: {value}" for key, value in more.items() if value]
    return "\n".join(lines) + "\n\n"


ACTIONS = ("approve", "reject", "end", "cancel", "confirm")
STATES = ("pending", "overdue", "approved", "rejected", "cancelled", "expired", "ended")
ROLES = {"requester": "pool", "official": "rivera", "desk": "desk1", "associate": "chen", "stranger": "quinn",
         "auditor": "audit1", "processor": "proc1"}


def cell(action, role, state):
    return f"t-{action}-{role}-{state}"


def table():
    text = ""
    for action in ACTIONS:
        for role in ROLES:
            for state in STATES:
                word, end = ("pending", PAST) if state == "overdue" else (state, SOON if state == "pending" else None)
                text += association(cell(action, role, state), "pool", "harbor", state=word, scfExpires=end)
    return text


PEOPLE = "".join(f"""dn: uid={uid},ou=people,@SUFFIX@
objectClass: inetOrgPerson
objectClass: scfPerson
uid: {uid}
cn: {uid.title()} Person
sn: Person
mail: {uid}@meridian.example
scfState: active
scfRealm: local
userPassword: @PASSWORD@

""" for uid in ("pool", "ida", "ben", "cal", "dora", "eve"))
MANY = [f"many-{i}" for i in range(150)]


@pytest.fixture(scope="module")
def world():
    from world import SAMPLE_PASSWORD, ssha
    eves = "".join(association(name, "eve", "harbor") for name in MANY)
    with World(extra=PEOPLE.replace("@PASSWORD@", ssha(SAMPLE_PASSWORD)) + table() + eves) as w:
        yield w


def ask(api, provider, employer, **more):
    return api.post("/v1/associations", {"provider": provider, "employer": employer}, **more)


def act(api, what, name, body=None, **more):
    return api.post(f"/v1/associations/{name}/{what}", body or {}, **more)


def state_in_directory(world, name, provider="lakeside"):
    handle = world.admin()
    try:
        return handle.search_s(world.association(name, provider), 0)[0][1]["scfState"][0].decode()
    finally:
        handle.unbind_s()


def without_request_id(answer):
    return answer.status, {k: v for k, v in answer.json.items() if k != "request_id"}


# ---- the table: every action × every role × every state ----

def expected(action, role, state):
    """What docs/rules.md §2 and §3 say."""
    if role in ("stranger", "auditor", "processor"):
        return {(404, "not_found")}
    decided = {(409, "already_decided")}
    overdue = {(403, "association_expired"), *decided}  # until the mark, and from then on
    undecided = {"pending": {(200, "ok")}, "overdue": overdue}.get(state, decided)
    running = {(200, "ok")} if state == "approved" else decided
    may = {"approve": {"official": undecided}, "reject": {"official": undecided},
           "end": {"official": running, "requester": running, "desk": running},
           "cancel": {"requester": undecided}, "confirm": {"official": running}}
    otherwise = "own_request" if action == "cancel" else "not_authorized_official"
    return may[action].get(role, {(403, otherwise)})


@pytest.mark.parametrize("action", ACTIONS)
def test_every_role_may_in_every_state_what_the_rule_says_and_nothing_else(world, as_, action):
    becomes = {"approve": "approved", "reject": "rejected", "end": "ended", "cancel": "cancelled",
               "confirm": "approved"}
    for role, uid in ROLES.items():
        for state in STATES:
            name = cell(action, role, state)
            answer = act(as_[uid], action, name, {"reason": "as the table says"})
            told = (answer.status, "ok" if answer.status == 200 else answer.reason)
            assert told in expected(action, role, state), (action, role, state, answer)
            was = "pending" if state == "overdue" else state
            now = state_in_directory(world, name)
            if answer.status == 200:
                assert now == becomes[action] == answer.json["state"] and answer.json["decided_by"] == uid
                assert answer.headers["ETag"] == f'"{answer.json["revision"]}"'
            else:
                assert now == was or (state == "overdue" and now == "expired"), (action, role, state, now)


# ---- asking ----

def test_from_the_request_to_a_record_seen(world, gateway, as_):
    ida, rivera = as_["ida"], as_["rivera"]
    assert ida.get("/v1/records/O20240115000001").status == 404
    made = ask(ida, "lakeside", "meridian")
    assert made.status == 201, made
    name = made.json["id"]
    assert made.headers["Location"] == f"/v1/associations/{name}"
    assert made.json["state"] == "pending" and made.json["user"] == "ida" and "user_name" not in made.json
    assert 59 * 86400 < _seconds(made.json["expires"]) - time.time() <= 60 * 86400
    assert ida.get("/v1/records/O20240115000001").status == 404

    queue = rivera.get("/v1/associations?provider=lakeside&state=pending&employer=meridian").json["associations"]
    mine = [a for a in queue if a["id"] == name]
    assert len(mine) == 1 and mine[0]["user_name"] == "Ida Person"
    assert mine[0]["employer_name"] == "Meridian Billing Services, LP" and not mine[0]["needs_confirmation"]

    approved = act(rivera, "approve", name, {"reason": "known to us"})
    assert approved.status == 200 and approved.json["state"] == "approved" and approved.json["reason"] == "known to us"
    assert ida.get("/v1/records/O20240115000001").status == 200  # meridian has its consent
    ended = act(ida, "end", name)
    assert ended.status == 200 and ended.json["state"] == "ended"
    assert ida.get("/v1/records/O20240115000001").status == 404
    # What is over can be asked for again, and is another one.
    again = ask(ida, "lakeside", "meridian")
    assert again.status == 201 and again.json["id"] != name
    assert act(ida, "cancel", again.json["id"]).status == 200


def _seconds(text):
    import calendar
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def test_a_second_request_is_refused_but_the_same_one_with_a_key_is_told_again(as_):
    ben = as_["ben"]
    first = ask(ben, "lakeside", "harbor", headers={"Idempotency-Key": "k1"})
    assert first.status == 201
    second = ask(ben, "lakeside", "harbor")
    assert second.status == 409 and second.reason == "already_decided"
    again = ask(ben, "lakeside", "harbor", headers={"Idempotency-Key": "k1"})
    assert again.status == 200 and again.json["id"] == first.json["id"]
    # Through another employer it is another matter (5.6).
    other = ask(ben, "lakeside", "lakeside")
    assert other.status == 201 and other.json["id"] != first.json["id"]
    assert act(as_["rivera"], "approve", first.json["id"]).status == 200
    assert ask(ben, "lakeside", "harbor", headers={"Idempotency-Key": "k1"}).status == 409
    for name in (first, other):
        act(ben, "end", name.json["id"])
        act(ben, "cancel", name.json["id"])


@pytest.mark.parametrize("body, word", [
    ({}, "provider"), ({"provider": "lakeside"}, "employer"), ({"provider": "lakeside", "employer": ""}, "employer"),
    ({"provider": 1, "employer": "harbor"}, "provider"), ({"provider": "lakeside", "employer": ["harbor"]}, "employer"),
    ({"provider": "lakeside", "employer": "harbor", "user": "chen"}, "user"),
])
def test_a_request_that_is_wrong_is_told_in_what(as_, body, word):
    answer = as_["ben"].post("/v1/associations", body)
    assert answer.status == 400 and f"'{word}'" in answer.json["detail"]


@pytest.mark.parametrize("provider, employer, status, reason", [
    ("nowhere", "harbor", 404, "not_found"), ("lakeside", "nowhere", 404, "not_found"),
    ("*)(objectClass=*", "harbor", 404, "not_found"), ("lakeside", "harbor,ou=x", 404, "not_found"),
    ("harbor", "harbor", 404, "not_found"),  # no provider
    ("northgate", "harbor", 403, "organization_not_active"), ("lakeside", "dormant", 403, "employer_not_active"),
])
def test_what_cannot_be_asked_for(as_, provider, employer, status, reason):
    answer = ask(as_["ben"], provider, employer)
    assert (answer.status, answer.reason) == (status, reason)


def test_a_barred_employer_cannot_be_asked_for(world, as_):
    world.set_values(world.organization("lakeside"), "scfBarredEmployer", world.organization("harbor"))
    try:
        until(lambda: ask(as_["ben"], "lakeside", "harbor").reason == "employer_barred")
        assert ask(as_["ben"], "lakeside", "harbor").status == 403
    finally:
        world.set_values(world.organization("lakeside"), "scfBarredEmployer")


def test_approval_for_one_provider_gives_nothing_for_another_of_the_same_official(world, as_):
    world.set_values(world.organization("patel-md"), "scfAuthorizedOfficial", world.person("rivera"))
    try:
        cal = as_["cal"]
        name = ask(cal, "lakeside", "meridian").json["id"]
        assert act(as_["rivera"], "approve", name).status == 200
        assert cal.get("/v1/records/O20240115000001").status == 200
        assert cal.get("/v1/records/I20230302000007").status == 404
        act(cal, "end", name)
    finally:
        world.set_values(world.organization("patel-md"), "scfAuthorizedOfficial", world.person("patel"))


# ---- deciding ----

def test_a_rejection_needs_a_reason(as_):
    name = ask(as_["dora"], "lakeside", "harbor").json["id"]
    answer = act(as_["rivera"], "reject", name)
    assert answer.status == 400 and "'reason'" in answer.json["detail"]
    assert act(as_["rivera"], "reject", name, {"reason": "x" * 513}).status == 400
    assert act(as_["rivera"], "reject", name, {"why": "x"}).status == 400
    told = act(as_["rivera"], "reject", name, {"reason": "not one of ours"})
    assert told.status == 200 and told.json["state"] == "rejected"
    assert as_["dora"].get(f"/v1/associations/{name}").json["reason"] == "not one of ours"


def test_the_officials_own_request_is_decided_by_the_help_desk(world, gateway, as_):
    rivera, desk = as_["rivera"], as_["desk1"]
    name = ask(rivera, "lakeside", "meridian").json["id"]
    assert act(rivera, "approve", name).reason == "own_request"
    answer = act(desk, "approve", name)
    assert answer.status == 400 and "'reason' or 'ticket'" in answer.json["detail"]
    # An agent who works for the provider does not decide.
    extra = association("a-desk2", "desk2", "harbor").replace("@SUFFIX@", world.suffix)
    world.modify_ldif(extra.replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1))
    try:
        until(lambda: act(as_["desk2"], "approve", name, {"ticket": "T-1"}).reason == "conflict_of_interest")
    finally:
        world.modify_ldif(f"dn: {world.association('a-desk2')}\nchangetype: delete\n")
    told = act(desk, "approve", name, {"ticket": "T-2", "identified_by": "call back"})
    assert told.status == 200 and told.json["ticket"] == "T-2" and told.json["identified_by"] == "call back"
    own = rivera.get(f"/v1/associations/{name}").json
    assert own["state"] == "approved" and "ticket" not in own
    assert act(rivera, "end", name).reason == "own_request"
    assert act(desk, "end", name, {"reason": "he asked by telephone"}).status == 200
    told = [line.get("detail", "") for line in gateway.audit_lines() if line.get("resource") == name]
    assert "ticket: T-2; identified by: call back" in told and "reason: he asked by telephone" in told


def test_a_request_that_is_over_is_told_as_expired_and_marked(world, as_):
    name = ask(as_["dora"], "lakeside", "harbor").json["id"]
    world.set_values(world.association(name), "scfExpires", PAST)
    until(lambda: as_["dora"].get(f"/v1/associations/{name}").json["state"] == "expired")
    late = act(as_["rivera"], "approve", name)
    assert (late.status, late.reason) in ((403, "association_expired"), (409, "already_decided"))
    until(lambda: state_in_directory(world, name) == "expired", 15)


def test_of_a_decision_on_an_older_state_nothing_is_done(world, as_):
    name = ask(as_["dora"], "lakeside", "harbor").json["id"]
    tag = as_["rivera"].get(f"/v1/associations/{name}").headers["ETag"]
    world.set_values(world.association(name), "scfExpires", stamp(NOW + 2 * 86400))
    until(lambda: as_["rivera"].get(f"/v1/associations/{name}").headers["ETag"] != tag)
    assert act(as_["rivera"], "approve", name, headers={"If-Match": tag}).status == 412
    tag = as_["rivera"].get(f"/v1/associations/{name}").headers["ETag"]
    assert act(as_["rivera"], "approve", name, headers={"If-Match": tag}).status == 200
    assert act(as_["dora"], "end", name).status == 200


def test_requests_wait_for_a_new_official_and_approvals_for_his_confirmation(world, gateway, as_):
    dora = as_["dora"]
    before = ask(dora, "lakeside", "harbor").json["id"]
    waiting = ask(dora, "lakeside", "meridian").json["id"]
    assert act(as_["rivera"], "approve", before).status == 200
    time.sleep(1.1)  # times are kept in seconds
    lakeside = world.organization("lakeside")
    world.modify_ldif(f"dn: {lakeside}\nchangetype: modify\nreplace: scfAuthorizedOfficial\n"
                      f"scfAuthorizedOfficial: {world.person('quinn')}\n-\nreplace: scfOfficialSince\n"
                      f"scfOfficialSince: {stamp(time.time())}\n")
    try:
        old, new = as_["rivera"], as_["quinn"]
        until(lambda: act(new, "approve", "no-such").status == 404 and
               new.get("/v1/associations?provider=lakeside&state=pending").json["associations"])
        late = act(old, "approve", waiting)
        assert late.status == 404 and late.reason == "not_found"  # he has nothing to do with it any more
        seen = {a["id"]: a for a in new.get("/v1/associations?provider=lakeside&user=dora").json["associations"]}
        assert seen[before]["needs_confirmation"] and not seen[waiting]["needs_confirmation"]
        confirmed = act(new, "confirm", before)
        assert confirmed.status == 200 and not confirmed.json["needs_confirmation"]
        assert confirmed.json["decided_by"] == "quinn"
        assert act(new, "approve", waiting).status == 200
    finally:
        world.modify_ldif(f"dn: {lakeside}\nchangetype: modify\nreplace: scfAuthorizedOfficial\n"
                          f"scfAuthorizedOfficial: {world.person('rivera')}\n-\ndelete: scfOfficialSince\n")
    for name in (before, waiting):
        assert act(dora, "end", name).status == 200


# ---- looking ----

def test_what_does_not_concern_one_does_not_exist(as_):
    for uid in ("quinn", "proc1", "novak"):
        hidden = as_[uid].get("/v1/associations/a-chen-lakeside", headers={"X-Request-ID": "same"})
        unknown = as_[uid].get("/v1/associations/a-nobody", headers={"X-Request-ID": "same"})
        assert hidden.status == 404 and hidden.body == unknown.body
        for action in ACTIONS:
            if uid == "novak":
                continue  # an associate of lakeside: told why not
            assert without_request_id(act(as_[uid], action, "a-chen-lakeside", {"reason": "x"})) == \
                without_request_id(act(as_[uid], action, "a-nobody", {"reason": "x"}))
    for uid in ("chen", "rivera", "desk1", "audit1"):
        assert as_[uid].get("/v1/associations/a-chen-lakeside").json["user"] == "chen"


def test_lists_hold_what_one_may_see(as_):
    def ids(uid, query=""):
        answer = as_[uid].get("/v1/associations" + query)
        assert answer.status == 200, answer
        return [a["id"] for a in answer.json["associations"]]

    assert ids("chen") == ["a-chen-lakeside"]
    assert ids("chen", "?provider=lakeside") == ["a-chen-lakeside"]
    assert ids("chen", "?user=okafor") == []
    assert ids("quinn", "?provider=lakeside") == []
    assert ids("desk1") == []
    assert ids("desk1", "?user=okafor") == ["a-okafor-meridian"]
    assert ids("audit1", "?provider=lakeside&user=silva&state=approved") == ["a-silva-dormant"]
    assert ids("rivera", "?user=silva") == ["a-silva-dormant"]
    assert "a-okafor-meridian" in ids("rivera", "?provider=lakeside&employer=meridian")
    assert ids("rivera", "?provider=nowhere") == []


def test_lists_come_in_pages(as_):
    rivera, seen, cursor = as_["rivera"], [], ""
    while True:
        page = rivera.get(f"/v1/associations?provider=lakeside&user=pool&limit=100{cursor}").json
        assert len(page["associations"]) <= 100
        seen += [a["id"] for a in page["associations"]]
        if "next" not in page:
            break
        cursor = "&cursor=" + page["next"]
    assert len(seen) == len(set(seen)) == len(ACTIONS) * len(ROLES) * len(STATES)
    for query in ("state=drafted", "state=submitted", "limit=0", "limit=201", "cursor=x", "colour=red", "user="):
        assert rivera.get("/v1/associations?" + query).status == 400, query


# ---- what is written down ----

def test_every_step_is_in_the_audit_log(gateway, as_):
    name = ask(as_["dora"], "lakeside", "harbor", headers={"X-Request-ID": "step-1"}).json["id"]
    act(as_["rivera"], "approve", name, headers={"X-Request-ID": "step-2"})
    act(as_["chen"], "approve", name, headers={"X-Request-ID": "step-3"})
    act(as_["dora"], "end", name, {"reason": "moved"}, headers={"X-Request-ID": "step-4"})
    lines = gateway.audit_lines()

    def told(request):
        mine = [line for line in lines if line.get("request_id") == request]
        return [(line.get("event", line["class"]), line["outcome"]) for line in mine]

    for request, event in (("step-1", "association.request"), ("step-2", "association.approve"),
                           ("step-4", "association.end")):
        assert told(request) == [("decision", "permit"), (event, "permit"), (event, "ok")], told(request)
    assert told("step-3") == [("decision", "deny")]
    assert any(line.get("detail") == "reason: moved" for line in lines if line.get("request_id") == "step-4")


# ---- leaving an employer ----

@pytest.fixture
def ties(world):
    """Adds associations, and takes them away afterwards."""
    added = []

    def add(name, user, employer, provider="lakeside", **more):
        text = association(name, user, employer, provider, **more).replace("@SUFFIX@", world.suffix)
        world.modify_ldif(text.replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1))
        added.append(world.association(name, provider))

    yield add
    for dn in added:
        world.modify_ldif(f"dn: {dn}\nchangetype: delete\n")


def leaving_of_by(handle, world, uid):
    return handle.search_s(world.person(uid), 0, attrlist=["scfLeavingEmployer"])[0][1].get("scfLeavingEmployer", [])


def leaving_of(world, uid):
    handle = world.admin()
    try:
        return leaving_of_by(handle, world, uid)
    finally:
        handle.unbind_s()


def test_who_leaves_an_employer_has_nothing_through_it_any_more(world, gateway, as_, ties):
    ties("l-1", "cal", "meridian")
    ties("l-2", "cal", "harbor")
    ties("l-3", "cal", "meridian", "patel-md", state="pending", scfExpires=SOON)
    ties("l-4", "ben", "meridian")
    cal = as_["cal"]
    until(lambda: cal.get("/v1/records/O20240115000001").status == 200)
    told = cal.post("/v1/me/employers/meridian/leave")
    assert told.status == 200, told
    assert told.json == {"employer": "meridian", "ended": ["l-1"], "cancelled": ["l-3"], "authorized_official": False}
    assert cal.get("/v1/records/O20240115000001").reason == "no_consent"  # what is left is through harbor
    assert [state_in_directory(world, n) for n in ("l-1", "l-2", "l-4")] == ["ended", "approved", "approved"]
    assert state_in_directory(world, "l-3", "patel-md") == "cancelled"
    assert leaving_of(world, "cal") == []
    assert as_["ben"].get("/v1/records/O20240115000001").status == 200  # the consent stays for colleagues
    again = cal.post("/v1/me/employers/meridian/leave")
    assert again.status == 200 and again.json["ended"] == again.json["cancelled"] == []
    back = ask(cal, "lakeside", "meridian")
    assert back.status == 201 and act(cal, "cancel", back.json["id"]).status == 200
    lines = [line for line in gateway.audit_lines() if line.get("actor") == "cal" and line.get("resource") == "l-1"]
    assert any(line.get("event") == "association.end" and line.get("detail") == "left the employer" for line in lines)


def test_who_leaves_is_told_of_all_that_has_ended(gateway):
    told = gateway.signed_in("eve").post("/v1/me/employers/harbor/leave")
    assert told.status == 200 and sorted(told.json["ended"]) == sorted(MANY), told


def test_an_employer_that_nobody_knows_cannot_be_left(as_):
    for name in ("nowhere", "*)(uid=*", "x" * 80):
        assert as_["cal"].post(f"/v1/me/employers/{name}/leave").status in (400, 404), name
    assert as_["cal"].post("/v1/me/employers/nowhere/leave").reason == "not_found"


def cases(world, kind):
    handle = world.admin()
    try:
        found = handle.search_s(f"ou=cases,{world.suffix}", 1, f"(scfCaseKind={kind})")
        return [{k: [v.decode() for v in vs] for k, vs in entry.items()} for _, entry in found]
    finally:
        handle.unbind_s()


def test_an_official_who_leaves_stays_that_and_the_help_desk_is_told_once(world, as_):
    told = as_["rivera"].post("/v1/me/employers/lakeside/leave")
    assert told.status == 200 and told.json["authorized_official"] is True
    assert as_["rivera"].post("/v1/me/employers/lakeside/leave").status == 200
    found = cases(world, "official_left")
    assert len(found) == 1 and found[0]["scfState"] == ["submitted"]
    assert found[0]["scfUser"] == [world.person("rivera")]
    assert found[0]["scfProvider"] == [world.organization("lakeside")]
    assert as_["rivera"].get("/v1/records/O20240115000001").status == 200


def test_the_official_elsewhere_loses_what_he_had_through_the_employer(world, as_, ties):
    ties("l-5", "rivera", "meridian")
    told = as_["rivera"].post("/v1/me/employers/meridian/leave")
    assert told.json["ended"] == ["l-5"] and told.json["authorized_official"] is False
    assert state_in_directory(world, "l-5") == "ended"


# ---- a gateway that dies in the middle ----

def test_leaving_that_was_begun_counts_at_once_and_is_finished_at_the_start(world, as_, ties):
    ties("m-1", "cal", "meridian")
    ties("m-2", "cal", "meridian", "patel-md", state="pending", scfExpires=SOON)
    until(lambda: as_["cal"].get("/v1/records/O20240115000001").status == 200)
    world.set_values(world.person("cal"), "scfLeavingEmployer", world.organization("meridian"))
    until(lambda: as_["cal"].get("/v1/records/O20240115000001").status == 404)
    assert state_in_directory(world, "m-1") == "approved"
    assert ask(as_["cal"], "lakeside", "meridian").reason == "already_decided"
    with Gateway(world, start=False) as other:
        other.start(wait=False)  # before its first answer
        assert state_in_directory(world, "m-1") == "ended"
        assert state_in_directory(world, "m-2", "patel-md") == "cancelled"
        assert leaving_of(world, "cal") == []


def test_a_gateway_that_is_killed_while_somebody_leaves_leaves_nothing_open(world, as_, ties):
    import threading
    many = [f"k-{i}" for i in range(60)]
    for name in many:
        ties(name, "cal", "meridian")
    for _ in range(3):
        handle = world.admin()
        with Gateway(world, start=False) as dying, Gateway(world, start=False) as other:
            dying.start()
            cal = dying.signed_in("cal")
            assert cal.get("/v1/records/O20240115000001").status == 200
            leave = threading.Thread(target=lambda: broken(lambda: cal.post("/v1/me/employers/meridian/leave")))
            leave.start()
            until(lambda: leaving_of_by(handle, world, "cal"), 10, pause=0)
            dying.kill9()
            leave.join()
            handle.unbind_s()
            unfinished = leaving_of(world, "cal") and "approved" in {state_in_directory(world, n) for n in many}
            # Closed since the first write, whoever is asked; another gateway that runs already sees the same.
            assert as_["cal"].get("/v1/records/O20240115000001").status == 404
            other.start(wait=False)
            assert {state_in_directory(world, name) for name in many} == {"ended"}
            assert leaving_of(world, "cal") == []
        if unfinished:
            return
        for name in many:
            world.set_state(world.association(name), "approved")
        until(lambda: as_["cal"].get("/v1/records/O20240115000001").status == 200)
    raise AssertionError("it was never killed in the middle")
