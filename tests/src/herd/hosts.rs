//! What hosts do, event by event: connect, wait, receive, give up, back off, be started again.

use super::backoff::Backoff;
use super::events::{Events, What};
use super::origin::Origin;
use super::{HORIZON, Report, Scenario};
use crate::dice::Dice;

/// bootstrap's `CONNECT_TIMEOUT`: where the kernel's queue is full, nobody answers.
const CONNECT_TIMEOUT: f64 = 10.0;
/// How long bootstrap waits for the head of an answer: `BOOTSTRAP_STALL_TIMEOUT` and the time to connect.
const ANSWER_TIMEOUT: f64 = 25.0;
/// Docker's first delay before it starts a container again. It is the first one each time, for a start that
/// lasted more than ten seconds.
const RESTART: f64 = 0.1;

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Until its next attempt.
    Idle,
    /// For a SYN that nobody takes.
    Unheard,
    /// Connected, in the queue of a repository.
    Queued(usize),
    /// Receives from a repository, up to this mark.
    Receiving(usize, f64),
    Done,
}

type Random = Box<dyn FnMut() -> f64>;

struct Host {
    state: State,
    /// Of the artefact, after what was resumed.
    left: f64,
    /// Numbers what is waited for, so that what is out of date is known as such.
    attempt: u32,
    backoff: Backoff<Random>,
}

pub(super) struct Herd<'a> {
    scenario: &'a Scenario,
    dice: Dice,
    events: Events,
    hosts: Vec<Host>,
    origins: Vec<Origin>,
    done: usize,
    report: Report,
}

/// In [0, 1).
fn uniform(dice: &mut Dice) -> f64 {
    const SIDES: usize = 1 << 31;
    dice.roll(SIDES) as f64 / SIDES as f64
}

fn backoff(scenario: &Scenario, number: usize) -> Backoff<Random> {
    let mut dice = Dice::new(scenario.seed.wrapping_mul(0x1_0000_0001) + number as u64);
    if scenario.jitter {
        Backoff::new(Box::new(move || uniform(&mut dice)))
    } else {
        Backoff::new(Box::new(|| 1.0))
    }
}

impl<'a> Herd<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let mut dice = Dice::new(scenario.seed);
        let mut events = Events::default();
        let hosts = (0..scenario.hosts)
            .map(|host| {
                let start = uniform(&mut dice) * scenario.spread;
                events.plan(start, What::Connect { host });
                events.plan(start + scenario.deadline, What::Deadline { host });
                Host {
                    state: State::Idle,
                    left: scenario.artefact,
                    attempt: 0,
                    backoff: backoff(scenario, host),
                }
            })
            .collect();
        let origin = || Origin::new(scenario.link, scenario.host_link);
        Self {
            scenario,
            dice,
            events,
            hosts,
            origins: (0..scenario.repositories).map(|_| origin()).collect(),
            done: 0,
            report: Report {
                times: vec![f64::INFINITY; scenario.hosts],
                ..Report::default()
            },
        }
    }

    /// To the last host. The times are those of the hosts, in their order.
    pub(super) fn run(mut self) -> Report {
        while self.done < self.hosts.len() {
            let Some((now, what)) = self.events.next().filter(|(now, _)| *now < HORIZON) else {
                break;
            };
            match what {
                What::Connect { host } if self.hosts[host].state == State::Idle => {
                    self.connect(now, host);
                }
                What::GiveUp { host, attempt } if self.hosts[host].attempt == attempt => {
                    self.give_up(now, host);
                }
                What::Deadline { host } if self.hosts[host].state != State::Done => {
                    self.expire(now, host);
                }
                What::Complete { repository, change }
                    if self.origins[repository].change == change =>
                {
                    self.complete(now, repository);
                }
                _ => {}
            }
        }
        self.report
    }

    fn connect(&mut self, now: f64, host: usize) {
        self.hosts[host].attempt += 1;
        let attempt = self.hosts[host].attempt;
        if now < self.scenario.outage {
            self.back_off(now, host);
            return;
        }
        self.report.arrive(now - self.scenario.outage);
        // As a name with several addresses, or a load balancer, spreads them.
        let repository = self.dice.roll(self.origins.len());
        let origin = &mut self.origins[repository];
        let (state, patience) = if origin.active < self.scenario.connections {
            self.receive(now, host, repository);
            return;
        } else if origin.waiting < self.scenario.backlog {
            origin.queue.push_back((host, attempt));
            origin.waiting += 1;
            (State::Queued(repository), ANSWER_TIMEOUT)
        } else {
            (State::Unheard, CONNECT_TIMEOUT)
        };
        self.hosts[host].state = state;
        self.events
            .plan(now + patience, What::GiveUp { host, attempt });
    }

    fn back_off(&mut self, now: f64, host: usize) {
        self.hosts[host].state = State::Idle;
        let delay = self.hosts[host].backoff.next().as_secs_f64();
        self.events.plan(now + delay, What::Connect { host });
    }

    fn receive(&mut self, now: f64, host: usize, repository: usize) {
        let origin = &mut self.origins[repository];
        origin.advance(now);
        // A new number: whoever waits no longer gives up.
        self.hosts[host].attempt += 1;
        let bytes = self.scenario.document + self.hosts[host].left;
        let mark = origin.begin(host, self.hosts[host].attempt, bytes);
        self.hosts[host].state = State::Receiving(repository, mark);
        self.plan_next(repository);
    }

    fn plan_next(&mut self, repository: usize) {
        let hosts = &self.hosts;
        let origin = &mut self.origins[repository];
        let change = origin.change;
        if let Some((at, _)) = origin.next(|host, attempt| hosts[host].attempt != attempt) {
            self.events.plan(at, What::Complete { repository, change });
        }
    }

    fn complete(&mut self, now: f64, repository: usize) {
        let origin = &mut self.origins[repository];
        origin.advance(now);
        let hosts = &self.hosts;
        let next = origin.next(|host, attempt| hosts[host].attempt != attempt);
        if let Some((_, host)) = next {
            origin.complete();
            self.report.bytes += self.scenario.document + self.hosts[host].left;
            self.report.times[host] = now - self.scenario.outage;
            self.hosts[host].state = State::Done;
            self.done += 1;
        }
        self.admit(now, repository);
    }

    /// Lets in who waits the longest, as far as there is room.
    fn admit(&mut self, now: f64, repository: usize) {
        while self.origins[repository].active < self.scenario.connections {
            let Some((host, attempt)) = self.origins[repository].queue.pop_front() else {
                break;
            };
            if self.hosts[host].attempt == attempt {
                self.origins[repository].waiting -= 1;
                self.receive(now, host, repository);
            }
        }
        self.plan_next(repository);
    }

    fn give_up(&mut self, now: f64, host: usize) {
        self.report.turned_away += 1;
        self.leave(now, host);
        self.back_off(now, host);
    }

    /// What came so far is kept, and resumed.
    fn leave(&mut self, now: f64, host: usize) {
        self.hosts[host].attempt += 1;
        match self.hosts[host].state {
            State::Queued(repository) => self.origins[repository].waiting -= 1,
            State::Receiving(repository, mark) => {
                let origin = &mut self.origins[repository];
                origin.advance(now);
                origin.active -= 1;
                let wanted = self.scenario.document + self.hosts[host].left;
                let lacks = origin.lacks(mark);
                self.report.bytes += wanted - lacks;
                self.hosts[host].left = self.hosts[host].left.min(lacks);
                self.admit(now, repository);
            }
            State::Idle | State::Unheard | State::Done => {}
        }
    }

    /// Exit code 69, and a new start.
    fn expire(&mut self, now: f64, host: usize) {
        self.report.expired += 1;
        let was_idle = self.hosts[host].state == State::Idle;
        self.leave(now, host);
        self.hosts[host].state = State::Idle;
        if !self.scenario.resumes {
            self.hosts[host].left = self.scenario.artefact;
        }
        self.hosts[host].backoff.reset();
        let deadline = now + RESTART + self.scenario.deadline;
        self.events.plan(deadline, What::Deadline { host });
        // One that backs off has its next attempt planned already; that it comes at once instead changes nothing
        // that is counted here.
        if !was_idle {
            self.events.plan(now + RESTART, What::Connect { host });
        }
    }
}
