"""An emulated Microsoft 365 tenant: Entra, Graph and SharePoint Online, stricter than the real ones.

It imports nothing of `shared`: app and tenant are two independent readings of the same documents.
"""
