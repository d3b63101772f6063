//! A guard that other threads may read proves nothing there.
use apclab_guards::*;

fn elsewhere(guard: &ResourceShared<'_, u32, WithRegion<'_>>) {
    another_thread(|| {
        let _ = **guard;
        let _ = guard.parts();
    });
}

fn there(guard: &mut ResourceShared<'_, u32, WithRegion<'_>>) {
    another_thread(|| {
        let _ = guard.parts();
    });
}

fn another_thread(_: impl FnOnce() + Send) {}

fn main() {}
