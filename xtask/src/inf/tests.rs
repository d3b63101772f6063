use super::problems;

const INX: &str = include_str!("../../../inf/apclab.inx");

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
            "%diskname% is not in [Strings]",
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
    assert_eq!(problems("Class = System"), ["line 1: it is in no section"]);
    assert_eq!(problems("[Version"), ["line 1: no closing bracket"]);
    assert_eq!(problems("[A]\n[a]"), ["section [a] stands there twice"]);
}

#[test]
fn quotes_hide_separators_and_comments() {
    let line = super::without_comment("a = \"x;y\", b ; c");
    assert_eq!(line, "a = \"x;y\", b ");
    assert_eq!(
        super::split_outside_quotes("\"x,y\", z", ','),
        ["\"x,y\"", "z"]
    );
}
