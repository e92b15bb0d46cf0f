#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do links in documents lead somewhere? One line for each that does not; addresses of the net are left.

    links.py DIRECTORY...     the *.md in each
"""
import glob
import os
import re
import sys


def prose(path):
    """Without what is only shown: code is no link."""
    with open(path) as f:
        return re.sub(r"^```.*?^```|`[^`]*`", "", f.read(), flags=re.S | re.M)


def anchors(path):
    """What the headings of a page are called in links to them."""
    with open(path) as f:
        headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", f.read(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def is_there(page, link):
    path, _, anchor = link.partition("#")
    path = os.path.join(os.path.dirname(page), path) if path else page
    return os.path.exists(path) and (not anchor or anchor in anchors(path))


count, wrong = 0, []
for directory in sys.argv[1:]:
    for page in sorted(glob.glob(os.path.join(directory, "*.md"))):
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            if not is_there(page, link):
                wrong.append("%s: no %s" % (page, link))
if not count:
    wrong.append("no link at all")
for line in wrong:
    print(line)
sys.exit(bool(wrong))
