# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel (PEP 517) by the standard library alone: the package, the shared library that CMake
makes, the header it was made of, and the CUDA plugin where that is built, too.

    pip wheel host/python                               configures and builds into build-python
    pip wheel host/python --config-settings build=DIR   takes the library of a build folder"""

import base64
import hashlib
import os
import re
import subprocess
import sysconfig
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def _read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def _version():
    return re.search(r"project\(cohort VERSION ([\d.]+)", _read(ROOT, "CMakeLists.txt"))[1]


def _build_folder(settings):
    given = (settings or {}).get("build")
    folder = os.path.abspath(given) if given else os.path.join(ROOT, "build-python")
    if not given:
        subprocess.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DCOHORT_SHARED=ON", "-DCOHORT_TESTS=OFF"], check=True)
        subprocess.run(["cmake", "--build", folder, "--target", "libcohort_shared"], check=True)
    if not os.path.exists(os.path.join(folder, "libcohort.so")):
        raise SystemExit(f"there is no libcohort.so in '{folder}': configure it with -DCOHORT_SHARED=ON and build "
                         "the target libcohort_shared")
    return folder


def _metadata():
    """The package's, of what pyproject.toml says."""
    text = _read(HERE, "pyproject.toml")
    value = lambda key: re.search(rf'^{key} = "(.*)"', text, re.M)[1]
    return (f"Metadata-Version: 2.1\nName: {value('name')}\nVersion: {_version()}\nSummary: {value('description')}\n"
            f"License: Apache-2.0\nRequires-Python: {value('requires-python')}\n"
            + "".join(f"Requires-Dist: {one}\n" for one in re.findall(r'"(.*?)"', re.search(
                r"^dependencies = \[(.*)\]", text, re.M)[1]))
            + "Description-Content-Type: text/markdown\n\n" + _read(HERE, "README.md"))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Writes the wheel and returns its name."""
    build, version = _build_folder(config_settings), _version()
    tag = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
    package, info = os.path.join(HERE, "cohort"), f"cohort-{version}.dist-info"
    files = {f"cohort/{name}": os.path.join(package, name) for name in sorted(os.listdir(package))
             if name.endswith((".py", ".typed"))}
    files |= {f"cohort/{name}": os.path.join(ROOT, "host", name) for name in sorted(os.listdir(os.path.join(ROOT, "host")))
              if name.startswith("cohort") and name.endswith(".h")}
    files["cohort/libcohort.so"] = os.path.join(build, "libcohort.so")
    plugin = os.path.join(build, "libcohort_cuda.so")
    if os.path.exists(plugin):
        files["cohort/libcohort_cuda.so"] = plugin
    texts = {f"{info}/METADATA": _metadata(),
             f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: cohort\nRoot-Is-Purelib: false\nTag: {tag}\n",
             f"{info}/LICENSE": _read(ROOT, "LICENSE")}
    name = f"cohort-{version}-{tag}.whl"
    record = []
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        def add(path, data):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}\n")
            wheel.writestr(path, data)
        for path, source in files.items():
            with open(source, "rb") as file:
                add(path, file.read())
        for path, text in texts.items():
            add(path, text.encode())
        wheel.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return name


def build_sdist(sdist_directory, config_settings=None):
    """There is none: the library's source is the repository."""
    raise SystemExit("cohort has no source distribution; build a wheel from its repository")
