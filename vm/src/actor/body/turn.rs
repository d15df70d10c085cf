//! What an actor does in its turn: takes messages, runs handlers and hooks, and what a failure leads to.

use super::*;
use crate::load::Func;

impl Acting<'_> {
    /// What became of the message that it was given directly.
    #[inline]
    pub(super) fn called(&mut self) -> Called {
        match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Answered(answer) => Called::Answer(answer.unpack()),
            doing => {
                self.now.doing = doing;
                self.promise_caller();
                Called::Promised(self.now.promised.take().unwrap_or_else(|| {
                    let promise = Answer::ask(&self.kept.cell, None);
                    promise.fail(self.kept.cell.gone());
                    promise
                }))
            }
        }
    }

    /// A message that was given directly cannot be answered in this turn: from now on it is an ask like others.
    fn promise_caller(&mut self) {
        let reply = match &mut self.now.doing {
            Doing::Message(one) => &mut one.reply,
            Doing::Called(envelope) => &mut envelope.reply,
            _ => return,
        };
        if matches!(reply, Reply::Caller) {
            let promise = Answer::ask(&self.kept.cell, None);
            *reply = Reply::Ask(promise.clone());
            self.now.promised = Some(promise);
        }
    }

    fn answer_caller(&mut self, value: Value) {
        match Parcel::pack(value) {
            Ok(answer) => self.now.doing = Doing::Answered(answer),
            Err(_) => {
                let promise = Answer::ask(&self.kept.cell, None);
                promise.fail(refused());
                self.now.promised = Some(promise);
            }
        }
    }

    /// Not inlined: turns of other tasks are short.
    #[inline(never)]
    pub fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        // Not counted anew for every turn.
        machine.task().actor = self.kept.lent.take().or_else(|| Some(self.kept.cell.clone()));
        machine.task().deadline = self.deadline();
        let outcome = self.work(machine, cx);
        if outcome == Outcome::Park {
            // Not only when half of the mailbox is free: what the handler waits for may be what such a sender does next.
            self.kept.cell.inbox.let_in(&mut self.now.ready);
        }
        self.kept.lent = machine.task().actor.take();
        outcome
    }

    /// Of the ask that is worked on.
    fn deadline(&self) -> Option<Instant> {
        match &self.now.doing {
            Doing::Message(one) => one.extra.as_ref()?.deadline,
            _ => None,
        }
    }

    fn work(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        if !std::mem::replace(&mut self.kept.has_begun, true)
            && let Some(state) = self.kept.state.take()
        {
            self.kept.cell.set_task(cx.task());
            if self.kept.policy == Policy::Restart || self.kept.cell.supervisor().is_some() {
                self.kept.first = Some(Box::new(First { state: state.clone(), for_children: None }));
            }
            self.start(machine, state);
        }
        if let Some(timer) = self.now.timer.take() {
            cx.cancel(timer);
        }
        let mut budget = i64::from(cx.budget());
        let mut interrupt = cx.shared().interrupt();
        loop {
            if matches!(self.now.doing, Doing::Answered(_)) {
                return self.park(machine, cx, budget, WaitReason::Mailbox);
            }
            let has_orders = self.kept.cell.has_orders();
            if has_orders && self.kept.cell.is_killed() {
                return self.kill(machine);
            }
            // A message that is given directly begins first, as one in the mailbox would wait: the wake-up is on its way.
            if has_orders && !matches!(self.now.doing, Doing::Called(_)) {
                if self.kept.cell.take_restart() {
                    self.restart_by_order(machine);
                }
                if let Some(error) = self.kept.cell.take_failure()
                    && self.fail_by_order(machine, error.unpack()) == Life::Over
                {
                    return Outcome::Done;
                }
            }
            let (n_worked_off, mut turn) = self.plain_messages(machine, &mut budget, &mut interrupt);
            if n_worked_off > 0 && turn.is_none() && budget > 0 {
                // There may be orders now.
                continue;
            }
            if turn.is_none() && matches!(self.now.doing, Doing::Idle | Doing::Called(_)) {
                match self.next(machine, cx) {
                    Next::Begun => {}
                    Next::Again => {
                        budget -= MESSAGE_COST;
                        continue;
                    }
                    Next::Park(reason) => return self.park(machine, cx, budget, reason),
                    Next::Yield => return Outcome::Yield,
                    Next::Ended => return Outcome::Done,
                }
            }
            if turn.is_none() && budget <= 0 {
                return Outcome::Yield;
            }
            let turn = match turn.take() {
                Some(turn) => *turn,
                None => machine.run(budget as u32, interrupt.take()),
            };
            observe::settle(machine.task(), || self.now.doing.answers().map(PromiseRef::Answer));
            match turn {
                Turn::Yield => return Outcome::Yield,
                Turn::Wait => {
                    let (reason, detail) = machine.wait();
                    cx.set_spent(spent(cx, machine.budget));
                    cx.wait_for(reason, detail);
                    return Outcome::Park;
                }
                Turn::Done(TaskEnd::Exit(status)) => {
                    self.kept.cell.program().exit(status);
                    return Outcome::Done;
                }
                Turn::Done(TaskEnd::Returned(value)) => {
                    self.now.handling.end();
                    budget = machine.budget - MESSAGE_COST;
                    self.kept.state = machine.take_receiver();
                    self.now.before = None;
                    if self.returned(machine, value) == Life::Over {
                        return Outcome::Done;
                    }
                }
                Turn::Done(TaskEnd::Failed(error)) => {
                    budget = machine.budget - MESSAGE_COST;
                    match &self.now.doing {
                        Doing::Batch(job) if job.current.len() > 1 => {
                            self.now.handling.split(|| summary(machine, &error))
                        }
                        _ => self.now.handling.fail(|| summary(machine, &error)),
                    }
                    // Behind the clone the failed call may have left holes.
                    self.kept.state = self.now.before.take().map(|state| *state);
                    if self.failed(machine, error) == Life::Over {
                        return Outcome::Done;
                    }
                }
            }
        }
    }

    /// Works off messages of which nothing is to be kept, as most are, one right after the other. Gives how many, and what the last
    /// of them has come to when it has not simply returned.
    #[inline]
    fn plain_messages(
        &mut self,
        machine: &mut Machine,
        budget: &mut i64,
        interrupt: &mut Option<Interrupt>,
    ) -> (usize, Option<Box<Turn>>) {
        let is_first_plain = || self.now.ready.first().is_some_and(Envelope::is_plain);
        if !matches!(self.now.doing, Doing::Idle) || !is_first_plain() || self.kept.batches || self.has_witness() {
            return (0, None);
        }
        let desc = self.kept.cell.desc();
        machine.task().deadline = None;
        self.kept.cell.n_in_flight.store(1, Relaxed);
        let (mut n, mut turn) = (0, None);
        // Mostly that of the message before.
        let mut known: Option<(u32, &HandlerDesc, &'static Func)> = None;
        while turn.is_none()
            && *budget > 0
            && !self.kept.cell.has_orders()
            // Looked at where it is: what is moved as a whole right after it was written part by part costs more than the rest of
            // the way.
            && let Some(first) = self.now.ready.first().filter(|first| first.is_plain())
        {
            let (handler, func) = match known {
                Some((number, handler, func)) if number == first.handler => (handler, func),
                _ => {
                    let handler = &desc.handlers[first.handler as usize];
                    let func = machine.code.funcs[handler.func.index()];
                    if !func.is_handler_of_one() {
                        break;
                    }
                    known = Some((first.handler, handler, func));
                    (handler, func)
                }
            };
            if Handling::is_noted(handler) {
                break;
            }
            let Some(Envelope { message, .. }) = self.kept.cell.inbox.next_ready(&mut self.now.ready) else { break };
            n += 1;
            turn = machine.handle(func, &mut self.kept.state, message.unpack(), *budget, interrupt.take());
            if turn.is_none() {
                *budget = machine.budget - MESSAGE_COST;
                self.kept.cell.count(None, false);
            } else {
                self.now.doing = Doing::Plain(handler);
            }
        }
        if turn.is_none() {
            self.kept.cell.n_in_flight.store(0, Relaxed);
        }
        (n, turn)
    }

    fn park(&self, machine: &mut Machine, cx: &Context<'_, TaskBody>, budget: i64, reason: WaitReason) -> Outcome {
        machine.give_back_stack();
        cx.set_spent(spent(cx, budget));
        cx.wait_for(reason, self.kept.cell.id());
        Outcome::Park
    }

    // --- beginning calls -------------------------------------------------------------------------------------------

    /// Calls `func` with the state and `args`; `keep`: somebody will see the state if it fails.
    fn call(&mut self, machine: &mut Machine, func: FuncId, args: impl IntoIterator<Item = Value>, keep: bool) {
        let mut call = self.begin_call(machine, func, keep);
        args.into_iter().for_each(|arg| call.give(arg));
        call.go();
    }

    /// Begins a call of `func` with the state; the arguments follow.
    #[inline(always)]
    fn begin_call<'a>(&mut self, machine: &'a mut Machine, func: FuncId, keep: bool) -> Begin<'a> {
        let state = self.kept.state.take().expect("a state is there unless a call has it");
        self.now.before = keep.then(|| Box::new(state.clone()));
        let mut call = machine.begin(machine.code.funcs[func.index()]);
        call.give(state);
        call
    }

    fn has_witness(&self) -> bool {
        let desc = self.kept.cell.desc();
        self.kept.policy == Policy::Resume || desc.on_error.is_some() || desc.on_stop.is_some()
    }

    /// Begins with `state`: `on_start`, then the mailbox.
    fn start(&mut self, machine: &mut Machine, state: Value) {
        self.kept.state = Some(state);
        match self.kept.cell.desc().on_start {
            Some(hook) => {
                self.now.doing = Doing::Start;
                self.call(machine, hook, [], self.has_witness());
            }
            None => self.now.doing = Doing::Idle,
        }
    }

    /// Ends after `on_stop`; the cell is closed.
    fn stop(&mut self, machine: &mut Machine) -> Life {
        match (self.kept.cell.desc().on_stop, &self.kept.state) {
            (Some(hook), Some(_)) => {
                self.now.doing = Doing::Stop;
                self.call(machine, hook, [], false);
                Life::GoesOn
            }
            _ => self.end(),
        }
    }

    /// Nothing more is taken, what waits fails.
    fn close(&mut self, reason: Ended) {
        self.kept.cell.close(reason, std::mem::take(&mut self.now.ready));
    }

    fn end(&mut self) -> Life {
        observe::actor_ended(&self.kept.cell);
        self.kept.cell.end_children();
        self.kept.cell.announce();
        self.kept.state = None;
        (self.kept.first, self.now.before) = (None, None);
        Life::Over
    }

    fn kill(&mut self, machine: &mut Machine) -> Outcome {
        self.promise_caller();
        machine.end_call();
        let gave = std::mem::replace(&mut self.now.doing, Doing::Idle);
        self.now.handling.fail(|| "its actor was killed".to_string());
        self.close(Ended::Killed);
        gave.fail_open(&self.kept.cell, || self.kept.cell.gone());
        let _ = self.end();
        Outcome::Done
    }

    /// Ends after a panic in a turn: what is known of the state is not to be trusted.
    pub fn break_off(&mut self, machine: &mut Machine, error: Value) -> Outcome {
        self.promise_caller();
        self.report(machine, &error, "");
        let text = summary(machine, &error);
        self.now.handling.fail(|| text.clone());
        let doing = std::mem::replace(&mut self.now.doing, Doing::Idle);
        self.close(Ended::by(error, &text));
        doing.fail_open(&self.kept.cell, || self.kept.cell.gone());
        let _ = self.end();
        Outcome::Done
    }

    /// A sibling failed and its supervisor begins this one again, too.
    fn restart_by_order(&mut self, machine: &mut Machine) {
        if self.is_ending() {
            return;
        }
        let Some(first) = self.first_state() else { return };
        machine.end_call();
        self.promise_caller();
        let doing = std::mem::replace(&mut self.now.doing, Doing::Idle);
        let text = format!("actor {} was begun again by its supervisor", self.kept.cell.name());
        self.now.handling.fail(|| text.clone());
        doing.fail_open(&self.kept.cell, || self.kept.cell.refusal(&text));
        self.kept.cell.count_restart();
        self.kept.cell.end_children();
        self.now.before = None;
        self.start(machine, first);
    }

    /// A supervisor that it made has given up: it fails, whatever it is at, and what is above decides.
    fn fail_by_order(&mut self, machine: &mut Machine, error: Value) -> Life {
        if self.is_ending() {
            self.report(machine, &error, "");
            return Life::GoesOn;
        }
        machine.end_call();
        self.promise_caller();
        if let Some(before) = self.now.before.take() {
            self.kept.state = Some(*before);
        }
        self.now.handling.fail(|| summary(machine, &error));
        self.kept.cell.n_in_flight.store(0, Relaxed);
        let of = match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Start => Of::Start,
            Doing::Plain(handler) => Of::Messages(Box::new(Job::failed(One::plain(handler), error.clone()))),
            Doing::Message(one) => Of::Messages(Box::new(Job::failed(one, error.clone()))),
            Doing::Batch(mut job) => {
                job.fail_open(&error);
                Of::Messages(job)
            }
            _ => Of::Nothing,
        };
        self.failure(machine, error, of, true)
    }

    /// The cell is closed already.
    fn is_ending(&self) -> bool {
        matches!(self.now.doing, Doing::Stop | Doing::Tell(After::End))
    }

    /// The next message, or what else there is to do.
    fn next(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Next {
        let desc = self.kept.cell.desc();
        if matches!(self.now.doing, Doing::Called(_))
            && let Doing::Called(envelope) = std::mem::replace(&mut self.now.doing, Doing::Idle)
        {
            return self.begin_one(machine, envelope);
        }
        let inbox = &self.kept.cell.inbox;
        if !self.kept.batches {
            machine.task().deadline = None;
            if let Some(envelope) = inbox.next_ready(&mut self.now.ready) {
                return self.begin_one(machine, envelope);
            }
        }
        let taken = if self.kept.batches {
            inbox.take(|queue, stopping| batch::choose(desc, queue, stopping, || cx.now()))
        } else {
            inbox.next(&mut self.now.ready)
        };
        let envelopes = match taken {
            Taken::Message(envelope) => {
                if desc.handlers[envelope.handler as usize].batch.is_none() {
                    return self.begin_one(machine, envelope);
                }
                vec![envelope]
            }
            Taken::Messages(envelopes) => envelopes,
            Taken::Nothing => return Next::Park(WaitReason::Mailbox),
            Taken::Soon => return Next::Yield,
            Taken::Later(at) => {
                self.now.timer = Some(cx.sleep_until(at, cx.task().clone()));
                return Next::Park(WaitReason::Batch);
            }
            Taken::Ended => {
                self.close(Ended::Stopped);
                return match self.stop(machine) {
                    Life::Over => Next::Ended,
                    Life::GoesOn => Next::Begun,
                };
            }
        };
        self.begin_batch(machine, envelopes)
    }

    /// Not inlined: those that many are of do not come by here.
    #[inline(never)]
    fn begin_one(&mut self, machine: &mut Machine, envelope: Envelope) -> Next {
        if !envelope.is_wanted(&self.kept.cell) {
            return Next::Again;
        }
        let is_plain = envelope.is_plain();
        let Envelope { handler, message, reply, extra } = envelope;
        let handler = &self.kept.cell.desc().handlers[handler as usize];
        machine.task().deadline = extra.as_ref().and_then(|extra| extra.deadline);
        let sent = extra.as_ref().and_then(|extra| extra.sent);
        let doing = if is_plain { Doing::Plain(handler) } else { Doing::Message(One { handler, reply, extra }) };
        self.begin_handler(machine, handler, message, sent, doing)
    }

    /// Inlined: what is in the envelope goes straight to where it is wanted.
    #[inline(always)]
    fn begin_handler(
        &mut self,
        machine: &mut Machine,
        handler: &'static HandlerDesc,
        message: Parcel,
        sent: Option<Instant>,
        doing: Doing,
    ) -> Next {
        self.kept.cell.n_in_flight.store(1, Relaxed);
        self.now.handling = Handling::begin(machine.task(), self.kept.cell.id(), handler, sent.into_iter());
        // What was before is nothing, which needs no drop.
        let before = std::mem::replace(&mut self.now.doing, doing);
        debug_assert!(matches!(before, Doing::Idle));
        std::mem::forget(before);
        let mut call = self.begin_call(machine, handler.func, self.has_witness());
        let message = message.unpack();
        if call.n_missing() == 1 {
            call.give(message);
        } else {
            message.into_fields().into_iter().for_each(|arg| call.give(arg));
        }
        call.go();
        Next::Begun
    }

    /// The handler of all `envelopes`, which are at least one, answers batches.
    fn begin_batch(&mut self, machine: &mut Machine, mut envelopes: Vec<Envelope>) -> Next {
        envelopes.retain(|envelope| envelope.is_wanted(&self.kept.cell));
        let Some(first) = envelopes.first() else { return Next::Again };
        let handler = &self.kept.cell.desc().handlers[first.handler as usize];
        self.kept.cell.n_in_flight.store(envelopes.len() as u32, Relaxed);
        let items = envelopes.into_iter().map(|envelope| Item {
            sent: envelope.sent(),
            input: Some(envelope.message.unpack()),
            rows: envelope.extra.and_then(|extra| extra.rows),
            reply: envelope.reply,
        });
        let items: Vec<Item> = items.collect();
        let current = 0..items.len();
        machine.task().deadline = None;
        let job = Job { handler, items, current, rest: Vec::new(), failed: Vec::new() };
        match self.run_part(machine, Box::new(job)) {
            Life::Over => Next::Ended,
            Life::GoesOn if matches!(self.now.doing, Doing::Idle) => Next::Again,
            Life::GoesOn => Next::Begun,
        }
    }

    /// Calls the handler for the current part of a batch.
    fn run_part(&mut self, machine: &mut Machine, job: Box<Job>) -> Life {
        let Some(batch) = &job.handler.batch else { return Life::GoesOn };
        let items = &job.items[job.current.clone()];
        let parts: Vec<_> = items.iter().filter_map(|i| Some((i.input.as_ref()?, i.rows.as_deref()))).collect();
        let info = machine.code.types.get(job.handler.message).field(0, 0);
        match batch::join(batch, info, &parts) {
            Ok(input) => {
                self.kept.cell.count_batch(items.len());
                self.now.handling = Handling::begin(
                    machine.task(),
                    self.kept.cell.id(),
                    job.handler,
                    items.iter().filter_map(|item| item.sent),
                );
                // A part of a larger batch that fails alone leaves the state to the parts behind it.
                let keep = job.items.len() > 1 || self.has_witness();
                let func = job.handler.func;
                self.now.doing = Doing::Batch(job);
                self.call(machine, func, [input], keep);
                Life::GoesOn
            }
            Err(fault) => {
                self.now.doing = Doing::Batch(job);
                let error = machine.code.error_value(fault);
                self.failed(machine, error)
            }
        }
    }

    // --- what a call came to ---------------------------------------------------------------------------------------

    fn returned(&mut self, machine: &mut Machine, value: Value) -> Life {
        match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Idle | Doing::Called(_) | Doing::Answered(_) | Doing::Start => Life::GoesOn,
            Doing::Tell(after) => self.after(machine, after),
            Doing::Stop => self.end(),
            Doing::Plain(_) => {
                self.kept.cell.count(None, false);
                self.kept.cell.n_in_flight.store(0, Relaxed);
                Life::GoesOn
            }
            Doing::Message(One { reply, extra, .. }) => {
                let sent = extra.and_then(|extra| extra.sent);
                self.kept.cell.count(sent.map(|sent| self.kept.cell.now().saturating_duration_since(sent)), false);
                self.kept.cell.n_in_flight.store(0, Relaxed);
                match reply {
                    Reply::Nowhere => {}
                    Reply::Caller => self.answer_caller(value),
                    reply => reply.answer(value),
                }
                Life::GoesOn
            }
            Doing::Batch(job) => match job.answer(&self.kept.cell, value) {
                Ok(()) => self.next_part(machine, job),
                Err(fault) => {
                    self.now.doing = Doing::Batch(job);
                    let error = machine.code.error_value(fault);
                    self.failed(machine, error)
                }
            },
        }
    }

    /// A call failed; the state is as before it, or nobody will look at it.
    fn failed(&mut self, machine: &mut Machine, error: Value) -> Life {
        self.promise_caller();
        match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Idle | Doing::Called(_) | Doing::Answered(_) | Doing::Start => {
                self.failure(machine, error, Of::Start, false)
            }
            Doing::Tell(after) => {
                self.report(machine, &error, "`on_error` of ");
                self.after(machine, after)
            }
            Doing::Stop => {
                self.report(machine, &error, "`on_stop` of ");
                self.end()
            }
            Doing::Plain(handler) => self.message_failed(machine, One::plain(handler), error),
            Doing::Message(one) => self.message_failed(machine, one, error),
            Doing::Batch(mut job) => {
                let (start, end) = (job.current.start, job.current.end);
                if end - start > 1 {
                    let middle = start + (end - start) / 2;
                    job.rest.push(middle..end);
                    job.current = start..middle;
                    return self.run_part(machine, job);
                }
                job.failed.push((start, error));
                self.next_part(machine, job)
            }
        }
    }

    fn message_failed(&mut self, machine: &mut Machine, one: One, error: Value) -> Life {
        self.kept.cell.n_in_flight.store(0, Relaxed);
        let job = Job::failed(one, error.clone());
        self.failure(machine, error, Of::Messages(Box::new(job)), false)
    }

    fn next_part(&mut self, machine: &mut Machine, mut job: Box<Job>) -> Life {
        if let Some(part) = job.rest.pop() {
            job.current = part;
            return self.run_part(machine, job);
        }
        self.kept.cell.n_in_flight.store(0, Relaxed);
        match job.failed.last() {
            None => Life::GoesOn,
            Some((_, error)) => {
                let error = error.clone();
                self.failure(machine, error, Of::Messages(job), false)
            }
        }
    }

    /// Decides what follows, answers those whose messages failed, lets `on_error` see it. `by_children`: it is a supervisor of its own
    /// that has given up.
    fn failure(&mut self, machine: &mut Machine, error: Value, of: Of, by_children: bool) -> Life {
        let text = summary(machine, &error);
        let starting = matches!(of, Of::Start);
        let verdict = match self.kept.cell.supervisor() {
            Some((supervisor, child)) => {
                let now = self.kept.cell.now();
                let verdict = supervisor.failed(child, now);
                Some((supervisor, verdict))
            }
            None => None,
        };
        let after = match (&verdict, self.kept.policy) {
            (Some((_, Verdict::Restart)), _) => After::Restart,
            (Some(_), _) => After::End,
            // One that cannot even start would begin again for ever.
            (None, _) if starting => After::End,
            (None, Policy::Stop) => After::End,
            (None, Policy::Restart) if by_children && !self.may_begin_again() => After::End,
            (None, Policy::Restart) => After::Restart,
            (None, Policy::Resume) => After::Resume,
        };
        // Before anybody hears of the failure, so that what they see then is what holds from now on.
        match &after {
            After::End => self.close(Ended::by(error.clone(), &text)),
            After::Restart => self.kept.cell.count_restart(),
            After::Resume => {}
        }
        if let Some((supervisor, Verdict::GiveUp)) = &verdict {
            self.fail_upward(machine, supervisor, &error, &text);
        }
        let mut heard = false;
        if let Of::Messages(job) = of {
            let now = self.kept.cell.now();
            for (i, error) in &job.failed {
                let (item, text) = (&job.items[*i], summary(machine, error));
                self.kept.cell.count(item.sent.map(|sent| now.saturating_duration_since(sent)), true);
                heard |= !matches!(item.reply, Reply::Nowhere);
                item.reply.fail(self.kept.cell.failed(error, &text));
            }
        }
        if !heard {
            self.report(machine, &error, "");
        }
        match (self.kept.cell.desc().on_error, &self.kept.state) {
            (Some(hook), Some(_)) => {
                self.now.doing = Doing::Tell(after);
                self.call(machine, hook, [error], true);
                Life::GoesOn
            }
            _ => self.after(machine, after),
        }
    }

    fn may_begin_again(&mut self) -> bool {
        let (max, within) = FOR_CHILDREN;
        // Only what has a state to begin with may begin again.
        let Some(first) = &mut self.kept.first else { return false };
        first.for_children.get_or_insert_with(|| RestartLimit::new(max, within)).allow(self.kept.cell.now())
    }

    fn first_state(&self) -> Option<Value> {
        self.kept.first.as_ref().map(|first| first.state.clone())
    }

    /// Its supervisor has given up: the actor that made that one fails, or at the top standard error is told.
    fn fail_upward(&self, machine: &Machine, supervisor: &Arc<Supervisor>, error: &Value, text: &str) {
        let (limit, name) = (supervisor.limit(), self.kept.cell.name());
        let text = format!("supervisor gives up: {limit}; actor {name} failed last: {text}");
        let fault = Fault::with_fields(FaultKind::ActorError, text.clone(), vec![error.clone()]).caused_by(error);
        let above = supervisor.above().zip(Parcel::pack(machine.code.error_value(fault)).ok());
        if !above.is_some_and(|(above, error)| above.fail(supervisor, error)) {
            self.kept.cell.program().eprint(&format!("error: {text}\n"));
        }
    }

    fn after(&mut self, machine: &mut Machine, after: After) -> Life {
        match after {
            After::Resume => {
                self.now.doing = Doing::Idle;
                Life::GoesOn
            }
            After::Restart => match self.first_state() {
                Some(first) => {
                    self.kept.cell.end_children();
                    self.start(machine, first);
                    Life::GoesOn
                }
                None => self.end(),
            },
            After::End => self.stop(machine),
        }
    }

    /// An error that reaches nobody is told on standard error.
    fn report(&mut self, machine: &mut Machine, error: &Value, what: &str) {
        let text = describe(machine, error);
        self.kept.cell.program().eprint(&format!("{text}  in {what}actor {}\n", self.kept.cell.name()));
    }
}

/// Whether the actor is still there after a step.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    GoesOn,
    Over,
}

#[must_use]
enum Next {
    /// A call has begun.
    Begun,
    /// Look again.
    Again,
    Park(WaitReason),
    /// Look again when others have had their turns.
    Yield,
    Ended,
}
