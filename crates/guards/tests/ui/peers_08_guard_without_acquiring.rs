//! A guard comes from acquiring only.
use apclab_guards::*;

fn forged(data: &mut u32, hold: InRegion<'static>) {
    let _ = ExclusiveGuard { data: data.into(), hold, borrows: std::marker::PhantomData };
}

fn main() {}
