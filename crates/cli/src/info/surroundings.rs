//! What results depend on, line by line.

use apclab_client::Surroundings;
use apclab_client::setup::verifier::DriverVerifier;
use apclab_client::surroundings::WindowsFacts;

/// The lines: what, and its value.
pub(super) fn lines(surroundings: &Surroundings) -> Vec<(&str, String)> {
    let mut lines = vec![
        ("handle", surroundings.handle.clone()),
        ("hypervisor", surroundings.hypervisor.text()),
        (
            "processors for us",
            match surroundings.processors {
                0 => unknown(),
                count => count.to_string(),
            },
        ),
    ];
    if let Some(windows) = &surroundings.windows {
        lines.extend(of_windows(windows));
    }
    lines
}

fn of_windows(windows: &WindowsFacts) -> Vec<(&str, String)> {
    let mut lines = vec![(
        "Windows",
        windows.version.map_or_else(unknown, super::version),
    )];
    if let Some(wine) = &windows.wine {
        lines.push(("Wine", wine.clone()));
    }
    let verifier = windows.driver_verifier.as_ref();
    lines.extend([
        ("elevated", answer(windows.elevated)),
        ("test-signing", answer(windows.test_signing)),
        ("memory integrity", answer(windows.memory_integrity)),
        (
            "Driver Verifier",
            verifier.map_or_else(unknown, DriverVerifier::text),
        ),
        (
            "KMDF Verifier",
            verifier.map_or_else(unknown, |verifier| verifier.kmdf_text().to_owned()),
        ),
    ]);
    let optional = windows.optional_routines.iter();
    lines.extend(optional.map(|(name, found)| {
        let found = if *found { "found" } else { "not found" };
        (name.as_str(), found.to_owned())
    }));
    lines
}

fn answer(answer: Option<bool>) -> String {
    match answer {
        Some(true) => "on".to_owned(),
        Some(false) => "off".to_owned(),
        None => unknown(),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}
