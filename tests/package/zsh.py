# SPDX-License-Identifier: GPL-2.0-only
"""What zsh completes: an interactive zsh on a terminal of its own, asked by the Tab key."""
import os
import pty
import select
import time

# What completion functions offer goes through compadd; what it took is written down.
SETUP = r"""
PROMPT='' RPROMPT='' ; unsetopt beep
fpath=({functions} $fpath)
autoload -Uz compinit; compinit -u -D
compadd() {{
  local -a hits
  if [[ " $* " != *" -"[OAD]" "* ]]; then
    builtin compadd -A hits "$@"
    print -rl -- $hits >>{out}
  fi
  builtin compadd "$@"
}}
ask() {{ _main_complete; print -r -- '<end>' >>{out} }}
zle -C ask complete-word ask
bindkey '^I' ask
zstyle ':completion:*' insert-tab false
print -r -- '<end>' >>{out}
"""


class Zsh:
    """Owns the shell; close() ends it."""

    def __init__(self, functions, work, home):
        self.out = os.path.join(home, "zsh.out")
        setup = os.path.join(home, "zsh.setup")
        with open(setup, "w") as f:
            f.write(SETUP.format(functions=functions, out=self.out))
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(work)
            os.environ.update(TERM="dumb", HOME=home, ZDOTDIR=home)
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self._send("source %s\n" % setup)
        self._wait()

    def _send(self, text):
        os.write(self.fd, text.encode())

    def _wait(self):
        """Until the shell has written its mark. What it shows is of no interest."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.02)[0]:
                os.read(self.fd, 65536)
            try:
                with open(self.out) as f:
                    lines = f.read().split("\n")
            except FileNotFoundError:
                continue
            if "<end>" in lines:
                os.unlink(self.out)
                return [l for l in lines if l and l != "<end>"]
        raise TimeoutError("zsh does not answer")

    def complete(self, line):
        self._send(line + "\t")
        found = self._wait()
        # The line is taken back: Ctrl-U.
        self._send("\x15")
        return found

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)
