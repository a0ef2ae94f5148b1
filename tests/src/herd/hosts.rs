//! The hosts: they connect, wait, receive, time out, back off and restart.

use super::backoff::Backoff;
use super::events::{Event, Events};
use super::origin::Origin;
use super::scenario::{HORIZON, Report, Scenario};
use crate::dice::Dice;

/// bootstrap's `CONNECT_TIMEOUT`, which applies if the accept queue is full.
const CONNECT_TIMEOUT: f64 = 10.0;
/// How long bootstrap waits for the response head: `BOOTSTRAP_STALL_TIMEOUT` plus `CONNECT_TIMEOUT`.
const ANSWER_TIMEOUT: f64 = 25.0;
/// Docker's first restart delay. Docker resets the delay after a container has run for ten seconds, so it always
/// applies here.
const RESTART_DELAY: f64 = 0.1;

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Backs off until its next attempt.
    Idle,
    /// Its SYN gets no answer.
    Connecting,
    /// In the accept queue of a repository.
    Queued(usize),
    /// Receives from a repository until its mark.
    Receiving(usize, f64),
    Done,
}

type Random = Box<dyn FnMut() -> f64>;

struct Host {
    state: State,
    /// Bytes of the artefact that are still missing.
    left: f64,
    /// Number of the current attempt. Events of earlier attempts are ignored.
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
                events.schedule(start, Event::Connect { host });
                events.schedule(start + scenario.deadline, Event::Deadline { host });
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

    /// Runs until every host is done. The times of the report are in the order of the hosts.
    pub(super) fn run(mut self) -> Report {
        while self.done < self.hosts.len() {
            let Some((now, event)) = self.events.next().filter(|(now, _)| *now < HORIZON) else {
                break;
            };
            match event {
                Event::Connect { host } if self.hosts[host].state == State::Idle => {
                    self.connect(now, host);
                }
                Event::TimeOut { host, attempt } if self.hosts[host].attempt == attempt => {
                    self.time_out(now, host);
                }
                Event::Deadline { host } if self.hosts[host].state != State::Done => {
                    self.expire(now, host);
                }
                Event::Complete { repository, change }
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
        // DNS with several addresses, or a load balancer, distributes the hosts at random.
        let repository = self.dice.roll(self.origins.len());
        let origin = &mut self.origins[repository];
        let (state, timeout) = if origin.active < self.scenario.connections {
            self.receive(now, host, repository);
            return;
        } else if origin.waiting < self.scenario.backlog {
            origin.queue.push_back((host, attempt));
            origin.waiting += 1;
            (State::Queued(repository), ANSWER_TIMEOUT)
        } else {
            (State::Connecting, CONNECT_TIMEOUT)
        };
        self.hosts[host].state = state;
        self.events
            .schedule(now + timeout, Event::TimeOut { host, attempt });
    }

    fn back_off(&mut self, now: f64, host: usize) {
        self.hosts[host].state = State::Idle;
        let delay = self.hosts[host].backoff.next().as_secs_f64();
        self.events.schedule(now + delay, Event::Connect { host });
    }

    fn receive(&mut self, now: f64, host: usize, repository: usize) {
        let origin = &mut self.origins[repository];
        origin.advance(now);
        // A new attempt number cancels the pending time-out.
        self.hosts[host].attempt += 1;
        let bytes = self.scenario.document + self.hosts[host].left;
        let mark = origin.begin(host, self.hosts[host].attempt, bytes);
        self.hosts[host].state = State::Receiving(repository, mark);
        self.schedule_next(repository);
    }

    fn schedule_next(&mut self, repository: usize) {
        let hosts = &self.hosts;
        let origin = &mut self.origins[repository];
        let change = origin.change;
        if let Some((at, _)) = origin.next(|host, attempt| hosts[host].attempt != attempt) {
            self.events
                .schedule(at, Event::Complete { repository, change });
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

    /// Accepts connections from the queue, oldest first, up to the limit.
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
        self.schedule_next(repository);
    }

    fn time_out(&mut self, now: f64, host: usize) {
        self.report.rejected += 1;
        self.leave(now, host);
        self.back_off(now, host);
    }

    /// Ends the attempt. The host keeps the bytes that it has received.
    fn leave(&mut self, now: f64, host: usize) {
        self.hosts[host].attempt += 1;
        match self.hosts[host].state {
            State::Queued(repository) => self.origins[repository].waiting -= 1,
            State::Receiving(repository, mark) => {
                let origin = &mut self.origins[repository];
                origin.advance(now);
                origin.active -= 1;
                let wanted = self.scenario.document + self.hosts[host].left;
                let missing = origin.missing(mark);
                self.report.bytes += wanted - missing;
                self.hosts[host].left = self.hosts[host].left.min(missing);
                self.admit(now, repository);
            }
            State::Idle | State::Connecting | State::Done => {}
        }
    }

    /// bootstrap exits with 69 and the engine restarts it.
    fn expire(&mut self, now: f64, host: usize) {
        self.report.expired += 1;
        let was_idle = self.hosts[host].state == State::Idle;
        self.leave(now, host);
        self.hosts[host].state = State::Idle;
        if !self.scenario.resumes {
            self.hosts[host].left = self.scenario.artefact;
        }
        self.hosts[host].backoff.reset();
        let deadline = now + RESTART_DELAY + self.scenario.deadline;
        self.events.schedule(deadline, Event::Deadline { host });
        // A host that backs off already has its next attempt scheduled. Restarting it at once would not change the
        // results.
        if !was_idle {
            self.events
                .schedule(now + RESTART_DELAY, Event::Connect { host });
        }
    }
}
