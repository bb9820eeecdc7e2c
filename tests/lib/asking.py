"""Asking a private slapd as its users do: over TLS by themselves, or through the gateway, which acts in their names."""

import ldap
from ldap.controls.simple import ProxyAuthzControl


class Direct:
    """A user's own connection over TLS."""

    def __init__(self, world, uid):
        self.handle, self.controls = world.bind(uid), []


class ThroughGateway:
    """The gateway's connection, in a user's name (RFC 4370)."""

    def __init__(self, world, uid):
        self.handle, self.controls = world.gateway(), [ProxyAuthzControl(True, f"dn:{world.person(uid)}".encode())]


def search(client, base, scope=ldap.SCOPE_BASE, filter="(objectClass=*)", attributes=None):
    found = client.handle.search_ext_s(base, scope, filter, attributes, serverctrls=client.controls)
    return {dn: entry for dn, entry in found if dn}


def sees(client, dn):
    """Is the entry's document shown? If the entry is, its document must be, and the other way round."""
    try:
        found = search(client, dn, attributes=["scfDocument", "scfForm"])
    except ldap.NO_SUCH_OBJECT as error:
        assert "matched" not in error.args[0], error
        return False
    assert not found or set(found[dn]) == {"scfDocument", "scfForm"}
    return bool(found)


def writes(client, dn, attribute="scfDocument", value=b'{"new": true}'):
    """The name of the error, or None."""
    return outcome(client.handle.modify_ext_s, dn, [(ldap.MOD_REPLACE, attribute, value)], serverctrls=client.controls)


def outcome(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ldap.LDAPError as error:
        return type(error).__name__
    return None


class Writer:
    """Writes through the gateway's connection, in a user's name, or in the gateway's own."""

    def __init__(self, world, uid):
        client = ThroughGateway(world, uid or "nobody")
        self.handle, self.controls = client.handle, client.controls if uid else []

    def modify(self, dn, changes):
        self.handle.modify_ext_s(dn, changes, serverctrls=self.controls)

    def add(self, dn, entry):
        self.handle.add_ext_s(dn, entry, serverctrls=self.controls)

    def delete(self, dn):
        self.handle.delete_ext_s(dn, serverctrls=self.controls)


def replaced(attribute, value):
    """The change that makes the value the only one; None: there is none then."""
    return [(ldap.MOD_REPLACE, attribute, None if value is None else value.encode())]


def added(client, dn, entry):
    """What becomes of adding an entry of texts and lists of texts."""
    return outcome(client.add, dn, [(name, [v.encode() for v in ([values] if isinstance(values, str) else values)])
                                    for name, values in entry.items()])
