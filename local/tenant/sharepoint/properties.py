"""The REST form of a profile, and the values that may be written to it. Pure.

Names and order are those of a published profile of SharePoint Online
(pnp.github.io/cli-microsoft365/cmd/spo/userprofile/userprofile-get). Every value is a string, "" where unset.
"""

import re
import uuid
from urllib.parse import quote, urlsplit

from local.tenant.sharepoint.errors import bad_argument
from local.tenant.sharepoint.hosts import name_host
from local.tenant.sharepoint.profiles import Profile

PICTURE_URL = "PictureURL"
TIMESTAMP = "SPS-PictureTimestamp"  # whole seconds since 0001-01-01T00:00:00
PLACEHOLDER = "SPS-PicturePlaceholderState"  # 0: a real picture; 1: show the silhouette
EXCHANGE_SYNC = "SPS-PictureExchangeSyncState"  # 1: SharePoint itself pulls from Exchange; 0: it does not
PICTURE_PROPERTIES = (PICTURE_URL, TIMESTAMP, PLACEHOLDER, EXCHANGE_SYNC)
OBJECT_ID = "msOnline-ObjectId"

# fmt: off
NAMES = (
    "UserProfile_GUID", "SID", "ADGuid", "AccountName", "FirstName", "SPS-PhoneticFirstName",
    "LastName", "SPS-PhoneticLastName", "PreferredName", "SPS-PhoneticDisplayName", "WorkPhone",
    "Department", "Title", "SPS-Department", "Manager", "AboutMe", "PersonalSpace", "PictureURL",
    "UserName", "QuickLinks", "WebSite", "PublicSiteRedirect", "SPS-JobTitle", "SPS-MemberOf",
    "SPS-Responsibility", "SPS-SipAddress", "SPS-ClaimID", "SPS-ClaimProviderID",
    "SPS-UserPrincipalName", "SPS-PersonalSiteInstantiationState", "SPS-DistinguishedName",
    "SPS-ClaimProviderType", "SPS-SavedAccountName", "WorkEmail", "CellPhone", "Fax", "HomePhone",
    "Office", "SPS-Location", "SPS-Skills", "SPS-School", "SPS-Birthday", "SPS-Interests",
    "SPS-PrivacyPeople", "SPS-PrivacyActivity", "SPS-PictureTimestamp", "SPS-PicturePlaceholderState",
    "SPS-PictureExchangeSyncState", "SPS-MUILanguages", "SPS-ContentLanguages", "SPS-TimeZone",
    "SPS-Locale", "SPS-UserType", "SPS-HideFromAddressLists", "msOnline-ObjectId", "SPS-MultiGeoFlags",
    "PreferredDataLocation",
)
_FROM_DIRECTORY = frozenset({
    "UserProfile_GUID", "SID", "ADGuid", "AccountName", "UserName", "SPS-SipAddress", "SPS-ClaimID",
    "SPS-ClaimProviderID", "SPS-UserPrincipalName", "SPS-DistinguishedName", "SPS-ClaimProviderType",
    "SPS-SavedAccountName", "WorkEmail", "SPS-UserType", "SPS-HideFromAddressLists",
    "msOnline-ObjectId", "SPS-MultiGeoFlags", "PreferredDataLocation",
})
# fmt: on
_SPELLING = {name.lower(): name for name in NAMES}


def spell(name: str) -> str | None:
    """Return a property name in its own spelling (any case will do), None if the property does not exist."""
    return _SPELLING.get(name.lower())


def list_values(profile: Profile) -> dict[str, str]:
    """Return every property of a profile, in SharePoint's order."""
    known = _directory_values(profile) | (profile.written or {})
    return {name: known.get(name, "") for name in NAMES}


def derive_picture_url(profile: Profile) -> str | None:
    """Return the top-level `PictureUrl`: the written URL with the timestamp as cache key.

    None if the placeholder state is 1, even if the property `PictureURL` has a URL.
    """
    url, stamp = profile.get(PICTURE_URL), profile.get(TIMESTAMP)
    if not url or profile.get(PLACEHOLDER) == "1":
        return None
    return f"{url}?t={stamp}" if stamp else url


def describe_person(profile: Profile, organisation: str) -> dict[str, object]:
    """Return `SP.UserProfiles.PersonProperties` of a profile, in SharePoint's order."""
    person = profile.person
    host = name_host(organisation, profile.geo, "my")
    account = quote(profile.claim, safe="").replace(".", "%2E")
    return {
        "AccountName": profile.claim,
        "DirectReports": [],
        "DisplayName": person.display_name,
        "Email": person.upn,
        "ExtendedManagers": [],
        "ExtendedReports": [profile.claim],
        "IsFollowed": False,
        "LatestPost": None,
        "Peers": [],
        "PersonalSiteHostUrl": f"https://{host}:443/",
        "PersonalUrl": f"https://{host}/personal/{re.sub(r'[^a-z0-9]', '_', profile.account)}/",
        "PictureUrl": derive_picture_url(profile),
        "Title": None,
        "UserProfileProperties": [
            {"Key": name, "Value": value, "ValueType": "Edm.String"}
            for name, value in list_values(profile).items()
        ],
        "UserUrl": f"https://{host}:443/Person.aspx?accountname={account}",
    }


def check_value(name: str, value: str, my_host: str) -> None:
    """Check a value that is to be written to the property `name` (own spelling).

    Stricter than Microsoft, which is not known to check the values: a value that would never show a picture,
    or would show one from another tenant or geo, is refused here so that it cannot go unnoticed.
    """
    if name in _FROM_DIRECTORY:
        raise bad_argument(f"{name} comes from the directory and cannot be set.")
    if name == PICTURE_URL and value and not _points_into(value, my_host):
        raise bad_argument(f"{name} must be empty or a file of https://{my_host}/User Photos/.")
    if name == TIMESTAMP and not re.fullmatch(r"[0-9]{1,12}", value):
        raise bad_argument(f"{name} must be whole seconds since 0001-01-01, in digits.")
    if name in {PLACEHOLDER, EXCHANGE_SYNC} and value not in {"0", "1"}:
        raise bad_argument(f"{name} must be 0 or 1.")


def _points_into(url: str, my_host: str) -> bool:
    parts = urlsplit(url)
    hosts = {my_host, f"{my_host}:443"}  # SharePoint itself writes the port
    folder = parts.path.replace("%20", " ").lower().startswith("/user photos/")
    plain = parts.scheme == "https" and not (parts.query or parts.fragment)
    return plain and parts.netloc.lower() in hosts and folder


def _directory_values(profile: Profile) -> dict[str, str]:
    person = profile.person
    first, _, last = person.display_name.partition(" ")
    dn = f"CN={profile.object_id},OU=Tenants,OU=MSOnline,DC=SPODS,DC=msft,DC=net" if profile.object_id else ""
    return {
        "UserProfile_GUID": str(uuid.uuid5(uuid.NAMESPACE_OID, person.id)),
        "SID": f"i:0h.f|membership|{person.id.replace('-', '')[:16]}@live.com",
        "ADGuid": "System.Byte[]",  # REST's text for a byte array
        "AccountName": profile.claim,
        "FirstName": first,
        "LastName": last,
        "PreferredName": person.display_name,
        "UserName": profile.account,
        "SPS-SipAddress": profile.account,
        "SPS-ClaimID": profile.account,
        "SPS-ClaimProviderID": "membership",
        "SPS-UserPrincipalName": profile.account,
        "SPS-DistinguishedName": dn,
        "SPS-ClaimProviderType": "Forms",
        "SPS-SavedAccountName": profile.claim,
        "WorkEmail": person.upn,
        "SPS-PrivacyPeople": "True",
        "SPS-PrivacyActivity": "4095",
        "SPS-UserType": "1" if person.guest else "0",
        "SPS-HideFromAddressLists": "False",
        "msOnline-ObjectId": profile.object_id,
        "PreferredDataLocation": profile.geo.upper(),
    }
