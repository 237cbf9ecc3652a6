"""`lar new`: a target from a function of Lance, ready for `lar validate`."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated

from cyclopts import Parameter


def make_target(
    name: str,
    /,
    *,
    upstream: Annotated[str | None, Parameter(help="CRATE::MODULE::FUNCTION of Lance.")] = None,
    call_site: Annotated[str | None, Parameter(help="FILE:LINE where Lance calls it.")] = None,
    cost: Annotated[float | None, Parameter(help="Its share of real work, 0.1 for 10 %.")] = None,
    json: bool = False,
) -> int:
    """Make a target from a free function of Lance over slices and scalars.

    Extracts the function and what it calls, writes targets/NAME with inputs, contract, adapter
    and notes, and pins the extracts. `lar validate NAME` then passes unedited; adapt the sizes
    and distributions. It requires call site and cost, and names each type that it cannot map.
    Example:

        lar new hamming --upstream lance-linalg::distance::hamming::hamming
            --call-site lance-index/src/vector/kmeans.rs:817 --cost 0.1

    Args:
        name: the target's name, lower case with dashes.
        json: print one JSON object instead of lines.
    """
    from lance_autoresearch.build.builder import build_kernel, compose_first_kernel
    from lance_autoresearch.errors import RejectedKernel
    from lance_autoresearch.host.checkout import find_root
    from lance_autoresearch.targets import scaffold

    root = find_root()
    order = scaffold.parse_order(root, name, upstream, call_site, cost)
    notes = scaffold.create_target(root, order, lambda line: print(line, file=sys.stderr))
    try:
        build_kernel(root, name, compose_first_kernel(root, name))
    except RejectedKernel as error:
        notes.append(f"the first kernel does not build yet: {error}")
    if json:
        body = {"target": name, "path": f"targets/{name}", "notes": notes}
        print(jsonlib.dumps(body | {"next": f"lar validate {name}"}))
        return 0
    print(f"made targets/{name}: " + ", ".join(scaffold.list_files(root, name)))
    for note in notes:
        print(f"  note: {note}")
    print(f"  next: lar validate {name}")
    return 0
