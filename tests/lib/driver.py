"""dir_driver, the program that drives dir/ by itself, as a Python object."""
import os
import pathlib
import queue
import subprocess
import threading
import time

from world import SAMPLE_PASSWORD

BUILD = pathlib.Path(os.environ.get("SCF_BUILD", pathlib.Path(__file__).resolve().parents[2] / ".build" / "gcc"))


class Driver:
    """dir_driver on some servers; `ask` sends a command and returns the fields of its answer."""

    def __init__(self, server, *uris, **settings):
        arguments = {"base": server.suffix, "bind_dn": server.gateway_dn, "password_file": server.gateway_password_file,
                     "ca_file": server.ca_file, **settings}
        self.process = subprocess.Popen(
            [str(BUILD / "dir_driver"), *(f"uri={uri}" for uri in uris or [server.ldapi]),
             *(f"{name}={value}" for name, value in arguments.items() if value is not None)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.answers, self.events, self.log = queue.Queue(), [], []
        self.changed = threading.Condition()
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_log)]
        for reader in self.readers:
            reader.start()
        self.opened = self.answers.get(timeout=20)

    def _read(self):
        for line in self.process.stdout:
            kind, *fields = line.rstrip("\n").split("\t")
            if kind == "answer":
                self.answers.put(fields)
                continue
            with self.changed:
                self.events.append(fields)
                self.changed.notify_all()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def tell(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def ask(self, *words, timeout=60):
        self.tell(*words)
        return self.answers.get(timeout=timeout)[1:]

    def bind(self, uid, password):
        password = password if isinstance(password, bytes) else password.encode()
        return self.ask("bind", uid or "-", password.hex())

    def outcome(self, uid, password=SAMPLE_PASSWORD):
        code, outcome, *_ = self.bind(uid, password)
        return outcome if code == "ok" else code

    def wait(self, wanted, after=0, timeout=10):
        """The index behind the first stream event, from index `after` on, that the function wants."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for at in range(after, len(self.events)):
                    if wanted(self.events[at]):
                        return at + 1
                left = end - time.monotonic()
                assert left > 0, f"no such event in {self.events[after:][-20:]}"
                self.changed.wait(left)

    def follow(self):
        """Starts the stream; returns behind the end of the first load."""
        self.tell("stream")
        return self.wait(lambda e: e[0] == "reached", self.wait(lambda e: e[0] == "refreshed"))

    def close(self):
        """Ends it in order: whatever a sanitizer has found fails the test here."""
        self.process.stdin.close()
        code = self.process.wait(30)
        for reader in self.readers:
            reader.join(10)
        assert code == 0, f"exit {code}\n{''.join(self.log)[-6000:]}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
        else:
            self.close()


def entry(kind, name):
    return lambda e: e[0] == "entry" and e[3:5] == [kind, name]


def named(*words):
    return lambda e: e[:len(words)] == list(words)
