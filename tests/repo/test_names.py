"""The repository agrees with itself: one thing has one name in code, LDIF, configuration and documentation."""

import json
import os
import pathlib
import re
import subprocess

import yaml

from repo import ROOT, files, line_of, literals_of, text

BUILD = pathlib.Path(os.environ.get("SCF_BUILD", ROOT))

# In the schema for people and for LDAP clients; the gateway neither reads nor writes them.
FOR_PEOPLE_ONLY = {"scfPacId", "scfSpecialty", "scfRevalidationDue"}


def schema_names():
    names = set(re.findall(r"NAME '(scf\w+)'", text("ldif/schema.ldif")))
    assert len(names) > 40
    return names


def code_names(folder):
    return {name for source in files(folder, ".c", ".h")
            for literal in literals_of(text(source)) for name in re.findall(r"\bscf[A-Z]\w*", literal)}


def test_the_code_speaks_of_the_schema_and_of_all_of_it():
    schema, code = schema_names(), code_names("src/dir")
    assert code
    assert not code - schema, "in the code, not in the schema"
    assert not schema - code - FOR_PEOPLE_ONLY, "in the schema, not in the code"
    assert not FOR_PEOPLE_ONLY - schema, "in neither"
    assert not FOR_PEOPLE_ONLY & code, "the code knows them after all"


def test_ldif_uses_names_that_the_schema_has():
    schema = schema_names()
    others = [name for name in files("ldif", ".ldif") if name != "ldif/schema.ldif"]
    assert len(others) >= 3
    wrong = []
    for name in others:
        source = re.sub(r"\n ", "", re.sub(r"^#.*\n", "", text(name), flags=re.M))
        wrong += [f"{name}: {found}" for found in set(re.findall(r"\bscf[A-Z]\w*", source)) - schema]
    assert not wrong


def test_the_schema_numbers_nothing_twice():
    source = text("ldif/schema.ldif")
    numbers = re.findall(r"\( (scf(?:Attr|Class):\d+) NAME", source)
    names = re.findall(r"NAME '(scf\w+)'", source)
    assert len(numbers) == len(names) == len(set(numbers)) == len(set(names))
    mentioned = set(re.findall(r"\bscf[A-Z]\w*", re.sub(r"^#.*$|DESC '[^']*'", "", source, flags=re.M)))
    assert not mentioned - set(names) - {"scfRoot", "scfAttr", "scfClass"}


def test_only_dir_knows_names_filters_and_dns():
    wrong = []
    for name in files("src", ".c", ".h"):
        if name.startswith("src/dir/"):
            continue
        for literal in literals_of(text(name)):
            if re.search(r"\bscf[A-Z]|\b(?:ou|dc|cn|uid)=|\(objectClass|entryCSN|entryUUID", literal):
                wrong.append(f"{name}: {literal}")
    assert not wrong


def enum_of(source, name):
    body = re.search(r"enum " + name + r" \{(.*?)\};", re.sub(r"/\*.*?\*/", "", source, flags=re.S), flags=re.S).group(1)
    return [word for word in re.findall(r"\w+", body)]


def rows_of(page, heading):
    """The first column of the first table below a heading, and the rest of each row."""
    part = page.split(heading, 1)
    assert len(part) == 2, f"docs/rules.md has no {heading}"
    table = re.search(r"\n\|[^\n]*\|\n\|[-| ]+\|\n((?:\|[^\n]*\|\n)+)", part[1])
    assert table, f"no table below {heading}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.group(1).splitlines()]


def test_the_reasons_of_code_and_documentation_are_the_same_in_word_and_text():
    words = text("src/rule/words.c")
    code = dict((m[0], (m[1], m[2])) for m in re.findall(r'\[(\w+)\] = \{ "(\w+)", "([^"]*)" \}', words))
    enum = enum_of(text("src/rule/rule.h"), "reason")
    assert enum[-1] == "REASONS" and len(enum) > 25
    assert [name for name in enum[:-1] if name not in code] == []
    rows = rows_of(text("docs/rules.md"), "### Reasons")
    documented = [(row[0].strip("`"), row[1]) for row in rows]
    assert documented == [code[name] for name in enum[:-1]]


def test_the_actions_of_code_and_documentation_are_the_same():
    words = text("src/rule/words.c")
    code = dict(re.findall(r'\[(\w+)\] = "([a-z._]+)"', words))
    enum = enum_of(text("src/rule/rule.h"), "action")
    assert enum[-1] == "ACTIONS" and len(enum) > 25
    documented = [row[0].strip("`") for row in rows_of(text("docs/rules.md"), "### Rows")]
    assert len(set(documented)) == len(documented)
    assert set(documented) == {code[name] for name in enum[:-1]}
    judged = set(re.findall(r"^\t\[([A-Z_]+)\] = (?:ALWAYS\(|\{ \{ AT_)", text("src/rule/rule.c"), flags=re.M))
    assert judged == set(enum[:-1]), "an action without rows is always refused"


def test_the_states_of_code_and_documentation_are_the_same():
    code = set(re.findall(r'\[STATE_\w+\] = "(\w+)"', text("src/model/model.c"))) - {"none"}
    assert len(code) > 15
    rows = rows_of(text("docs/rules.md"), "## 2. States")
    documented = {word for row in rows for word in re.findall(r"`(\w+)`", row[1])}
    assert documented == code


def test_every_reason_and_action_that_is_spoken_of_exists():
    known = set(re.findall(r'"([a-z]+(?:\.[a-z_]+)+|[a-z]+(?:_[a-z]+)+)"', text("src/rule/words.c")))
    wrong = []
    for name in files("conf", ".conf"):
        for match in re.finditer(r'action\s*=\s*"([^"]*)"', text(name)):
            if match.group(1) not in known:
                wrong.append(f"{name}:{line_of(text(name), match.start())}: {match.group(1)}")
    assert not wrong


def sample_settings():
    """Every setting of conf/scfgate.conf, commented out or not: value, or None if commented; and its nearest comment."""
    found, group, comment, depth, commented = {}, "", "", 0, False
    for line in text("conf/scfgate.conf").splitlines():
        bare = line.strip()
        assignment = re.match(r"#?(\w+)\s*=\s*(.*)$", bare)
        opening = re.match(r"(\w+)\s*:\s*\{$", bare)
        if depth:  # inside of a list of groups
            depth += bare.count("(") - bare.count(")")
        elif opening:
            group = opening.group(1) + "."
            comment = ""
        elif bare == "};":
            group = ""
        elif assignment and (not bare.startswith("#") or bare[1] != " "):
            value = assignment.group(2)
            depth = value.count("(") - value.count(")")
            found[group + assignment.group(1)] = (None if bare.startswith("#") else value.rstrip(";"), comment)
        elif bare.startswith("#"):
            comment = f"{comment} {bare}" if commented else bare
            commented = True
            continue
        commented = False
    return found


def test_the_sample_configuration_has_every_setting_with_its_default():
    program = BUILD / "scfgated"
    assert program.is_file(), "scfgated is not built"
    lines = subprocess.run([program, "--print-settings"], check=True, capture_output=True, text=True, timeout=60).stdout
    table = {}
    for line in lines.splitlines():
        name, kind, *default, least, most, when = line.split(" ")
        table[name] = (kind, " ".join(default), int(least), int(most), when)
    sample = sample_settings()
    assert len(table) > 30
    assert set(table) == set(sample)
    wrong = []
    for name, (kind, default, least, most, when) in table.items():
        value, comment = sample[name]
        if default == "none" and kind != "routes" and value not in (None, "[ ]") and "Required" not in comment:
            wrong.append(f"{name}: has no default, but the sample sets it without saying that it is required")
        if kind in ("number", "flag") and value != default:
            wrong.append(f"{name}: the default is {default}, the sample says {value}")
        if kind == "text" and default not in ("none", "required") and value != f'"{default}"' and value is not None:
            wrong.append(f"{name}: the default is {default}, the sample says {value}")
        if kind == "number" and not least <= int(default) <= most:
            wrong.append(f"{name}: the default is out of its own range")
        if ("[reload]" in comment) != (when == "reload"):
            wrong.append(f"{name}: {when}, but the comment says: {comment}")
    assert not wrong


def test_every_route_is_in_the_openapi_document_and_the_other_way_round():
    table = re.search(r"routes_table\[\] = \{(.*?)\n\};", text("src/http/routes.c"), flags=re.S).group(1)
    routes = {(method.lower(), path) for method, path in re.findall(r'\{\s*"([A-Z]+)",\s*"([^"]+)"', table)}
    assert len(routes) > 10
    methods = {"get", "put", "post", "delete", "patch"}
    paths = yaml.safe_load(text("docs/openapi.yaml"))["paths"]
    documented = {(method, path) for path, item in paths.items() for method in item if method in methods}

    def plain(found):
        return {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in found}

    assert plain(routes) == plain(documented)


def test_every_mail_has_a_text_and_is_sent_and_no_other_is():
    table = dict(re.findall(r'\{ "([a-z-]+)",\s+"([a-z_ ]+)" \}', text("src/mail/template.c")))
    assert len(table) > 15
    assert {pathlib.Path(name).stem for name in files("conf/mail")} == set(table)
    sources = [text(name) for name in files("src", ".c") if not name.startswith("src/mail/")]
    literals = {literal for source in sources for literal in literals_of(source)}
    assert not set(table) - literals, "nobody sends it"
    sent = {name for source in sources
            for name in re.findall(r'\b(?:notice_send|notice_help_desk|mail_send)\([^";]*"([a-z-]+)"', source)}
    assert len(sent) > 5 and not sent - set(table), "there is no such mail"
    for name, fields in table.items():
        used = set(re.findall(r"\{\{(\w*)\}\}", text(f"conf/mail/{name}.txt")))
        assert used <= set(fields.split()), name
        assert not used & {"tin", "ssn", "password"}, name


def test_help_names_only_calls_that_there_are():
    table = re.search(r"routes_table\[\] = \{(.*?)\n\};", text("src/http/routes.c"), flags=re.S).group(1)
    routes = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in re.findall(r'\{\s*"([A-Z]+)",\s*"([^"]+)"', table)}
    topics = json.loads(text("conf/help.json"))["topics"]
    named = {(call["method"], re.sub(r"\{\w+\}", "{}", call["path"]))
             for topic in topics for question in topic["questions"] for call in question["calls"]}
    assert len(named) > 20
    assert not named - routes
