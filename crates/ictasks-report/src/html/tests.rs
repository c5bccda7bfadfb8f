//! The page as a whole.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::document::{Document, Element};
use super::{SCRIPT, html, sample};
use crate::findings::{Findings, IoFindings, MemoryFindings};

fn page(findings: &Findings) -> Document {
    Document::parse(&html(findings))
}

fn pages() -> [Document; 4] {
    let findings = [
        sample::findings(sample::ORDINARY),
        sample::findings(sample::LARGEST),
        sample::hostile(),
        Findings::default(),
    ];
    findings.map(|findings| page(&findings))
}

fn section_ids(findings: &Findings) -> Vec<String> {
    page(findings).named("section").filter_map(|section| section.attribute("id")).map(str::to_owned).collect()
}

#[test]
fn a_browser_has_nothing_to_mend() {
    let blocks =
        ["p", "div", "details", "ul", "ol", "dl", "pre", "table", "figure", "section", "h2", "h3", "h4"];
    for page in pages() {
        let ids: Vec<&str> = page.elements.iter().filter_map(|element| element.attribute("id")).collect();
        let different: HashSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), different.len(), "an id occurs twice: {ids:?}");
        for link in page.named("a") {
            let target = link.attribute("href").and_then(|target| target.strip_prefix('#')).unwrap();
            assert!(different.contains(target), "no `{target}`");
        }
        for block in page.elements.iter().filter(|element| blocks.contains(&element.name.as_str())) {
            assert!(!page.lies_in(block, |around| around.name == "p"), "a `p` ends at `{}`", block.name);
        }
    }
}

#[test]
fn the_policy_admits_this_style_and_this_script_alone() {
    let page = page(&sample::hostile());
    let is_policy = |meta: &&Element| meta.attribute("http-equiv") == Some("Content-Security-Policy");
    let policy = page.named("meta").find(is_policy).and_then(|meta| meta.attribute("content")).unwrap();
    for (name, directive) in [("style", "style-src"), ("script", "script-src")] {
        let found: Vec<&Element> = page.named(name).collect();
        assert_eq!(found.len(), 1, "{name}");
        let hash = STANDARD.encode(Sha256::digest(found[0].text.as_bytes()));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")), "{policy}");
    }
    assert!(policy.starts_with("default-src 'none';"));
    assert!(!policy.contains("unsafe"));
}

#[test]
fn nothing_is_loaded_and_nothing_acts() {
    let acting = ["img", "iframe", "object", "embed", "link", "base", "form", "foreignObject"];
    for page in pages() {
        for element in &page.elements {
            assert!(!acting.contains(&element.name.as_str()), "{}", element.name);
            for (name, value) in &element.attributes {
                let loads = matches!(name.as_str(), "style" | "src" | "srcset" | "action" | "data");
                assert!(!loads && !name.starts_with("on"), "{name} of {}", element.name);
                if name == "href" {
                    assert!(value.starts_with('#') || value.starts_with("data:image/png;base64,"), "{value}");
                }
            }
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
    assert!(unsafe_characters.is_empty(), "{unsafe_characters:?}");
    let page = Document::parse(&page);
    let heading = &page.named("h1").next().unwrap().text;
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
    assert!(page(&nothing_measured).id("lacks").text.contains("not in the record: memory."));
}

#[test]
fn each_chart_has_a_title_a_description_and_its_numbers() {
    for page in [sample::ORDINARY, sample::LARGEST].map(|size| page(&sample::findings(size))) {
        let pictures: Vec<&Element> = page.named("svg").filter(|svg| !svg.has_class("plot")).collect();
        let charts: Vec<&&Element> =
            pictures.iter().filter(|svg| svg.attribute("role") == Some("img")).collect();
        assert!(charts.len() >= 7, "{}", charts.len());
        for chart in charts {
            for id in chart.attribute("aria-labelledby").unwrap().split(' ') {
                assert!(!page.id(id).text.trim().is_empty(), "{id}");
            }
        }
        for picture in pictures.iter().filter(|svg| svg.attribute("role").is_none()) {
            assert_eq!(picture.attribute("aria-hidden"), Some("true"));
        }
        let cells = |around: &Element| {
            let inside = |cell: &&Element| page.lies_in(cell, |element| std::ptr::eq(element, around));
            (page.named("th").filter(inside).count(), page.named("td").filter(inside).count())
        };
        for figure in page.named("figure") {
            assert!(cells(figure).1 > 0, "a figure without numbers");
        }
        for table in page.named("table") {
            let (heads, cells) = cells(table);
            assert!(heads > 1 && cells >= heads, "a table without headings or rows");
        }
    }
}

#[test]
fn attempts_are_bars_or_a_heat_map() {
    let counts = |size: sample::Size| {
        let page = page(&sample::findings(size));
        let paths = |class: &str| page.inside("workers", "path").filter(|path| path.has_class(class)).count();
        let pictures = page.inside("workers", "image").count();
        (pictures, paths("succeeded"), paths("failed"), page.inside("bars", "tr").count() - 1)
    };
    assert_eq!(counts(sample::ORDINARY), (0, 1, 1, sample::ORDINARY.bars));
    assert_eq!(counts(sample::LARGEST), (1, 0, 1, sample::LARGEST.bars));
}

/// What a reader gets without looking at charts: headings, cards and the words between.
fn outline(page: &Document) -> String {
    let told = |element: &&Element| {
        matches!(element.name.as_str(), "h1" | "h2" | "h3")
            || element.has_class("verdict")
            || element.has_class("card")
            || element.name == "p" && page.lies_in(element, |around| around.has_class("advice"))
            || element.name == "div" && page.lies_in(element, |around| around.has_class("facts"))
    };
    let line = |element: &Element| {
        let mark = match element.name.as_str() {
            "h1" => "# ",
            "h2" => "## ",
            "h3" => "### ",
            _ => "",
        };
        let words: Vec<&str> =
            element.pieces.iter().map(|piece| piece.trim()).filter(|piece| !piece.is_empty()).collect();
        format!("{mark}{}", words.join(" | "))
    };
    page.elements.iter().filter(told).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_page_reads_from_verdict_to_sources() {
    insta::assert_snapshot!(outline(&page(&sample::findings(sample::ORDINARY))));
}
