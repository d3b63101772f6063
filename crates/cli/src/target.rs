//! Opens the target that the command line names.

use apclab_client::model::Mode;
use apclab_client::{ModelTarget, Target, TargetError};

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
        On::Host => host(args),
    }
}

fn host(_args: &TargetArgs) -> Result<Box<dyn Target>, TargetError> {
    Err(TargetError::NotAvailable(
        "the host is not part of this build: use --on model".to_owned(),
    ))
}
