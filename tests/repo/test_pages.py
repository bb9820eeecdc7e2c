"""What people read says what the program does: the manual pages, and the interface's document where no call can show it."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml

from repo import ROOT, text

BUILD = pathlib.Path(os.environ.get("SCF_BUILD", ROOT))
PAGES = ("man/scfgated.8", "man/scfgate.conf.5")
KINDS = {"uris": "list of URIs", "texts": "list of texts", "paths": "list of paths", "routes": "list of routes"}


@pytest.mark.parametrize("page", PAGES)
def test_a_manual_page_is_well_formed(page):
    told = subprocess.run(["mandoc", "-Tlint", ROOT / page], capture_output=True, text=True, timeout=60).stdout
    # Which other pages are installed is a matter of the machine.
    assert [line for line in told.splitlines() if "referenced manual not found" not in line and "mandoc.db" not in line] == []


def entries(page, macro):
    """What `.It` introduces, in order, and the text below each."""
    parts = re.split(rf"^\.It {macro} (.*)\n", text(page), flags=re.M)[1:]
    return [(name, re.split(r"^\.", body, flags=re.M)[0]) for name, body in zip(parts[::2], parts[1::2])]


def test_the_page_of_the_configuration_has_every_setting_as_the_program_has_it():
    program = [BUILD / "scfgated", "--print-settings"]
    table = {}
    for line in subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines():
        name, kind, *default, least, most, when = line.split(" ")
        kind, default = KINDS.get(kind, kind), " ".join(default)
        span = f", {least} to {most}" + ("" if kind == "number" else " of them") if most != "0" else ""
        given = {"required": "required", "none": "no default"}.get(default, f"default {default}")
        table[name] = f"{kind[0].upper()}{kind[1:]}{span}; {given}; {when}."
    page = {name: " ".join(body.split()) for name, body in entries("man/scfgate.conf.5", "Va")}
    assert len(page) > 60 and set(page) == set(table)
    assert [f"{name}: {told}" for name, told in page.items() if not told.startswith(table[name])] == []
    assert [name for name, told in page.items() if len(told) < len(table[name]) + 10] == [], "nothing is said of it"


def test_settings_that_a_page_speaks_of_exist():
    known = {name for name, _ in entries("man/scfgate.conf.5", "Va")}
    spoken = set(re.findall(r"^\.Va ([a-z_.]*[a-z])", text("man/scfgated.8"), flags=re.M))
    spoken |= {name for name in re.findall(r"\\fI([a-z_]+\.[a-z_]+)\\fP", text("man/scfgate.conf.5"))}
    assert len(spoken) > 5 and not spoken - known


def test_the_page_of_the_program_has_its_options():
    source = text("src/main.c")
    short = re.search(r'getopt_long\(argc, argv, "([a-zA-Z:]+)"', source).group(1)
    options = {(letter, colon) for letter, colon in re.findall(r"([a-zA-Z])(:?)", short)}
    options |= {(f"-{name}", "") for name in re.findall(r'\{ "([a-z-]+)", no_argument', source)}
    told = {(name.split()[0], ":" if " Ar " in name else "") for name, _ in entries("man/scfgated.8", "Fl")}
    assert len(options) > 4 and told == options
    usage = re.search(r"#define USAGE(.*?)\n\n", source, flags=re.S).group(1)
    assert {letter for letter, _ in options if len(letter) == 1} == set(re.findall(r"(?<= -)[a-zA-Z]\b", usage))


# ---- the document of the interface ----

SAID = yaml.load(text("docs/openapi.yaml"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def words_of(path, array):
    body = re.search(rf"{array}\[\w*\] = \{{(.*?)\n\}}", text(path), flags=re.S).group(1)
    return re.findall(r'"([a-z_.]+)"', body)


def test_the_words_of_the_interface_are_those_of_the_code():
    schemas = SAID["components"]["schemas"]
    actions = re.findall(r'^\t\[\w+\] = "([a-z_.]+)",$', text("src/rule/words.c"), flags=re.M)
    assert len(actions) > 40 and sorted(schemas["Action"]["enum"]) == sorted(actions)
    reasons = re.findall(r'^\t\[\w+\] = \{ "([a-z_]+)",', text("src/rule/words.c"), flags=re.M)
    assert len(reasons) > 25 and schemas["Reason"]["enum"] == reasons
    assert sorted(schemas["ResourceType"]["enum"]) == sorted(words_of("src/flow/decide.c", "resource_words"))
    problems = {word for source in sorted((ROOT / "src" / "http").glob("*.c"))
                for word in re.findall(r'(?:reply|begin)_problem\([^"]*?"([a-z_]+)"', source.read_text())}
    problems -= set(reasons)
    ours = next(part for part in schemas["Problem"]["properties"]["reason"]["anyOf"] if "enum" in part)
    assert len(problems) > 10 and sorted(ours["enum"]) == sorted(problems)


def calls():
    """(method, path, flags of the row, what is documented)"""
    table = re.search(r"routes_table\[\] = \{(.*?)\n\};", text("src/http/routes.c"), flags=re.S).group(1)
    paths = {re.sub(r"\{\w+\}", "{}", path): item for path, item in SAID["paths"].items()}
    for method, path, flags in re.findall(r'\{\s*"([A-Z]+)",\s*"([^"]+)",\s*([A-Z_| ]+),', table):
        yield method, path, set(flags.replace(" ", "").split("|")), paths[re.sub(r"\{\w+\}", "{}", path)][method.lower()]


def implied(method, path, flags):
    """The refusals that any call of its kind can give."""
    if flags & {"FORWARD", "OPERATIONS"}:
        return set()
    found = {"400", "429"} | (set() if "INLINE" in flags else {"503"})
    if "SIGNED_IN" in flags:
        # 403: a second factor is due, or the cookie comes without its CSRF token.
        found |= {"401"} | (set() if method == "GET" and "MAY_ENROL" in flags else {"403"})
        found |= {"404"} if "{" in path else set()
    if flags & {"JSON_BODY", "UPLOAD"}:
        found |= {"413"} | (set() if "OWN_LANGUAGE" in flags else {"415"})
    return found


def test_every_call_is_documented_with_the_refusals_of_its_kind():
    wrong, count = [], 0
    for method, path, flags, said in calls():
        count += 1
        missing = implied(method, path, flags) - set(said["responses"])
        if missing:
            wrong.append(f"{method} {path}: {sorted(missing)}")
        if bool(flags & {"JSON_BODY", "UPLOAD"}) != ("requestBody" in said):
            wrong.append(f"{method} {path}: body")
        if ("SIGNED_IN" in flags) != (said["security"] == [{"session": []}, {"cookie": []}]) and "FORWARD" not in flags:
            wrong.append(f"{method} {path}: who may call it")
    assert count > 80 and not wrong
