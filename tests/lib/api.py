"""A small HTTPS client for the tests: exact bytes where they matter, JSON where they do not."""
import http.client
import json
import socket
import ssl

PASSWORD = "sample passphrase 2026"
SECRET = "portal secret 2026"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # http.client.HTTPMessage: case-insensitive, get_all
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        """The `reason` of a problem document, or None."""
        try:
            return self.json.get("reason")
        except (ValueError, AttributeError):
            return None

    @property
    def revision(self):
        return self.headers.get("Scfgate-Revision")

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class Api:
    """One keep-alive connection. `source` is the loopback address to come from, `cert` a (certificate, key) pair."""

    def __init__(self, port, ca, source=None, cert=None, timeout=20, host="127.0.0.1"):
        self.port, self.ca, self.source, self.timeout, self.host = port, ca, source, timeout, host
        self.context = ssl.create_default_context(cafile=ca)
        if cert:
            self.context.load_cert_chain(*cert)
        self.token = None
        self.connection = None

    def _connect(self):
        self.connection = http.client.HTTPSConnection(
            self.host, self.port, context=self.context, timeout=self.timeout,
            source_address=(self.source, 0) if self.source else None)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, path, body=None, headers=None, token=True):
        """token: True sends this client's own, None or False sends none, a string sends that one."""
        sent = {}
        bearer = self.token if token is True else token
        if bearer:
            sent["Authorization"] = "Bearer " + bearer
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent["Content-Type"] = "application/json"
        if isinstance(body, str):
            body = body.encode()
        sent.update(headers or {})
        for attempt in (1, 2):
            if self.connection is None:
                self._connect()
            try:
                self.connection.request(method, path, body=body, headers=sent)
                got = self.connection.getresponse()
                data = got.read()
                answer = Answer(got.status, got.headers, data)
                if got.will_close:
                    self.close()
                return answer
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                # A keep-alive connection that the server has closed meanwhile; only what is safe goes out again.
                self.close()
                if attempt == 2 or method not in ("GET", "HEAD"):
                    raise

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body=body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body=body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def login(self, username, password=PASSWORD, **members):
        """Signs in and keeps the token. Returns the answer."""
        answer = self.post("/v1/login", {"username": username, "password": password, **members}, token=None)
        if answer.status == 200:
            self.token = answer.json.get("token")
        return answer


def raw(port, ca, data, timeout=5, source=None, host="127.0.0.1"):
    """Sends bytes over TLS as they are and returns everything that comes until the server closes or is silent."""
    context = ssl.create_default_context(cafile=ca)
    plain = socket.create_connection((host, port), timeout=timeout, source_address=(source, 0) if source else None)
    with context.wrap_socket(plain, server_hostname=host) as tls:
        got = b""
        try:
            tls.sendall(data)
        except (ssl.SSLError, ConnectionError):
            pass  # refused while we were still speaking; what was said before is still to be read
        try:
            while True:
                piece = tls.recv(65536)
                if not piece:
                    break
                got += piece
        except (socket.timeout, ConnectionError, ssl.SSLError):
            pass
        return got
