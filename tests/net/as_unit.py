#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the program of a systemd unit as systemd would: its user, capabilities, mounts and system calls.

as_unit.py UNIT DIR [OPTION...]: as root, in a mount namespace of its own (unshare -m). DIR holds the
program (kaloss), its options (kaloss.conf), the service manager's socket (notify) and the state
directory (state); it is /run/test inside, and state is /var/lib/NAME. OPTIONs go to the program.

What a line of the unit asks for is done here, or is named in ELSEWHERE; a line that is neither is an
error, so that the unit cannot promise what nobody has tried.
"""
import os
import re
import subprocess
import sys

import seccomp

USER = 61999  # of those that DynamicUser= takes
STAGE = "--in-place"

# Not of this process, or done by systemd alone.
ELSEWHERE = {
    "Description", "Documentation", "After", "Wants", "StartLimitIntervalSec", "WantedBy", "Type", "ExecReload",
    "WatchdogSec", "Restart", "RestartSec", "TimeoutStartSec", "TimeoutStopSec", "DynamicUser", "RemoveIPC", "PrivateIPC",
    "PrivateMounts", "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
    "LimitMEMLOCK", "RestrictSUIDSGID", "SystemCallErrorNumber", "NoNewPrivileges",
}
CLONE_NEW = 0x7E020080  # CLONE_NEWNS … CLONE_NEWNET, CLONE_NEWTIME
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17}


def read_unit(path):
    """Key: its values, in order."""
    unit = {}
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if line and line[0] not in "#;[":
            key, value = line.split("=", 1)
            unit.setdefault(key, []).append(value)
    return unit


class Unit:
    def __init__(self, path):
        self.values = read_unit(path)
        self.left = set(self.values) - ELSEWHERE

    def get(self, key):
        self.left.discard(key)
        return " ".join(self.values.get(key, []))

    def yes(self, key):
        return self.get(key) in ("yes", "strict", "invisible", "pid")


def run(*command):
    subprocess.run(command, check=True)


def mounted():
    """Mount points, the outer ones first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return [line.split()[4].encode().decode("unicode_escape") for line in f]


def tmpfs(where, mode):
    if os.path.isdir(where) and not os.path.islink(where):
        run("mount", "-t", "tmpfs", "-o", f"mode={mode},size=16m", "tmpfs", where)


def read_only(where):
    run("mount", "-o", "remount,bind,ro", where)


def private_devices():
    keep = [d for d in ("null", "zero", "full", "random", "urandom", "tty") if os.path.exists("/dev/" + d)]
    run("mount", "-t", "tmpfs", "-o", "mode=755,size=1m", "tmpfs", "/mnt")
    for device in keep:
        open("/mnt/" + device, "w", encoding="utf-8").close()
        run("mount", "--bind", "/dev/" + device, "/mnt/" + device)
    run("mount", "--move", "/mnt", "/dev")


def mounts(unit, directory):
    source = os.open(directory, os.O_PATH)
    here = f"/proc/{os.getpid()}/fd/{source}"
    state = unit.get("StateDirectory")
    os.chown(os.path.join(directory, "state"), USER, USER)
    tmpfs("/run", 755)
    os.makedirs("/run/test")
    run("mount", "--bind", here, "/run/test")
    tmpfs("/var/lib", 755)
    os.makedirs("/var/lib/" + state)
    run("mount", "--bind", here + "/state", "/var/lib/" + state)
    os.makedirs("/run/" + unit.get("RuntimeDirectory"))
    os.chown("/run/" + unit.get("RuntimeDirectory"), USER, USER)
    writable = ["/var/lib/" + state, "/run/" + unit.get("RuntimeDirectory")]
    run("mount", "--bind", writable[1], writable[1])
    if unit.yes("PrivateDevices"):
        private_devices()
    if unit.yes("ProtectHome"):
        for home in ("/home", "/root", "/run/user"):
            tmpfs(home, "000")
    tables = unit.yes("ProtectKernelTunables")
    if tables and os.path.exists("/proc/kallsyms"):
        run("mount", "--bind", "/dev/null", "/proc/kallsyms")
    hide = unit.yes("ProtectProc"), unit.yes("ProcSubset")
    if any(hide):
        options = ",".join(o for o, on in zip(("hidepid=invisible", "subset=pid"), hide) if on)
        run("mount", "-t", "proc", "-o", options, "proc", "/proc")
    if unit.yes("ProtectSystem"):
        for where in mounted():
            inside = where.startswith(("/proc", "/dev")) or (where.startswith("/sys") and not tables)
            if not inside and where not in writable and os.path.exists(where):
                read_only(where)
    if unit.yes("ProtectControlGroups") and os.path.isdir("/sys/fs/cgroup"):
        read_only("/sys")
    if unit.yes("PrivateTmp"):
        for where in ("/tmp", "/var/tmp"):
            tmpfs(where, 1777)
    os.close(source)


def capabilities(text):
    return "".join("," + "+" + c.removeprefix("CAP_").lower() for c in text.split())


def groups():
    """Each @group of system calls, as systemd knows it."""
    sets, name = {}, None
    out = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, capture_output=True, text=True)
    for line in re.sub(r"\x1b\[[0-9;]*m", "", out.stdout).splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            sets[name] = []
        elif name and line.startswith("    ") and word and word[0] != "#":
            sets[name].append(word)
        elif not line.strip():
            name = None
    return sets


def members(name, sets):
    if not name.startswith("@"):
        return {name}
    return set().union(*(members(n, sets) for n in sets[name]))


def allowed(unit):
    sets, names = groups(), set(members("@default", groups()))
    for line in unit.values["SystemCallFilter"]:
        take = line.startswith("~")
        for name in line.lstrip("~").split():
            names = names - members(name, sets) if take else names | members(name, sets)
    return names


def filter_calls(unit):
    """What systemd answers with an error kills here: so nothing goes unnoticed."""
    f = seccomp.SyscallFilter(defaction=seccomp.KILL_PROCESS)
    names = allowed(unit)
    unit.get("SystemCallFilter")
    special = {"socket": unit.get("RestrictAddressFamilies"),
               "clone": unit.yes("RestrictNamespaces"),
               "mmap": unit.yes("MemoryDenyWriteExecute"),
               "personality": unit.yes("LockPersonality"),
               "sched_setscheduler": unit.yes("RestrictRealtime")}
    names -= {name for name, on in special.items() if on}
    native = unit.get("SystemCallArchitectures") == "native"  # the filter has no other
    assert native
    if special["clone"]:
        names -= {"clone3", "unshare", "setns"}
        f.add_rule(seccomp.ERRNO(38), "clone3")  # as systemd does: its flags cannot be seen
        f.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_NEW, 0))
    if special["mmap"]:
        names -= {"mprotect", "pkey_mprotect", "shmat"}
        for bits in (0, 2, 4):
            f.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, 6, bits))
        f.add_rule(seccomp.ALLOW, "mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, 4, 0))
    families = {FAMILIES[name] for name in special["socket"].split()}
    for family in range(46):
        f.add_rule(seccomp.ALLOW if family in families else seccomp.ERRNO(97), "socket",
                   seccomp.Arg(0, seccomp.EQ, family))
    for name in sorted(names):
        if seccomp.resolve_syscall(seccomp.Arch(), name) >= 0:
            f.add_rule(seccomp.ALLOW, name)
    f.load()


def main():
    stage = sys.argv[1] == STAGE
    path, directory, *options = sys.argv[2:] if stage else sys.argv[1:]
    unit = Unit(path)
    program, *arguments = unit.get("ExecStart").split()
    ambient, bounding = unit.get("AmbientCapabilities"), unit.get("CapabilityBoundingSet")
    if not stage:
        for name in (path, os.path.abspath(__file__)):
            subprocess.run(["cp", name, directory], check=True)
        mounts(unit, directory)
        inside = ["/run/test/" + os.path.basename(n) for n in (__file__, path)]
        os.chdir("/")
        os.execvp("setpriv", [
            "setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--no-new-privs",
            "--inh-caps=-all" + capabilities(ambient), "--ambient-caps=-all" + capabilities(ambient),
            "--bounding-set=-all" + capabilities(bounding), "/usr/bin/python3", inside[0], STAGE, inside[1],
            "/run/test", *options])
    for done in ("StateDirectory", "RuntimeDirectory", "ProtectSystem", "ProtectHome", "ProtectProc",
                 "ProcSubset", "PrivateTmp", "PrivateDevices", "ProtectControlGroups",
                 "ProtectKernelTunables"):
        unit.get(done)
    os.umask(int(unit.get("UMask"), 8))
    watchdog = unit.values["WatchdogSec"][0]
    environment = {"PATH": "/usr/sbin:/usr/bin", "NOTIFY_SOCKET": "/run/test/notify",
                   "WATCHDOG_USEC": watchdog + "000000", "WATCHDOG_PID": str(os.getpid())}
    environment.update((k, os.environ[k]) for k in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if k in os.environ)
    filter_calls(unit)
    if unit.left:
        sys.exit(f"as_unit.py: nobody tries {', '.join(sorted(unit.left))} of {path}")
    arguments = [a.replace("/etc/", "/run/test/") for a in arguments]
    os.execve("/run/test/" + os.path.basename(program), [program, *arguments, *options], environment)


main()
