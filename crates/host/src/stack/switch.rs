//! The switch between a thread's two stacks.
//!
//! Driver code runs on the thread's kernel stack, host code on its host stack. A call of an export
//! leaves the kernel stack as it is and continues on the host stack where the host left off; a
//! callback continues on the kernel stack below where the driver left off. Both nest. The two
//! stack pointers live in a block that the GS base points to, which is where a Windows kernel
//! keeps its processor block, so the driver's code does not touch them.
//!
//! Because the driver's frames need no unwinding, a callback can also be *abandoned*: the host
//! stack goes back to the frame of [`call`], which returns an error. So a machine that has
//! bug-checked needs no thread that sleeps for ever.
#![allow(unsafe_code, reason = "switches stacks in assembly")]

use std::arch::naked_asm;
use std::mem::offset_of;

use crate::dispatch::dispatch;

/// How many argument words a call may have, in either direction.
pub(crate) const ARGUMENTS: usize = 11;
/// Where a Windows kernel keeps the current thread's object, relative to the GS base.
const CURRENT_THREAD: usize = 0x188;

/// What the GS base of a thread that runs driver code points to.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Block {
    host_sp: u64,
    driver_sp: u64,
    /// Not 0 while the processor executes driver code, or the assembly at its border.
    pub(crate) in_driver: u64,
    /// The address of the `Export` that the driver called last, or 0.
    pub(crate) export: u64,
    unused: [u8; CURRENT_THREAD - 32],
    /// The address of the thread's object.
    pub(crate) thread_object: u64,
}

impl Block {
    /// A block for a thread whose kernel stack begins at `top`.
    pub(crate) fn new(top: u64, thread_object: u64) -> Self {
        const { assert!(offset_of!(Block, thread_object) == CURRENT_THREAD) };
        Self {
            host_sp: 0,
            driver_sp: top,
            in_driver: 0,
            export: 0,
            unused: [0; CURRENT_THREAD - 32],
            thread_object,
        }
    }
}

/// Makes `block` what the GS base of this thread points to; null takes it away.
///
/// # Safety
/// `block` stays where it is for as long as it is installed.
pub(crate) unsafe fn install(block: *mut Block) {
    const ARCH_SET_GS: i64 = 0x1001;
    // SAFETY: sets the GS base of this thread, which nothing else in a Linux process uses.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, block) };
    assert_eq!(result, 0, "setting the GS base to a user address succeeds");
}

/// Calls the driver's routine at `target` on the kernel stack of this thread. `None` when the call
/// was abandoned.
///
/// # Safety
/// A block is installed on this thread, and `target` is code for the Windows x64 convention that
/// takes at most [`ARGUMENTS`] words. While it runs, this thread's host frames below must not be
/// needed by destructors when the call is abandoned from inside an export; the exports see to it.
pub(crate) unsafe fn call(target: u64, arguments: &[u64; ARGUMENTS]) -> Option<u64> {
    let mut result = 0;
    // SAFETY: by this function's own contract; the two pointers are to live values.
    let abandoned = unsafe { into_driver(target, arguments.as_ptr(), &raw mut result) };
    (abandoned == 0).then_some(result)
}

/// The address that [`abandon`] starts at, for a signal handler to return to.
pub(crate) fn abandon_address() -> u64 {
    abandon as *const () as u64
}

/// Calls into the driver: `rdi` the target, `rsi` the argument words, `rdx` where the result goes.
/// Returns 0, or 1 when the call was abandoned.
#[unsafe(naked)]
unsafe extern "C" fn into_driver(target: u64, arguments: *const u64, result: *mut u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdx",
        "push qword ptr gs:[{host_sp}]",
        "push qword ptr gs:[{driver_sp}]",
        "sub rsp, 8",
        "mov gs:[{host_sp}], rsp",
        "mov rax, rdi",
        "mov r11, rsi",
        // From here on a fault is the driver's: its stack may be full.
        "mov qword ptr gs:[{in_driver}], 1",
        "mov rsp, gs:[{driver_sp}]",
        "sub rsp, 96",
        "mov r10, [r11 + 32]",
        "mov [rsp + 32], r10",
        "mov r10, [r11 + 40]",
        "mov [rsp + 40], r10",
        "mov r10, [r11 + 48]",
        "mov [rsp + 48], r10",
        "mov r10, [r11 + 56]",
        "mov [rsp + 56], r10",
        "mov r10, [r11 + 64]",
        "mov [rsp + 64], r10",
        "mov r10, [r11 + 72]",
        "mov [rsp + 72], r10",
        "mov r10, [r11 + 80]",
        "mov [rsp + 80], r10",
        "mov rcx, [r11]",
        "mov rdx, [r11 + 8]",
        "mov r8, [r11 + 16]",
        "mov r9, [r11 + 24]",
        "xor ebp, ebp",
        "call rax",
        "mov rsp, gs:[{host_sp}]",
        "mov qword ptr gs:[{in_driver}], 0",
        "add rsp, 8",
        "pop qword ptr gs:[{driver_sp}]",
        "pop qword ptr gs:[{host_sp}]",
        "pop rdx",
        "mov [rdx], rax",
        "xor eax, eax",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "cld",
        "ret",
        host_sp = const offset_of!(Block, host_sp),
        driver_sp = const offset_of!(Block, driver_sp),
        in_driver = const offset_of!(Block, in_driver),
    )
}

/// Leaves the innermost call into the driver for good: its [`call`] returns `None`.
///
/// # Safety
/// This thread is inside such a call, and no frame of the host above it on the host stack has
/// anything left to drop.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn abandon() -> ! {
    naked_asm!(
        "mov rsp, gs:[{host_sp}]",
        "mov qword ptr gs:[{in_driver}], 0",
        "add rsp, 8",
        "pop qword ptr gs:[{driver_sp}]",
        "pop qword ptr gs:[{host_sp}]",
        "pop rdx",
        "mov eax, 1",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "cld",
        "ret",
        host_sp = const offset_of!(Block, host_sp),
        driver_sp = const offset_of!(Block, driver_sp),
        in_driver = const offset_of!(Block, in_driver),
    )
}

/// Where every thunk leads: the driver calls an export, whose address is in `r10`. The caller's
/// frame has the return address, the home area for four words, and the stack arguments behind it,
/// so that all argument words lie in a row once the four registers are stored at home.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn from_driver() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push qword ptr gs:[{driver_sp}]",
        "sub rsp, 8",
        "mov [rbp + 16], rcx",
        "mov [rbp + 24], rdx",
        "mov [rbp + 32], r8",
        "mov [rbp + 40], r9",
        "mov gs:[{export}], r10",
        "mov rcx, r10",
        "lea rdx, [rbp + 8]",
        "mov gs:[{driver_sp}], rsp",
        "mov rsp, gs:[{host_sp}]",
        "mov qword ptr gs:[{in_driver}], 0",
        "sub rsp, 40",
        "call {dispatch}",
        "mov qword ptr gs:[{in_driver}], 1",
        "mov rsp, gs:[{driver_sp}]",
        "add rsp, 8",
        "pop qword ptr gs:[{driver_sp}]",
        "pop rbp",
        "ret",
        host_sp = const offset_of!(Block, host_sp),
        driver_sp = const offset_of!(Block, driver_sp),
        in_driver = const offset_of!(Block, in_driver),
        export = const offset_of!(Block, export),
        dispatch = sym dispatch,
    )
}
