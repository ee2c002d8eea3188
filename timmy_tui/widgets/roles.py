"""What each role of a span looks like: asked of the stylesheet once per screen, not once per widget."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget

ROLES = frozenset(
    {
        "text",
        "quiet",
        "strong",
        "title",
        "title-focus",
        "frame",
        "frame-focus",
        "rule",
        "ok",
        "warning",
        "critical",
        "fallback",
        "unknown",
        "info",
        "key",
        "bar",
        "bar-over",
        "bar-empty",
        "spark",
        "match",
        "changed",
        "selected",
        "demo",
    }
)


class RoleStyles(Widget):
    """A screen whose line views look alike.

    The roles are component classes of the screen (``role--ok`` in ``styles.tcss``). As component classes of each line
    view Textual would match 20 roles against every rule for every view, at every style update: a fifth of the time
    to the first paint.
    """

    COMPONENT_CLASSES = {f"role--{role}" for role in ROLES}

    _role_styles: dict[str, Style] | None = None

    def role_style(self, role: str) -> Style:
        """What a role adds to the style of the view it stands in; ``role!`` is the role under the cursor."""
        if self._role_styles is None:
            self._role_styles = {}
        style = self._role_styles.get(role)
        if style is None:
            if role.endswith("!"):
                # Quiet text would drown in the cursor's colour.
                base = "text" if role in ("quiet!", "unknown!") else role[:-1]
                style = self.role_style(base) + self.role_style("selected")
            else:
                style = self.get_component_rich_style(f"role--{role}", partial=True)
            self._role_styles[role] = style
        return style

    def notify_style_update(self) -> None:
        """A theme changed: the roles look different now."""
        self._role_styles = None
        super().notify_style_update()
