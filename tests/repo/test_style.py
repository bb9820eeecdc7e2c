"""Small mistakes that were made once too often, files that nobody builds, and words that do not belong here."""

import re

import pytest

from repo import code_of, everything, files, line_of, makefile, text

SOURCES = files("src", ".c", ".h")
BANNED = r"\b(?:%s)\s*\(" % "|".join((
    "strcpy", "strcat", "stpcpy", "sprintf", "vsprintf", "strncpy", "strncat", "gets", "strtok", "ato[ilf]", "rand", "srand",
    "random", "alloca", "gmtime", "localtime", "asctime", "ctime", "v?s?scanf", "system", "popen", "tmpnam",
    "tempnam", "mktemp", "setjmp", "longjmp", "ldap_init", "ldap_open", "ldap_simple_bind", "ldap_simple_bind_s"))


def test_every_source_begins_with_what_it_is_for():
    programs = SOURCES + files("tests", ".c", ".h")
    assert len(programs) > 30
    assert [name for name in programs if not re.match(r"/\* \S", text(name))] == []
    scripts = files("tests", ".py")
    assert scripts
    assert [name for name in scripts if not re.match(r'(?:#![^\n]*\n)?(?:"""|# )\S', text(name))] == []


def test_headers_guard_themselves_and_sources_include_the_ban_last():
    headers = [name for name in SOURCES if name.endswith(".h")]
    assert [name for name in headers if "#pragma once" not in text(name)] == []
    wrong = []
    for name in SOURCES:
        if not name.endswith(".c"):
            continue
        found = re.findall(r'^#include ["<]([^">]+)[">]', text(name), flags=re.M)
        found = [path for path in found if not path.startswith("sanitizer/")]
        if not found or found[-1] != "base/banned.h":
            wrong.append(name)
    assert not wrong


def test_no_banned_function_is_called():
    assert "strcpy" in text("src/base/banned.h")
    wrong = []
    for name in SOURCES:
        code = code_of(text(name))
        wrong += [f"{name}:{line_of(code, m.start())}: {m.group(0)}" for m in re.finditer(BANNED, code)]
    assert not wrong


def test_the_check_for_banned_functions_can_fail():
    code = code_of('/* strcpy(a, b) */ f("strcpy(a, b)"); not_strcpy(a); strcpy (a, b); x = rand();')
    assert [m.group(0) for m in re.finditer(BANNED, code)] == ["strcpy (", "rand("]


def test_nothing_is_left_to_do():
    wrong = []
    for name in SOURCES + files("tests", ".c", ".h", ".py"):
        if name.endswith("test_style.py"):
            continue
        wrong += [f"{name}:{line_of(text(name), m.start())}"
                  for m in re.finditer(r"\b(?:TODO|FIXME|XXX|HACK)\b", text(name))]
    assert not wrong


@pytest.mark.parametrize("what, pattern", [
    ("a path of one machine", r"(?<![\w.])/(?:work|home/\w+|root|Users|tmp(?!/scf[\w-]*XXXXXX))/\w"),
    ("a key or password in clear", r"-----BEGIN (?:\w+ )?PRIVATE KEY-----"),
    ("a conflict of a merge", r"^(?:<<<<<<< |>>>>>>> )"),
    ("a helper's mark", r"(?i)\b(?:anthropic|openai|chatgpt|copilot|language model)\b"),
])
def test_the_repository_does_not_contain(what, pattern):
    wrong = []
    for name in everything():
        if name == "tests/repo/test_style.py":
            continue
        source = text(name)
        wrong += [f"{name}:{line_of(source, m.start())}: {m.group(0)}" for m in re.finditer(pattern, source, flags=re.M)]
    assert not wrong, what


def test_text_is_text():
    wrong = []
    for name in everything():
        source = text(name)  # UTF-8, or this fails
        if "\r" in source or (source and not source.endswith("\n")) or re.search(r"[ \t]+$", source, flags=re.M):
            wrong.append(name)
    assert not wrong


def test_every_source_is_built_and_every_test_is_run():
    make = makefile()
    built = {word for name, words in make.items() if name.endswith("_SOURCES") for word in words}
    assert [name for name in SOURCES + files("tests", ".c", ".h") if name not in built] == []
    assert [name for name in sorted(built) if name.startswith(("src/", "tests/")) and name not in SOURCES
            and name not in files("tests", ".c", ".h")] == []
    run = {word for program in make["check_PROGRAMS"] for word in make[f"{program}_SOURCES"]}
    programs = [name for name in files("tests", ".c") if name.split("/")[-1].startswith("test_")]
    assert programs and [name for name in programs if name not in run] == []
    scripts = [name for name in files("tests", ".py") if name.split("/")[-1].startswith("test_")]
    assert scripts and [name for name in scripts if name not in make["PYTHON_TESTS"]] == []
    assert [name for name in make["PYTHON_TESTS"] if name not in scripts] == []


def test_every_file_is_in_the_distribution():
    make = makefile()
    taken = {word for name, words in make.items() if name.endswith(("_SOURCES", "_DATA", "EXTRA_DIST", "_MANS", "_SCRIPTS"))
             for word in words}
    wanted = [name for folder in ("src", "tests", "ldif", "conf", "docs", "man") for name in files(folder)]
    assert len(wanted) > 80
    assert [name for name in wanted if name not in taken] == []
