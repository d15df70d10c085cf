//! Tasks, channels and actors. What is handed out by a seed is the same compiled or not.

use super::Maker;
use super::types::Ty;

impl Maker {
    /// A piece of `main` in which several tasks take part.
    pub fn concurrent(&mut self) {
        match self.rng.below(6) {
            0 => self.joined(),
            1 | 2 => self.streamed(),
            3 => self.scoped(),
            4 => self.selected(),
            _ => self.asked(),
        }
    }

    fn guarded(&mut self, body: impl FnOnce(&mut Maker)) {
        self.block("try:", body);
        let e = self.name('e');
        self.block(&format!("catch {e}:"), |maker| {
            maker.line(&format!("print({e}.kind(), {e}.message(), {e}.trace())"))
        });
    }

    /// Calls in tasks of their own; some are cancelled.
    fn joined(&mut self) {
        let ty = self.ty(1);
        let (handles, h, e) = (self.name('h'), self.name('h'), self.name('e'));
        let before = self.times;
        self.times *= 4;
        self.apart_block(&format!("spawn fn {handles}(n0: Int) -> {ty}:"), Some(ty.clone()), |maker| {
            maker.var("n0", &Ty::Int, false);
            if maker.rng.one_in(2) {
                maker.line("sleep(1ms * (n0 % 3))");
            }
            maker.statements(3);
            let value = maker.kept(&ty, 2);
            maker.line(&format!("return {value}"));
        });
        self.times = before;
        let list = self.name('h');
        self.line(&format!("let {list} = [{handles}(i) for i in 0..4]"));
        if self.rng.one_in(3) {
            let i = self.rng.below(4);
            self.line(&format!("{list}[{i}].cancel()"));
        }
        self.block(&format!("for {h} in {list}:"), |maker| {
            maker.block("try:", |maker| maker.line(&format!("print(await {h})")));
            maker.block("catch CancelledError:", |maker| maker.line("print(\"cancelled\")"));
            maker.block(&format!("catch {e}:"), |maker| maker.line(&format!("print({e}.message(), {e}.trace())")));
        });
    }

    /// Producers, a channel and a loop over it.
    fn streamed(&mut self) {
        let ty = self.ty(1);
        let (ch, x) = (self.name('q'), self.name('x'));
        let capacity = *self.rng.pick(&["0", "1", "3", "unbounded = true"]);
        let (n, producers) = (1 + self.rng.below(30), 1 + self.rng.below(3));
        self.line(&format!("let {ch}: Channel<{ty}> = channel({capacity})"));
        let group = self.name('h');
        let before = self.times;
        self.times *= (n * producers) as u64;
        let send = self.name('f');
        self.apart_block(&format!("spawn fn {send}(n0: Int, {ch}: Channel<{ty}>):"), None, |maker| {
            maker.var("n0", &Ty::Int, false);
            maker.loop_block(&format!("for i0 in 0..{n}:"), 1, |maker| {
                maker.var("i0", &Ty::Int, false);
                if maker.rng.one_in(2) {
                    maker.statements(1);
                }
                let value = maker.kept(&ty, 2);
                maker.line(&format!("{ch}.send({value})"));
                if maker.rng.one_in(4) {
                    maker.line("yield_now()");
                }
            });
        });
        self.times = before;
        self.line(&format!("let {group} = [{send}(i, {ch}) for i in 0..{producers}]"));
        let closer = self.name('h');
        let h = self.name('h');
        self.inner_block(&format!("let {closer} = spawn:"), None, |maker| {
            maker.block("try:", |maker| {
                maker.block(&format!("for {h} in {group}:"), |maker| maker.line(&format!("await {h}")));
            });
            maker.block("finally:", |maker| maker.line(&format!("{ch}.close()")));
        });
        self.guarded(|maker| {
            maker.loop_block(&format!("for {x} in {ch}:"), (n * producers) as u64, |maker| {
                maker.var(&x, &ty, false);
                maker.statements(2);
            });
        });
        self.guarded(|maker| {
            maker.line(&format!("await {closer}"));
            maker.line("print(\"closed\")");
        });
    }

    /// A scope whose tasks may fail.
    fn scoped(&mut self) {
        let ty = self.ty(1);
        let group = self.name('g');
        self.guarded(|maker| {
            maker.block(&format!("scope {group}:"), |maker| {
                for _ in 0..2 {
                    let h = maker.name('h');
                    let call = maker.call(&ty, 2);
                    let call = call.unwrap_or_else(|| maker.expr(&ty, 3));
                    maker.line(&format!("let {h} = {group}.spawn(|| {call})"));
                    maker.line(&format!("print({h}.join())"));
                }
            });
        });
    }

    /// Two channels and a time limit.
    fn selected(&mut self) {
        let (a, b) = (self.ty(1), self.ty(1));
        let (qa, qb, x, y) = (self.name('q'), self.name('q'), self.name('x'), self.name('y'));
        for (q, ty) in [(&qa, &a), (&qb, &b)] {
            let capacity = self.rng.below(3);
            self.line(&format!("let {q}: Channel<{ty}> = channel({capacity})"));
            self.inner_block("spawn:", None, |maker| {
                maker.loop_block("for i0 in 0..6:", 6, |maker| {
                    maker.var("i0", &Ty::Int, false);
                    let value = maker.kept(ty, 2);
                    let ms = maker.rng.below(3);
                    maker.line(&format!("{q}.send({value})"));
                    maker.line(&format!("sleep({ms}ms)"));
                });
            });
        }
        self.guarded(|maker| {
            maker.loop_block("for _ in 0..14:", 14, |maker| {
                maker.block("select:", |maker| {
                    maker.block(&format!("{x} = {qa}.recv() =>"), |maker| {
                        maker.var(&x, &a, false);
                        maker.statements(1);
                        maker.line(&format!("print(\"a\", {x})"));
                    });
                    maker.block(&format!("{y} = {qb}.recv() =>"), |maker| {
                        maker.var(&y, &b, false);
                        maker.statements(1);
                        maker.line(&format!("print(\"b\", {y})"));
                    });
                    maker.line("after 5ms => print(\"late\")");
                });
            });
        });
    }

    /// Asks of an actor, which may fail.
    fn asked(&mut self) {
        let i = self.rng.below(self.actors.len());
        let (from, _) = self.actors[i].clone();
        let (actor, asks, f, e) = (self.name('a'), self.name('h'), self.name('h'), self.name('e'));
        let policy = *self.rng.pick(&["Stop", "Restart", "Resume"]);
        self.line(&format!("let {actor} = spawn_actor(A{i}::new(), name = \"{actor}\", policy = Policy::{policy})"));
        let value = self.expr(&from, 2);
        self.line(&format!("let {asks} = [{actor}.ask({value}) for i in 0..5]"));
        self.block(&format!("for {f} in {asks}:"), |maker| {
            maker.block("try:", |maker| maker.line(&format!("print(await {f})")));
            maker.block(&format!("catch {e}:"), |maker| maker.line(&format!("print({e}.message(), {e}.trace())")));
        });
    }
}
