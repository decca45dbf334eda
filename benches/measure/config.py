"""Prints a config that names so many keys by their fingerprints, those of the log first.

    config.py STATE LOG TRUTH COUNT

A credential has two keys, so COUNT is even.
"""

import hashlib
import hmac
import json
import sys


def main():
    state, log, truth, count = sys.argv[1:]
    with open(f"{state}/fingerprint.key", "rb") as file:
        secret = file.read().strip()
    with open(truth) as file:
        keys = list(json.load(file)["keys"])[: int(count)]
    keys += [f"{number:032x}" for number in range(int(count) - len(keys))]
    print(f'state.dir = "{state}"\n[[source]]\nname = "edge"\npaths = ["{log}"]\n'
          'format = "combined"\ncredential = "query:api_key"')
    for number in range(0, len(keys), 2):
        named = [
            f'{{name="{name}",fingerprint="kd1:'
            + hmac.digest(secret, key.encode(), hashlib.sha256)[:16].hex() + '"}'
            for name, key in zip("ab", keys[number:number + 2])]
        print(f'[[credential]]\nname="c{number}"\nsources=["edge"]\nkeys=[{",".join(named)}]')


main()
