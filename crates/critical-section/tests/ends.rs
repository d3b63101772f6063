//! How ownership ends: by dropping, by unwinding, or never; and what then becomes of the critical section.
#![cfg(windows)]

use std::cell::Cell;
use std::error::Error;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use apclab_critical_section::{
    CriticalMutex, CriticalSection, EnterError, RawCriticalSection, StillEntered,
};

type Outcome = Result<(), Box<dyn Error>>;

/// Whether another thread can enter the mutex now.
fn is_free<T: Send>(mutex: &CriticalMutex<T>) -> bool {
    thread::scope(|scope| {
        let other = scope.spawn(|| mutex.try_enter().expect("not abandoned").is_some());
        other.join().expect("it does not panic")
    })
}

#[test]
fn a_thread_that_unwinds_leaves() -> Outcome {
    let mutex = CriticalMutex::new(1)?;
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = mutex.enter().expect("entered once");
        *guard = 2;
        panic!("inside");
    }));
    assert!(unwound.is_err());
    assert!(is_free(&mutex));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        mutex.with(|data| {
            *data = 3;
            panic!("inside the closure");
        })
    }));
    assert!(unwound.is_err());
    assert!(is_free(&mutex));
    // There is no poisoning.
    assert_eq!(*mutex.enter()?, 3);
    Ok(())
}

#[test]
fn a_thread_that_unwinds_leaves_as_often_as_it_has_entered() -> Outcome {
    let section = CriticalSection::new(())?;
    let outermost = section.enter()?;
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _second = section.enter().expect("not too deep");
        section
            .with(|()| {
                assert_eq!(section.depth(), 3);
                panic!("inside");
            })
            .expect("not too deep");
    }));
    assert!(unwound.is_err());
    assert_eq!(section.depth(), 1);
    drop(outermost);
    assert_eq!(section.depth(), 0);
    Ok(())
}

#[test]
fn a_guard_that_is_dropped_while_its_thread_ends_in_a_panic_leaves() -> Outcome {
    let mutex = Arc::new(CriticalMutex::new(0)?);
    let theirs = Arc::clone(&mutex);
    let ended = thread::spawn(move || {
        let _guard = theirs.enter().expect("entered once");
        panic!("inside");
    });
    assert!(ended.join().is_err());
    assert!(mutex.try_enter()?.is_some());
    Ok(())
}

#[test]
fn the_mutex_refuses_its_owner_and_stays_its() -> Outcome {
    let mutex = CriticalMutex::new(5)?;
    let mut guard = mutex.enter()?;
    assert!(matches!(mutex.enter(), Err(EnterError::AlreadyEntered)));
    assert!(matches!(mutex.try_enter(), Err(EnterError::AlreadyEntered)));
    assert!(matches!(
        mutex.with(|data| *data = 0),
        Err(EnterError::AlreadyEntered)
    ));
    assert_eq!(format!("{mutex:?}"), "CriticalMutex { .. }");
    *guard += 1;
    assert!(!is_free(&mutex));
    drop(guard);
    assert!(is_free(&mutex));
    assert_eq!(format!("{mutex:?}"), "CriticalMutex { data: 6 }");
    Ok(())
}

#[test]
fn a_leaked_guard_keeps_others_out_and_the_object_undeleted() -> Outcome {
    let mut mutex = CriticalMutex::new(String::from("data"))?;
    mem::forget(mutex.enter()?);
    assert!(!is_free(&mutex));
    assert!(matches!(mutex.enter(), Err(EnterError::AlreadyEntered)));
    // The borrow of the leaked guard has ended, so this is the only reference.
    mutex.get_mut().push('!');
    assert_eq!(mutex.into_inner(), "data!");
    Ok(())
}

#[test]
fn a_section_whose_owner_has_ended_can_be_dropped_on_another_thread() -> Outcome {
    let section = Arc::new(CriticalSection::new(Arc::new(()))?);
    let data = Arc::clone(&*section.enter()?);
    let theirs = Arc::clone(&section);
    thread::spawn(move || {
        mem::forget(theirs.enter());
        mem::forget(theirs.enter());
    })
    .join()
    .expect("it does not panic");
    assert_eq!(section.depth(), 0);
    let section = Arc::into_inner(section).expect("the only one");
    drop(section);
    // The data itself is not leaked.
    assert_eq!(Arc::strong_count(&data), 1);
    Ok(())
}

#[test]
fn what_is_entered_is_not_deleted() -> Outcome {
    let section = RawCriticalSection::new()?;
    assert_eq!((section.enter()?, section.enter()?), (1, 2));
    let Err(StillEntered(section)) = section.delete() else {
        return Err("deleted while it was entered".into());
    };
    assert_eq!(section.leave()?, 1);
    let Err(StillEntered(section)) = section.delete() else {
        return Err("deleted while it was entered".into());
    };
    assert_eq!(section.leave()?, 0);
    section.delete()?;
    Ok(())
}

#[test]
fn a_section_that_another_thread_has_entered_is_not_deleted() -> Outcome {
    let section = Arc::new(RawCriticalSection::new()?);
    let theirs = Arc::clone(&section);
    thread::spawn(move || theirs.enter())
        .join()
        .expect("it does not panic")?;
    let section = Arc::into_inner(section).expect("the only one");
    assert!(section.delete().is_err());
    Ok(())
}

#[test]
fn data_is_dropped_once_and_after_the_guard() -> Outcome {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let section = CriticalSection::new(Counted(Rc::clone(&drops)))?;
    drop(section.enter()?);
    assert_eq!(drops.get(), 0);
    drop(section);
    assert_eq!(drops.get(), 1);
    let mutex = CriticalMutex::new(Counted(Rc::clone(&drops)))?;
    *mutex.enter()? = Counted(Rc::clone(&drops));
    assert_eq!(drops.get(), 2);
    let data = mutex.into_inner();
    assert_eq!(drops.get(), 2);
    drop(data);
    assert_eq!(drops.get(), 3);
    Ok(())
}

#[test]
fn what_is_moved_takes_its_object_along_unmoved() -> Outcome {
    // The structure moves into a vector and within it; the system's object must not.
    let mut mutexes = Vec::new();
    for number in 0..100 {
        let mutex = CriticalMutex::new(number)?;
        drop(mutex.enter()?);
        mutexes.push(mutex);
    }
    mutexes.reverse();
    thread::scope(|scope| {
        for (mutex, number) in mutexes.iter().zip((0..100).rev()) {
            scope.spawn(move || assert_eq!(*mutex.enter().expect("free"), number));
        }
    });
    Ok(())
}
