//! With the guards.

use apclab_guards::{
    CriticalRegion, FastMutex, GuardedMutex, GuardedRegion, KMutex, Passive, PushLock, Resource,
    critical, guarded,
};

use crate::Work;

macro_rules! exports {
    ($($name:ident($irql:ident $(, $lock:ident: $type:ty)?; $work:ident) $body:block)*) => {
        $(
            /// See [`crate`].
            ///
            /// # Safety
            /// Called at PASSIVE_LEVEL, with a lock that the calling thread does not hold.
            // SAFETY: the name is defined once.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($lock: &$type,)? $work: Work) {
                #[allow(unused_mut, reason = "not every form changes the IRQL")]
                // SAFETY: the caller's guarantee; this is the activation's one token.
                let mut $irql = unsafe { Passive::assume() };
                $body
            }
        )*
    };
}

exports! {
    guarded_critical_region(irql; work) {
        let region = CriticalRegion::enter(&irql);
        work();
        drop(region);
    }
    guarded_critical_closure(irql; work) {
        critical(&mut irql, |_, _| work());
    }
    guarded_guarded_region(irql; work) {
        let region = GuardedRegion::enter(&irql);
        work();
        drop(region);
    }
    guarded_guarded_closure(irql; work) {
        guarded(&mut irql, |_, _| work());
    }
    guarded_nested_regions(irql; work) {
        critical(&mut irql, |irql, _| guarded(irql, |_, _| work()));
    }
    guarded_raise(irql; work) {
        irql.raise_to_apc_level(|_| work());
    }
    guarded_fast_mutex(irql, lock: FastMutex<u32>; work) {
        lock.with(&mut irql, |_, _| work());
    }
    guarded_guarded_mutex(irql, lock: GuardedMutex<u32>; work) {
        lock.with(&mut irql, |_, _| work());
    }
    guarded_kernel_mutex(irql, lock: KMutex<u32>; work) {
        let _ = lock.with(&mut irql, |_, _, _| work());
    }
    guarded_enter_exclusive_unchecked(irql, lock: Resource<u32>; work) {
        // SAFETY: the caller's guarantee.
        let guard = unsafe { lock.enter_exclusive_unchecked(&irql) };
        work();
        drop(guard);
    }
    guarded_enter_shared_unchecked(irql, lock: Resource<u32>; work) {
        // SAFETY: the caller's guarantee.
        let guard = unsafe { lock.enter_shared_unchecked(&irql) };
        work();
        drop(guard);
    }
    guarded_enter_wait_unchecked(irql, lock: Resource<u32>; work) {
        // SAFETY: the caller's guarantee.
        let guard = unsafe { lock.enter_shared_wait_for_exclusive_unchecked(&irql) };
        work();
        drop(guard);
    }
    guarded_enter_exclusive(irql, lock: Resource<u32>; work) {
        let _ = lock.with_exclusive(&mut irql, |_, _, _| work());
    }
    guarded_enter_shared(irql, lock: Resource<u32>; work) {
        let _ = lock.with_shared(&mut irql, |_, _, _| work());
    }
    guarded_push_lock_exclusive(irql, lock: PushLock<u32>; work) {
        lock.with_exclusive(&mut irql, |_, _, _| work());
    }
    guarded_push_lock_shared(irql, lock: PushLock<u32>; work) {
        lock.with_shared(&mut irql, |_, _, _| work());
    }
}
