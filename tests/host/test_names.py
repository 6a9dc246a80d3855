"""Names, routes and keys, as Azure's host accepts them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host import checks
from local.host.app.functions import Function, HttpTrigger, QueueOutput, QueueTrigger
from local.host.app.settings import AppSettings
from local.host.app.storage import Accounts
from local.host.http.conversions import decode_path
from local.host.http.keys import FunctionKeys
from local.host.http.routes import RouteError, compile_route


class TestNames:
    """Names, routes and connections that Azure's host accepts."""

    NONE = AppSettings({"AzureWebJobsStorage": "UseDevelopmentStorage=true", "AzureWebJobsMine": "x"})

    def problems(self, *functions: Function) -> list[str]:
        accounts = Accounts(self.NONE)
        try:
            return checks.find_problems(functions, self.NONE, accounts)
        finally:
            accounts.close()

    def http(self, route: str = "", *methods: str, name: str = "f") -> Function:
        return Function(name, "id", HttpTrigger("req", route, frozenset(methods), "anonymous"), (), ("req",))

    def queue(self, queue: str = "q-1", connection: str = "", *bindings: str) -> Function:
        return Function("f", "id", QueueTrigger("msg", queue, connection), (), ("msg", *bindings))

    @pytest.mark.parametrize("name", ["a", "Sync_user-2", "a" * 128])
    def test_a_good_function_name_is_accepted(self, name):
        assert self.problems(self.http(name=name)) == []

    @pytest.mark.parametrize("name", ["", "1a", "_a", "a b", "a.b", "host", "Host", "a" * 129, "größe"])
    def test_a_bad_function_name_is_refused(self, name):
        assert any("not a valid function name" in each for each in self.problems(self.http(name=name)))

    @pytest.mark.parametrize(
        ("names", "problem"),
        [
            *((name, None) for name in ("out", "_out", "out_1", "$return")),
            *((name, f"'{name}' is not a valid binding name") for name in ("1out", "a__b", "a-b", "", "$x")),
            ("MSG", "two bindings have the same name"),
        ],
    )
    def test_binding_names_are_valid_and_differ(self, names, problem):
        expected = [f"the function f: {problem}"] if problem else []
        assert self.problems(self.queue("q-1", "", names)) == expected

    @pytest.mark.parametrize(
        ("name", "valid"),
        [
            *((name, True) for name in ("abc", "a-b-c", "1ab", "x" * 63, "Upper-Case")),
            *((name, False) for name in ("ab", "x" * 64, "-abc", "abc-", "a--b", "a_b", "a.b", "")),
        ],
    )
    def test_queue_names_are_valid_in_any_case(self, name, valid):
        problem = f"the function f: '{name}' is not a valid queue name"

        assert self.problems(self.queue(name)) == ([] if valid else [problem])

    def test_an_output_is_checked_like_a_trigger(self):
        trigger = HttpTrigger("r", "", frozenset(), "admin")
        function = Function("f", "id", trigger, (QueueOutput("o", "%X%", "No"),), ("r", "o"))

        setting, connection = self.problems(function)
        assert setting == "the function f: the setting X is not set (used in '%X%')"
        assert "f: the connection No is not set: neither No, nor No__accountName" in connection

    def test_a_connection_string_that_cannot_be_read_is_named(self):
        (problem,) = self.problems(self.queue("q-1", "Mine"))
        assert "the connection string AzureWebJobsMine cannot be read" in problem

    @pytest.mark.parametrize("route", ["admin", "/Admin/x", "runtime/x", "administrators"])
    def test_a_route_that_is_reserved_for_the_host_is_refused(self, route):
        assert "is reserved for the host" in self.problems(self.http(route))[0]

    @pytest.mark.parametrize(
        ("one", "other", "conflict"),
        [
            pytest.param(("r", "GET"), ("r", "POST"), False, id="other methods"),
            pytest.param(("r", "GET"), ("/R/", "GET", "POST"), True, id="one method in common, in any case"),
            pytest.param(("r", "GET"), ("r",), True, id="every method"),
            pytest.param(("r", "GET"), ("s", "GET"), False, id="other routes"),
            pytest.param(("g", "GET"), ("", "GET"), True, id="a function's name is its route"),
        ],
    )
    def test_two_functions_on_one_route_are_refused(self, one, other, conflict):
        found = self.problems(self.http(*one, name="f"), self.http(*other, name="g"))

        assert (found == ["the function g: the function f has the same route"]) is conflict

    def test_two_functions_of_one_name_in_any_case_are_refused(self):
        assert "two functions have the name f" in self.problems(self.http("a"), self.http("b", name="F"))


class TestRoutes:
    """Route templates, as ASP.NET reads them."""

    @pytest.mark.parametrize(
        ("template", "path", "values"),
        [
            pytest.param("users/{user}/sync", "users/a@b/sync", {"user": "a@b"}, id="a parameter"),
            pytest.param("users/{user}/sync", "Users/A/SYNC", {"user": "A"}, id="literals in any case"),
            pytest.param("users/{user}/sync", "users/a/b/sync", None, id="no slash in a parameter"),
            pytest.param("users/{user}/sync", "users//sync", None, id="no empty parameter"),
            pytest.param("r", "r/", {}, id="a trailing slash"),
            pytest.param("{a}/{b?}", "x", {"a": "x"}, id="optional, absent"),
            pytest.param("{a}/{b?}", "x/y", {"a": "x", "b": "y"}, id="optional, there"),
            pytest.param("r/{**path}", "r/a/b", {"path": "a/b"}, id="catch-all with two stars"),
            pytest.param("{a:int}", "-5", {"a": "-5"}, id="int"),
            pytest.param("{a:int}", "3000000000", None, id="int is 32 bits"),
            pytest.param("{a:alpha}", "a1", None, id="alpha"),
            pytest.param("{a:alpha?}", "", {}, id="a constraint does not apply to an absent value"),
        ],
    )
    def test_a_path_matches_or_not(self, template, path, values):
        assert compile_route(template).match(path) == values

    @pytest.mark.parametrize(
        "template",
        [
            pytest.param("{a", id="open brace"),
            pytest.param("{a}/{a}", id="twice"),
            pytest.param("{a?}/b", id="optional before a literal"),
            pytest.param("{a:nope}", id="unknown constraint"),
            pytest.param("{a:length(2)}", id="a constraint with an argument"),
            pytest.param("{a}.{b}", id="two parameters in a segment"),
            pytest.param("a//b", id="empty segment"),
        ],
    )
    def test_a_template_that_is_not_valid_or_not_supported_is_refused(self, template):
        with pytest.raises(RouteError):
            compile_route(template)

    @given(st.text(min_size=1).filter(lambda text: not set("/%") & set(text) and text.isprintable()))
    def test_any_segment_arrives_as_it_was_before_it_was_encoded(self, text):
        path = decode_path(f"/users/{quote(text, safe='')}/sync?x=/").strip("/")

        assert compile_route("users/{user}/sync").match(path) == {"user": text}


class TestKeys:
    """Function keys."""

    KEYS = FunctionKeys("m", "d", {"f": "k"})

    @pytest.mark.parametrize(
        ("presented", "opens"),
        [
            pytest.param("", {"anonymous"}, id="none"),
            pytest.param("x", {"anonymous"}, id="wrong"),
            pytest.param("k", {"anonymous", "function"}, id="the function's"),
            pytest.param("d", {"anonymous", "function"}, id="the host's"),
            pytest.param("m", {"anonymous", "function", "admin"}, id="the master"),
            pytest.param("ü", {"anonymous"}, id="beyond ASCII"),
        ],
    )
    def test_each_key_allows_its_levels(self, presented, opens):
        levels = {"anonymous", "function", "admin"}

        assert {level for level in levels if self.KEYS.allows(presented, "f", level)} == opens

    def test_another_functions_key_allows_no_call(self):
        assert not self.KEYS.allows("k", "g", "function")
        assert not self.KEYS.allows("", "g", "function")

    def test_each_function_has_its_own_random_key(self):
        keys = FunctionKeys.generate(["f", "g"], {"f": "given"})

        assert keys.functions["f"] == "given"
        assert len({keys.master, keys.default, *keys.functions.values()}) == 4
