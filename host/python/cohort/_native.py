# SPDX-License-Identifier: Apache-2.0
"""The shared library by ctypes. Structs, callbacks and functions are read from cohort.h and its parts, which lie
beside the library in the wheel: what Python passes cannot differ from what the library was built of."""

from __future__ import annotations

import ctypes
import os
import re
from typing import Any

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_BASE = {"int": ctypes.c_int, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64, "long": ctypes.c_long,
         "double": ctypes.c_double, "float": ctypes.c_float, "bool": ctypes.c_bool, "char": ctypes.c_char,
         "cohort_status": ctypes.c_int, "void": None}

structs: dict[str, Any] = {}
constants: dict[str, int] = {}
_types: dict[str, Any] = dict(_BASE)


def _type_of(base: str, stars: int) -> Any:
    """What C calls BASE with so many stars. Structs that are not told, and void, are pointers only."""
    kind = _types.get(base)
    if base == "char" and stars:
        kind, stars = ctypes.c_char_p, stars - 1
    elif kind is None and stars:
        kind, stars = ctypes.c_void_p, stars - 1
    for _ in range(stars):
        kind = ctypes.POINTER(kind)
    return kind


def _declared(text: str) -> list[tuple[str, Any]]:
    """The names and types of one declaration: "const char *a, *const *b[2]"."""
    callback = re.fullmatch(r"(.+?)\(\*(\w+)\)\((.*)\)", text, re.S)
    if callback:
        return [(callback[2], _callback(callback[1], callback[3]))]
    words = re.sub(r"\b(const|volatile|struct|enum)\b", " ", text)
    parts = re.match(r"\s*(\w+)(.*)", words, re.S)
    assert parts, text
    found = []
    for one in parts[2].split(","):
        declarator = re.fullmatch(r"([\s*]*)(\w*)\s*(?:\[(\d+)\])?\s*", one, re.S)
        assert declarator, text
        kind = _type_of(parts[1], declarator[1].count("*"))
        found.append((declarator[2], kind * int(declarator[3]) if declarator[3] else kind))
    return found


def _arguments(text: str) -> list[Any]:
    return [] if text.strip() == "void" else [_declared(one)[0][1] for one in text.split(",")]


def _callback(result: str, arguments: str) -> Any:
    return ctypes.CFUNCTYPE(_declared(result)[0][1], *_arguments(arguments))


def _read_header(library: ctypes.CDLL, text: str) -> None:
    text = re.sub(r"//[^\n]*|^\s*#[^\n]*", "", text, flags=re.M)
    statement = re.compile(
        r"typedef enum \w+ \{(?P<enum>[^}]*)\} (?P<enum_name>\w+);"
        r"|typedef (?P<callback>[^;{(]+)\(\*(?P<callback_name>\w+)\)\((?P<callback_arguments>[^;]*)\);"
        r"|typedef struct \w+ \{(?P<struct>[^}]*)\} (?P<struct_name>\w+);"
        r"|COHORT_API (?P<result>[^(;]*?)(?P<function>\w+)\((?P<arguments>[^;]*)\);")
    for found in statement.finditer(text):
        if found["enum_name"]:
            for value, name in enumerate(found["enum"].replace(" ", "").strip().split(",")):
                constants[name.strip()] = value
            _types[found["enum_name"]] = ctypes.c_int
        elif found["callback_name"]:
            _types[found["callback_name"]] = _callback(found["callback"], found["callback_arguments"])
        elif found["struct_name"]:
            fields = [field for line in found["struct"].split(";") if line.strip() for field in _declared(line.strip())]
            made = type(found["struct_name"], (ctypes.Structure,), {"_fields_": fields})
            structs[found["struct_name"]] = _types[found["struct_name"]] = made
        else:
            function = getattr(library, found["function"])
            function.restype = _declared(found["result"])[0][1]
            function.argtypes = _arguments(found["arguments"])


def _open(path: str) -> ctypes.CDLL:
    """With threads that spin but shortly for one another, as in the program: libgomp reads this once, when it
    is loaded, where it is not there already. cuBLAS reads its variable when a GPU is opened: equal bits in each run."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:2"
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        return ctypes.CDLL(path)
    os.environ["GOMP_SPINCOUNT"] = "10000"
    try:
        return ctypes.CDLL(path)
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _headers(name: str, known: set[str]) -> str:
    """A header, behind those that it includes, each once."""
    known.add(name)
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as header:
        text = header.read()
    included = re.findall(r'^#include "(\w+\.h)"', text, re.M)
    return "".join(_headers(one, known) for one in included if one not in known) + text


def _load() -> ctypes.CDLL:
    try:
        library = _open(os.path.join(_FOLDER, "libcohort.so"))
    except OSError as error:
        raise ImportError(f"cohort: {error}. The library was built for this machine's own packages; "
                          "`scripts/deps --install --group run` of Cohort's source installs them") from None
    _read_header(library, _headers("cohort.h", set()))
    return library


library = _load()


def callback(name: str) -> Any:
    """The ctypes prototype of a callback of cohort.h."""
    return _types[name]


def _count_field(kind: Any, field: str) -> str:
    """The member that tells how many `field` has: targets, target_count."""
    members = {name for name, _ in kind._fields_}
    for name in (f"{field}_count", f"{field[:-1]}_count"):
        if name in members:
            return name
    raise AssertionError(field)


def _set(struct: Any, field: str, kind: Any, value: Any) -> None:
    if kind is ctypes.c_char_p:
        value = os.fsencode(value)
    elif kind in (ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_int64)):
        items: list[Any] = [value] if isinstance(value, (str, os.PathLike, int)) else list(value)
        setattr(struct, _count_field(type(struct), field), len(items))
        if kind is ctypes.POINTER(ctypes.c_char_p):
            items = [os.fsencode(item) for item in items]
        value = (kind._type_ * len(items))(*items)
    elif isinstance(value, (list, tuple)):
        value = kind(*(os.fsencode(item) for item in value))
    setattr(struct, field, value)


def fill(struct: Any, options: dict[str, Any]) -> None:
    """Sets members by name, those of structs inside as well; None is as if it were not given. The struct
    keeps alive what it points to."""
    known = {}
    for field, kind in type(struct)._fields_:
        if issubclass(kind, ctypes.Structure):
            inner = getattr(struct, field)
            known.update({name: (inner, its) for name, its in kind._fields_ if name not in known})
        elif not field.endswith("_count"):
            known[field] = (struct, kind)
    for name, value in options.items():
        if name not in known or name.endswith("_count"):
            allowed = ", ".join(sorted(field for field in known if not field.endswith("_count")))
            raise TypeError(f"there is no option '{name}'; there are {allowed}")
        if value is not None:
            _set(known[name][0], name, known[name][1], value)
