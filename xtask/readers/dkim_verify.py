"""Verifies every DKIM signature of a mail with dkimpy, which shares no line with ours.

    dkim_verify.py MAIL NAME=RECORD...

NAME is the DNS name of a key, such as `a._domainkey.b.example`, RECORD its TXT record. Every key given
must be the key of a signature that holds, and every signature must hold. Exit code 1 otherwise.
"""

import pathlib
import sys

import dkim


def main():
    mail = pathlib.Path(sys.argv[1]).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    keys = dict(argument.split("=", 1) for argument in sys.argv[2:])
    asked = []

    def record(name, timeout=5):
        asked.append(name.decode().rstrip("."))
        return keys.get(asked[-1], "").encode()

    signatures = mail.split(b"\r\n\r\n")[0].lower().count(b"dkim-signature:")
    held = [dkim.DKIM(mail).verify(idx=index, dnsfunc=record) for index in range(signatures)]
    print(f"{held.count(True)} of {signatures} signatures hold, of {', '.join(asked)}")
    try:
        changed = dkim.DKIM(mail[:-4] + b"x\r\n").verify(dnsfunc=record)
    except dkim.ValidationError:
        changed = False
    return 0 if all(held) and not changed and set(asked) == set(keys) and keys else 1


if __name__ == "__main__":
    sys.exit(main())
