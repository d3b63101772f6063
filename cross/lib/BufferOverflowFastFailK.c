/*
 * The wdk crates link BufferOverflowFastFailK.lib, the run-time half of the C
 * compiler's /GS checks, into every kernel driver. No object of this build is
 * compiled with /GS, so the library only has to exist.
 */
typedef int no_object_here_uses_gs;
