/*
 * Checks kmdf/wdf.h and the mingw-w64 structures that the driver lays out in
 * memory against the sizes and offsets of the Windows 10 x64 ABI. The build
 * compiles it and keeps nothing of it.
 */
#include "ntifs.h"
#include "ntddk.h"
#include "wdf.h"

#define SIZE(type, size) C_ASSERT(sizeof(type) == (size))
#define AT(type, field, offset) C_ASSERT(FIELD_OFFSET(type, field) == (offset))
#define VALUE(name, value) C_ASSERT((int)(name) == (value))

SIZE(WDF_DRIVER_CONFIG, 32);
C_ASSERT(__alignof(WDF_DRIVER_CONFIG) == 8);
AT(WDF_DRIVER_CONFIG, Size, 0);
AT(WDF_DRIVER_CONFIG, EvtDriverDeviceAdd, 8);
AT(WDF_DRIVER_CONFIG, EvtDriverUnload, 16);
AT(WDF_DRIVER_CONFIG, DriverInitFlags, 24);
AT(WDF_DRIVER_CONFIG, DriverPoolTag, 28);

SIZE(WDF_OBJECT_ATTRIBUTES, 56);
C_ASSERT(__alignof(WDF_OBJECT_ATTRIBUTES) == 8);
AT(WDF_OBJECT_ATTRIBUTES, Size, 0);
AT(WDF_OBJECT_ATTRIBUTES, EvtCleanupCallback, 8);
AT(WDF_OBJECT_ATTRIBUTES, EvtDestroyCallback, 16);
AT(WDF_OBJECT_ATTRIBUTES, ExecutionLevel, 24);
AT(WDF_OBJECT_ATTRIBUTES, SynchronizationScope, 28);
AT(WDF_OBJECT_ATTRIBUTES, ParentObject, 32);
AT(WDF_OBJECT_ATTRIBUTES, ContextSizeOverride, 40);
AT(WDF_OBJECT_ATTRIBUTES, ContextTypeInfo, 48);

SIZE(WDF_OBJECT_CONTEXT_TYPE_INFO, 40);
C_ASSERT(__alignof(WDF_OBJECT_CONTEXT_TYPE_INFO) == 8);
AT(WDF_OBJECT_CONTEXT_TYPE_INFO, Size, 0);
AT(WDF_OBJECT_CONTEXT_TYPE_INFO, ContextName, 8);
AT(WDF_OBJECT_CONTEXT_TYPE_INFO, ContextSize, 16);
AT(WDF_OBJECT_CONTEXT_TYPE_INFO, UniqueType, 24);
AT(WDF_OBJECT_CONTEXT_TYPE_INFO, EvtDriverGetUniqueContextType, 32);

SIZE(WDF_IO_QUEUE_CONFIG, 96);
C_ASSERT(__alignof(WDF_IO_QUEUE_CONFIG) == 8);
AT(WDF_IO_QUEUE_CONFIG, Size, 0);
AT(WDF_IO_QUEUE_CONFIG, DispatchType, 4);
AT(WDF_IO_QUEUE_CONFIG, PowerManaged, 8);
AT(WDF_IO_QUEUE_CONFIG, AllowZeroLengthRequests, 12);
AT(WDF_IO_QUEUE_CONFIG, DefaultQueue, 13);
AT(WDF_IO_QUEUE_CONFIG, EvtIoDefault, 16);
AT(WDF_IO_QUEUE_CONFIG, EvtIoRead, 24);
AT(WDF_IO_QUEUE_CONFIG, EvtIoWrite, 32);
AT(WDF_IO_QUEUE_CONFIG, EvtIoDeviceControl, 40);
AT(WDF_IO_QUEUE_CONFIG, EvtIoInternalDeviceControl, 48);
AT(WDF_IO_QUEUE_CONFIG, EvtIoStop, 56);
AT(WDF_IO_QUEUE_CONFIG, EvtIoResume, 64);
AT(WDF_IO_QUEUE_CONFIG, EvtIoCanceledOnQueue, 72);
AT(WDF_IO_QUEUE_CONFIG, Settings, 80);
AT(WDF_IO_QUEUE_CONFIG, Settings.Parallel, 80);
AT(WDF_IO_QUEUE_CONFIG, Driver, 88);

SIZE(WDF_FILEOBJECT_CONFIG, 40);
C_ASSERT(__alignof(WDF_FILEOBJECT_CONFIG) == 8);
AT(WDF_FILEOBJECT_CONFIG, Size, 0);
AT(WDF_FILEOBJECT_CONFIG, EvtDeviceFileCreate, 8);
AT(WDF_FILEOBJECT_CONFIG, EvtFileClose, 16);
AT(WDF_FILEOBJECT_CONFIG, EvtFileCleanup, 24);
AT(WDF_FILEOBJECT_CONFIG, AutoForwardCleanupClose, 32);
AT(WDF_FILEOBJECT_CONFIG, FileObjectClass, 36);

SIZE(WDF_PNPPOWER_EVENT_CALLBACKS, 144);
C_ASSERT(__alignof(WDF_PNPPOWER_EVENT_CALLBACKS) == 8);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, Size, 0);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceD0Entry, 8);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceD0EntryPostInterruptsEnabled, 16);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceD0Exit, 24);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceD0ExitPreInterruptsDisabled, 32);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDevicePrepareHardware, 40);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceReleaseHardware, 48);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceSelfManagedIoCleanup, 56);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceSelfManagedIoFlush, 64);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceSelfManagedIoInit, 72);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceSelfManagedIoSuspend, 80);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceSelfManagedIoRestart, 88);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceSurpriseRemoval, 96);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceQueryRemove, 104);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceQueryStop, 112);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceUsageNotification, 120);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceRelationsQuery, 128);
AT(WDF_PNPPOWER_EVENT_CALLBACKS, EvtDeviceUsageNotificationEx, 136);

SIZE(WDF_DRIVER_GLOBALS, 56);
C_ASSERT(__alignof(WDF_DRIVER_GLOBALS) == 8);
AT(WDF_DRIVER_GLOBALS, Driver, 0);
AT(WDF_DRIVER_GLOBALS, DriverFlags, 8);
AT(WDF_DRIVER_GLOBALS, DriverTag, 12);
AT(WDF_DRIVER_GLOBALS, DriverName, 16);
AT(WDF_DRIVER_GLOBALS, DisplaceDriverUnload, 48);

SIZE(WDF_TIMER_CONFIG, 40);
C_ASSERT(__alignof(WDF_TIMER_CONFIG) == 8);
AT(WDF_TIMER_CONFIG, Size, 0);
AT(WDF_TIMER_CONFIG, EvtTimerFunc, 8);
AT(WDF_TIMER_CONFIG, Period, 16);
AT(WDF_TIMER_CONFIG, AutomaticSerialization, 20);
AT(WDF_TIMER_CONFIG, TolerableDelay, 24);
AT(WDF_TIMER_CONFIG, UseHighResolutionTimer, 32);

SIZE(WDF_EXECUTION_LEVEL, 4);
VALUE(WdfExecutionLevelInvalid, 0);
VALUE(WdfExecutionLevelInheritFromParent, 1);
VALUE(WdfExecutionLevelPassive, 2);
VALUE(WdfExecutionLevelDispatch, 3);

SIZE(WDF_SYNCHRONIZATION_SCOPE, 4);
VALUE(WdfSynchronizationScopeInvalid, 0);
VALUE(WdfSynchronizationScopeInheritFromParent, 1);
VALUE(WdfSynchronizationScopeDevice, 2);
VALUE(WdfSynchronizationScopeQueue, 3);
VALUE(WdfSynchronizationScopeNone, 4);

SIZE(WDF_IO_QUEUE_DISPATCH_TYPE, 4);
VALUE(WdfIoQueueDispatchInvalid, 0);
VALUE(WdfIoQueueDispatchSequential, 1);
VALUE(WdfIoQueueDispatchParallel, 2);
VALUE(WdfIoQueueDispatchManual, 3);
VALUE(WdfIoQueueDispatchMax, 4);

SIZE(WDF_TRI_STATE, 4);
VALUE(WdfFalse, 0);
VALUE(WdfTrue, 1);
VALUE(WdfUseDefault, 2);

SIZE(WDF_DEVICE_IO_TYPE, 4);
VALUE(WdfDeviceIoUndefined, 0);
VALUE(WdfDeviceIoNeither, 1);
VALUE(WdfDeviceIoBuffered, 2);
VALUE(WdfDeviceIoDirect, 3);
VALUE(WdfDeviceIoBufferedOrDirect, 4);

SIZE(WDF_FILEOBJECT_CLASS, 4);
VALUE(WdfFileObjectInvalid, 0);
VALUE(WdfFileObjectNotRequired, 1);
VALUE(WdfFileObjectWdfCanUseFsContext, 2);
VALUE(WdfFileObjectWdfCanUseFsContext2, 3);
VALUE(WdfFileObjectWdfCannotUseFsContexts, 4);
VALUE(WdfFileObjectCanBeOptional, -2147483647 - 1);

SIZE(WDF_DRIVER_INIT_FLAGS, 4);
VALUE(WdfDriverInitNonPnpDriver, 1);
VALUE(WdfDriverInitNoDispatchOverride, 2);
VALUE(WdfVerifyOn, 4);
VALUE(WdfVerifierOn, 8);

SIZE(WDF_SPECIAL_FILE_TYPE, 4);
VALUE(WdfSpecialFileUndefined, 0);
VALUE(WdfSpecialFilePaging, 1);
VALUE(WdfSpecialFileHibernation, 2);
VALUE(WdfSpecialFileDump, 3);
VALUE(WdfSpecialFileBoot, 4);
VALUE(WdfSpecialFileMax, 5);

SIZE(WDF_POWER_DEVICE_STATE, 4);
VALUE(WdfPowerDeviceInvalid, 0);
VALUE(WdfPowerDeviceD0, 1);
VALUE(WdfPowerDeviceD1, 2);
VALUE(WdfPowerDeviceD2, 3);
VALUE(WdfPowerDeviceD3, 4);
VALUE(WdfPowerDeviceD3Final, 5);
VALUE(WdfPowerDevicePrepareForHibernation, 6);
VALUE(WdfPowerDeviceMaximum, 7);

VALUE(WdfDeviceInitSetPnpPowerEventCallbacksTableIndex, 55);
VALUE(WdfDeviceInitSetIoTypeTableIndex, 61);
VALUE(WdfDeviceInitSetDeviceTypeTableIndex, 66);
VALUE(WdfDeviceInitSetCharacteristicsTableIndex, 70);
VALUE(WdfDeviceInitSetFileObjectConfigTableIndex, 71);
VALUE(WdfDeviceInitSetRequestAttributesTableIndex, 72);
VALUE(WdfDeviceCreateTableIndex, 75);
VALUE(WdfDeviceCreateDeviceInterfaceTableIndex, 77);
VALUE(WdfDeviceCreateSymbolicLinkTableIndex, 80);
VALUE(WdfDriverCreateTableIndex, 116);
VALUE(WdfFileObjectGetDeviceTableIndex, 139);
VALUE(WdfFileObjectWdmGetFileObjectTableIndex, 140);
VALUE(WdfIoQueueCreateTableIndex, 152);
VALUE(WdfIoQueueGetDeviceTableIndex, 157);
VALUE(WdfObjectGetTypedContextWorkerTableIndex, 202);
VALUE(WdfObjectDeleteTableIndex, 208);
VALUE(WdfRequestUnmarkCancelableTableIndex, 256);
VALUE(WdfRequestCompleteWithInformationTableIndex, 265);
VALUE(WdfRequestRetrieveInputBufferTableIndex, 269);
VALUE(WdfRequestRetrieveOutputBufferTableIndex, 270);
VALUE(WdfRequestGetFileObjectTableIndex, 277);
VALUE(WdfWaitLockCreateTableIndex, 312);
VALUE(WdfWaitLockAcquireTableIndex, 313);
VALUE(WdfWaitLockReleaseTableIndex, 314);
VALUE(WdfSpinLockCreateTableIndex, 315);
VALUE(WdfSpinLockAcquireTableIndex, 316);
VALUE(WdfSpinLockReleaseTableIndex, 317);
VALUE(WdfTimerCreateTableIndex, 318);
VALUE(WdfTimerStartTableIndex, 319);
VALUE(WdfTimerStopTableIndex, 320);
VALUE(WdfRequestMarkCancelableExTableIndex, 393);
VALUE(WdfDeviceWdmDispatchIrpTableIndex, 401);
VALUE(WdfDeviceConfigureWdmIrpDispatchCallbackTableIndex, 404);
VALUE(WdfFunctionTableNumEntries, 444);

SIZE(IRP, 208);
AT(IRP, AssociatedIrp.SystemBuffer, 24);
AT(IRP, IoStatus.Status, 48);
AT(IRP, IoStatus.Information, 56);
AT(IRP, RequestorMode, 64);
AT(IRP, Cancel, 68);
AT(IRP, Tail.Overlay.Thread, 152);
AT(IRP, Tail.Overlay.CurrentStackLocation, 184);
SIZE(IO_STACK_LOCATION, 72);
AT(IO_STACK_LOCATION, MajorFunction, 0);
AT(IO_STACK_LOCATION, Control, 3);
AT(IO_STACK_LOCATION, Parameters.DeviceIoControl.OutputBufferLength, 8);
AT(IO_STACK_LOCATION, Parameters.DeviceIoControl.InputBufferLength, 16);
AT(IO_STACK_LOCATION, Parameters.DeviceIoControl.IoControlCode, 24);
AT(IO_STACK_LOCATION, FileObject, 48);
VALUE(IRP_MJ_DEVICE_CONTROL, 14);
VALUE(SL_PENDING_RETURNED, 1);
VALUE(UserRequest, 6);

SIZE(KEVENT, 24);
SIZE(KAPC, 88);
SIZE(UNICODE_STRING, 16);
AT(UNICODE_STRING, Buffer, 8);
SIZE(OBJECT_ATTRIBUTES, 48);
SIZE(CLIENT_ID, 16);

SIZE(FAST_MUTEX, 56);
AT(FAST_MUTEX, Count, 0);
AT(FAST_MUTEX, Owner, 8);
AT(FAST_MUTEX, Contention, 16);
AT(FAST_MUTEX, Event, 24);
AT(FAST_MUTEX, OldIrql, 48);
VALUE(FM_LOCK_BIT, 1);
SIZE(KGUARDED_MUTEX, 56);
SIZE(KMUTANT, 56);
SIZE(ERESOURCE, 104);
