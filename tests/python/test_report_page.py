"""The HTML report in a real browser: it stands alone, its tables work, and text of tasks does nothing."""

import json
import socket
import subprocess

import pytest

from conftest import command, program

# What a task may print or be called with; the browser must show it and do nothing else.
HOSTILE = "</script><script>document.title='owned';alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


def quoted(text):
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def tasks(directory):
    """Tasks that succeed, fail, and print what would harm a careless page."""
    for number in range(24):
        yield {"id": f"plain-{number}", "launch_cmd": f"sleep 0.{number:02}", "params": {"mesh": f"m{number % 3}"}}
    yield {"id": "gone", "launch_cmd": "./no-such-program"}
    scripts = {
        "script": f"printf '%s\\n' {quoted(HOSTILE)} >&2; exit 3",
        "bytes": "printf '\\033]0;t\\007\\033[31m\\342\\200\\256evil\\377\\376\\n' >&2; exit 4",
        "long": "head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; exit 5",
    }
    for name, lines in scripts.items():
        path = directory / f"{name}.sh"
        path.write_text(lines + "\n")
        yield {"id": name, "launch_cmd": f"sh {path} {quoted(HOSTILE)}", "params": {"mesh": HOSTILE}}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The report of a run of those tasks."""
    directory = tmp_path_factory.mktemp("page")
    tasklist = directory / "tasks.jsonl"
    tasklist.write_text("".join(json.dumps(task) + "\n" for task in tasks(directory)))
    run_dir = directory / "run"
    farm = command("--tasklist", tasklist, "--run-dir", run_dir, "--workers", "2")
    done = subprocess.run(farm, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    page = directory / "page.html"
    subprocess.run(program("report", run_dir, "--format", "html", "-o", page), check=True, timeout=120)
    return page


class Visit:
    """A page, and all that it tried to do."""

    def __init__(self, context, file):
        self.page = context.new_page()
        self.requests, self.said, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self.close)
        self.page.goto(file.as_uri())

    def close(self, dialog):
        """A dialog that nobody should have opened."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def outside(self):
        """Requests for anything but the file itself."""
        return [url for url in self.requests[1:] if not url.startswith("data:")]


@pytest.fixture
def visit(browser, page_file):
    """Opens the page with settings of the browser."""
    contexts = []

    def opened(**settings):
        contexts.append(browser.new_context(**settings))
        return Visit(contexts[-1], page_file)

    yield opened
    for context in contexts:
        context.close()


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_the_page_stands_alone_and_fits(visit, width, scheme):
    """No request leaves it, nothing complains, and it never scrolls sideways."""
    visited = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    open_all(visited.page)
    assert visited.page.evaluate("document.documentElement.scrollWidth") <= width
    assert (visited.outside(), visited.said, visited.dialogs) == ([], [], [])


def test_the_page_has_an_outline(visit):
    """Every section has its heading, and every image a name and a description."""
    page = visit().page
    sections = page.locator("main > section")
    assert sections.count() >= 10
    for section in sections.all():
        heading = section.get_attribute("aria-labelledby")
        assert page.locator(f"h2#{heading}").inner_text().strip()
    images = page.locator("svg[role=img]")
    assert images.count() >= 4
    for image in images.all():
        for name in image.get_attribute("aria-labelledby").split():
            assert page.locator(f"#{name}").text_content().strip()
    assert page.locator("svg:not([role=img]):not(.plot):not([aria-hidden=true])").count() == 0


def table_named(page, name):
    return page.locator(f"section#tasks .scroll[aria-label='{name}'] table")


def test_tables_sort(visit):
    """A click sorts by a column, another one the other way round."""
    page = visit().page
    table = table_named(page, "The slowest attempts")
    column = table.locator("th").all_inner_texts().index(
        next(text for text in table.locator("th").all_inner_texts() if text.startswith("duration"))
    )

    def durations():
        cells = table.locator(f"tbody td:nth-child({column + 1})")
        return cells.evaluate_all("cells => cells.map(cell => Number(cell.dataset.v))")

    before = durations()
    assert len(before) > 3
    head = table.locator("th").nth(column)
    head.get_by_role("button").click()
    assert (durations(), head.get_attribute("aria-sort")) == (sorted(before, reverse=True), "descending")
    head.get_by_role("button").click()
    assert (durations(), head.get_attribute("aria-sort")) == (sorted(before), "ascending")


def test_tables_filter(visit):
    """Only rows with all words stay, and the page says how many."""
    page = visit().page
    page.locator("section#workers details.numbers summary").click()
    table = page.locator("table#bars")
    rows = table.locator("tbody tr")
    tools = page.locator("section#workers details.numbers .tools").last
    tools.get_by_role("searchbox").fill("PLAIN-7 succeeded")
    visible = [row.inner_text() for row in rows.all() if row.is_visible()]
    assert len(visible) == 1 and "plain-7" in visible[0]
    assert tools.get_by_role("status").inner_text() == f"1 of {rows.count()} rows"
    tools.get_by_role("searchbox").fill("")
    assert sum(row.is_visible() for row in rows.all()) == rows.count() >= 24


def test_time_zooms(visit):
    """Both charts over time show the same part, and all of it again."""
    page = visit(viewport={"width": 1400, "height": 900}).page
    plots = page.locator("figure.time svg.plot")
    whole = [plot.get_attribute("viewBox") for plot in plots.all()]
    widths = "plots => plots.map(plot => plot.viewBox.baseVal.width)"
    page.locator("section#workers").get_by_role("button", name="Zoom in").click()
    assert plots.evaluate_all(widths) == [50_000] * len(whole)
    page.locator("section#concurrency").get_by_role("button", name="Whole run").click()
    assert plots.evaluate_all(widths) == [100_000] * len(whole)


def test_hostile_text_is_only_text(visit):
    """Scripts, quotes, controls, invalid UTF-8 and endless lines of tasks are shown, shortened, and inert."""
    visited = visit()
    page = visited.page
    open_all(page)
    text = page.locator("body").inner_text()
    assert "<script>document.title='owned'" in text
    assert "evil" in text and "\\u{202e}" in text
    assert not set("\u202e\x1b\x07\0") & set(text)
    assert "x" * 10_000 not in text
    assert page.locator("script").count() == 1 and page.locator("img, iframe, object, embed").count() == 0
    assert "owned" not in page.title()
    assert (visited.outside(), visited.said, visited.dialogs) == ([], [], [])


def test_the_policy_holds(visit):
    """Even where a script or an image got into the page it would do nothing, and nobody would hear of it."""
    page = visit().page
    with socket.create_server(("127.0.0.1", 0)) as listener:
        owned, blocked = page.evaluate(INTRUDERS, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not owned
    assert blocked == ["connect-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr"]


# Each kind of thing that the policy forbids, and what it said to that (within ten seconds).
INTRUDERS = """async address => {
  const blocked = new Set();
  const all = new Promise(resolve => {
    setTimeout(resolve, 10000);
    document.addEventListener("securitypolicyviolation", event => {
      blocked.add(event.effectiveDirective);
      if (blocked.size === 5) resolve();
    });
  });
  const script = document.createElement("script");
  script.textContent = "window.owned = true";
  const image = document.createElement("img");
  image.src = address;
  document.body.append(script, image);
  document.body.insertAdjacentHTML("beforeend", '<p style="color: red" onclick="window.owned = true">x</p>');
  document.body.lastElementChild.click();
  await fetch(address).catch(() => {});
  await all;
  return [Boolean(window.owned), [...blocked].sort()];
}"""


def test_the_page_needs_no_script(visit):
    """With scripts off everything is there, and no control that would not work."""
    visited = visit(java_script_enabled=False)
    page = visited.page
    assert page.locator("header .verdict").inner_text().strip()
    assert page.locator("header .card").count() >= 3
    assert page.locator("svg[role=img]").first.is_visible()
    assert page.locator("button, input").count() == 0
    numbers = page.locator("section#workers details.numbers")
    assert not numbers.locator("table#bars").is_visible()
    numbers.locator("summary").click()
    assert numbers.locator("table#bars").is_visible()
    assert (visited.outside(), visited.dialogs) == ([], [])
