"""The tenant's knobs: its behaviour where that of Microsoft's services is not known."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Knobs:
    """The unknowns of Microsoft's behaviour; each default is the least convenient documented answer."""

    # Graph: subscriptions and notifications
    photo_change_notifies: bool | Literal["some"] = False  # "some": for every other user
    validate_on_patch: Literal["never", "url-change", "always"] = "url-change"
    created_in_list: bool = True  # `created,updated` on users is accepted, though only the latter exists
    over_max_expiry: Literal["refused", "clamped"] = "refused"
    subscriptions_per_page: int = 1
    lost_refusal: Literal[403, 409] = 403  # how creation is refused after a silent loss ...
    lost_refusal_seconds: float = 3 * 3600.0  # ... and for how long
    reauthorize_within: float = 3600.0  # seconds after which an ignored reauthorizationRequired mutes
    reauthorize_clash: Literal["mute", "harmless"] = "mute"  # PATCH and /reauthorize within ten minutes
    lifecycle_shape: Literal["documented", "observed"] = "observed"
    notification_shape: Literal["basic", "extended", "bare"] = "basic"  # "bare": without resourceData
    edit_notifications: int = 2  # how many `updated` one edit raises
    notification_duplicates: float = 0.0  # the share of notifications that are sent twice
    notification_order: Literal["shuffled", "raised"] = "shuffled"
    notifications_per_post: int = 20
    delivery_retry_base: float = 10.0  # seconds before the first retry; doubles each time
    # Graph: users, photos, $batch
    page_token_life: float = 3600.0
    next_page: Literal["next", "same", "first"] = "next"  # "first": every page but the first leads back to it
    no_photo: Literal["404", "1x1"] = "404"
    no_photo_code: str = "ImageNotFound"
    no_mailbox: Literal["404", "400", "entra-photo", "unresolved"] = "404"
    no_mailbox_code: str = "ErrorNonExistentMailbox"
    photo_user_gone: Literal["Request_ResourceNotFound", "UnknownError"] = "Request_ResourceNotFound"
    photo_labels: Literal["one", "two"] = "one"  # whether a photo's metadata and its bytes have the same etag
    batch_ids: Literal["as-sent", "upper"] = "as-sent"  # how the parts of an answer repeat their ids
    batch_no_photo: Literal["null", "error"] = "null"  # the body of a part 404 for a photo that is not there
    batch_throttled_outer: Literal[200, 424] = 200
    # Entra
    client_secrets: bool = True  # whether the application's secret gets a token, which SharePoint refuses
    identity_token_kept: float = 86_400.0  # seconds for which a managed identity gets the same token
    # every service
    retry_after: Literal["integer", "decimal", "date", "absent"] = "integer"
    # Quotas, where some are set
    quota_window: Literal["first-call", "clock"] = "first-call"  # where windows begin
    rate_limit_headers: Literal["from-80-percent", "never"] = "from-80-percent"
    sharepoint_units_per_call: int = 2  # REST and CSOM have no published cost
    process_query_counts: Literal["methods", "one"] = "methods"  # against the calls to PeopleManager
    # SharePoint
    profile_rename_after: float | None = None  # seconds until SharePoint knows a new UPN; None: when told to
    user_not_found_type: Literal[
        "Microsoft.SharePoint.Client.ServerException",
        "Microsoft.Office.Server.UserProfiles.UserNotFoundException",
    ] = "Microsoft.SharePoint.Client.ServerException"
    renamed_status: Literal[301, 302, 307, 308] = 302  # of the redirects of a tenant that was renamed
    userphoto_redirects: bool = False
    # the least role that the My Site host takes for files; the grant of a "Selected" one counts as given
    files_least_role: Literal[
        "Sites.FullControl.All",
        "Sites.ReadWrite.All",
        "Sites.Selected",
        "Lists.SelectedOperations.Selected",
    ] = "Sites.FullControl.All"
