"""The messages between host and worker, without protobuf.

The worker library does not import protobuf: it uses the module that its caller passes as `protos`. This is
that module. Field names and types are those of the public schema
(github.com/Azure/azure-functions-language-worker-protobuf, FunctionRpc.proto), and like protobuf it refuses
an unknown field, a scalar of the wrong type and a map value that is no string (see `wire`), so that what
gRPC would refuse in Azure is refused here. Only the messages that are used exist.
"""

from datetime import timedelta
from typing import ClassVar

from local.host.worker.fields import (
    BYTES,
    FLAG,
    INT32,
    INT64,
    NUMBER,
    TEXT,
    Message,
    list_of,
    map_of,
    message,
    names,
    whole,
)


class NullableString(Message):
    """A string that may be absent."""

    FIELDS: ClassVar = {"value": TEXT}


class NullableBool(Message):
    """A bool that may be absent."""

    FIELDS: ClassVar = {"value": FLAG}


class NullableDouble(Message):
    """A number that may be absent."""

    FIELDS: ClassVar = {"value": NUMBER}


class Timestamp(Message):
    """Seconds since 1970, UTC."""

    FIELDS: ClassVar = {"seconds": whole(INT64)}


class NullableTimestamp(Message):
    """A moment that may be absent."""

    FIELDS: ClassVar = {"value": message(Timestamp)}


class RpcHttpCookie(Message):
    """One cookie of an answer."""

    class SameSite:
        """The cookie's SameSite attribute; `None` (0) leaves it out."""

        Lax = 1
        Strict = 2
        ExplicitNone = 3

    FIELDS: ClassVar = {
        "name": TEXT,
        "value": TEXT,
        "domain": message(NullableString),
        "path": message(NullableString),
        "expires": message(NullableTimestamp),
        "secure": message(NullableBool),
        "http_only": message(NullableBool),
        "same_site": names("None", "Lax", "Strict", "ExplicitNone"),
        "max_age": message(NullableDouble),
    }


setattr(RpcHttpCookie.SameSite, "None", 0)  # a keyword, so no class body can spell it


class TypedData(Message):
    """One value in one of several forms; `http` and the nested body are filled in below."""

    ONEOF: ClassVar = "data"
    FIELDS: ClassVar = {
        "string": TEXT,
        "json": TEXT,
        "bytes": BYTES,
        "int": whole(INT64),
        "double": NUMBER,
    }


class RpcHttp(Message):
    """A request (method, url, headers, query, params, body) or an answer (status_code to body)."""

    FIELDS: ClassVar = {
        "method": TEXT,
        "url": TEXT,
        "headers": map_of(TEXT),
        "body": message(TypedData),
        "params": map_of(TEXT),
        "query": map_of(TEXT),
        "status_code": TEXT,
        "enable_content_negotiation": FLAG,
        "cookies": list_of(message(RpcHttpCookie)),
    }


TypedData.FIELDS["http"] = message(RpcHttp)


class ParameterBinding(Message):
    """A named value that goes into a function or comes out of it."""

    ONEOF: ClassVar = "rpc_data"
    FIELDS: ClassVar = {"name": TEXT, "data": message(TypedData)}

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's own name
        """Return `data` if it is set; the name is not part of the oneof."""
        super().WhichOneof(group)
        return "data" if "data" in self.__dict__ else None


class RpcException(Message):
    """What a function raised."""

    FIELDS: ClassVar = {"source": TEXT, "stack_trace": TEXT, "message": TEXT}


class StatusResult(Message):
    """Whether a request to the worker succeeded."""

    Failure = 0
    Success = 1
    FIELDS: ClassVar = {"status": names("Failure", "Success"), "exception": message(RpcException)}


class BindingInfo(Message):
    """Direction and type of one binding."""

    inout = 2
    out = 1
    undefined = 0
    FIELDS: ClassVar = {
        "type": TEXT,
        "direction": names("in", "out", "inout"),
        "data_type": names("undefined", "string", "binary", "stream"),
    }


class RpcRetryOptions(Message):
    """The retry policy of a function (`@app.retry`)."""

    FIELDS: ClassVar = {
        "max_retry_count": whole(INT32),
        "retry_strategy": names("exponential_backoff", "fixed_delay"),
        "delay_interval": message(timedelta),
        "minimum_interval": message(timedelta),
        "maximum_interval": message(timedelta),
    }


class RpcFunctionMetadata(Message):
    """One function as the worker indexed it; `raw_bindings` are the entries of a function.json."""

    FIELDS: ClassVar = {
        "name": TEXT,
        "function_id": TEXT,
        "directory": TEXT,
        "script_file": TEXT,
        "entry_point": TEXT,
        "language": TEXT,
        "managed_dependency_enabled": FLAG,
        "is_proxy": FLAG,
        "bindings": map_of(message(BindingInfo)),
        "raw_bindings": list_of(TEXT),
        "retry_options": message(RpcRetryOptions),
        "properties": map_of(TEXT),
    }


class WorkerMetadata(Message):
    """What the worker says about itself."""

    FIELDS: ClassVar = {
        "runtime_name": TEXT,
        "runtime_version": TEXT,
        "worker_version": TEXT,
        "worker_bitness": TEXT,
        "custom_properties": map_of(TEXT),
    }


class WorkerInitResponse(Message):
    """The answer to the first request: the app was indexed, or why not."""

    FIELDS: ClassVar = {
        "capabilities": map_of(TEXT),
        "worker_metadata": message(WorkerMetadata),
        "result": message(StatusResult),
    }


class FunctionMetadataResponse(Message):
    """The functions of the app."""

    FIELDS: ClassVar = {
        "use_default_metadata_indexing": FLAG,
        "function_metadata_results": list_of(message(RpcFunctionMetadata)),
        "result": message(StatusResult),
    }


class FunctionLoadResponse(Message):
    """The answer to the loading of one function."""

    FIELDS: ClassVar = {"function_id": TEXT, "result": message(StatusResult)}


class RpcTraceContext(Message):
    """The W3C trace context of an invocation."""

    FIELDS: ClassVar = {"trace_parent": TEXT, "trace_state": TEXT, "attributes": map_of(TEXT)}


class RetryContext(Message):
    """Which retry an invocation is, and what the try before it raised."""

    FIELDS: ClassVar = {
        "retry_count": whole(INT32),
        "max_retry_count": whole(INT32),
        "exception": message(RpcException),
    }


class InvocationRequest(Message):
    """One call of a function."""

    FIELDS: ClassVar = {
        "invocation_id": TEXT,
        "function_id": TEXT,
        "input_data": list_of(message(ParameterBinding)),
        "trigger_metadata": map_of(message(TypedData)),
        "trace_context": message(RpcTraceContext),
        "retry_context": message(RetryContext),
    }


class InvocationResponse(Message):
    """What a call gave back."""

    FIELDS: ClassVar = {
        "invocation_id": TEXT,
        "output_data": list_of(message(ParameterBinding)),
        "return_value": message(TypedData),
        "result": message(StatusResult),
    }
