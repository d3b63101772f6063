//! The function table: what is implemented, and what says that it is not.

use super::names::NAMES;
use super::{context, device, driver, file, lock, object, queue, request, wdm};
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

/// All entries of the table in its order.
pub(crate) fn exports() -> Vec<Export> {
    let implemented = [
        context::FUNCTIONS,
        device::FUNCTIONS,
        driver::FUNCTIONS,
        file::FUNCTIONS,
        lock::FUNCTIONS,
        object::FUNCTIONS,
        queue::FUNCTIONS,
        request::FUNCTIONS,
        wdm::FUNCTIONS,
    ]
    .concat();
    let entry = |&name: &&'static str| {
        let known = implemented
            .iter()
            .find(|export| export.name == name)
            .copied();
        known.unwrap_or(Export::plain(name, not_implemented))
    };
    NAMES.iter().map(entry).collect()
}

fn not_implemented(thread: &Thread, _: &Arguments) -> Result<u64, Fault> {
    let name = thread.last_export().unwrap_or("a framework function");
    let reason = format!("the driver called {name}, which this framework does not have");
    Err(bugcheck::wdf(0, 0, 0, reason).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_wdm_dispatch_are_where_the_headers_have_them() {
        assert_eq!(NAMES[401], "WdfDeviceWdmDispatchIrp");
        assert_eq!(NAMES[404], "WdfDeviceConfigureWdmIrpDispatchCallback");
    }

    #[test]
    fn every_implemented_function_is_in_the_table_once() {
        let lists = [
            context::FUNCTIONS,
            device::FUNCTIONS,
            driver::FUNCTIONS,
            file::FUNCTIONS,
            lock::FUNCTIONS,
            object::FUNCTIONS,
            queue::FUNCTIONS,
            request::FUNCTIONS,
            wdm::FUNCTIONS,
        ]
        .concat();
        for export in &lists {
            let entries = NAMES.iter().filter(|name| **name == export.name).count();
            assert_eq!(entries, 1, "{}", export.name);
            let same = lists
                .iter()
                .filter(|other| other.name == export.name)
                .count();
            assert_eq!(same, 1, "{}", export.name);
        }
    }
}
