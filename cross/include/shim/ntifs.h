/*
 * Stands in front of mingw-w64's ntifs.h, first on the include path, and makes
 * it look as the WDK's does to the wdk crates.
 */
#pragma once

/* bindgen's layout tests trip over the 1024-byte alignment of clang's AMX tile
   type. Nothing here needs the AMX headers: their include guards skip them. */
#define __AMXINTRIN_H
#define __AMX_COMPLEXINTRIN_H
#define __AMX_FP16INTRIN_H
#define __AMXFP16INTRIN_H
#define __AMXCOMPLEXINTRIN_H

/* On x64 ntoskrnl.exe exports these four, but mingw-w64 has them as inline
   functions, which bindgen leaves out: the inline ones get other names, and
   wdk_supplement.h declares the exports. */
#define KeGetCurrentIrql inline_KeGetCurrentIrql
#define KeLowerIrql inline_KeLowerIrql
#define KfRaiseIrql inline_KfRaiseIrql
#define KeRaiseIrqlToDpcLevel inline_KeRaiseIrqlToDpcLevel
#include_next <ntifs.h>
#include "ntddk.h"
#undef KeGetCurrentIrql
#undef KeLowerIrql
#undef KfRaiseIrql
#undef KeRaiseIrqlToDpcLevel

#include "wdk_supplement.h"
