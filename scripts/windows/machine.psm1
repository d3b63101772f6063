# What is done on the test machine itself. Each step looks at what is there first.

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

# Exit codes of the script; 0 to 3 are those of apclab.exe.
$script:Failed = 1
$script:NotAvailable = 3
$script:RestartNeeded = 10

# What this script has changed on the machine, so that -Uninstall takes back that and nothing else.
$script:Key = 'HKLM:\SOFTWARE\apclab'

<#
.SYNOPSIS
The folder of the package: the given one, a zip file unpacked, or the one that the scripts were packed in.
#>
function Resolve-ApclabPackage {
    [CmdletBinding()]
    param([string] $Package, [Parameter(Mandatory)] [string] $ScriptRoot)

    if (-not $Package) {
        $Package = Split-Path -Parent (Split-Path -Parent $ScriptRoot)
    }
    $item = Get-Item -LiteralPath $Package
    if (-not $item.PSIsContainer) {
        $target = Join-Path $item.DirectoryName $item.BaseName
        # All names in the archive begin with one folder, which is called as the archive is.
        Expand-Archive -LiteralPath $item.FullName -DestinationPath $item.DirectoryName -Force
        $item = Get-Item -LiteralPath $target
    }
    foreach ($name in 'apclab.exe', 'apclab.inf', 'apclab.sys', 'apclab.cat', 'apclab.cer', 'SHA256SUMS') {
        if (-not (Test-Path -LiteralPath (Join-Path $item.FullName $name))) {
            throw "$($item.FullName) is no package of apclab: it has no $name"
        }
    }
    $item.FullName
}

function Assert-Machine {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'drivers are installed by administrators: use an elevated prompt'
    }
    if (-not [Environment]::Is64BitOperatingSystem -or $env:PROCESSOR_ARCHITECTURE -ne 'AMD64') {
        throw 'the driver is for x64, and this is not: use the 64-bit PowerShell of an x64 Windows'
    }
    $build = [Environment]::OSVersion.Version.Build
    if ($build -lt 19041) {
        throw "this is build $build; the driver needs Windows 10 version 2004 (build 19041) or later"
    }
}

# Whether every file of the package is the one that was packed.
function Assert-PackageIsWhole {
    param([string] $Package)

    foreach ($line in Get-Content -LiteralPath (Join-Path $Package 'SHA256SUMS')) {
        $sum, $name = $line -split '  ', 2
        $path = Join-Path $Package $name
        if ((Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash -ne $sum) {
            throw "$path is not the file that was packed"
        }
    }
}

function Get-Change {
    param([string] $Name)

    $values = Get-ItemProperty -LiteralPath $script:Key -ErrorAction SilentlyContinue
    if ($null -ne $values -and $null -ne $values.PSObject.Properties[$Name]) {
        $values.$Name
    }
}

function Set-Change {
    param([string] $Name, $Value)

    if (-not (Test-Path -LiteralPath $script:Key)) {
        [void] (New-Item -Path $script:Key)
    }
    Set-ItemProperty -LiteralPath $script:Key -Name $Name -Value $Value
}

function Get-BootTime {
    (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')
}

# Whether two of these are the same start of Windows: the time moves a little when the clock is set.
function Test-SameStart {
    param([string] $One, [string] $Other)

    [Math]::Abs(([datetime] $One - [datetime] $Other).TotalSeconds) -lt 10
}

# Runs a program of Windows and throws with what it wrote when it fails.
function Invoke-Program {
    param([string] $Program, [string[]] $Arguments)

    # What a program writes to its standard error is an error record here, which must not throw.
    $ErrorActionPreference = 'Continue'
    $told = & $Program @Arguments 2>&1 | ForEach-Object { "$_" }
    if ($LASTEXITCODE -ne 0) {
        throw "``$Program $($Arguments -join ' ')`` failed with $($LASTEXITCODE): $($told -join ' ')"
    }
    $told
}

# Test signing as this start of Windows has it: the boot loader hands its options to the kernel.
function Test-TestSigning {
    $control = Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control'
    $control.SystemStartOptions -match '(^|\s)TESTSIGNING(\s|$)'
}

# Whether the machine has to be restarted for test signing.
function Enable-TestSigning {
    if (Test-TestSigning) {
        return $false
    }
    $secure = $false
    try {
        $secure = Confirm-SecureBootUEFI
    }
    catch {
        Write-Verbose "no Secure Boot here: $($_.Exception.Message)"
    }
    if ($secure) {
        throw 'Secure Boot is on, and Windows refuses test signing with it: switch it off in the firmware'
    }
    [void] (Invoke-Program 'bcdedit.exe' @('/set', 'testsigning', 'on'))
    Set-Change 'TestSigning' 1
    $true
}

function Add-Certificate {
    param([string] $Package)

    $path = Join-Path $Package 'apclab.cer'
    $certificate = New-Object Security.Cryptography.X509Certificates.X509Certificate2 $path
    foreach ($store in 'Root', 'TrustedPublisher') {
        $place = "Cert:\LocalMachine\$store"
        if (-not (Test-Path -LiteralPath "$place\$($certificate.Thumbprint)")) {
            [void] (Import-Certificate -FilePath $path -CertStoreLocation $place)
        }
    }
    Set-Change 'Certificate' $certificate.Thumbprint
}

# Without dumps a bug check leaves nothing behind. Every kind but "none" writes minidumps too.
function Enable-Minidump {
    $path = 'HKLM:\SYSTEM\CurrentControlSet\Control\CrashControl'
    if ((Get-ItemProperty -LiteralPath $path).CrashDumpEnabled -eq 0) {
        Set-ItemProperty -LiteralPath $path -Name 'CrashDumpEnabled' -Value 3
        Set-Change 'CrashDumpEnabled' 0
        Write-Warning 'minidumps were off; they are on from the next start of Windows on'
    }
}

# Runs apclab.exe, shows what it writes, and gives its exit code.
function Invoke-Apclab {
    param([string] $Package, [string[]] $Arguments, [string] $OutFile)

    $program = Join-Path $Package 'apclab.exe'
    if ($OutFile) {
        # PowerShell's own redirection would change the encoding; this one hands the file to the program.
        $start = @{
            FilePath               = $program
            ArgumentList           = $Arguments | ForEach-Object { "`"$_`"" }
            WorkingDirectory       = $Package
            RedirectStandardOutput = $OutFile
            RedirectStandardError  = "$OutFile.errors"
        }
        $process = Start-Process @start -NoNewWindow -Wait -PassThru
        Get-Content -LiteralPath "$OutFile.errors" | ForEach-Object { Write-Host "$_" }
        return $process.ExitCode
    }
    Push-Location -LiteralPath $Package
    $ErrorActionPreference = 'Continue'
    try {
        & $program @Arguments 2>&1 | ForEach-Object { Write-Host "$_" }
        $LASTEXITCODE
    }
    finally {
        Pop-Location
    }
}

# 0, or the exit code to end with.
function Install-Driver {
    param([string] $Package, [string] $Results)

    if ((Invoke-Apclab $Package @('status')) -eq 0) {
        $version = (Get-FileHash -LiteralPath (Join-Path $Package 'apclab.sys') -Algorithm SHA256).Hash
        if ((Get-Change 'Driver') -eq $version) {
            return 0
        }
    }
    $code = Invoke-Apclab $Package @('install', '--inf', (Join-Path $Package 'apclab.inf'))
    if ($code -ne 0) {
        Copy-SetupLog $Results
        return $code
    }
    $code = Invoke-Apclab $Package @('status')
    if ($code -ne 0) {
        Copy-SetupLog $Results
        return $code
    }
    Set-Change 'Driver' (Get-FileHash -LiteralPath (Join-Path $Package 'apclab.sys') -Algorithm SHA256).Hash
    0
}

# 0, or the exit code to end with: the settings are in effect from the next start on.
function Enable-Verifier {
    param([string] $Package)

    $since = Get-Change 'VerifierSince'
    if ($null -eq $since) {
        $code = Invoke-Apclab $Package @('verifier', 'on')
        if ($code -ne 0) {
            return $code
        }
        $since = Get-BootTime
        Set-Change 'VerifierSince' $since
    }
    if (Test-SameStart $since (Get-BootTime)) {
        return $script:RestartNeeded
    }
    0
}

function Copy-SetupLog {
    param([string] $Results)

    $log = Join-Path $env:SystemRoot 'INF\setupapi.dev.log'
    if (Test-Path -LiteralPath $log) {
        Copy-Item -LiteralPath $log -Destination $Results
    }
}

# Whether the journal's run came to its end.
function Test-JournalDone {
    param([string] $Journal)

    if (-not (Test-Path -LiteralPath $Journal)) {
        return $false
    }
    $last = Get-Content -LiteralPath $Journal -Tail 1
    $null -ne $last -and $last -match '"record"\s*:\s*"done"'
}

# Runs the tests for one kind of report, or goes on with a run that was stopped. Each call that runs something
# writes a report of its own: run-1.json, run-2.json, and so on. Gives the exit code of apclab.exe.
function Invoke-Run {
    param([string] $Package, [string] $Results, [hashtable] $Run, [string] $Format, [string] $Extension)

    $journal = Join-Path $Results "run-$Format.journal"
    $codes = Join-Path $Results "run-$Format.exit-code"
    if ((Test-JournalDone $journal) -and (Test-Path -LiteralPath $codes)) {
        return [int] (Get-Content -LiteralPath $codes)
    }
    $number = 1
    while (Test-Path -LiteralPath (Join-Path $Results "run-$number.$Extension")) {
        $number++
    }
    $arguments = @('run') + $Run.Tests + @(
        '--on', 'device', '--iterations', "$($Run.Iterations)", '--format', $Format, '--journal', $journal)
    if ((Test-Path -LiteralPath $journal) -and -not (Test-JournalDone $journal)) {
        Write-Host "going on with the run of $journal"
        $arguments += '--resume'
    }
    Write-Host "apclab $($arguments -join ' ')"
    $code = Invoke-Apclab $Package $arguments (Join-Path $Results "run-$number.$Extension")
    if ($code -le 1) {
        Set-Content -LiteralPath $codes -Value $code
    }
    $code
}

<#
.SYNOPSIS
Collects what Windows knows of the machine and of its bug checks since the first call.
#>
function Save-MachineState {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Results, [Parameter(Mandatory)] [datetime] $Since)

    Copy-SetupLog $Results
    $dumps = Join-Path $env:SystemRoot 'Minidump'
    if (Test-Path -LiteralPath $dumps) {
        $target = Join-Path $Results 'minidumps'
        $new = Get-ChildItem -LiteralPath $dumps -Filter '*.dmp' | Where-Object LastWriteTime -GE $Since
        if ($new) {
            [void] (New-Item -ItemType Directory -Path $target -Force)
            $new | Copy-Item -Destination $target
        }
    }
    # Event 1001 of this source has the code and the parameters of a bug check.
    $query = @{ LogName = 'System'; ProviderName = 'Microsoft-Windows-WER-SystemErrorReporting'; StartTime = $Since }
    Get-WinEvent -FilterHashtable $query -ErrorAction SilentlyContinue |
        Format-List TimeCreated, Id, Message |
        Out-File -LiteralPath (Join-Path $Results 'bug-checks.txt') -Encoding utf8
    Get-CimInstance -ClassName Win32_OperatingSystem |
        Format-List Caption, Version, BuildNumber, OSArchitecture, LastBootUpTime |
        Out-File -LiteralPath (Join-Path $Results 'windows.txt') -Encoding utf8
    $ErrorActionPreference = 'Continue'
    & verifier.exe /query 2>&1 | Out-File -LiteralPath (Join-Path $Results 'verifier.txt') -Encoding utf8
}

<#
.SYNOPSIS
Prepares this machine, runs the tests and collects the results; gives the exit code.
#>
function Invoke-ApclabHere {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Package,
        [Parameter(Mandatory)] [string] $Results,
        [Parameter(Mandatory)] [hashtable] $Run
    )

    Assert-Machine
    Assert-PackageIsWhole $Package
    if ($Run.Again -and (Test-Path -LiteralPath $Results)) {
        $old = "$Results-" + (Get-Item -LiteralPath $Results).LastWriteTime.ToString('yyyyMMdd-HHmmss')
        Move-Item -LiteralPath $Results -Destination $old
        Write-Host "the old results are in $old"
    }
    [void] (New-Item -ItemType Directory -Path $Results -Force)
    $Results = (Resolve-Path -LiteralPath $Results).ProviderPath
    $begun = Join-Path $Results 'begun'
    if (-not (Test-Path -LiteralPath $begun)) {
        Set-Content -LiteralPath $begun -Value (Get-Date).ToString('o')
    }
    $since = [datetime] (Get-Content -LiteralPath $begun)

    $restart = Enable-TestSigning
    Add-Certificate $Package
    Enable-Minidump
    if ($restart) {
        Write-Host 'test signing is on from the next start of Windows on'
        return $script:RestartNeeded
    }
    $code = Install-Driver $Package $Results
    if ($code -ne 0) {
        return $code
    }
    if ($Run.Verifier) {
        $code = Enable-Verifier $Package
        if ($code -eq $script:RestartNeeded) {
            Write-Host 'the verifiers are at work from the next start of Windows on'
        }
        if ($code -ne 0) {
            return $code
        }
    }

    $worst = 0
    try {
        $measured = @{
            'info.json'   = @('info', '--on', 'device', '--format', 'json')
            'matrix.json' = @('matrix', '--on', 'device', '--format', 'json', '--iterations', "$($Run.Iterations)")
        }
        foreach ($name in 'info.json', 'matrix.json') {
            $code = Invoke-Apclab $Package $measured[$name] (Join-Path $Results $name)
            $worst = [Math]::Max($worst, $code)
        }
        foreach ($kind in @(@('json', 'json'), @('junit', 'xml'))) {
            $code = Invoke-Run $Package $Results $Run $kind[0] $kind[1]
            $worst = [Math]::Max($worst, $code)
        }
    }
    finally {
        Save-MachineState -Results $Results -Since $since
    }
    Write-Host "the results are in $Results"
    $worst
}

<#
.SYNOPSIS
Takes back what was done to this machine; gives the exit code.
#>
function Uninstall-Apclab {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Package)

    Assert-Machine
    $worst = 0
    foreach ($arguments in @('verifier', 'off'), @('uninstall')) {
        $worst = [Math]::Max($worst, (Invoke-Apclab $Package $arguments))
    }
    $thumbprint = Get-Change 'Certificate'
    if ($thumbprint) {
        foreach ($store in 'Root', 'TrustedPublisher') {
            $place = "Cert:\LocalMachine\$store\$thumbprint"
            if (Test-Path -LiteralPath $place) {
                Remove-Item -LiteralPath $place
            }
        }
    }
    if ($null -ne (Get-Change 'CrashDumpEnabled')) {
        Set-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\CrashControl' `
            -Name 'CrashDumpEnabled' -Value (Get-Change 'CrashDumpEnabled')
    }
    $restart = $false
    if (Get-Change 'TestSigning') {
        [void] (Invoke-Program 'bcdedit.exe' @('/set', 'testsigning', 'off'))
        $restart = $true
    }
    if ($null -ne (Get-Change 'VerifierSince')) {
        $restart = $true
    }
    if ($worst -ne 0) {
        # What is recorded is needed for the next try.
        return $worst
    }
    if (Test-Path -LiteralPath $script:Key) {
        Remove-Item -LiteralPath $script:Key -Recurse
    }
    if ($restart) {
        Write-Host 'test signing and the verifiers are off from the next start of Windows on'
        return $script:RestartNeeded
    }
    0
}

Export-ModuleMember -Function Resolve-ApclabPackage, Invoke-ApclabHere, Uninstall-Apclab, Save-MachineState
