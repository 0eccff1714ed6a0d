//! ZooKeeper's own promises: no stricter than what it owes its clients, and no laxer.
//!
//! | checker | what it judges |
//! | --- | --- |
//! | [`Znodes`] | the whole tree: every answer fits one order of all writes; replayed by zxid in linear time, searched for where zxids are missing |
//! | [`SessionOrder`] | plain reads: each session sees an ever newer prefix of the writes |
//! | [`ZxidAudit`] | what each Stat says of the zxids and versions of a znode agrees with all others, and with the writes |
//! | [`Sequence`] | numbers of sequential znodes |
//! | [`Ephemeral`] | a session's ephemeral znodes go all at once, with the session, neither too early nor too late |
//! | [`Watch`] | one-shot and persistent watches: an event for each change that was due, before the data that it announces, and none that was not |
//! | [`Fencing`] | `lock` and `election`: effects are accepted in the order of the tokens that guard them |
//!
//! # The shape of operations on the tree
//!
//! `key` is the path, `f` the operation, `value` its data; everything else has the name that the protocol has for it.
//!
//! | `f` | invocation | completion (`ok`) |
//! | --- | --- | --- |
//! | `create` | `value`: data; `sequential`, `ephemeral`: true | `path`: what was made (needed if sequential); Stat |
//! | `set` (`write`; `cas` with `[old,new]`) | `value`: data; `expected`: version, -1 or absent for any | Stat |
//! | `delete` | `expected`: version | |
//! | `get` (`read`), `exists`, `children` | `value`: null; `mode`: `local`, `sync`, `fenced` (absent: linearizable) | `value`: data, null, list of names; Stat |
//! | `multi` | `value`: `[["check",path,version], ["create",path,data,{"ephemeral":true}], ["set",path,data,version], ["delete",path,version]]` | `results`: for each part null, the path made, or the new version |
//! | `check` | `expected`: version | |
//! | `add-watch` | `value`: `persistent` or `persistent-recursive` | |
//! | `remove-watches` | `value`: `data`, `children`, `persistent`, `persistent-recursive` or `any` | |
//! | `sync`, `connect`, `close` | no key; `connect` begins or resumes a session, `close` ends it | |
//!
//! Containers (`container`) and znodes with a time to live (`ttl`) are refused: the server takes them away by itself, and no line tells when.
//!
//! A Stat is any of `czxid`, `mzxid`, `pzxid`, `version`, `cversion`, `aversion`, `numChildren`, `ephemeralOwner` (the owner's
//! session, or absent, null or 0). Every completion has `session` and `zxid`, the reply's; a write's reply has the write's own zxid (where the
//! contract says that a reply is stamped later, at least that). (For
//! [`Znodes`] zxids may be missing, from some answers or from all; without `session`, a process is its own session.)
//! An answer that is an error is `ok` with `error`: `NoNode`, `NodeExists`, `BadVersion`, `NotEmpty`, `NoChildrenForEphemerals`.
//! A multi that failed has in `error` the code of the part that failed, and may have `results` with null before it and
//! `RuntimeInconsistency` after it. A session that is left to expire has an indeterminate `close`, invoked when the last request
//! was sent: without one a session has not ended.
//!
//! `/` is always there. Other znodes are taken to be absent at first, but for those that an answer shows (or something below them) and that nothing in the
//! history can have made: these were there before, with data and a Stat that nobody knows. What happens below them must all be
//! in the history. ([`Znodes`] presumes otherwise where the history fits only so, and nothing tells that a znode was not there.)
//!
//! ```text
//! {"process":1,"type":"invoke","f":"create","key":"/q/n-","value":5,"sequential":true,…}
//! {"process":1,"type":"ok","f":"create","key":"/q/n-","value":5,"path":"/q/n-0000000007","czxid":4294967311,"zxid":4294967311,"session":"0x1"}
//! {"process":2,"type":"invoke","f":"delete","key":"/q/n-0000000007","value":null,"expected":3}
//! {"process":2,"type":"ok","f":"delete","key":"/q/n-0000000007","value":null,"error":"BadVersion","zxid":4294967312,"session":"0x2"}
//! ```

mod call;
mod decode;
mod effect;
mod ephemeral;
mod fencing;
mod given;
mod replay;
mod room;
mod search;
mod sequence;
mod session_order;
mod tree;
mod watch;
mod znodes;
mod zxid_audit;

pub use ephemeral::Ephemeral;
pub use fencing::Fencing;
pub use sequence::Sequence;
pub use session_order::SessionOrder;
pub use watch::Watch;
pub use znodes::Znodes;
pub use zxid_audit::ZxidAudit;
