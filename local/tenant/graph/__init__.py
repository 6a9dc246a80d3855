"""The emulated Microsoft Graph v1.0: change-notification subscriptions, users, photos and `$batch`.

Stricter than the real one where the documents allow: a query parameter, property or permission that they do
not name is refused. Where the truth is unknown a knob in `local.tenant.knobs.Knobs` decides.

What it does not play: the beta endpoint, delta queries, groups, writing photos, rich notifications, Graph's
own throttling (the tenant's faults do that), the one-hour life of the token behind a subscription, and
lifecycle events that come by themselves (somebody has to ask for them).
"""

from local.tenant.graph.face import Graph

__all__ = ["Graph"]
