"""A local Azure Functions host, built on the worker library that Azure itself runs (azure-functions-runtime).

The worker indexes the app, validates its annotations, decodes the triggers and encodes the answers. What
surrounds it in Azure is written in C# and imitated here: routes and keys, queue listeners, timers, output
bindings, host.json, and the checks that decide whether a function may run at all. Never deployed.

Stricter than Azure: one problem anywhere refuses the whole app, and an unknown key of host.json is a problem.

What it does not play: triggers and bindings other than HTTP, storage queues and timers (refused by name);
scaling, so every function shares one process and its memory, which in Azure it must not count on; HTTP
streaming; the 230 seconds of Azure's load balancer; dynamic concurrency; telemetry settings (checked, then
unused); restarting the worker after a timeout (the host ends instead); what .NET does to dates in output
strings that look like JSON.
"""
