"""One request to SharePoint as its handlers get it: the caller, the host, and the form of the answer.

Of the OData forms that `Accept` can ask for, only `odata=nometadata` is played
(learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from werkzeug.http import parse_options_header
from werkzeug.wrappers import Request, Response

from local.tenant.entra.tokens import Claims
from local.tenant.sharepoint.errors import SharePointRefusal, access_denied
from local.tenant.sharepoint.hosts import Site

ODataRow = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SharePointCall:
    """A request whose token was accepted. `trace` is the request's GUID, also in its `SPRequestGuid`."""

    request: Request
    site: Site
    claims: Claims
    trace: str

    def demand(self, *roles: str, denial: str | None = None) -> None:
        """Permit only an application that was granted one of `roles`; `denial` replaces the usual text."""
        if self.claims.roles.isdisjoint(roles):
            raise access_denied(denial)

    def require_json(self) -> None:
        """Refuse a caller that does not accept JSON without metadata.

        SharePoint would answer in another form, or in Atom, which no client of this tenant reads: a missing
        header must fail here too, with the reason.
        """
        for part in self.request.headers.get("Accept", "").split(","):
            kind, options = parse_options_header(part)
            if kind.lower() == "application/json" and options.get("odata", "").lower() == "nometadata":
                return
        raise SharePointRefusal(
            406,
            -1,
            "Microsoft.SharePoint.Client.ClientServiceException",
            "SharePoint would answer in another form; ask for application/json;odata=nometadata.",
        )

    def entity(self, row: ODataRow, chosen: Sequence[str] | None = None) -> Response:
        """Answer one object, cut down to the properties `chosen`."""
        self.require_json()
        return _answer(_cut(row, chosen))

    def rows(self, rows: Iterable[ODataRow], chosen: Sequence[str] | None = None) -> Response:
        """Answer a collection of objects."""
        return self.entity({"value": [_cut(row, chosen) for row in rows]})

    def null(self) -> Response:
        """Answer null, the result of a function."""
        return self.entity({"odata.null": True})


def refuse(refusal: SharePointRefusal) -> Response:
    """Return a refusal in OData's error envelope."""
    error = {"code": refusal.code, "message": {"lang": "en-US", "value": refusal.message}}
    kind = "application/json;odata=nometadata;charset=utf-8"
    return json_response({"odata.error": error}, kind, refusal.status)


def json_response(payload: object, content_type: str, status: int = 200) -> Response:
    """Return `payload` as a JSON response."""
    return Response(json.dumps(payload, ensure_ascii=False), status, content_type=content_type)


def _answer(payload: ODataRow) -> Response:
    return json_response(payload, "application/json;odata=nometadata;streaming=true;charset=utf-8")


def _cut(row: ODataRow, chosen: Sequence[str] | None) -> ODataRow:
    return row if chosen is None else {name: row[name] for name in chosen}
