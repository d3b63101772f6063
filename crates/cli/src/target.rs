//! Opens the target that the command line names.

use apclab_client::model::Mode;
use apclab_client::{HostTarget, ModelTarget, Target, TargetError};

use crate::args::{On, TargetArgs};

/// Opens a target. `mode` is how the model is asked.
///
/// # Errors
/// [`TargetError::NotAvailable`], with what to do about it.
pub(crate) fn open(args: &TargetArgs, mode: Mode) -> Result<Box<dyn Target>, TargetError> {
    match args.on {
        On::Model => Ok(Box::new(
            ModelTarget::new(mode)
                .with_apc_routines(!args.without_apc_routines)
                .with_baseline(args.baseline),
        )),
        On::Host => Ok(Box::new(host(args)?)),
    }
}

/// The host.
///
/// # Errors
/// [`TargetError::NotAvailable`], with what to do about it.
pub(crate) fn host(args: &TargetArgs) -> Result<HostTarget, TargetError> {
    Ok(HostTarget::new(args.driver.as_deref())?
        .with_apc_routines(!args.without_apc_routines)
        .with_baseline(args.baseline))
}
