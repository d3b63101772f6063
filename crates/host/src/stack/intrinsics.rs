//! The memory routines that ntoskrnl.exe exports, on the driver's own stack.
//!
//! They are the driver's code as far as faults go: a wild pointer given to `memcpy` is the
//! driver's fault, so they run on its stack and in assembly, where a fault can be recovered from.
#![allow(unsafe_code, reason = "naked functions of the Windows x64 convention")]

use std::arch::naked_asm;

/// The routines by name and address.
pub(crate) const INTRINSICS: [(&str, unsafe extern "C" fn()); 6] = [
    ("memcpy", memcpy),
    ("memmove", memmove),
    ("memset", memset),
    ("memcmp", memcmp),
    ("strlen", strlen),
    ("__chkstk", chkstk),
];

#[unsafe(naked)]
unsafe extern "C" fn memcpy() {
    naked_asm!(
        "mov rax, rcx",
        "push rdi",
        "push rsi",
        "mov rdi, rcx",
        "mov rsi, rdx",
        "mov rcx, r8",
        "rep movsb",
        "pop rsi",
        "pop rdi",
        "ret",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn memmove() {
    naked_asm!(
        "mov rax, rcx",
        "push rdi",
        "push rsi",
        "mov rdi, rcx",
        "mov rsi, rdx",
        "mov rcx, r8",
        "mov r9, rdi",
        "sub r9, rsi",
        "cmp r9, r8",
        "jb 2f",
        "rep movsb",
        "jmp 3f",
        // The target begins inside the source: backwards.
        "2:",
        "lea rdi, [rdi + rcx - 1]",
        "lea rsi, [rsi + rcx - 1]",
        "std",
        "rep movsb",
        "cld",
        "3:",
        "pop rsi",
        "pop rdi",
        "ret",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn memset() {
    naked_asm!(
        "mov r9, rcx",
        "push rdi",
        "mov rdi, rcx",
        "mov eax, edx",
        "mov rcx, r8",
        "rep stosb",
        "pop rdi",
        "mov rax, r9",
        "ret",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn memcmp() {
    naked_asm!(
        "xor r9d, r9d",
        "2:",
        "cmp r9, r8",
        "je 3f",
        "movzx eax, byte ptr [rcx + r9]",
        "movzx r10d, byte ptr [rdx + r9]",
        "inc r9",
        "sub eax, r10d",
        "je 2b",
        "ret",
        "3:",
        "xor eax, eax",
        "ret",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn strlen() {
    naked_asm!(
        "xor eax, eax",
        "2:",
        "cmp byte ptr [rcx + rax], 0",
        "je 3f",
        "inc rax",
        "jmp 2b",
        "3:",
        "ret",
    )
}

/// Touches every page of a frame of `rax` bytes, top down, so that a frame that does not fit meets
/// the guard below the stack. Changes no register but r10 and r11.
#[unsafe(naked)]
unsafe extern "C" fn chkstk() {
    naked_asm!(
        "lea r10, [rsp + 8]",
        "mov r11, r10",
        "sub r11, rax",
        "jnc 2f",
        "xor r11d, r11d",
        "2:",
        "sub r10, 4096",
        "cmp r10, r11",
        "jb 3f",
        "test byte ptr [r10], 0",
        "jmp 2b",
        "3:",
        "test byte ptr [r11], 0",
        "ret",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type Copy = unsafe extern "win64" fn(*mut u8, *const u8, usize) -> *mut u8;
    type Compare = unsafe extern "win64" fn(*const u8, *const u8, usize) -> i32;

    type Set = unsafe extern "win64" fn(*mut u8, i32, usize) -> *mut u8;
    type Length = unsafe extern "win64" fn(*const u8) -> usize;

    fn copy(routine: unsafe extern "C" fn()) -> Copy {
        // SAFETY: the assembly has this signature.
        unsafe { std::mem::transmute::<unsafe extern "C" fn(), Copy>(routine) }
    }

    #[test]
    fn memmove_copes_with_both_overlaps() {
        for (from, to) in [(0_usize, 3_usize), (3, 0), (0, 0), (0, 8)] {
            let mut bytes: Vec<u8> = (0..16).collect();
            let expected: Vec<u8> = bytes[from..from + 8].to_vec();
            let base = bytes.as_mut_ptr();
            // SAFETY: both ranges lie inside the 16 bytes.
            unsafe { copy(memmove)(base.wrapping_add(to), base.wrapping_add(from), 8) };
            assert_eq!(&bytes[to..to + 8], expected, "{from} to {to}");
        }
    }

    #[test]
    fn memcpy_and_memset_touch_what_they_should() {
        let source: Vec<u8> = (0..40).collect();
        let mut target = [0xEE_u8; 42];
        // SAFETY: 40 bytes lie inside both.
        unsafe { copy(memcpy)(target.as_mut_ptr().wrapping_add(1), source.as_ptr(), 40) };
        assert_eq!(&target[1..41], &source[..]);
        assert_eq!((target[0], target[41]), (0xEE, 0xEE));
        // SAFETY: the assembly has this signature.
        let set = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Set>(memset) };
        // SAFETY: 5 bytes lie inside.
        let result = unsafe { set(target.as_mut_ptr().wrapping_add(2), 0x7F, 5) };
        assert_eq!(result, target.as_mut_ptr().wrapping_add(2));
        assert_eq!(&target[1..9], &[0, 0x7F, 0x7F, 0x7F, 0x7F, 0x7F, 6, 7]);
    }

    #[test]
    fn memcmp_orders_by_unsigned_bytes_and_strlen_counts() {
        // SAFETY: the assembly has this signature.
        let compare = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Compare>(memcmp) };
        let order = |a: &[u8], b: &[u8]| {
            // SAFETY: both slices have at least the compared length.
            unsafe { compare(a.as_ptr(), b.as_ptr(), a.len().min(b.len())) }.signum()
        };
        assert_eq!(order(b"abc", b"abd"), -1);
        assert_eq!(order(&[0xFF], &[1]), 1);
        assert_eq!(order(b"same", b"same"), 0);
        assert_eq!(order(b"", b""), 0);
        // SAFETY: the assembly has this signature.
        let length = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Length>(strlen) };
        // SAFETY: the string ends with a zero byte.
        assert_eq!(unsafe { length(c"seven..".as_ptr().cast()) }, 7);
    }
}
