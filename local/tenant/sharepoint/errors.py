"""The errors of SharePoint Online: a status, an HRESULT, a .NET type name and a sentence.

REST wraps the last three in an OData error, CSOM in `ErrorInfo`. Texts marked *inferred* are not
published by Microsoft; clients must not depend on them.
"""


class SharePointRefusal(Exception):
    """SharePoint answers with an error. Raised by every rule here, answered by `SharePoint.respond`."""

    def __init__(self, status: int, hresult: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.hresult = hresult
        self.kind = kind
        self.message = message

    @property
    def code(self) -> str:
        """The OData error's code, such as `-2147024891, System.UnauthorizedAccessException`."""
        return f"{self.hresult}, {self.kind}"


class Unauthorized(Exception):
    """The token is not accepted. The text is the body's `error_description`."""


def access_denied(message: str | None = None) -> SharePointRefusal:
    """Return the refusal of a caller whose valid token lacks the permission.

    learn.microsoft.com/openspecs/sharepoint_protocols/ms-csomspt has the code and the type.
    """
    text = "Access denied. You do not have permission to perform this action or access this resource."
    return SharePointRefusal(403, -2147024891, "System.UnauthorizedAccessException", message or text)


def bad_query(message: str) -> SharePointRefusal:
    """Return the refusal of a request that SharePoint cannot read."""
    return SharePointRefusal(400, -1, "Microsoft.SharePoint.Client.InvalidClientQueryException", message)


def bad_argument(message: str) -> SharePointRefusal:
    """Return the refusal of a readable value that is not valid."""
    return SharePointRefusal(400, -2147024809, "System.ArgumentException", message)


def no_resource(path: str) -> SharePointRefusal:
    """Return the refusal of a route that does not exist."""
    kind = "Microsoft.SharePoint.Client.ResourceNotFoundException"
    return SharePointRefusal(404, -1, kind, f"Cannot find resource for the request {path}.")


def no_folder() -> SharePointRefusal:
    """Return the refusal of a folder path that does not exist."""
    return SharePointRefusal(404, -2147024894, "System.IO.FileNotFoundException", "File Not Found.")


def no_file(path: str) -> SharePointRefusal:
    """Return the refusal of a file path that does not exist."""
    text = f"The file {path} does not exist."
    return SharePointRefusal(404, -2130575338, "Microsoft.SharePoint.SPException", text)


def wrong_method(method: str, resource: str) -> SharePointRefusal:
    """Return the refusal of a verb that a resource does not support (inferred)."""
    return bad_query(f"The HTTP method '{method}' cannot be used to access the resource '{resource}'.")


def user_not_found(kind: str) -> SharePointRefusal:
    """Return the refusal of a write to an unknown profile; `kind` is the knob's .NET type name.

    Tools in the field report the sentence. The REST status is inferred: an exception that
    SharePoint does not translate is a 500.
    """
    text = "User Profile Error 1000: User Not Found: Could not load profile data from the database."
    return SharePointRefusal(500, -1, kind, text)
