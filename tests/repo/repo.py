"""What the checks of the repository share: where files are, and C without its comments."""

import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("src", "ldif", "conf", "tests", "docs", "man", ".ci")
TOP = ("README.md", "CHANGES", "Makefile.am", "configure.ac", "dev", ".clang-format", ".clang-tidy", ".gitignore")


@functools.lru_cache(maxsize=None)
def text(name):
    """A file that a check cannot do without: it is an error that it is not there."""
    return (ROOT / name).read_text(encoding="utf-8")


@functools.lru_cache(maxsize=None)
def files(folder, *endings):
    found = sorted(
        str(p.relative_to(ROOT))
        for p in (ROOT / folder).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and not p.name.endswith((".o", ".Po", ".log", ".trs", ".pyc"))
        and ".dirstamp" not in p.name and ".deps" not in p.parts and (not endings or p.suffix in endings)
    )
    return tuple(found)


def everything():
    """Every text of the project, wherever it is built."""
    found = [name for folder in FOLDERS if (ROOT / folder).is_dir() for name in files(folder)]
    return found + [name for name in TOP if (ROOT / name).is_file()]


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_of(source):
    """C without comments and without what is in quotes; lines stay where they are."""

    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token[0] + token[0]

    return TOKEN.sub(blank, source)


def literals_of(source):
    """The strings of a C source: not those in comments, not the names of included files."""
    source = re.sub(r"^\s*#\s*include.*$", "", source, flags=re.M)
    return [m.group(0)[1:-1] for m in TOKEN.finditer(source) if m.group(0)[0] == '"']


def line_of(source, position):
    return source.count("\n", 0, position) + 1


@functools.lru_cache(maxsize=None)
def makefile():
    """The variables of Makefile.am, with += joined and references to other variables replaced."""
    values = {}
    joined = re.sub(r"\\\n\s*", " ", text("Makefile.am"))
    for name, plus, value in re.findall(r"^([A-Za-z_]\w*)\s*(\+?)=[ \t]*(.*)$", joined, flags=re.M):
        values[name] = (values.get(name, "") + " " + value).strip() if plus else value.strip()

    def known(match):
        return values.get(match.group(1), match.group(0))

    for _ in range(5):
        values = {name: re.sub(r"\$\((\w+)\)", known, value) for name, value in values.items()}
    return {name: value.split() for name, value in values.items()}
