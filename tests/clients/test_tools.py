"""curl and ldap-utils, as the README and an auditor use them."""
import json
import os
import pathlib
import socket
import subprocess
import sys

from api import PASSWORD
from gateway import BUILD, ROOT


def curl(gateway, path, *options):
    done = subprocess.run(["curl", "-sS", "--fail-with-body", "--cacert", gateway.ca, f"https://127.0.0.1:{gateway.port}{path}", *options],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_curl_lines_work(gateway):
    said = json.loads(curl(gateway, "/v1/login", "-d", json.dumps({"username": "chen", "password": PASSWORD}), "-H",
                           "Content-Type: application/json"))
    record = json.loads(curl(gateway, "/v1/records/O20240115000001", "-H", f"Authorization: Bearer {said['token']}"))
    assert record["document"]["legal_business_name"] == "Lakeside Family Clinic, LLC"


def test_curl_speaks_every_tls_that_we_allow_and_none_that_we_do_not(gateway):
    base = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", gateway.ca, f"https://127.0.0.1:{gateway.port}/v1/me"]
    for version in ("1.2", "1.3"):
        done = subprocess.run([*base, f"--tlsv{version}", "--tls-max", version], capture_output=True, text=True, timeout=20)
        assert done.stdout == "401", (version, done)
    old = subprocess.run([*base, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0"], capture_output=True,
                         text=True, timeout=20)
    assert old.returncode == 35 and old.stdout == "000", old


def ldapsearch(world, user, *query):
    """As an auditor would: StartTLS, his own password."""
    return subprocess.run(["ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-H", world.ldap, "-ZZ", "-x", "-D", world.person(user),
                           "-w", PASSWORD, "-b", f"ou=organizations,{world.suffix}", *query], capture_output=True, text=True, timeout=20,
                          env={**os.environ, "LDAPTLS_CACERT": str(world.ca_file)})


def test_an_auditor_reads_groups_with_ldapsearch(world):
    done = ldapsearch(world, "audit1", "(cn=associates)", "member")
    assert done.returncode == 0, done.stderr
    members = {line.split(": ")[1].split(",")[0] for line in done.stdout.splitlines() if line.startswith("member: ")}
    assert members == {"uid=chen", "uid=okafor", "uid=novak", "uid=silva"}


def test_the_directory_shows_a_record_to_ldapsearch_under_the_same_rule(world):
    query = ("(scfEnrollmentId=O20240115000001)", "scfDocument")
    assert "scfDocument" in ldapsearch(world, "chen", *query).stdout
    for user in ("novak", "ito", "silva", "outsider", "desk1", "audit1", "proc1"):
        assert "scfDocument" not in ldapsearch(world, user, *query).stdout, user


def test_ldapmodify_ends_access_in_a_running_session(world, gateway):
    okafor = gateway.signed_in("okafor")
    assert okafor.get("/v1/records/O20240115000001").status == 200
    world.set_values(world.organization("lakeside"), "scfBarredEmployer", world.organization("meridian"))
    answer = okafor.get("/v1/records/O20240115000001")
    for _ in range(100):
        if answer.status == 403:
            break
        answer = okafor.get("/v1/records/O20240115000001")
    assert answer.status == 403 and answer.reason == "employer_barred"
    world.set_values(world.organization("lakeside"), "scfBarredEmployer")


def up(state, *options):
    """Runs what `./dev up` runs, in the background; `./dev down` ends it."""
    return subprocess.run([sys.executable, ROOT / "tests" / "lib" / "up.py", "--build", BUILD, "--state", state, *options],
                          capture_output=True, text=True, timeout=120)


def test_up_tells_all_that_one_needs_and_down_ends_it(tmp_path):
    state = tmp_path / "my state"
    try:
        done = up(state, "--port", "0", "--background")
        told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        assert done.returncode == 0 and done.stdout.endswith("\nready\n"), done
        answer = subprocess.run(["curl", "-sS", "--cacert", told["ca"], f"{told['gateway']}/v1/accounts", "-d",
                                 json.dumps({"name": "Nora New", "mail": "nora@example.org"}), "-H", "Content-Type: application/json"],
                                capture_output=True, text=True, timeout=20)
        assert "A mail was sent" in answer.stdout, answer
        assert all(pathlib.Path(told[name]).exists() for name in ("configuration", "audit", "log", "mail"))
    finally:
        assert up(state, "--down").returncode == 0
    for name in ("scfgated", "slapd"):
        command = pathlib.Path(f"/proc/{told[name]}/cmdline")
        assert not command.exists() or not command.read_bytes(), name


def test_up_says_in_one_line_what_keeps_it_from_working(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for state, port, says in ((tmp_path / "s", str(taken.getsockname()[1]), "Address already in use"),
                                  (tmp_path / "s", "99999", "http.port: 99999 is out of range"),
                                  (tmp_path / ("deep" * 30), "0", "107 bytes")):
            done = up(state, "--port", port)
            assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr, done


def test_installing_again_leaves_alone_what_somebody_has_edited(tmp_path):
    def make(goal):
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR")}
        return subprocess.run(["make", "-s", "-C", str(BUILD), goal, f"DESTDIR={tmp_path}"], capture_output=True, text=True, timeout=120,
                              env=environment, check=True).stdout

    make("install")
    [ours] = tmp_path.rglob("scfgate.conf")
    shipped = ours.read_text()
    assert "directory" in shipped and list(tmp_path.rglob("855A.json")) and list(tmp_path.rglob("registered.txt"))
    ours.write_text("# edited\n")
    assert str(ours) in make("install")
    assert ours.read_text() == "# edited\n" and ours.with_name("scfgate.conf.new").read_text() == shipped
    make("uninstall")
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [ours]
