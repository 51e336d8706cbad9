"""`lipsync-tools draw`: the pictures of docs/motion.md, drawn from real runs."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"), help="folder")


def run(a: argparse.Namespace) -> int:
    """Draw and name the files."""
    from lipsync_tools.motion_pictures import draw_idea

    for path in draw_idea(a.output):
        print(path)
    return 0
