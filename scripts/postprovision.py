"""Grant the application roles as soon as the identity exists, before the app asks for its first token.

A managed identity's token, once given, lacks a new role for up to 24 hours. Where this administrator may not
grant, the deployment goes on, and the output has the line that another administrator runs in Cloud Shell.

azd passes its environment: what `infra/main.bicep` outputs, and what `azd env set` has set.
"""

import os
import sys
from collections.abc import Mapping

import grant

NEW_IDENTITY = "120"  # seconds after which every part of the directory should know an identity


def choose_arguments(environ: Mapping[str, str]) -> list[str]:
    """Return the arguments of `grant.py` for this deployment."""
    groups = environ.get("EXCLUDE_GROUP") or environ.get("SCOPE", "").lower().startswith("group:")
    return [
        f"--identity={environ['IDENTITY_PRINCIPAL_ID']}",
        *(["--groups"] if groups else []),
        f"--files-role={environ.get('FILES_ROLE') or grant.FILES_ROLES[0]}",
        f"--cloud={environ.get('CLOUD') or 'global'}",
    ]


def instruct(environ: Mapping[str, str]) -> str:
    """Return what another administrator has to do, in words."""
    line = " ".join(["python3 grant.py", *choose_arguments(environ), "--yes"])
    return (
        "An administrator with the Entra role Privileged Role Administrator or Global Administrator uploads\n"
        f"scripts/grant.py in Azure Cloud Shell (https://shell.azure.com, Bash) and runs:\n\n  {line}\n"
    )


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Grant, or say who has to; return the exit status, 0 where the deployment should go on."""
    if environ.get("GRANT_WITH_BICEP", "").lower() == "true":
        print("The deployment itself granted the application roles (GRANT_WITH_BICEP).")
        return 0
    if not environ.get("IDENTITY_PRINCIPAL_ID"):
        print("IDENTITY_PRINCIPAL_ID is missing: this runs as a hook of azd provision.", file=sys.stderr)
        return 1
    tenant = [f"--tenant={environ['AZURE_TENANT_ID']}"] if environ.get("AZURE_TENANT_ID") else []
    status = grant.main([*choose_arguments(environ), *tenant, "--wait", NEW_IDENTITY, "--yes"], environ)
    if status != grant.DONE:
        print(
            "\nThe application roles are not granted. The deployment goes on, but the app needs them to work."
        )
        print(instruct(environ))
        print(
            "If that is after the app's first token, the app lacks the roles for up to 24 hours.", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
