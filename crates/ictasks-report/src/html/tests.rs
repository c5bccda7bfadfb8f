//! The page as a whole.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use scraper::{ElementRef, Html, Selector};
use sha2::{Digest as _, Sha256};

use super::{SCRIPT, html, sample};
use crate::findings::{Findings, IoFindings, MemoryFindings};

fn page(findings: &Findings) -> Html {
    Html::parse_document(&html(findings))
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect()
}

fn section_ids(findings: &Findings) -> Vec<String> {
    all(&page(findings), "main > section")
        .iter()
        .filter_map(|section| section.attr("id"))
        .map(str::to_owned)
        .collect()
}

fn pages() -> [Findings; 4] {
    [
        sample::findings(sample::ORDINARY),
        sample::findings(sample::LARGEST),
        sample::hostile(),
        Findings::default(),
    ]
}

#[test]
fn a_browser_has_nothing_to_mend() {
    for findings in pages() {
        let page = page(&findings);
        assert_eq!(page.errors, Vec::<String>::new());
        let ids: Vec<&str> =
            all(&page, "[id]").into_iter().filter_map(|element| element.attr("id")).collect();
        let different: HashSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), different.len(), "an id occurs twice: {ids:?}");
        for link in all(&page, "nav a") {
            let target = link.attr("href").and_then(|target| target.strip_prefix('#')).unwrap();
            assert!(different.contains(target), "no `{target}`");
        }
    }
}

#[test]
fn the_policy_admits_this_style_and_this_script_alone() {
    let page = page(&sample::hostile());
    let policy = all(&page, "meta[http-equiv=Content-Security-Policy]")[0].attr("content").unwrap();
    for (element, directive) in [("style", "style-src"), ("script", "script-src")] {
        let found = all(&page, element);
        assert_eq!(found.len(), 1, "{element}");
        let hash = STANDARD.encode(Sha256::digest(text(found[0]).as_bytes()));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")), "{policy}");
    }
    assert!(policy.starts_with("default-src 'none';"));
    assert!(!policy.contains("unsafe"));
}

#[test]
fn nothing_is_loaded_and_nothing_acts() {
    for findings in pages() {
        let page = page(&findings);
        for element in all(&page, "*") {
            for (name, value) in element.value().attrs() {
                let inert = !name.starts_with("on")
                    && !matches!(name, "style" | "src" | "srcset" | "action" | "data");
                assert!(inert, "{name} of {}", element.value().name());
                if name == "href" {
                    assert!(value.starts_with('#') || value.starts_with("data:image/png;base64,"), "{value}");
                }
            }
        }
        for name in ["img", "iframe", "object", "embed", "link", "base", "form", "foreignObject"] {
            assert!(all(&page, name).is_empty(), "{name}");
        }
    }
}

#[test]
fn hostile_text_is_shown_as_text() {
    let page = html(&sample::hostile());
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("</script").count(), 1);
    let unsafe_characters: Vec<char> = page
        .chars()
        .filter(|&character| character != '\n' && crate::harmless::is_unsafe(character))
        .collect();
    assert_eq!(unsafe_characters, []);
    let page = Html::parse_document(&page);
    let heading = text(all(&page, "h1")[0]);
    assert_eq!(
        heading,
        r#""'</script><script>alert(1)</script>&amp;<img src=x onerror=alert(2)>\u{202e}\u{0}"#
    );
}

#[test]
fn a_page_is_small_however_large_the_run() {
    let largest = html(&sample::findings(sample::LARGEST));
    assert!(largest.len() < 3_000_000, "{} bytes", largest.len());
    assert!(SCRIPT.len() < 15 * 1024, "{} bytes of script", SCRIPT.len());
    // Whoever prints a line of a megabyte does not get it into the page.
    let hostile = html(&sample::hostile());
    assert!(hostile.len() < 600_000, "{} bytes", hostile.len());
}

#[test]
fn parts_without_data_are_left_out() {
    assert_eq!(section_ids(&Findings::default()), ["lacks"]);
    let whole = sample::findings(sample::ORDINARY);
    let all_ids = section_ids(&whole);
    let without = |change: fn(&mut Findings)| -> Vec<String> {
        let mut findings = whole.clone();
        change(&mut findings);
        let left = section_ids(&findings);
        all_ids.iter().filter(|id| !left.contains(id)).cloned().collect()
    };
    assert_eq!(without(|findings| findings.gpu = None), ["gpu"]);
    assert_eq!(without(|findings| findings.advice.clear()), ["advice"]);
    assert_eq!(without(|findings| findings.more_cores = None), ["more-cores"]);
    assert_eq!(without(|findings| findings.memory = MemoryFindings::default()), ["memory"]);
    assert_eq!(without(|findings| findings.io = IoFindings::default()), ["io"]);
    assert_eq!(without(|findings| findings.cores.cpu_efficiency_fraction = None), ["cpu"]);
    assert_eq!(without(|findings| findings.workers.rows.clear()), ["workers"]);
    assert_eq!(without(|findings| findings.concurrency.available.clear()), ["concurrency"]);
    let mut nothing_measured = whole;
    nothing_measured.memory = MemoryFindings::default();
    nothing_measured.lacks.clear();
    let page = page(&nothing_measured);
    assert!(text(all(&page, "#lacks")[0]).contains("not in the record: memory."));
}

#[test]
fn each_chart_has_a_title_a_description_and_its_numbers() {
    for findings in [sample::findings(sample::ORDINARY), sample::findings(sample::LARGEST)] {
        let page = page(&findings);
        let charts = all(&page, "svg[role=img]");
        assert!(charts.len() >= 7, "{}", charts.len());
        for chart in charts {
            let named = chart.attr("aria-labelledby").unwrap();
            for id in named.split(' ') {
                let name = all(&page, &format!("#{id}"));
                assert!(!text(name[0]).trim().is_empty(), "{id}");
            }
        }
        for figure in all(&page, "figure") {
            let tables = Selector::parse("details table tbody tr").unwrap();
            assert!(figure.select(&tables).next().is_some(), "a figure without numbers");
        }
        for picture in all(&page, "svg:not([role]):not(.plot)") {
            assert_eq!(picture.attr("aria-hidden"), Some("true"));
        }
        for table in all(&page, "table") {
            let heads = Selector::parse("thead th[scope=col], caption").unwrap();
            assert!(table.select(&heads).count() >= 3, "a table without headings");
        }
    }
}

#[test]
fn attempts_are_bars_or_a_heat_map() {
    let bars = page(&sample::findings(sample::ORDINARY));
    assert_eq!(all(&bars, "#workers image").len(), 0);
    assert_eq!(all(&bars, "#workers path.attempts.succeeded").len(), 1);
    assert_eq!(all(&bars, "#bars tbody tr").len(), sample::ORDINARY.bars);
    let heat = page(&sample::findings(sample::LARGEST));
    assert_eq!(all(&heat, "#workers image").len(), 1);
    assert_eq!(all(&heat, "#workers path.attempts.succeeded").len(), 0);
    assert_eq!(all(&heat, "#workers path.attempts.failed").len(), 1);
}

/// What a reader gets without looking at charts: headings, cards and the words between.
fn outline(page: &Html) -> String {
    let lines = all(page, "h1, h2, h3, .verdict, .card, .advice p, .facts div").into_iter().map(|element| {
        let mark = match element.value().name() {
            "h1" => "# ",
            "h2" => "## ",
            "h3" => "### ",
            _ => "",
        };
        let words: Vec<String> =
            element.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        format!("{mark}{}", words.join(" | "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_page_reads_from_verdict_to_sources() {
    insta::assert_snapshot!(outline(&page(&sample::findings(sample::ORDINARY))));
}
