//! Results: set once, taken once, and whoever waits for one hears of it.
#![cfg(loom)]

use loom::thread;
use stark_loom::conc::result::{Gathering, ResultCell, Watcher};
use stark_loom::conc::wait::{Fired, Waiter};
use stark_loom::task::{Task, model, tasks};
use std::sync::Arc;

type Cell = Arc<ResultCell<u32, Task>>;

/// Waits as `await` does.
fn wait(me: &Task, cell: &Cell) -> u32 {
    let _ = cell.watch(Watcher::Task(me.clone()));
    while !cell.is_done() {
        me.park();
    }
    cell.take().unwrap().unwrap()
}

#[test]
fn who_awaits_hears_of_the_result_and_the_first_counts() {
    model(3, || {
        let (cell, tasks) = (Cell::default(), tasks(1));
        let setters: Vec<_> = (1..=2)
            .map(|result| {
                let cell = cell.clone();
                thread::spawn(move || cell.complete(Ok(result)))
            })
            .collect();
        let got = wait(&tasks[0], &cell);
        let set: Vec<bool> = setters.into_iter().map(|setter| setter.join().unwrap()).collect();
        assert_eq!(set, [got == 1, got == 2]);
        assert!(cell.is_taken());
    });
}

/// As `timeout` and `select` wait: with a ticket, which the time limit may end first.
#[test]
fn a_wait_that_is_given_up_leaves_the_result_there() {
    model(3, || {
        let (cell, tasks) = (Cell::default(), tasks(1));
        let setter = {
            let cell = cell.clone();
            thread::spawn(move || cell.complete(Ok(1)))
        };
        let entry = tasks[0].entry();
        let there_already = cell.watch(Watcher::One(Box::new(entry.clone()))).is_err();
        let fired = tasks[0].point().close(entry.ticket);
        assert!(fired.is_none() || fired == Some((0, Fired::Ready)));
        cell.forget(&tasks[0]);
        assert!(setter.join().unwrap());
        assert_eq!(cell.take(), Some(Ok(1)));
        assert!(!(there_already && fired.is_some()), "one that did not wait is not told");
    });
}

#[test]
fn a_gathering_is_over_with_the_last_result_or_the_first_failure() {
    for second in [Ok(2), Err(2)] {
        model(3, move || {
            let (cells, tasks) = ([Cell::default(), Cell::default()], tasks(1));
            let all = Arc::new(Gathering::<u32, Task>::new(tasks[0].clone(), 2));
            let setters: Vec<_> = cells
                .iter()
                .zip([Ok(1), second])
                .map(|(cell, result)| {
                    let cell = cell.clone();
                    thread::spawn(move || cell.complete(result))
                })
                .collect();
            for cell in &cells {
                if let Err(watcher) = cell.watch(Watcher::All(all.clone())) {
                    watcher.tell(cell.is_failed());
                }
            }
            while !all.is_over() {
                tasks[0].park();
            }
            // The count may be seen before the failure: whoever waits looks at the results themselves.
            assert!(cells.iter().all(|cell| cell.is_done()) || cells.iter().any(|cell| cell.is_failed()));
            setters.into_iter().for_each(|setter| assert!(setter.join().unwrap()));
            assert_eq!(all.n_left(), 0);
        });
    }
}
