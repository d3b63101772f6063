//! Which of the driver packages in Windows's store is ours.

use super::HARDWARE_ID;

/// A driver package in the driver store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The name that Windows gave its INF: `oemNN.inf`.
    pub inf: String,
    /// Its DriverVer: date and version.
    pub version: Option<String>,
}

/// The package of an INF, if it is one for our device.
///
/// * `name`: the INF's name in the store.
/// * `bytes`: the INF, in UTF-16 with a byte order mark, or in any superset of ASCII.
pub fn ours(name: &str, bytes: &[u8]) -> Option<Package> {
    let text = decode(bytes);
    let lines = || {
        text.lines()
            .map(|line| line.split(';').next().unwrap_or(""))
    };
    let models = lines().filter_map(|line| line.split_once('='));
    models
        .map(|(_, value)| value)
        .any(|value| {
            // "description = install section, hardware ID [, compatible ID …]"
            let ids = value.split(',').skip(1);
            ids.map(|id| id.trim().trim_matches('"'))
                .any(|id| id.eq_ignore_ascii_case(HARDWARE_ID))
        })
        .then(|| Package {
            inf: name.to_owned(),
            version: lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| key.trim().eq_ignore_ascii_case("DriverVer"))
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty()),
        })
}

/// The text of an INF.
fn decode(bytes: &[u8]) -> String {
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        let units = rest.chunks_exact(2).map(|pair| match pair {
            [low, high] => u16::from_le_bytes([*low, *high]),
            _ => 0,
        });
        return char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// The strings of a REG_MULTI_SZ: each ends with a zero, and an empty one ends them all.
pub fn multi_string(units: &[u16]) -> Vec<String> {
    units
        .split(|unit| *unit == 0)
        .take_while(|piece| !piece.is_empty())
        .map(String::from_utf16_lossy)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: &str = include_str!("../../../../inf/apclab.inx");

    #[test]
    fn the_package_s_own_inf_is_recognized_in_both_encodings() {
        let stamped = INF.replace(
            "DriverVer   = ; stampinf sets it",
            "DriverVer = 11/21/2026,1.2.3.4",
        );
        let expected = Package {
            inf: "oem7.inf".to_owned(),
            version: Some("11/21/2026,1.2.3.4".to_owned()),
        };
        assert_eq!(ours("oem7.inf", stamped.as_bytes()), Some(expected.clone()));
        let mut wide = vec![0xFF, 0xFE];
        wide.extend(stamped.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(ours("oem7.inf", &wide), Some(expected));
        assert_eq!(
            ours("oem7.inf", INF.as_bytes()).map(|package| package.version),
            Some(None)
        );
    }

    #[test]
    fn other_packages_are_not_ours() {
        for other in [
            r"%Name% = Install, Root\apclab2",
            r"; %Name% = Install, Root\apclab",
            r"Root\apclab = Install, PCI\VEN_8086",
            "",
        ] {
            assert_eq!(ours("oem1.inf", other.as_bytes()), None, "{other}");
        }
        let quoted = br#"%Name% = Install,"root\APCLAB",Other"#;
        assert!(ours("oem1.inf", quoted).is_some());
    }

    #[test]
    fn lists_of_strings_end_with_an_empty_one() {
        let list = |text: &str| multi_string(&text.encode_utf16().collect::<Vec<_>>());
        assert_eq!(
            list("Root\\apclab\0Other\0\0rest\0"),
            [r"Root\apclab", "Other"]
        );
        assert_eq!(list("a"), ["a"]);
        assert!(list("\0\0").is_empty() && list("").is_empty());
    }
}
