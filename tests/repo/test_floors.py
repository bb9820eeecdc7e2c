"""The house stands as docs/house.md draws it: includes point down, one face per folder, foreign libraries in one room."""

import re

from repo import ROOT, code_of, files, makefile, text

RANK = {"base": 0, "model": 1, "rule": 2, "dir": 2, "audit": 2, "mail": 2, "replica": 3, "flow": 4, "http": 5, "conf": 6, "main": 7}
FOREIGN = {
    "ldap.h": {"dir"}, "lber.h": {"dir"}, "ldap_schema.h": {"dir"},
    "microhttpd.h": {"http"}, "gnutls/gnutls.h": {"http"}, "gnutls/x509.h": {"http"},
    "uninorm.h": {"flow"}, "unicase.h": {"flow"}, "unistr.h": {"flow"},
    "libconfig.h": {"conf"}, "hpdf.h": {"flow"},
    "qrencode.h": {"http"},
    "curl/curl.h": {"mail"},
    "urcu-bp.h": {"replica"}, "urcu/urcu-bp.h": {"replica"},
}
# A folder shows one face, <folder>/<folder>.h; that of the workflows is one header for each of them.
FACES = {f"flow/{part}.h" for part in ("form", "account", "organization", "association", "consent", "desk", "employer",
                                   "submission")}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def floor_of(name):
    parts = name.split("/")
    return parts[1] if len(parts) > 2 else parts[1].split(".")[0]


def includes(name):
    return INCLUDE.findall(text(name))


SOURCES = files("src", ".c", ".h")


def test_every_folder_is_a_floor_that_we_know():
    assert SOURCES
    unknown = {floor_of(name) for name in SOURCES} - set(RANK)
    assert not unknown
    missing = [floor for floor in RANK if not any(floor_of(name) == floor for name in SOURCES)]
    assert not missing


def test_includes_point_down_only():
    wrong = []
    for name in SOURCES:
        floor = floor_of(name)
        for quote, path in includes(name):
            if quote == "<":
                continue
            assert (ROOT / "src" / path).is_file(), f"{name} includes {path}: not from src/"
            other = floor_of("src/" + path)
            if other != floor and RANK[other] >= RANK[floor]:
                wrong.append(f"{name} includes {path}")
    assert not wrong


def test_a_folder_shows_one_face():
    wrong = []
    for name in SOURCES:
        floor = floor_of(name)
        for quote, path in includes(name):
            other = path.split("/")[0]
            if quote == "<" or "/" not in path or other not in RANK or other in (floor, "base"):
                continue
            if path != f"{other}/{other}.h" and path not in FACES:
                wrong.append(f"{name} includes {path}")
    assert not wrong


def test_a_test_looks_into_one_floor_only():
    wrong = []
    for name in files("tests", ".c", ".h"):
        inside = {path.split("/")[0] for quote, path in includes(name)
                  if quote == '"' and "/" in path and path.split("/")[0] in RANK and not path.startswith("base/")
                  and path not in FACES and path != f"{path.split('/')[0]}/{path.split('/')[0]}.h"}
        if len(inside) > 1:
            wrong.append(f"{name}: {sorted(inside)}")
    assert not wrong


def test_foreign_libraries_stay_in_their_room():
    wrong = []
    for name in SOURCES:
        for quote, path in includes(name):
            for foreign, rooms in FOREIGN.items():
                alike = path == foreign or ("/" in foreign and path.startswith(foreign.split("/")[0] + "/"))
                if quote == "<" and alike and floor_of(name) not in rooms:
                    wrong.append(f"{name} includes <{path}>")
    assert not wrong
    for foreign, floor in (("ldap.h", "dir"), ("microhttpd.h", "http")):
        assert any(path == foreign for name in SOURCES if floor_of(name) == floor for _, path in includes(name))


def test_the_rule_is_pure():
    allowed = {'"rule/rule.h"', '"model/model.h"', '"base/banned.h"', '"base/err.h"', "<limits.h>", "<string.h>"}
    sources = [name for name in SOURCES if floor_of(name) == "rule"]
    assert sources
    for name in sources:
        found = {f'"{path}"' if quote == '"' else f"<{path}>" for quote, path in includes(name)}
        assert found <= allowed, f"{name}: {found - allowed}"
        called = re.findall(r"\b(malloc|calloc|realloc|free|time|clock_\w+|printf|fprintf|log_\w+|arena_\w+)\s*\(",
                            code_of(text(name)))
        assert not called, f"{name} calls {called}"


def test_a_test_program_links_only_what_lies_below():
    make = makefile()
    programs = make["check_PROGRAMS"]
    assert len(programs) >= 10
    wrong = []
    for program in programs:
        libraries = make[f"{program}_LDADD"]
        floors = [re.fullmatch(r"lib(\w+)\.a", lib).group(1) for lib in libraries if lib.endswith(".a")]
        sources = [s for s in make[f"{program}_SOURCES"] if s.endswith((".c", ".h"))]
        used = {floor_of("src/" + path) for s in sources for quote, path in includes(s)
                if quote == '"' and (ROOT / "src" / path).is_file()}
        top = max(RANK[floor] for floor in used)
        for floor in floors:
            if RANK[floor] > top or (RANK[floor] == top and floor not in used and floor != "base"):
                wrong.append(f"{program} links lib{floor}.a and includes only {sorted(used)}")
        for lib, floor in (("$(LDAP_LIBS)", "dir"), ("$(MICROHTTPD_LIBS)", "http"), ("$(URCU_LIBS)", "replica"),
                           ("$(CONFIG_LIBS)", "conf"), ("$(CURL_LIBS)", "mail")):
            if lib in libraries and floor not in floors and floor not in used:
                wrong.append(f"{program} links {lib} without {floor}")
    assert not wrong
