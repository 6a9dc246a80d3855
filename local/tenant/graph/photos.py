"""Profile photos: metadata and bytes.

learn.microsoft.com/graph/api/profilephoto-get and learn.microsoft.com/graph/api/resources/profilephoto.

The photo is the stored one unchanged, of any shape and even if no decoder reads it: so invalid sources can be
played. `If-None-Match` is not honoured (github.com/microsoftgraph/microsoft-graph-docs/issues/5012). Other
sizes (`/photos/{size}`) and writing are not played: people change photos in the world.
"""

import base64
import json

from local.tenant.directory.world import Person, Photo, World
from local.tenant.graph.users import absent
from local.tenant.graph.wire import CONTEXT, ROOT, GraphAnswer, GraphCall, GraphRefusal, NoPhoto

# The smallest possible GIF, which Graph may answer if a photo does not exist.
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
PLACEHOLDER = Photo(DOT, "", 1, 1, "image/gif")


class PhotoOperations:
    """The operations that read photos."""

    def __init__(self, world: World) -> None:
        self._world = world

    def show(self, call: GraphCall, user: str) -> GraphAnswer:
        """Answer the metadata of the largest photo."""
        call.allow()
        person, photo = self._photo(user)
        return GraphAnswer(
            200,
            {
                "@odata.context": f"{CONTEXT}users('{user}')/photo/$entity",
                "@odata.id": f"{ROOT}/users('{person.id}@{self._world.tenant_id}')/photo",
                "@odata.mediaContentType": photo.content_type,
                "@odata.mediaEtag": photo.etag,
                "id": f"{photo.width}x{photo.height}",
                "width": photo.width,
                "height": photo.height,
            },
        )

    def value(self, call: GraphCall, user: str) -> GraphAnswer:
        """Answer the bytes of the largest photo."""
        call.allow()
        _, photo = self._photo(user)
        etag = {"ETag": photo.etag} if photo.etag else {}
        return GraphAnswer(200, photo.data, {"Content-Type": photo.content_type, **etag})

    def _photo(self, user: str) -> tuple[Person, Photo]:
        """Return the user and their photo; its bytes may not be drawn yet."""
        knobs = self._world.knobs
        with self._world.lock:
            person = self._world.find(user)
            if person is None:
                raise _unresolved(user) if knobs.photo_user_gone == "UnknownError" else absent(user)
            if not person.mailbox and knobs.no_mailbox != "entra-photo":
                raise self._no_mailbox(user)
            if person.photo:
                return person, person.photo
        if knobs.no_photo == "1x1" and person.mailbox:
            return person, PLACEHOLDER
        # One message, several codes over the years:
        # github.com/Azure-Samples/ms-identity-dotnetcore-b2c-account-management/issues/23,
        # github.com/microsoftgraph/msgraph-sdk-dotnet-core/issues/851
        name = "Microsoft.Fast.Profile.Core.Exception.ImageNotFoundException"
        raise NoPhoto(404, knobs.no_photo_code, f"Exception of type '{name}' was thrown.")

    def _no_mailbox(self, user: str) -> GraphRefusal:
        knobs = self._world.knobs
        if knobs.no_mailbox == "unresolved":
            return _unresolved(user)
        if knobs.no_mailbox == "400":  # github.com/microsoftgraph/microsoft-graph-docs/issues/8877
            return GraphRefusal(400, "AuthenticationError", "Error authenticating with resource")
        # learn.microsoft.com/graph/known-issues, "Photo restrictions" (2021)
        return GraphRefusal(404, knobs.no_mailbox_code, "The SMTP address has no mailbox associated with it.")


def _unresolved(user: str) -> GraphRefusal:
    """Return the error of a photo store that cannot resolve the user: JSON inside the message.

    github.com/microsoftgraph/msgraph-beta-sdk-dotnet/issues/388
    """
    name = "Microsoft.Fast.Profile.Core.Exception.ProfileNotFoundException"
    inner = {
        "errorCode": "ErrorUserResolutionFailedUserDoesNotExist",
        "message": f"Exception of type '{name}' was thrown.",
        "target": user,
        "details": None,
        "innerError": None,
    }
    return GraphRefusal(404, "UnknownError", json.dumps(inner))
