"""The command `lipsync-edge-web`. Exit codes: 0 fine, 1 failed, 2 bad usage or settings."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from lipsync_edge import __version__
from lipsync_edge.errors import LipsyncError
from lipsync_edge.notify import Notifier
from lipsync_edge.web import options
from lipsync_edge.web.options import WebOptions

_ABOUT = """\
The head's web page: its face, speaking, setting it up. It runs beside `lipsync-edge run`.

  lipsync-edge-web                 serve it
  lipsync-edge-web pin             print a new PIN for a phone that wants to log in
  lipsync-edge-web certificate     make https possible, which a browser wants for its microphone
  lipsync-edge-web --forget        log all phones out
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every error becomes a sentence on stderr and an exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO, force=True)
    logging.getLogger("tornado.general").setLevel(logging.ERROR)  # strangers could fill the journal
    os.umask(0o077)
    try:
        return _run(arguments)
    except LipsyncError as error:
        print(f"lipsync-edge-web: {error}", file=sys.stderr)
        Notifier().status(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lipsync-edge-web", description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"All options can stand in a section web: of {options.FILE}, too.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("what", nargs="?", default="serve", choices=("serve", "pin", "certificate"))
    parser.add_argument("--forget", action="store_true", help="log all phones out, and end")
    parser.add_argument("--config", type=Path, metavar="FILE",
                        help="the head's config: its service.socket names the socket")  # fmt: skip
    parser.add_argument("--settings", type=Path, metavar="FILE",
                        help=f"another file than {options.FILE}")  # fmt: skip
    for field in fields(WebOptions):
        _add(parser, field.name, field.metadata["rule"].help)
    return parser


def _add(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """An option as it is declared; a switch says the opposite of its default."""
    flag = name.replace("_", "-")
    if name == "public_live":
        parser.add_argument("--no-public-live", dest=name, action="store_const", const="false",
                            help="watching the face needs the PIN, too")  # fmt: skip
    elif name == "anywhere":
        parser.add_argument("--anywhere", action="store_const", const="true", help=text)
    else:
        parser.add_argument(f"--{flag}", metavar=flag.split("-")[-1].upper(), help=text)


def _run(arguments: argparse.Namespace) -> int:
    given = {f.name: getattr(arguments, f.name) for f in fields(WebOptions)}
    said = {name: text for name, text in given.items() if text is not None}
    chosen = options.load(arguments.settings, said)
    if arguments.config and not chosen.socket:
        chosen = replace(chosen, socket=options.head_socket(arguments.config))
    if arguments.forget:
        return _forget(chosen)
    return {"serve": _serve, "pin": _pin, "certificate": _certificate}[arguments.what](chosen)


def _serve(chosen: WebOptions) -> int:
    from lipsync_edge.web.server import serve

    if chosen.anywhere:
        logging.warning("anywhere: this page answers the whole internet, if that can reach it.")
    asyncio.run(serve(chosen, logging.info))
    return 0


def _forget(chosen: WebOptions) -> int:
    from lipsync_edge.web.sessions import forget

    forget(options.command_folder(chosen, "--forget"))
    print("All phones are logged out.")
    return 0


def _pin(chosen: WebOptions) -> int:
    from lipsync_edge.web.pairing import make_pin

    pin = make_pin(options.command_folder(chosen, "pin"))
    print(f"The PIN is {pin[:3]} {pin[3:]}, for ten minutes.")
    return 0


def _certificate(chosen: WebOptions) -> int:
    from lipsync_edge.web import certificate
    from lipsync_edge.web.hosts import Hosts

    names = Hosts(chosen.name_list).names()
    shown = certificate.make(options.command_folder(chosen, "certificate"), names)
    print(f"A certificate for {', '.join(names)}.\nIts fingerprint (SHA-256): {shown}\n"
          "Start the page again: sudo systemctl restart lipsync-edge-web")  # fmt: skip
    return 0
