//! What ran the programs, as JSON.

use apclab_client::target::DriverInfo;
use apclab_client::{Info, Surroundings};
use apclab_protocol::message::{Context, Limits, routines};
use serde::{Deserialize, Serialize};

/// What ran the programs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TargetReport {
    pub(crate) name: String,
    description: String,
    apc_routines: RoutinesReport,
    limits: LimitsReport,
    pub(crate) driver: Option<DriverReport>,
    /// What results depend on besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) surroundings: Option<Surroundings>,
}

impl TargetReport {
    pub(crate) fn of(name: &str, info: &Info) -> Self {
        Self {
            name: name.to_owned(),
            description: info.description.clone(),
            apc_routines: RoutinesReport::of(info.apc_routines),
            limits: LimitsReport::of(&info.limits),
            driver: info.driver.as_ref().map(DriverReport::of),
            surroundings: info.surroundings.clone(),
        }
    }
}

/// Which of the optional routines the kernel offers.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a field of its own in the document"
)]
#[derive(Debug, Serialize, Deserialize)]
struct RoutinesReport {
    #[serde(rename = "KeInitializeApc")]
    initialize_apc: bool,
    #[serde(rename = "KeInsertQueueApc")]
    insert_queue_apc: bool,
    push_locks: bool,
    /// Whether somebody ends a deadlock.
    deadlocks_end: bool,
}

impl RoutinesReport {
    const fn of(bits: u32) -> Self {
        Self {
            initialize_apc: bits & routines::INITIALIZE_APC != 0,
            insert_queue_apc: bits & routines::INSERT_QUEUE_APC != 0,
            push_locks: bits & routines::PUSH_LOCKS != 0,
            deadlocks_end: bits & routines::DEADLOCKS_END != 0,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct LimitsReport {
    lanes: u32,
    registers: u32,
    variables: u32,
    events: u32,
    apcs: u32,
    observed: u32,
    steps_per_lane: u32,
    nesting: u32,
    outcomes: u32,
    trace_records_per_lane: u32,
}

impl LimitsReport {
    const fn of(limits: &Limits) -> Self {
        Self {
            lanes: limits.lanes,
            registers: limits.registers,
            variables: limits.variables,
            events: limits.events,
            apcs: limits.apcs,
            observed: limits.observed,
            steps_per_lane: limits.steps_per_lane,
            nesting: limits.nesting,
            outcomes: limits.outcomes,
            trace_records_per_lane: limits.trace_records_per_lane,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DriverReport {
    path: Option<String>,
    version: [u32; 3],
    pub(crate) kernel: [u32; 3],
    processors: u32,
    sessions: u32,
    dispatch: ContextReport,
}

impl DriverReport {
    fn of(driver: &DriverInfo) -> Self {
        Self {
            path: driver.path.as_ref().map(|path| path.display().to_string()),
            version: driver.version,
            kernel: driver.kernel,
            processors: driver.processors,
            sessions: driver.sessions,
            dispatch: ContextReport::of(driver.dispatch),
        }
    }
}

/// Both predicates and the IRQL at one moment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ContextReport {
    #[serde(rename = "KeAreApcsDisabled")]
    apcs_disabled: bool,
    #[serde(rename = "KeAreAllApcsDisabled")]
    all_apcs_disabled: bool,
    irql: u8,
}

impl ContextReport {
    pub(crate) const fn of(context: Context) -> Self {
        Self {
            apcs_disabled: context.apcs_disabled,
            all_apcs_disabled: context.all_apcs_disabled,
            irql: context.irql,
        }
    }
}
