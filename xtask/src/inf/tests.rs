use super::{Form, Stamp};

const INX: &str = include_str!("../../../inf/apclab.inx");

fn problems(text: &str) -> Vec<String> {
    super::problems(text, &Form::Template)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// What is wrong with the file once `from`, which stands there once, is `to`.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert_eq!(INX.matches(from).count(), 1, "{from}");
    problems(&INX.replace(from, to))
}

#[test]
fn the_file_keeps_all_rules() {
    assert_eq!(problems(INX), [""; 0]);
}

#[test]
fn each_changed_line_breaks_a_rule() {
    for (from, to, problem) in [
        ("$WINDOWS NT$", "$Windows 95$", "Signature"),
        ("Class       = System", "Class = Sample", "Class is Sample"),
        ("{4d36e97d-", "{4d36e97e-", "ClassGuid"),
        ("PnpLockdown = 1", "PnpLockdown = 0", "PnpLockdown is 0"),
        (
            "CatalogFile = apclab.cat",
            "",
            "[Version] has no CatalogFile",
        ),
        ("DriverVer   = ;", ";", "[Version] has no DriverVer"),
        (
            "DefaultDestDir = 13",
            "DefaultDestDir = 12",
            "DefaultDestDir is 12",
        ),
        ("apclab.sys = 1,,", "apclab.dll = 1,,", "has no apclab.sys"),
        (
            "%Provider% = Models, NT$ARCH$.10.0...19041",
            "%Provider% = Models, NT$ARCH$",
            "[Manufacturer]",
        ),
        (
            "[Models.NT$ARCH$.10.0...19041]",
            "[Models.NT$ARCH$]",
            "there is no section [models.nt$arch$.10.0...19041]",
        ),
        (
            "Root\\apclab",
            "PCI\\apclab",
            "%DeviceDescription% is Device,PCI\\apclab",
        ),
        ("CopyFiles = Files", "CopyFiles = Others", "CopyFiles"),
        (
            "[Device.NT.HW]",
            "[Device.HW]",
            "there is no section [device.nt.hw]",
        ),
        ("(A;;GA;;;BA)", "(A;;GA;;;WD)", "[DeviceSecurity]"),
        ("AddService = apclab,", "AddService = other,", "AddService"),
        ("%13%\\apclab.sys", "%12%\\apclab.sys", "ServiceBinary"),
        (
            "ServiceType   = %SERVICE_KERNEL_DRIVER%",
            "ServiceType = %SERVICE_DEMAND_START%",
            "ServiceType",
        ),
        (
            "KmdfService = apclab,",
            "KmdfService = other,",
            "KmdfService",
        ),
        ("$KMDFVERSION$\n", "1.15\n", "KmdfLibraryVersion is 1.15"),
        ("= 0x00000002", "= 0", "SPSVCINST_ASSOCSERVICE is 0"),
        (
            "DiskName               =",
            "Disk =",
            "15: %diskname% is not in [Strings]",
        ),
        (
            "%DeviceDescription% =",
            "%DeviceDescription =",
            "29: a % is alone in %DeviceDescription",
        ),
        ("HKR,,Security", "HKLM,,Security", "writes below HKLM"),
        ("%13%\\apclab.sys", "%11%\\apclab.sys", "names folder 11"),
        (
            "PnpLockdown = 1",
            "PnpLockdown = 1\nPnpLockdwn = 1",
            "has PnpLockdwn",
        ),
        (
            "apclab.sys = 1,,",
            "apclab.sys = 2,,",
            "18: apclab.sys is on disk 2",
        ),
        (
            "[Files]\napclab.sys",
            "[Files]\napclab.dll",
            "apclab.dll is copied",
        ),
        (
            "StartType     =",
            "Dependencies = other\nStartType =",
            "has Dependencies",
        ),
    ] {
        let problems = changed(from, to);
        assert!(
            problems.iter().any(|found| found.contains(problem)),
            "{to}: {problems:?}"
        );
    }
}

#[test]
fn sections_that_the_package_must_not_have_are_found() {
    for section in [
        "[Device.NT.CoInstallers]\nAddReg = Files\n",
        "[ClassInstall32]\n",
        "[DefaultInstall.NT$ARCH$]\n",
    ] {
        let problems = problems(&format!("{section}{INX}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].ends_with("is not part of the package"),
            "{problems:?}"
        );
    }
}

#[test]
fn what_is_no_inf_file_is_refused() {
    assert_eq!(problems("Class = System"), ["1: it is in no section"]);
    assert_eq!(problems("[Version"), ["1: no closing bracket"]);
    assert_eq!(problems("[A]\n[a]"), ["2: section [a] stands there twice"]);
    assert_eq!(problems("\n[A]\nx = \"y"), ["3: a quote is not closed"]);
    for (text, problem) in [
        ("[A]\nx = \u{e4}", "2: a character is not ASCII"),
        ("[A]\nx = \\", "2: the line goes on"),
        ("[]", "1: this is no name of a section"),
    ] {
        let found = problems(text);
        assert!(found[0].starts_with(problem), "{found:?}");
    }
}

#[test]
fn a_string_that_is_undefined_is_reported_with_file_and_line() {
    let text = INX.replace("%ServiceDescription%", "%ServiceName%");
    let error = super::check("inf/apclab.inx", &text, &Form::Template)
        .expect_err("there is no such string")
        .to_string();
    assert_eq!(
        error,
        "inf/apclab.inx:49: %servicename% is not in [Strings]\n\
         inf/apclab.inx:65: the string ServiceDescription is used nowhere"
    );
}

#[test]
fn the_stamped_file_keeps_the_rules_of_its_own_form() {
    let stamp = Stamp {
        date: "11/21/2026".to_owned(),
        version: "0.1.0.7".to_owned(),
        architecture: "amd64",
        kmdf: "1.15",
    };
    let inf = super::stamp(INX, &stamp).expect("the template has a line for the version");
    let form = Form::Stamped(stamp);
    assert_eq!(super::problems(&inf, &form), []);
    for line in [
        "DriverVer   = 11/21/2026,0.1.0.7",
        "%Provider% = Models, NTamd64.10.0...19041",
        "[Models.NTamd64.10.0...19041]",
        "KmdfLibraryVersion = 1.15",
    ] {
        assert!(inf.contains(&format!("\r\n{line}\r\n")), "{line}");
    }
    assert!(!inf.contains("stampinf"), "{inf}");
    assert!(
        !super::problems(INX, &form).is_empty(),
        "the template is not stamped"
    );
    assert!(
        !problems(&inf).is_empty(),
        "the stamped file is no template"
    );
}

#[test]
fn quotes_hide_separators_and_comments() {
    let line = super::parse::without_comment("a = \"x;y\", b ; c");
    assert_eq!(line, "a = \"x;y\", b ");
    assert_eq!(super::parse::split("\"x,y\", z", ','), ["\"x,y\"", "z"]);
}
