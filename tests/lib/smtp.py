"""A real SMTP server for the tests (aiosmtpd): STARTTLS, sign-in, and every way in which a mail server can fail.

    with MailServer(world) as mail, Gateway(world, mail=mail) as gateway:
        ...
        letter = mail.wait("chen@example.org")
        letter.subject, letter.text, letter.link
"""
import asyncio
import email
import email.policy
import pathlib
import re
import signal
import ssl
import sys
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

TOKEN = re.compile(r"(?<![\w-])([\w-]{43})(?![\w-])")  # base64url in a line or a path of its own
USER, PASSWORD = "scfgate", "mail secret 2026"


class Letter:
    def __init__(self, sender, to, data):
        self.sender, self.to, self.data = sender, to, data
        self.message = email.message_from_bytes(data, policy=email.policy.default)

    @property
    def subject(self):
        return self.message["Subject"]

    @property
    def id(self):
        return self.message["Message-ID"]

    @property
    def text(self):
        return self.message.get_content().replace("\r\n", "\n")

    @property
    def has_link(self):
        return "/#/" in self.text and TOKEN.search(self.text) is not None

    @property
    def token(self):
        """The secret of a link."""
        return TOKEN.search(self.text).group(1)

    def __repr__(self):
        return f"<letter to {self.to}: {self.subject}>"


class MailServer:
    """Keeps what it has taken in `letters`. `rcpt` and `data` say what it answers there: None (yes), a text such as
    "451 later" or "550 no", or "hang" or "drop"; a callable gets the recipient's address."""

    def __init__(self, world, tls=True, sign_in=True, certificate=None, start=True):
        self.world, self.tls, self.sign_in = world, tls, sign_in
        self.certificate = certificate or (pathlib.Path(world.tls) / "server.pem", pathlib.Path(world.tls) / "server.key")
        self.letters, self.attempts = [], []
        self.rcpt = self.data = None
        self.port = 0
        self.controller = None
        self.changed = threading.Condition(threading.RLock())
        if start:
            self.start()

    # ---- as a server ----

    def _authenticate(self, server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))

    async def _answer(self, how, address, server):
        how = how(address) if callable(how) else how
        if how == "hang":
            await asyncio.sleep(3600)
        if how == "drop":
            server.transport.abort()
            await asyncio.sleep(3600)
        return how

    async def handle_RCPT(self, server, session, envelope, address, options):
        with self.changed:
            self.attempts.append(address)
            self.changed.notify_all()
        refused = await self._answer(self.rcpt, address, server)
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        how = self.data(envelope.rcpt_tos[0]) if callable(self.data) else self.data
        if how is None or how in ("taken and dropped", "taken and hangs"):
            with self.changed:
                self.letters.append(Letter(envelope.mail_from, envelope.rcpt_tos[0], envelope.original_content))
                self.changed.notify_all()
        if how == "taken and dropped":
            how = "drop"
        if how == "taken and hangs":
            how = "hang"
        return await self._answer(how, envelope.rcpt_tos[0], server) or "250 taken"

    def start(self):
        context = None
        if self.tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*map(str, self.certificate))
        more = {"auth_required": True, "authenticator": self._authenticate,
                "auth_require_tls": self.tls} if self.sign_in else {}
        end = time.monotonic() + 5
        while True:
            self.controller = Controller(self, hostname="127.0.0.1", port=self.port or _free_port(), tls_context=context,
                                         require_starttls=self.tls, **more)
            try:
                self.controller.start()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.port = self.controller.port
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    # ---- for tests ----

    def settings(self, folder):
        """The settings of a gateway that sends its mail here."""
        password = pathlib.Path(folder) / "mail.password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        return {
            "mail.url": f"smtp://127.0.0.1:{self.port}",
            "mail.user": USER if self.sign_in else None,
            "mail.password_file": password if self.sign_in else None,
            "mail.ca_file": self.world.ca_file if self.tls else None,
            "mail.plain": not self.tls,
            "mail.from": "scfgate@mail.example",
            "mail.help_desk": "eus@mail.example",
            "mail.templates": pathlib.Path(__file__).resolve().parents[2] / "conf" / "mail",
            "mail.timeout_ms": 3000,
            "mail.retry_seconds": 1,
            "mail.retry_most_seconds": 2,
        }

    def to(self, address):
        with self.changed:
            return [letter for letter in self.letters if letter.to == address]

    def wait(self, address, count=1, says="", seconds=10):
        """The newest letter to that address that says so in its subject or text, not looking at the first count - 1: what a
        step before has sent may arrive late, so a letter is known by what it says and not by its place alone."""
        return self._wait(address, count, lambda letter: says in letter.subject or says in letter.text, says, seconds)

    def token(self, address, after=0, seconds=10):
        """The token of the newest link to that address, not looking at the first so many letters."""
        return self._wait(address, after + 1, lambda letter: letter.has_link, "a link", seconds).token

    def _wait(self, address, count, wanted, what, seconds):
        end = time.monotonic() + seconds
        while True:
            with self.changed:
                found = [letter for letter in self.to(address)[count - 1:] if wanted(letter)]
                if found:
                    return found[-1]
                if time.monotonic() > end:
                    raise AssertionError(f"no letter {count} to {address} that says {what!r}; {self.letters}")
                self.changed.wait(0.05)

    def clear(self):
        with self.changed:
            self.letters.clear()
            self.attempts.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(folder):
    """For ./dev up: writes each letter into folder as a file of its own, and prints the port."""
    class World:
        tls = folder

    class Box(MailServer):
        async def handle_DATA(self, server, session, envelope):
            answer = await super().handle_DATA(server, session, envelope)
            letter = self.letters.pop()
            (folder / f"{time.time_ns()}-{letter.to}.eml").write_bytes(letter.data)
            return answer

    box = Box(World, tls=False, sign_in=False)
    print(box.port, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]))
