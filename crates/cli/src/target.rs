//! Opens the target that the command line names.

use apclab_client::exploration::Baseline;
use apclab_client::model::Mode;
use apclab_client::{HostTarget, ModelTarget, Target, TargetError, device};

use crate::args::{On, TargetArgs};
use crate::failure::Failure;

/// Opens a target. `mode` is how the model is asked.
///
/// # Errors
/// [`Failure::Target`] with [`TargetError::NotAvailable`], which says what to do about it;
/// [`Failure::Input`] for options that the target cannot have.
pub(crate) fn open(args: &TargetArgs, mode: Mode) -> Result<Box<dyn Target>, Failure> {
    match args.on {
        On::Model => Ok(Box::new(
            ModelTarget::new(mode)
                .with_apc_routines(!args.without_apc_routines)
                .with_push_locks(!args.without_push_locks)
                .with_special_user_apcs(!args.without_special_user_apcs)
                .with_baseline(args.baseline),
        )),
        On::Host => Ok(Box::new(host(args)?)),
        On::Device => {
            let simulated = args.driver.is_some()
                || args.without_apc_routines
                || args.without_push_locks
                || args.without_special_user_apcs
                || args.baseline != Baseline::default();
            if simulated {
                return Err(Failure::Input(vec![
                    "error: --driver, --without-apc-routines, --without-push-locks, \
                     --without-special-user-apcs and --baseline are for simulated machines; with --on \
                     device, Windows decides"
                        .to_owned(),
                ]));
            }
            Ok(device::open()?)
        }
    }
}

/// The host.
///
/// # Errors
/// [`TargetError::NotAvailable`], with what to do about it.
pub(crate) fn host(args: &TargetArgs) -> Result<HostTarget, TargetError> {
    Ok(HostTarget::new(args.driver.as_deref())?
        .with_apc_routines(!args.without_apc_routines)
        .with_push_locks(!args.without_push_locks)
        .with_special_user_apcs(!args.without_special_user_apcs)
        .with_baseline(args.baseline))
}
