"""Gathers the texts of users' pages and brings each catalogue in line with them: `make messages`, or `make messages NEW=fr`.

Four kinds of text go in: what templates and web/language.py hand to gettext; tables of words (`tables`); what is handed to `say`; and
what services say when something is wrong (`HEARD`), where a value that is filled in becomes `{}`.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from openclaw_hosted.bootstrap.providers import FAKE, NOT_ISOLATED
from openclaw_hosted.domain import errors, words
from openclaw_hosted.store.instances import SPARE_NOTE, SPARE_NOTES
from openclaw_hosted.web import pages_logs, rendering, said, trust
from openclaw_hosted.web.errors import Problem
from openclaw_hosted.web.forms import CREDENTIAL_LABELS
from openclaw_hosted.web.language import CATALOGUES, ENGLISH, MONTHS
from openclaw_hosted.web.starting_points import STARTING_POINTS

SOURCE: Final = Path(__file__).resolve().parent.parent / "src" / "openclaw_hosted"
TEMPLATES: Final = SOURCE / "web" / "templates"
HEARD: Final = (
    "adapters/keytester.py", "domain/account.py", "domain/actor.py", "domain/errors.py", "domain/gateway.py", "domain/naming.py",
    "domain/lifecycle/instances.py", "domain/lifecycle/restore_points.py", "domain/loglines.py", "domain/restore_point.py",
    "domain/text.py", "services/accounts.py", "services/changes.py", "services/gatekeeping.py", "services/guesses.py",
    "services/instances.py", "services/keys.py", "services/mail.py", "services/opening.py", "services/passwords.py", "services/reach.py",
    "services/restore_points.py", "services/webhooks.py", "web/errors.py", "web/forms.py", "web/language.py",
    "web/live.py", "web/middleware.py", "web/instance_forms.py", "web/pages_edge.py", "web/pages_instance.py", "web/pages_senders.py",
    "web/pages_trust.py", "web/security.py",
)  # fmt: skip
"""Files whose errors users read."""
ERRORS: Final = frozenset(name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception))
SECOND: Final = frozenset({"FieldProblem", "HTTPException", "Problem", "_check_settled"})
"""Calls that take their text second."""
FIRST: Final = ERRORS | {"NotSignedIn", "_failed", "gettext", "say", "_"}
NAMED: Final = frozenset({"message", "note", "refusal", "said"})
"""Arguments and variables that are texts."""
STATUSES: Final = (400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 429, 500, 502, 503)
Message = str | tuple[str, str]


def user_templates() -> list[Path]:
    """The templates of users' pages."""
    return sorted(path for path in TEMPLATES.glob("*.html") if not path.name.startswith((*rendering.FOR_OPERATORS, "_cost")))


def messages() -> list[Message]:
    """All texts, each once, in an order that stays: a plural one as the pair of its forms."""
    found: dict[Message, None] = {}
    for path in user_templates():
        environment = rendering.make_templates({}, ENGLISH).env
        for _, function, given in environment.extract_translations(path.read_text()):  # type: ignore[attr-defined]
            texts = [given] if isinstance(given, str) else given
            found[tuple(texts[:2]) if function == "ngettext" else texts[0]] = None
    found.update(dict.fromkeys(tables()))
    for name in HEARD:
        found.update(dict.fromkeys(heard(ast.parse((SOURCE / name).read_text()))))
    return [message for message in found if any(character.isalpha() for character in str(message))]


def tables() -> Iterator[str]:
    """Words that stand in tables."""
    for table in (words.DEPARTURE_WORDS, words.PHASE_WORDS, words.STEP_WORDS, words.CAUSE_WORDS, words.PROVIDER_WORDS):
        yield from table.values()
    for more in (said.DONE_WORDS, CREDENTIAL_LABELS, pages_logs.SINCE, pages_logs.LEVELS, rendering.CHANNEL_TEXTS):
        yield from more.values()
    for card in rendering.PROVIDER_CARDS:
        yield from (card.title, card.text)
    for point in STARTING_POINTS:
        yield from (point.title, point.text, point.name)
    for device, lines in trust.STEPS.items():
        yield from (device, *(line for line in lines if not line.startswith("sudo ")))
    yield from MONTHS
    yield from (NOT_ISOLATED, FAKE)
    yield from (SPARE_NOTE, *SPARE_NOTES.values())
    yield from (Problem(status, "").title for status in STATUSES)


def heard(tree: ast.Module) -> Iterator[Message]:
    """Texts that the code of a file says: arguments of calls, and errors that are named by their docstring."""
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and {getattr(base, "id", "") for base in node.bases} & ERRORS:
            line = (ast.get_docstring(node) or "").splitlines()[0]
            yield from [line] if "`" not in line else []
        if isinstance(node, ast.Call):
            yield from _of_call(node, constants)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in NAMED:
            yield from texts_of(node.value, constants)


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _of_call(call: ast.Call, constants: Mapping[str, ast.expr]) -> Iterator[Message]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if name == "ngettext":
        one, many = (text for argument in call.args[:2] for text in texts_of(argument, constants))
        yield one, many
    texts = call.args[1:2] if name in SECOND else call.args[:1] if name in FIRST else []
    for node in [*texts, *(keyword.value for keyword in call.keywords if keyword.arg in NAMED)]:
        yield from texts_of(node, constants)


def texts_of(node: ast.expr, constants: Mapping[str, ast.expr]) -> Iterator[str]:
    """The texts that an expression of the code can be, with `{}` for each value in them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Name) and node.id in constants:
        yield from texts_of(constants[node.id], {})
    elif isinstance(node, ast.IfExp):
        yield from texts_of(node.body, constants)
        yield from texts_of(node.orelse, constants)
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format":
        yield from texts_of(cast("ast.Attribute", node.func).value, constants)


def updated(code: str) -> Catalog:
    """The catalogue of a language, with what is new, without what is gone."""
    template = Catalog(charset="utf-8")
    for message in messages():
        template.add(message)
    path = CATALOGUES / f"{code}.po"
    catalogue = read_po(io.BytesIO(path.read_bytes()), locale=code) if path.exists() else _empty(code)
    template.creation_date = catalogue.creation_date
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def _empty(code: str) -> Catalog:
    comment = "# Users' pages in another language. `make messages` brings this file in line with the code."
    return Catalog(
        locale=code, project="OpenClaw Hosted", version="1", header_comment=comment, msgid_bugs_address="none",
        last_translator="OpenClaw Hosted", language_team="OpenClaw Hosted", charset="utf-8", fuzzy=False,
    )  # fmt: skip


def as_po(catalogue: Catalog) -> bytes:
    """A catalogue as the file that translators edit."""
    file = io.BytesIO()
    write_po(file, catalogue, width=100, omit_header=False, no_location=True)
    return file.getvalue()


def as_mo(catalogue: Catalog) -> bytes:
    """A catalogue as the file that the platform reads."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def lacking(catalogue: Catalog) -> list[str]:
    """What has no translation yet."""
    return [str(message.id) for message in catalogue if message.id and not all(_strings(message.string))]


def _strings(string: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (string or "",) if isinstance(string, str | None) else tuple(string)


def main(new: list[str]) -> None:
    """Write the catalogues that there are, and those of new languages."""
    for code in sorted({path.stem for path in CATALOGUES.glob("*.po")} | set(new)):
        catalogue = updated(code)
        (CATALOGUES / f"{code}.po").write_bytes(as_po(catalogue))
        (CATALOGUES / f"{code}.mo").write_bytes(as_mo(catalogue))
        print(f"{code}: {len(catalogue)} texts, {len(lacking(catalogue))} of them not translated")


if __name__ == "__main__":
    main(sys.argv[1:])
