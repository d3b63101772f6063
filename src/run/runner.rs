//! A run's own thread: makes the lanes, waits for them, reports, completes the request.
//!
//! The request is cancelable from `begin` until the report. Its context then owns the run's control,
//! which is all that the cancel callback touches, at up to DISPATCH_LEVEL.
#![allow(
    unsafe_code,
    reason = "passes an ownership through the request, and binds APCs"
)]

use alloc::vec::Vec;
use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use apclab_guards::Passive;
use apclab_protocol::limits;
use apclab_protocol::message::{Reply, RunRequest};
use apclab_protocol::status::{
    BASELINE_DISABLED, CANCELLED, INSUFFICIENT_RESOURCES, INVALID_PARAMETER, NtStatus, SUCCESS,
    is_error,
};
use wdk_sys::WDFREQUEST;

use super::control::Control;
use super::lane::Lane;
use super::program::Loaded;
use super::state::Run;
use crate::device::Device;
use crate::nt::memory::Shared;
use crate::nt::system;
use crate::nt::thread::{self, Held, Main, Thread};
use crate::nt::try_lock::TryLock;
use crate::wdf::context::{self, RequestContext};
use crate::wdf::request::Request;

/// The request of a run, where its reply goes, and the run.
struct Work {
    request: Request,
    output_length: usize,
    run: Shared<Run>,
}

/// What the runner's thread works with.
pub(crate) struct Runner {
    device: Shared<Device>,
    session: u32,
    /// Given when nothing can fail any more.
    work: TryLock<Option<Work>>,
}

/// What a run is begun with.
pub(crate) struct Order {
    /// Its bounds.
    pub(crate) request: RunRequest,
    /// Size of the request's output buffer in bytes.
    pub(crate) output_length: usize,
    /// The session that it runs in.
    pub(crate) session: u32,
}

/// Begins a run: makes its state and its thread, and makes the request cancelable. On success the
/// request is taken out of `request`: the thread completes it.
///
/// # Errors
/// [`INVALID_PARAMETER`] when the bounds are none for a program with caller lanes,
/// `STATUS_INSUFFICIENT_RESOURCES`, [`CANCELLED`] when the request was cancelled already, and what
/// making the thread failed with. The request is still the caller's then.
pub(crate) fn begin(
    device: &Shared<Device>,
    program: &Shared<Loaded>,
    order: &Order,
    request: &mut Option<Request>,
    irql: &Passive,
) -> Result<(Shared<Run>, Thread), NtStatus> {
    let bounds = &order.request;
    if program.has_callers
        && (bounds.iterations != 1 || bounds.wait_deadline_ms > limits::CALLER_WAIT_DEADLINE_MS)
    {
        return Err(INVALID_PARAMETER);
    }
    let control = Shared::try_new(Control::try_new()?)?;
    let mut run = Run::try_new(
        program.clone(),
        order.request,
        control.clone(),
        system::processors(),
    )?;
    run.apcs.set_routines(device.routines.apc);
    let run = Shared::try_new(run)?;
    let runner = Runner {
        device: device.clone(),
        session: order.session,
        work: TryLock::new(None),
    };
    let held = thread::create(runner, irql)?;
    let owned = request.take().ok_or(INSUFFICIENT_RESOURCES)?;
    if let Err(status) = make_cancelable(&owned, &control) {
        *request = Some(owned);
        return Err(status);
    }
    let work = Work {
        request: owned,
        output_length: order.output_length,
        run: run.clone(),
    };
    held.main().work.with(|place| *place = Some(work));
    held.run()
        .map(|thread| (run, thread))
        .ok_or(INSUFFICIENT_RESOURCES)
}

fn make_cancelable(request: &Request, control: &Shared<Control>) -> Result<(), NtStatus> {
    let context = request.context().ok_or(INSUFFICIENT_RESOURCES)?;
    context
        .control
        .store(control.clone().into_raw(), Ordering::Release);
    request
        .mark_cancelable(cancel_run)
        .inspect_err(|_| drop(take_control(context)))
}

/// Takes back the ownership that `make_cancelable` gave to the request's context.
fn take_control(context: &RequestContext) -> Option<Shared<Control>> {
    let raw = context.control.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: the context owned one `Shared<Control>`, and the swap lets one caller have it.
    unsafe { Shared::from_raw(raw) }
}

/// `EvtRequestCancel`. IRQL <= DISPATCH_LEVEL: it sets events, nothing else.
unsafe extern "C" fn cancel_run(request: WDFREQUEST) {
    // SAFETY: the framework keeps the request across the callback; it has a RequestContext.
    let Some(context) = (unsafe { context::of::<RequestContext>(request) }) else {
        return;
    };
    let raw = context.control.load(Ordering::Acquire);
    // SAFETY: the context owns the control until the runner has seen `callback_ran`; this borrows
    // that ownership and gives it back.
    let Some(owner) = (unsafe { Shared::<Control>::from_raw(raw) }) else {
        return;
    };
    let control = owner.clone();
    let _ = owner.into_raw();
    control.cancel();
    // From here on the request may be completed; only `control` is touched any more.
    control.callback_ran();
}

/// Runs all iterations: one thread a lane, all of them joined.
fn run_lanes(run: &Shared<Run>, irql: &Passive) -> Result<(), NtStatus> {
    let mut held: Vec<Held<Lane>> = Vec::new();
    let mut threads: Vec<Thread> = Vec::new();
    let lanes = run.program.lanes.len();
    held.try_reserve_exact(lanes)
        .map_err(|_| INSUFFICIENT_RESOURCES)?;
    threads
        .try_reserve_exact(lanes)
        .map_err(|_| INSUFFICIENT_RESOURCES)?;
    for lane in 0..lanes {
        // When one cannot be had, those before it end without having begun.
        held.push(thread::create(Lane::try_new(run, lane)?, irql)?);
    }
    // SAFETY: the run is shared and does not move; `held` keeps the threads referenced, and after it
    // `threads`; no lane has begun.
    unsafe {
        run.apcs
            .bind(run, |lane| held.get(lane).map_or(null_mut(), Held::object));
    }
    threads.extend(held.into_iter().filter_map(Held::run));
    run.watch_callers(irql);
    drop(threads);
    Ok(())
}

impl Runner {
    fn finish(&self, work: Work, status: NtStatus, irql: &mut Passive) {
        let Work {
            request,
            output_length,
            run,
        } = work;
        let reply = run.reply();
        let keep = (status == SUCCESS || status == CANCELLED).then(|| run.clone());
        self.device.sessions.report(self.session, keep, irql);
        if !request.unmark_cancelable() {
            run.control.await_callback(irql);
        }
        drop(request.context().and_then(take_control));
        let (status, written) = if is_error(status) {
            (status, 0)
        } else {
            match request.with_output(output_length, |output| reply.encode(output)) {
                Ok(written) => (status, written),
                Err(error) => (error, 0),
            }
        };
        request.complete(status, written);
    }
}

impl Main for Runner {
    fn main(&self, mut irql: Passive) {
        let Some(work) = self.work.with(Option::take).flatten() else {
            return;
        };
        let ended = run_lanes(&work.run, &irql);
        // Lanes that could not be had, or that may not run, have ended no iteration.
        work.run.close();
        let status = match ended {
            Err(status) => status,
            Ok(()) if work.run.control.cancelled() => CANCELLED,
            Ok(()) if work.run.not_runnable() => BASELINE_DISABLED,
            Ok(()) => SUCCESS,
        };
        self.finish(work, status, &mut irql);
    }
}
