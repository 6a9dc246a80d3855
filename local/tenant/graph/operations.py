"""Every operation of the emulated Graph, with the permissions that it needs."""

from local.tenant.graph.groups import GroupOperations
from local.tenant.graph.photos import PhotoOperations
from local.tenant.graph.router import Route, Router
from local.tenant.graph.subscriptions.operations import SubscriptionOperations
from local.tenant.graph.users import UserOperations

# Application permissions, any one of which is enough; learn.microsoft.com/graph/permissions-reference
SUBSCRIBE = frozenset({"User.Read.All"})
READ_USERS = frozenset({"User.Read.All", "User.ReadBasic.All"})
READ_PHOTOS = READ_USERS | {"ProfilePhoto.Read.All", "ProfilePhoto.ReadWrite.All"}
READ_MEMBERS = frozenset(
    {
        "GroupMember.Read.All",
        "GroupMember.ReadWrite.All",
        "Group.Read.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
    }
)
# A check needs one of these and one for users; the last is enough alone.
CHECK_MEMBERS = frozenset({"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"})
CHECK_USERS = frozenset({"User.Read.All", "Directory.Read.All"})
MEMBERS = "/groups/{group}/transitiveMembers/microsoft.graph.user"


def route(
    subscriptions: SubscriptionOperations,
    users: UserOperations,
    photos: PhotoOperations,
    groups: GroupOperations,
) -> Router:
    """Return the router of all operations but `$batch`, which runs them."""
    return Router(
        [
            Route("POST", "/subscriptions", subscriptions.create, SUBSCRIBE),
            Route("GET", "/subscriptions", subscriptions.page, SUBSCRIBE),
            Route("GET", "/subscriptions/{subscription}", subscriptions.get, SUBSCRIBE),
            Route("PATCH", "/subscriptions/{subscription}", subscriptions.update, SUBSCRIBE),
            Route("DELETE", "/subscriptions/{subscription}", subscriptions.delete, SUBSCRIBE),
            Route("POST", "/subscriptions/{subscription}/reauthorize", subscriptions.reauthorize, SUBSCRIBE),
            Route("GET", "/users", users.page, READ_USERS),
            Route("GET", "/users/{user}", users.get, READ_USERS),
            Route("POST", "/users/{user}/checkMemberGroups", groups.check, CHECK_MEMBERS, CHECK_USERS),
            Route("GET", MEMBERS, groups.page, READ_MEMBERS),
            Route("GET", "/users/{user}/photo", photos.show, READ_PHOTOS),
            Route("GET", "/users/{user}/photo/$value", photos.value, READ_PHOTOS),
            Route("GET", "/users/{user}/photos", photos.sizes, READ_PHOTOS),
            Route("GET", "/users/{user}/photos/{size}", photos.show, READ_PHOTOS),
            Route("GET", "/users/{user}/photos/{size}/$value", photos.value, READ_PHOTOS),
        ]
    )
