#!/usr/bin/env python3
"""Runs a section of docs/clients.md as it stands: its blocks of shell, and what a comment beginning
with "the test:" adds to them, in an empty folder.

    page.py BUILD docs/clients.md SECTION
"""
import os
import re
import subprocess
import sys
import tempfile

build, page, section = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
text = open(page).read()
found = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
if not found:
    sys.exit(f"{page} has no section '{section}'")
parts = re.findall(r"^```sh\n(.*?)^```$|^<!-- the test:(.*?)-->$", found[1], re.M | re.S)
script = "\n".join(shown or added for shown, added in parts)
if not script.strip():
    sys.exit(f"'{section}' has no commands")

with tempfile.TemporaryDirectory(dir=build) as folder:
    subprocess.run([sys.executable, "-m", "venv", f"{folder}/python"], check=True)
    work = f"{folder}/work"
    os.makedirs(work)
    env = dict(os.environ, ARCBOX_SOURCE=os.path.dirname(os.path.dirname(page)),
               ARCBOX_CMAKE=f"{build}/scripts/arcbox.cmake", ARCBOX_RUNTIME_DIR=f"{folder}/run",
               ARCBOX_CACHE_DIR=f"{folder}/cache",
               PATH=f"{folder}/python/bin:{build}/src/cli:{build}/scripts:{os.environ['PATH']}")
    os.makedirs(f"{folder}/cache")
    os.makedirs(f"{folder}/run")
    try:
        done = subprocess.run(["bash", "-euxo", "pipefail", "-c", script], cwd=work, env=env)
    finally:
        subprocess.run(["arcbox", "daemon", "stop"], env=env, stdout=subprocess.DEVNULL)
sys.exit(done.returncode)
