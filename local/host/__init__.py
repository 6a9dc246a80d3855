"""A local Azure Functions host, built on the worker library that Azure itself runs (azure-functions-runtime).

The worker indexes the app, validates its annotations, decodes the triggers and encodes the answers. What
surrounds it in Azure is written in C# and imitated here: routes and keys, queue listeners, timers, output
bindings, host.json, and the checks that decide whether a function may run at all. Never deployed.
"""
