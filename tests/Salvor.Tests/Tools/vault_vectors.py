#!/usr/bin/env python3
"""The test vectors of the vault format: vaults from an independent writer, sound ones and ones that are damaged or hostile in one way
each, and what every reader must make of them.

    vault_vectors.py make FOLDER       writes them
    vault_vectors.py compare FOLDER    whether they are what this program makes
    vault_vectors.py check FOLDER      whether the second reader makes of them what the manifest says
"""
import json
import os
import sys

from vault_reader import Refusal, Restorer, Vault, digest_of, verify


def make():
    """All files by path, with the manifest."""
    from vault_wal_cases import CASES  # All of them: to judge them, none needs to be made.
    files, manifest, sound = {}, [], {}
    for case in CASES:
        base = sound.get(case.base, {})
        sound.setdefault(case.name, case.files)
        for key, content in case.files.items():
            if base.get(key) != content:
                files[f"{case.name}/{key}"] = content
        entry = {"name": case.name, "what": case.what, "base": case.base, "remove": sorted(base.keys() - case.files.keys()),
                 "key_file": case.key_file, "passphrase": case.passphrase, "expect": case.expect}
        manifest.append({name: value for name, value in entry.items() if value})
    files["manifest.json"] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def load(folder, name):
    files = {}
    for directory, _, names in os.walk(os.path.join(folder, name)):
        for file in names:
            path = os.path.join(directory, file)
            with open(path, "rb") as stream:
                files[os.path.relpath(path, os.path.join(folder, name))] = stream.read()
    return files


def save(folder, files):
    for path, content in files.items():
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)


class Memory:
    """Objects by key, as the reader wants them."""

    def __init__(self, files):
        self.files = files
        self.keys, self.read = files.keys, files.__getitem__

    def size(self, key):
        return len(self.files[key])


def outcomes(files, entry):
    """What the second reader makes of each point."""
    secrets = [entry[name].encode() if name in entry else None for name in ("passphrase", "key_file")]
    vault = None
    for point in entry["expect"]:
        try:
            vault = vault or Vault(Memory(files), *secrets)
            yield point, verify(vault) and "sound" if point == "verify" else digest_of(vault, Restorer(vault), point)
        except Refusal as error:
            words = str(error).split(":")[0].split(" ")
            yield point, words[0] if error.code == 6 else " ".join(words[:3])


def check(folder):
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as stream:
        manifest = json.load(stream)
    wrong, bases = [], {}
    for entry in manifest:
        own = load(folder, entry["name"])
        bases.setdefault(entry["name"], own)
        files = {key: content for key, content in (bases.get(entry.get("base"), {}) | own).items() if key not in entry.get("remove", ())}
        for point, found in outcomes(files, entry):
            if found not in entry["expect"][point].split(" or "):
                wrong.append(f"{entry['name']} {point}: {found}, not {entry['expect'][point]}")
    print("\n".join(wrong), file=sys.stderr)
    print(json.dumps({"checked": len(manifest)}))
    return 1 if wrong else 0


def compare(folder):
    made, stored = make(), load(folder, "")
    differing = sorted(key for key in made.keys() | stored.keys() - {"README.md", ".gitattributes"} if made.get(key) != stored.get(key))
    print("\n".join(f"{key} differs" for key in differing), file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    command, target = sys.argv[1:]
    if command == "make":
        save(target, make())
    else:
        sys.exit({"compare": compare, "check": check}[command](target))
