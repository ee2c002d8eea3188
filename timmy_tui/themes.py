"""The console's own themes. Colours live here and, as variables only, in ``styles.tcss``."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="timmy-dark",
    primary="#7aa2c8",
    secondary="#9a8fc4",
    accent="#d9a866",
    foreground="#d6d9dc",
    background="#101418",
    surface="#161b20",
    panel="#20272e",
    success="#86b878",
    warning="#e0b050",
    error="#e5736b",
    dark=True,
    variables={
        "frame": "#39444f",
        "quiet": "#8794a0",
        "fallback": "#d3a8ff",
        "cursor-row": "#28333d",
        "bar-empty": "#333d46",
        "footer-key-foreground": "#d9a866",
    },
)

LIGHT = Theme(
    name="timmy-light",
    primary="#2c5f8a",
    secondary="#5d4d94",
    accent="#8a5a00",
    foreground="#1d2328",
    background="#f6f4ef",
    surface="#efece5",
    panel="#e4e0d7",
    success="#2f6b2a",
    warning="#8a5a00",
    error="#a8261c",
    dark=False,
    variables={
        "frame": "#b5b0a4",
        "quiet": "#5f6469",
        "fallback": "#74418a",
        "cursor-row": "#dcd7ca",
        "bar-empty": "#cbc6ba",
        "footer-key-foreground": "#8a5a00",
    },
)

CONTRAST = Theme(
    name="timmy-contrast",
    primary="#66ccff",
    secondary="#cc99ff",
    accent="#ffd24d",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    success="#66ff66",
    warning="#ffd24d",
    error="#ff6666",
    dark=True,
    variables={
        "frame": "#9a9a9a",
        "quiet": "#d0d0d0",
        "fallback": "#ff99ff",
        "cursor-row": "#00457a",
        "bar-empty": "#5a5a5a",
        "footer-key-foreground": "#ffd24d",
    },
)

OWN = (DARK, LIGHT, CONTRAST)

TERMINAL_VARIABLES = {
    "frame": "ansi_bright_black",
    "quiet": "ansi_bright_black",
    "fallback": "ansi_magenta",
    "cursor-row": "ansi_blue",
    "bar-empty": "ansi_bright_black",
}
"""What the built-in ``ansi-dark`` and ``ansi-light`` themes (the terminal's own colours) lack of our variables."""

CYCLE = ("timmy-dark", "timmy-light", "timmy-contrast", "ansi-dark", "ansi-light")
"""The order of ``ctrl+t``."""


def missing_variables(theme: Theme) -> dict[str, str]:
    """Our own variables for a theme that does not define them: any of Textual's, or the terminal's own colours."""
    if theme.variables.keys() >= TERMINAL_VARIABLES.keys():
        return {}
    if theme.ansi:
        return dict(TERMINAL_VARIABLES)
    colours = theme.to_color_system().generate()
    return {
        "frame": colours["surface-lighten-2"],
        "quiet": colours["foreground-darken-2"] if theme.dark else colours["foreground-lighten-2"],
        "fallback": colours["secondary"],
        "cursor-row": colours["panel-lighten-1"] if theme.dark else colours["panel-darken-1"],
        "bar-empty": colours["surface-lighten-2"] if theme.dark else colours["surface-darken-2"],
    }
