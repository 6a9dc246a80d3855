"""Queue output bindings: convert what a function set or returned to messages.

The rules of the real host (github.com/Azure/azure-functions-host, FunctionBinding.cs): a string that looks
like JSON is parsed. Every item of a list becomes a message; an object is written again, indented. Only the
items of a `List[str]` are sent unchanged.
"""

import json

from azure.core.exceptions import AzureError

from local.host.app.functions import RETURN, Function, QueueOutput
from local.host.app.settings import AppSettings
from local.host.app.storage import brief
from local.host.queues.messages import encode
from local.host.queues.sending import Sender
from local.host.worker import protos


class OutputError(Exception):
    """An output could not be written, so the call fails; the message names the binding and the cause."""


class Outputs:
    """Write the queue outputs of functions.

    Args:
        settings: resolves `%X%` in the names of queues and connections.
        sender: sends the messages.
        encoding: host.json's `messageEncoding`.
    """

    def __init__(self, settings: AppSettings, sender: Sender, encoding: str) -> None:
        self._settings = settings
        self._sender = sender
        self._encoding = encoding

    def write(self, function: Function, response: protos.InvocationResponse) -> None:
        """Send what a call put into its outputs.

        Raises:
            OutputError: an output failed; the outputs before it are sent.
        """
        values = {each.name: each.data for each in response.output_data}
        values[RETURN] = response.return_value
        for output in function.outputs:
            value = values.get(output.binding)
            if value is None or value.WhichOneof("data") is None:
                continue
            try:
                self._send(output, value)
            except (AzureError, ValueError) as error:
                raise OutputError(
                    f"Error while handling parameter {output.binding}: {brief(error)}"
                ) from error

    def _send(self, output: QueueOutput, value: protos.TypedData) -> None:
        connection = self._settings.resolve(output.connection)
        queue = self._settings.resolve(output.queue).lower()
        for body in split(value):
            self._sender.send(connection, queue, encode(body, self._encoding))


def split(value: protos.TypedData) -> list[str | bytes]:
    """Return the bodies of the messages that a value represents.

    Raises:
        ValueError: a string begins and ends like JSON and is not valid JSON.
    """
    match value.WhichOneof("data"):
        case "bytes":
            return [value.bytes]
        case "string" if not _looks_like_json(value.string):
            return [value.string]
        case kind:
            content = json.loads(value.string if kind == "string" else value.json)
            return [_text(each) for each in (content if isinstance(content, list) else [content])]


def _looks_like_json(text: str) -> bool:
    ends = text.strip()[:1] + text.strip()[-1:]
    return ends in ("{}", "[]")


def _text(item: object) -> str:
    match item:
        case str():
            return item
        case None:
            return ""
        case bool():
            return str(item)
        case _:
            return json.dumps(item, indent=2, ensure_ascii=False)
