"""plotly.js, which draws the charts of a page: one file for all pages of a workspace, since it has 5 MB."""

import os
from pathlib import Path
from urllib.parse import quote

from plotly.offline import get_plotlyjs, get_plotlyjs_version

from components.base.atomic_files import write_whole


def share_script(workspace: Path, page: Path) -> str:
    """Writes the script into the workspace, if this version of it is not there.

    Args:
        workspace: The workspace.
        page: The page that needs it. It is in the workspace, so the link to the script stays right when the workspace is moved.

    Returns:
        The address of the script, relative to the page.

    Raises:
        InputError: The script cannot be written.
    """
    file = workspace / "assets" / f"plotly-{get_plotlyjs_version()}.min.js"
    if not file.exists():
        write_whole(file, [get_plotlyjs()])
    return quote(os.path.relpath(file, page.parent))
