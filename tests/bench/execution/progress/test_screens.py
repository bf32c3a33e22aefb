"""Where the progress of a run is shown."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from distillation_bench.bench.execution.progress import screens
from distillation_bench.bench.execution.progress.screens import (
    MAX_LINES,
    Notebook,
    Screen,
    Stderr,
    interactive_screen,
    screen,
    shown_on,
)


class Counts:
    done, failed, total = 2, 1, 4

    def summary(self) -> str:
        return "2/4 cells done, 1 failed"


class Shell:
    """The part of IPython that is used: what it has published."""

    kernel = None

    def __init__(self) -> None:
        self.published: list[tuple[dict[str, str], str, bool]] = []
        self.display_pub = self

    def publish(
        self, data: dict[str, str], transient: dict[str, str], update: bool = False
    ) -> None:
        self.published.append((data, transient["display_id"], update))

    @property
    def html(self) -> str:
        return self.published[-1][0]["text/html"]


def test_by_default_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(screen(), Stderr)
    with screen().live(Counts()):
        screen().step("preparing")
        screen().cell_finished("[1/4] spiral kd", failed=False)
    assert capsys.readouterr() == ("", "preparing\n[1/4] spiral kd\n")


def test_a_silent_screen_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on(Screen()), screen().live(Counts()):
        screen().note("preparing")
        screen().cell_finished("FAILED", failed=True)
    assert capsys.readouterr() == ("", "")
    assert isinstance(screen(), Stderr)


def test_a_notebook_has_one_display_that_is_updated(capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell()
    shown = Notebook(shell)
    shown.step("preparing <b>")
    assert shell.html == "<div>preparing &lt;b&gt;</div>"
    shown.note("rare class <b>")
    with shown.live(Counts()):
        for number in range(100):
            shown.cell_finished(f"[{number}]", failed=False)
        shown.cell_finished("FAILED <script>", failed=True)
    assert [update for _, _, update in shell.published] == [False] + [True] * (
        len(shell.published) - 1
    )
    assert len({display_id for _, display_id, _ in shell.published}) == 1
    assert len(shell.published) < 20
    assert '<progress value="3" max="4"></progress> 2/4 cells done' in shell.html
    assert "rare class &lt;b&gt;\nFAILED &lt;script&gt;" in shell.html
    assert "[0]" not in shell.html
    text = shell.published[-1][0]["text/plain"]
    assert text == "2/4 cells done, 1 failed\nrare class <b>\nFAILED <script>"
    assert capsys.readouterr() == ("", "")


def test_a_notebook_shows_the_last_lines() -> None:
    shell = Shell()
    shown = Notebook(shell)
    for number in range(MAX_LINES + 5):
        shown.note(f"line {number}.")
    assert "5 earlier lines" in shell.html
    assert "line 4." not in shell.html and f"line {MAX_LINES + 4}." in shell.html


def test_the_time_passed_goes_on_while_no_cell_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "TICK_SECONDS", 0.01)
    updated = threading.Event()

    class Waiting(Shell):
        def publish(self, *arguments: Any, **options: Any) -> None:
            super().publish(*arguments, **options)
            if len(self.published) > 3:
                updated.set()

    with Notebook(Waiting()).live(Counts()):
        assert updated.wait(10)


def test_only_a_notebook_gets_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    class IPython:
        shell: Any = None

        def get_ipython(self) -> Any:
            return self.shell

    monkeypatch.setitem(screens.sys.modules, "IPython", IPython())  # type: ignore[attr-defined]
    assert isinstance(interactive_screen(), Stderr)
    monkeypatch.setattr(IPython, "shell", object())
    assert isinstance(interactive_screen(), Stderr)
    monkeypatch.setattr(IPython, "shell", Shell())
    assert isinstance(interactive_screen(), Notebook)
