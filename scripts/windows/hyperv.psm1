# The test machine is a virtual machine of Hyper-V on this one, reached by PowerShell Direct: it needs no network.

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$script:RestartNeeded = 10
# The package and its results in the virtual machine.
$script:Guest = 'C:\apclab'
# A suite has some hundred tests; a machine that stops that often has told enough.
$script:MostCalls = 40

function Assert-Host {
    if (-not (Get-Module -ListAvailable -Name Hyper-V)) {
        throw 'there is no Hyper-V on this machine, or not its PowerShell module'
    }
    Import-Module Hyper-V
}

# The virtual machine, made of the image where there is none.
function Get-Machine {
    param([hashtable] $Machine)

    $found = Get-VM -Name $Machine.Name -ErrorAction SilentlyContinue
    if ($found) {
        return $found
    }
    if (-not $Machine.ImagePath) {
        throw "there is no virtual machine $($Machine.Name); -ImagePath names an image to make it of"
    }
    $image = Get-Item -LiteralPath $Machine.ImagePath
    $disk = Join-Path $image.DirectoryName "$($Machine.Name)-differences$($image.Extension)"
    [void] (New-VHD -Path $disk -ParentPath $image.FullName -Differencing)
    $made = New-VM -Name $Machine.Name -Generation 2 -MemoryStartupBytes 4GB -VHDPath $disk
    # Outcomes that depend on timing need processors that run at the same time.
    Set-VM -VM $made -ProcessorCount 4 -StaticMemory -AutomaticCheckpointsEnabled $false
    $made
}

function Stop-Machine {
    param($VM)

    if ($VM.State -ne 'Off') {
        Stop-VM -VM $VM -TurnOff -Force
    }
}

# Puts the machine back to its checkpoint, which is made while it is off, and switches Secure Boot off.
function Reset-Machine {
    param($VM, [string] $Checkpoint)

    $snapshot = Get-VMSnapshot -VM $VM -ErrorAction SilentlyContinue | Where-Object Name -EQ $Checkpoint
    if ($snapshot) {
        Stop-Machine (Get-VM -Name $VM.Name)
        $snapshot | Select-Object -First 1 | Restore-VMSnapshot -Confirm:$false
    }
    else {
        if ($VM.State -ne 'Off') {
            Stop-VM -VM $VM -Force
        }
        Checkpoint-VM -VM $VM -SnapshotName $Checkpoint
    }
    Stop-Machine (Get-VM -Name $VM.Name)
    if ($VM.Generation -eq 2) {
        Set-VMFirmware -VMName $VM.Name -EnableSecureBoot Off
    }
}

# Waits until PowerShell in the machine answers; gives when it was started.
function Wait-Machine {
    param([hashtable] $Machine)

    $end = (Get-Date).AddMinutes($Machine.TimeoutMinutes)
    $why = 'it was never asked'
    while ((Get-Date) -lt $end) {
        try {
            return Invoke-Command -VMName $Machine.Name -Credential $Machine.Credential -ScriptBlock {
                (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')
            }
        }
        catch {
            $why = $_.Exception.Message
            Start-Sleep -Seconds 5
        }
    }
    throw "the virtual machine $($Machine.Name) does not answer: $why"
}

# Whether two of these are the same start of Windows: the time moves a little when the clock is set.
function Test-SameStart {
    param([string] $One, [string] $Other)

    [Math]::Abs(([datetime] $One - [datetime] $Other).TotalSeconds) -lt 10
}

function Restart-Machine {
    param([hashtable] $Machine, [string] $Boot)

    try {
        Invoke-Command -VMName $Machine.Name -Credential $Machine.Credential -ScriptBlock { Restart-Computer -Force }
    }
    catch {
        Write-Verbose "the session ended with the machine: $($_.Exception.Message)"
    }
    $end = (Get-Date).AddMinutes($Machine.TimeoutMinutes)
    while ((Get-Date) -lt $end) {
        $now = Wait-Machine $Machine
        if (-not (Test-SameStart $Boot $now)) {
            return $now
        }
        Start-Sleep -Seconds 2
    }
    throw "the virtual machine $($Machine.Name) does not restart"
}

# Copies the package into the machine and unpacks it.
function Copy-Package {
    param([hashtable] $Machine, [string] $Package)

    $item = Get-Item -LiteralPath $Package
    $session = New-PSSession -VMName $Machine.Name -Credential $Machine.Credential
    try {
        Invoke-Command -Session $session -ArgumentList $script:Guest -ScriptBlock {
            param($guest)
            if (Test-Path -LiteralPath $guest) {
                Remove-Item -LiteralPath $guest -Recurse -Force
            }
            [void] (New-Item -ItemType Directory -Path $guest)
        }
        if ($item.PSIsContainer) {
            Copy-Item -ToSession $session -LiteralPath $item.FullName -Destination "$script:Guest\package" -Recurse
            return "$script:Guest\package"
        }
        Copy-Item -ToSession $session -LiteralPath $item.FullName -Destination "$script:Guest\package.zip"
        Invoke-Command -Session $session -ArgumentList $script:Guest -ScriptBlock {
            param($guest)
            Expand-Archive -LiteralPath "$guest\package.zip" -DestinationPath $guest
        }
        "$script:Guest\$($item.BaseName)"
    }
    finally {
        Remove-PSSession $session
    }
}

# Calls the script in the machine once; gives its exit code, or nothing when the machine stopped or hung.
function Invoke-Once {
    param([hashtable] $Machine, [string] $Folder, [hashtable] $Run)

    $job = Invoke-Command -AsJob -VMName $Machine.Name -Credential $Machine.Credential `
        -ArgumentList $Folder, "$script:Guest\results", $Run -ScriptBlock {
        param($folder, $results, $run)
        Set-StrictMode -Version 3.0
        $ErrorActionPreference = 'Stop'
        Set-ExecutionPolicy -Scope Process -ExecutionPolicy Bypass
        $arguments = @{
            On         = 'ThisMachine'
            Package    = $folder
            Results    = $results
            Tests      = $run.Tests
            Iterations = $run.Iterations
            Verifier   = $run.Verifier
        }
        # `exit` in a script that is called ends that script alone.
        & (Join-Path $folder 'scripts\windows\apclab.ps1') @arguments 6>&1 | ForEach-Object { "$_" }
        "exit code $LASTEXITCODE"
    }
    [void] (Wait-Job -Job $job -Timeout (60 * $Machine.TimeoutMinutes))
    $hung = $job.State -eq 'Running'
    $problems = @()
    $told = Receive-Job -Job $job -ErrorAction SilentlyContinue -ErrorVariable problems
    Remove-Job -Job $job -Force
    $code = $null
    foreach ($line in $told) {
        if ("$line" -match '^exit code (\d+)$') {
            $code = [int] $Matches[1]
        }
        else {
            Write-Host "  $line"
        }
    }
    foreach ($problem in $problems) {
        Write-Warning "$problem"
    }
    if ($hung) {
        Write-Warning 'the virtual machine has not ended in time, and is switched off and on'
        $vm = Get-VM -Name $Machine.Name
        Stop-Machine $vm
        Start-VM -VM $vm
    }
    $code
}

<#
.SYNOPSIS
Runs the tests in a virtual machine and collects the results; gives the exit code.
#>
function Invoke-ApclabInHyperV {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [hashtable] $Machine,
        [Parameter(Mandatory)] [string] $Package,
        [Parameter(Mandatory)] [string] $Results,
        [Parameter(Mandatory)] [hashtable] $Run
    )

    Assert-Host
    [void] (New-Item -ItemType Directory -Path $Results -Force)
    $vm = Get-Machine $Machine
    Reset-Machine $vm $Machine.Checkpoint
    try {
        Start-VM -VM $vm
        $boot = Wait-Machine $Machine
        $folder = Copy-Package $Machine $Package
        $code = $null
        for ($call = 1; $call -le $script:MostCalls; $call++) {
            Write-Host "call $call in the virtual machine"
            $code = Invoke-Once $Machine $folder $Run
            if ($null -eq $code) {
                $now = Wait-Machine $Machine
                if (Test-SameStart $boot $now) {
                    throw 'the script ended in the virtual machine without a result'
                }
                # The next call finds in the journal which test it was.
                Write-Warning 'the virtual machine stopped; going on'
                $boot = $now
            }
            elseif ($code -eq $script:RestartNeeded) {
                $boot = Restart-Machine $Machine $boot
            }
            else {
                break
            }
        }
        $session = New-PSSession -VMName $Machine.Name -Credential $Machine.Credential
        try {
            Copy-Item -FromSession $session -Path "$script:Guest\results\*" -Destination $Results -Recurse -Force
        }
        finally {
            Remove-PSSession $session
        }
        if ($null -eq $code -or $code -eq $script:RestartNeeded) {
            throw "after $script:MostCalls calls the virtual machine still stops; what there is, is in $Results"
        }
        Write-Host "the results are in $Results"
        $code
    }
    finally {
        if (-not $Machine.KeepChanges) {
            Reset-Machine (Get-VM -Name $Machine.Name) $Machine.Checkpoint
        }
    }
}

Export-ModuleMember -Function Invoke-ApclabInHyperV
