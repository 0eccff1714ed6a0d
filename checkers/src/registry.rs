//! The checkers by name: one row for each.

use crate::contract;
use crate::coverage::Coverage;
use crate::folds::{SetFull, TotalQueue, UnhandledErrors, UniqueIds};
use crate::keyed::Keyed;
use crate::linear::Linearizable;
use crate::models::{self, CasRegister, Kv, MultiRegister, Register, VersionedRegister};
use crate::parameters::{NullReads, Parameters};
use crate::recovery::Recovery;
use crate::set::Set;
use crate::stats::Stats;
use crate::txn::{ListAppend, RwRegister};
use crate::unread::Unread;
use crate::verdict::Checker;
use crate::weak::{Bank, Level, LongFork, SessionGuarantees, Weak};
use crate::zookeeper::{Ephemeral, Fencing, Sequence, SessionOrder, Watch, Znodes, ZxidAudit};
use serde::Serialize;

/// A checker by name, with one line about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CheckerInfo {
    /// The name that [`by_name`] and `--model` take.
    pub name: &'static str,
    /// Other names that [`by_name`] takes for it.
    pub aliases: &'static [&'static str],
    /// One line; it names the aliases.
    pub about: &'static str,
    /// The operations that it knows, in short: what is asked, and after `→` what is answered.
    pub operations: &'static str,
    /// A line of a history, as an example.
    pub example: &'static str,
    /// Whether it looks at [`Parameters::initial`]; the others ignore it.
    pub initial: bool,
    /// Whether it looks at a bare history of client operations (`check FILE --model NAME`); the others need a run's lines.
    pub model: bool,
}

struct Row {
    info: CheckerInfo,
    build: fn(&Parameters) -> Box<dyn Checker>,
}

const ROWS: &[Row] = &[
    Row {
        info: CheckerInfo {
            name: "register-linearizable",
            aliases: &["versioned-register"],
            about: "znodes with versions: creates, writes, compare-and-sets by version and reads are linearizable (also: versioned-register)",
            operations: "create(value), write(value), cas([old,new], expected version), read; answers carry version; errors NodeExists, NoNode, BadVersion",
            example: r#"{"process":0,"type":"ok","f":"create","key":"r1","value":5,"version":0}"#,
            initial: false,
            model: true,
        },
        build: |parameters| {
            let sync_is_owed = contract::owes_sync_reads(&parameters.contract);
            Box::new(Linearizable::new(
                "register-linearizable",
                VersionedRegister,
                sync_is_owed,
            ))
        },
    },
    Row {
        info: CheckerInfo {
            name: "register",
            aliases: &[],
            about: "plain registers: writes and reads are linearizable",
            operations: "write(value), read → value",
            example: r#"{"process":0,"type":"ok","f":"write","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(Register::starting_with(initial)))
        },
    },
    Row {
        info: CheckerInfo {
            name: "cas-register",
            aliases: &[],
            about: "registers with compare-and-set by value are linearizable",
            operations: "write(value), read → value, cas([old,new]); a cas that is ok with an error found another value",
            example: r#"{"process":0,"type":"ok","f":"cas","value":[null,5]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(CasRegister { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "multi-register",
            aliases: &[],
            about: "several registers, read and written together in transactions, are linearizable",
            operations: r#"txn([["r",key,value],["w",key,value],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["r","x",null],["w","y",2]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(MultiRegister { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "kv",
            aliases: &[],
            about: "a store by key: puts, gets, appends, deletes and compare-and-sets are linearizable",
            operations: "put(value), get → value, append(text), delete, cas([old,new]), each with a key; errors of get, delete and cas are observations",
            example: r#"{"process":0,"type":"ok","f":"put","key":"a","value":"x"}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(Kv { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "mutex",
            aliases: &[],
            about: "mutexes without owners: acquires and releases are linearizable",
            operations: "acquire, release",
            example: r#"{"process":0,"type":"ok","f":"acquire","value":null}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::Mutex { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "fenced-mutex",
            aliases: &[],
            about: "mutexes with owners: one holder at a time, and fencing tokens that rise (--initial: how often its owner may hold it, 1)",
            operations: "acquire → token (or null), release",
            example: r#"{"process":0,"type":"ok","f":"acquire","value":33}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let limit = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::FencedMutex { limit }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "reentrant-mutex",
            aliases: &[],
            about: "mutexes that their owner may acquire again (--initial: how often in all, 2)",
            operations: "acquire, release",
            example: r#"{"process":0,"type":"ok","f":"acquire","value":null}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let limit = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::ReentrantMutex { limit }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "semaphore",
            aliases: &[],
            about: "semaphores: never more permits out than there are (--initial: how many, 2)",
            operations: "acquire(permits), release(permits); null is one",
            example: r#"{"process":0,"type":"ok","f":"acquire","value":1}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let permits = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::Semaphore { permits }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "fifo-queue",
            aliases: &[],
            about: "queues: enqueue and dequeue are linearizable, first in, first out",
            operations: "enqueue(value), dequeue → value; null or the error empty or exhausted: there was nothing",
            example: r#"{"process":0,"type":"ok","f":"enqueue","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::FifoQueue { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "unordered-queue",
            aliases: &[],
            about: "queues without order: what is enqueued is dequeued once",
            operations: "enqueue(value), dequeue → value; null or the error empty or exhausted: there was nothing",
            example: r#"{"process":0,"type":"ok","f":"enqueue","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::UnorderedQueue { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "stack",
            aliases: &[],
            about: "stacks: push and pop are linearizable, last in, first out",
            operations: "push(value), pop → value; null or the error empty or exhausted: there was nothing",
            example: r#"{"process":0,"type":"ok","f":"push","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::Stack { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "priority-queue",
            aliases: &[],
            about: "priority queues: add and poll are linearizable, the least number first",
            operations: "add(number), poll → number; null or the error empty or exhausted: there was nothing",
            example: r#"{"process":0,"type":"ok","f":"add","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::PriorityQueue { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "counter",
            aliases: &[],
            about: "counters: adds and reads are linearizable",
            operations: "add(number), increment, decrement, read → number, add-and-get(number) → number, increment-and-get → number",
            example: r#"{"process":0,"type":"ok","f":"add","value":1}"#,
            initial: true,
            model: true,
        },
        build: |parameters| {
            let initial = parameters.initial.clone().unwrap_or_default();
            Box::new(Linearizable::of(models::Counter { initial }))
        },
    },
    Row {
        info: CheckerInfo {
            name: "znodes",
            aliases: &[],
            about: "ZooKeeper's tree: creates, deletes, sets, multis, reads and errors fit one order of all writes, by zxid",
            operations: "create, set (write, cas), delete, check, multi, get (read), exists, children, sync, connect, close; the path is the key, answers carry zxid",
            example: r#"{"process":0,"type":"ok","f":"create","key":"/a","value":5,"zxid":1}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(Znodes::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "zxid-audit",
            aliases: &[],
            about: "what Stats say of zxids and versions agrees with each other and with the writes",
            operations: "those of znodes, with the fields of Stat: czxid, mzxid, pzxid, version, cversion, …",
            example: r#"{"process":0,"type":"ok","f":"get","key":"/a","value":5,"czxid":1,"mzxid":1,"version":0,"zxid":1}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(ZxidAudit::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "sequence",
            aliases: &[],
            about: "numbers of sequential znodes are unique and increase with the zxids",
            operations: r#"those of znodes: creates with "sequential":true, whose answers carry path"#,
            example: r#"{"process":0,"type":"ok","f":"create","key":"/q/n-","value":5,"sequential":true,"path":"/q/n-0000000007","zxid":9}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(Sequence::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "ephemeral",
            aliases: &[],
            about: "a session's ephemeral znodes go all at once, with the session, neither too early nor too late",
            operations: r#"those of znodes: creates with "ephemeral":true, answers with session"#,
            example: r#"{"process":0,"type":"ok","f":"create","key":"/e","value":5,"ephemeral":true,"session":"0x1","zxid":9}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(Ephemeral::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "watch",
            aliases: &[],
            about: "watches: each change is told once, before the session sees it, to those that wait for it and to nobody else",
            operations: r#"those of znodes, get, exists and children with "watch":true, add-watch, remove-watches; lines event of a named process"#,
            example: r#"{"process":0,"type":"ok","f":"get","key":"/a","value":5,"watch":true,"session":"0x1","zxid":9}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(Watch::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "lock",
            aliases: &[],
            about: "effects guarded by a lock are accepted in the order of its tokens",
            operations: "acquire → with token, release, write(value) with token, zxid and lock, read",
            example: r#"{"process":0,"type":"ok","f":"acquire","key":"l1","value":null,"token":5,"zxid":7}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(Fencing::lock(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "election",
            aliases: &[],
            about: "effects of leaders are accepted in the order of their tokens",
            operations: "elect → with token, resign, write(value) with token, zxid and lock, read",
            example: r#"{"process":0,"type":"ok","f":"elect","key":"l1","value":null,"token":5,"zxid":7}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(Fencing::election(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "session-order",
            aliases: &[],
            about: "plain reads of znodes: each session sees an ever newer prefix of the writes, over all keys",
            operations: "those of znodes, of registers write(value), cas([old,new]), create(value), read → value; every answer carries zxid, of get and read also mzxid",
            example: r#"{"process":0,"type":"ok","f":"write","key":"r1","value":5,"zxid":9,"session":"0x1"}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(SessionOrder::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "set",
            aliases: &[],
            about: "sets: those that only grow by what became of each element, those with remove or contains by linearizability",
            operations: "add(element), read → [element,…], remove(element), contains(element) → true or false; errors NodeExists, exists, present (add), NoNode, absent, missing (remove)",
            example: r#"{"process":0,"type":"ok","f":"add","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Set::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "set-once",
            aliases: &[],
            about: "sets to which each element is added once: nobody is told twice that he added it, and all that was added is read again",
            operations: "those of set; what is ok and does not say otherwise changed the set",
            example: r#"{"process":0,"type":"ok","f":"add","value":5}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Set::once(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "list-append",
            aliases: &[],
            about: "transactions that append to lists and read them: isolation, by cycles of who precedes whom",
            operations: r#"txn([["append",key,element],["r",key,[element,…]],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["append","x",1],["r","y",[]]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(ListAppend::new(parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "rw-register",
            aliases: &[],
            about: "transactions that write registers and read them: isolation, by cycles of who precedes whom",
            operations: r#"txn([["w",key,value],["r",key,value],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["w","x",1],["r","y",null]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(RwRegister::new(parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "set-full",
            aliases: &[],
            about: "the fate of each element of a set that grows: stable, lost, never read; stale for how long",
            operations: "add(element), read → [element,…]",
            example: r#"{"process":0,"type":"ok","f":"read","value":[1,2]}"#,
            initial: false,
            model: true,
        },
        build: |parameters| Box::new(SetFull::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "unique-ids",
            aliases: &[],
            about: "no id was given out twice",
            operations: "generate → id",
            example: r#"{"process":0,"type":"ok","f":"generate","value":42}"#,
            initial: false,
            model: true,
        },
        build: |_| Box::new(Keyed(UniqueIds)),
    },
    Row {
        info: CheckerInfo {
            name: "total-queue",
            aliases: &[],
            about: "queues that were drained: what went in came out, and nothing else",
            operations: "enqueue(value), dequeue → value, drain → [value,…]",
            example: r#"{"process":0,"type":"ok","f":"drain","value":[7]}"#,
            initial: false,
            model: true,
        },
        build: |_| Box::new(TotalQueue),
    },
    Row {
        info: CheckerInfo {
            name: "recovery",
            aliases: &[],
            about: "after the last heal every node serves in time, and the replicas are equal; times of every recovery",
            operations: "",
            example: "",
            initial: false,
            model: false,
        },
        build: |parameters| Box::new(Recovery::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "coverage",
            aliases: &[],
            about: "the faults that were asked for took place and had an effect, and clients worked before, during and after",
            operations: "",
            example: "",
            initial: false,
            model: false,
        },
        build: |parameters| Box::new(Coverage::new(parameters)),
    },
    Row {
        info: CheckerInfo {
            name: "stats",
            aliases: &[],
            about: "counts, errors, rates and latencies; judges nothing",
            operations: "any",
            example: r#"{"process":0,"type":"ok","f":"write","value":5}"#,
            initial: false,
            model: true,
        },
        build: |_| Box::new(Stats),
    },
    Row {
        info: CheckerInfo {
            name: "unhandled-errors",
            aliases: &[],
            about: "the errors that left operations indeterminate, and how often; judges nothing",
            operations: "any",
            example: r#"{"process":0,"type":"info","f":"write","value":5,"error":"timeout"}"#,
            initial: false,
            model: true,
        },
        build: |_| Box::new(UnhandledErrors),
    },
    Row {
        info: CheckerInfo {
            name: "read-committed",
            aliases: &[],
            about: "transactions: one order of commits that keeps each process's (Biswas & Enea; Adya's is list-append --consistency), in which what is read later is not older",
            operations: r#"txn([["w",key,value] or ["append",key,element],["r",key,what it holds],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["w","x",1],["r","y",null]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(Weak::new(Level::ReadCommitted, parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "read-atomic",
            aliases: &[],
            about: "transactions: one order of commits that keeps each process's (Biswas & Enea; Cerone's is list-append --consistency), in which all or nothing of each is visible",
            operations: r#"txn([["w",key,value] or ["append",key,element],["r",key,what it holds],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["w","x",1],["r","y",null]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(Weak::new(Level::ReadAtomic, parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "causal",
            aliases: &[],
            about: "transactions: one order of commits that keeps each process's (Biswas & Enea; Cerone's is list-append --consistency), in which with each all that led to it is visible",
            operations: r#"txn([["w",key,value] or ["append",key,element],["r",key,what it holds],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["w","x",1],["r","y",null]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(Weak::new(Level::Causal, parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "session-guarantees",
            aliases: &[],
            about: "transactions: read your writes, monotonic reads and writes, writes follow reads, across all keys",
            operations: r#"txn([["w",key,value] or ["append",key,element],["r",key,what it holds],…])"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["w","x",1],["r","y",null]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(SessionGuarantees::new(parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "long-fork",
            aliases: &[],
            about: "keys written once: no two reads that each see a write which the other one misses",
            operations: r#"txn([["w",key,value]]), each key once; txn([["r",key,value],…]) of whole groups"#,
            example: r#"{"process":0,"type":"ok","f":"txn","value":[["r","x",1],["r","y",null]]}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(LongFork::new(parameters))),
    },
    Row {
        info: CheckerInfo {
            name: "bank",
            aliases: &[],
            about: "transfers between accounts: every read has the right total",
            operations: r#"transfer({"from","to","amount"}), read → {account: balance}"#,
            example: r#"{"process":0,"type":"ok","f":"read","value":{"0":95,"1":5}}"#,
            initial: true,
            model: true,
        },
        build: |parameters| Box::new(Keyed(Bank::new(parameters))),
    },
];

/// All checkers, in the order in which they are listed.
pub fn list() -> Vec<CheckerInfo> {
    ROWS.iter().map(|row| row.info).collect()
}

/// The checker of this name or alias.
pub fn by_name(name: &str, parameters: &Parameters) -> Option<Box<dyn Checker>> {
    let row = ROWS
        .iter()
        .find(|row| row.info.name == name || row.info.aliases.contains(&name))?;
    let checker = (row.build)(parameters);
    Some(match parameters.null_reads {
        NullReads::Unknown if MAY_BE_UNREAD.contains(&name) => Box::new(Unread(checker)),
        _ => checker,
    })
}

/// Those whose reads tell a value, or `null` where there is none.
const MAY_BE_UNREAD: [&str; 4] = ["register", "cas-register", "multi-register", "kv"];

/// The checkers that look at [`Parameters::contract`] where they judge a bare history.
pub fn asking_contract() -> &'static [&'static str] {
    &[
        "register-linearizable",
        "versioned-register",
        "session-order",
        "zxid-audit",
        "znodes",
    ]
}

/// The checkers that look at [`Parameters::null_reads`].
pub fn reading_null() -> &'static [&'static str] {
    &MAY_BE_UNREAD
}
