//! A guard that other threads may read proves nothing there.
use apclab_guards::*;

fn elsewhere(guard: &ResourceShared<'_, u32, WithRegion<'_>>) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = **guard;
            let _ = guard.parts();
        });
    });
}

fn there(guard: &mut ResourceShared<'_, u32, WithRegion<'_>>) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = guard.parts();
        });
    });
}

fn main() {}
