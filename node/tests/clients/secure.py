"""kazoo by SASL, and over TLS with a certificate of its own.

usage: secure.py HOSTS SECURE CA STORE. HOSTS speak plain and know the user bob with the password secret; SECURE is the port over TLS.
Ends with the line "secure ended well", or with a failed assertion.
"""

import sys
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import AuthFailedError, NoAuthError
from kazoo.security import ACL, Id, make_acl

HOSTS, SECURE, CA, STORE = sys.argv[1:]
LIMIT = 30


def connect(hosts, **more):
    client = KazooClient(hosts=hosts, timeout=10, **more)
    client.start(timeout=LIMIT)
    return client


def expect(error, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except error:
        return
    raise AssertionError(f"{call.__name__}{arguments} did not raise {error.__name__}")


def sasl(password):
    return {"mechanism": "DIGEST-MD5", "username": "bob", "password": password}


nobody = connect(HOSTS)
bob = connect(HOSTS, sasl_options=sasl("secret"))
bob.create("/bob", b"his", acl=[make_acl("sasl", "bob", all=True)])
assert bob.get("/bob")[0] == b"his"
assert bob.get_acls("/bob")[0] == [ACL(31, Id("sasl", "bob"))]
expect(NoAuthError, nobody.get, "/bob")
states = []
wrong = KazooClient(hosts=HOSTS, timeout=10, sasl_options=sasl("guess"))
wrong.add_listener(states.append)
try:
    wrong.start(timeout=LIMIT)
except (AuthFailedError, wrong.handler.timeout_exception):
    pass
end = time.monotonic() + LIMIT
while KazooState.LOST not in states:
    assert time.monotonic() < end, states
    time.sleep(0.005)

secure = connect(SECURE, use_ssl=True, ca=CA, certfile=STORE, keyfile=STORE, verify_certs=True)
secure.create("/secure", b"over TLS", acl=[make_acl("x509", "CN=kazoo,O=Keelhaul", all=True)])
assert secure.get("/secure")[0] == b"over TLS"
expect(NoAuthError, nobody.get, "/secure")
big = bytes(range(256)) * 3900
secure.set("/secure", big)
assert secure.get("/secure")[0] == big
both = connect(SECURE, use_ssl=True, ca=CA, certfile=STORE, keyfile=STORE, sasl_options=sasl("secret"))
assert both.get("/bob")[0] == b"his" and both.get("/secure")[0] == big
anonymous = KazooClient(hosts=SECURE, timeout=10, use_ssl=True, ca=CA)
expect(anonymous.handler.timeout_exception, anonymous.start, timeout=3)
for client in (nobody, bob, secure, both):
    client.stop()
    client.close()
print("secure ended well")
