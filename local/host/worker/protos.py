"""The messages between host and worker: protobuf messages, from the part of the schema that is used here.

The worker library does not import protobuf: it uses the module that its caller passes as `protos`. This is
that module. Names and types are those of the public schema (FunctionRpc.proto in
github.com/Azure/azure-functions-language-worker-protobuf). No current package ships its generated classes, so
protobuf makes them at import, and refuses what gRPC would refuse in Azure. The field numbers differ from the
schema's, because no message is serialized.
"""

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


# Each type with its fields; `*T` is a list of T, `{T}` maps strings to T.
MESSAGES = {
    "NullableString": "string value",
    "NullableBool": "bool value",
    "NullableDouble": "double value",
    "NullableTimestamp": "google.protobuf.Timestamp value",
    "RpcHttpCookie": "string name value; NullableString domain path; NullableTimestamp expires; "
    "NullableBool secure http_only; RpcHttpCookie.SameSite same_site; NullableDouble max_age",
    "RpcHttp": "string method url status_code; {string} headers params query; TypedData body; "
    "bool enable_content_negotiation; *RpcHttpCookie cookies",
    "TypedData": "string string json; bytes bytes; RpcHttp http; sint64 int; double double",
    "ParameterBinding": "string name; TypedData data",
    "RpcException": "string source stack_trace message",
    "StatusResult": "StatusResult.Status status; RpcException exception",
    "BindingInfo": "string type; BindingInfo.Direction direction; BindingInfo.DataType data_type",
    "RpcRetryOptions": "int32 max_retry_count; RpcRetryOptions.RetryStrategy retry_strategy; "
    "google.protobuf.Duration delay_interval minimum_interval maximum_interval",
    "RpcFunctionMetadata": "string name function_id directory script_file entry_point language; "
    "bool managed_dependency_enabled is_proxy; {BindingInfo} bindings; *string raw_bindings; "
    "RpcRetryOptions retry_options; {string} properties",
    "WorkerMetadata": "string runtime_name runtime_version worker_version worker_bitness; "
    "{string} custom_properties",
    "WorkerInitResponse": "{string} capabilities; WorkerMetadata worker_metadata; StatusResult result",
    "FunctionMetadataResponse": "bool use_default_metadata_indexing; "
    "*RpcFunctionMetadata function_metadata_results; StatusResult result",
    "FunctionLoadResponse": "string function_id; StatusResult result",
    "RpcTraceContext": "string trace_parent trace_state; {string} attributes",
    "RetryContext": "int32 retry_count max_retry_count; RpcException exception",
    "InvocationRequest": "string invocation_id function_id; *ParameterBinding input_data; "
    "{TypedData} trigger_metadata; RpcTraceContext trace_context; RetryContext retry_context",
    "InvocationResponse": "string invocation_id; *ParameterBinding output_data; TypedData return_value; "
    "StatusResult result",
}
ENUMS = {
    "RpcHttpCookie.SameSite": ("None", "Lax", "Strict", "ExplicitNone"),
    "StatusResult.Status": ("Failure", "Success", "Cancelled"),
    "BindingInfo.Direction": ("in", "out", "inout"),
    "BindingInfo.DataType": ("undefined", "string", "binary", "stream"),
    "RpcRetryOptions.RetryStrategy": ("exponential_backoff", "fixed_delay"),
}
# Each message with a oneof: the oneof's name and its fields.
ONEOFS = {
    "TypedData": ("data", ("string", "json", "bytes", "http", "int", "double")),
    "ParameterBinding": ("rpc_data", ("data",)),
}

FIELD = descriptor_pb2.FieldDescriptorProto


def _describe() -> Any:
    """Return the descriptor of the whole schema."""
    file = descriptor_pb2.FileDescriptorProto(name="local/host/protos.proto", syntax="proto3")
    file.dependency.extend((duration_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name))
    for name, text in MESSAGES.items():
        message = file.message_type.add(name=name)
        for kind, *fields in (each.split() for each in text.split(";")):
            for field in fields:
                _add_field(message, field, kind)
        oneof, members = ONEOFS.get(name, ("", ()))
        if oneof:
            message.oneof_decl.add(name=oneof)
        for field in message.field:
            if field.name in members:
                field.oneof_index = 0
    for name, labels in ENUMS.items():
        parent, _, enum = name.partition(".")
        (message,) = (each for each in file.message_type if each.name == parent)
        values = ({"name": label, "number": number} for number, label in enumerate(labels))
        message.enum_type.add(name=enum, value=values)
    return file


def _add_field(message: Any, name: str, kind: str) -> None:
    """Add a field to a message; a map is a list of entries, each a message with a key and a value."""
    field = message.field.add(name=name, number=len(message.field) + 1, label=FIELD.LABEL_OPTIONAL)
    if kind.startswith(("*", "{")):
        field.label = FIELD.LABEL_REPEATED
    if kind.startswith("{"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", "string")
        _add_field(entry, "value", kind.strip("{}"))
        kind = f"{message.name}.{entry.name}"
    kind = kind.removeprefix("*")
    scalar = getattr(FIELD, f"TYPE_{kind.upper()}", None)
    field.type = scalar or (FIELD.TYPE_ENUM if kind in ENUMS else FIELD.TYPE_MESSAGE)
    if scalar is None:
        field.type_name = f".{kind}"


_pool = descriptor_pool.Default()
_pool.AddSerializedFile(_describe().SerializeToString())
globals().update(
    {name: message_factory.GetMessageClass(_pool.FindMessageTypeByName(name)) for name in MESSAGES}
)
