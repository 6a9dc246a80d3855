"""One request to SharePoint as its handlers get it: the caller, the host, and the form of the answer.

SharePoint answers in the OData form that `Accept` asks for: `odata=nometadata`, `minimalmetadata` (what a
bare `application/json` means) or `verbose`
(learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from werkzeug.http import parse_options_header
from werkzeug.wrappers import Request, Response

from local.tenant.entra.tokens import Claims
from local.tenant.sharepoint.errors import SharePointRefusal, access_denied
from local.tenant.sharepoint.hosts import Site

ODataForm = Literal["nometadata", "minimalmetadata", "verbose"]
ODataRow = Mapping[str, object]

_FORMS: dict[str, ODataForm] = {
    "nometadata": "nometadata",
    "minimalmetadata": "minimalmetadata",
    "verbose": "verbose",
}


@dataclass(frozen=True, slots=True)
class SharePointCall:
    """A request whose token was accepted. `trace` is the request's GUID, also in its `SPRequestGuid`."""

    request: Request
    site: Site
    claims: Claims
    trace: str

    def demand(self, *roles: str, denial: str | None = None) -> None:
        """Permit only an application that was granted one of `roles`.

        Raises:
            SharePointRefusal: it has none of them; the text is `denial` where SharePoint has a special one.
        """
        if self.claims.roles.isdisjoint(roles):
            raise access_denied(denial)

    def form(self) -> ODataForm:
        """Return the OData form the caller accepts.

        Raises:
            SharePointRefusal: none of the JSON forms. SharePoint would answer in Atom then, which no client
            of
                this tenant reads: a missing header must fail here too, with the reason.
        """
        form = accepted_form(self.request)
        if form is None:
            raise SharePointRefusal(
                406,
                -1,
                "Microsoft.SharePoint.Client.ClientServiceException",
                "SharePoint would answer in Atom; ask for application/json;odata=nometadata.",
            )
        return form

    def entity(self, kind: str, values: ODataRow, chosen: Sequence[str] | None = None) -> Response:
        """Answer one object of the OData type `kind`, cut down to the properties `chosen`."""
        row = values if chosen is None else {name: values[name] for name in chosen}
        return self._answer(kind, _write_row(row, kind, self.form()))

    def rows(self, kind: str, rows: Iterable[ODataRow], chosen: Sequence[str] | None = None) -> Response:
        """Answer a collection of objects of the OData type `kind`."""
        form = self.form()
        cut = [row if chosen is None else {name: row[name] for name in chosen} for row in rows]
        written = [_write_row(row, kind, form) for row in cut]
        return self._answer(kind, {"results": written} if form == "verbose" else {"value": written})

    def value(self, name: str, value: object) -> Response:
        """Answer one primitive value, null included, of a property or function `name`."""
        if self.form() == "verbose":
            return self._answer(name, {name: value})
        return self._answer(name, {"odata.null": True} if value is None else {"value": value})

    def _answer(self, kind: str, payload: ODataRow) -> Response:
        form = self.form()
        if form == "verbose":
            return json_response({"d": payload}, "application/json;odata=verbose;charset=utf-8")
        if form == "minimalmetadata":
            payload = {"odata.metadata": f"{self.site.origin}/_api/$metadata#{kind}", **payload}
        return json_response(payload, f"application/json;odata={form};streaming=true;charset=utf-8")


def accepted_form(request: Request) -> ODataForm | None:
    """Return the first JSON form in the request's `Accept`, None where it names none."""
    for part in request.headers.get("Accept", "").split(","):
        kind, options = parse_options_header(part)
        if kind.lower() == "application/json":
            return _FORMS.get(options.get("odata", "minimalmetadata").lower())
    return None


def json_response(payload: object, content_type: str, status: int = 200) -> Response:
    """Return `payload` as a JSON response."""
    return Response(json.dumps(payload, ensure_ascii=False), status, content_type=content_type)


def refuse(request: Request, refusal: SharePointRefusal) -> Response:
    """Return a refusal in OData's error envelope; the verbose form has an older name for it."""
    verbose = accepted_form(request) == "verbose"
    error = {"code": refusal.code, "message": {"lang": "en-US", "value": refusal.message}}
    kind = (
        "application/json;odata=verbose;charset=utf-8"
        if verbose
        else "application/json;odata=nometadata;charset=utf-8"
    )
    return json_response({"error" if verbose else "odata.error": error}, kind, refusal.status)


def _write_row(row: ODataRow, kind: str, form: ODataForm) -> dict[str, object]:
    """Return a row in a form: the verbose one has a type on each object and `results` around each list."""
    if form != "verbose":
        return dict(row)
    return {"__metadata": {"type": kind}} | {name: _write_value(value) for name, value in row.items()}


def _write_value(value: object) -> object:
    if not isinstance(value, list):
        return value
    if any(isinstance(item, Mapping) for item in value):  # the only lists of objects are key-value pairs
        return {"results": [{"__metadata": {"type": "SP.KeyValue"}, **item} for item in value]}
    return {"__metadata": {"type": "Collection(Edm.String)"}, "results": value}
