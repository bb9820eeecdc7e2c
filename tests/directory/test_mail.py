"""Mail from the spool through a real SMTP server: encrypted, signed in, once, and whatever the server does."""
import os
import pathlib
import random
import subprocess
import time

import pytest

import world as worlds
from gateway import BUILD
from smtp import MailServer

FIELDS = "name=Bo Chen|username=chen|minutes=60"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """What a world has of TLS, without its directory."""
    class Certificates:
        tls = tmp_path_factory.mktemp("tls")
        ca_file = tls / "ca.pem"

    worlds.make_certificates(Certificates.tls)
    return Certificates


class Sender:
    """mail_driver on a spool of its own."""

    def __init__(self, server, folder, **more):
        self.folder = pathlib.Path(folder)
        self.settings = {name[5:]: value for name, value in server.settings(folder).items() if value is not None}
        self.settings.update(spool=self.folder / "spool", **more)
        self.log = self.folder / "log"
        self.process = None
        self.start()

    def start(self):
        options = [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in self.settings.items()]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BUILD / "mail_driver", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, text=True, preexec_fn=worlds._child(True))
        self.said = self.process.stdout.readline().strip()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def send(self, to="chen@example.org", template="account-locked", fields=FIELDS):
        return self.say(f"send {template} {to} {fields}")

    @property
    def status(self):
        return dict(zip(("waiting", "sent", "put_off", "failed", "silent"), map(int, self.say("status").split())))

    def wait(self, seconds=15, **wanted):
        end = time.monotonic() + seconds
        while True:
            status = self.status
            if all(status[name] >= value if name != "waiting" else status[name] == value for name, value in wanted.items()):
                return status
            assert time.monotonic() < end, (status, self.log.read_text())
            time.sleep(0.02)

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            assert self.process.wait(10) == (0 if self.said == "ready" else 1), self.log.read_text()

    def spooled(self, below="."):
        return sorted(p.name for p in (self.folder / "spool" / below).glob("*.mail"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.close()


@pytest.fixture()
def server(certificates):
    with MailServer(certificates) as s:
        yield s


def test_a_message_arrives_encrypted_signed_in_and_as_it_was_written(server, tmp_path):
    with Sender(server, tmp_path) as s:
        assert s.said == "ready"
        assert s.send(fields="name=Jos\u00e9 \u0141ukasz.|username=chen|minutes=60") == "ok"
        letter = server.wait("chen@example.org")
        assert letter.sender == "scfgate@mail.example"
        assert letter.subject == "Your account was locked for a while"
        assert letter.text.startswith("Dear Jos\u00e9 \u0141ukasz.,\n") and "refused for a while" in letter.text
        assert letter.message["Auto-Submitted"] == "auto-generated" and letter.id.endswith("@mail.example>")
        assert s.wait(sent=1, waiting=0)["put_off"] == 0
        assert s.spooled() == []


def test_what_is_put_in_between_the_lines_stays_there(server, tmp_path):
    with Sender(server, tmp_path) as s:
        for field in ("x\\r\\nBcc: all@example.org", "x\r\rBcc: all@example.org", ".\r.\rQUIT", "=?utf-8?q?x?="):
            assert s.send(template="official-approved", fields=f"name=x|username=chen|provider={field}") == "ok"
        server.wait("chen@example.org", 4)
        for letter in server.letters:
            assert letter.message["Bcc"] is None and letter.to == "chen@example.org"
            assert len(letter.message.get_all("Subject")) == 1
        for wrong in ("x", "x@example.org,y@example.org", "x@example.org>", "<x@example.org>", "x@[127.0.0.1]", "-x@example.org"):
            assert s.send(wrong) == "not a mail address", wrong
        assert s.send(template="no-such") == "there is no such mail"
        assert s.send(fields="name=x") == "a mail lacks a field of its template"


def test_an_unreachable_server_keeps_nothing_from_being_accepted_and_gets_all_of_it_once(server, tmp_path):
    server.stop()
    with Sender(server, tmp_path) as s:
        began = time.monotonic()
        assert all(s.send(f"u{n}@example.org") == "ok" for n in range(20))
        assert time.monotonic() - began < 3
        s.wait(silent=1)
        assert len(s.spooled()) == 20 and s.status["put_off"] == 0
        server.start()
        s.wait(sent=20, waiting=0)
        assert s.status["silent"] == 0
    assert sorted(letter.to for letter in server.letters) == sorted(f"u{n}@example.org" for n in range(20))


def test_what_was_accepted_survives_kill_9_at_any_time(server, tmp_path):
    """The message is on disk when `ok` is said. Copies are recognisable by their Message-ID."""
    server.data = lambda to: time.sleep(random.uniform(0, 0.01))
    accepted = []
    chance = random.Random(4)
    s = Sender(server, tmp_path)
    for round_ in range(30):
        for n in range(chance.randrange(1, 5)):
            to = f"r{round_}.{n}@example.org"
            if s.send(to) == "ok":
                accepted.append(to)
        time.sleep(chance.uniform(0, 0.03))
        s.kill9()
        s.start()
        assert s.said == "ready", s.said
    s.wait(waiting=0, seconds=20)
    s.close()
    assert {letter.to for letter in server.letters} == set(accepted)
    for to in accepted:
        assert len({letter.id for letter in server.to(to)}) == 1, "a copy under another Message-ID"


def test_a_copy_after_a_crash_between_delivery_and_removal_has_the_same_id(server, tmp_path):
    server.data = "taken and hangs"
    s = Sender(server, tmp_path, timeout_ms=60000)
    assert s.send() == "ok"
    server.wait("chen@example.org")
    s.kill9()
    server.data = None
    s.start()
    server.wait("chen@example.org", 2)
    s.wait(waiting=0)
    s.close()
    assert len({letter.id for letter in server.letters}) == 1 and len(server.letters) == 2


def test_a_greylisting_server_is_asked_again_later_and_others_do_not_wait(server, tmp_path):
    seen = []

    def later_the_first_two_times(to):
        if to != "grey@example.org":
            return None
        seen.append(time.monotonic())
        return "451 4.7.1 later, please" if len(seen) < 3 else None

    server.rcpt = later_the_first_two_times
    with Sender(server, tmp_path) as s:
        s.send("grey@example.org")
        s.send("white@example.org")
        server.wait("white@example.org", seconds=1)
        server.wait("grey@example.org")
        assert s.wait(sent=2)["put_off"] == 2
        assert s.status["failed"] == 0 and s.status["silent"] == 0
    assert seen[1] - seen[0] >= 0.9, "asked again at once"


def test_when_to_ask_again_is_kept_over_a_restart(server, tmp_path):
    server.rcpt = "451 later"
    s = Sender(server, tmp_path, retry_seconds=5, retry_most_seconds=60)
    s.send()
    s.wait(put_off=1)
    s.kill9()
    server.rcpt = None
    s.start()
    time.sleep(1.5)
    assert len(server.attempts) == 1, "asked again too soon"
    server.wait("chen@example.org")
    s.close()


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_what_the_server_refuses_for_good_is_put_aside_and_told(server, tmp_path, where):
    setattr(server, where, "550 5.1.1 nobody of that name")
    with Sender(server, tmp_path) as s:
        s.send()
        s.wait(failed=1, waiting=0)
        assert s.spooled() == [] and len(s.spooled("failed")) == 1
        assert "mail.failed" in s.log.read_text() and "nobody of that name" in s.log.read_text()
        # Moved back by hand, it is sent.
        setattr(server, where, None)
        name = s.spooled("failed")[0]
        os.rename(s.folder / "spool" / "failed" / name, s.folder / "spool" / name)
        s.send("other@example.org")  # wakes it up
        server.wait("chen@example.org")


@pytest.mark.parametrize("how", ["hang", "drop"])
def test_a_server_that_falls_silent_or_goes_away_is_left_alone_and_asked_again(server, tmp_path, how):
    server.data = how
    with Sender(server, tmp_path, timeout_ms=700) as s:
        s.send("a@example.org")
        s.wait(put_off=1, silent=1)
        server.data = None
        server.wait("a@example.org")
        s.wait(waiting=0)


def test_a_hanging_server_does_not_keep_us_from_ending(server, tmp_path):
    server.rcpt = "hang"
    s = Sender(server, tmp_path, timeout_ms=60000)
    s.send()
    end = time.monotonic() + 10
    while not server.attempts:
        assert time.monotonic() < end, s.log.read_text()
        time.sleep(0.01)
    began = time.monotonic()
    s.close()
    assert time.monotonic() - began < 3
    assert len(s.spooled()) == 1, "kept for the next start"


def test_a_message_that_nobody_takes_is_given_up_in_the_end(server, tmp_path):
    server.rcpt = "451 later"
    s = Sender(server, tmp_path)
    s.send()
    s.wait(put_off=1)
    s.close()
    name = s.spooled()[0]
    old = f"{(int(time.time()) - 73 * 3600) * 1000000:020d}{name[20:]}"
    os.rename(s.folder / "spool" / name, s.folder / "spool" / old)
    s.start()
    s.wait(failed=1, waiting=0)
    assert s.spooled("failed") == [old]
    s.close()


def test_a_spool_has_room_for_so_many_and_belongs_to_one_process(server, tmp_path):
    server.stop()
    with Sender(server, tmp_path, most=3) as s:
        assert [s.send() for _ in range(4)] == ["ok", "ok", "ok", "the mail spool is full"]
        with Sender(server, tmp_path) as second:
            assert "another process works on this spool" in second.said
        server.start()
        s.wait(sent=3)
        assert s.send() == "ok"
        server.wait("chen@example.org", 4)


def test_a_full_disk_is_an_error_and_leaves_no_half_message(server, tmp_path):
    server.stop()
    with Sender(server, tmp_path) as s:
        subprocess.run(["prlimit", f"--pid={s.process.pid}", "--fsize=300:unlimited"], check=True)
        assert s.send() == "the mail spool cannot be written"
        subprocess.run(["prlimit", f"--pid={s.process.pid}", "--fsize=unlimited:unlimited"], check=True)
        assert list((s.folder / "spool").glob("aside-*")) == [] and s.spooled() == []
        assert s.status["waiting"] == 0
        assert s.send() == "ok"


def test_the_password_is_not_given_to_a_server_that_cannot_be_trusted(certificates, tmp_path):
    tmp = tmp_path / "other"
    tmp.mkdir()
    worlds.make_certificates(tmp)
    with MailServer(certificates, certificate=(tmp / "server.pem", tmp / "server.key")) as other, \
            Sender(other, tmp_path) as s:  # signed by somebody else
        s.send()
        s.wait(silent=1)
        assert other.attempts == [] and len(s.spooled()) == 1
    (tmp_path / "b").mkdir()
    with MailServer(certificates, tls=False, sign_in=False) as bare:  # no STARTTLS, perhaps stripped
        settings = {"plain": False, "ca_file": certificates.ca_file}
        with Sender(bare, tmp_path / "b", **settings) as s:
            s.send()
            s.wait(silent=1)
            assert bare.attempts == []
    (tmp_path / "c").mkdir()
    with MailServer(certificates) as server, Sender(server, tmp_path / "c") as s:  # the wrong password is no message's fault
        (tmp_path / "c" / "mail.password").write_text("wrong\n")
        s.close()
        s.start()
        s.send()
        s.wait(silent=1)
        assert server.attempts == [] and s.status["failed"] == 0 and len(s.spooled()) == 1


def test_without_encryption_only_on_this_host(certificates, tmp_path):
    with MailServer(certificates, tls=False, sign_in=False) as server:
        with Sender(server, tmp_path) as s:
            assert s.send() == "ok"
            server.wait("chen@example.org")
            s.close()
        with Sender(server, tmp_path, url="smtp://mail.example:25") as s:
            assert "mail.plain" in s.said


def test_what_waits_is_for_its_owner_alone(server, tmp_path):
    server.stop()
    with Sender(server, tmp_path) as s:
        s.send()
        assert (s.folder / "spool").stat().st_mode & 0o777 == 0o700
        assert all(p.stat().st_mode & 0o077 == 0 for p in (s.folder / "spool").iterdir())
        s.kill9()
        os.chmod(s.folder / "spool", 0o750)
        s.start()
        assert "mode 0700" in s.said
