"""A program of its own that draws one chart: a Vega-Lite spec with its rows as JSON on stdin, a PNG on stdout.

Apart from the app, because the engine that draws needs more memory than all sessions together, and only while it draws.
"""

from __future__ import annotations

import json
import sys

SCALE = 2.0


def main() -> None:
    """Draw what stdin says; no address may be asked for anything."""
    import vl_convert

    spec = json.load(sys.stdin)
    sys.stdout.buffer.write(vl_convert.vegalite_to_png(spec, scale=SCALE, allowed_base_urls=[]))


if __name__ == "__main__":
    main()
