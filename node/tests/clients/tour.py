"""What an application does with kazoo: data, watches, access, transactions, and every recipe of kazoo's.

usage: tour.py HOSTS. Ends with the line "tour ended well", or with a failed assertion.
"""

import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError, NoAuthError, NodeExistsError, NoNodeError, NotEmptyError, RolledBackError)
from kazoo.security import make_digest_acl

HOSTS = sys.argv[1]
LIMIT = 30


def connect(**more):
    client = KazooClient(hosts=HOSTS, timeout=10, **more)
    client.start(timeout=LIMIT)
    return client


def expect(error, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except error:
        return
    raise AssertionError(f"{call.__name__}{arguments} did not raise {error.__name__}")


def wait(what, condition):
    """Not a guess: a condition, with a generous limit."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {LIMIT} s"
        time.sleep(0.005)


def data(one, two):
    assert one.create("/app/config", b"first", makepath=True) == "/app/config"
    expect(NodeExistsError, one.create, "/app/config")
    value, stat = one.get("/app/config")
    assert (value, stat.version, stat.dataLength, stat.numChildren) == (b"first", 0, 5, 0)
    assert one.set("/app/config", b"second", version=0).version == 1
    expect(BadVersionError, one.set, "/app/config", b"third", version=0)
    two.sync("/app")
    assert two.get("/app/config")[0] == b"second"
    path, stat = one.create("/app/n-", b"", sequence=True, ephemeral=True, include_data=True)
    assert path == "/app/n-0000000001" and stat.ephemeralOwner == one.client_id[0]
    children, stat = one.get_children("/app", include_data=True)
    assert sorted(children) == ["config", "n-0000000001"] and stat.cversion == 2
    expect(NotEmptyError, one.delete, "/app")
    expect(NoNodeError, one.get, "/nowhere")
    assert one.exists("/nowhere") is None
    big = bytes(range(256)) * 4000
    one.create("/app/big", big)
    assert two.retry(two.sync, "/app") and two.get("/app/big")[0] == big
    one.delete("/app", recursive=True)
    assert one.exists("/app") is None


def transactions(one):
    one.create("/bank")
    transaction = one.transaction()
    transaction.create("/bank/a", b"100")
    transaction.create("/bank/b", b"0")
    assert transaction.commit() == ["/bank/a", "/bank/b"]
    transaction = one.transaction()
    transaction.check("/bank/a", version=0)
    transaction.set_data("/bank/a", b"50")
    transaction.set_data("/bank/b", b"50", version=7)
    answers = transaction.commit()
    assert isinstance(answers[0], RolledBackError) and isinstance(answers[2], BadVersionError), answers
    assert one.get("/bank/a")[0] == b"100"


def watches(one, two):
    seen = []
    one.create("/w", b"0")

    @one.DataWatch("/w")
    def changed(value, stat, event):
        seen.append(value)

    children = []

    @one.ChildrenWatch("/w")
    def grew(names):
        children.append(sorted(names))

    for n in range(1, 6):
        two.set("/w", b"%d" % n)
        wait("the event of a change", lambda: seen[-1] == b"%d" % n)
        two.create(f"/w/c{n}")
        wait("the event of a child", lambda: len(children[-1]) == n)
    two.delete("/w", recursive=True)
    wait("the event of the end", lambda: seen[-1] is None)


def access(one):
    owner = connect(auth_data=[("digest", "ann:secret")])
    owner.create("/ann", b"mine", acl=[make_digest_acl("ann", "secret", all=True)])
    assert owner.get("/ann")[0] == b"mine"
    expect(NoAuthError, one.get, "/ann")
    one.add_auth("digest", "ann:secret")
    assert one.get("/ann")[0] == b"mine"
    acls, stat = one.get_acls("/ann")
    assert acls[0].id.scheme == "digest" and stat.aversion == 0
    owner.stop()


def recipes(one, two):
    order = []

    def critical(client, name):
        with client.Lock("/lock", name):
            order.append(name)
            order.append(name)

    threads = [threading.Thread(target=critical, args=(client, f"t{n}")) for n, client in enumerate([one, two] * 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert len(order) == 16 and all(order[n] == order[n + 1] for n in range(0, 16, 2)), order

    reader, other, writer = one.ReadLock("/rw", "r"), two.ReadLock("/rw", "r2"), two.WriteLock("/rw", "w")
    assert reader.acquire() and other.acquire()
    assert not writer.acquire(blocking=False)
    reader.release(), other.release()
    assert writer.acquire(timeout=LIMIT)
    writer.release()

    semaphores = [client.Semaphore("/sem", max_leases=2) for client in (one, two, one)]
    assert semaphores[0].acquire() and semaphores[1].acquire() and not semaphores[2].acquire(blocking=False)
    semaphores[0].release()
    assert semaphores[2].acquire(timeout=LIMIT)

    led = threading.Event()
    election = two.Election("/election", "two")
    thread = threading.Thread(target=election.run, args=(led.set,))
    thread.start()
    assert led.wait(LIMIT)
    thread.join(LIMIT)

    queue = one.Queue("/queue")
    for n in range(5):
        queue.put(b"%d" % n)
    assert [two.Queue("/queue").get() for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    locking = one.LockingQueue("/locking")
    locking.put_all([b"a", b"b"])
    assert locking.get() == b"a" and locking.consume()
    assert two.LockingQueue("/locking").get(timeout=LIMIT) == b"b"

    counter = one.Counter("/counter")
    threads = [threading.Thread(target=lambda: counter.__add__(1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert two.retry(two.sync, "/counter") and two.Counter("/counter").value == 8

    barrier = one.Barrier("/barrier")
    barrier.create()
    threading.Timer(0.05, two.Barrier("/barrier").remove).start()
    assert barrier.wait(LIMIT)
    entered = []
    doubles = [client.DoubleBarrier("/double", 2, f"d{n}") for n, client in enumerate((one, two))]
    threads = [threading.Thread(target=lambda d=d: (d.enter(), entered.append(1), d.leave())) for d in doubles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(entered) == 2

    parties = [client.Party("/party", f"p{n}") for n, client in enumerate((one, two))]
    for party in parties:
        party.join()
    assert sorted(parties[0]) == ["p0", "p1"]
    partitioner = one.SetPartitioner("/parts", set=("a", "b", "c"), time_boundary=0.1)
    wait("the partition of a set", lambda: partitioner.acquired or partitioner.wait_for_acquire(0.1))
    assert sorted(partitioner) == ["a", "b", "c"]
    partitioner.finish()
    lease = one.NonBlockingLease("/lease", __import__("datetime").timedelta(seconds=60), "one")
    assert lease and not two.NonBlockingLease("/lease", __import__("datetime").timedelta(seconds=60), "two")


def chroot(one):
    one.ensure_path("/apps/inner")
    inner = KazooClient(hosts=HOSTS + "/apps/inner", timeout=10)
    inner.start(timeout=LIMIT)
    inner.create("/x", b"1")
    one.sync("/apps")
    assert one.get("/apps/inner/x")[0] == b"1" and inner.get_children("/") == ["x"]
    inner.stop()


one, two = connect(), connect()
data(one, two)
transactions(one)
watches(one, two)
access(one)
recipes(one, two)
chroot(one)
for client in (one, two):
    client.stop()
    client.close()
print("tour ended well")
