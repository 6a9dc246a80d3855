"""A tenant's SharePoint without sockets: people, tokens, and requests straight to `SharePoint.respond`."""

import io
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from PIL import Image
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request

from local.tenant.directory.world import Person, Photo, World
from local.tenant.entra.tokens import Tokens
from local.tenant.sharepoint.service import SharePoint

MY, ADMIN, ROOT = "contoso-my.sharepoint.com", "contoso-admin.sharepoint.com", "contoso.sharepoint.com"
ROLES = ("User.ReadWrite.All", "Sites.FullControl.All")
JSON = "application/json;odata=nometadata"
PROCESS = "/_vti_bin/client.svc/ProcessQuery"
PEOPLE = "/_api/SP.UserProfiles.PeopleManager"
FOLDER = "/_api/web/GetFolderByServerRelativePath(decodedUrl='/User Photos/Profile Pictures')"
FILE = "/_api/web/GetFileByServerRelativePath(decodedUrl='/User Photos/Profile Pictures/{}')"
PEOPLE_MANAGER = "{cf560d69-0fdb-4489-a216-b6b47adf8ef8}"


class SharePointClient:
    """One tenant, and an application that asks it things."""

    def __init__(self, organisation: str = "contoso") -> None:
        self.world = World(organisation=organisation)
        self.tokens = Tokens(self.world)
        self.service = SharePoint(self.world, self.tokens)
        self._client = Client(Request.application(self.service.respond))

    def clear(self) -> None:
        self.world.reset()
        self.service.reset()

    def add(self, upn: str = "anna@contoso.com", **facts: object) -> Person:
        return self.world.add(Person(self.world.new_id(), upn, facts.pop("name", "Anna Berg"), **facts))

    def send(self, method, host, path, body=None, *, roles=ROLES, token=None, accept=JSON, **headers):
        bearer = token or self.tokens.issue(f"https://{host}", roles)
        sent = {"Authorization": f"Bearer {bearer}", "Accept": accept}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"json": body} if isinstance(body, dict) else {"data": body or b""}
        # Handed over as a server would: werkzeug's client takes a path of two slashes for a host and a path.
        target, _, query = path.partition("?")
        as_sent = {"REQUEST_URI": path, "PATH_INFO": unquote_to_bytes(target).decode("latin-1")}
        how = {"query_string": query, "headers": sent, "environ_overrides": as_sent, **content}
        return self._client.open(method=method, base_url=f"https://{host}", **how)

    def get(self, host: str, path: str, **how: object) -> TestResponse:
        return self.send("GET", host, path, **how)

    def profile(self, upn: str, *, host: str = ADMIN, tail: str = "", query: str = "", **how) -> TestResponse:
        path = f"{PEOPLE}/GetPropertiesFor(accountName=@v){tail}?@v='{claim(upn)}'{query}"
        return self.get(host, path, **how)

    def properties(self, upn: str) -> dict[str, str]:
        return {p["Key"]: p["Value"] for p in self.profile(upn).json["UserProfileProperties"]}

    def upload(self, name: str, data: bytes, **how: object) -> TestResponse:
        path = f"{FOLDER}/Files/AddUsingPath(decodedUrl='{name}',overwrite=true)"
        return self.send("POST", how.pop("host", MY), path, data, **how)

    def query(self, upn: str, *values: tuple[str, str], host: str = ADMIN, **how) -> dict[str, object] | None:
        """Set properties in one ProcessQuery and return its `ErrorInfo`."""
        body = query(upn, *values)
        response = self.send("POST", host, PROCESS, body, Content_Type="text/xml", **how)
        assert response.status_code == 200, response.text
        return response.json[0]["ErrorInfo"]

    def describe(self, person: Person) -> dict[str, object]:
        return self.service.describe(person.id)


def claim(upn: str) -> str:
    """Return an account as it stands in a URL's string literal."""
    return "i%3A0%23.f%7Cmembership%7C" + upn.replace("'", "''").replace("#", "%23").replace("@", "%40")


def query(upn: str, *values: tuple[str, str]) -> str:
    return wrap("".join(set_property(number, upn, *value) for number, value in enumerate(values, start=3)))


def set_property(number: int, upn: str, name: str, value: str) -> str:
    texts = (f"i:0#.f|membership|{upn}", name, value)
    parameters = "".join(f'<Parameter Type="String">{escape(text)}</Parameter>' for text in texts)
    return (
        f'<Method Name="SetSingleValueProfileProperty" Id="{number}" ObjectPathId="1">'
        f"<Parameters>{parameters}</Parameters></Method>"
    )


def wrap(actions: str, paths: str = f'<Constructor Id="1" TypeId="{PEOPLE_MANAGER}"/>') -> str:
    return (
        '<Request xmlns="http://schemas.microsoft.com/sharepoint/clientquery/2009" SchemaVersion="15.0.0.0"'
        ' LibraryVersion="16.0.0.0" ApplicationName="test">'
        f'<Actions><ObjectPath Id="2" ObjectPathId="1"/>{actions}</Actions>'
        f"<ObjectPaths>{paths}</ObjectPaths></Request>"
    )


def jpeg(size: tuple[int, int] = (72, 72), colour: str = "teal", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG", **options)
    return stream.getvalue()


def photo(colour: str = "teal") -> Photo:
    return Photo(jpeg((648, 648), colour), '"BA09D118"', 648, 648)
