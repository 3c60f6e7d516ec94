# SPDX-License-Identifier: Apache-2.0
"""Runs every python block of a Markdown file in a fresh folder, then a program there."""
import os
import re
import subprocess
import sys
import tempfile

try:
    import h5py  # noqa: F401
except ImportError:
    if os.environ.get("CI"):
        sys.exit("h5py is missing (Debian: python3-h5py)")
    print("NOT RUN: no h5py (Debian: python3-h5py)")
    sys.exit(77)

readme, program = (os.path.abspath(p) for p in sys.argv[1:3])
with open(readme, encoding="utf-8") as f:
    blocks = re.findall(r"^```python\n(.*?)^```", f.read(), re.M | re.S)
if len(blocks) < 2:
    sys.exit("no python blocks in " + readme)
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for i, block in enumerate(blocks):
        exec(compile(block, f"{readme} block {i}", "exec"), {"__name__": f"block{i}"})
    code = subprocess.run([program]).returncode
    os.chdir("/")
sys.exit(code)
