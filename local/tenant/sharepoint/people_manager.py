"""SP.UserProfiles.PeopleManager: the permissions to read and write profiles, and its REST interface.

Documented rules: the audience host and the SharePoint roles `User.Read.All` or `User.ReadWrite.All`
(learn.microsoft.com/troubleshoot/sharepoint, "app-permission-error-update-user-profile-property"); another
person's profile is written on the admin host of its geo
(learn.microsoft.com/sharepoint/dev/solution-guidance/multigeo-userprofileexperience).

Stricter than Microsoft: the my-site host has no PeopleManager here, for reading either.
"""

import json

from werkzeug.wrappers import Response

from local.tenant.directory.world import World
from local.tenant.sharepoint import properties
from local.tenant.sharepoint.calls import SharePointCall
from local.tenant.sharepoint.errors import access_denied, bad_query, no_resource, user_not_found, wrong_method
from local.tenant.sharepoint.hosts import name_host
from local.tenant.sharepoint.odata import PathSegment, selected
from local.tenant.sharepoint.profiles import Profiles

NAME, SET = "SP.UserProfiles.PeopleManager", "SetSingleValueProfileProperty"

# github.com/pnp/powershell/issues/5084 quotes the sentence.
_NO_READING = (
    "Access Denied: This application does not have the required permissions to access profile information."
)


class PeopleManager:
    """PeopleManager over the tenant's profiles."""

    def __init__(self, world: World, profiles: Profiles) -> None:
        self._world = world
        self._profiles = profiles

    def write(self, call: SharePointCall, account: str, name: str, value: str) -> None:
        """Set one property of the profile with this account name, on the admin host of its geo."""
        call.demand("User.ReadWrite.All")
        # An application has no profile of its own, so every write is to another profile.
        if call.site.kind != "admin":
            raise access_denied()
        spelled = properties.spell(name)
        with self._world.lock:
            profile = self._profiles.find(account)
            if profile is None or profile.geo != call.site.geo:
                raise user_not_found(self._world.knobs.user_not_found_type)
            if spelled is None:  # inferred text
                raise bad_query(f"Property Not Found: The requested property {name} does not exist.")
            properties.check_value(spelled, value, name_host(self._world.domain.written, profile.geo, "my"))
            profile.set(spelled, value)

    def respond(self, call: SharePointCall, steps: list[PathSegment]) -> Response:
        """Answer a REST call whose path after `SP.UserProfiles.PeopleManager` is `steps`."""
        if call.site.kind == "my":
            raise access_denied()
        match [step.name for step in steps]:
            case ["getpropertiesfor"]:
                return self._get_properties(call, steps[0])
            case ["setsinglevalueprofileproperty"]:
                return self._set_property(call)
            case _:
                raise no_resource("/".join([NAME, *(step.spelled for step in steps)]))

    def _get_properties(self, call: SharePointCall, step: PathSegment) -> Response:
        """Answer the profile in a step. Any geo answers for every profile: so clients find the right geo."""
        if call.request.method != "GET":
            raise wrong_method(call.request.method, step.spelled)
        call.demand("User.Read.All", "User.ReadWrite.All", denial=_NO_READING)
        with self._world.lock:
            profile = self._profiles.find(step.text("accountName"))
            if profile is None:
                return call.result(step.spelled)
            person = properties.describe_person(profile, self._world.domain.written)
        return call.entity("SP.UserProfiles.PersonProperties", person, selected(call.request.args, person))

    def _set_property(self, call: SharePointCall) -> Response:
        if call.request.method != "POST":
            raise wrong_method(call.request.method, SET)
        call.form()
        self.write(call, *_read_arguments(call))
        return call.result(SET)


def _read_arguments(call: SharePointCall) -> tuple[str, str, str]:
    if not call.request.mimetype.startswith("application/json"):
        raise bad_query("The request's Content-Type must be application/json.")
    try:
        body = json.loads(call.request.get_data())
    except ValueError:
        raise bad_query("Invalid JSON. A token was not recognized in the JSON content.") from None
    if not isinstance(body, dict):
        raise bad_query("The body must be a JSON object.")
    names = ("accountName", "propertyName", "propertyValue")
    if unknown := body.keys() - set(names):
        raise bad_query(f"The parameter {min(unknown)} does not exist in method {SET}.")
    account, name, value = (body.get(each) for each in names)
    if not (isinstance(account, str) and isinstance(name, str) and isinstance(value, str)):
        raise bad_query("Cannot convert a primitive value to the expected type 'Edm.String'.")
    return account, name, value
