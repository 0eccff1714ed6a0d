"""An application that holds a lock, an ephemeral and a watch through the death of the server it is connected to.

usage: failover.py HOSTS. Prints "connected HOST:PORT" and waits for a line: meanwhile that server is killed. Ends with "survived", or with a failed assertion.
"""

import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry

HOSTS = sys.argv[1]
LIMIT = 30


def wait(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {LIMIT} s"
        time.sleep(0.005)


patient = KazooRetry(max_tries=-1, max_delay=0.2, deadline=LIMIT)
client = KazooClient(hosts=HOSTS, timeout=10, command_retry=patient, connection_retry=patient)
states, seen = [], []
client.add_listener(states.append)
client.start(timeout=LIMIT)
session = client.client_id[0]
lock = client.Lock("/held", "first")
assert lock.acquire(timeout=LIMIT)
client.create("/here", b"", ephemeral=True)
client.create("/watched", b"0")


@client.DataWatch("/watched")
def changed(value, stat, event):
    seen.append(value)


host, port = client._connection._socket.getpeername()[:2]
print(f"connected {host}:{port}", flush=True)
sys.stdin.readline()
wait("the loss of the connection", lambda: KazooState.SUSPENDED in states)
wait("a connection to another server", lambda: client.state == KazooState.CONNECTED)
assert client.client_id[0] == session and KazooState.LOST not in states, states
assert client.retry(client.exists, "/here").ephemeralOwner == session

other = KazooClient(hosts=HOSTS, timeout=10, command_retry=patient, connection_retry=patient)
other.start(timeout=LIMIT)
other.retry(other.set, "/watched", b"1")
wait("the event of a watch that was set on the server that died", lambda: seen[-1] == b"1")
waiting = other.Lock("/held", "second")
assert not waiting.acquire(blocking=False), "two hold one lock"
threading.Timer(0.05, lock.release).start()
assert waiting.acquire(timeout=LIMIT)
for each in (client, other):
    each.stop()
    each.close()
print("survived")
