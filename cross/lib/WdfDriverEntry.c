/*
 * Stands for the WDK's WdfDriverEntry.lib: the entry point of a KMDF driver,
 * which binds the driver to the framework ahead of DriverEntry and unbinds it
 * after the driver's last call.
 */
#include "ntifs.h"
#include "ntddk.h"
#include "wdf.h"

typedef struct _BIND_INFO {
    ULONG Size;
    PWCHAR Component;
    struct {
        ULONG Major;
        ULONG Minor;
        ULONG Build;
    } Version;
    ULONG FunctionCount;
    const WDFFUNC **FunctionTable;
    PVOID Module;
} BIND_INFO;

C_ASSERT(sizeof(BIND_INFO) == 48);
C_ASSERT(FIELD_OFFSET(BIND_INFO, Component) == 8);
C_ASSERT(FIELD_OFFSET(BIND_INFO, Version) == 16);
C_ASSERT(FIELD_OFFSET(BIND_INFO, FunctionCount) == 28);
C_ASSERT(FIELD_OFFSET(BIND_INFO, FunctionTable) == 32);
C_ASSERT(FIELD_OFFSET(BIND_INFO, Module) == 40);

NTSTATUS NTAPI WdfVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
                              BIND_INFO *BindInfo, PWDF_DRIVER_GLOBALS *Globals);
NTSTATUS NTAPI WdfVersionUnbind(PUNICODE_STRING RegistryPath, BIND_INFO *BindInfo,
                                PWDF_DRIVER_GLOBALS Globals);
DRIVER_INITIALIZE DriverEntry;

/* The two names that the framework's headers declare. */
const WDFFUNC *WdfFunctions_01015;
PWDF_DRIVER_GLOBALS WdfDriverGlobals;

static BIND_INFO bind_info = {
    .Size = sizeof(BIND_INFO),
    .Component = L"KmdfLibrary",
    .Version = {KMDF_VERSION_MAJOR, KMDF_VERSION_MINOR, 0},
    .FunctionCount = WdfFunctionTableNumEntries,
    .FunctionTable = &WdfFunctions_01015,
    .Module = NULL,
};

/* The caller's path need not outlive FxDriverEntry, so unbinding uses a copy.
   RtlCopyUnicodeString cuts off what does not fit. */
static WCHAR path_characters[260];
static UNICODE_STRING path = {0, sizeof(path_characters), path_characters};

static PDRIVER_UNLOAD driver_unload;

static VOID NTAPI unload_and_unbind(PDRIVER_OBJECT DriverObject)
{
    if (driver_unload != NULL) {
        driver_unload(DriverObject);
    }
    WdfVersionUnbind(&path, &bind_info, WdfDriverGlobals);
}

NTSTATUS NTAPI FxDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    RtlCopyUnicodeString(&path, RegistryPath);
    status = WdfVersionBind(DriverObject, &path, &bind_info, &WdfDriverGlobals);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = DriverEntry(DriverObject, RegistryPath);
    if (!NT_SUCCESS(status)) {
        WdfVersionUnbind(&path, &bind_info, WdfDriverGlobals);
        return status;
    }
    /* The framework says here whether it took the unload routine's place, and
       so leaves the unbinding to this one. */
    if (WdfDriverGlobals->DisplaceDriverUnload) {
        driver_unload = DriverObject->DriverUnload;
        DriverObject->DriverUnload = unload_and_unbind;
    }
    return status;
}
