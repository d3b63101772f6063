#!/usr/bin/env bash
#
# Runs the tests of a package in a QEMU machine with Windows, and collects the results: the same as
# scripts/windows/apclab.ps1 -On HyperV does. The image is not written to.
#
# The image is the user's. What it must have:
#   - Windows 10 version 2004 or later, x64, on a disk that QEMU's AHCI can boot, with a firmware that has no
#     Secure Boot (SeaBIOS, QEMU's default, or OVMF with --firmware);
#   - OpenSSH Server, started automatically and let through the firewall: in an elevated PowerShell,
#       Add-WindowsCapability -Online -Name OpenSSH.Server~~~~0.0.1.0
#       Set-Service -Name sshd -StartupType Automatic
#   - an administrator whose key is in C:\ProgramData\ssh\administrators_authorized_keys, and cmd.exe as the
#     shell of OpenSSH, which it is unless it was changed;
#   - no question at its start, and automatic restarts after a bug check, which is Windows's default.
#
# Exit codes: those of apclab.ps1; 2 when something is wrong here.
#
# Not run against a Windows yet.

set -euo pipefail

usage() {
    cat <<'END'
usage: run.sh --image FILE --package ZIP --user NAME [option...] [-- QEMU's options...]

  --image FILE       the disk with Windows; it is not written to
  --package ZIP      what `cargo xtask package` has made
  --user NAME        an administrator of that Windows
  --key FILE         his private key                          [what ssh finds]
  --results FOLDER   where the results go                     [results]
  --iterations N     iterations of each test                  [1000]
  --verifier         run under Driver Verifier and KMDF Verifier
  --port N           the port of this machine that leads to the other's ssh [2222]
  --memory SIZE      memory of the machine                    [4G]
  --cpus N           its processors                           [4]
  --firmware FILE    OVMF's code, for an image that starts by UEFI
  --minutes N        how long one start or one call may take  [60]
  --keep             leave the machine running at the end, and its disk
END
}

die() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

image='' package='' user='' key='' results=results iterations=1000 verifier=no port=2222
memory=4G cpus=4 firmware='' minutes=60 keep=no more=()

while [ $# -gt 0 ]; do
    case $1 in
        --verifier) verifier=yes ;;
        --keep) keep=yes ;;
        --help)
            usage
            exit 0
            ;;
        --)
            shift
            more=("$@")
            break
            ;;
        --image | --package | --user | --key | --results | --iterations | --port | --memory | --cpus | \
            --firmware | --minutes)
            [ $# -ge 2 ] || die "$1 wants a value"
            printf -v "${1#--}" '%s' "$2"
            shift
            ;;
        *)
            usage >&2
            die "there is no option $1"
            ;;
    esac
    shift
done

if [ -z "$image" ] || [ -z "$package" ] || [ -z "$user" ]; then
    usage >&2
    die '--image, --package and --user are needed'
fi
[ -f "$image" ] || die "there is no image $image"
[ -f "$package" ] || die "there is no package $package"
for number in "$iterations" "$port" "$cpus" "$minutes"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "$number is no number from 1 on"
done
for program in qemu-system-x86_64 qemu-img ssh scp timeout; do
    command -v "$program" >/dev/null || die "$program is not installed"
done
name=$(basename "$package" .zip)
# What is in the names goes through cmd.exe.
[[ $name =~ ^[A-Za-z0-9._-]+$ ]] || die "the package's name has characters that it should not have: $name"

mkdir -p "$results"
place=$(mktemp -d)
disk=$place/disk.qcow2
qemu=''

# Switches the machine off, as one pulls a plug.
switch_off() {
    if [ -n "$qemu" ]; then
        kill "$qemu" 2>/dev/null || true
        wait "$qemu" 2>/dev/null || true
        qemu=''
    fi
}

# shellcheck disable=SC2317 # The trap reaches it.
clean_up() {
    if [ "$keep" = yes ] && [ -n "$qemu" ]; then
        printf 'the machine runs on as process %s, with the disk %s\n' "$qemu" "$disk"
        return
    fi
    switch_off
    rm -rf "$place"
}
trap clean_up EXIT

format=$(qemu-img info --output=json "$image" | sed -n 's/^ *"format": "\([a-z0-9]*\)".*/\1/p' | tail -n 1)
qemu-img create -q -f qcow2 -F "${format:?qemu-img does not tell the format of the image}" \
    -b "$(realpath "$image")" "$disk"

switch_on() {
    local arguments=(-machine q35 -m "$memory" -smp "$cpus" -display none -serial "file:$place/serial.log"
        -drive "file=$disk,if=ide,index=0,media=disk,format=qcow2,cache=writeback"
        -nic "user,model=e1000e,hostfwd=tcp:127.0.0.1:$port-:22" -rtc base=localtime)
    if [ -w /dev/kvm ]; then
        arguments+=(-accel kvm -cpu 'host,hv_relaxed,hv_spinlocks=0x1fff,hv_vapic,hv_time')
    else
        printf 'there is no KVM here: the machine is emulated, and slow\n' >&2
        arguments+=(-accel tcg -cpu max)
    fi
    if [ -n "$firmware" ]; then
        arguments+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$firmware")
    fi
    qemu-system-x86_64 "${arguments[@]}" "${more[@]}" </dev/null >"$place/qemu.log" 2>&1 &
    qemu=$!
}

options=(-o BatchMode=yes -o StrictHostKeyChecking=no -o "UserKnownHostsFile=$place/known_hosts"
    -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=6 -o LogLevel=ERROR)
[ -z "$key" ] || options+=(-i "$key")

# Runs a command in the machine; 255 is ssh's own failure, 124 that of the time-out.
guest() {
    timeout "${minutes}m" ssh "${options[@]}" -p "$port" "$user@127.0.0.1" "$@" </dev/null
}

# Waits until the machine answers, and prints when it was started.
wait_for_guest() {
    local end=$((SECONDS + minutes * 60)) boot
    # Down to the minute: the time moves a little when the clock is set.
    local ask="powershell -NoProfile -Command \"(Get-CimInstance Win32_OperatingSystem)"
    ask+=".LastBootUpTime.ToString('yyyyMMddHHmm')\""
    while [ $SECONDS -lt $end ]; do
        kill -0 "$qemu" 2>/dev/null || die "QEMU ended: $(tail -n 3 "$place/qemu.log")"
        if boot=$(guest "$ask" 2>/dev/null); then
            printf '%s\n' "${boot%$'\r'}"
            return
        fi
        sleep 5
    done
    die 'the machine does not answer'
}

printf 'starting the machine\n'
switch_on
boot=$(wait_for_guest)
printf 'copying the package\n'
guest 'if exist C:\apclab rmdir /s /q C:\apclab' || die 'C:\apclab cannot be removed there'
guest 'mkdir C:\apclab' || die 'C:\apclab cannot be made there'
scp -q "${options[@]}" -P "$port" "$package" "$user@127.0.0.1:/C:/apclab/package.zip" </dev/null ||
    die 'the package cannot be copied'
guest 'powershell -NoProfile -Command "Expand-Archive -LiteralPath C:\apclab\package.zip -DestinationPath C:\apclab"' ||
    die 'the package cannot be unpacked there'

call="powershell -NoProfile -ExecutionPolicy Bypass -File C:\\apclab\\$name\\scripts\\windows\\apclab.ps1"
call+=" -On ThisMachine -Package C:\\apclab\\$name -Results C:\\apclab\\results -Iterations $iterations"
[ "$verifier" = no ] || call+=' -Verifier'

# A suite has some hundred tests; a machine that stops that often has told enough.
most_calls=40
code=255
for ((i = 1; i <= most_calls; i++)); do
    printf 'call %s in the machine\n' "$i"
    code=0
    guest "$call" || code=$?
    case $code in
        10)
            guest 'shutdown /r /t 0' || true
            sleep 20
            boot=$(wait_for_guest)
            ;;
        124)
            # The next call finds in the journal which test it was; so it does after a bug check.
            printf 'the machine has not ended in time, and is switched off and on\n' >&2
            switch_off
            switch_on
            boot=$(wait_for_guest)
            ;;
        255)
            now=$(wait_for_guest)
            [ "$now" != "$boot" ] || printf 'the connection was lost, and the machine was not restarted\n' >&2
            printf 'the machine stopped; going on\n' >&2
            boot=$now
            ;;
        *) break ;;
    esac
done
scp -q -r "${options[@]}" -P "$port" "$user@127.0.0.1:/C:/apclab/results/." "$results" </dev/null ||
    die 'the results cannot be copied'
printf 'the results are in %s\n' "$results"
case $code in
    10 | 124 | 255) die "after $most_calls calls the machine still stops" ;;
esac
[ "$keep" = yes ] || guest 'shutdown /s /t 0' || true
exit "$code"
