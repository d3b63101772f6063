//! What is installed, as JSON.

use apclab_client::TargetError;
use apclab_client::setup::State;
use apclab_client::setup::state::Service;
use apclab_client::setup::verifier::DriverVerifier;
use serde::Serialize;

/// The body of `status`. What is not known is null.
#[derive(Serialize)]
pub(super) struct StatusBody {
    elevated: Option<bool>,
    test_signing: Option<bool>,
    packages: Vec<PackageReport>,
    devices: Vec<DeviceReport>,
    service: &'static str,
    driver_verifier: DriverVerifier,
    driver: DriverAnswer,
}

#[derive(Serialize)]
struct PackageReport {
    inf: String,
    version: Option<String>,
}

#[derive(Serialize)]
struct DeviceReport {
    instance: String,
    state: String,
}

/// What came of asking the driver for its version.
#[derive(Serialize)]
struct DriverAnswer {
    answers: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<[u32; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The body of `verifier status`.
#[derive(Serialize)]
pub(super) struct VerifierBody {
    pub(super) driver_verifier: DriverVerifier,
}

impl StatusBody {
    /// From what is installed, and the version that the driver answered or why it did not.
    pub(super) fn of(state: &State, answer: &Result<Option<[u32; 3]>, TargetError>) -> Self {
        let packages = state.packages.iter().map(|package| PackageReport {
            inf: package.inf.clone(),
            version: package.version.clone(),
        });
        let devices = state.devices.iter().map(|device| DeviceReport {
            instance: device.instance.clone(),
            state: device.state.to_string(),
        });
        Self {
            elevated: state.elevated,
            test_signing: state.test_signing,
            packages: packages.collect(),
            devices: devices.collect(),
            service: service(state.service),
            driver_verifier: state.verifier.clone(),
            driver: DriverAnswer {
                answers: answer.is_ok(),
                version: answer.as_ref().ok().copied().flatten(),
                error: answer.as_ref().err().map(ToString::to_string),
            },
        }
    }
}

/// The service in a word.
pub(super) const fn service(service: Option<Service>) -> &'static str {
    match service {
        None => "none",
        Some(Service::Running) => "running",
        Some(Service::Stopped) => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use apclab_client::setup::package::Package;
    use serde_json::{Value, json};

    use super::*;

    fn document(state: &State, answer: &Result<Option<[u32; 3]>, TargetError>) -> Value {
        serde_json::to_value(StatusBody::of(state, answer)).expect("a document")
    }

    #[test]
    fn what_is_installed_is_in_the_document() {
        let state = State {
            elevated: Some(true),
            packages: vec![Package {
                inf: "oem7.inf".to_owned(),
                version: None,
            }],
            service: Some(Service::Running),
            verifier: DriverVerifier::of(Some("apclab.sys"), Some(0x209BB), None),
            ..State::default()
        };
        assert_eq!(
            document(&state, &Ok(Some([0, 1, 0]))),
            json!({
                "elevated": true,
                "test_signing": null,
                "packages": [{ "inf": "oem7.inf", "version": null }],
                "devices": [],
                "service": "running",
                "driver_verifier": { "drivers": ["apclab.sys"], "flags": 0x209BB, "kmdf": null },
                "driver": { "answers": true, "version": [0, 1, 0] },
            })
        );
    }

    #[test]
    fn a_driver_that_does_not_answer_says_why() {
        let silent = Err(TargetError::NotAvailable("there is none".to_owned()));
        let document = document(&State::default(), &silent);
        assert_eq!(document["service"], "none");
        let driver = &document["driver"];
        assert_eq!(driver["answers"], false);
        assert_eq!(driver["error"], "there is none");
        assert_eq!(driver.get("version"), None);
    }
}
