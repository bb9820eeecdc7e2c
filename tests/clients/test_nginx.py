"""nginx with auth_request in front of an application: grant, refusal and revocation as nginx sees them."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from api import Api
from race import until
from world import TOOLS, free_ports

RECORD = "/enrollments/O20240115000001"

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream scfgate {{ server 127.0.0.1:{gateway}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {tls}/server.pem;
    ssl_certificate_key {tls}/server.key;
    location = /scfgate {{
      internal;
      proxy_pass https://scfgate/auth/nginx;
      proxy_ssl_trusted_certificate {ca};
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Original-URI $request_uri;
    }}
    location / {{
      auth_request /scfgate;
      auth_request_set $user $upstream_http_remote_user;
      auth_request_set $provider $upstream_http_scfgate_provider;
      auth_request_set $employer $upstream_http_scfgate_employer;
      auth_request_set $revision $upstream_http_scfgate_revision;
      proxy_set_header Remote-User $user;
      proxy_set_header Scfgate-Provider $provider;
      proxy_set_header Scfgate-Employer $employer;
      proxy_set_header Scfgate-Revision $revision;
      proxy_pass http://127.0.0.1:{application};
    }}
  }}
  # The application: says who it was told asks.
  server {{
    listen 127.0.0.1:{application};
    location / {{ return 200 "user=$http_remote_user provider=$http_scfgate_provider employer=$http_scfgate_employer\\n"; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(world, gateway, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    port, application = free_ports(2)
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port, application=application, gateway=gateway.port,
                                         tls=world.tls, ca=gateway.ca))
    program = shutil.which("nginx", path=TOOLS)
    assert program, "nginx is not installed"
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")],
                               env={**os.environ, "PATH": TOOLS}, stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 10
    while True:
        try:
            Api(port, gateway.ca).get("/")
            break
        except OSError:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end, "nginx does not answer"
            time.sleep(0.02)
    yield port
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def through(nginx, gateway, token, path=RECORD, method="GET", headers=None):
    return Api(nginx, gateway.ca).request(method, path, token=token, headers=headers)


def test_who_may_gets_through_and_the_application_learns_his_name(nginx, gateway):
    token = gateway.signed_in("okafor").token
    answer = through(nginx, gateway, token)
    assert answer.status == 200
    assert answer.body == b"user=okafor provider=lakeside employer=meridian\n"


def test_a_cookie_session_gets_through(nginx, gateway):
    api = gateway.api()
    cookie = api.login("chen", cookie=True).headers["Set-Cookie"].split(";")[0]
    answer = through(nginx, gateway, None, headers={"Cookie": cookie})
    assert answer.status == 200 and answer.body.startswith(b"user=chen ")


def test_nobody_and_strangers_do_not(nginx, gateway):
    nobody = through(nginx, gateway, None)
    assert nobody.status == 401 and "Bearer" in nobody.headers["WWW-Authenticate"]
    for user in ("novak", "outsider", "desk1"):
        assert through(nginx, gateway, gateway.signed_in(user).token).status == 403
    token = gateway.signed_in("chen").token
    assert through(nginx, gateway, token, "/somewhere/else").status == 403
    assert through(nginx, gateway, token, method="DELETE").status == 403


def test_a_clients_own_identity_headers_never_pass(nginx, gateway):
    token = gateway.signed_in("chen").token
    answer = through(nginx, gateway, token, headers={"Remote-User": "rivera", "Scfgate-Provider": "patel-md"})
    assert answer.status == 200 and answer.body.startswith(b"user=chen provider=lakeside ")
    assert through(nginx, gateway, None, headers={"Remote-User": "chen"}).status == 401


def test_grant_and_revocation_are_seen_through_nginx(nginx, gateway, world):
    token = gateway.signed_in("novak").token
    assert through(nginx, gateway, token).status == 403
    world.modify_ldif(f"""dn: {world.consent('c-harbor')}
changetype: add
objectClass: scfConsent
scfConsentId: c-harbor
scfProvider: {world.organization('lakeside')}
scfEmployer: {world.organization('harbor')}
scfState: approved
""")
    eventually(lambda: through(nginx, gateway, token).status == 200)
    world.set_state(world.consent("c-harbor"), "revoked")
    eventually(lambda: through(nginx, gateway, token).status == 403)


def eventually(holds, seconds=1.0):
    until(holds, seconds, pause=0.002)


def test_hostile_targets_are_refused_behind_nginx(nginx, gateway):
    token = gateway.signed_in("chen").token
    for path in ("/enrollments/../enrollments/O20240115000001", "/enrollments//O20240115000001", "/x/%2e%2e/enrollments/O20240115000001",
                 "/enrollments/O20240115000001%00", "/enrollments/O20240115000001;x", "/enrollments%2fO20240115000001",
                 "/enrollments/O20240115000001/", "/enrollments/%4f20240115000001x"):
        assert through(nginx, gateway, token, path).status in (400, 403), path


def test_a_directory_that_hangs_closes_the_application(nginx, gateway, world):
    token = gateway.signed_in("chen").token
    assert through(nginx, gateway, token).status == 200
    world.sigstop()
    try:
        time.sleep(2.5)
        assert through(nginx, gateway, token).status == 500  # nginx's word for a 503 of its authorizer
    finally:
        world.sigcont()
    eventually(lambda: through(nginx, gateway, token).status == 200, 5)
