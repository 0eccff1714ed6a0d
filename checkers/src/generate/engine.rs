//! The loop that lets clients work on a simulated system.
//!
//! Each client has one operation open at most. One random client at a time goes one step further: it invokes, its
//! operation takes a step inside the system, or its completion is recorded. So operations overlap in every way, each takes
//! effect between its two lines, and the history is sound because the system is. Nothing is remembered of what is complete:
//! memory does not grow with the history.
//!
//! An operation that is lost (`info`) may stop anywhere: before its effect, which then never comes or comes much later,
//! or after it. Its client goes on under process + concurrency.

use super::dice::Dice;
use super::line::{Lines, Phase, Text};
use super::{Broken, Options, Report};
use std::io::{self, Write};

/// The most lost operations that may still take effect later.
const LATE: usize = 64;
/// A lost operation takes effect in one of so many steps of the loop.
const LATE_ONE_IN: usize = 128;
/// How often an operation waits (for a lock, say) before it gives up.
const PATIENCE: u32 = 40;
/// The mean time between two steps of the loop, in nanoseconds, for one client.
const MEAN_STEP: usize = 100_000;
/// The first process of staged clients: a round number above all those that lost operations can leave behind.
fn guests(options: &Options) -> u64 {
    let lost = options.operations.saturating_add(1);
    let most = lost.saturating_mul(options.concurrency as u64);
    let round = most
        .checked_ilog10()
        .map(|digits| 10_u64.checked_pow(digits + 1));
    round.flatten().unwrap_or(1 << 40)
}

/// What a step of an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to do.
    More,
    /// It cannot go on now: another holds what it needs.
    Wait,
    /// It is done, and the answer stands.
    Done,
    /// It was refused without an effect: `fail`.
    Refused,
}

/// What may become of an operation whose answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It takes effect sooner or later, or never.
    Perhaps,
    /// It must not take effect: nobody could undo it.
    Never,
    /// It must take effect: everybody waits for it.
    Surely,
    /// Its answer is not lost.
    Not,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    /// Which of the concurrent clients.
    pub(super) slot: usize,
    /// Its process, which a lost operation changes.
    pub(super) process: u64,
}

/// A system that clients work on.
pub(super) trait System {
    /// An operation, from its invocation to its completion.
    type Call;

    /// What the client asks next.
    fn ask(&mut self, dice: &mut Dice, client: Client) -> Self::Call;
    /// Takes the operation one step further. Effects are atomic within one step.
    fn step(&mut self, call: &mut Self::Call, dice: &mut Dice) -> Step;
    /// Its client was told that the operation is done.
    fn answered(&mut self, _call: &Self::Call) {}
    /// Forgets an operation that takes no further step.
    fn forget(&mut self, _call: Self::Call) {}
    /// What may become of the operation if its answer is lost.
    fn when_lost(&self, _call: &Self::Call) -> Lost {
        Lost::Perhaps
    }
    /// Whether a client may be told that its operation failed although nothing stood in its way.
    fn may_fail(&self, _call: &Self::Call) -> bool {
        true
    }
    /// Writes the operation's line from `"f":` on.
    fn write(&self, call: &Self::Call, phase: Phase, text: &mut Text);
    /// Whether an answer is on its client's connection as soon as there is one: what is told later comes after it.
    fn answers_at_once(&self) -> bool {
        false
    }
    /// The next line that nobody asked for, from `"f":` on: a watcher's.
    fn told(&mut self) -> Option<String> {
        None
    }
    /// The lines of the next staged breach, with what is wrong about them.
    fn stage(&mut self, dice: &mut Dice, quiet: bool) -> Option<Staged>;
    /// Whether this client must go on before a moment can be quiet: it holds a lock.
    fn is_busy(&self, _slot: usize) -> bool {
        false
    }
    /// Operations that end the history, one after the other, when all else is complete: final reads.
    fn last(&mut self) -> Option<Self::Call> {
        None
    }
}

/// A short scene on which the history breaks: lines of clients that exist for it alone.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) lines: Vec<(Speaker, Phase, String)>,
    pub(super) text: String,
}

/// Whose line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speaker {
    /// Who is told of changes.
    Watcher,
    /// A client of the scene.
    Guest(u64),
}

impl Staged {
    pub(super) fn new(text: impl Into<String>) -> Staged {
        Staged {
            lines: Vec::new(),
            text: text.into(),
        }
    }

    /// The next line, of this guest.
    pub(super) fn line(
        &mut self,
        guest: u64,
        phase: Phase,
        body: impl FnOnce(&mut Text),
    ) -> &mut Staged {
        let mut text = Text::default();
        body(&mut text);
        let speaker = Speaker::Guest(guest);
        self.lines.push((speaker, phase, text.as_str().to_owned()));
        self
    }

    /// A line that nobody asked for.
    pub(super) fn told(&mut self, body: String) {
        self.lines.push((Speaker::Watcher, Phase::Info, body));
    }

    /// An invocation and, directly after it, its completion.
    pub(super) fn both(
        &mut self,
        guest: u64,
        phase: Phase,
        asked: impl FnOnce(&mut Text),
        answered: impl FnOnce(&mut Text),
    ) -> &mut Staged {
        self.line(guest, Phase::Invoke, asked);
        self.line(guest, phase, answered)
    }
}

struct Open<C> {
    call: C,
    ending: Ending,
    ended: Option<Step>,
    waited: u32,
}

/// How an operation will end, drawn at its invocation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Answered,
    Failed,
    Lost,
}

struct Worker<C> {
    client: Client,
    open: Option<Open<C>>,
}

/// A staged scene that is being played.
struct Scene {
    staged: Staged,
    next: usize,
    first_line: u64,
}

struct Engine<'o, S: System, W> {
    system: S,
    options: &'o Options,
    dice: Dice,
    lines: Lines<W>,
    workers: Vec<Worker<S::Call>>,
    late: Vec<S::Call>,
    begun: u64,
    open: usize,
    quiet: bool,
    scene: Option<Scene>,
    guests: u64,
    report: Report,
}

/// Lets clients work until all operations are complete.
pub(super) fn run<S: System, W: Write>(
    system: S,
    quiet_scenes: bool,
    options: &Options,
    dice: Dice,
    out: W,
) -> io::Result<Report> {
    let clients = (0..options.concurrency).map(|slot| Worker {
        client: Client {
            slot,
            process: slot as u64,
        },
        open: None,
    });
    let mut engine = Engine {
        system,
        options,
        dice,
        lines: Lines::new(out),
        workers: clients.collect(),
        late: Vec::new(),
        begun: 0,
        open: 0,
        quiet: false,
        scene: None,
        guests: guests(options),
        report: Report::default(),
    };
    engine.work(quiet_scenes)?;
    engine.finish()
}

impl<S: System, W: Write> Engine<'_, S, W> {
    fn work(&mut self, quiet_scenes: bool) -> io::Result<()> {
        let breaks = match self.options.breaking {
            Some(_) => self.options.break_count,
            None => 0,
        };
        for scene in 0..breaks {
            let until = self.options.operations / (breaks + 1) * (scene + 1);
            self.until(until)?;
            if quiet_scenes {
                self.come_to_rest()?;
            }
            let staged = self.system.stage(&mut self.dice, quiet_scenes);
            self.scene = staged.map(|staged| Scene {
                staged,
                next: 0,
                first_line: self.lines.count(),
            });
            while quiet_scenes && self.scene.is_some() {
                self.play()?;
            }
        }
        self.until(self.options.operations)?;
        while self.scene.is_some() {
            self.play()?;
        }
        self.drain()
    }

    /// Works until so many operations have begun.
    fn until(&mut self, begun: u64) -> io::Result<()> {
        self.quiet = false;
        while self.begun < begun {
            self.turn()?;
        }
        Ok(())
    }

    /// As [`Engine::drain`], but whoever holds a lock releases it first.
    fn come_to_rest(&mut self) -> io::Result<()> {
        self.drain()?;
        while let Some(at) = (0..self.workers.len()).find(|slot| self.system.is_busy(*slot)) {
            self.begin(at)?;
            self.drain()?;
        }
        Ok(())
    }

    /// Works without beginning anything new until nothing is open, and no lost operation can take effect any more.
    fn drain(&mut self) -> io::Result<()> {
        self.quiet = true;
        while self.open > 0 {
            self.turn()?;
        }
        while let Some(call) = self.late.pop() {
            self.settle(call);
        }
        self.tell()
    }

    /// Writes down what was told.
    fn tell(&mut self) -> io::Result<()> {
        while let Some(body) = self.system.told() {
            self.lines.told(&body)?;
        }
        Ok(())
    }

    /// One client goes one step further.
    fn turn(&mut self) -> io::Result<()> {
        let step = self.dice.below(2 * MEAN_STEP / self.workers.len().max(1)) as u64;
        self.lines.pass(step + 1);
        if !self.late.is_empty() && self.dice.one_in(LATE_ONE_IN) {
            let at = self.dice.below(self.late.len());
            let call = self.late.swap_remove(at);
            self.settle(call);
            self.tell()?;
        }
        if self.scene.is_some() && self.dice.one_in(4) {
            self.play()?;
        }
        let at = self.dice.below(self.workers.len());
        match self.workers[at].open.take() {
            None if self.quiet => Ok(()),
            None => self.begin(at),
            Some(open) => self.advance(at, open),
        }
    }

    fn begin(&mut self, at: usize) -> io::Result<()> {
        let client = self.workers[at].client;
        let call = self.system.ask(&mut self.dice, client);
        let system = &self.system;
        self.lines.line(client.process, Phase::Invoke, |text| {
            system.write(&call, Phase::Invoke, text)
        })?;
        let may_be_lost = self.system.when_lost(&call) != Lost::Not;
        let ending = if self.dice.chance(self.options.info) && may_be_lost {
            Ending::Lost
        } else if self.dice.chance(self.options.fail) && self.system.may_fail(&call) {
            Ending::Failed
        } else {
            Ending::Answered
        };
        self.workers[at].open = Some(Open {
            call,
            ending,
            ended: None,
            waited: 0,
        });
        self.begun += 1;
        self.open += 1;
        Ok(())
    }

    fn advance(&mut self, at: usize, mut open: Open<S::Call>) -> io::Result<()> {
        if let Some(ended) = open.ended {
            return self.complete(at, open.call, open.ending, ended);
        }
        match open.ending {
            Ending::Failed => return self.complete(at, open.call, Ending::Failed, Step::Refused),
            Ending::Lost => match self.system.when_lost(&open.call) {
                Lost::Never => return self.lose(at, open.call, None),
                Lost::Perhaps if self.dice.one_in(3) => {
                    let later = self.dice.one_in(2);
                    return self.lose(at, open.call, Some(later));
                }
                Lost::Perhaps | Lost::Surely | Lost::Not => {}
            },
            Ending::Answered => {}
        }
        match self.system.step(&mut open.call, &mut self.dice) {
            Step::More => {}
            Step::Wait => {
                open.waited += 1;
                let surely = open.ending == Ending::Lost
                    && self.system.when_lost(&open.call) == Lost::Surely;
                if open.waited > PATIENCE && !surely {
                    open.ended = Some(Step::Refused);
                }
            }
            ended => open.ended = Some(ended),
        }
        self.tell()?;
        if let (Some(ended), true) = (open.ended, self.system.answers_at_once()) {
            return self.complete(at, open.call, open.ending, ended);
        }
        self.workers[at].open = Some(open);
        Ok(())
    }

    fn complete(
        &mut self,
        at: usize,
        call: S::Call,
        ending: Ending,
        ended: Step,
    ) -> io::Result<()> {
        if ending == Ending::Lost {
            return self.lose(at, call, None);
        }
        let phase = match ended {
            Step::Refused => Phase::Fail,
            _ => Phase::Ok,
        };
        let process = self.workers[at].client.process;
        let system = &self.system;
        self.lines
            .line(process, phase, |text| system.write(&call, phase, text))?;
        if phase == Phase::Ok {
            self.system.answered(&call);
        }
        self.open -= 1;
        self.system.forget(call);
        Ok(())
    }

    /// The answer is lost. `later` is whether the operation, which is not done yet, may still be.
    fn lose(&mut self, at: usize, call: S::Call, later: Option<bool>) -> io::Result<()> {
        let process = self.workers[at].client.process;
        // Some clients are never heard of again: their invocation has no second line at all.
        if !self.dice.one_in(8) {
            let system = &self.system;
            self.lines.line(process, Phase::Info, |text| {
                system.write(&call, Phase::Info, text)
            })?;
        }
        self.workers[at].client.process += self.workers.len() as u64;
        self.open -= 1;
        if later == Some(true) && self.late.len() < LATE {
            self.late.push(call);
        } else {
            self.system.forget(call);
        }
        Ok(())
    }

    /// A lost operation takes effect after all, if it can.
    fn settle(&mut self, mut call: S::Call) {
        while self.system.step(&mut call, &mut self.dice) == Step::More {}
        self.system.forget(call);
    }

    /// The next line of the scene.
    fn play(&mut self) -> io::Result<()> {
        let Some(scene) = &mut self.scene else {
            return Ok(());
        };
        self.lines.pass(1 + self.dice.below(MEAN_STEP) as u64);
        if scene.next == 0 {
            scene.first_line = self.lines.count();
        }
        let (speaker, phase, body) = &scene.staged.lines[scene.next];
        match speaker {
            Speaker::Watcher => self.lines.told(body)?,
            Speaker::Guest(guest) => self.lines.line(self.guests + guest, *phase, |text| {
                text.raw(body);
            })?,
        }
        scene.next += 1;
        if scene.next == scene.staged.lines.len() {
            let last_line = self.lines.count() - 1;
            let guest = |(speaker, ..): &(Speaker, Phase, String)| match speaker {
                Speaker::Guest(guest) => *guest,
                Speaker::Watcher => 0,
            };
            let most = scene.staged.lines.iter().map(guest).max();
            self.guests += most.unwrap_or(0) + 1;
            let scene = self.scene.take().expect("it is being played");
            self.report.broken.push(Broken {
                first_line: scene.first_line,
                last_line,
                text: scene.staged.text,
            });
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Report> {
        let process = self.workers[0].client.process;
        while let Some(mut call) = self.system.last() {
            self.lines.pass(MEAN_STEP as u64);
            let system = &self.system;
            self.lines.line(process, Phase::Invoke, |text| {
                system.write(&call, Phase::Invoke, text)
            })?;
            while self.system.step(&mut call, &mut self.dice) == Step::More {}
            self.tell()?;
            self.lines.pass(MEAN_STEP as u64);
            let system = &self.system;
            self.lines.line(process, Phase::Ok, |text| {
                system.write(&call, Phase::Ok, text)
            })?;
            self.system.forget(call);
        }
        self.report.operations = self.begun;
        self.report.lines = self.lines.count();
        self.lines.end()?;
        Ok(self.report)
    }
}
