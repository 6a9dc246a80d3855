"""SharePoint Online as one machine can play it: profiles, the library of pictures, and what readers see.

`profiles` and `library` hold the state; `properties` and `pictures` are the pure rules about it. Behind
`door` the handlers `people`, `csom`, `files` and `userphoto` answer, and each says where it is stricter than
Microsoft and what is inferred. `scenes` sets the stage, `description` shows it; `service` ties all together.
"""

from local.tenant.sharepoint.service import SharePoint

__all__ = ["SharePoint"]
