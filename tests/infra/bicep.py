"""Find what the Bicep compiler would refuse and a syntax tree shows. It knows no types of resources."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_bicep.language()))
KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}
MUST_BE_USED = ("param", "var", "existing")


@dataclass(frozen=True)
class Symbol:
    """A declaration at the top level of a file."""

    name: str
    kind: str  # param, var, resource, existing, module or output
    node: Node
    decorators: str  # their text

    @property
    def value(self) -> Node | None:
        """Return what follows the `=`; None for a parameter without default."""
        last = self.node.named_children[-1]
        last = last.named_children[-1] if last.type == "if_statement" else last
        return None if last.type in ("type", "identifier") else last


@dataclass(frozen=True)
class BicepFile:
    """One file, parsed."""

    path: Path

    @cached_property
    def root(self) -> Node:
        """Return the syntax tree."""
        # The grammar is older than the keyword `extension`.
        return PARSER.parse(re.sub(rb"(?m)^extension \w+$", b"", self.path.read_bytes())).root_node

    @cached_property
    def symbols(self) -> dict[str, Symbol]:
        """Return the declarations by name. Outputs have names of their own: here each begins with `>`."""
        found, decorators = {}, ""
        for node in self.root.named_children:
            if kind := KINDS.get(node.type):
                name = text(node.named_children[0])
                kind = "existing" if kind == "resource" and _is_existing(node) else kind
                found[f">{name}" if kind == "output" else name] = Symbol(name, kind, node, decorators)
            decorators = text(node) if node.type == "decorators" else ""
        return found

    @property
    def references(self) -> Iterator[str]:
        """Return every name that an expression refers to, names of loops and lambdas aside."""
        local = {text(node) for node in walk(self.root) if _is_local(node)}
        for node in walk(self.root):
            if node.type == "identifier" and not _names_something(node) and text(node) not in local:
                yield text(node)

    def params(self, *, required: bool = False) -> set[str]:
        """Return the names of the parameters, all or only those without a default."""
        params = [each for each in self.symbols.values() if each.kind == "param"]
        return {each.name for each in params if not (required and each.value)}

    def problems(self) -> Iterator[str]:
        """Return what is wrong with this file, each as a sentence."""
        for node in walk(self.root):
            if node.is_error or node.is_missing:
                yield f"{self.path.name}:{node.start_point.row + 1} is not Bicep: {text(node)[:60]!r}"
        used = set(self.references)
        for symbol in self.symbols.values():
            if symbol.kind in MUST_BE_USED and symbol.name not in used:
                yield f"{self.path.name}: {symbol.kind} {symbol.name} is not used"
            if symbol.kind in ("param", "output") and "@description(" not in symbol.decorators:
                yield f"{self.path.name}: {symbol.kind} {symbol.name} has no description"
        for name in sorted(used - set(self.symbols)):
            yield f"{self.path.name}: {name} is not declared"
        for symbol in self.symbols.values():
            if symbol.kind == "module":
                yield from self._module_problems(symbol)

    def _module_problems(self, module: Symbol) -> Iterator[str]:
        called = BicepFile(self.path.parent / _literal(module.node.named_children[1]))
        if not called.path.exists():
            yield f"{self.path.name}: module {module.name} has no file {called.path.name}"
            return
        given = set(_object(module.value, "params"))
        for name in sorted(given - called.params()):
            yield f"{self.path.name}: {called.path.name} has no parameter {name}"
        for name in sorted(called.params(required=True) - given):
            yield f"{self.path.name}: module {module.name} is not given {name}"
        for output in sorted(set(re.findall(rf"\b{module.name}!?\.outputs\.(\w+)", text(self.root)))):
            if f">{output}" not in called.symbols:
                yield f"{self.path.name}: {called.path.name} has no output {output}"


def files(folder: Path) -> list[BicepFile]:
    """Return every Bicep file in a folder and the folders in it."""
    return [BicepFile(path) for path in sorted(folder.rglob("*.bicep"))]


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the Bicep files of a folder."""
    return [problem for file in files(folder) for problem in file.problems()]


def walk(node: Node) -> Iterator[Node]:
    """Return a node and every node in it."""
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    """Return a node as it is written."""
    return (node.text or b"").decode()


def strings(node: Node | None) -> list[str]:
    """Return the strings of an array."""
    return [_literal(each) for each in node.named_children if each.type == "string"] if node else []


def keys(node: Node) -> Iterator[str]:
    """Return the keys of every object in a node."""
    for each in walk(node):
        if each.type == "object_property":
            yield text(each.named_children[0]).strip("'")


def _object(node: Node | None, key: str) -> Iterator[str]:
    """Return the keys of the object that is the value of `key` in an object."""
    for each in node.named_children if node else ():
        if each.type == "object_property" and text(each.named_children[0]) == key:
            yield from (text(one.named_children[0]) for one in each.named_children[1].named_children)


def _literal(node: Node) -> str:
    return text(node).strip("'")


def _is_existing(node: Node) -> bool:
    return any(child.type == "existing" or text(child) == "existing" for child in node.children)


def _is_local(node: Node) -> bool:
    """Return whether a node declares the variable of a loop or of a lambda."""
    if node.type in ("loop_variable", "loop_enumerator"):
        return True
    parent = node.parent
    of_local = parent is not None and parent.type in ("for_statement", "lambda_expression")
    first = of_local and parent is not None and parent.named_children[0] == node
    return bool(first and node.type == "identifier")


def _names_something(node: Node) -> bool:
    """Return whether an identifier is a key, a function, or the name of a declaration."""
    parent = node.parent
    if parent is None or parent.named_children[0] != node:
        return False
    return parent.type in ("object_property", "call_expression", *KINDS)
