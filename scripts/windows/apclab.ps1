#Requires -Version 5.1
<#
.SYNOPSIS
Installs the driver apclab on a test machine, runs its tests there, and collects what came of it.

.DESCRIPTION
The test machine is this one (-On ThisMachine), or a virtual machine of Hyper-V on this one (-On HyperV).

Every step looks at what is there first, so that the script may be called again at any time: after a restart
that it asked for, after a bug check, after Ctrl-C. It goes on where it was. A finished run is run again with
-Again.

What it does on the test machine:
  1. switches test signing on, unless it is on (needs a restart, and Secure Boot to be off);
  2. trusts the certificate of the package, as a root and as a publisher;
  3. installs the driver with `apclab install`, and checks that it answers;
  4. with -Verifier, has Driver Verifier and KMDF Verifier watch the driver (needs a restart);
  5. measures the machine and the matrix, and runs the tests twice: for JSON and for JUnit's XML. A test during
     which the machine stopped is named by the next call;
  6. collects reports, journals, minidumps, the setup log and the bug checks of the event log.

With -On HyperV it starts from a checkpoint of the virtual machine, does all this there through PowerShell
Direct, restarts the machine as often as it has to, copies the results, and goes back to the checkpoint.

Exit codes: 0 all as expected; 1 a test failed; 2 something is wrong with the machine or the package; 3 the
driver does not answer; 10 restart the machine and call the script again.

.PARAMETER On
ThisMachine or HyperV.

.PARAMETER Package
The zip file or the folder that `cargo xtask package` has made. The default is the folder that this script was
packed in.

.PARAMETER Results
The folder for what is collected. The default is "results" in the current folder.

.PARAMETER Tests
Files and folders of tests below the package's folder. The default is all: litmus.

.PARAMETER Iterations
Iterations of each test.

.PARAMETER Verifier
Run under Driver Verifier and KMDF Verifier.

.PARAMETER Again
Run once more, although the results are complete; the old ones are moved aside.

.PARAMETER Restart
Restart this machine when that is needed. Call the script again after it.

.PARAMETER Uninstall
Take everything off this machine: the verifier's settings, the driver, the certificate, and test signing if it
was this script that switched it on.

.PARAMETER VMName
The virtual machine.

.PARAMETER Credential
An administrator of the virtual machine.

.PARAMETER ImagePath
A VHDX with Windows, installed and with that administrator, for a virtual machine that is not there yet. It is
not written to: the new machine gets a disk that has the differences.

.PARAMETER Checkpoint
The checkpoint to start from and to go back to. It is made where it is missing.

.PARAMETER KeepChanges
Leave the virtual machine as it is at the end, running.

.PARAMETER TimeoutMinutes
How long the virtual machine may take for one start, and for one call of the tests. One that takes longer is
switched off and on, and the test that hung is named like one that stopped the machine.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File scripts\windows\apclab.ps1 -On ThisMachine -Restart

On the test machine itself, in an elevated prompt, in the unpacked package.

.EXAMPLE
.\apclab.ps1 -On HyperV -VMName apclab -ImagePath D:\win11.vhdx -Credential tester -Package apclab-0.1.0-x64.zip

On a Hyper-V host, with a virtual machine that is made of an image.

.EXAMPLE
.\apclab.ps1 -On ThisMachine -Uninstall

.NOTES
Not run yet: it is written from the documentation of what it calls.
#>
[CmdletBinding(DefaultParameterSetName = 'Run')]
param(
    [Parameter(Mandatory)]
    [ValidateSet('ThisMachine', 'HyperV')]
    [string] $On,

    [string] $Package,

    [string] $Results = 'results',

    [string[]] $Tests = @('litmus'),

    [ValidateRange(1, 100000000)]
    [int] $Iterations = 1000,

    [switch] $Verifier,

    [switch] $Again,

    [switch] $Restart,

    [Parameter(ParameterSetName = 'Uninstall', Mandatory)]
    [switch] $Uninstall,

    [string] $VMName,

    [System.Management.Automation.Credential()]
    [pscredential] $Credential = [pscredential]::Empty,

    [string] $ImagePath,

    [string] $Checkpoint = 'apclab: before',

    [switch] $KeepChanges,

    [ValidateRange(1, 1440)]
    [int] $TimeoutMinutes = 60
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

Import-Module (Join-Path $PSScriptRoot 'machine.psm1') -Force
Import-Module (Join-Path $PSScriptRoot 'hyperv.psm1') -Force

try {
    if ($On -eq 'HyperV') {
        if ($Uninstall) {
            throw 'a virtual machine is put back by its checkpoint; -Uninstall is for this machine'
        }
        if (-not $VMName) {
            throw 'name the virtual machine with -VMName'
        }
        if ($Credential -eq [pscredential]::Empty) {
            throw 'name an administrator of the virtual machine with -Credential'
        }
        if (-not $Package) {
            $Package = Split-Path -Parent (Split-Path -Parent $PSScriptRoot)
        }
        $machine = @{
            Name           = $VMName
            Credential     = $Credential
            ImagePath      = $ImagePath
            Checkpoint     = $Checkpoint
            KeepChanges    = [bool] $KeepChanges
            TimeoutMinutes = $TimeoutMinutes
        }
        $run = @{ Tests = $Tests; Iterations = $Iterations; Verifier = [bool] $Verifier }
        $code = Invoke-ApclabInHyperV -Machine $machine -Package $Package -Results $Results -Run $run
    }
    else {
        $folder = Resolve-ApclabPackage -Package $Package -ScriptRoot $PSScriptRoot
        if ($Uninstall) {
            $code = Uninstall-Apclab -Package $folder
        }
        else {
            $run = @{ Tests = $Tests; Iterations = $Iterations; Verifier = [bool] $Verifier; Again = [bool] $Again }
            $code = Invoke-ApclabHere -Package $folder -Results $Results -Run $run
        }
        if ($code -eq 10 -and $Restart) {
            Write-Host 'restarting; call this script again when the machine is up'
            Restart-Computer -Force
        }
    }
}
catch {
    # The message alone: where in this script it was thrown helps nobody.
    [Console]::Error.WriteLine("error: $($_.Exception.Message)")
    Write-Verbose $_.ScriptStackTrace
    $code = 2
}
exit $code
