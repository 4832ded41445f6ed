"""The pages in headless Chromium, opened from disk."""

import json
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from pipeline.report.compare import write_comparison
from pipeline.report.page import write_report
from tests.pipeline.report.workspaces import HOSTILE, bare_workspace, full_workspace, slice_of, two_label_workspace

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver (Debian: chromium, chromium-driver)")

QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage"""
PHONE = {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": False}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in QUIET.split():
        options.add_argument(flag)
    options.add_argument("--window-size=1280,900")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    yield driver
    driver.quit()  # ends chromium and chromedriver


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    workspace, bare, labels = (tmp_path_factory.mktemp(name) for name in ("workspace", "bare", "labels"))
    folder = full_workspace(workspace)
    return {
        "report": write_report(folder, workspace, workspace / "report.html"),
        "comparison": write_comparison(folder.parent / "20261120-090000-demo", folder, workspace, workspace / "both.html"),
        "bare": write_report(bare_workspace(bare), bare, bare / "report.html"),
        "shared": write_report(folder, workspace),
        "labels": write_report(two_label_workspace(labels), labels, labels / "report.html"),
    }


def visit(browser, file: Path) -> None:
    """Opens a page and waits until its charts are drawn."""
    browser.get(file.as_uri())
    drawn = "return document.documentElement.dataset.drawn"
    WebDriverWait(browser, 60, poll_frequency=0.05).until(lambda driver: driver.execute_script(drawn))


@pytest.fixture
def report(browser, files):
    """The report, newly opened."""
    visit(browser, files["report"])
    return browser


def requests(browser) -> list[str]:
    """The addresses that were requested since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def column(browser, at: int) -> list[str]:
    """The first lines of the cells of a column of the slices, from 1."""
    cells = browser.find_elements(By.CSS_SELECTOR, f"#slice-rows tr > :nth-child({at})")
    return [cell.text.splitlines()[0] for cell in cells]


def head(browser, key: str):
    return browser.find_element(By.CSS_SELECTOR, f"#slice-table th[data-key={key}]")


@pytest.mark.parametrize("name", ["report", "comparison", "bare", "shared", "labels"])
def test_draws_without_errors_or_requests(browser, files, name):
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    visit(browser, files[name])
    figures = browser.find_elements(By.CSS_SELECTOR, "[data-figure]")
    assert all(figure.find_elements(By.CSS_SELECTOR, "svg.main-svg") for figure in figures)
    assert bool(figures) == (name != "bare")
    assert browser.get_log("browser") == []
    asked = [url for url in requests(browser) if not url.startswith("data:")]
    scripts = (files["report"].parent / "assets").glob("*.js") if name == "shared" else ()
    assert asked == [files[name].as_uri(), *(script.as_uri() for script in scripts)]


def test_a_report_without_its_workspace_says_what_is_missing(browser, files, tmp_path):
    """Somebody sent the report of a run folder: all but the charts is there."""
    sent = shutil.copy(files["shared"], tmp_path)
    browser.get(Path(sent).as_uri())
    notice = browser.find_element(By.ID, "no-charts")
    assert notice.is_displayed() and "din report --out FILE.html" in notice.text
    assert len(browser.find_elements(By.CSS_SELECTOR, "#slice-rows tr")) > 10
    visit(browser, files["shared"])
    assert not browser.find_element(By.ID, "no-charts").is_displayed()


@pytest.mark.parametrize("name", ["report", "comparison", "bare", "labels"])
def test_fits_a_phone(browser, files, name):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        visit(browser, files[name])
        page, shown, width = browser.execute_script(
            "const root = document.documentElement; return [root.scrollWidth, root.clientWidth, innerWidth]"
        )
        assert page == shown and width == PHONE["width"]
        for chart in browser.find_elements(By.CSS_SELECTOR, "[data-figure]"):
            assert chart.find_element(By.CSS_SELECTOR, "svg.main-svg").rect["width"] <= chart.rect["width"]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_has_landmarks_and_labels(report):
    for landmark in ("header", "nav[aria-label]", "main", "footer", "html[lang=en]", "section[aria-labelledby]"):
        assert report.find_elements(By.CSS_SELECTOR, landmark)
    for section in report.find_elements(By.TAG_NAME, "section"):
        assert section.aria_role == "region" and section.accessible_name == section.find_element(By.TAG_NAME, "h2").text
    for figure in report.find_elements(By.CSS_SELECTOR, "[data-figure]"):
        assert figure.aria_role in ("img", "image") and figure.accessible_name
    assert Select(report.find_element(By.ID, "slice-metric")).options[0].text == "AUC"
    assert report.find_element(By.ID, "slice-filter").accessible_name == "Filter"


def test_the_first_tab_stop_skips_to_the_content(report):
    report.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = report.switch_to.active_element
    assert skip.get_attribute("href").endswith("#content") and skip.rect["x"] >= 0
    skip.send_keys(Keys.ENTER)
    assert report.switch_to.active_element.get_attribute("id") == "content"


def test_slices_are_sorted_by_keyboard_and_missing_figures_stay_last(report):
    assert head(report, "examples").get_attribute("aria-sort") == "descending" and column(report, 1)[0] == "overall"
    button = head(report, "value").find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    values = column(report, 5)
    assert values == [*sorted(values[:-1], key=float, reverse=True), "–"]
    assert head(report, "value").get_attribute("aria-sort") == "descending" and head(report, "examples").get_attribute("aria-sort") is None
    button.send_keys(Keys.SPACE)
    assert column(report, 5) == [*values[-2::-1], "–"] and head(report, "value").get_attribute("aria-sort") == "ascending"


def test_slices_are_filtered_by_every_word(report):
    field = report.find_element(By.ID, "slice-filter")
    field.send_keys("ACTIVITY popularity")
    assert len(column(report, 1)) == 6 and all("item_popularity" in name for name in column(report, 1))
    assert report.find_element(By.ID, "slice-count").text == "6 of 25 slices"
    field.send_keys(" no such slice")
    assert column(report, 1) == [] and report.find_element(By.ID, "slice-count").text == "0 of 25 slices"


def test_slices_show_the_chosen_metric_with_its_interval(report):
    Select(report.find_element(By.ID, "slice-metric")).select_by_visible_text("Log loss")
    row = report.find_element(By.CSS_SELECTOR, "#slice-rows tr")
    assert "0.4500\n0.4443 to 0.4557" in row.text and "−0.0040" in row.text
    assert head(report, "value").text.startswith("Log loss")
    assert row.find_elements(By.CSS_SELECTOR, ".better") and row.find_elements(By.CSS_SELECTOR, ".track .range")


def test_slices_show_each_label(browser, files):
    visit(browser, files["labels"])
    assert head(browser, "rate").text == "click rate"
    Select(browser.find_element(By.ID, "slice-metric")).select_by_visible_text("AUC (purchase)")
    row = browser.find_element(By.CSS_SELECTOR, "#slice-rows tr")
    assert "0.6500\n0.6443 to 0.6557" in row.text and head(browser, "rate").text == "purchase rate"


def test_hostile_values_are_text(report):
    assert report.title == "20261121-090000-demo: Refused"
    assert {f"city = {value}" for value in HOSTILE} <= set(column(report, 1))
    assert report.execute_script("return document.querySelectorAll('main img, main b').length") == 0
    assert report.execute_script("return document.scripts.length") == 3


def test_plotly_shows_markup_of_the_data_as_text(browser, tmp_path):
    folder = bare_workspace(tmp_path)
    slices = [slice_of([["user_activity", value]], 0.7, 500, 20) for value in ("<b>1</b>", "2 &amp; 3")]
    (folder / "evaluation.json").write_text(json.dumps({"slices": slices}))
    visit(browser, write_report(folder, tmp_path, tmp_path / "report.html"))
    ticks = browser.execute_script("return [...document.querySelectorAll('[data-figure=activity] .xtick')].map((tick) => tick.textContent)")
    assert ticks == ["<b>1</b>", "2 &amp; 3"]
