"""One request to SharePoint as its handlers get it: the caller, the host, and the form of the answer.

SharePoint answers in the OData form that `Accept` asks for: `odata=nometadata`, `minimalmetadata` (what a
bare `application/json` means) or `verbose`
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

_FORMS = ("nometadata", "minimalmetadata", "verbose")


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

    def form(self) -> str:
        """Return the OData form that the caller accepts; refuse a caller that accepts no JSON.

        SharePoint would answer in Atom then, which no client of this tenant reads: a missing header must fail
        here too, with the reason.
        """
        if form := _accepted_form(self.request):
            return form
        raise SharePointRefusal(
            406,
            -1,
            "Microsoft.SharePoint.Client.ClientServiceException",
            "SharePoint would answer in Atom; ask for application/json;odata=nometadata.",
        )

    def entity(self, kind: str, row: ODataRow, chosen: Sequence[str] | None = None) -> Response:
        """Answer one object of the OData type `kind`, cut down to the properties `chosen`."""
        return self._answer(kind, self._write_row(kind, row, chosen))

    def rows(self, kind: str, rows: Iterable[ODataRow], chosen: Sequence[str] | None = None) -> Response:
        """Answer a collection of objects of the OData type `kind`."""
        written = [self._write_row(kind, row, chosen) for row in rows]
        return self._answer(kind, {"results" if self.form() == "verbose" else "value": written})

    def result(self, name: str, kind: str = "", row: ODataRow | None = None) -> Response:
        """Answer the result of the function `name`: null, or an object of the OData type `kind`."""
        if self.form() == "verbose":
            return self._answer(name, {name: row})
        return self._answer(name, {"odata.null": True}) if row is None else self.entity(kind, row)

    def _write_row(self, kind: str, row: ODataRow, chosen: Sequence[str] | None) -> ODataRow:
        """Return a row in the caller's form: in the verbose one, objects have types and lists `results`."""
        cut = row if chosen is None else {name: row[name] for name in chosen}
        if self.form() != "verbose":
            return cut
        return {"__metadata": {"type": kind}} | {name: _write_value(value) for name, value in cut.items()}

    def _answer(self, kind: str, payload: ODataRow) -> Response:
        form = self.form()
        if form == "verbose":
            return json_response({"d": payload}, "application/json;odata=verbose;charset=utf-8")
        if form == "minimalmetadata":
            payload = {"odata.metadata": f"{self.site.origin}/_api/$metadata#{kind}", **payload}
        return json_response(payload, f"application/json;odata={form};streaming=true;charset=utf-8")


def refuse(request: Request, refusal: SharePointRefusal) -> Response:
    """Return a refusal in OData's error envelope; the verbose form has an older name for it."""
    verbose = _accepted_form(request) == "verbose"
    error = {"code": refusal.code, "message": {"lang": "en-US", "value": refusal.message}}
    kind = f"application/json;odata={'verbose' if verbose else 'nometadata'};charset=utf-8"
    return json_response({"error" if verbose else "odata.error": error}, kind, refusal.status)


def json_response(payload: object, content_type: str, status: int = 200) -> Response:
    """Return `payload` as a JSON response."""
    return Response(json.dumps(payload, ensure_ascii=False), status, content_type=content_type)


def _accepted_form(request: Request) -> str | None:
    """Return the first JSON form in the request's `Accept`, None where it names none."""
    for part in request.headers.get("Accept", "").split(","):
        kind, options = parse_options_header(part)
        if kind.lower() == "application/json":
            form = options.get("odata", "minimalmetadata").lower()
            return form if form in _FORMS else None
    return None


def _write_value(value: object) -> object:
    if not isinstance(value, list):
        return value
    if any(isinstance(item, Mapping) for item in value):  # the only lists of objects are key-value pairs
        return {"results": [{"__metadata": {"type": "SP.KeyValue"}, **item} for item in value]}
    return {"__metadata": {"type": "Collection(Edm.String)"}, "results": value}
