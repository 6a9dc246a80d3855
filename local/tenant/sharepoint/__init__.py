"""SharePoint Online as one machine can play it: profiles, the library of pictures, and what readers see.

`profiles` and `library` hold the state, `properties` and `pictures` the pure rules about it; `people`,
`csom`, `files` and `userphoto` are its doors; `service` routes. Each door says where it is stricter than
Microsoft and what is inferred.
"""

from local.tenant.sharepoint.service import SharePoint

__all__ = ["SharePoint"]
