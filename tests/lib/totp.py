"""The codes of a second factor, as an authenticator computes them (RFC 6238)."""
import base64
import hashlib
import hmac
import struct
import time

import ldap


def code_of(secret, at=None, step=0):
    """secret: base32, or bytes."""
    key = secret if isinstance(secret, bytes) else base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(at or time.time()) // 30 + step), hashlib.sha1).digest()
    return f"{(struct.unpack_from('>I', mac, mac[19] & 15)[0] & 0x7fffffff) % 1000000:06}"


def forget_step(world, uid):
    """As if half a minute had passed: the directory takes the code of this time again."""
    world.admin().modify_s(world.person(uid), [(ldap.MOD_REPLACE, "oathTOTPLastTimeStep", None)])


def next_code(world, uid, secret):
    forget_step(world, uid)
    return code_of(secret)


def enrolled(gateway, uid, **more):
    """Gives that person a second factor: (api, secret, recovery codes)."""
    api = gateway.signed_in(uid, **more)
    answer = api.post("/v1/me/totp")
    assert answer.status == 200, answer
    secret = answer.json["secret"]
    confirmed = api.post("/v1/me/totp/confirm", {"code": code_of(secret)})
    assert confirmed.status == 200, confirmed
    return api, secret, confirmed.json["recovery_codes"]
