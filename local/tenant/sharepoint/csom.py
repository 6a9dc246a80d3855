"""CSOM's endpoint: POST /_vti_bin/client.svc/ProcessQuery, for PeopleManager's single-valued writes.

The request is XML: actions in order, each on an object path. The answer is always HTTP 200 and a JSON array:
a header with `ErrorInfo`, then an id and a result for each action that has one. A void
method has none (learn.microsoft.com/openspecs/sharepoint_protocols/ms-csom).

The actions before a failing one stay done, those after it are not tried (inferred: the protocol has no
transaction). The answer to XML that cannot be read is inferred too: an `ErrorInfo` like any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from werkzeug.wrappers import Response

from local.tenant.sharepoint.calls import SharePointCall, json_response
from local.tenant.sharepoint.errors import SharePointRefusal, bad_query, wrong_method
from local.tenant.sharepoint.people_manager import PeopleManager

NAMESPACE = "{http://schemas.microsoft.com/sharepoint/clientquery/2009}"
PEOPLE_MANAGER = "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"
MAX_BYTES = 2_097_152  # "The server does not allow messages larger than 2097152 bytes"
LIBRARY_VERSION = "16.0.26330.12017"


@dataclass(frozen=True, slots=True)
class CsomAction:
    """One action: `arguments` is None for `ObjectPath`, which only resolves the path."""

    id: int
    arguments: tuple[str, str, str] | None


def respond(call: SharePointCall, people: PeopleManager) -> Response:
    """Run a query and answer it; every error of a POST of XML goes into `ErrorInfo`."""
    if call.request.method != "POST":
        raise wrong_method(call.request.method, "ProcessQuery")
    if call.request.mimetype not in {"text/xml", "application/xml"}:
        raise bad_query("ProcessQuery takes text/xml.")
    results: list[object] = []
    error: dict[str, object] | None = None
    try:
        for action in parse_query(call.request.get_data()):
            if action.arguments is None:
                results += [action.id, {"IsNull": False}]
            else:
                people.write(call, *action.arguments)
    except SharePointRefusal as refusal:
        results = []
        error = {
            "ErrorMessage": refusal.message,
            "ErrorValue": None,
            "TraceCorrelationId": call.trace,
            "ErrorCode": refusal.hresult,
            "ErrorTypeName": refusal.kind,
        }
    header = {
        "SchemaVersion": "15.0.0.0",
        "LibraryVersion": LIBRARY_VERSION,
        "ErrorInfo": error,
        "TraceCorrelationId": call.trace,
    }
    return json_response([header, *results], "application/json; charset=utf-8")


def parse_query(body: bytes) -> Iterator[CsomAction]:
    """Return the actions of a query in order, the whole query checked before the first is yielded."""
    if len(body) > MAX_BYTES:
        raise bad_query(f"The request message is too big: more than {MAX_BYTES} bytes.")
    root = _parse_xml(body)
    actions, paths = _expect_children(root, "Actions", "ObjectPaths")
    ids = [_check_path(path) for path in paths]
    parsed = [_parse_action(action, set(ids)) for action in actions]
    ids += [action.id for action in parsed]
    if len(ids) != len(set(ids)):
        raise bad_query("An Id is used twice.")
    return iter(parsed)


def count_methods(body: bytes) -> int:
    """Return how many methods a query calls, valid or not."""
    return len(re.findall(rb"<(?:\w+:)?Method[\s/>]", body))


def _parse_xml(body: bytes) -> ET.Element:
    if b"<!DOCTYPE" in body:  # no entities, no external documents
        raise bad_query("The request must not contain a document type.")
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a document type there is nothing to expand
    except ET.ParseError as error:
        raise bad_query(f"The request is not well-formed XML: {error}.") from None
    if root.tag != f"{NAMESPACE}Request":
        raise bad_query(f"The root element must be Request in the namespace {NAMESPACE[1:-1]}.")
    for name in ("SchemaVersion", "LibraryVersion", "ApplicationName"):
        if not root.get(name):
            raise bad_query(f"The attribute {name} is missing.")
    return root


def _expect_children(parent: ET.Element, *names: str) -> list[ET.Element]:
    children = list(parent)
    if [child.tag for child in children] != [NAMESPACE + name for name in names]:
        raise bad_query(f"{_local_name(parent)} must contain {', '.join(names)}.")
    return children


def _check_path(path: ET.Element) -> int:
    kind = path.get("TypeId", "").lower()
    if path.tag != f"{NAMESPACE}Constructor" or kind != PEOPLE_MANAGER:
        raise bad_query(f"Cannot find a type for the object path {_local_name(path)} {kind}.")
    return _read_id(path, "Id")


def _parse_action(action: ET.Element, paths: set[int]) -> CsomAction:
    kind = _local_name(action)
    if action.tag != NAMESPACE + kind or kind not in {"ObjectPath", "Method"}:
        raise bad_query(f"The emulated tenant does not know the action {kind}.")
    if _read_id(action, "ObjectPathId") not in paths:
        raise bad_query(f"The action {action.get('Id')} is on an object path that does not exist.")
    number = _read_id(action, "Id")
    if kind == "ObjectPath":
        return CsomAction(number, None)
    name = action.get("Name", "")
    if name != "SetSingleValueProfileProperty":
        raise bad_query(f'Method "{name}" does not exist.')
    (parameters,) = _expect_children(action, "Parameters")
    return CsomAction(number, _read_parameters(parameters))


def _read_parameters(parameters: ET.Element) -> tuple[str, str, str]:
    account, name, value = _expect_children(parameters, "Parameter", "Parameter", "Parameter")
    for each in (account, name, value):
        if each.get("Type") != "String" or len(each):
            raise bad_query("SetSingleValueProfileProperty takes three parameters of the type String.")
    return account.text or "", name.text or "", value.text or ""


def _read_id(element: ET.Element, attribute: str) -> int:
    text = element.get(attribute, "")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise bad_query(f"{_local_name(element)} needs a number as {attribute}.")
    return int(text)


def _local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
