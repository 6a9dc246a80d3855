"""Service principals, and the app roles that the application holds, as Graph shows and changes them.

learn.microsoft.com/graph/api/serviceprincipal-get, serviceprincipal-list,
serviceprincipal-list-approleassignments, serviceprincipal-post-approleassignedto and
serviceprincipal-delete-approleassignedto. Roles are assigned through the resource's `appRoleAssignedTo`, as
these pages recommend. The texts for a duplicate and an unknown role are the service's own, as clients
quote them.

The state is that of `entra.face.Permissions`, so an assignment is in the next token. Only the application
holds roles. A page of assignments has two, so that a client has to follow the links.
"""

import base64
import hashlib
import re
from collections.abc import Callable

from local.tenant.directory.principals import Principals, ServicePrincipal
from local.tenant.directory.world import World
from local.tenant.entra.face import Permissions
from local.tenant.entra.tokens import Claims
from local.tenant.graph.pages import TOKEN, Pages
from local.tenant.graph.wire import (
    CONTEXT,
    GraphAnswer,
    GraphCall,
    GraphRefusal,
    Json,
    bad_directory_request,
    denied,
    unsupported_query,
)

PER_PAGE = 2
READ = frozenset({"Application.Read.All", "Directory.Read.All"})
ASSIGN = "AppRoleAssignment.ReadWrite.All"
# Who may consent to application permissions:
# learn.microsoft.com/entra/identity/role-based-access-control/delegate-by-task, "Enterprise applications"
ANY_RESOURCE = frozenset({"Global Administrator", "Privileged Role Administrator"})
NOT_GRAPH = ANY_RESOURCE | {"Cloud Application Administrator", "Application Administrator"}
_FILTER = re.compile(r"(appId|displayName) eq '((?:[^']|'')*)'")


class PrincipalOperations:
    """The directory's service principals as Graph shows them."""

    def __init__(self, world: World, principals: Principals, permissions: Permissions, pages: Pages) -> None:
        self._world = world
        self._principals = principals
        self._permissions = permissions
        self._pages = pages

    def page(self, call: GraphCall) -> GraphAnswer:
        """Answer those of one `appId` or one `displayName`."""
        _demand_reader(call.claims)
        call.allow("$filter", "$select")
        found = _FILTER.fullmatch(call.query.get("$filter", ""))
        if found is None:
            raise unsupported_query("Only appId eq '...' and displayName eq '...' are played.")
        name, value = found[1], found[2].replace("''", "'").lower()
        shown = [each.as_json() for each in self._principals.every()]
        matching = [_select(call, each) for each in shown if each[name].lower() == value]
        return GraphAnswer(200, {"@odata.context": f"{CONTEXT}servicePrincipals", "value": matching})

    def get(self, call: GraphCall, principal: str) -> GraphAnswer:
        """Answer one service principal by its object id."""
        return self._show(call, self._find(call, principal))

    def get_by_app(self, call: GraphCall, app: str) -> GraphAnswer:
        """Answer one service principal by its `appId`."""
        return self._show(call, self._find(call, app, lambda each: each.app_id))

    def assignments(self, call: GraphCall, principal: str) -> GraphAnswer:
        """Answer a page of the app roles that a service principal holds."""
        holder = self._find(call, principal)
        call.allow(TOKEN)
        collection = f"servicePrincipals/{principal}/appRoleAssignments"
        start = self._pages.position(collection, call.query)
        held = self._list_held(holder)
        body: Json = {"@odata.context": f"{CONTEXT}appRoleAssignments", "value": held[start:][:PER_PAGE]}
        if len(held) > start + PER_PAGE:
            body["@odata.nextLink"] = self._pages.link(collection, call.query, start + PER_PAGE)
        return GraphAnswer(200, body)

    def assign(self, call: GraphCall, principal: str) -> GraphAnswer:
        """Assign an app role of a resource to the application."""
        resource = self._find_resource(call, principal)
        call.allow()
        body = call.json()
        role = next((value for value, key in resource.roles.items() if key == body.get("appRoleId")), "")
        if body.keys() != {"principalId", "resourceId", "appRoleId"} or body["resourceId"] != resource.id:
            raise bad_directory_request("One or more properties are invalid.")
        if body["principalId"] != self._world.service_principal_id:  # others hold no roles here
            raise bad_directory_request("Not a valid reference update.")
        if not role:
            raise bad_directory_request("Permission being assigned was not found on application")
        with self._world.lock:
            if role in self._permissions.roles(resource.resource):
                raise bad_directory_request("Permission being assigned already exists on the object")
            self._permissions.change(resource.resource, add=role)
        return GraphAnswer(201, _show_assignment(self._world, resource, role))

    def unassign(self, call: GraphCall, principal: str, assignment: str) -> GraphAnswer:
        """Remove an assignment."""
        resource = self._find_resource(call, principal)
        with self._world.lock:
            for role in resource.roles:
                held = role in self._permissions.roles(resource.resource)
                if held and _show_assignment(self._world, resource, role)["id"] == assignment:
                    self._permissions.change(resource.resource, remove=role)
                    return GraphAnswer(204)
        raise _absent(assignment)

    def _show(self, call: GraphCall, principal: ServicePrincipal) -> GraphAnswer:
        call.allow("$select")
        context = {"@odata.context": f"{CONTEXT}servicePrincipals/$entity"}
        return GraphAnswer(200, context | _select(call, principal.as_json()))

    def _list_held(self, holder: ServicePrincipal) -> list[Json]:
        if holder.id != self._world.service_principal_id:
            return []
        return [
            _show_assignment(self._world, each, role)
            for each in self._principals.every()
            if each.resource
            for role in sorted(self._permissions.roles(each.resource))
            if role in each.roles
        ]

    def _find_resource(self, call: GraphCall, principal: str) -> ServicePrincipal:
        resource = self._find(call, principal)
        allowed = ANY_RESOURCE if resource.resource == "graph" else NOT_GRAPH
        if call.claims.administrator not in allowed and ASSIGN not in call.claims.roles:
            raise denied()
        return resource

    def _find(
        self, call: GraphCall, key: str, name: Callable[[ServicePrincipal], str] = lambda each: each.id
    ) -> ServicePrincipal:
        _demand_reader(call.claims)
        for each in self._principals.every():
            if name(each) == key.lower():
                return each
        raise _absent(key)


def _demand_reader(claims: Claims) -> None:
    # Every member of the directory may read it:
    # learn.microsoft.com/entra/fundamentals/users-default-permissions
    if not claims.administrator and not claims.roles & READ:
        raise denied()


def _select(call: GraphCall, shown: Json) -> Json:
    names = call.query["$select"].split(",") if "$select" in call.query else list(shown)
    if unknown := [name for name in names if name not in shown]:
        raise bad_directory_request(f"Could not find a property named '{unknown[0]}'.")
    return {name: shown[name] for name in names}


def _show_assignment(world: World, resource: ServicePrincipal, role: str) -> Json:
    digest = hashlib.sha256(f"{resource.id} {role}".encode()).digest()
    return {
        "id": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "appRoleId": resource.roles[role],
        "principalId": world.service_principal_id,
        "principalType": "ServicePrincipal",
        "resourceId": resource.id,
        "resourceDisplayName": resource.name,
    }


def _absent(key: str) -> GraphRefusal:
    text = (
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
    )
    return GraphRefusal(404, "Request_ResourceNotFound", text)
