"""Between a gateway and its slapd: passes everything on as it is, counts what is written, and cuts at a write.

    with Relay(world) as relay, Gateway(world, {"directory.uris": [relay.uri]}) as gateway:
        with relay.cut_after(2, gateway.kill9) as cut:
            ...                     # the third write does not reach the directory: the gateway is killed instead
        cut.happened, cut.writes    # [("add", "scfOrgId=…"), ("modify", "ou=…")]
"""
import contextlib
import pathlib
import shutil
import socket
import tempfile
import threading
import urllib.parse

MODIFY, ADD, DELETE, EXTENDED = 0x66, 0x68, 0x4A, 0x77
WORDS = {MODIFY: "modify", ADD: "add", DELETE: "delete", EXTENDED: "password"}
PASSWORD_MODIFY = b"1.3.6.1.4.1.4203.1.11.1"


def element(data, at):
    """Of the BER element that begins there: its tag, where its contents begin, and where they end."""
    size, begin = data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, begin = int.from_bytes(data[begin:begin + count], "big"), begin + count
    return data[at], begin, begin + size


def message(stream):
    """The next LDAP message, or b""."""
    head = stream.read(2)
    if len(head) == 2 and head[1] & 0x80:
        head += stream.read(head[1] & 0x7F)
    return head + stream.read(element(head, 0)[2] - len(head)) if head else b""


def write_of(data):
    """(word, name of the entry) of a message that changes something, or None."""
    _, begin, _ = element(data, 0)
    tag, begin, end = element(data, element(data, begin)[2])
    if tag not in WORDS:
        return None
    if tag != DELETE:
        _, begin, end = element(data, begin)
    name = data[begin:end]
    if tag == EXTENDED and name != PASSWORD_MODIFY:
        return None
    return WORDS[tag], name.decode()


class Cut:
    def __init__(self, after, kill):
        self.after, self.kill, self.happened, self.writes = after, kill, threading.Event(), []


class Relay:
    def __init__(self, world):
        self.to = urllib.parse.unquote(world.ldapi.removeprefix("ldapi://"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="scfgate-relay-"))
        self.path = str(self.folder / "ldapi")
        self.uri = "ldapi://" + urllib.parse.quote(self.path, safe="")
        self.lock, self.cut, self.ends = threading.Lock(), None, set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self._thread(self._accept)

    def _thread(self, target, *arguments):
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self.to)
                except OSError:
                    client.close()
                    continue
                self.ends |= {client, server}
                self._thread(self._up, client, server)
                self._thread(self._down, client, server)

    def _pass_on(self, data, server):
        """Sessions are begun, renewed and ended beside whatever happens: they are not counted."""
        written = write_of(data)
        if written is None or ",ou=sessions," in written[1]:
            return server.sendall(data)
        with self.lock:  # whoever comes while the gateway is being killed is not let through either
            cut = self.cut
            if cut is not None and len(cut.writes) == cut.after:
                if not cut.happened.is_set():
                    cut.kill()
                    cut.happened.set()
                raise ConnectionAbortedError
            if cut is not None:
                cut.writes.append(written)
            server.sendall(data)

    def _up(self, client, server):
        with contextlib.suppress(OSError, IndexError), client.makefile("rb") as stream:
            while data := message(stream):
                self._pass_on(data, server)
        self._end(client, server)

    def _down(self, client, server):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        self._end(client, server)

    def _end(self, *ends):
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self.ends.discard(end)

    @contextlib.contextmanager
    def cut_after(self, count, kill):
        """Within the block, `count` writes are passed on, and at the next one kill() is called instead."""
        self.cut = cut = Cut(count, kill)
        try:
            yield cut
        finally:
            with self.lock:
                self.cut = None

    def close(self):
        self.listener.close()
        self._end(*list(self.ends))
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
