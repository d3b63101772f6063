//! Threads that do what a history tells them, one step at a time, and say what came of it.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use apclab_guards::Passive;
use apclab_guards::testing::threads;

/// How many threads a history has.
pub(crate) const ACTORS: usize = 3;

/// Runs a history: each actor calls `act` with its number and the steps that it is told and answers each; a fourth thread
/// tells them, and compares each answer with what `expect` says. Gives the first that differs.
pub(crate) fn play<S: Copy + Debug + Send + Sync, A: PartialEq + Debug + Send>(
    history: &[(usize, S)],
    act: impl Fn(usize, &mut Passive, &Receiver<S>, &Sender<A>) + Sync,
    expect: impl FnMut(usize, S) -> A + Send,
) -> Option<String> {
    let mut tell = Vec::new();
    let mut hear = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..ACTORS {
        let (step_sender, step_receiver) = channel();
        let (answer_sender, answer_receiver) = channel();
        tell.push(step_sender);
        hear.push(answer_receiver);
        ends.push(Mutex::new(Some((step_receiver, answer_sender))));
    }
    let actor = |number: usize| {
        let (ends, act) = (&ends, &act);
        move |irql: &mut Passive| {
            let (steps, answers) = ends[number].lock().unwrap().take().unwrap();
            act(number, irql, &steps, &answers);
        }
    };
    let actors = [actor(0), actor(1), actor(2)];
    let conductor_ends = Mutex::new(Some((tell, hear, expect)));
    let mismatch = Mutex::new(None);
    let conductor = |_: &mut Passive| {
        let (tell, hear, mut expect) = conductor_ends.lock().unwrap().take().unwrap();
        for &(number, step) in history {
            tell[number].send(step).unwrap();
            let (answer, expected) = (hear[number].recv().unwrap(), expect(number, step));
            if answer != expected {
                *mismatch.lock().unwrap() = Some(format!(
                    "{step:?} of {number}: {answer:?} in place of {expected:?}"
                ));
                break;
            }
        }
    };
    threads(&[&actors[0], &actors[1], &actors[2], &conductor]);
    mismatch.into_inner().unwrap()
}
