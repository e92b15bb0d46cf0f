#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do manual pages, completions and documents have the options that the program has?

What is compared is what a user gets: pages as man and mandoc show them, completions as bash, zsh
and fish give them, and what the program takes. Needs no privilege.

    options.py BUILD
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from zsh import Zsh  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
KALOSS = os.path.join(BUILD, "kaloss")
passed = failed = 0

# Defaults that are not in struct kl_options, and the line that has them.
ELSEWHERE = {
    ("diagnose", "for"): ("user/cli/diagnose_live.c", "DEFAULT_NS (5 * 60 * KL_NS_PER_S)", "5m"),
    ("check", "duration"): ("user/cli/check.c", "DEFAULT_DURATION_S = 3,", "3s"),
    ("diagnose", "since"): ("user/cli/diagnose_history.c", "DEFAULT_NS (3600 * KL_NS_PER_S)", "1h"),
    # (Said, it holds for captures, too.)
    ("*", "connections"): ("user/cli/options.c", "CONNECTIONS = 65536,", "65536"),
    # (A text: not at one place in memory.)
    ("*", "subject-prefix"): ("user/core/subject.h", '#define KL_SUBJECT_PREFIX "kaloss"', "kaloss"),
    ("*", "poll-community"): ("user/source/switch_session.c", 'p->community ?: "public"', "public"),
}


def check(name, good, told=""):
    global passed, failed
    if good:
        passed += 1
        print("ok    %s" % name)
    else:
        failed += 1
        print("FAIL  %s: %s" % (name, told))


def same(name, got, want):
    """Of two sets."""
    got, want = set(got), set(want)
    check(name, got == want and want,
          "missing: %s; too many: %s" % (sorted(want - got), sorted(got - want)))


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **more)


def one_line(text):
    return " ".join(text.split())


class Option:
    def __init__(self, name, argument, text):
        self.name, self.argument, self.text = name, argument or "", text

    def item(self):
        """As a manual page shows it, in one line."""
        text = one_line(self.text)
        text = text[0].upper() + text[1:]
        if text[-1] not in ".!?":
            text += "."
        return one_line("--%s %s %s" % (self.name, self.argument, text))

    def default(self):
        found = re.search(r"\bdefault (\S+)", one_line(self.text))
        return found and found.group(1).rstrip(".,;)")


def options_of(verb):
    options, text = [], run(KALOSS, verb, "--help").stdout
    for line in text.split("\n"):
        found = re.match(r"  --([a-z0-9-]+)(?: (\S+))? +(\S.*)$", line)
        if found:
            options.append(Option(*found.groups()))
        elif options and line.startswith("   "):
            options[-1].text += " " + line
        elif options:
            break
    return options


def verbs_of_help():
    return re.findall(r"^  kaloss (\S+) ", run(KALOSS, "--help").stdout, re.M)


# ---- the program ----

def check_program(table):
    """The help lists what is parsed: each option, with or without an argument, and no other."""
    every = {o.name: o for options in table.values() for o in options}
    for verb, options in table.items():
        own, wrong = {o.name: o for o in options}, []
        for name in every:
            if name == "help":
                continue
            said = run(KALOSS, verb, "--" + name).stderr
            if name in own:
                if "unknown option" in said or \
                        ("needs an argument" in said) != bool(own[name].argument):
                    wrong.append((name, said))
            # (Of a unique beginning getopt makes the option.)
            elif "unknown option" not in said and not [n for n in own if n.startswith(name)]:
                wrong.append((name, said))
        check("%s takes what its help lists" % verb, not wrong, wrong)


def check_defaults(table):
    for verb, options in table.items():
        wrong, count = [], 0
        for o in options:
            value = o.default()
            if not value:
                continue
            count += 1
            elsewhere = ELSEWHERE.get((verb, o.name)) or ELSEWHERE.get(("*", o.name))
            if elsewhere:
                path, line, want = elsewhere
                with open(path) as f:
                    if value != want or line not in f.read():
                        wrong.append("--%s: %s, and %s has no longer %s" % (o.name, value, path, line))
                continue
            needs = {"poll-interval": ["--poll-switch", "192.0.2.1"]}.get(o.name, [])
            said = run(os.path.join(BUILD, "tests/package/same-default"), verb, "--" + o.name, value,
                       *needs)
            if said.stdout != "equal\n":
                wrong.append("--%s %s: %s" % (o.name, value, said.stdout + said.stderr))
        check("%s: the %d defaults that its help names are the defaults" % (verb, count),
              count and not wrong, wrong)
    said = run(os.path.join(BUILD, "tests/package/same-default"), "watch", "--deadline", "2s").stdout
    check("another value than the default is told apart", said == "differs\n", said)


# ---- manual pages ----

def rendered(page):
    """A page in plain text, by mandoc and by groff, in lines as wide as they are long."""
    mandoc = run("mandoc", "-Tascii", "-Owidth=400", page).stdout
    man = run("man", "-P", "cat", "-l", page,
              env=dict(os.environ, MANWIDTH="400", LC_ALL="C", MAN_KEEP_FORMATTING="")).stdout
    for text in mandoc, man:
        yield re.sub(r".\x08|\x1b\[[0-9;]*m", "", text)


def items(text):
    """The items of the lists of options, each in one line."""
    found, here = [], False
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip())
        if re.match(r" {5}--[a-z]", line):
            found.append(line)
            here = True
        elif here and depth > 5:
            found[-1] += " " + line
        elif line.strip():
            here = False
    return [one_line(f) for f in found]


def duration_of(text):
    """The sentence that says how one is written."""
    found = re.search(r"\bA DURATION is [^.]+\.", one_line(text))
    return found.group() if found else "no sentence"


def reloads_of(text, before):
    """The keys that a text lists behind those words."""
    found = re.search(re.escape(before) + r" ([a-z, -]+)[.;]", one_line(re.sub(r"^#", "", text, flags=re.M)))
    return re.split(r", | and ", found.group(1)) if found else []


def check_templates():
    """What is in the tree says that it is not what is installed; what is installed does not."""
    wrong = []
    for path in glob.glob("man/*.[1-8]") + glob.glob("completion/*"):
        texts = [open(p).read() for p in (path, os.path.join(BUILD, path))]
        if ["A template: " in text for text in texts] != [True, False]:
            wrong.append(path)
    check("templates say that they are", not wrong, wrong)


def check_pages(table):
    pages = sorted(glob.glob(BUILD + "/man/*.[1-8]"))
    same("a page for each verb", [os.path.basename(p) for p in pages if p.endswith(".1")],
         ["kaloss.1"] + ["kaloss-%s.1" % v for v in table])
    for page in pages:
        said = run("mandoc", "-Tlint", page).stdout
        # Pages of programs that are not installed here.
        said = "\n".join(l for l in said.split("\n") if l and "referenced manual not found" not in l
                         and "outdated mandoc.db" not in l)
        check("%s: nothing to be said by mandoc" % os.path.basename(page), not said, said)
        said = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page).stderr
        check("%s: nor by man" % os.path.basename(page), not said, said)
    for verb, options in table.items():
        want = [o.item() for o in options] + ["--version Print the version."]
        for reader, text in zip(("mandoc", "man"), rendered("%s/man/kaloss-%s.1" % (BUILD, verb))):
            same("kaloss-%s(1) has the options, by %s" % (verb, reader), items(text), want)
            check("and what a DURATION is", duration_of(run(KALOSS, verb, "--help").stdout) ==
                  duration_of(text), duration_of(text))
    if os.path.exists(BUILD + "/man/kaloss.conf.5"):
        check_keys(table["watch"])


def check_keys(options):
    """kaloss.conf(5) and the file that is installed: what is not for the command line only."""
    own = [o for o in options if o.name not in ("config", "check-config", "help")]
    reloads = reloads_of(run(KALOSS, "watch", "--help").stdout, "SIGHUP reloads, of the file of --config:")
    for reader, text in zip(("mandoc", "man"), rendered(BUILD + "/man/kaloss.conf.5")):
        same("kaloss.conf(5) has the keys, by %s" % reader,
             re.findall(r"^ {5}([a-z-]+ = \S+)", text, re.M),
             ["%s = %s" % (o.name, o.argument or "yes|no") for o in own])
        same("and those that reload, by %s" % reader,
             reloads_of(text, "These keys can change while it runs:"), reloads)
    if os.path.exists("conf/kaloss.conf"):
        with open("conf/kaloss.conf") as f:
            text = f.read()
        same("the installed kaloss.conf shows them all",
             re.findall(r"^#?([a-z-]+) = ", text, re.M), [o.name for o in own])
        same("and names those that reload", reloads_of(text, "Reloaded are"), reloads)


def check_words(table):
    """What pages and documents call an option is one."""
    known = {o.name for options in table.values() for o in options} | {"version"}
    # Of tests/run.sh, systemctl, scripts/kernels.sh and the bench.
    known |= {"no-skips", "now", "record", "quick", "json"}
    wrong = []
    texts = {p: open(p).read() for p in ["README.md"] + glob.glob("docs/*.md")}
    for page in glob.glob(BUILD + "/man/*.[1-8]"):
        texts[page] = next(rendered(page))
    for path, text in texts.items():
        for name in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]+)", text):
            if name.rstrip("-") not in known:
                wrong.append("%s: --%s" % (path, name))
    check("documents name no option that there is not", not wrong, wrong)


# ---- completions ----

BASH = r"""
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_kaloss
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash(*words):
    script = os.path.join(BUILD, "completion/kaloss.bash")
    said = run("bash", "--norc", "-c", BASH, "bash", script, "kaloss", *words, cwd=WORK)
    return (said.stdout + said.stderr).split()


def fish(*words):
    line = " ".join(("kaloss",) + words)
    said = run("fish", "--no-config", "-c",
               "source %s/completion/kaloss.fish; complete -C '%s'" % (BUILD, line),
               cwd=WORK, env=dict(os.environ, HOME=HOME, XDG_CONFIG_HOME=HOME, XDG_DATA_HOME=HOME))
    return [l.split("\t")[0] for l in (said.stdout + said.stderr).split("\n") if l]


def zsh(*words):
    return ZSH.complete(" ".join(("kaloss",) + words))


def last_items(found):
    """Of a comma list; some shells give all of it, some the item. And of --option=value."""
    return [re.sub(r".*[,=]", "", f) for f in found]


def interfaces():
    return [os.path.basename(os.path.dirname(p)) for p in glob.glob("/sys/class/net/*/")]


def check_shell(shell, ask, table):
    same("%s: verbs" % shell, [w for w in ask("") if not w.startswith("-")], table)
    same("%s: a verb that was begun" % shell, ask("dia"), ["diagnose"])
    for verb, options in table.items():
        same("%s: the options of %s" % (shell, verb), ask(verb, "--"),
             ["--" + o.name for o in options] + ["--version"])
        wrong = []
        for o in options:
            if not o.argument:
                continue
            got = set(ask(verb, "--" + o.name, ""))
            if "|" in o.argument:
                want = set(o.argument.split("|"))
            elif o.argument.startswith("IF"):
                want = set(interfaces())
            elif o.argument.startswith("FILE"):
                want = {"one.pcap", "two.pcap"}
            else:
                want = set()
            if got != want:
                wrong.append("--%s %s: %s" % (o.name, o.argument, sorted(got)))
        check("%s: the values of the options of %s" % (shell, verb), not wrong, wrong)
    # (zsh leaves out what is in the list already.)
    got = set(last_items(ask("watch", "--access", "lo,"))) - {"lo"}
    check("%s: a second interface" % shell, got == set(interfaces()) - {"lo"}, got)
    same("%s: a second file" % shell,
         last_items(ask("diagnose", "--access-capture", "one.pcap,tw")), ["two.pcap"])
    same("%s: a value that was begun" % shell, ask("diagnose", "--format", "h"), ["html"])


def check_completions(table):
    global ZSH
    for name in "one.pcap", "two.pcap":
        open(os.path.join(WORK, name), "w").close()
    check_shell("bash", bash, table)
    same("bash: --option=value", bash("watch", "--hook", "=", "x"), ["xdp"])
    same("bash: --option=", bash("watch", "--hook", "="), ["auto", "xdp", "tc"])
    check_shell("fish", fish, table)
    same("fish: --option=value", last_items(fish("watch", "--hook=x")), ["xdp"])
    ZSH = Zsh(os.path.join(BUILD, "completion"), WORK, HOME)
    try:
        check_shell("zsh", zsh, table)
        same("zsh: --option=value", last_items(zsh("watch", "--hook=x")), ["xdp"])
    finally:
        ZSH.close()


def main():
    verbs = verbs_of_help()
    table = {verb: options_of(verb) for verb in verbs}
    check("there are verbs, each with options", len(verbs) > 2 and all(table.values()), table)
    check_program(table)
    check_defaults(table)
    check_templates()
    check_pages(table)
    check_words(table)
    check_completions(table)


with tempfile.TemporaryDirectory() as WORK, tempfile.TemporaryDirectory() as HOME:
    main()
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
