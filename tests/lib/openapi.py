"""docs/openapi.yaml as a client takes it: what it may ask, how it asks, and whether an answer is what the document says."""
import json
import re
import urllib.parse

import jsonschema
import yaml

METHODS = ("get", "put", "post", "delete", "patch")
# Headers that mean something to a client: an answer that has one must be documented with it.
MEANT = ("ETag", "Location", "Scfgate-Revision", "WWW-Authenticate", "Retry-After", "Set-Cookie", "Allow", "Vary",
         "Content-Disposition", "Content-Security-Policy", "Remote-User", "Scfgate-Provider", "Scfgate-Employer",
         "Scfgate-Path")

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def _is_time(value):
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value))


@FORMATS.checks("uri")
def _is_uri(value):
    return not isinstance(value, str) or bool(urllib.parse.urlsplit(value).scheme)


@FORMATS.checks("json-pointer")
def _is_pointer(value):
    return not isinstance(value, str) or value == "" or value.startswith("/")


def closed(schema, outermost=True):
    """The schema, in which an object has the members that are named and no other. One without any stays open: its members are
    told elsewhere."""
    if isinstance(schema, list):
        return [closed(part, outermost) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {}
    for name, value in schema.items():
        if name in ("allOf", "anyOf", "oneOf"):
            inner[name] = closed(value, False)  # parts of one object, which only the whole can close
        elif name == "properties":
            inner[name] = {member: closed(of) for member, of in value.items()}
        elif name in ("items", "additionalProperties"):
            inner[name] = closed(value)
        else:
            inner[name] = value
    if outermost and "additionalProperties" not in inner and _members(inner):
        inner["unevaluatedProperties"] = False
    return inner


def _members(schema):
    return set(schema.get("properties", ())).union(*(_members(part) for part in schema.get("allOf", ())))


NOTHING = object()


def members(schema, value=NOTHING, owner=""):
    """The members that the schema names, or those of them that the value has: (name of the nearest component or call, path)."""
    owner = schema.get("x-name", owner)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        yield from members(part, value, owner)
    for name, of in schema.get("properties", {}).items():
        if value is NOTHING or isinstance(value, dict) and name in value:
            yield f"{owner}/{name}"
            yield from members(of, value if value is NOTHING else value[name], f"{owner}/{name}")
    if "items" in schema and (value is NOTHING or isinstance(value, list)):
        for item in (NOTHING,) if value is NOTHING else value:
            yield from members(schema["items"], item, owner)


def wrongs(schema, value):
    """What in the value the schema does not have."""
    return [f"{'/'.join(map(str, wrong.absolute_path)) or 'it'}: {wrong.message}" for wrong in
            jsonschema.Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value)]


class Operation:
    def __init__(self, method, path, parameters, said):
        self.id, self.method, self.path, self.said = said["operationId"], method.upper(), path, said
        self.parameters = {(p["in"], p["name"]): p for p in parameters}
        self.responses = said["responses"]
        self.for_operators = "operations" in said["tags"]
        self.security = [name for way in said["security"] for name in way]
        self.bodies = said.get("requestBody", {}).get("content", {})
        self.sent, self.seen = set(), set()  # parameters and members of its requests, members of its answers

    def __repr__(self):
        return f"{self.method} {self.path}"

    def takes(self):
        """The parameters of the query and the members that its requests may have."""
        return {f"{self.id}?{name}" for place, name in self.parameters if place == "query"}.union(
            *(members(content["schema"], owner=self.id) for kind, content in self.bodies.items() if kind.endswith("json")))

    def told(self):
        """The members that its answers may have."""
        return {member for response in self.responses.values() for kind, content in response.get("content", {}).items()
                if kind.endswith("json") for member in members(content["schema"], owner=response.get("x-name", self.id))}

    def target(self, ids=(), query=None):
        """The path with its variables, in their order, and the query."""
        parts = iter(ids)
        path = re.sub(r"\{\w+\}", lambda _: urllib.parse.quote(next(parts), safe=""), self.path)
        assert next(parts, None) is None, f"{self}: more ids than variables"
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    def check_request(self, query, headers, body, kind):
        """What is asked is what the document lets a client ask."""
        for where, given in (("query", query or {}), ("header", headers or {})):
            for name, value in given.items():
                told = self.parameters.get((where, name))
                assert told, f"{self}: {where} {name} is not documented"
                value = int(value) if told["schema"].get("type") == "integer" else value
                assert not (wrong := wrongs(told["schema"], value)), f"{self}: {where} {name}: {wrong}"
            missing = [name for (place, name), told in self.parameters.items()
                       if place == where and told.get("required") and name not in given]
            assert not missing, f"{self}: {where} {missing} is documented as required"
        self.sent.update(f"{self.id}?{name}" for name in query or {})
        if body is None:
            assert not self.bodies, f"{self}: a body is documented"
            return
        assert kind in self.bodies, f"{self}: a body of {kind} is not documented"
        if kind == "application/json":
            assert not (wrong := wrongs(self.bodies[kind]["schema"], body)), f"{self}: the body: {wrong}"
            self.sent.update(members(self.bodies[kind]["schema"], body, self.id))

    def check_answer(self, answer):
        """Status, headers and content are what the document says, and nothing else."""
        told = self.responses.get(str(answer.status))
        assert told, f"{self}: {answer.status} is not documented: {answer}"
        where = f"{self}, {answer.status}"
        for name, header in told.get("headers", {}).items():
            if name not in answer.headers:
                assert not header.get("required"), f"{where}: no {name}"
                continue
            value = int(answer.headers[name]) if header["schema"].get("type") == "integer" else answer.headers[name]
            assert not (wrong := wrongs(header["schema"], value)), f"{where}: {name}: {wrong}"
        untold = [name for name in MEANT if name in answer.headers and name not in told.get("headers", {})]
        assert not untold, f"{where}: {untold} are not documented"
        contents = told.get("content", {})
        if not contents:
            assert answer.body == b"", f"{where}: a body is not documented: {answer}"
            return
        kind = answer.headers.get("Content-Type", "").split(";")[0]
        assert kind in contents, f"{where}: content of '{kind}' is not documented"
        if kind.endswith("json"):
            value = json.loads(answer.body)
            wrong = wrongs(closed(contents[kind]["schema"]), value)
            assert not wrong, f"{where}: {wrong}\n{answer.body.decode()}"
            self.seen.update(members(contents[kind]["schema"], value, told.get("x-name", self.id)))


class Document:
    def __init__(self, file):
        with open(file, encoding="utf-8") as text:
            self.tree = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.used = set()
        self.operations = {}
        for path, item in self.tree["paths"].items():
            shared = self._whole(item.get("parameters", []))
            for method in METHODS:
                if method in item:
                    said = self._whole(item[method])
                    operation = Operation(method, path, shared + said.get("parameters", []), said)
                    assert operation.id not in self.operations, f"{operation.id} is there twice"
                    self.operations[operation.id] = operation

    def _whole(self, node):
        """Without references; none of them leads back to itself."""
        if isinstance(node, list):
            return [self._whole(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {name: self._whole(value) for name, value in node.items()}
        assert set(node) <= {"$ref", "description"}, node
        self.used.add(node["$ref"])
        target = self.tree
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        _, _, group, name = node["$ref"].split("/")
        named = {"x-name": name} if group in ("schemas", "responses") else {}
        return {**self._whole(target), **named, **{name: value for name, value in node.items() if name != "$ref"}}

    def unused(self):
        """Components that nothing refers to."""
        return [name for group, members in self.tree["components"].items() if group != "securitySchemes"
                for member in members if (name := f"#/components/{group}/{member}") not in self.used]
