"""Are there known weaknesses in what the page and the head are made of? pip-audit's data say so.

    python -m lipsync_tools.audit PIP_AUDIT

Judged are the installed versions of what `lipsync-edge[web]` needs, and what that needs. Exit
codes: 0 none known, 1 some, 3 the data could not be had, so nobody knows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str, extra: str = "") -> dict[str, str]:
    """Versions by name of all that is installed for ``name``, without itself."""
    found: dict[str, str] = {}
    waiting = [(name, extra)]
    while waiting:
        current, wanted = waiting.pop()
        for line in metadata.requires(current) or ():
            requirement = Requirement(line)
            key = canonicalize_name(requirement.name)
            here = requirement.marker is None or requirement.marker.evaluate({"extra": wanted})
            if here and key not in found:
                found[key] = metadata.version(key)
                waiting += [(key, word) for word in (*requirement.extras, "")]
    return found


def ask(program: str, versions: dict[str, str]) -> tuple[list[str], list[str], str]:
    """Weaknesses, packages that could not be judged, and what the program said."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in sorted(versions.items()))
        file.flush()
        words = [program, "--format=json", "--no-deps", "--disable-pip", "--requirement", file.name]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return [], sorted(versions), done.stderr.strip()[-200:]
    weak = [f"{row['name']} {row['version']}: {found['id']}, mended in "
            f"{', '.join(found['fix_versions']) or 'no version'}"
            for row in rows for found in row.get("vulns", ())]  # fmt: skip
    skipped = [row for row in rows if "skip_reason" in row]
    return (
        weak,
        [row["name"] for row in skipped],
        (skipped or [{"skip_reason": ""}])[0]["skip_reason"],
    )


def main() -> int:
    """Print a line for each weakness."""
    versions = needed("lipsync-edge", "web")
    weak, unknown, why = ask(sys.argv[1], versions)
    print(*weak, sep="\n", end="\n" if weak else "")
    judged = len(versions) - len(unknown)
    print(f"audit: {judged} of {len(versions)} packages judged, {len(weak)} known weaknesses")
    if unknown:
        print(f"audit: NOT judged: {', '.join(unknown)} ({why})", file=sys.stderr)
        print("audit: pip-audit reached no data for them; it needs pypi.org", file=sys.stderr)
    return 1 if weak else 3 if unknown else 0


if __name__ == "__main__":
    raise SystemExit(main())
