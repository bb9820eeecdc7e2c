"""Help: what it tells to whoever asks, and where its words come from."""
import json

import pytest

from gateway import ROOT, Gateway
from race import until


@pytest.fixture(scope="module")
def gateway(world):
    with Gateway(world, {"nppes.link": "https://nppes.example/NPPES/", "help.eus_hours": "always", "http.idle_seconds": 5}) as g:
        yield g


def topics():
    return json.loads((ROOT / "conf" / "help.json").read_text())["topics"]


def test_help_needs_no_sign_in_and_tells_how_the_help_desk_is_reached(gateway):
    answer = gateway.api().get("/v1/help")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    contact = answer.json["contact"]
    assert (contact["phone"], contact["tty"], contact["hours"]) == ("1-866-484-8049", "1-866-523-4759", "always")
    assert "mail" not in contact and answer.json["nppes"] == "https://nppes.example/NPPES/"
    assert [t["id"] for t in answer.json["topics"]] == [t["id"] for t in topics()]


def test_every_question_has_an_answer_and_a_call_that_carries_it_out(gateway):
    asked = [q for t in gateway.api().get("/v1/help").json["topics"] for q in t["questions"]]
    assert len(asked) > 15
    for question in asked:
        assert question["question"].endswith((".", "?")) and question["answer"] and question["calls"], question
        assert all(len(paragraph) > 20 and "{{" not in paragraph for paragraph in question["answer"])


@pytest.mark.parametrize("topic, words", [
    ("user-accounts", ("user ID", "register", "https://nppes.example/NPPES/")),
    ("passwords", ("change my password", "link")),
    ("locked-out", ("1-866-484-8049", "1-866-523-4759", "disabled")),
    ("authorized-official", ("CP575", "147C", "federal tax deposit coupon", "one Authorized Official")),
    ("associations", ("employs you", "Authorized Official decides")),
    ("security-consent-form", ("signed", "approved", "tracking ID")),
    ("revoking-an-employer", ("1-866-484-8049", "Authorized Official")),
    ("individual-practitioners", ("NPPES", "NPI")),
])
def test_a_topic_says_what_it_is_about(gateway, topic, words):
    answer = gateway.api().get(f"/v1/help/{topic}")
    assert answer.status == 200 and answer.json["id"] == topic
    for word in words:
        assert word in answer.body.decode(), word


def test_what_is_not_there_is_not_found(gateway):
    api = gateway.api()
    assert (api.get("/v1/help/nothing").status, api.get("/v1/help/nothing").reason) == (404, "not_found")
    answer = api.get("/v1/help?topic=passwords")
    assert answer.status == 400 and "'topic'" in answer.json["detail"]
    assert api.post("/v1/help", {}).status == 405


def test_a_reload_takes_new_words_and_refuses_wrong_ones(world, tmp_path):
    own = tmp_path / "help.json"
    own.write_text(json.dumps({"topics": [{"id": "one", "title": "One", "questions": [
        {"question": "Who?", "answer": ["Call {{eus_phone}} or write to {{eus_mail}}, whatever it is."], "calls": []}]}]}))
    with Gateway(world) as g:
        api = g.api()
        assert len(api.get("/v1/help").json["topics"]) > 5
        g.write(help__topics=own, help__eus_phone="555-0100")
        g.hup()
        until(lambda: api.get("/v1/help/one").status == 200)
        assert api.get("/v1/help/one").json["questions"][0]["answer"] == ["Call 555-0100 or write to (not told here), whatever it is."]
        for wrong, says in ((own.read_text().replace("eus_phone", "eus_fax"), "no placeholder"), ("{", "help.topics"),
                            ('{"topics":[]}', "no topic"), (own.read_text().replace('"title"', '"titel"'), "titel"),
                            (own.read_text().replace('"one"', '"One two"'), "no id of a topic")):
            own.write_text(wrong)
            done = g.run("-n", "-c", g.file)
            assert done.returncode == 1 and says in done.stderr, (wrong, done)
            own.write_text(wrong)
            g.hup()
            until(lambda: "reload.refused" in g.log.read_text())
            assert api.get("/v1/help/one").status == 200
            own.write_text(json.dumps({"topics": [{"id": "one", "title": "One", "questions": [
                {"question": "Who?", "answer": ["Call {{eus_phone}} or not."], "calls": []}]}]}))
