//! Processor faults in driver code, which become bug checks of the simulated machine.
//!
//! Signal handlers belong to the whole process, so they are installed once, and hand on every
//! signal that is not about driver code to whoever handled it before.
#![allow(
    unsafe_code,
    reason = "installs signal handlers and changes the interrupted context"
)]

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;

use apclab_model::kernel::{BugCheck, DISPATCH_LEVEL};

use crate::bugcheck::{self, check};
use crate::mapping::{Access, Mapping};
use crate::memory::Memory;
use crate::stack::abandon_address;
use crate::thread::Thread;

/// The signal that takes a thread out of driver code once its machine has stopped. Ignored by
/// default, so that a thread that has just left the machine takes no harm.
const LEAVE: i32 = libc::SIGURG;

/// The signals that are handled: those that faults arrive as, and [`LEAVE`].
const SIGNALS: [i32; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    LEAVE,
];

/// What the processor reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trap {
    signal: i32,
    /// The exception's vector.
    vector: i64,
    /// The exception's error code.
    error: i64,
    /// The address that was accessed, of a page fault.
    address: u64,
    instruction: u64,
    stack_pointer: u64,
    /// RCX, the parameter of a fast-fail.
    rcx: u64,
}

impl Trap {
    /// The bug check that this is, at IRQL `irql`, on a stack with the guard pages `guard`.
    pub(crate) fn bug_check(&self, memory: &Memory, guard: &Range<u64>, irql: u8) -> BugCheck {
        let at = memory.code_name(self.instruction);
        let overflow = guard.contains(&self.address) || guard.contains(&self.stack_pointer);
        if self.signal == libc::SIGSEGV && overflow {
            let reason = format!("the kernel stack of 24 KB is full at {at} (double fault)");
            let parameters = [8, self.address, 0, self.instruction];
            return check(bugcheck::UNEXPECTED_KERNEL_MODE_TRAP, parameters, reason);
        }
        let exception = |code: u64, what: &str| {
            let parameters = [code, self.instruction, 0, 0];
            let reason = format!("{what} at {at}");
            check(bugcheck::KMODE_EXCEPTION_NOT_HANDLED, parameters, reason)
        };
        match self.vector {
            0 => exception(0xC000_0094, "a division by zero or an overflow of one"),
            1 => exception(0x8000_0004, "a single step"),
            3 => exception(0x8000_0003, "a breakpoint"),
            6 => exception(0xC000_001D, "an illegal instruction"),
            13 if self.error & 2 != 0 && self.error >> 3 == 0x29 => check(
                bugcheck::KERNEL_SECURITY_CHECK_FAILURE,
                [self.rcx & 0xFFFF_FFFF, 0, 0, 0],
                format!("a fast-fail with code {} at {at}", self.rcx & 0xFFFF_FFFF),
            ),
            13 if self.error & 2 != 0 => {
                exception(0x8000_0003, &format!("interrupt {:#x}", self.error >> 3))
            }
            13 => exception(
                0xC000_0096,
                "a privileged instruction, or an access to a non-canonical address,",
            ),
            14 => self.page_fault(memory, &at, irql),
            vector => exception(0xC000_0005, &format!("processor exception {vector}")),
        }
    }

    fn page_fault(&self, memory: &Memory, at: &str, irql: u8) -> BugCheck {
        let (kind, verb) = if self.error & 0x10 != 0 {
            (0x10, "executed")
        } else if self.error & 2 != 0 {
            (2, "wrote to")
        } else {
            (0, "read from")
        };
        let target = memory.describe(self.address);
        let reason = format!("the code at {at} {verb} {target}, at IRQL {irql}");
        if irql >= DISPATCH_LEVEL {
            let parameters = [self.address, u64::from(irql), kind, self.instruction];
            return check(bugcheck::DRIVER_IRQL_NOT_LESS_OR_EQUAL, parameters, reason);
        }
        let parameters = [self.address, kind, self.instruction, 0];
        check(bugcheck::PAGE_FAULT_IN_NONPAGED_AREA, parameters, reason)
    }
}

/// Who handled each of `SIGNALS` before.
static PREVIOUS: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

/// Installs the handlers, once a process.
pub(crate) fn install() {
    PREVIOUS.get_or_init(|| {
        SIGNALS.map(|signal| {
            let fault: Handler = handle_fault;
            replace(signal, if signal == LEAVE { handle_leave } else { fault })
        })
    });
}

/// What SA_SIGINFO calls.
type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

fn replace(signal: i32, handler: Handler) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeros is a valid sigaction.
    let new = unsafe { action.assume_init_mut() };
    new.sa_sigaction = handler as *const () as usize;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER;
    // SAFETY: both point to valid structures, and the handler has the signature of SA_SIGINFO.
    let result = unsafe { libc::sigaction(signal, action.as_ptr(), previous.as_mut_ptr()) };
    assert_eq!(result, 0, "signal {signal} can be handled");
    // SAFETY: sigaction has filled it in, and zeros were valid already.
    unsafe { previous.assume_init() }
}

/// The number of this thread in the system.
pub(crate) fn this_thread() -> u64 {
    // SAFETY: has no preconditions.
    let number = unsafe { libc::gettid() };
    u64::from(number.cast_unsigned())
}

/// Takes the thread with the system's number `thread` out of driver code, if it is in it.
pub(crate) fn interrupt(thread: u64) {
    let number = i64::try_from(thread).unwrap_or(0);
    // SAFETY: has no preconditions.
    let process = unsafe { libc::getpid() };
    // SAFETY: a signal that is ignored unless handled here. The number may have been given to
    // another thread of this process by now, whose handler then finds that it is not concerned.
    unsafe { libc::syscall(libc::SYS_tgkill, process, number, LEAVE) };
}

extern "C" fn handle_leave(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    match Thread::current() {
        Some(thread) if thread.in_driver() && thread.machine.stopped() => {
            // SAFETY: the kernel passes a valid context to an SA_SIGINFO handler.
            unsafe { redirect(context.cast()) };
        }
        _ => chain(signal, info, context),
    }
}

extern "C" fn handle_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if let Some(thread) = Thread::current().filter(|thread| thread.in_driver()) {
        let context: *mut libc::ucontext_t = context.cast();
        // SAFETY: the kernel passes a valid context to an SA_SIGINFO handler.
        let registers = unsafe { &(*context).uc_mcontext.gregs };
        // SAFETY: the kernel passes valid information to an SA_SIGINFO handler.
        let info = unsafe { &*info };
        // SAFETY: these signals carry an address.
        let address = unsafe { info.si_addr() } as u64;
        let register = |index: i32| registers[usize::try_from(index).unwrap_or(0)];
        thread.set_trap(Trap {
            signal,
            vector: register(libc::REG_TRAPNO),
            error: register(libc::REG_ERR),
            address,
            instruction: register(libc::REG_RIP).cast_unsigned(),
            stack_pointer: register(libc::REG_RSP).cast_unsigned(),
            rcx: register(libc::REG_RCX).cast_unsigned(),
        });
        // SAFETY: as above.
        unsafe { redirect(context) };
        return;
    }
    chain(signal, info, context);
}

/// Makes the interrupted thread continue by abandoning its call into the driver.
///
/// # Safety
/// `context` is the one of the running handler, and the thread was in driver code.
unsafe fn redirect(context: *mut libc::ucontext_t) {
    const DIRECTION_TRAP_ALIGNMENT: i64 = 1 << 10 | 1 << 8 | 1 << 18;
    // SAFETY: by the caller's guarantee.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    let rip = usize::try_from(libc::REG_RIP).unwrap_or(0);
    let flags = usize::try_from(libc::REG_EFL).unwrap_or(0);
    registers[rip] = abandon_address().cast_signed();
    registers[flags] &= !DIRECTION_TRAP_ALIGNMENT;
}

/// Hands a signal on to whoever handled it before.
fn chain(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let place = SIGNALS.iter().position(|&handled| handled == signal);
    let previous = PREVIOUS
        .get()
        .zip(place)
        .map(|(previous, place)| previous[place]);
    match previous {
        Some(action)
            if action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN =>
        {
            if action.sa_flags & libc::SA_SIGINFO == 0 {
                let handler = action.sa_sigaction as *const ();
                // SAFETY: without SA_SIGINFO the previous handler takes the signal's number.
                let handler: extern "C" fn(i32) = unsafe { std::mem::transmute(handler) };
                handler(signal);
            } else {
                let handler = action.sa_sigaction as *const ();
                // SAFETY: with SA_SIGINFO the previous handler takes these three.
                let handler: Handler = unsafe { std::mem::transmute(handler) };
                handler(signal, info, context);
            }
        }
        // Without a handler this one is ignored.
        _ if signal == LEAVE => {}
        _ => {
            let default = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: all zeros is SIG_DFL; the instruction then faults again and ends the process.
            unsafe { libc::sigaction(signal, default.as_ptr(), std::ptr::null_mut()) };
        }
    }
}

/// The stack that signal handlers of one thread run on.
pub(crate) struct AlternateStack {
    mapping: Mapping,
    previous: libc::stack_t,
}

impl AlternateStack {
    const SIZE: usize = 64 << 10;

    /// Gives this thread a stack for signal handlers.
    ///
    /// # Panics
    /// When the process has no memory for it.
    pub(crate) fn install() -> Self {
        let mapping = Mapping::reserve(Self::SIZE).expect("memory for a signal stack");
        mapping
            .protect(0..Self::SIZE, Access::ReadWrite)
            .expect("memory for a signal stack");
        let new = libc::stack_t {
            ss_sp: mapping.base() as *mut libc::c_void,
            ss_flags: 0,
            ss_size: Self::SIZE,
        };
        let mut previous = libc::stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: the memory belongs to this value, which takes it away again before it goes.
        let result = unsafe { libc::sigaltstack(&raw const new, &raw mut previous) };
        assert_eq!(result, 0, "a signal stack can be set");
        Self { mapping, previous }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: puts back what this thread had before.
        let result = unsafe { libc::sigaltstack(&raw const self.previous, std::ptr::null_mut()) };
        debug_assert_eq!(result, 0, "the previous signal stack of {:?}", self.mapping);
    }
}
