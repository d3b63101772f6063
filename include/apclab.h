/*
 * apclab.h: the IOCTLs of the driver apclab, for C and C++.
 *
 * Generated from crates/protocol by `cargo xtask header`; do not edit it. All numbers are little-endian,
 * which x64 is. Reserved members are zero in requests. include/example.c shows how to use it.
 *
 * A warning status (APCLAB_STATUS_REFUSED and its like) makes DeviceIoControl fail although it has written a
 * reply: open the device for overlapped I/O, and take the status from OVERLAPPED.Internal.
 */
#ifndef APCLAB_H
#define APCLAB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define APCLAB_ASSERT(condition) static_assert(condition, #condition)
extern "C" {
#else
#define APCLAB_ASSERT(condition) _Static_assert(condition, #condition)
#endif

/* Version, and sizes in bytes. */

/* Version of everything in this crate that crosses the IOCTL border. A driver refuses requests of any
   other version with APCLAB_STATUS_REVISION_MISMATCH. */
#define APCLAB_VERSION 3u
/* Size of the header in bytes. */
#define APCLAB_HEADER_SIZE 16u
/* "No lane", "no step", "no offset" in a apclab_load_reply. */
#define APCLAB_NONE 4294967295u
/* Size of an encoded step in bytes. */
#define APCLAB_STEP_SIZE 16u
/* "No register" in the register fields of an encoded step. */
#define APCLAB_NO_REGISTER 255u
/* "No APC" in apclab_trace_record.apc. */
#define APCLAB_NO_APC 255u
/* "No step" in apclab_trace_record.step. */
#define APCLAB_NO_STEP 4294967295u
/* APCP at the front of every program. */
#define APCLAB_PROGRAM_MAGIC 1346588737u
/* Version of the program format. */
#define APCLAB_PROGRAM_FORMAT 3u
/* Size of the fixed head in bytes. */
#define APCLAB_PROGRAM_HEAD_SIZE 48u
/* Size of one entry of each table in bytes. */
#define APCLAB_PROGRAM_ENTRY_SIZE 8u

/* Control codes. */

/* Device type of the control codes and of the device object: FILE_DEVICE_UNKNOWN. */
#define APCLAB_IOCTL_DEVICE_TYPE 0x00000022u
/* Asks what the driver and the kernel beneath it are: apclab_query_reply. */
#define APCLAB_IOCTL_QUERY 0x0022E000u
/* Verifies a program and keeps it in a session: apclab_load_reply. */
#define APCLAB_IOCTL_LOAD 0x0022E004u
/* Runs the loaded program many times; asynchronous and cancelable: apclab_run_reply. */
#define APCLAB_IOCTL_RUN 0x0022E008u
/* Reads the histogram of the last run: apclab_histogram_reply. */
#define APCLAB_IOCTL_HISTOGRAM 0x0022E00Cu
/* Reads the trace of the iteration that the last run recorded: apclab_trace_reply. */
#define APCLAB_IOCTL_TRACE 0x0022E010u
/* Cancels the session's run. The run's request completes with APCLAB_STATUS_CANCELLED. */
#define APCLAB_IOCTL_CANCEL 0x0022E014u
/* Executes one call of a caller lane in the thread that asks, or says that the lane is done:
   apclab_call_request, apclab_call_reply. */
#define APCLAB_IOCTL_CALL 0x0022E018u
/* The overlapped request of a completion: stays pending until the program or the end of the iteration
   completes it. apclab_hold_request; no reply. */
#define APCLAB_IOCTL_HOLD 0x0022E01Cu

/* Limits. */

/* Lanes of a program: threads that run at the same time. */
#define APCLAB_MAX_LANES 6u
/* Registers of each lane, r0 to r15. */
#define APCLAB_MAX_REGISTERS 16u
/* Plain variables, shared by all lanes. */
#define APCLAB_MAX_VARIABLES 16u
/* Events. */
#define APCLAB_MAX_EVENTS 16u
/* APC objects. */
#define APCLAB_MAX_APCS 16u
/* Locks: fast mutexes, guarded mutexes, mutexes, resources, push locks and critical sections. */
#define APCLAB_MAX_LOCKS 16u
/* Locks, raises and blocks that one lane has open at the same time. Each costs kernel stack. */
#define APCLAB_MAX_SCOPES 8u
/* Steps of an APC's body. */
#define APCLAB_MAX_STEPS_PER_BODY 16u
/* Rounds of one repeat. */
#define APCLAB_MAX_ROUNDS 10000u
/* Steps that one lane executes in one iteration, with every round of every repeat. */
#define APCLAB_MAX_EXECUTED_STEPS 1000000u
/* Values that one outcome consists of. */
#define APCLAB_MAX_OBSERVED 32u
/* Steps of one lane. */
#define APCLAB_MAX_STEPS_PER_LANE 4096u
/* Regions that one lane has open at the same time. */
#define APCLAB_MAX_NESTING 1024u
/* Different outcomes that a histogram keeps; iterations beyond them are counted as overflow. */
#define APCLAB_MAX_OUTCOMES 1024u
/* Records of one lane in the trace of an iteration. */
#define APCLAB_MAX_TRACE_RECORDS_PER_LANE 1024u
/* Iterations of one run. */
#define APCLAB_MAX_ITERATIONS 100000000u
/* Longest random delay before a step, in microseconds. */
#define APCLAB_MAX_DELAY_US 1000u
/* Deadline of a run, in milliseconds. */
#define APCLAB_MAX_RUN_DEADLINE_MS 600000u
/* Deadline of one wait inside an iteration, in milliseconds. */
#define APCLAB_MAX_WAIT_DEADLINE_MS 10000u
/* Longest sleep of a caller lane in user mode, in milliseconds. */
#define APCLAB_MAX_SLEEP_MS 1000u
/* Longest deadline of a wait in a program with caller lanes, in milliseconds: a thread of user mode
   that is terminated ends when the wait that it is in does. */
#define APCLAB_MAX_CALLER_WAIT_DEADLINE_MS 2000u
/* Sessions that the device keeps at the same time. */
#define APCLAB_MAX_SESSIONS 64u

/* NTSTATUS values that requests complete with. */

/* STATUS_SUCCESS. */
#define APCLAB_STATUS_SUCCESS ((int32_t)0x00000000)
/* STATUS_PENDING: the request will complete later. */
#define APCLAB_STATUS_PENDING ((int32_t)0x00000103)
/* STATUS_TIMEOUT: a wait ended by its deadline. */
#define APCLAB_STATUS_TIMEOUT ((int32_t)0x00000102)
/* STATUS_INFO_LENGTH_MISMATCH: the input is shorter than its message. */
#define APCLAB_STATUS_INPUT_TOO_SHORT ((int32_t)0xC0000004)
/* STATUS_INVALID_BUFFER_SIZE: the input is longer than its message. */
#define APCLAB_STATUS_INPUT_TOO_LONG ((int32_t)0xC0000206)
/* STATUS_DATATYPE_MISALIGNMENT_ERROR: the input's length is no multiple of 8. */
#define APCLAB_STATUS_INPUT_MISALIGNED ((int32_t)0xC00002C5)
/* STATUS_BUFFER_TOO_SMALL: the output buffer cannot hold the reply. */
#define APCLAB_STATUS_OUTPUT_TOO_SHORT ((int32_t)0xC0000023)
/* STATUS_REVISION_MISMATCH: the request's version is not APCLAB_VERSION. */
#define APCLAB_STATUS_REVISION_MISMATCH ((int32_t)0xC0000059)
/* STATUS_INVALID_PARAMETER: a field is out of its range, or a reserved field is not zero. */
#define APCLAB_STATUS_INVALID_PARAMETER ((int32_t)0xC000000D)
/* STATUS_INVALID_DEVICE_REQUEST: no such control code. */
#define APCLAB_STATUS_UNKNOWN_CODE ((int32_t)0xC0000010)
/* STATUS_REQUEST_OUT_OF_SEQUENCE: nothing is loaded yet, or nothing has run yet. */
#define APCLAB_STATUS_OUT_OF_SEQUENCE ((int32_t)0xC000042A)
/* STATUS_RESOURCE_IN_USE: the session is running. */
#define APCLAB_STATUS_IN_USE ((int32_t)0xC0000708)
/* STATUS_NOT_FOUND: no session has that id. */
#define APCLAB_STATUS_NO_SUCH_SESSION ((int32_t)0xC0000225)
/* STATUS_ACCESS_DENIED: the session belongs to another process. */
#define APCLAB_STATUS_NOT_THE_OPENER ((int32_t)0xC0000022)
/* STATUS_ALREADY_COMMITTED: the handle is joined to another session. */
#define APCLAB_STATUS_OTHER_SESSION ((int32_t)0xC0000021)
/* STATUS_QUOTA_EXCEEDED: the device has APCLAB_MAX_SESSIONS sessions already. */
#define APCLAB_STATUS_TOO_MANY_SESSIONS ((int32_t)0xC0000044)
/* STATUS_INSUFFICIENT_RESOURCES: an allocation or a thread could not be had. */
#define APCLAB_STATUS_INSUFFICIENT_RESOURCES ((int32_t)0xC000009A)
/* STATUS_CANCELLED: the run was cancelled, or its handle was closed. */
#define APCLAB_STATUS_CANCELLED ((int32_t)0xC0000120)
/* STATUS_DELETE_PENDING: the device is being removed. */
#define APCLAB_STATUS_REMOVED ((int32_t)0xC0000056)
/* The program's bytes are no program; apclab_load_reply holds reason and offset. */
#define APCLAB_STATUS_MALFORMED_PROGRAM ((int32_t)0xA0AC0001)
/* The program breaks a rule; apclab_load_reply holds reason, lane and step. */
#define APCLAB_STATUS_REFUSED ((int32_t)0xA0AC0002)
/* The program queues APCs, and this kernel does not offer the routines for it. */
#define APCLAB_STATUS_NO_APC_ROUTINES ((int32_t)0xA0AC0003)
/* The program queues APCs, and the threads that would run it begin with APCs disabled: such a test
   cannot run there. apclab_run_reply holds the baseline. */
#define APCLAB_STATUS_BASELINE_DISABLED ((int32_t)0xA0AC0004)

/* Bits of apclab_query_reply.routines. */

/* KeInitializeApc was found. */
#define APCLAB_ROUTINES_INITIALIZE_APC 1u
/* KeInsertQueueApc was found. */
#define APCLAB_ROUTINES_INSERT_QUEUE_APC 2u
/* All that are needed to queue APCs. */
#define APCLAB_ROUTINES_APC 3u
/* The machine beneath ends a deadlock: DEADLOCKS_END was found, which no Windows kernel exports. */
#define APCLAB_ROUTINES_DEADLOCKS_END 4u
/* The routines of push locks were found. */
#define APCLAB_ROUTINES_PUSH_LOCKS 8u

/* Bits of apclab_program_head.flags. */

/* Lanes may wait for each other for ever, or a lane for itself: the order of locks is not checked. Such
   a program runs only where somebody ends a deadlock, or POLLED. */
#define APCLAB_PROGRAM_MAY_DEADLOCK 1u
/* Waits for fast mutexes, guarded mutexes and resources are loops of tries, with the run's wait
   deadline. */
#define APCLAB_PROGRAM_POLLED 2u
/* All that there are. */
#define APCLAB_PROGRAM_ALL 3u

/* Operations of steps. */
enum apclab_op {
    /* KeEnterCriticalRegion. */
    APCLAB_OP_ENTER_CRITICAL = 1,
    /* KeLeaveCriticalRegion. */
    APCLAB_OP_LEAVE_CRITICAL = 2,
    /* KeEnterGuardedRegion. */
    APCLAB_OP_ENTER_GUARDED = 3,
    /* KeLeaveGuardedRegion. */
    APCLAB_OP_LEAVE_GUARDED = 4,
    /* Raises the IRQL to APC_LEVEL; the scope ends at Lower. */
    APCLAB_OP_RAISE_APC = 5,
    /* Lowers the IRQL to what it was before RaiseApc. */
    APCLAB_OP_LOWER = 6,
    /* KeAreApcsDisabled: 1 or 0. */
    APCLAB_OP_APCS_DISABLED = 7,
    /* KeAreAllApcsDisabled: 1 or 0. */
    APCLAB_OP_ALL_APCS_DISABLED = 8,
    /* KeGetCurrentIrql. */
    APCLAB_OP_IRQL = 9,
    /* Queues an APC; 1 when that was done, 0 when it was refused. A kernel APC: KeInsertQueueApc. A
       user APC: QueueUserAPC, QueueUserAPC2. A completion: the held request is completed; 0 when none
       is held. */
    APCLAB_OP_QUEUE = 10,
    /* How often an APC has run in this iteration. A normal APC has run once its normal routine has, a
       completion (once an iteration) when the event of its request has been signaled. */
    APCLAB_OP_RAN = 11,
    /* KeSetEvent. */
    APCLAB_OP_SET = 12,
    /* KeResetEvent. */
    APCLAB_OP_RESET = 13,
    /* KeWaitForMultipleObjects on the event and on the run's cancellation: kernel mode, not alertable,
       with the run's wait deadline. */
    APCLAB_OP_WAIT = 14,
    /* Waits until every lane has come to its barrier of the same number. */
    APCLAB_OP_BARRIER = 15,
    /* Stores a value in a variable (sequentially consistent). */
    APCLAB_OP_STORE = 16,
    /* Loads a variable (sequentially consistent). */
    APCLAB_OP_LOAD = 17,
    /* Like Wait, with a time-out of its own that is a result and no failure. */
    APCLAB_OP_WAIT_FOR = 18,
    /* ExAcquireFastMutex, KeAcquireGuardedMutex, a wait for a KMUTEX with the run's wait deadline, an
       acquire of a resource with Wait TRUE, an acquire of a push lock, or (in user mode)
       EnterCriticalSection. */
    APCLAB_OP_ACQUIRE = 19,
    /* ExReleaseFastMutex, KeReleaseGuardedMutex, KeReleaseMutex, ExReleaseResourceLite, the release of
       a push lock, or (in user mode) LeaveCriticalSection. */
    APCLAB_OP_RELEASE = 20,
    /* ExTryToAcquireFastMutex, KeTryToAcquireGuardedMutex, a wait for a KMUTEX with a time-out of its
       own, an acquire of a resource with Wait FALSE, or (in user mode) TryEnterCriticalSection. The
       block that follows, up to its End, runs only with the lock, and releases it. */
    APCLAB_OP_TRY = 21,
    /* Executes the block that follows, up to its End, so many times. */
    APCLAB_OP_REPEAT = 22,
    /* Ends the block of a Try, Repeat or Call. */
    APCLAB_OP_END = 23,
    /* ExEnterCriticalRegionAndAcquireResourceExclusive, ExEnterCriticalRegionAndAcquireResourceShared
       or ExEnterCriticalRegionAndAcquireSharedWaitForExclusive. */
    APCLAB_OP_ENTER_ACQUIRE = 24,
    /* ExReleaseResourceAndLeaveCriticalRegion. */
    APCLAB_OP_RELEASE_LEAVE = 25,
    /* ExConvertExclusiveToSharedLite. */
    APCLAB_OP_CONVERT = 26,
    /* ExReinitializeResourceLite. */
    APCLAB_OP_REINITIALIZE = 27,
    /* ExIsResourceAcquiredExclusiveLite: 1 or 0. */
    APCLAB_OP_ACQUIRED_EXCLUSIVE = 28,
    /* ExIsResourceAcquiredSharedLite: how often the thread holds the resource, in either mode. */
    APCLAB_OP_ACQUIRED_SHARED = 29,
    /* ExGetExclusiveWaiterCount, an estimate. */
    APCLAB_OP_EXCLUSIVE_WAITERS = 30,
    /* ExGetSharedWaiterCount, an estimate. */
    APCLAB_OP_SHARED_WAITERS = 31,
    /* ExSetResourceOwnerPointer: what the lane holds of the resource belongs to nobody's thread from
       now on, and whoever executes ReleaseFor releases it. What nobody has released is released when
       the iteration's lanes have ended. */
    APCLAB_OP_HAND_OVER = 32,
    /* ExReleaseResourceForThreadLite: releases once what a lane has handed over. */
    APCLAB_OP_RELEASE_FOR = 33,
    /* KeWaitForMultipleObjects on the event and on the run's cancellation, in a caller lane. */
    APCLAB_OP_WAIT_AS = 34,
    /* In a caller lane: executes the block that follows, up to its End, in kernel mode, as one system
       call. Everything else in such a lane is executed in user mode. */
    APCLAB_OP_CALL = 35,
    /* In user mode: SleepEx. */
    APCLAB_OP_SLEEP = 36,
    /* In user mode: starts the overlapped request whose completion the APC is, which the driver holds
       until somebody queues the APC. */
    APCLAB_OP_START = 37,
    /* In user mode: SuspendThread. */
    APCLAB_OP_SUSPEND = 38,
    /* In user mode: ResumeThread. */
    APCLAB_OP_RESUME = 39
};

/* Kinds of events. */
enum apclab_event_kind {
    /* Stays signaled until it is reset. */
    APCLAB_EVENT_KIND_NOTIFICATION = 0,
    /* Releases one waiter and resets itself. */
    APCLAB_EVENT_KIND_SYNCHRONIZATION = 1
};

/* Kinds of APCs. */
enum apclab_apc_kind {
    /* Runs its kernel routine at APC_LEVEL, also inside a critical region. */
    APCLAB_APC_KIND_SPECIAL = 0,
    /* Runs its normal routine at PASSIVE_LEVEL, never inside a region. */
    APCLAB_APC_KIND_NORMAL = 1,
    /* QueueUserAPC: runs in user mode, in or after an alertable wait. */
    APCLAB_APC_KIND_USER = 2,
    /* QueueUserAPC2 with QUEUE_USER_APC_FLAGS_SPECIAL_USER_APC: runs in user mode, whatever the thread
       does there. */
    APCLAB_APC_KIND_SPECIAL_USER = 3,
    /* What the I/O manager queues when an overlapped request is completed: a special kernel APC that
       signals the request's event. */
    APCLAB_APC_KIND_COMPLETION = 4
};

/* Kinds of locks. */
enum apclab_lock_kind {
    /* FAST_MUTEX: its holder is at APC_LEVEL; not recursive. */
    APCLAB_LOCK_KIND_FAST_MUTEX = 0,
    /* KGUARDED_MUTEX: as a fast mutex since Windows 8. */
    APCLAB_LOCK_KIND_GUARDED_MUTEX = 1,
    /* KMUTEX: its owner is as in a critical region, once whatever the recursion. */
    APCLAB_LOCK_KIND_MUTEX = 2,
    /* ERESOURCE: shared or exclusive, recursive; its holder has normal kernel APCs disabled. */
    APCLAB_LOCK_KIND_RESOURCE = 3,
    /* EX_PUSH_LOCK: shared or exclusive, not recursive; its holder has normal kernel APCs disabled. */
    APCLAB_LOCK_KIND_PUSH_LOCK = 4,
    /* CRITICAL_SECTION, in user mode: recursive, keeps no APC out. */
    APCLAB_LOCK_KIND_CRITICAL_SECTION = 5
};

/* How a lock is acquired: apclab_step.from of the steps that acquire. */
enum apclab_mode {
    /* ExAcquireResourceExclusiveLite, ExAcquirePushLockExclusive. */
    APCLAB_MODE_EXCLUSIVE = 0,
    /* ExAcquireResourceSharedLite, ExAcquirePushLockShared. */
    APCLAB_MODE_SHARED = 1,
    /* ExAcquireSharedStarveExclusive: passes those that wait for exclusive. */
    APCLAB_MODE_SHARED_STARVE_EXCLUSIVE = 2,
    /* ExAcquireSharedWaitForExclusive: queues behind those that wait for exclusive. */
    APCLAB_MODE_SHARED_WAIT_FOR_EXCLUSIVE = 3
};

/* How a caller lane waits: apclab_step.from of APCLAB_OP_WAIT_AS. */
enum apclab_wait_mode {
    /* WaitMode UserMode, Alertable FALSE: ends when the thread is terminated. */
    APCLAB_WAIT_MODE_USER = 1,
    /* WaitMode KernelMode, Alertable TRUE. */
    APCLAB_WAIT_MODE_KERNEL_ALERTABLE = 2,
    /* WaitMode UserMode, Alertable TRUE: ends when a user APC is there. */
    APCLAB_WAIT_MODE_USER_ALERTABLE = 3
};

/* How a wait or a sleep of a caller lane ended. */

/* The time-out passed. */
#define APCLAB_ANSWER_TIMED_OUT 0u
/* The object was signaled. */
#define APCLAB_ANSWER_SIGNALED 1u
/* A user APC ended it: STATUS_USER_APC, or WAIT_IO_COMPLETION in user mode. */
#define APCLAB_ANSWER_USER_APC 2u
/* It was alerted: STATUS_ALERTED. */
#define APCLAB_ANSWER_ALERTED 3u

/* What an observed value is. */
enum apclab_observed_kind {
    /* The final value of a register. */
    APCLAB_OBSERVED_KIND_REGISTER = 0,
    /* The final value of a variable. */
    APCLAB_OBSERVED_KIND_VARIABLE = 1,
    /* The final value of a register of an APC's body. */
    APCLAB_OBSERVED_KIND_APC_REGISTER = 2
};

/* Why bytes are no program: apclab_load_reply.reason with APCLAB_STATUS_MALFORMED_PROGRAM. */
enum apclab_malformed {
    /* It does not begin with MAGIC. */
    APCLAB_MALFORMED_MAGIC = 1,
    /* Its format is not FORMAT. */
    APCLAB_MALFORMED_FORMAT = 2,
    /* It ends too early, or its length field is not the length of the bytes. */
    APCLAB_MALFORMED_LENGTH = 3,
    /* A table is larger than its limit in limits, or there is no lane. */
    APCLAB_MALFORMED_LIMIT = 4,
    /* A reserved field is not zero. */
    APCLAB_MALFORMED_RESERVED = 5,
    /* The kind of an event, APC or observed value is unknown. */
    APCLAB_MALFORMED_KIND = 6,
    /* A lane, register or variable that is named does not exist. */
    APCLAB_MALFORMED_INDEX = 7,
    /* The operation of a step is unknown. */
    APCLAB_MALFORMED_OPERATION = 8,
    /* A register of a step is missing or too large. */
    APCLAB_MALFORMED_REGISTER = 9,
    /* A field that the step does not use is not zero. */
    APCLAB_MALFORMED_UNUSED = 10,
    /* A time-out or a count of a step is out of its range. */
    APCLAB_MALFORMED_RANGE = 11,
    /* The step, or the mode in which it acquires, is not for that kind of lock. */
    APCLAB_MALFORMED_LOCK = 12
};

/* Why a program is refused: apclab_load_reply.reason with APCLAB_STATUS_REFUSED. */
enum apclab_reason {
    /* A leave, lower, release or end without anything open that it would end. */
    APCLAB_REASON_NOTHING_TO_LEAVE = 100,
    /* A leave, lower, release or end that would end another scope than the innermost open one. */
    APCLAB_REASON_NOT_INNERMOST = 101,
    /* The lane or body ends with something still open. */
    APCLAB_REASON_LEFT_OPEN = 102,
    /* More regions open at the same time than APCLAB_MAX_NESTING. */
    APCLAB_REASON_TOO_DEEP = 103,
    /* A raise at APC_LEVEL. */
    APCLAB_REASON_RAISED_TWICE = 104,
    /* A barrier, or a wait that has to end by itself, at APC_LEVEL: the lane would hold up the APCs
       that others wait for. */
    APCLAB_REASON_BLOCKS_AT_APC_LEVEL = 105,
    /* The lanes have different numbers of barriers. */
    APCLAB_REASON_UNEQUAL_BARRIERS = 106,
    /* The program queues APCs, and KeInitializeApc or KeInsertQueueApc was not found. */
    APCLAB_REASON_NO_APC_ROUTINES = 107,
    /* A lock that the lane holds is acquired again, and is not recursive. */
    APCLAB_REASON_HELD_ALREADY = 108,
    /* A lock is acquired without a time-out while one of the same or of a higher index is held: two
       lanes could wait for each other. */
    APCLAB_REASON_LOCK_ORDER = 109,
    /* More locks, raises and blocks open at the same time than APCLAB_MAX_SCOPES. */
    APCLAB_REASON_TOO_MANY_SCOPES = 110,
    /* A block ends with other regions open, or other locks held, than it began with. */
    APCLAB_REASON_UNBALANCED_BLOCK = 111,
    /* The lane executes more steps than APCLAB_MAX_EXECUTED_STEPS. */
    APCLAB_REASON_TOO_LONG = 112,
    /* A step that an APC's body may not have: it could block, or change the IRQL. */
    APCLAB_REASON_NOT_IN_A_BODY = 113,
    /* An APC's body queues an APC that is declared no later: bodies could queue each other for ever. */
    APCLAB_REASON_QUEUES_BACKWARDS = 114,
    /* A resource or a push lock is acquired, held on or released where normal kernel APCs are enabled. */
    APCLAB_REASON_NEEDS_REGION = 115,
    /* An acquire that waits for the lane itself: exclusive, or shared behind those that wait for
       exclusive, of a resource that the lane shares. */
    APCLAB_REASON_WAITS_FOR_ITSELF = 116,
    /* A convert of a resource that the lane does not hold exclusively. */
    APCLAB_REASON_NOT_EXCLUSIVE = 117,
    /* A reinitialise of a resource that is held, or that another lane names. */
    APCLAB_REASON_IN_USE = 118,
    /* A wait for a resource that some lane hands over: no lane might be left that releases it. */
    APCLAB_REASON_HANDED_OVER = 119,
    /* A lane hands a resource over for the second time. */
    APCLAB_REASON_HANDED_OVER_TWICE = 120,
    /* The program says that it may deadlock, and nothing here would end a deadlock. */
    APCLAB_REASON_MAY_DEADLOCK = 121,
    /* The program acquires a push lock, and its routines were not found. */
    APCLAB_REASON_NO_PUSH_LOCKS = 122,
    /* A step of kernel mode outside of every call of a caller lane. */
    APCLAB_REASON_NEEDS_CALL = 123,
    /* A step of user mode inside a call. */
    APCLAB_REASON_USER_MODE_ONLY = 124,
    /* A step that only a caller lane may have. */
    APCLAB_REASON_CALLER_ONLY = 125,
    /* A step after an alertable wait, in the same call, that could keep the thread from returning to
       user mode. */
    APCLAB_REASON_AFTER_ALERTABLE_WAIT = 126,
    /* A step that a call may not have: the run may end while the thread is suspended in it. */
    APCLAB_REASON_NOT_IN_A_CALL = 127,
    /* A lane starts the request of a completion for the second time. */
    APCLAB_REASON_STARTED_TWICE = 128
};

/* How a run ended. */
enum apclab_ended {
    /* After all its iterations. */
    APCLAB_ENDED_COMPLETE = 0,
    /* At its deadline, with fewer iterations. */
    APCLAB_ENDED_DEADLINE = 1
};

/* What a trace record says. */
enum apclab_trace_kind {
    /* The lane begins the iteration. */
    APCLAB_TRACE_KIND_BEGIN = 1,
    /* A step is about to be executed. */
    APCLAB_TRACE_KIND_STEP = 2,
    /* A step is done; value is what it answered, if anything. */
    APCLAB_TRACE_KIND_DONE = 3,
    /* An APC was inserted (value 1) or refused (value 0) by the queue step of this lane. */
    APCLAB_TRACE_KIND_INSERTED = 4,
    /* An APC's kernel routine runs in this lane's thread. */
    APCLAB_TRACE_KIND_KERNEL_ROUTINE = 5,
    /* An APC's normal routine runs in this lane's thread. */
    APCLAB_TRACE_KIND_NORMAL_ROUTINE = 6,
    /* A wait hit its deadline, and the lane gives the iteration up. */
    APCLAB_TRACE_KIND_TIMED_OUT = 7,
    /* The lane has finished and parks. */
    APCLAB_TRACE_KIND_END = 8,
    /* The lock of the step has been acquired. What a step acquires, it is Done with only when the scope
       has ended, where the scope is one call of the interpreter. */
    APCLAB_TRACE_KIND_ACQUIRED = 9
};

/* The device, for CreateFileA and CreateFileW. */
#define APCLAB_WIN32_PATH "\\\\.\\apclab"
#define APCLAB_WIN32_PATH_W L"\\\\.\\apclab"
/* The device interface class, as the initializer of a GUID. */
#define APCLAB_INTERFACE_GUID_INIT \
    { 0x6C1D8A52, 0x3F0B, 0x4E37, { 0x9D, 0x6E, 0xA4, 0x1C, 0x0B, 0x7E, 0x25, 0xF1 } }

/* A context: both predicates and the IRQL in one byte. */
#define APCLAB_CONTEXT_APCS_DISABLED(context) ((context) & 1u)
#define APCLAB_CONTEXT_ALL_APCS_DISABLED(context) ((context) >> 1 & 1u)
#define APCLAB_CONTEXT_IRQL(context) ((context) >> 4 & 15u)

/* Bytes of one outcome with so many observed values in a histogram. */
#define APCLAB_OUTCOME_SIZE(width) (8u + 8u * (width))

/* Begins every request. QUERY and CANCEL are the header alone; LOAD is the header and a program. */
typedef struct apclab_header {
    uint16_t version; /* APCLAB_VERSION. */
    uint8_t reserved0[2]; /* Zero. */
    uint32_t length; /* Of the whole request in bytes, a multiple of 8. */
    uint32_t session; /* The session; 0 in QUERY, and in LOAD for a new one. */
    uint8_t reserved1[4]; /* Zero. */
} apclab_header;
APCLAB_ASSERT(sizeof(struct apclab_header) == 16);
APCLAB_ASSERT(offsetof(struct apclab_header, version) == 0);
APCLAB_ASSERT(offsetof(struct apclab_header, reserved0) == 2);
APCLAB_ASSERT(offsetof(struct apclab_header, length) == 4);
APCLAB_ASSERT(offsetof(struct apclab_header, session) == 8);
APCLAB_ASSERT(offsetof(struct apclab_header, reserved1) == 12);

/* Reply to QUERY. */
typedef struct apclab_query_reply {
    uint16_t version; /* APCLAB_VERSION of the driver. */
    uint8_t dispatch; /* In which context the request was dispatched: APCLAB_CONTEXT_*. */
    uint8_t reserved0[1]; /* Zero. */
    uint32_t size; /* Of this reply in bytes. */
    uint32_t driver[3]; /* Major, minor, patch. */
    uint32_t routines; /* Routines found: APCLAB_ROUTINES_*. */
    uint32_t kernel[3]; /* Major, minor, build. */
    uint32_t processors; /* Active processors. */
    uint32_t sessions; /* Sessions open on the device. */
    uint8_t reserved1[4]; /* Zero. */
    uint32_t lanes; /* Limits, as the driver was built. */
    uint32_t registers;
    uint32_t variables;
    uint32_t events;
    uint32_t apcs;
    uint32_t observed;
    uint32_t steps_per_lane;
    uint32_t nesting;
    uint32_t outcomes;
    uint32_t trace_records_per_lane;
} apclab_query_reply;
APCLAB_ASSERT(sizeof(struct apclab_query_reply) == 88);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, version) == 0);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, dispatch) == 2);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, reserved0) == 3);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, size) == 4);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, driver) == 8);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, routines) == 20);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, kernel) == 24);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, processors) == 36);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, sessions) == 40);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, reserved1) == 44);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, lanes) == 48);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, registers) == 52);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, variables) == 56);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, events) == 60);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, apcs) == 64);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, observed) == 68);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, steps_per_lane) == 72);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, nesting) == 76);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, outcomes) == 80);
APCLAB_ASSERT(offsetof(struct apclab_query_reply, trace_records_per_lane) == 84);

/* Reply to LOAD, also with APCLAB_STATUS_MALFORMED_PROGRAM, _REFUSED and _NO_APC_ROUTINES. */
typedef struct apclab_load_reply {
    uint32_t session; /* Holds the program; 0 when a new session's was refused. */
    uint32_t reason; /* 0, or enum apclab_reason, or enum apclab_malformed. */
    uint32_t lane; /* A lane, 256 + an APC for its body, or APCLAB_NONE. */
    uint32_t step; /* A step there, or APCLAB_NONE. */
    uint32_t offset; /* A byte of the program, or APCLAB_NONE. */
    uint32_t observed; /* Values in each outcome. */
    uint8_t reserved0[8]; /* Zero. */
} apclab_load_reply;
APCLAB_ASSERT(sizeof(struct apclab_load_reply) == 32);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, session) == 0);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, reason) == 4);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, lane) == 8);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, step) == 12);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, offset) == 16);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, observed) == 20);
APCLAB_ASSERT(offsetof(struct apclab_load_reply, reserved0) == 24);

/* Follows the header in RUN. */
typedef struct apclab_run_request {
    uint32_t iterations; /* 1 to APCLAB_MAX_ITERATIONS. */
    uint32_t deadline_ms; /* Of the whole run, 1 to APCLAB_MAX_RUN_DEADLINE_MS. */
    uint32_t wait_deadline_ms; /* Of each wait, 1 to APCLAB_MAX_WAIT_DEADLINE_MS. */
    uint32_t trace_iteration; /* The iteration to trace, from 1; 0 for none. */
    uint64_t seed; /* Of the random delays. */
    uint32_t delay_us; /* The longest random delay before a step, in microseconds; 0 for none. */
    uint8_t reserved0[4]; /* Zero. */
} apclab_run_request;
APCLAB_ASSERT(sizeof(struct apclab_run_request) == 32);
APCLAB_ASSERT(offsetof(struct apclab_run_request, iterations) == 0);
APCLAB_ASSERT(offsetof(struct apclab_run_request, deadline_ms) == 4);
APCLAB_ASSERT(offsetof(struct apclab_run_request, wait_deadline_ms) == 8);
APCLAB_ASSERT(offsetof(struct apclab_run_request, trace_iteration) == 12);
APCLAB_ASSERT(offsetof(struct apclab_run_request, seed) == 16);
APCLAB_ASSERT(offsetof(struct apclab_run_request, delay_us) == 24);
APCLAB_ASSERT(offsetof(struct apclab_run_request, reserved0) == 28);

/* Reply to RUN. With APCLAB_STATUS_BASELINE_DISABLED only baseline and processors say anything. */
typedef struct apclab_run_reply {
    uint32_t ended; /* enum apclab_ended. */
    uint32_t iterations; /* Done, with those that timed out. */
    uint32_t timed_out; /* Hit a wait's deadline; they are in no outcome. */
    uint32_t overflow; /* Whose outcome found no place in the histogram. */
    uint32_t outcomes; /* Different outcomes. */
    uint32_t trace_records; /* Trace records kept. */
    uint32_t trace_lost; /* Trace records lost for want of room. */
    uint32_t processors; /* Active processors. */
    uint64_t elapsed_100ns; /* Time of the run in units of 100 ns. */
    uint8_t baseline[6]; /* Each lane's context when its thread began: APCLAB_CONTEXT_*. */
    uint8_t reserved0[2]; /* Zero. */
    uint32_t missed_overlaps; /* Barriers at which a lane came too late. */
    uint8_t reserved1[4]; /* Zero. */
} apclab_run_reply;
APCLAB_ASSERT(sizeof(struct apclab_run_reply) == 56);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, ended) == 0);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, iterations) == 4);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, timed_out) == 8);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, overflow) == 12);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, outcomes) == 16);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, trace_records) == 20);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, trace_lost) == 24);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, processors) == 28);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, elapsed_100ns) == 32);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, baseline) == 40);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, reserved0) == 46);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, missed_overlaps) == 48);
APCLAB_ASSERT(offsetof(struct apclab_run_reply, reserved1) == 52);

/* Follows the header in CALL. */
typedef struct apclab_call_request {
    uint32_t lane; /* The caller lane. */
    uint32_t step; /* The call step, or APCLAB_NONE when the lane is done. */
    int64_t registers[16]; /* The lane's, before the block or at its end. */
} apclab_call_request;
APCLAB_ASSERT(sizeof(struct apclab_call_request) == 136);
APCLAB_ASSERT(offsetof(struct apclab_call_request, lane) == 0);
APCLAB_ASSERT(offsetof(struct apclab_call_request, step) == 4);
APCLAB_ASSERT(offsetof(struct apclab_call_request, registers) == 8);

/* Reply to CALL. */
typedef struct apclab_call_reply {
    uint32_t halted; /* 1 when the iteration is given up, else 0. */
    uint8_t context; /* In which the driver was called: APCLAB_CONTEXT_*. */
    uint8_t reserved0[3]; /* Zero. */
    int64_t registers[16]; /* The lane's, after the block. */
} apclab_call_reply;
APCLAB_ASSERT(sizeof(struct apclab_call_reply) == 136);
APCLAB_ASSERT(offsetof(struct apclab_call_reply, halted) == 0);
APCLAB_ASSERT(offsetof(struct apclab_call_reply, context) == 4);
APCLAB_ASSERT(offsetof(struct apclab_call_reply, reserved0) == 5);
APCLAB_ASSERT(offsetof(struct apclab_call_reply, registers) == 8);

/* Follows the header in HOLD, which has no reply. */
typedef struct apclab_hold_request {
    uint32_t apc; /* The completion. */
    uint8_t reserved0[4]; /* Zero. */
    uint64_t event; /* Handle of the event in OVERLAPPED. */
} apclab_hold_request;
APCLAB_ASSERT(sizeof(struct apclab_hold_request) == 16);
APCLAB_ASSERT(offsetof(struct apclab_hold_request, apc) == 0);
APCLAB_ASSERT(offsetof(struct apclab_hold_request, reserved0) == 4);
APCLAB_ASSERT(offsetof(struct apclab_hold_request, event) == 8);

/* Follows the header in HISTOGRAM and TRACE. */
typedef struct apclab_page_request {
    uint32_t first; /* The first entry wanted, counted from 0. */
    uint8_t reserved0[4]; /* Zero. */
} apclab_page_request;
APCLAB_ASSERT(sizeof(struct apclab_page_request) == 8);
APCLAB_ASSERT(offsetof(struct apclab_page_request, first) == 0);
APCLAB_ASSERT(offsetof(struct apclab_page_request, reserved0) == 4);

/* Head of the reply to HISTOGRAM. The outcomes follow, each of APCLAB_OUTCOME_SIZE(width) bytes: a
   count, uint64_t, and the observed values, int64_t each, in the program's order. */
typedef struct apclab_histogram_reply {
    uint32_t total; /* Outcomes in the histogram. */
    uint32_t returned; /* Outcomes in this reply. */
    uint32_t width; /* Values in each outcome. */
    uint8_t reserved0[4]; /* Zero. */
} apclab_histogram_reply;
APCLAB_ASSERT(sizeof(struct apclab_histogram_reply) == 16);
APCLAB_ASSERT(offsetof(struct apclab_histogram_reply, total) == 0);
APCLAB_ASSERT(offsetof(struct apclab_histogram_reply, returned) == 4);
APCLAB_ASSERT(offsetof(struct apclab_histogram_reply, width) == 8);
APCLAB_ASSERT(offsetof(struct apclab_histogram_reply, reserved0) == 12);

/* Head of the reply to TRACE. The records follow, lane after lane. */
typedef struct apclab_trace_reply {
    uint32_t total; /* Records kept. */
    uint32_t returned; /* Records in this reply. */
    uint64_t frequency; /* Ticks in a second. */
} apclab_trace_reply;
APCLAB_ASSERT(sizeof(struct apclab_trace_reply) == 16);
APCLAB_ASSERT(offsetof(struct apclab_trace_reply, total) == 0);
APCLAB_ASSERT(offsetof(struct apclab_trace_reply, returned) == 4);
APCLAB_ASSERT(offsetof(struct apclab_trace_reply, frequency) == 8);

/* One record of a trace. */
typedef struct apclab_trace_record {
    uint64_t time; /* Performance counter, ticks. */
    uint32_t sequence; /* Place in the order of all lanes' records. */
    uint32_t step; /* Or APCLAB_NO_STEP. */
    uint8_t lane; /* In whose thread it happened. */
    uint8_t kind; /* enum apclab_trace_kind. */
    uint8_t apc; /* Or APCLAB_NO_APC. */
    uint8_t context; /* In which it happened: APCLAB_CONTEXT_*. */
    uint8_t reserved0[4]; /* Zero. */
    int64_t value; /* What the step answered. */
} apclab_trace_record;
APCLAB_ASSERT(sizeof(struct apclab_trace_record) == 32);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, time) == 0);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, sequence) == 8);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, step) == 12);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, lane) == 16);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, kind) == 17);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, apc) == 18);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, context) == 19);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, reserved0) == 20);
APCLAB_ASSERT(offsetof(struct apclab_trace_record, value) == 24);

/* Begins a program. Its tables follow, of 8-byte entries: initial values of the variables (int64_t),
   events, APCs, locks, observed values; then the steps, lane after lane and then APC after APC. */
typedef struct apclab_program_head {
    uint32_t magic; /* APCLAB_PROGRAM_MAGIC. */
    uint16_t format; /* APCLAB_PROGRAM_FORMAT. */
    uint8_t lanes; /* Lanes. */
    uint8_t variables; /* Variables. */
    uint8_t events; /* Events. */
    uint8_t apcs; /* APCs. */
    uint8_t observed; /* Observed values. */
    uint8_t locks; /* Locks. */
    uint32_t length; /* Of the whole program in bytes. */
    uint32_t steps[6]; /* Steps of each lane; 0 past the last. */
    uint8_t raw; /* Bit i is set when lane i is raw. */
    uint8_t flags; /* APCLAB_PROGRAM_MAY_DEADLOCK, _POLLED. */
    uint8_t callers; /* Bit i is set when lane i runs in a thread of user mode. */
    uint8_t reserved0[5]; /* Zero. */
} apclab_program_head;
APCLAB_ASSERT(sizeof(struct apclab_program_head) == 48);
APCLAB_ASSERT(offsetof(struct apclab_program_head, magic) == 0);
APCLAB_ASSERT(offsetof(struct apclab_program_head, format) == 4);
APCLAB_ASSERT(offsetof(struct apclab_program_head, lanes) == 6);
APCLAB_ASSERT(offsetof(struct apclab_program_head, variables) == 7);
APCLAB_ASSERT(offsetof(struct apclab_program_head, events) == 8);
APCLAB_ASSERT(offsetof(struct apclab_program_head, apcs) == 9);
APCLAB_ASSERT(offsetof(struct apclab_program_head, observed) == 10);
APCLAB_ASSERT(offsetof(struct apclab_program_head, locks) == 11);
APCLAB_ASSERT(offsetof(struct apclab_program_head, length) == 12);
APCLAB_ASSERT(offsetof(struct apclab_program_head, steps) == 16);
APCLAB_ASSERT(offsetof(struct apclab_program_head, raw) == 40);
APCLAB_ASSERT(offsetof(struct apclab_program_head, flags) == 41);
APCLAB_ASSERT(offsetof(struct apclab_program_head, callers) == 42);
APCLAB_ASSERT(offsetof(struct apclab_program_head, reserved0) == 43);

/* An event in a program. */
typedef struct apclab_event {
    uint8_t kind; /* enum apclab_event_kind. */
    uint8_t signaled; /* Whether it begins signaled. */
    uint8_t reserved0[6]; /* Zero. */
} apclab_event;
APCLAB_ASSERT(sizeof(struct apclab_event) == 8);
APCLAB_ASSERT(offsetof(struct apclab_event, kind) == 0);
APCLAB_ASSERT(offsetof(struct apclab_event, signaled) == 1);
APCLAB_ASSERT(offsetof(struct apclab_event, reserved0) == 2);

/* An APC in a program. */
typedef struct apclab_apc {
    uint8_t kind; /* enum apclab_apc_kind. */
    uint8_t lane; /* In whose thread it runs. */
    uint8_t reserved0[2]; /* Zero. */
    uint32_t body_steps; /* Steps of its body. */
} apclab_apc;
APCLAB_ASSERT(sizeof(struct apclab_apc) == 8);
APCLAB_ASSERT(offsetof(struct apclab_apc, kind) == 0);
APCLAB_ASSERT(offsetof(struct apclab_apc, lane) == 1);
APCLAB_ASSERT(offsetof(struct apclab_apc, reserved0) == 2);
APCLAB_ASSERT(offsetof(struct apclab_apc, body_steps) == 4);

/* A lock in a program. */
typedef struct apclab_lock {
    uint8_t kind; /* enum apclab_lock_kind. */
    uint8_t reserved0[7]; /* Zero. */
} apclab_lock;
APCLAB_ASSERT(sizeof(struct apclab_lock) == 8);
APCLAB_ASSERT(offsetof(struct apclab_lock, kind) == 0);
APCLAB_ASSERT(offsetof(struct apclab_lock, reserved0) == 1);

/* An observed value in a program. */
typedef struct apclab_observed {
    uint8_t kind; /* enum apclab_observed_kind. */
    uint8_t owner; /* The lane or the APC whose register it is, or 0. */
    uint8_t index; /* The register or the variable. */
    uint8_t reserved0[5]; /* Zero. */
} apclab_observed;
APCLAB_ASSERT(sizeof(struct apclab_observed) == 8);
APCLAB_ASSERT(offsetof(struct apclab_observed, kind) == 0);
APCLAB_ASSERT(offsetof(struct apclab_observed, owner) == 1);
APCLAB_ASSERT(offsetof(struct apclab_observed, index) == 2);
APCLAB_ASSERT(offsetof(struct apclab_observed, reserved0) == 3);

/* A step of a lane or of an APC's body. */
typedef struct apclab_step {
    uint8_t op; /* enum apclab_op. */
    uint8_t to; /* Destination register, or APCLAB_NO_REGISTER. */
    uint8_t index; /* Of the variable, event, APC or lock, or 0. */
    uint8_t from; /* Source register, enum apclab_mode, enum apclab_wait_mode, or lane; or APCLAB_NO_REGISTER. */
    uint32_t length; /* Steps in the block that it begins, or 0. */
    int64_t constant; /* A constant, a time-out in ms, or a count. */
} apclab_step;
APCLAB_ASSERT(sizeof(struct apclab_step) == 16);
APCLAB_ASSERT(offsetof(struct apclab_step, op) == 0);
APCLAB_ASSERT(offsetof(struct apclab_step, to) == 1);
APCLAB_ASSERT(offsetof(struct apclab_step, index) == 2);
APCLAB_ASSERT(offsetof(struct apclab_step, from) == 3);
APCLAB_ASSERT(offsetof(struct apclab_step, length) == 4);
APCLAB_ASSERT(offsetof(struct apclab_step, constant) == 8);

#ifdef __cplusplus
}
#endif

#endif
