"""What a run of a script showed."""

from dataclasses import dataclass

DEFAULT = {"graph User.Read.All", "sharepoint User.ReadWrite.All", "sharepoint Sites.FullControl.All"}
"""The roles that it gives without options."""


@dataclass
class Run:
    """What a run said and returned, and how long it waited."""

    status: int
    out: str
    err: str
    waits: list[float]
