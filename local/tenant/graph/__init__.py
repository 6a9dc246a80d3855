"""The emulated Microsoft Graph v1.0: change-notification subscriptions, users, groups, photos and `$batch`.

Stricter than the real one where the documents allow: a query parameter, property or permission that they do
not name is refused. Where the truth is unknown a knob in `local.tenant.knobs.Knobs` decides.

What it does not play: the beta endpoint, delta queries, groups but for the people in them, writing photos,
rich notifications, throttling (which the tenant does before Graph hears of a request), the one-hour life of
the token behind a subscription, and lifecycle events that come by themselves (somebody has to ask for them).
"""

from local.tenant.graph.face import Graph

__all__ = ["Graph"]
