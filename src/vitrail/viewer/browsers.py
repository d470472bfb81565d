"""The user's own browser, where there is a screen to show it on."""

import os
import sys
import webbrowser


def has_screen() -> bool:
    """Whether a browser would have somewhere to show itself."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> bool:
    """Open the page where there is a screen and a browser; whether it did."""
    if not has_screen():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
