//! Sizes in pixels, colours that colour-blind readers can tell apart, and letters for everybody.

use apclab_protocol::program::{Apc, ApcKind};

use super::super::timeline::{Access, ScopeKind};

pub(super) const ROW: f64 = 22.0;
/// Where the first row begins.
pub(super) const HEAD: f64 = 92.0;
pub(super) const MARGIN: f64 = 16.0;
pub(super) const PAD: f64 = 10.0;
/// The least width of a lane.
pub(super) const LANE: f64 = 120.0;
/// The least width of the picture.
pub(super) const WIDTH: f64 = 620.0;
/// Size of most texts.
pub(super) const SIZE: f64 = 12.0;
/// Size of what is said in passing.
pub(super) const SMALL: f64 = 10.0;
/// Width of a character at the size of most texts.
pub(super) const CHAR: f64 = 7.25;
/// Width of a region's bar, with the gap to the next.
pub(super) const BAR: f64 = 12.0;
/// Width of an APC on its way.
pub(super) const SLOT: f64 = 14.0;
/// Width of a wait.
pub(super) const WAIT: f64 = 10.0;
/// Width of the column of times.
pub(super) const TIME: f64 = 80.0;

pub(super) const INK: &str = "#1f2328";
pub(super) const QUIET: &str = "#57606a";
pub(super) const ALARM: &str = "#c00000";
pub(super) const RAISED: &str = "#fbe9c6";
pub(super) const RAISED_INK: &str = "#8a5a00";

pub(super) const fn scope_colour(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Critical => "#0072b2",
        ScopeKind::Guarded => "#d55e00",
        ScopeKind::FastMutex => "#7b5ea7",
        ScopeKind::GuardedMutex => "#8c510a",
        ScopeKind::Mutex => "#3f6f3f",
        ScopeKind::Resource(Access::Exclusive) | ScopeKind::PushLock(Access::Exclusive) => {
            "#b2182b"
        }
        ScopeKind::Resource(Access::Shared) | ScopeKind::PushLock(Access::Shared) => "#35978f",
        ScopeKind::HandedOver => "#7d858e",
        ScopeKind::CriticalSection => "#5b4636",
    }
}

pub(super) const fn scope_letter(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Critical => "C",
        ScopeKind::Guarded => "G",
        ScopeKind::FastMutex => "F",
        ScopeKind::GuardedMutex => "M",
        ScopeKind::Mutex => "K",
        ScopeKind::Resource(Access::Exclusive) => "R",
        ScopeKind::Resource(Access::Shared) => "r",
        ScopeKind::PushLock(Access::Exclusive) => "P",
        ScopeKind::PushLock(Access::Shared) => "p",
        ScopeKind::HandedOver => "h",
        ScopeKind::CriticalSection => "S",
    }
}

pub(super) const fn scope_name(kind: ScopeKind) -> &'static str {
    match kind {
        ScopeKind::Critical => "critical region",
        ScopeKind::Guarded => "guarded region",
        ScopeKind::FastMutex => "fast mutex held",
        ScopeKind::GuardedMutex => "guarded mutex held",
        ScopeKind::Mutex => "KMUTEX owned",
        ScopeKind::Resource(Access::Exclusive) => "resource held exclusively",
        ScopeKind::Resource(Access::Shared) => "resource shared",
        ScopeKind::PushLock(Access::Exclusive) => "push lock held exclusively",
        ScopeKind::PushLock(Access::Shared) => "push lock shared",
        ScopeKind::HandedOver => "resource handed over",
        ScopeKind::CriticalSection => "critical section owned",
    }
}

pub(super) const SPECIAL: &str = "#a3195b";
pub(super) const NORMAL: &str = "#00694e";
pub(super) const USER: &str = "#46409c";

pub(super) const fn apc_colour(apc: Option<&Apc>) -> &'static str {
    match apc {
        Some(Apc {
            kind: ApcKind::Special | ApcKind::Completion,
            ..
        }) => SPECIAL,
        Some(Apc {
            kind: ApcKind::User | ApcKind::SpecialUser,
            ..
        }) => USER,
        _ => NORMAL,
    }
}
