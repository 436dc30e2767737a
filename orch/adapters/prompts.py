"""Writes the prompt of an attempt from a Jinja2 template, the packaged one or the project's own."""

import re
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from orch.core.brief import NOTHING, Brief
from orch.core.forge import Follow
from orch.core.model import Claim, Run, RunKey, Task
from orch.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment, Template

DEFAULT_TEMPLATE = "worker_template.md"
"""In this package. `orch init` may copy its text for a project that wants its own."""
CONTINUE_TEMPLATE = "continue_template.md"
"""In this package: for an attempt that goes on with a conversation."""
SHORTEST_FENCE = 3

_SAMPLE_TASK = Task(id="t-1", title="Say hello", notes="In two lines,\nif need be.")
_SAMPLE_CLAIM = Claim(branch="orch/t-1-say-hello", agent="sample", title="Say hello", claimed_at=0.0)
_SAMPLES = (
    Run(RunKey("t-1", 1), _SAMPLE_CLAIM),
    Run(RunKey("t-1", 2), _SAMPLE_CLAIM.evolve(before="stopped for a message", message="Hi", resume="abc")),
    Run(
        RunKey("t-1", 2),
        Claim("orch/t-1-say-hello", "sample", "Say hello", 0.0, spent=1, before="exit code 1"),
    ),
    *(
        Run(
            RunKey("t-1", 3),
            _SAMPLE_CLAIM.evolve(
                resume=resume, follow=Follow(pull=1, url="pull/1", text="Checks failed:\n- test: failure")
            ),
        )
        for resume in ("", "abc")
    ),
)
"""Attempts of every kind: templates say different things for them."""
_SAMPLE_BRIEF = Brief("#1: Say hello", "=== test ===\nassert 1 == 2")


class TemplatePrompts:
    """The Prompts of a project. The template is read again whenever its file has changed."""

    def __init__(
        self, template: Path | None = None, going_on: Path | None = None, *, verify_command: str = ""
    ) -> None:
        """`template` and `going_on` are the project's own, None for the packaged ones.

        `going_on` is for attempts that go on with a conversation.
        """
        self._verify_command = verify_command
        names = tuple(self._variables(_SAMPLE_TASK, _SAMPLES[0], NOTHING))
        self._first = PromptTemplate(template, DEFAULT_TEMPLATE, names)
        self._going_on = PromptTemplate(going_on, CONTINUE_TEMPLATE, names)

    def check(self) -> None:
        """Try the templates on sample tasks. Raises ConfigError as `render` would."""
        for run in _SAMPLES:
            self.render(_SAMPLE_TASK, run, _SAMPLE_BRIEF if run.claim.follow else NOTHING)

    def render(self, task: Task, run: Run, brief: Brief = NOTHING) -> str:
        """The whole prompt; the same for the same task, attempt and template.

        Raises ConfigError, with the line, for a template that cannot be read, parsed or carried out
        or that uses an unknown variable, and for one that says nothing.
        """
        template = self._going_on if run.claim.resume else self._first
        return template.render(self._variables(task, run, brief))

    def _variables(self, task: Task, run: Run, brief: Brief) -> dict[str, object]:
        """What the template may use. The list stands at the top of the packaged template, too."""
        return {
            "task_id": task.id,
            "title": task.title,
            "notes": task.notes,
            "priority": task.priority,
            "branch": run.claim.branch,
            "worker": run.key.worker,
            "attempt": run.key.attempt,
            "fresh": run.claim.fresh,
            "before": run.claim.before,
            "issue": brief.issue,
            "pull": run.claim.follow.url if run.claim.follow else "",
            "remarks": run.claim.follow.text if run.claim.follow else "",
            "logs": brief.logs,
            "message": run.claim.message,
            "agent": run.claim.agent,
            "model": run.claim.model,
            "verify_command": self._verify_command,
        }


class PromptTemplate:
    """One template: the project's own, or the packaged one."""

    def __init__(self, path: Path | None, packaged: str, names: Collection[str]) -> None:
        """`packaged` is what is meant without a `path`; `names` are the variables."""
        self._path = path
        self._packaged = packaged
        self._names = names
        self._compiled: tuple[str, Template] | None = None
        """The text that was last read and what became of it: one value, as several threads render."""

    def render(self, variables: Mapping[str, object]) -> str:
        """The text. Raises ConfigError, see `TemplatePrompts.render`."""
        template = self._template()
        try:
            text = template.render(variables)
        except Exception as error:  # noqa: BLE001 - a template can raise anything, and it is not our bug
            self._reject(str(error), _line_of(error, self._source), error)
        if not text.strip():
            self._reject("the prompt that it gives is empty")
        return text

    @property
    def _source(self) -> str:
        """The template's name in messages."""
        return str(self._path or self._packaged)

    def _template(self) -> "Template":
        text = self._read()
        compiled = self._compiled
        if compiled is None or compiled[0] != text:
            self._compiled = compiled = (text, self._compile(text))
        return compiled[1]

    def _read(self) -> str:
        if self._path is None:
            return packaged_template(self._packaged)
        try:
            return self._path.read_text(encoding="utf-8")
        except OSError as error:
            self._reject(error.strerror or str(error), cause=error)
        except UnicodeDecodeError as error:
            self._reject("it is not UTF-8 text", cause=error)

    def _compile(self, text: str) -> "Template":
        # Imported here because it takes longer than everything else that `orch status` needs.
        from jinja2 import StrictUndefined, TemplateSyntaxError
        from jinja2.sandbox import SandboxedEnvironment

        environment = SandboxedEnvironment(
            undefined=StrictUndefined,
            autoescape=False,  # the prompt is plain text, no HTML
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters["fenced"] = fence
        try:
            self._check_names(environment, text)
            code = environment.compile(text, filename=self._source)
        except TemplateSyntaxError as error:
            self._reject(error.message or "syntax error", error.lineno, error)
        return environment.template_class.from_code(environment, code, environment.make_globals(None))

    def _check_names(self, environment: "Environment", text: str) -> None:
        """Find unknown variables, also where the template is not reached for most tasks."""
        from jinja2 import meta, nodes

        tree = environment.parse(text)
        unknown = meta.find_undeclared_variables(tree) - {*self._names} - environment.globals.keys()
        uses = [name for name in tree.find_all(nodes.Name) if name.name in unknown]
        if uses:
            first = min(uses, key=lambda name: name.lineno)
            self._reject(
                f"unknown variable {first.name!r}", first.lineno, hint=f"known are: {', '.join(self._names)}"
            )

    def _reject(
        self, what: str, line: int = 0, cause: BaseException | None = None, *, hint: str = ""
    ) -> NoReturn:
        where = f"{self._source}, line {line}" if line else self._source
        hint = hint or "mend it, or change [agent] prompt or continue_prompt in config.toml"
        raise ConfigError(f"prompt template {where}: {what}", hint=hint) from cause


def packaged_template(name: str = DEFAULT_TEMPLATE) -> str:
    """A packaged template, also for a project that wants to start its own from it."""
    return resources.files("orch.adapters").joinpath(name).read_text(encoding="utf-8")


def fence(text: object) -> str:
    """The text between two lines of backticks, more of them than stand anywhere in the text."""
    content = str(text).strip("\n")
    longest = max(map(len, re.findall("`+", content)), default=0)
    line = "`" * max(SHORTEST_FENCE, longest + 1)
    return f"{line}\n{content}\n{line}"


def _line_of(error: BaseException, source: str) -> int:
    """The line of the template where an error came up, 0 where it is not known."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
