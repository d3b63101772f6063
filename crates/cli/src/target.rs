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
        On::Model => {
            let model = ModelTarget::new(mode).with_apc_routines(!args.without_apc_routines);
            Ok(Box::new(model))
        }
        On::Host => {
            let host = HostTarget::new(args.driver.as_deref())?;
            Ok(Box::new(host.with_apc_routines(!args.without_apc_routines)))
        }
    }
}
